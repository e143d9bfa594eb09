package accounting

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/node/release"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Trail answers who has ever received an exhibit or what came of it, and who asked for it.
type Trail struct {
	Ref       string            `json:"ref"` // as asked for
	Exhibit   string            `json:"exhibit,omitempty"`
	Number    string            `json:"number,omitempty"`
	Case      string            `json:"case,omitempty"`
	Parts     []ballistics.Part `json:"parts"`          // what was looked for in the log
	Countries []TrailCountry    `json:"countries"`      // in the order of their first contact with it
	People    []TrailPerson     `json:"people"`         // of this bureau, who saw or changed it
	Erased    []TrailErased     `json:"erased"`         // entries that may be about it: what they named was erased
	More      bool              `json:"more,omitempty"` // there are more entries than can be shown

	ErasedMore bool `json:"erased_more,omitempty"` // more entries are erased than were counted
}

// TrailCountry is what one country got of an exhibit and asked for.
type TrailCountry struct {
	Country string         `json:"country"`
	First   time.Time      `json:"first"`
	Last    time.Time      `json:"last"`
	Counts  map[string]int `json:"counts"` // by what happened, see TrailEvent.What
	Events  []TrailEvent   `json:"events"` // the oldest first
}

// TrailEvent is one entry of the log.
type TrailEvent struct {
	What string `json:"what"` // received, confirmed, asked, answered, refused, withdrawn or erased: what became of it, seen from the country; viewed, combined or handled here: what this bureau did that has to do with the country
	store.AuditRecord
}

