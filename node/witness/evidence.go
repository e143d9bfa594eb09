package witness

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// keep keeps checked evidence, once for what the log had signed before and how it contradicts that, and no more than a few for one log: one is enough. It
// returns what is kept for it, nil where there is no room for more.
//
// An alarm that somebody has acknowledged stays quiet while the log goes on from there, and for what others find of the same: see covers. back says that the
// log was seen here to go back once more, or on another way: that is a new contradiction, and alarms again.
func (s *Service) keep(tx *store.Tx, log rules.Log, e rules.Evidence, f rules.Finding, from protocol.Country, back bool) (*Record, error) {
	country := protocol.Country(log.Country)
	var kept []*Record
	var same *Acknowledged
	for _, r := range Evidences.By(tx, "country", log.Country) {
		if r.LogKey != log.Key {
			continue
		}
		covered := r.covers(e, f, from != s.country, back)
		if r.ID == e.ID() || r.Evidence.First == e.First && r.Verdict == f.Verdict.String() && (r.Acknowledged == nil || covered) {
			return r, nil
		}
		if covered {
			same = r.Acknowledged
		}
		kept = append(kept, r)
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	if len(kept) >= maxEvidence {
		// What needs nobody's attention makes room: it stays in the audit log, whole.
		sortByTime(kept)
		i := slices.IndexFunc(kept, func(r *Record) bool { return !r.alarming() })
		if i < 0 {
			return nil, nil
		}
		if err := Evidences.Delete(tx, kept[i].ID); err != nil {
			return nil, err
		}
	}
	r := &Record{ID: e.ID(), Country: country, LogKey: log.Key, Verdict: f.Verdict.String(), First: f.First.N, Then: f.Then.N, From: from, At: tx.Now().UTC(), Evidence: e, Acknowledged: same}
	// Found or told late: the log has declared a restore since.
	restore, at, err := s.declared(tx, log)
	if err != nil {
		return nil, err
	}
	if restore != "" && f.Head != nil && !f.Head.At.After(at) {
		r.Explained = restore
	}
	details := map[string]string{"evidence": r.ID, "first checkpoint": e.First, "second checkpoint": e.Then, "told by": string(from)}
	if e.Head != "" {
		details["signed by the log about the two"] = e.Head
	}
	s.record(tx, country, protocol.ActDeny, "deny", r.Verdict, r.Text(), details)
	if r.alarming() {
		tx.OnCommit(func() {
			s.o.Log.Error("an audit log contradicts itself", "country", country, "what", r.Text(), "evidence", r.ID, "from", from)
		})
	}
	if country == s.country && r.Explained == "" {
		if err := s.forget(tx, "its own audit log is older than what it had signed, by evidence from "+string(from), ""); err != nil {
			return nil, err
		}
	}
	return r, Evidences.Put(tx, r.ID, r)
}

// covers tells whether other evidence is of the same event as this one, which somebody has acknowledged: of a checkpoint that was no larger before, and of
// the log as it has gone on since. A log that is a witness's own to watch has done so unless it was seen to go back; of what is told, only sizes are known.
func (r *Record) covers(e rules.Evidence, f rules.Finding, told, back bool) bool {
	if r.Acknowledged == nil || r.Explained != "" || f.First.N > r.First {
		return false
	}
	if told {
		return f.Then.N > r.Then || e.Then == r.Evidence.Then
	}
	return !back
}

func sortByTime(list []*Record) {
	slices.SortStableFunc(list, func(a, b *Record) int { return a.At.Compare(b.At) })
}

// toldBy notes that a member knows the evidence.
func (r *Record) toldBy(tx *store.Tx, c protocol.Country) error {
	if r.Told[c] {
		return nil
	}
	if r.Told == nil {
		r.Told = map[protocol.Country]bool{}
	}
	r.Told[c] = true
	return Evidences.Put(tx, r.ID, r)
}

// Text says what the evidence proves.
func (r *Record) Text() string {
	switch r.Verdict {
	case rules.Rollback.String():
		return fmt.Sprintf("the audit log of %s was put back: it had signed %d entries, and then signed that its newest state has %d", r.Country, r.First, r.Then)
	case rules.Unproven.String():
		return fmt.Sprintf("the audit log of %s does not prove that its %d entries continue the %d that it had signed: the proof that it vouched for does not hold", r.Country, r.Then, r.First)
	}
	if r.First == r.Then {
		return fmt.Sprintf("the audit log of %s has two histories: it has signed two different states of %d entries", r.Country, r.First)
	}
	return fmt.Sprintf("the audit log of %s has two histories: its %d entries do not continue the %d that it had signed", r.Country, r.Then, r.First)
}

// declared is the restore that a log declared last, and when by the log's clock; empty where there was none.
func (s *Service) declared(tx *store.Tx, log rules.Log) (id string, at time.Time, err error) {
	if log.Country == string(s.country) {
		own, err := s.o.Restored(tx)
		if err != nil || own == nil {
			return "", at, err
		}
		return own.ID, own.At, nil
	}
	held, err := optional(tx, Holdings, log.Country)
	if err != nil || held == nil || held.LogKey != log.Key || len(held.Excused) == 0 {
		return "", at, err
	}
	return held.Excused[len(held.Excused)-1], held.ExcusedAt, nil
}

// settleOwn remembers the restore that this node declared last, and settles the evidence against its own log that was there before.
func (s *Service) settleOwn(ctx context.Context) error {
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		restored, err := s.o.Restored(tx)
		if err != nil || restored == nil {
			return err
		}
		if known, err := Declared.Has(tx, restored.ID); err != nil || known {
			return err
		}
		for _, r := range Evidences.By(tx, "country", string(s.country)) {
			if r.Explained == "" && !r.At.After(restored.At) {
				r.Explained = restored.ID
				if err := Evidences.Put(tx, r.ID, r); err != nil {
					return err
				}
			}
		}
		if err := tx.Err(); err != nil {
			return err
		}
		if err := s.forget(tx, "it was restored from the backup of "+restored.Made.UTC().Format(time.RFC3339), restored.ID); err != nil {
			return err
		}
		return Declared.Put(tx, restored.ID, restored)
	})
}

