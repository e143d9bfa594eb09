package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"proofmark/node/agenda"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Item is a record with its retention.
type Item struct {
	Record
	Due     time.Time `json:"due"`
	Because string    `json:"because"`          // where Due comes from, in words
	Review  *Review   `json:"review,omitempty"` // what people decided
}

// Page chooses a part of a list.
type Page struct {
	Within time.Duration // also what is due within this time
	Limit  int           // at most so many; UsualPage if it is not between 1 and MaxPage
	After  string        // Next of the page before; empty for the first
}

// Sizes of a page.
const (
	UsualPage = 100
	MaxPage   = 10_000
)

// List is a page of records, the longest overdue first.
type List struct {
	Items []Item `json:"items"`
	Total int    `json:"total"`          // on all pages together
	Next  string `json:"next,omitempty"` // names the page after this one; empty on the last
}

// Due lists the records whose retention ends until a time, the longest overdue first, and the purges under way. All records are gone through for each page;
// what is held in memory is bounded by the page and the number of decisions.
func (s *Service) Due(ctx context.Context, who desk.Actor, p Page) (*List, error) {
	if p.Limit < 1 || p.Limit > MaxPage {
		p.Limit = UsualPage
	}
	after, err := parsePlace(p.After)
	if err != nil {
		return nil, err
	}
	act := desk.Act{Actor: who, Action: policy.RetentionReview, Resource: policy.Resource{Type: policy.KindRetention}}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindRetention, Event: "own records due listed"}}
	return desk.Read(ctx, s.desk, act, entry, func(tx *store.Tx) (*List, error) {
		until := tx.Now().Add(max(0, p.Within))
		first := first{keep: p.Limit}
		out := &List{}
		err := s.each(ctx, tx, func(i Item) {
			if i.Due.After(until) && (i.Review == nil || i.Review.State == kept) {
				return
			}
			out.Total++
			if at := placeOf(i); p.After == "" || after.compare(at) < 0 {
				first.add(at, i)
			}
		})
		if err != nil {
			return nil, err
		}
		more := false
		if out.Items, more = first.end(); more {
			out.Next = placeOf(out.Items[len(out.Items)-1]).String()
		}
		return out, nil
	})
}

// each calls fn with every own record.
func (s *Service) each(ctx context.Context, tx *store.Tx, fn func(Item)) error {
	reviewed := map[string]bool{} // few of many: the others are not looked up
	for state, id := range reviews.Entries(tx, "state") {
		if state != string(Purged) {
			reviewed[id] = true
		}
	}
	var fault error
	for _, k := range s.keepers {
		if err := k.Kept(tx, func(r Record) bool {
			item, err := s.item(tx, r, reviewed[id(r)])
			if fault = errors.Join(err, ctx.Err()); fault != nil {
				return false
			}
			fn(item)
			return true
		}); err != nil || fault != nil {
			return errors.Join(err, fault)
		}
	}
	return tx.Err()
}

// item says when a record is due, by what people decided about it where they did.
func (s *Service) item(tx *store.Tx, r Record, reviewed bool) (Item, error) {
	period := s.periods[r.Rule]
	i := Item{Record: r, Due: r.Changed.Add(period)}
	i.Because = fmt.Sprintf("%s after %s on %s", days(period), r.Last, r.Changed.UTC().Format(time.DateOnly))
	if !reviewed {
		return i, nil
	}
	review, err := reviews.Get(tx, id(r))
	if err != nil {
		return i, err
	}
	i.Review = review
	if review.KeepUntil.After(i.Due) || !review.KeepUntil.IsZero() && review.At.After(r.Changed) {
		i.Due, i.Because = review.KeepUntil, "kept until then by review of "+review.By+": "+review.Reason
	}
	return i, nil
}

// days writes a period; whole years of 365 days as such.
func days(period time.Duration) string {
	n := int(period.Hours() / 24)
	if n >= 730 && n%365 == 0 {
		return fmt.Sprintf("%d years", n/365)
	}
	return fmt.Sprintf("%d days", n)
}

