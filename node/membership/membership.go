// Package membership owns which roster is in force on this node: it installs what the key holders signed, keeps every version from the
// anchor on, and refuses another federation's, a forked or an older one. It refuses to know what a roster is used for, and how its
// signatures are checked, which is crypto/roster's.
package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// version is one installed version of the roster; its bytes are a blob, so that the list of versions stays small.
type version struct {
	Version     int       `json:"version"`
	Hash        string    `json:"hash"`        // of the roster's content, see roster.Document.Hash
	Fingerprint string    `json:"fingerprint"` // the same for a person's ear
	Blob        string    `json:"blob"`        // the document's bytes
	Installed   time.Time `json:"installed"`
	By          string    `json:"by"`
}

var versions = store.NewCollection[version]("roster-version")

func versionID(n int) string { return fmt.Sprintf("%010d", n) } // ids sort as the versions do

// state is what is in force; it is replaced as a whole and never changed. The zero state has no roster.
type state struct {
	versions []version // ascending from version 1, none missing
	document *roster.Document
	roster   *roster.Roster
	raw      []byte
}

func (s *state) version() int { return len(s.versions) }

func (s *state) anchor() string {
	if len(s.versions) == 0 {
		return ""
	}
	return s.versions[0].Hash
}

func (s *state) hash() string {
	if len(s.versions) == 0 {
		return ""
	}
	return s.versions[len(s.versions)-1].Hash
}

// Self is what the node knows of its own identity, to be compared with what the roster says of its country.
type Self struct {
	KeyID  string // of the signing key
	PeerID string // of the libp2p host
}

// Service owns the roster in force. Its methods may be called from any goroutine.
type Service struct {
	desk *desk.Desk
	self *Self

	now     atomic.Pointer[state]
	install sync.Mutex // one installation at a time

	mu       sync.Mutex
	onChange []func()
}

// Option adjusts a Service.
type Option func(*Service)

// WithSelf has warnings also say where the roster does not name this node's own keys.
func WithSelf(self Self) Option { return func(s *Service) { s.self = &self } }

