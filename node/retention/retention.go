// Package retention owns the end of this country's own records: when each is due, that a person keeps it longer or has it purged and why, the way of a
// purge (people, withdrawal of what was published, confirmations, erasure) and the proof of it. What a record is made of, its workflow knows; copies of
// other countries' documents end by their terms, elsewhere.
package retention

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Record is an own record as its workflow describes it.
type Record struct {
	Kind      string    `json:"kind"` // case, firearm, trace
	Rule      string    `json:"rule"` // which period holds: the kind, or a narrower word
	ID        string    `json:"id"`
	Reference string    `json:"reference"` // what people call it
	Changed   time.Time `json:"changed"`   // when something last happened to it: the retention counts from here
	Last      string    `json:"last"`      // what that was, in words: "an exhibit was scanned"
}

// Plan is everything that a record consists of, for its purge.
type Plan struct {
	Documents []string // own documents, which are withdrawn first
	Objects   []string // ids and references under which the audit log knows it
	Cases     []string // case references of whose entries the same holds
	Blocked   []string // why it cannot be purged now, in sentences
}

// Keeper is a workflow that keeps own records.
type Keeper interface {
	// Kinds of the records that it keeps.
	Kinds() []string
	// Kept calls each with every record, until each says no.
	Kept(tx *store.Tx, each func(Record) bool) error
	// Find finds a record of a kind by its id or reference; desk.ErrNotFound where there is none.
	Find(tx *store.Tx, kind, ref string) (Record, error)
	// Plan says what a purge would take.
	Plan(tx *store.Tx, r Record) (Plan, error)
	// Erase erases the record with all that was made of it here, but for its documents, which are erased by whoever calls it.
	Erase(tx *store.Tx, r Record) error
}

// Periods say for each rule how long a record is kept after it last changed.
type Periods map[string]time.Duration

const year = 365 * 24 * time.Hour

// DefaultPeriods: records of manufacture and sale 30 years, other firearm records and traces 20 (as the International Tracing Instrument and ISACS 05.31
// have it); cases 10 years, which is this program's own choice.
func DefaultPeriods() Periods {
	return Periods{"case": 10 * year, "firearm": 20 * year, "registered": 30 * year, "trace": 20 * year}
}

// State of a purge.
type State string

// The states of a purge.
const (
	Proposed    State = "proposed"              // a second person is to approve it
	Withdrawing State = "waiting for holders"   // its documents are withdrawn; not every holder has confirmed
	Erasing     State = "erasing"               // its records are erased, entries of the log are being
	Purged      State = "purged"                //
	kept        State = "kept longer by review" // no purge at all
)

// Review is what people decided about a record, and how far a purge is. Its id is kind/id of the record; of a purged one nothing else names the record.
type Review struct {
	ID        string      `json:"id"`
	Kind      string      `json:"kind"`
	Reference string      `json:"reference,omitempty"` // gone once it is purged
	State     State       `json:"state"`
	KeepUntil time.Time   `json:"keep_until,omitzero"`
	Reason    string      `json:"reason"`
	By        string      `json:"by"`
	At        time.Time   `json:"at"`
	Second    string      `json:"second,omitempty"`
	Documents []string    `json:"documents,omitempty"` // withdrawn for it
	Waits     []string    `json:"waits_for,omitempty"` // what is not confirmed, in words
	Purged    *Purge      `json:"purged,omitempty"`
	Earlier   []KeptUntil `json:"earlier,omitempty"`

	// Objects and Cases are what the log knows the record by; kept only while its entries are being erased.
	Objects []string `json:"objects,omitempty"`
	Cases   []string `json:"cases,omitempty"`
}

// KeptUntil is an earlier decision to keep a record.
type KeptUntil struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Purge is what an erasure took, and where the log has it.
type Purge struct {
	At        time.Time `json:"at"`
	Documents int       `json:"documents"`
	Bodies    []int64   `json:"bodies"` // audit entries whose bodies were erased; their headers and proofs stay
}

var reviews = store.NewCollection("retention-review",
	store.Index[Review]{Name: "state", Keys: func(r *Review) []string { return []string{string(r.State)} }})

// Options assemble a Service.
type Options struct {
	Desk     *desk.Desk
	Dispatch *dispatch.Dispatch
	Periods  Periods
	Keepers  []Keeper

	// Prove makes the bundle that proves an entry of the audit log to others (accounting).
	Prove func(ctx context.Context, index int64) ([]byte, error)
}