// TrailPerson is what one person of this bureau, or the node, did with an exhibit.
type TrailPerson struct {
	Name    string    `json:"name"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Entries int       `json:"entries"`
}

// TrailErased counts entries with a country of which retention left the header alone.
type TrailErased struct {
	Country string `json:"country"`
	Action  string `json:"action"`
	Type    string `json:"type,omitempty"`
	First   string `json:"first"` // day
	Last    string `json:"last"`
	Entries int    `json:"entries"`
}

// Limits of a trail: what was exchanged about one exhibit is a few entries for each country.
const (
	maxTrail   = 20_000    // entries shown
	erasedLook = 2_000     // erased entries counted unasked: they get more with every year, and a question is to be answered at once
	maxErased  = 1_000_000 // erased entries counted at most
)

// Trail follows an exhibit or a signature, named by number or id, through the whole log, for a person who may query it. What the log alone still knows of is
// found under its id.
//
// Erased entries can be of anything; the newest look of them are counted (0: the usual 2,000), and ErasedMore says that there are more.
func (s *Service) Trail(ctx context.Context, who desk.Actor, ref string, look int) (*Trail, error) {
	if look <= 0 {
		look = erasedLook
	}
	act := desk.Act{Actor: who, Action: policy.AuditQuery, Resource: policy.Resource{Type: policy.KindAudit}}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindAudit, Event: "asked who received an exhibit", Details: map[string]string{"query": ref}}}
	t := &Trail{Ref: ref, Countries: []TrailCountry{}, People: []TrailPerson{}, Erased: []TrailErased{}}
	_, err := desk.Read(ctx, s.o.Desk, act, entry, func(tx *store.Tx) (struct{}, error) { return struct{}{}, t.gather(tx) })
	if err != nil {
		return nil, err
	}
	records, err := t.records(ctx, s.o.Desk.Store)
	if err != nil {
		return nil, err
	}
	t.sort(records, string(s.o.Desk.Country))
	return t, t.countErased(ctx, s.o.Desk.Store, records, min(look, maxErased))
}

// gather finds what the log may call the exhibit. What is no exhibit and no signature is looked for under the name that was given: records of it may be
// gone while the log still knows of it.
func (t *Trail) gather(tx *store.Tx) error {
	e, parts, err := ballistics.Parts(tx, t.Ref)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, desk.ErrNotFound) {
		parts, err = []ballistics.Part{{Kind: "object", ID: t.Ref}}, nil
	}
	if err != nil {
		return err
	}
	if e != nil {
		t.Exhibit, t.Number, t.Case = e.ID, e.Number, e.Case
	}
	for _, p := range parts {
		t.Parts = append(t.Parts, p)
		if p.Kind != policy.Signature {
			continue
		}
		ids, err := release.Asked(tx, p.ID)
		if err != nil {
			return err
		}
		for _, id := range ids {
			t.Parts = append(t.Parts, ballistics.Part{Kind: policy.Scan, ID: id})
		}
	}
	return nil
}

// records reads the entries of all parts, each once, the oldest first.
func (t *Trail) records(ctx context.Context, s *store.Store) ([]store.AuditRecord, error) {
	found := make(map[int64]store.AuditRecord)
	asked := map[string]bool{} // a pair is candidate and lead under one id
	for _, p := range t.Parts {
		if asked[p.ID] {
			continue
		}
		asked[p.ID] = true
		list, err := s.QueryAudit(ctx, store.AuditQuery{Object: p.ID, Limit: maxTrail - len(found) + 1})
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			found[r.Index] = r
		}
		if len(found) > maxTrail {
			t.More = true
			break
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b store.AuditRecord) int { return cmp.Compare(a.Index, b.Index) }), nil
}

// sort puts each entry to its country, and to the person of this bureau who made it.
func (t *Trail) sort(records []store.AuditRecord, own string) {
	countries, people := map[string]int{}, map[string]int{}
	for _, r := range records {
		if r.Actor != "" {
			at, known := people[r.Actor]
			if !known {
				at, people[r.Actor] = len(t.People), len(t.People)
				t.People = append(t.People, TrailPerson{Name: r.Actor, First: r.Time, Last: r.Time})
			}
			p := &t.People[at]
			p.First, p.Last, p.Entries = earlier(p.First, r.Time), later(p.Last, r.Time), p.Entries+1
		}
		if r.Counterpart == "" || r.Counterpart == own {
			continue
		}
		at, known := countries[r.Counterpart]
		if !known {
			at, countries[r.Counterpart] = len(t.Countries), len(t.Countries)
			t.Countries = append(t.Countries, TrailCountry{Country: r.Counterpart, First: r.Time, Last: r.Time, Counts: map[string]int{}})
		}
		c := &t.Countries[at]
		what := whatBecame(&r.AuditEntry)
		c.First, c.Last = earlier(c.First, r.Time), later(c.Last, r.Time)
		c.Counts[what]++
		c.Events = append(c.Events, TrailEvent{what, r})
	}
}

// whatBecame says in one word what an entry with a country means for it.
func whatBecame(e *protocol.AuditEntry) string {
	t := protocol.Type(e.Details["type"])
	if t == "" {
		t = protocol.Type(e.Kind)
	}
	switch {
	case e.Action == protocol.ActDeny:
		return "refused"
	case e.Action == protocol.ActErase:
		return "erased"
	case t == protocol.TypeWithdrawal, t == protocol.TypeWithdrawalConfirmation, strings.HasPrefix(e.Event, "withdrawal"):
		return "withdrawn"
	case e.Action == protocol.ActDisclose && e.Ground == "receipt":
		return "confirmed"
	case e.Action == protocol.ActDisclose:
		return "received"
	case e.Action == protocol.ActReceive && (t == protocol.TypeScanRequest || t == protocol.TypeTraceRequest):
		return "asked"
	case e.Action == protocol.ActReceive:
		return "answered"
	case e.Action == protocol.ActConsult:
		return "viewed here"
	case e.Action == protocol.ActCombine:
		return "combined here"
	}
	return "handled here"
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// countErased counts, since the first entry about the exhibit, the entries with other countries whose bodies are gone: the log can prove them and no
// longer say what they were about.
func (t *Trail) countErased(ctx context.Context, s *store.Store, records []store.AuditRecord, look int) error {
	q := store.AuditQuery{Erased: true, Limit: look, Look: min(look, erasedLook)}
	if len(records) > 0 {
		q.Since = records[0].Time.UTC().Truncate(24 * time.Hour)
	}
	seen := map[[3]string]*TrailErased{}
	for looked := 0; ; {
		page, err := s.FindAudit(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if r.Counterpart == "" {
				continue
			}
			key := [3]string{r.Counterpart, string(r.Action), r.Type}
			e := seen[key]
			if e == nil {
				e = &TrailErased{Country: r.Counterpart, Action: string(r.Action), Type: r.Type, First: r.Day, Last: r.Day}
				seen[key] = e
			}
			e.First, e.Last, e.Entries = min(e.First, r.Day), max(e.Last, r.Day), e.Entries+1
		}
		looked += page.Looked
		if q.Before = page.Next; q.Before == 0 {
			break
		}
		if looked >= look {
			t.ErasedMore = true
			break
		}
	}
	for _, e := range seen {
		t.Erased = append(t.Erased, *e)
	}
	slices.SortFunc(t.Erased, func(a, b TrailErased) int {
		return cmp.Or(cmp.Compare(a.Country, b.Country), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Type, b.Type))
	})
	return nil
}