// explain settles the evidence against a log that has declared a restore. It stays.
func (s *Service) explain(tx *store.Tx, country protocol.Country, restore string) error {
	for _, r := range Evidences.By(tx, "country", string(country)) {
		if r.Explained == "" {
			r.Explained = restore
			if err := Evidences.Put(tx, r.ID, r); err != nil {
				return err
			}
		}
	}
	return tx.Err()
}

// record leaves an audit entry of what the node did by itself.
func (s *Service) record(tx *store.Tx, about protocol.Country, action protocol.AuditAction, decision, ground, event string, details map[string]string) {
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: action, Counterpart: string(about), Decision: decision, Ground: ground},
		AuditBody:   protocol.AuditBody{Actor: "node", Kind: "witness", Object: string(about), Event: event, Details: details},
	})
}

// Alarms lists the evidence that nothing explains and nobody has acknowledged: against logs as the roster in force names them, by country and time.
func (s *Service) Alarms() (out []Record, err error) {
	ring, _, err := s.keyring()
	if err != nil {
		return nil, nil //nolint:nilerr // without a roster nobody's key is known
	}
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		out = slices.DeleteFunc(unexplained(tx, ring), func(r Record) bool { return !r.alarming() })
		return tx.Err()
	})
	return out, err
}

// unexplained lists the evidence against logs as the roster in force names them that no restore explains, acknowledged or not.
func unexplained(tx *store.Tx, ring *rules.Keyring) (out []Record) {
	for _, r := range Evidences.All(tx) {
		if log, ok := ring.Log(string(r.Country)); ok && log.Key == r.LogKey && r.Explained == "" {
			out = append(out, *r)
		}
	}
	sortRecords(out)
	return out
}

// agreed tells whether people here know of contradictions of a log, and have acknowledged each of them: then a restore that it declares explains them, wherever its
// backup ended.
func agreed(tx *store.Tx, log rules.Log) bool {
	known := 0
	for _, r := range Evidences.All(tx) {
		if string(r.Country) != log.Country || r.LogKey != log.Key || r.Explained != "" {
			continue
		}
		if r.alarming() {
			return false
		}
		known++
	}
	return known > 0 && tx.Err() == nil
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.FormatInt(n, 10) + " entries"
}
