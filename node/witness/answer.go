package witness

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"proofmark/crypto/roster"
	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// Answer answers one question of a member: may its checkpoint be cosigned, is evidence known here, what is held here. What cannot be judged is refused in the answer; an
// error is a fault of this node.
func (s *Service) Answer(ctx context.Context, from protocol.Country, question []byte) ([]byte, error) {
	a, err := decodeAsk(question)
	if err != nil {
		return json.Marshal(answer{Refusal: words(err.Error())})
	}
	ring, r, err := s.keyring()
	if err != nil {
		return nil, err
	}
	var out answer
	switch {
	case a.Evidence != nil:
		out, err = s.hear(ctx, ring, from, a)
	case a.Recall != nil:
		out, err = s.recite(ctx, ring, r, from, a.Recall)
	default:
		out, err = s.judge(ctx, ring, r, from, a)
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

// ruling is what comes of an offer beside what is held.
type ruling struct {
	verdict rules.Verdict
	held    holding
	at      int  // which of the checkpoints that the log has to continue it was judged by: owed, or -1 for the one held
	ready   bool // nothing else has to be asked or proved before it is cosigned
	lost    *rules.Checkpoint
}

// rule judges an offer by what tx reads.
func (s *Service) rule(tx *store.Tx, ring *rules.Keyring, r *roster.Roster, log rules.Log, a ask, o rules.Offer) (out ruling, err error) {
	if out.held, err = s.holding(tx, log); err != nil {
		return out, err
	}
	var tree rules.Tree
	out.at, tree = out.held.against(o.Head.Shown)
	excused := out.held.excused
	if out.at >= 0 {
		excused = func(string) bool { return false } // a restore that explained what is held explains what was held before this node forgot it
	}
	if out.verdict, err = rules.Decide(tree, excused, agreed(tx, log), o); err != nil {
		return out, err
	}
	if out.lost = s.lost(ring, log, a.Cosigned, out.held); out.lost != nil {
		return out, nil
	}
	m, err := s.memory(tx)
	if err != nil {
		return out, err
	}
	out.ready = m == nil || s.recalled(m, r, log)
	return out, nil
}

// unchanged tells that an offer is the very checkpoint that was cosigned before, and says nothing new of the log: it may be cosigned without being kept
// again, though not for ever.
func (r ruling) unchanged(o rules.Offer, now time.Time) bool {
	h := r.held
	return r.verdict == rules.Cosign && r.ready && r.at < 0 && h.tree == o.New.Tree && len(h.owed) == 0 && now.Sub(h.record.At).Abs() < refresh &&
		(o.Head.Restored == nil || h.excused(o.Head.Restored.ID))
}

// refresh is the age from which the time of a cosignature on an unchanged checkpoint is written down again.
const refresh = 12 * time.Hour

// judge decides over an offered checkpoint. What is held is read and replaced in one transaction, and the cosignature is made once it is durable: of two
// offers that contradict each other one is cosigned, whenever they come and whatever dies between.
func (s *Service) judge(ctx context.Context, ring *rules.Keyring, r *roster.Roster, from protocol.Country, a ask) (answer, error) {
	log, ok := ring.Log(string(from))
	if !ok {
		return answer{Refusal: "the roster in force here has no log of " + string(from)}, nil
	}
	o, err := a.open(log)
	if err != nil {
		return answer{Refusal: words(err.Error())}, nil
	}
	var v ruling
	now := s.o.Now()
	// The look before the transaction keeps offers that come to nothing out of the store's writer.
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		v, err = s.rule(tx, ring, r, log, a, o)
		return err
	})
	if err != nil && v.verdict != rules.Refuse {
		return answer{}, err
	}
	switch {
	case v.verdict == rules.Refuse:
		return answer{Refusal: words(err.Error())}, nil
	case v.lost != nil:
	case v.unchanged(o, now):
		s.sawAt(from, now)
		line, err := s.o.Cosigner.Cosign(o.New.Text, now) // of the time at which what is held was read
		return answer{Cosignature: line}, err
	case v.verdict == rules.Conflict:
		return answer{Held: v.held.note()}, nil
	case !v.verdict.Contradicts() && !v.ready, v.verdict == rules.Reset && !v.ready:
		return answer{Refusal: forgetful}, nil
	}
	var out answer
	err = s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		if v, err = s.rule(tx, ring, r, log, a, o); err != nil {
			return err
		}
		out, err = s.act(tx, log, v, a.Head, o)
		return err
	})
	if err != nil || out != (answer{}) {
		return out, err
	}
	now = s.o.Now()
	s.sawAt(from, now)
	line, err := s.o.Cosigner.Cosign(o.New.Text, now)
	return answer{Cosignature: line}, err
}

