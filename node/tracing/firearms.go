package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const (
	maxHits     = 100   // hits that a search shows
	maxExamined = 1_000 // records that a search compares: one that reaches more says too little to be useful
	pageSize    = 100
	maxPage     = 1_000
)

// SearchQuery says which firearm is sought. A search goes by the serial number; the rest ranks and remarks.
type SearchQuery struct {
	protocol.FirearmDescription
	Case   string `json:"case,omitempty"`   // of the investigation that asks
	Reason string `json:"reason,omitempty"` // justification, for the log
}

// SearchHit is a record that the ladder reached. It is a proposal: a person decides whether it is the firearm.
type SearchHit struct {
	Firearm *Firearm `json:"firearm"`
	Rung    Rung     `json:"rung"`
	Why     string   `json:"why"`
	Remarks []string `json:"remarks,omitempty"` // what speaks for caution
}

// AddFirearm records a firearm. The same content under the same national reference again changes nothing; other content is ErrConflict.
func (s *Service) AddFirearm(ctx context.Context, who desk.Actor, key string, f NewFirearm) (*Firearm, error) {
	f.trim()
	act := desk.Act{Actor: who, Key: key, Action: policy.FirearmAdd, Purpose: Purpose, Request: f,
		Resource: policy.Resource{Type: policy.KindFirearm, ID: f.Reference, Attributes: known("calibre", f.Calibre)}}
	s.importing.RLock()
	defer s.importing.RUnlock()
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Firearm, error) {
		if err := f.Check(tx.Now()); err != nil {
			return nil, desk.Invalid("firearm %s: %v. Nothing was stored.", shorten(f.Reference), err)
		}
		same, err := recorded(tx, f)
		if err != nil || same != nil {
			return same, err
		}
		rec, err := insert(tx, f, who.Name, "")
		if err != nil {
			return nil, err
		}
		tx.Audit(entry(protocol.ActCollect, who.Name, policy.KindFirearm, rec.ID, f.Case, "firearm recorded", "reference", f.Reference, "status", f.Status))
		return rec, nil
	})
}

// recorded returns the record that has this reference and content, nil if the reference is free, ErrConflict if it has other content.
func recorded(tx *store.Tx, f NewFirearm) (*Firearm, error) {
	old, err := byReference(tx, f.Reference)
	if err != nil || old == nil {
		return nil, err
	}
	before, err := old.digest()
	if err != nil {
		return nil, err
	}
	f.complete()
	after, err := f.digest()
	if err != nil {
		return nil, err
	}
	if before != after {
		return nil, desk.Conflict("national reference %s is on record already with other content (since %s, by %s): look at it with `proofmark firearm show`, and give a new firearm a reference of its own",
			f.Reference, old.Created.Format("2006-01-02"), old.By)
	}
	return old, nil
}

func insert(tx *store.Tx, f NewFirearm, by, imported string) (*Firearm, error) {
	id, err := protocol.NewID(tx.Now(), tx.Random())
	if err != nil {
		return nil, err
	}
	f.complete()
	if f.Recovery != nil {
		f.Recovery.Entered = tx.Now() // complete has made it a copy
	}
	rec := &Firearm{ID: id, NewFirearm: f, Created: tx.Now(), By: by, Import: imported}
	if err := rec.describe(); err != nil {
		return nil, err
	}
	return rec, firearms.Insert(tx, id, rec)
}

// SearchFirearms climbs the search ladder over this country's own records, the surest find first. The search is in the log before anything
// is read, so one that finds nothing is there too.
func (s *Service) SearchFirearms(ctx context.Context, who desk.Actor, q SearchQuery) ([]SearchHit, error) {
	act := desk.Act{Actor: who, Action: policy.FirearmSearch, Purpose: Purpose,
		Resource: policy.Resource{Type: policy.KindFirearm, Attributes: known("calibre", q.Calibre)}}
	e := entry(protocol.ActConsult, who.Name, policy.KindFirearm, "", shorten(q.Case), "firearm search", "serial", shorten(q.Serial), "make", shorten(cmp.Or(q.Make, q.Manufacturer)),
		"reason", shorten(q.Reason))
	return desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) ([]SearchHit, error) {
		serial, err := ParseSerial(q.Serial, q.SerialState)
		if err != nil {
			return nil, desk.Invalid("serial: %v", err)
		}
		if serial.Canonical == "" {
			return nil, desk.Invalid("a search needs a serial number, with ? for each unreadable character; without one, list the records by make and calibre")
		}
		if len(probes(serial.Folded)) == 0 {
			return nil, desk.Invalid("%s has too few readable characters: a search needs at least %d in a row", serial.Canonical, minReadableRun)
		}
		hits, all, err := search(tx, q.FirearmDescription, maxHits, maxExamined)
		if err == nil && !all {
			return nil, desk.Invalid("more than %d records agree with the readable characters of %s: give more of them", maxExamined, serial.Canonical)
		}
		return hits, err
	})
}

