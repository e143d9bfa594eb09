package dispatch

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Errors that the network decides on.
var (
	// ErrGap: the batch does not start where this node is; the receipt returned with it tells where to resume.
	ErrGap = errors.New("batch does not continue the channel")
	// ErrFork: a message with a known number has other content: the sender rewrote what it had sent.
	ErrFork = errors.New("channel forked: a message was rewritten after it was sent")
	// ErrNotMember: the country is not an active member of the roster in force.
	ErrNotMember = errors.New("not an active member of the roster")
	// ErrForged: a signature, an audience or a hash is not what it must be.
	ErrForged = errors.New("verification failed")
	// ErrClock: a batch says that it was sent in the future.
	ErrClock = errors.New("the clocks of the two nodes differ")
	// ErrFalseReceipt: a receipt acknowledges what was never sent, or another content.
	ErrFalseReceipt = store.ErrReceipt
)

// Options assemble a Dispatch.
type Options struct {
	Country protocol.Country
	Store   *store.Store
	Signer  *crypto.Signer
	Signing func() *crypto.Signer // the key in use, where that changes; nil: always Signer
	Policy  func() *policy.Engine
	Roster  func() *roster.Roster // nil while none is installed

	// Operations are the regional operations that run now with a country and this one in them; nil: there are none.
	Operations func(tx *store.Tx, with protocol.Country) ([]policy.Operation, error)

	Now    func() time.Time
	Random io.Reader
	Log    *slog.Logger
	// ApprovalTime is how long a document waits for two people's approval; 0: ApprovalDays.
	ApprovalTime time.Duration
	OnQueued     func(peer protocol.Country, ch protocol.Channel) // after a commit that queued something
}

// Dispatch issues, sends and receives documents for one country.
type Dispatch struct {
	Options
	handlers map[protocol.Type]Handler
	erasers  map[protocol.Type][]Eraser
	clock    clockWatch
	erased   atomic.Int64 // documents, since the start

	permissions Permissions
	court       CourtPermissions

	bundleRoom int // bytes of batches in one bundle
	quota      quota
	refusals   refusals
	givers     givers
	keys       atomic.Pointer[rosterKeys]
	flows      flows
	receipts   sync.Mutex // orders the signing of receipts, so that none overtakes a newer one
}

// Handler applies an incoming document of one type within the receiving transaction. It runs on the store's single writer and must be
// quick. An error, or a panic, undoes what it wrote and keeps the document as refused, with the error's text as the reason; the channel goes on.
// Only a fault of the store holds the channel. A handler is called again for a document that it knows when more of it is disclosed or its terms
// change: the document then holds everything disclosed so far.
type Handler func(tx *store.Tx, in Received) error

// Received is a verified document from another country, accepted by policy, with the terms under which this country holds it.
type Received struct {
	From     protocol.Country
	Document *protocol.Document
	Terms    protocol.Terms
}

// Withheld names the fields of the body that the sender's policy withholds from this country, whether the document has them or not, sorted.
func (r Received) Withheld() []string {
	var out []string
	for i, value := range r.Document.Pick(r.Terms.Withheld...) {
		if value == nil { // whatever a sender says: what it told it did not withhold
			out = append(out, r.Terms.Withheld[i])
		}
	}
	return out
}

// New returns a Dispatch without handlers.
func New(o Options) *Dispatch {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Dispatch{Options: o, handlers: map[protocol.Type]Handler{}, erasers: map[protocol.Type][]Eraser{}, bundleRoom: usualBundleRoom, quota: usualQuota}
}

// Handle registers the handler of a document type; it is called while the node is assembled, before anything is received.
func (d *Dispatch) Handle(t protocol.Type, h Handler) { d.handlers[t] = h }

// HandleEnding registers what a workflow does when a document of a type ends, beside what others do; it is called while the node is assembled.
func (d *Dispatch) HandleEnding(t protocol.Type, e Eraser) { d.erasers[t] = append(d.erasers[t], e) }

// members lists the active members other than this country, in the roster's order.
func (d *Dispatch) members(now time.Time) []protocol.Country {
	r := d.Roster()
	if r == nil {
		return nil
	}
	var out []protocol.Country
	for _, m := range r.Active(now) {
		if m.Country != string(d.Country) {
			out = append(out, protocol.Country(m.Country))
		}
	}
	return out
}

// keysOf returns the signing keys under which documents, batches and receipts of an active member verify.
func (d *Dispatch) keysOf(c protocol.Country, now time.Time) (crypto.KeySet, error) {
	var none crypto.KeySet
	r := d.Roster()
	if r == nil {
		return none, fmt.Errorf("%s: %w: no roster is installed", c, ErrNotMember)
	}
	m, ok := r.ByCountry(string(c))
	if !ok || !m.Active(now) {
		return none, fmt.Errorf("%s: %w", c, ErrNotMember)
	}
	known := d.keys.Load()
	if known == nil || known.of != r {
		known = &rosterKeys{of: r}
		d.keys.Store(known)
	}
	if set, ok := known.sets.Load(c); ok {
		return set.(crypto.KeySet), nil
	}
	set, err := m.KeySet()
	if err == nil {
		known.sets.Store(c, set)
	}
	return set, err
}

// rosterKeys are the members' keys in one roster, read once: to check that a key is sound takes longer than to verify a signature with it.
type rosterKeys struct {
	of   *roster.Roster
	sets sync.Map // protocol.Country → crypto.KeySet
}

func (d *Dispatch) signer() *crypto.Signer {
	if d.Signing != nil {
		return d.Signing()
	}
	return d.Signer
}

// inUse refuses what a member signed with a key after that key's end.
func (d *Dispatch) inUse(c protocol.Country, kid string, at time.Time) error {
	r := d.Roster()
	if r == nil {
		return nil
	}
	if m, ok := r.ByCountry(string(c)); ok && m.Ended(kid, at) {
		return fmt.Errorf("%w: signed on %s with key %.64s of %s, which had ended", ErrForged, at.Format(time.DateOnly), kid, c)
	}
	return nil
}

// isMember tells whether a country is an active member other than this one.
func (d *Dispatch) isMember(c protocol.Country, now time.Time) bool {
	r := d.Roster()
	if r == nil || c == d.Country {
		return false
	}
	m, ok := r.ByCountry(string(c))
	return ok && m.Active(now)
}
