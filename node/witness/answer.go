package witness

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// Answer answers one question of a member: may its checkpoint be cosigned, or is evidence known here. What cannot be judged is refused in the answer; an
// error is a fault of this node.
func (s *Service) Answer(ctx context.Context, from protocol.Country, question []byte) ([]byte, error) {
	a, err := decodeAsk(question)
	if err != nil {
		return json.Marshal(answer{Refusal: words(err.Error())})
	}
	ring, _, err := s.keyring()
	if err != nil {
		return nil, err
	}
	var out answer
	if a.Evidence != nil {
		out, err = s.hear(ctx, ring, from, a)
	} else {
		out, err = s.judge(ctx, ring, from, a)
	}
	if err != nil {
		return nil, fmt.Errorf("witness for %s: %w", from, err)
	}
	return json.Marshal(out)
}

// open verifies what a member offers by its own log key: a checkpoint of any other log is refused.
func (a ask) open(log rules.Log) (rules.Offer, error) {
	c, err := rules.OpenCheckpoint(a.Checkpoint, log.Verifier)
	if err != nil {
		return rules.Offer{}, err
	}
	h, err := rules.OpenHead(a.Head, log.Verifier)
	return rules.Offer{Head: h, New: c, Proof: a.Proof}, err
}

// holding is what is held of a log, opened.
type holding struct {
	record *Held // nil: nothing is held of this log
	last   rules.Checkpoint
	tree   rules.Tree // Empty where nothing is held
}

func (s *Service) holding(tx *store.Tx, log rules.Log) (holding, error) {
	h := holding{tree: rules.Empty()}
	r, err := optional(tx, Holdings, log.Country)
	if err != nil || r == nil {
		return h, err
	}
	if r.LogKey != log.Key {
		h.record = &Held{OldKeys: append(r.OldKeys, OldKey{LogKey: r.LogKey, Note: r.Note, Until: tx.Now().UTC()})}
		return h, nil
	}
	if h.last, err = rules.OpenCheckpoint(r.Note, log.Verifier); err != nil {
		return h, fmt.Errorf("the checkpoint held of %s: %w", log.Country, err)
	}
	h.record, h.tree = r, h.last.Tree
	return h, nil
}

// excused tells whether a restore explained something here before. Nobody restores so often that the list ends.
func (h holding) excused(restore string) bool {
	return h.record != nil && (slices.Contains(h.record.Excused, restore) || len(h.record.Excused) >= maxExcused)
}

// judge decides over an offered checkpoint. What is held is read and replaced in one transaction, and the cosignature is made once it is durable: of two
// offers that contradict each other one is cosigned, whenever they come and whatever dies between.
func (s *Service) judge(ctx context.Context, ring *rules.Keyring, from protocol.Country, a ask) (answer, error) {
	log, ok := ring.Log(string(from))
	if !ok {
		return answer{Refusal: "the roster in force here has no log of " + string(from)}, nil
	}
	o, err := a.open(log)
	if err != nil {
		return answer{Refusal: words(err.Error())}, nil
	}
	var v rules.Verdict
	var held holding
	// The look before the transaction keeps offers that come to nothing out of the store's writer.
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		if held, err = s.holding(tx, log); err != nil {
			return err
		}
		v, err = rules.Decide(held.tree, held.excused, o)
		return err
	})
	if err != nil && v != rules.Refuse {
		return answer{}, err
	}
	switch v {
	case rules.Refuse:
		return answer{Refusal: words(err.Error())}, nil
	case rules.Conflict:
		return answer{Held: held.note()}, nil
	}
	err = s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		if held, err = s.holding(tx, log); err != nil {
			return err
		}
		if v, err = rules.Decide(held.tree, held.excused, o); err != nil {
			return err
		}
		switch v {
		case rules.Cosign, rules.Reset:
			return s.advance(tx, log, held, v, a.Head, o)
		case rules.Conflict:
			return nil
		}
		return s.contradiction(tx, log, held, v, a.Head, o)
	})
	if err != nil {
		return answer{}, err
	}
	switch v {
	case rules.Cosign, rules.Reset:
		line, err := s.o.Cosigner.Cosign(o.New.Text, s.o.Now())
		return answer{Cosignature: line}, err
	case rules.Conflict:
		return answer{Held: held.note()}, nil
	}
	return answer{Verdict: v.String()}, nil
}

