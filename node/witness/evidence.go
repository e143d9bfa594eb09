package witness

import (
	"context"
	"fmt"
	"strconv"
	"time"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// keep keeps checked evidence, once for what the log had signed before and how it contradicts that, and no more than a few for one log: one is enough. It
// returns what is kept for it, nil where there is no room for more.
func (s *Service) keep(tx *store.Tx, log rules.Log, e rules.Evidence, f rules.Finding, from protocol.Country) (*Record, error) {
	country := protocol.Country(log.Country)
	count := 0
	for _, r := range Evidences.By(tx, "country", log.Country) {
		if r.LogKey != log.Key {
			continue
		}
		if r.ID == e.ID() || r.Evidence.First == e.First && r.Verdict == f.Verdict.String() {
			return r, nil
		}
		count++
	}
	if err := tx.Err(); err != nil {
		return nil, err
	}
	if count >= maxEvidence {
		return nil, nil
	}
	r := &Record{ID: e.ID(), Country: country, LogKey: log.Key, Verdict: f.Verdict.String(), First: f.First.N, Then: f.Then.N, From: from, At: tx.Now().UTC(), Evidence: e}
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
	if r.Explained == "" {
		tx.OnCommit(func() {
			s.o.Log.Error("an audit log contradicts itself", "country", country, "what", r.Text(), "evidence", r.ID, "from", from)
		})
	}
	return r, Evidences.Put(tx, r.ID, r)
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

// Alarms lists the evidence that nothing explains: against logs as the roster in force names them, by country and time.
func (s *Service) Alarms() (out []Record, err error) {
	ring, _, err := s.keyring()
	if err != nil {
		return nil, nil //nolint:nilerr // without a roster nobody's key is known
	}
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		out = alarms(tx, ring)
		return tx.Err()
	})
	return out, err
}

func alarms(tx *store.Tx, ring *rules.Keyring) (out []Record) {
	for _, r := range Evidences.All(tx) {
		if log, ok := ring.Log(string(r.Country)); ok && log.Key == r.LogKey && r.Explained == "" {
			out = append(out, *r)
		}
	}
	sortRecords(out)
	return out
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.FormatInt(n, 10) + " entries"
}