// search climbs the ladder over at most examine records and returns at most limit hits, the surest first, and whether every record that could
// be reached was compared.
func search(tx *store.Tx, sought protocol.FirearmDescription, limit, examine int) (hits []SearchHit, all bool, err error) {
	hits, all = []SearchHit{}, true
	seen := map[string]bool{}
probing:
	for _, p := range probes(Fold(Canonical(sought.Serial))) {
		for id, f := range firearms.By(tx, p.index, p.value) {
			if seen[id] {
				continue
			}
			if len(seen) == examine {
				all = false
				break probing
			}
			seen[id] = true
			if rung, why := climb(sought, f.FirearmDescription); rung > 0 {
				hits = append(hits, SearchHit{Firearm: f, Rung: rung, Why: why, Remarks: remarks(sought, f.FirearmDescription)})
			}
		}
	}
	slices.SortStableFunc(hits, func(a, b SearchHit) int {
		return cmp.Or(cmp.Compare(a.Rung, b.Rung), cmp.Compare(len(a.Remarks), len(b.Remarks)), cmp.Compare(a.Firearm.Reference, b.Firearm.Reference))
	})
	return hits[:min(limit, len(hits))], all, tx.Err()
}

// Firearm shows one record, by its national reference or id.
func (s *Service) Firearm(ctx context.Context, who desk.Actor, ref string) (*Firearm, error) {
	act := desk.Act{Actor: who, Action: policy.FirearmSearch, Purpose: Purpose, Resource: policy.Resource{Type: policy.KindFirearm, ID: shorten(ref)}}
	e := entry(protocol.ActConsult, who.Name, policy.KindFirearm, shorten(ref), "", "firearm viewed")
	return desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) (*Firearm, error) { return Lookup(tx, ref) })
}

// FirearmFilter narrows a list of firearms; an empty field narrows nothing.
type FirearmFilter struct {
	Status  string `json:"status,omitempty"`
	Make    string `json:"make,omitempty"`
	Calibre string `json:"calibre,omitempty"` // records of the same family, or of no known calibre
	Case    string `json:"case,omitempty"`
	After   string `json:"after,omitempty"` // id: the records entered after this one
	Limit   int    `json:"limit,omitempty"` // 0 = 100, at most 1,000
}

// ListFirearms lists own records in the order of their entry.
func (s *Service) ListFirearms(ctx context.Context, who desk.Actor, f FirearmFilter) ([]*Firearm, error) {
	act := desk.Act{Actor: who, Action: policy.FirearmSearch, Purpose: Purpose, Resource: policy.Resource{Type: policy.KindFirearm, Attributes: known("calibre", f.Calibre)}}
	e := entry(protocol.ActConsult, who.Name, policy.KindFirearm, "", shorten(f.Case), "firearms listed", "status", shorten(f.Status), "make", shorten(f.Make), "calibre", shorten(f.Calibre))
	return desk.Read(ctx, s.desk, act, e, func(tx *store.Tx) ([]*Firearm, error) {
		if f.Status != "" && !slices.Contains(FirearmStatuses, f.Status) {
			return nil, desk.Invalid("status %s is not one of %s", shorten(f.Status), strings.Join(FirearmStatuses, ", "))
		}
		out := []*Firearm{}
		for _, rec := range firearms.AllAfter(tx, f.After) {
			if f.Status != "" && rec.Status != f.Status || f.Case != "" && rec.Case != f.Case || Excludes(f.Calibre, rec.Calibre) ||
				f.Make != "" && !SameMake(f.Make, rec.Make) && !SameMake(f.Make, rec.Manufacturer) {
				continue
			}
			if out = append(out, rec); len(out) == pageOf(f.Limit) {
				break
			}
		}
		return out, tx.Err()
	})
}

// Lookup finds a record by its national reference or id within a transaction; desk.ErrNotFound if there is none.
func Lookup(tx *store.Tx, ref string) (*Firearm, error) {
	f, err := byReference(tx, ref)
	if err != nil || f != nil {
		return f, err
	}
	f, err = firearms.Get(tx, ref)
	if errors.Is(err, store.ErrNotFound) || ref == "" {
		return nil, desk.NotFound("no firearm has the reference %q: `proofmark firearm search` finds records by their serial number", shorten(ref))
	}
	return f, err
}

func byReference(tx *store.Tx, ref string) (*Firearm, error) {
	for _, f := range firearms.By(tx, "reference", ref) {
		return f, tx.Err()
	}
	return nil, tx.Err()
}

func pageOf(limit int) int {
	if limit <= 0 {
		return pageSize
	}
	return min(limit, maxPage)
}

// known makes a policy attribute of what is known; an empty value is not told.
func known(name, value string) map[string]any {
	if value == "" {
		return nil
	}
	return map[string]any{name: value}
}

// entry is an audit entry of an act that was permitted; details come as pairs, those without a value are left out.
func entry(action protocol.AuditAction, actor, kind, object, caseRef, event string, details ...string) protocol.AuditEntry {
	e := protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: action, Decision: "permit", Ground: "policy"},
		AuditBody:   protocol.AuditBody{Actor: actor, Kind: kind, Object: object, Case: caseRef, Event: event, Purpose: Purpose},
	}
	for i := 0; i+1 < len(details); i += 2 {
		if details[i+1] == "" {
			continue
		}
		if e.Details == nil {
			e.Details = map[string]string{}
		}
		e.Details[details[i]] = details[i+1]
	}
	return e
}

func count(n int) string { return fmt.Sprintf("%d", n) }
