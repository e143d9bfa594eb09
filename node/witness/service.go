// Package witness owns what members do for each other's audit logs: this node's checkpoints are offered to its witnesses and their cosignatures kept; those
// of other members are cosigned once they follow what is held; what proves that a log was put back or forked is kept, shown and told. The rules are
// crypto/witness's; it refuses to know how questions travel.
package witness

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto/roster"
	rules "proofmark/crypto/witness"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// Pace are the times of offering.
type Pace struct {
	Look  time.Duration // between looks at what is to be offered, by the wall clock
	Grown time.Duration // at least so long between two offers of a log that grows, by the node's clock
	Still time.Duration // at most so long between two offers of one that does not
}

// DefaultPace is the pace of a node: a growing log is offered once a minute, any log once an hour.
var DefaultPace = Pace{Look: 2 * time.Second, Grown: time.Minute, Still: time.Hour}

// DefaultWanted is how many cosignatures are wanted where the configuration does not say.
const DefaultWanted = 2

// Options assemble a Service.
type Options struct {
	Desk     *desk.Desk
	Now      func() time.Time
	Log      *slog.Logger
	Roster   func() *roster.Roster // in force; nil: none yet
	Signer   note.Signer           // of this node's checkpoints
	Own      note.Verifier         // of the same
	Cosigner *rules.Cosigner
	Restored func(tx *store.Tx) (*protocol.Restored, error) // the restore that this node declared last; nil: none

	Chosen int                // witnesses that are chosen from the roster; 0: crypto/witness.Chosen
	Also   []protocol.Country // who is asked to cosign beside them
	Wanted int                // cosignatures that a checkpoint needs; 0: DefaultWanted, or all where there are fewer witnesses
	Pace   Pace

	// Talk asks a member question after question, as exchange.AskWitness does.
	Talk      func(ctx context.Context, to protocol.Country, next func(answer []byte) (ask []byte, err error)) error
	Connected func(c protocol.Country) bool
}

// Service is one node's witnessing, both sides of it.
type Service struct {
	o       Options
	country protocol.Country

	mu     sync.Mutex // held for moments only
	roster *roster.Roster
	ring   *rules.Keyring
	asked  map[protocol.Country]time.Time // when a witness was asked last, since the start
	seen   map[protocol.Country]time.Time // when a log was cosigned last, since the start

	rounds // of Run alone
}

// New returns a Service.
func New(o Options) *Service {
	if o.Pace == (Pace{}) {
		o.Pace = DefaultPace
	}
	if o.Chosen == 0 {
		o.Chosen = rules.Chosen
	}
	return &Service{o: o, country: o.Desk.Country, asked: map[protocol.Country]time.Time{}, seen: map[protocol.Country]time.Time{},
		rounds: rounds{next: map[protocol.Country]time.Time{}, failed: map[protocol.Country]int{}, later: map[protocol.Country]time.Time{}, recall: map[protocol.Country]time.Time{}}}
}

// keyring returns the log keys of the roster in force, and that roster.
func (s *Service) keyring() (*rules.Keyring, *roster.Roster, error) {
	r := s.o.Roster()
	if r == nil {
		return nil, nil, errNoRoster
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roster != r {
		ring, err := rules.Verifiers(r)
		if err != nil {
			return nil, nil, fmt.Errorf("log keys of the roster: %w", err)
		}
		s.roster, s.ring = r, ring
	}
	return s.ring, r, nil
}

// witnesses are the members that are asked to cosign this node's log: those chosen for it, in the order of the choice, then those that the configuration
// names; no more than stand under one checkpoint.
func (s *Service) witnesses(r *roster.Roster) []protocol.Country {
	out, named := s.chosen(r, s.o.Own.Name(), s.country, s.o.Chosen), []protocol.Country(nil)
	for _, c := range s.o.Also {
		if m, ok := r.ByCountry(string(c)); ok && c != s.country && m.Active(s.o.Now()) && !slices.Contains(out, c) {
			named = append(named, c)
		}
	}
	return append(out[:min(len(out), rules.MaxWitness-len(named))], named...)
}

// chosen are the active members that are chosen as witnesses of a country's log.
func (s *Service) chosen(r *roster.Roster, origin string, country protocol.Country, n int) (out []protocol.Country) {
	var members []string
	for _, m := range r.Active(s.o.Now()) {
		if m.Country != string(country) {
			members = append(members, m.Country)
		}
	}
	for _, c := range rules.Choose(origin, members, n) {
		out = append(out, protocol.Country(c))
	}
	return out
}

// wanted is how many cosignatures make a checkpoint good, of so many witnesses.
func (s *Service) wanted(witnesses int) int {
	n := s.o.Wanted
	if n == 0 {
		n = DefaultWanted
	}
	return min(n, witnesses)
}

// sawAt notes when a log was cosigned.
func (s *Service) sawAt(c protocol.Country, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[c] = at
}
