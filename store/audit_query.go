package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/protocol"
)

// AuditQuery selects audit entries. An empty field selects all; several narrow each other down.
type AuditQuery struct {
	Actor, Action, Counterpart, Decision, Ground, Kind, Case, Purpose string

	Policy   string    // id of a deciding policy
	Handling string    // a handling code in force
	Object   string    // the entry's object or one of its documents
	Text     string    // found in event, purpose, ground, justification or details, in any case
	Since    time.Time // at or after
	Until    time.Time // before
	Erased   bool      // only entries whose body was erased
	Limit    int       // 0 = 100
	Before   int64     // entries with a smaller index only, for the next page; 0 = from the newest
	Look     int       // entries to look at before giving up; 0 = auditLook
}

// What one page of a query looks at, so that it stays short: what no index narrows down is read from the end of the log, and indexes that have little in
// common are gone through for long.
const (
	auditLook  = 2048    // entries
	auditMoves = 1 << 14 // steps in indexes, a few microseconds each
)

// AuditRecord is an entry with its place in the log. Of an erased one only the header is left.
type AuditRecord struct {
	Index  int64 `json:"index"`
	Erased bool  `json:"erased,omitempty"`
	protocol.AuditEntry
	protocol.Said
}

// Marks implements protocol.Marked: the log is told the codes without their owners.
func (r *AuditRecord) Marks() (protocol.Handling, []string) {
	return protocol.MarkedBy("", r.Handling...), append(slices.Clone(r.Documents), r.Object)
}

// AuditPage is what one look into the log found, newest first.
type AuditPage struct {
	Records []AuditRecord
	Looked  int   // entries that were read
	Next    int64 // the query goes on with Before = Next; 0 if nothing older can fit
}

// FindAudit looks for the newest entries that a query selects, until Limit are found or Look were read. What the query names is intersected from
// indexes: entries by object and case, blocks of entries by everything else, with which of their entries it is; of times only the block is known, and a text is
// searched by reading. The entries of an act show once it is committed.
func (s *Store) FindAudit(ctx context.Context, q AuditQuery) (AuditPage, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	if q.Look <= 0 {
		q.Look = auditLook
	}
	var page AuditPage
	err := s.View(func(tx *Tx) error {
		way, err := tx.narrow(&q)
		if err != nil {
			return err
		}
		before := way.size
		if q.Before > 0 {
			before = min(before, q.Before)
		}
		return way.find(ctx, before, &page)
	})
	if err != nil {
		return AuditPage{}, fmt.Errorf("query audit log: %w", err)
	}
	return page, nil
}

// QueryAudit is FindAudit to the end of the log, however far that is, until Limit entries are found.
func (s *Store) QueryAudit(ctx context.Context, q AuditQuery) ([]AuditRecord, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	var out []AuditRecord
	for {
		page, err := s.FindAudit(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Records...)
		if q.Before, q.Limit = page.Next, q.Limit-len(page.Records); page.Next == 0 || q.Limit <= 0 {
			return out, nil
		}
	}
}

func (n *narrowing) find(ctx context.Context, before int64, page *AuditPage) error {
	leaves := leafReader{tx: n.tx, last: -2}
	for at := before - 1; at >= 0; at-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		var settled bool
		var err error
		if at, settled, err = n.agree(at, auditMoves); err != nil || at < 0 {
			return err
		}
		if !settled || page.Looked == n.q.Look || len(page.Records) == n.q.Limit {
			page.Next = at + 1
			return nil
		}
		page.Looked++
		r, err := leaves.record(at)
		if err != nil {
			return err
		}
		if n.q.selects(&r) {
			page.Records = append(page.Records, r)
		}
	}
	return nil
}

func (tx *Tx) auditRecord(index int64) (AuditRecord, error) {
	stored, err := tx.get(spaceLeaf + number(uint64(index)))
	if err != nil {
		return AuditRecord{}, fmt.Errorf("audit entry %d: %w", index, err)
	}
	return recordOf(index, stored)
}

func (q *AuditQuery) selects(r *AuditRecord) bool {
	at := r.Time
	if r.Erased {
		at, _ = time.Parse(time.DateOnly, r.Day) // all that is left
	}
	same := func(want, got string) bool { return want == "" || want == got }
	return (!q.Erased || r.Erased) && same(q.Actor, r.Actor) && same(q.Action, string(r.Action)) && same(q.Counterpart, r.Counterpart) && same(q.Ground, r.Ground) &&
		same(q.Decision, r.Decision) && same(q.Kind, r.Kind) && same(q.Case, r.Case) && same(q.Purpose, r.Purpose) &&
		(q.Object == "" || q.Object == r.Object || slices.Contains(r.Documents, q.Object)) &&
		(q.Handling == "" || slices.Contains(r.Handling, q.Handling)) &&
		(q.Policy == "" || slices.ContainsFunc(r.Policies, func(p string) bool { return p == q.Policy || policyID(p) == policyID(q.Policy) })) &&
		(q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until)) &&
		(q.Text == "" || q.mentions(r))
}

func (q *AuditQuery) mentions(r *AuditRecord) bool {
	text := strings.ToLower(q.Text)
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if in(r.Event) || in(r.Purpose) || in(r.Ground) || in(r.Justification) {
		return true
	}
	for key, value := range r.Details {
		if in(key) || in(value) {
			return true
		}
	}
	return false
}