// act does what follows from a ruling; without an answer the offer is to be cosigned, once this is durable.
func (s *Service) act(tx *store.Tx, log rules.Log, v ruling, head string, o rules.Offer) (answer, error) {
	if v.lost != nil {
		why := fmt.Sprintf("%s has shown a cosignature of this node on %s of its log, and this node remembers none on more than %d: an older copy of its database runs", log.Country, entries(v.lost.N), v.held.highest())
		if err := s.owe(tx, log, *v.lost, true); err != nil {
			return answer{}, err
		}
		return answer{Refusal: forgetful}, s.forget(tx, why, "")
	}
	switch v.verdict {
	case rules.Conflict:
		return answer{Held: v.held.note()}, nil
	case rules.Cosign, rules.Reset:
		if !v.ready {
			return answer{Refusal: forgetful}, nil
		}
		rest, err := s.advance(tx, log, v, head, o)
		if err != nil || rest == "" {
			return answer{}, err
		}
		return answer{Held: rest}, nil
	}
	return answer{Verdict: v.verdict.String()}, s.contradiction(tx, log, v, head, o)
}

// advance makes an offered checkpoint the one that is held, or notes that it continues one of those that the log owes a proof of; rest is the next of these,
// empty where nothing more is owed.
func (s *Service) advance(tx *store.Tx, log rules.Log, v ruling, head string, o rules.Offer) (rest string, err error) {
	now, held := tx.Now().UTC(), v.held
	country := protocol.Country(log.Country)
	r := held.record
	if r == nil || r.Since.IsZero() {
		fresh := &Held{Country: country, LogKey: log.Key, Since: now}
		if r != nil {
			fresh.OldKeys, fresh.Owed = r.OldKeys[max(0, len(r.OldKeys)-maxRestores):], r.Owed
		}
		r = fresh
		s.record(tx, country, protocol.ActReceive, "permit", "witness", fmt.Sprintf("this node is a witness of %s's audit log, from %d entries on", country, o.New.N), nil)
	}
	was := held.at(v.at)
	if v.verdict == rules.Reset && !slices.ContainsFunc(r.Restores, func(x Restore) bool { return x.ID == o.Head.Restored.ID }) {
		r.Restores = append(r.Restores, Restore{ID: o.Head.Restored.ID, First: was.Note, Then: o.New.Note, Head: head, At: now})
		r.Restores = r.Restores[max(0, len(r.Restores)-maxRestores):]
		s.record(tx, country, protocol.ActReceive, "permit", "restore",
			fmt.Sprintf("a new epoch of %s's audit log: it had %d entries, was restored from a backup with %d, and now has %d", country, was.N, o.Head.Restored.Base.N, o.New.N),
			map[string]string{"restore": o.Head.Restored.ID, "checkpoint known before": was.Note, "checkpoint": o.New.Note, "declaration": head})
	}
	if restored := o.Head.Restored; restored != nil && !held.excused(restored.ID) {
		r.Excused, r.ExcusedAt = append(r.Excused, restored.ID), o.Head.At
		if err := s.explain(tx, country, restored.ID); err != nil {
			return "", err
		}
	}
	if v.at < 0 || held.tree.N == 0 {
		r.Note, r.Size, r.At = o.New.Note, o.New.N, now
	}
	if v.at >= 0 {
		r.Owed[v.at] = o.New.Note
	}
	// What is owed and is the one held by now is no debt any more.
	r.Owed = slices.DeleteFunc(r.Owed, func(note string) bool { return note == r.Note })
	if len(r.Owed) == 0 && r.Note == o.New.Note {
		r.Highest = max(r.Highest, o.New.N)
	} else if rest = r.Note; r.Note == o.New.Note {
		rest = r.Owed[0]
	}
	return rest, Holdings.Put(tx, log.Country, r)
}

// contradiction keeps what a log has just proved against itself.
func (s *Service) contradiction(tx *store.Tx, log rules.Log, v ruling, head string, o rules.Offer) error {
	e := rules.NewEvidence(v.held.at(v.at), head, o)
	f, err := e.Check(log.Verifier)
	if err != nil {
		return fmt.Errorf("evidence of %s: %w", v.verdict, err)
	}
	r := v.held.record
	back := false // since it was refused last
	if last, err := rules.OpenCheckpoint(r.Offered, log.Verifier); err == nil {
		back = o.New.N < last.N || o.New.N == last.N && o.New.Hash != last.Hash
	}
	if back || r.Refused != v.verdict.String() || tx.Now().Sub(r.RefusedAt).Abs() >= time.Minute { // a hostile log writes no more than this
		r.Refusals++
		r.Refused, r.RefusedAt, r.Offered = v.verdict.String(), tx.Now().UTC(), o.New.Note
		if err := Holdings.Put(tx, log.Country, r); err != nil {
			return err
		}
	}
	_, err = s.keep(tx, log, e, f, s.country, back)
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
	if f.Head == nil {
		return answer{Refusal: "two checkpoints without the log's word on them may be of two epochs"}, nil
	}
	if f.Restored != nil {
		return answer{Refusal: "a declared restore is told by the log that was restored"}, nil
	}
	err = s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		known, err := s.keep(tx, log, *a.Evidence, f, from, false)
		if err != nil || known == nil {
			return err
		}
		return known.toldBy(tx, from)
	})
	return answer{Verdict: noted}, err
}