// Service decides about own records.
type Service struct {
	desk    *desk.Desk
	out     *dispatch.Dispatch
	keepers []Keeper
	periods Periods
	log     *slog.Logger
	wake    chan struct{}
	prove   func(ctx context.Context, index int64) ([]byte, error)
	counted counted
}

// New returns the service for the records of some workflows.
func New(o Options) *Service {
	return &Service{desk: o.Desk, out: o.Dispatch, keepers: o.Keepers, periods: o.Periods, prove: o.Prove, log: o.Desk.Log, wake: make(chan struct{}, 1)}
}

func id(r Record) string { return r.Kind + "/" + r.ID }

// find finds a record by kind/id, kind/reference, or a reference that only one kind has.
func (s *Service) find(tx *store.Tx, ref string) (Record, Keeper, error) {
	kind, rest, named := strings.Cut(ref, "/")
	var found []Record
	var by []Keeper
	for _, k := range s.keepers {
		for _, of := range k.Kinds() {
			what := ref
			if named && kind == of {
				what = rest
			}
			r, err := k.Find(tx, of, what)
			if errors.Is(err, desk.ErrNotFound) || errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return Record{}, nil, err
			}
			found, by = append(found, r), append(by, k)
		}
	}
	switch len(found) {
	case 0:
		return Record{}, nil, desk.NotFound("there is no own record %.80q: `proofmark retention due --within 36500d` lists them all", ref)
	case 1:
		return found[0], by[0], nil
	}
	return Record{}, nil, desk.Invalid("%.80q names %d records: write its kind before it, such as %s/%s", ref, len(found), found[0].Kind, found[0].Reference)
}

// describe names a record by its id, which says nothing once it is purged: entries about its retention stay.
func (s *Service) describe(ref string) func(tx *store.Tx) (policy.Resource, error) {
	return func(tx *store.Tx) (policy.Resource, error) {
		res := policy.Resource{Type: policy.KindRetention}
		r, _, err := s.find(tx, ref)
		switch {
		case errors.Is(err, desk.ErrNotFound):
			if v, gone := reviews.Get(tx, ref); gone == nil && v.Purged != nil { // it was there, and the act itself says what became of it
				res.ID = ref
				return res, nil
			}
			return res, err
		case err != nil:
			return res, err
		}
		res.ID = id(r)
		return res, nil
	}
}

// maxReason bounds what people say, in bytes.
const maxReason = 4 << 10

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return desk.Invalid("say why (--reason), in at most %d bytes", maxReason)
	}
	return nil
}

// Keep has a record kept until a day, whatever its period says.
func (s *Service) Keep(ctx context.Context, who desk.Actor, key, ref string, until time.Time, reason string) (*Review, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.RetentionReview, Resource: policy.Resource{Type: policy.KindRetention, ID: short(ref)}, Request: []any{ref, until, reason}, Describe: s.describe(ref)}
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Review, error) {
		r, _, err := s.find(tx, ref)
		if err != nil {
			return nil, err
		}
		if !until.After(tx.Now()) {
			return nil, desk.Invalid("%s is past: a record is kept until a day to come, or purged", until.Format(time.DateOnly))
		}
		v, err := reviews.Get(tx, id(r))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && v.State != kept && v.State != Proposed {
			return nil, desk.Conflict("%s %s is being purged (%s)", r.Kind, r.Reference, v.State)
		}
		n := &Review{ID: id(r), Kind: r.Kind, Reference: r.Reference, State: kept, KeepUntil: until.UTC(), Reason: reason, By: who.Name, At: tx.Now()}
		if err == nil {
			n.Earlier = v.Earlier
			if !v.KeepUntil.IsZero() {
				n.Earlier = append(n.Earlier, KeptUntil{v.KeepUntil, v.Reason, v.By, v.At})
			}
		}
		if err == nil && v.State == Proposed {
			tx.Audit(s.entry(n, protocol.ActAlter, who, "proposal to purge of "+v.By+" ended: it is kept"))
		}
		tx.Audit(s.entry(n, protocol.ActAlter, who, "kept until "+until.UTC().Format(time.DateOnly)+": "+reason))
		tx.OnCommit(s.decided)
		return n, reviews.Put(tx, n.ID, n)
	})
}

func (s *Service) entry(v *Review, action protocol.AuditAction, who desk.Actor, event string) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: action, Decision: "permit", Ground: "retention"},
		AuditBody:   protocol.AuditBody{Actor: who.Name, Kind: policy.KindRetention, Object: v.ID, Event: event, PolicyVer: s.desk.Policy().Version()},
	}
}

func short(s string) string { return s[:min(len(s), 60)] }