// place is where a record stands in the list.
type place struct {
	due time.Time
	id  string
}

func placeOf(i Item) place { return place{i.Due, id(i.Record)} }

func (a place) compare(b place) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.id, b.id)) }

const placeTime = "2006-01-02T15:04:05.999999999Z"

func (a place) String() string { return a.due.UTC().Format(placeTime) + "," + a.id }

func parsePlace(text string) (p place, err error) {
	if text == "" {
		return p, nil
	}
	due, rest, ok := strings.Cut(text, ",")
	if p.due, err = time.Parse(placeTime, due); err != nil || !ok || len(rest) > 200 {
		return p, desk.Invalid("%.60q is no place in the list: begin without one, or use what the page before named", text)
	}
	p.id = rest
	return p, nil
}

// first keeps the first few of a list of any length, in order; never more than twice as many are held.
type first struct {
	keep int
	held []placed
	more bool // others come after them
}

type placed struct {
	at place
	Item
}

func (f *first) add(at place, i Item) {
	if f.more && at.compare(f.held[f.keep-1].at) > 0 {
		return
	}
	if f.held = append(f.held, placed{at, i}); len(f.held) > 2*f.keep {
		f.cut()
	}
}

func (f *first) cut() {
	slices.SortFunc(f.held, func(a, b placed) int { return a.at.compare(b.at) })
	if len(f.held) > f.keep {
		clear(f.held[f.keep:])
		f.held, f.more = f.held[:f.keep], true
	}
}

func (f *first) end() (items []Item, more bool) {
	f.cut()
	items = make([]Item, len(f.held))
	for i, h := range f.held {
		items[i] = h.Item
	}
	return items, f.more
}

// counted is what the last count of all records found: counting reads each one, and is not done whenever somebody asks.
type counted struct {
	mu    sync.Mutex
	kept  agenda.Kept
	stale bool // people decided something since
}

// recount is how often all records are counted while nobody decides anything.
const recount = time.Hour

// count counts what is due, where that was long ago.
func (s *Service) count(ctx context.Context) error {
	s.counted.mu.Lock()
	at, stale := s.counted.kept.Looked, s.counted.stale
	s.counted.stale = false
	s.counted.mu.Unlock()
	return s.desk.Store.View(func(tx *store.Tx) error {
		now := tx.Now()
		if !stale && !at.IsZero() && now.Sub(at) < recount && !now.Before(at) {
			return nil
		}
		k := agenda.Kept{Looked: now}
		if err := s.each(ctx, tx, func(i Item) {
			switch {
			case i.Review != nil && i.Review.State != kept: // decided
			case !i.Due.After(now):
				k.Due++
			case !i.Due.After(now.Add(agenda.DueSoon)):
				k.Soon++
			}
		}); err != nil {
			return err
		}
		s.counted.mu.Lock()
		defer s.counted.mu.Unlock()
		s.counted.kept = k
		return nil
	})
}

// decided makes the next count soon, after a commit that changes what is due.
func (s *Service) decided() {
	s.counted.mu.Lock()
	defer s.counted.mu.Unlock()
	s.counted.stale = true
}

// Figures says how own records and purges stand. What is due was counted within the last hour, or since people last decided something.
func (s *Service) Figures(tx *store.Tx) (agenda.Kept, error) {
	s.counted.mu.Lock()
	k := s.counted.kept
	s.counted.mu.Unlock()
	for _, state := range []State{Proposed, Withdrawing, Erasing} {
		for _, v := range reviews.By(tx, "state", string(state)) {
			if state == Proposed {
				k.Proposed++
				continue
			}
			if k.Waiting++; k.Since.IsZero() || v.At.Before(k.Since) {
				k.Since = v.At
			}
		}
	}
	return k, tx.Err()
}
