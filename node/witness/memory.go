package witness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"proofmark/crypto/roster"
	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// What is held is kept before a cosignature leaves, so that no accident makes a witness cosign two histories. An older copy of its own database does:
// then it has forgotten what it cosigned since. It learns of that when it declares a restore, when it is shown its own newer checkpoint or evidence against
// its own log, and when a log shows it a cosignature of its own that it does not know. From then on it asks every member what checkpoints that one holds, and
// cosigns a log again once the log itself and most of its other witnesses have said so, and the log has proved that it continues all that they have shown.

// patience is how long a witness that has lost its memory waits for those that do not answer.
const patience = 72 * time.Hour

// forgetful is what a log is told meanwhile.
const forgetful = "this witness has lost a part of its memory (an older copy of its database, or a restore), and cosigns again when the members have told it what it had seen"

const memoryID = "last"

// memory is the loss that this node recovers from, nil if there is none.
func (s *Service) memory(tx *store.Tx) (*Memory, error) {
	restored, err := s.o.Restored(tx)
	if err != nil {
		return nil, err
	}
	if restored != nil {
		settled, err := Declared.Has(tx, restored.ID)
		if err != nil {
			return nil, err
		}
		if !settled { // Run has not begun yet
			return &Memory{Why: "this node was restored", Since: s.o.Now()}, nil
		}
	}
	m, err := optional(tx, Memories, memoryID)
	if err != nil || m == nil || !m.Over.IsZero() {
		return nil, err
	}
	return m, nil
}

// forget notes that this node has lost a part of its memory; one loss is one, however often it shows.
func (s *Service) forget(tx *store.Tx, why, restore string) error {
	m, err := optional(tx, Memories, memoryID)
	if err != nil || m != nil && m.Over.IsZero() && (restore == "" || m.Restore == restore) {
		return err
	}
	s.remark(tx, "this node has forgotten what it cosigned as a witness, and asks the members: "+why)
	tx.OnCommit(func() {
		s.o.Log.Warn("this node has forgotten what it cosigned as a witness, and asks the members", "why", why)
	})
	return Memories.Put(tx, memoryID, &Memory{Why: why, Restore: restore, Since: tx.Now().UTC()})
}

func (s *Service) remark(tx *store.Tx, event string) {
	tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Decision: "permit", Ground: "witness-memory"},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: "witness", Object: string(s.country), Event: event}})
}

// recalled tells whether enough members have said what they hold of a log: the log itself, and more than half of its other chosen witnesses.
func (s *Service) recalled(m *Memory, r *roster.Roster, log rules.Log) bool {
	heard := func(c protocol.Country) bool { return !m.Heard[c].IsZero() }
	others, said := 0, 0
	for _, c := range s.chosen(r, log.Origin(), protocol.Country(log.Country), rules.Chosen) {
		if c != s.country {
			others++
			if heard(c) {
				said++
			}
		}
	}
	return heard(protocol.Country(log.Country)) && (2*said > others || others == 0)
}

// lost is the checkpoint of a log that carries this node's cosignature and is larger than all that it remembers to have cosigned of it; nil if that was not
// shown.
func (s *Service) lost(ring *rules.Keyring, log rules.Log, cosigned string, held holding) *rules.Checkpoint {
	if cosigned == "" {
		return nil
	}
	o, err := ring.Open([]byte(cosigned))
	if err != nil || o.Country != log.Country || o.N <= held.highest() || !s.signed(o) || slices.ContainsFunc(held.owed, func(c rules.Checkpoint) bool { return c.Tree == o.Tree }) {
		return nil
	}
	return &o.Checkpoint
}

func (s *Service) signed(o rules.Opened) bool {
	return slices.ContainsFunc(o.Cosignatures, func(c rules.Cosignature) bool { return c.Country == string(s.country) })
}

// owe has a log prove that it continues this checkpoint before it is cosigned again; mine: this node has cosigned it.
func (s *Service) owe(tx *store.Tx, log rules.Log, c rules.Checkpoint, mine bool) error {
	h, err := s.holding(tx, log)
	if err != nil || h.tree == c.Tree || slices.ContainsFunc(h.owed, func(o rules.Checkpoint) bool { return o.Tree == c.Tree }) {
		return err
	}
	r := h.record
	if r == nil {
		r = &Held{LogKey: log.Key}
	}
	if mine {
		r.Highest = max(r.Highest, c.N) // now it is known again
	}
	r.Country, r.Owed = protocol.Country(log.Country), append(r.Owed, c.Note)
	return Holdings.Put(tx, log.Country, r)
}

// recite says what is held here, of its own log first.
//
// What somebody says who is asking himself counts once he has asked most others: of several that were restored together, as after a war, none would else
// come to an end.
func (s *Service) recite(ctx context.Context, ring *rules.Keyring, r *roster.Roster, from protocol.Country, q *recall) (answer, error) {
	out := shown{Notes: []string{}}
	again := false
	err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		m, err := s.memory(tx)
		if err != nil {
			return err
		}
		out.Forgetful = m != nil && !s.askedMost(m, r)
		if q.After == "" {
			if err := s.reciteOwn(tx, from, &out); err != nil {
				return err
			}
			for _, r := range Evidences.All(tx) {
				again = again || r.Told[from]
			}
		}
		room, last := maxAnswer-1<<12, q.After
		for country, h := range Holdings.All(tx) {
			log, ok := ring.Log(country)
			if country <= q.After || !ok || log.Key != h.LogKey {
				continue
			}
			notes := h.Owed[:min(len(h.Owed), maxShown/2)]
			if h.Note != "" {
				notes = append([]string{h.Note}, notes...)
			}
			for _, note := range notes {
				room -= len(note) + 16
			}
			if room < 0 || len(out.Notes)+len(notes) > maxShown {
				out.Next = last
				break
			}
			out.Notes, last = append(out.Notes, notes...), country
		}
		return tx.Err()
	})
	if err == nil && again {
		err = s.tellAgain(ctx, from)
	}
	return answer{Shown: &out}, err
}