// note is what the asker is told is held.
func (h holding) note() string {
	if h.tree.N == 0 {
		return heldNothing
	}
	return h.last.Note
}

// advance makes an offered checkpoint the one that is held.
func (s *Service) advance(tx *store.Tx, log rules.Log, held holding, v rules.Verdict, head string, o rules.Offer) error {
	now := tx.Now().UTC()
	country := protocol.Country(log.Country)
	r := held.record
	if r == nil || held.tree.N == 0 {
		var old []OldKey
		if r != nil {
			old = r.OldKeys[max(0, len(r.OldKeys)-maxRestores):]
		}
		r = &Held{Country: country, LogKey: log.Key, Since: now, OldKeys: old}
		s.record(tx, country, protocol.ActReceive, "permit", "witness", fmt.Sprintf("this node is a witness of %s's audit log, from %d entries on", country, o.New.N), nil)
	}
	if restored := o.Head.Restored; restored != nil && !held.excused(restored.ID) {
		r.Excused, r.ExcusedAt = append(r.Excused, restored.ID), o.Head.At
		if err := s.explain(tx, country, restored.ID); err != nil {
			return err
		}
	}
	if v == rules.Reset {
		r.Restores = append(r.Restores, Restore{ID: o.Head.Restored.ID, First: held.last.Note, Then: o.New.Note, Head: head, At: now})
		r.Restores = r.Restores[max(0, len(r.Restores)-maxRestores):]
		s.record(tx, country, protocol.ActReceive, "permit", "restore",
			fmt.Sprintf("a new epoch of %s's audit log: it had %d entries, was restored from a backup with %d, and now has %d", country, held.tree.N, o.Head.Restored.Base.N, o.New.N),
			map[string]string{"restore": o.Head.Restored.ID, "checkpoint known before": held.last.Note, "checkpoint": o.New.Note, "declaration": head})
	}
	r.Note, r.Size, r.At = o.New.Note, o.New.N, now
	return Holdings.Put(tx, log.Country, r)
}

// contradiction keeps what a log has just proved against itself.
func (s *Service) contradiction(tx *store.Tx, log rules.Log, held holding, v rules.Verdict, head string, o rules.Offer) error {
	e := rules.NewEvidence(held.last, head, o)
	f, err := e.Check(log.Verifier)
	if err != nil {
		return fmt.Errorf("evidence of %s: %w", v, err)
	}
	r := held.record
	if r.Refused != v.String() || tx.Now().Sub(r.RefusedAt).Abs() >= time.Minute { // a hostile log writes no more than this
		r.Refusals++
		r.Refused, r.RefusedAt = v.String(), tx.Now().UTC()
		if err := Holdings.Put(tx, log.Country, r); err != nil {
			return err
		}
	}
	_, err = s.keep(tx, log, e, f, s.country)
	return err
}

// hear takes note of evidence that a member passes on. It proves itself: who tells it does not matter.
func (s *Service) hear(ctx context.Context, ring *rules.Keyring, from protocol.Country, a ask) (answer, error) {
	log, ok := ring.Log(string(a.Accused))
	if !ok {
		return answer{Refusal: "the roster in force here has no log of " + string(a.Accused)}, nil
	}
	f, err := a.Evidence.Check(log.Verifier)
	if err != nil {
		return answer{Refusal: words(err.Error())}, nil
	}
	if f.Restored != nil {
		return answer{Refusal: "a declared restore is told by the log that was restored"}, nil
	}
	err = s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		known, err := s.keep(tx, log, *a.Evidence, f, from)
		if err != nil || known == nil {
			return err
		}
		return known.toldBy(tx, from)
	})
	return answer{Verdict: noted}, err
}