// New loads what was installed before.
func New(d *desk.Desk, options ...Option) (*Service, error) {
	s := &Service{desk: d}
	for _, o := range options {
		o(s)
	}
	err := d.Store.View(func(tx *store.Tx) error {
		st, err := load(tx)
		s.now.Store(st)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the installed roster: %w", err)
	}
	return s, nil
}

// errDamaged says that the store holds something that was not installed by this package.
var errDamaged = errors.New("the installed rosters contradict each other: restore the data folder from a backup, then verify the audit log")

func load(tx *store.Tx) (*state, error) {
	st := &state{}
	for _, v := range versions.All(tx) {
		st.versions = append(st.versions, *v)
		if v.Version != len(st.versions) {
			return st, fmt.Errorf("version %d is followed by %d: %w", len(st.versions)-1, v.Version, errDamaged)
		}
	}
	if err := tx.Err(); err != nil || len(st.versions) == 0 {
		return st, err
	}
	last := st.versions[len(st.versions)-1]
	raw, err := tx.Blob(last.Blob)
	if err != nil {
		return st, fmt.Errorf("version %d: %w", last.Version, err)
	}
	st.raw = raw
	if st.document, err = roster.Parse(raw); err != nil {
		return st, fmt.Errorf("version %d: %w", last.Version, err)
	}
	if st.document.Hash() != last.Hash {
		return st, fmt.Errorf("version %d has another hash than when it was installed: %w", last.Version, errDamaged)
	}
	st.roster = st.document.Roster()
	return st, nil
}

// Current is the roster in force, nil if there is none. It must not be changed. It takes no lock.
func (s *Service) Current() *roster.Roster { return s.now.Load().roster }

// Hash is the hash of the roster in force, "" if there is none.
func (s *Service) Hash() string { return s.now.Load().hash() }

// Anchor is the hash of version 1, "" if there is no roster.
func (s *Service) Anchor() string { return s.now.Load().anchor() }

// Document is the roster in force as its signed file, nil if there is none. It must not be changed.
func (s *Service) Document() []byte { return s.now.Load().raw }

// Chain gives the signed files of all versions from 1 on: what a newcomer needs besides the anchor.
func (s *Service) Chain() ([][]byte, error) {
	st := s.now.Load()
	chain := make([][]byte, len(st.versions))
	err := s.desk.Store.View(func(tx *store.Tx) (err error) {
		for i, v := range st.versions {
			if chain[i], err = tx.Blob(v.Blob); err != nil {
				return fmt.Errorf("version %d: %w", v.Version, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the chain of rosters: %w", err)
	}
	return chain, nil
}

// OnChange has f called after another roster came into force, on the goroutine of whoever installed it. It should return soon.
func (s *Service) OnChange(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onChange = append(s.onChange, f)
}

func (s *Service) changed() {
	s.mu.Lock()
	calls := slices.Clone(s.onChange)
	s.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// Installed tells what an installation came to.
type Installed struct {
	Name        string    `json:"name"` // the federation's
	Version     int       `json:"version"`
	Hash        string    `json:"hash"`
	Fingerprint string    `json:"fingerprint"` // of Hash, for comparing over the phone
	Anchor      string    `json:"anchor"`
	Members     int       `json:"members"`
	ValidUntil  time.Time `json:"valid_until"`
	Added       int       `json:"added"` // versions that were new; 0 if the roster was in force already
	Warnings    []string  `json:"warnings,omitempty"`
}

// Limits on one installation.
const (
	MaxDocuments = 64
	MaxBytes     = 32 << 20 // of all documents together
)

// Install brings a roster into force. documents are signed files in any order: the next version or several; a first installation needs
// all from version 1 on, and the anchor, which is the hash of version 1 ("sha256:…", or its fingerprint of 40 digits). What was
// installed before is skipped, so that repeating it changes nothing.
//
// A wrong anchor, a version with other content than the installed one, an older roster and one that the key holders of the version
// before did not sign are refused, and the refusal is audited. The error (desk.ErrInvalid or desk.ErrConflict) says what to do.
func (s *Service) Install(ctx context.Context, actor desk.Actor, key string, documents [][]byte, anchor string) (*Installed, error) {
	act := desk.Act{Actor: actor, Action: policy.RosterManage, Resource: policy.Resource{Type: policy.KindRoster}}
	// Who may not install is told so before anything expensive is done with the bytes.
	if _, err := desk.Do(ctx, s.desk, act, func(*store.Tx) (struct{}, error) { return struct{}{}, nil }); err != nil {
		return nil, err
	}
	docs, err := parse(documents)
	if err != nil {
		return nil, err
	}
	act.Key, act.Request = key, request(docs, anchor)
	in, changed, err := s.put(ctx, act, docs, anchor)
	if changed {
		s.changed()
	}
	return in, err
}

// put decides and records under the lock; callbacks run after it.
func (s *Service) put(ctx context.Context, act desk.Act, docs []document, anchor string) (in *Installed, changed bool, err error) {
	s.install.Lock()
	defer s.install.Unlock()
	// Signatures are checked here and not in the writer; the lock keeps the state until the commit.
	before := s.now.Load()
	fresh, refusal := plan(before, docs, anchor)
	refused := false
	in, err = desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Installed, error) {
		if refusal != nil {
			refused = true // not so for a repeated key, which gets its first result whatever is in force by now
			return nil, refusal
		}
		after, err := before.with(tx, act.Actor.Name, fresh)
		if err != nil {
			return nil, err
		}
		if len(fresh) > 0 {
			audit(tx, act.Actor.Name, after)
			tx.OnCommit(func() {
				s.now.Store(after)
				changed = true
			})
		}
		return s.describe(after, len(fresh), tx.Now()), nil
	})
	if refused {
		err = errors.Join(err, s.recordRefusal(ctx, act.Actor.Name, refusal))
	}
	return in, changed, err
}

// with stores further versions and gives the state that has them.
func (st *state) with(tx *store.Tx, by string, fresh []document) (*state, error) {
	if len(fresh) == 0 {
		return st, nil
	}
	after := &state{versions: slices.Clone(st.versions)}
	for _, d := range fresh {
		blob, err := tx.PutBlob(d.raw)
		if err != nil {
			return nil, fmt.Errorf("store roster version %d: %w", d.version, err)
		}
		v := version{Version: d.version, Hash: d.hash, Fingerprint: d.Fingerprint(), Blob: blob, Installed: tx.Now(), By: by}
		if err := versions.Insert(tx, versionID(d.version), &v); err != nil {
			return nil, fmt.Errorf("store roster version %d: %w", d.version, err)
		}
		after.versions = append(after.versions, v)
		after.document, after.raw = d.Document, d.raw
	}
	after.roster = after.document.Roster()
	return after, nil
}

func (s *Service) describe(st *state, added int, now time.Time) *Installed {
	r := st.roster
	return &Installed{
		Name: r.Name, Version: r.Version, Hash: st.hash(), Fingerprint: st.document.Fingerprint(), Anchor: st.anchor(),
		Members: len(r.Members), ValidUntil: r.ValidUntil, Added: added, Warnings: warnings(r, now, s.desk.Country, s.self),
	}
}

// Warnings says what is not as it should be with the roster in force and this node's place in it, a sentence each.
func (s *Service) Warnings(now time.Time) []string {
	r := s.Current()
	if r == nil {
		return []string{"no roster is installed: the node talks to nobody. Install one with its anchor."}
	}
	return warnings(r, now, s.desk.Country, s.self)
}

func audit(tx *store.Tx, actor string, after *state) {
	last := after.versions[len(after.versions)-1]
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit"},
		AuditBody: protocol.AuditBody{
			Actor: actor, Kind: policy.KindRoster, Object: last.Hash, Event: fmt.Sprintf("roster version %d installed", last.Version),
			Details: map[string]string{"federation": after.roster.Name, "anchor": after.anchor(), "members": fmt.Sprint(len(after.roster.Members))},
		},
	})
}

// recordRefusal leaves the audit entry of a roster that was refused; what is merely malformed leaves none.
func (s *Service) recordRefusal(ctx context.Context, actor string, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return nil
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Decision: "deny", Ground: r.ground},
			AuditBody: protocol.AuditBody{
				Actor: actor, Kind: policy.KindRoster, Object: r.hash, Event: fmt.Sprintf("roster version %d refused", r.version),
			},
		})
		return nil
	})
}