// askedMost tells whether more than half of the other members have answered.
func (s *Service) askedMost(m *Memory, r *roster.Roster) bool {
	others, said := 0, 0
	for _, e := range r.Active(s.o.Now()) {
		if c := protocol.Country(e.Country); c != s.country {
			others++
			if !m.Heard[c].IsZero() || !m.Dim[c].IsZero() {
				said++
			}
		}
	}
	return 2*said > others
}

// reciteOwn adds the checkpoint of this node's log that the asker cosigned last, with its cosignature.
func (s *Service) reciteOwn(tx *store.Tx, from protocol.Country, out *shown) error {
	g, err := optional(tx, Givens, string(from))
	if err != nil || g == nil || g.Line == "" {
		return err
	}
	out.Notes = append(out.Notes, g.Note+g.Line)
	return nil
}

// tellAgain has a member that has lost its memory told of all evidence once more.
func (s *Service) tellAgain(ctx context.Context, to protocol.Country) error {
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		for id, r := range Evidences.All(tx) {
			if r.Told[to] {
				delete(r.Told, to)
				if err := Evidences.Put(tx, id, r); err != nil {
					return err
				}
			}
		}
		return tx.Err()
	})
}

// recollect asks those members for what they hold that have not said so yet.
func (s *Service) recollect(ctx context.Context, ring *rules.Keyring, r *roster.Roster) error {
	var m *Memory
	err := s.o.Desk.Store.View(func(tx *store.Tx) (err error) {
		m, err = s.memory(tx)
		return err
	})
	if err != nil || m == nil {
		clear(s.recall)
		return err
	}
	now := s.o.Now()
	var missing, due []protocol.Country
	for _, e := range r.Active(now) {
		c := protocol.Country(e.Country)
		if c == s.country || !m.Heard[c].IsZero() {
			continue
		}
		missing = append(missing, c)
		if pause := s.recall[c].Sub(now); s.o.Connected(c) && (pause <= 0 || pause > s.o.Pace.Grown) {
			due, s.recall[c] = append(due, c), now.Add(s.o.Pace.Grown)
		}
	}
	if len(missing) == 0 || now.Sub(m.Since) > patience {
		return s.remember(ctx, missing)
	}
	var mu sync.Mutex
	var faults error
	each(due, func(c protocol.Country) {
		if err := s.askFor(ctx, ring, c); err != nil && ctx.Err() == nil {
			mu.Lock()
			defer mu.Unlock()
			faults = errors.Join(faults, fmt.Errorf("ask %s what it holds: %w", c, err))
		}
	})
	return faults
}

// remember ends a loss: every member was asked, or those that do not answer were waited for long enough.
func (s *Service) remember(ctx context.Context, missing []protocol.Country) error {
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		m, err := s.memory(tx)
		if err != nil || m == nil {
			return err
		}
		m.Over = tx.Now().UTC()
		event := fmt.Sprintf("%d members have told this node what they hold of the logs that it witnesses", len(m.Heard))
		if len(missing) > 0 {
			event += fmt.Sprintf("; after %.0f hours it goes on without %v", patience.Hours(), missing)
		}
		s.remark(tx, event)
		return Memories.Put(tx, memoryID, m)
	})
}

// askFor asks one member, and has the logs owe what it shows.
func (s *Service) askFor(ctx context.Context, ring *rules.Keyring, from protocol.Country) error {
	var notes []string
	var whole, dim bool // the list was heard to its end; from somebody who has lost its memory too
	err := s.o.Talk(ctx, from, func(b []byte) ([]byte, error) {
		if b == nil {
			return json.Marshal(ask{Recall: &recall{}})
		}
		a, err := decodeAnswer(b)
		if err != nil {
			return nil, err
		}
		if a.Shown == nil {
			return nil, fmt.Errorf("refused: %s", a.Refusal)
		}
		notes, dim = append(notes, a.Shown.Notes...), dim || a.Shown.Forgetful
		if whole = a.Shown.Next == "" || len(a.Shown.Notes) == 0; whole {
			return nil, nil
		}
		return json.Marshal(ask{Recall: &recall{After: a.Shown.Next}})
	})
	if err != nil && !whole {
		return err
	}
	var found []rules.Opened
	for _, note := range notes {
		// What does not verify by the roster in force here shows nothing.
		if o, err := ring.Open([]byte(note)); err == nil && o.Country != string(s.country) {
			found = append(found, o)
		}
	}
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		m, err := s.memory(tx)
		if err != nil || m == nil {
			return err
		}
		for _, o := range found {
			if err := s.heed(tx, ring, o); err != nil {
				return err
			}
		}
		list := &m.Heard
		if dim { // it is asked again
			list = &m.Dim
		}
		if *list == nil {
			*list = map[protocol.Country]time.Time{}
		}
		(*list)[from] = tx.Now().UTC()
		return Memories.Put(tx, memoryID, m)
	})
}

// heed takes one checkpoint that was shown: any that this node has cosigned itself, and of others those that are not older than what it remembers.
func (s *Service) heed(tx *store.Tx, ring *rules.Keyring, o rules.Opened) error {
	log, _ := ring.Log(o.Country)
	h, err := s.holding(tx, log)
	if mine := s.signed(o); err == nil && (mine || o.N >= h.tree.N) {
		err = s.owe(tx, log, o.Checkpoint, mine)
	}
	return err
}
