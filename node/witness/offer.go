package witness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// errContradicted: the witness holds something of this log that this log is not.
var errContradicted = errors.New("refused: it contradicts what this node had signed before")

// offering is one talk with a witness over this node's checkpoint.
type offering struct {
	s       *Service
	ctx     context.Context
	witness protocol.Country
	offered rules.Checkpoint // may be replaced by a newer one
	shown   rules.Tree       // what the witness is taken to hold
	held    string           // its checkpoint, where the witness has shown it
	given   *Given           // its last cosignature; nil: none
	again   int              // conflicts so far
	line    string           // its cosignature at the end
}

// conflicts is how often a witness may say in one talk that it holds something else: one that has lost its memory has the log continue all that others hold.
const conflicts = 6

// outcome is how a talk has ended.
type outcome struct {
	witness protocol.Country
	offered rules.Checkpoint
	by      rules.Cosignature
	err     error
}

// offer asks a witness to cosign a checkpoint.
func (s *Service) offer(ctx context.Context, ring *rules.Keyring, to protocol.Country, c rules.Checkpoint) outcome {
	t := &offering{s: s, ctx: ctx, witness: to, offered: c, shown: rules.Empty()}
	err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		g, err := optional(tx, Givens, string(to))
		if err != nil || g == nil || g.Size == 0 {
			return err
		}
		// A checkpoint of a log key that this node has no more is of another log.
		if last, err := rules.OpenCheckpoint(g.Note, s.o.Own); err == nil {
			t.shown, t.given = last.Tree, g
		}
		return nil
	})
	if err == nil {
		err = s.o.Talk(ctx, to, t.next)
	}
	out := outcome{witness: to, offered: t.offered, err: err}
	if err == nil {
		out.by, out.err = ring.Cosigned(t.offered, string(to), t.line)
	}
	return out
}

// next is the talk's next question.
func (t *offering) next(b []byte) ([]byte, error) {
	if b == nil {
		return t.question()
	}
	a, err := decodeAnswer(b)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Cosignature != "":
		t.line = a.Cosignature
		return nil, nil
	case a.Refusal != "":
		return nil, fmt.Errorf("refused: %s", a.Refusal)
	case a.Verdict != "":
		return nil, fmt.Errorf("%w (%s)", errContradicted, a.Verdict)
	}
	if t.again++; t.again > conflicts {
		return nil, errors.New("it holds something else each time it is asked")
	}
	t.shown, t.held = rules.Empty(), ""
	if a.Held != heldNothing {
		c, err := rules.OpenCheckpoint(a.Held, t.s.o.Own)
		if err != nil {
			return nil, fmt.Errorf("what it says it holds: %w", err) // what this node has not signed proves nothing about it
		}
		t.shown, t.held = c.Tree, c.Note
	}
	return t.question()
}

// question makes head and proof for what the witness is taken to hold.
func (t *offering) question() ([]byte, error) {
	var out ask
	var offer rules.Offer
	err := t.s.o.Desk.Store.View(func(tx *store.Tx) (err error) {
		if t.offered.N < t.shown.N { // the log may have grown since this checkpoint
			if t.offered, err = t.s.checkpoint(tx); err != nil {
				return err
			}
		}
		offer, err = t.s.head(tx, t.offered, t.shown)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Checkpoint, out.Proof = offer.New.Note, offer.Proof
	if t.again > 0 && t.given != nil && t.given.Size > t.shown.N {
		out.Cosigned = t.given.Note + t.given.Line // it has forgotten this
	}
	if out.Head, err = rules.SignHead(offer.Head, t.s.o.Signer); err != nil {
		return nil, err
	}
	if t.held != "" {
		if err := t.s.own(t.ctx, t.witness, rules.Evidence{First: t.held, Then: out.Checkpoint, Head: out.Head, Proof: out.Proof}); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// checkpoint is this node's newest.
func (s *Service) checkpoint(tx *store.Tx) (rules.Checkpoint, error) {
	b, err := tx.Checkpoint()
	if err != nil {
		return rules.Checkpoint{}, err
	}
	return rules.OpenCheckpoint(string(b), s.o.Own)
}

// head says what this log is beside what was shown, with the proof that goes with it.
func (s *Service) head(tx *store.Tx, c rules.Checkpoint, shown rules.Tree) (rules.Offer, error) {
	h := rules.Head{Origin: c.Origin, Shown: shown, Newest: c.Tree, At: s.o.Now().UTC()}
	o := rules.Offer{New: c}
	var err error
	if shown.N <= c.N {
		if h.Past, err = tx.AuditRootAt(shown.N); err != nil {
			return o, err
		}
	}
	if shown.N > 0 && shown.N <= c.N {
		if o.Proof, err = tlog.ProveTree(c.N, shown.N, tx.AuditHashes()); err != nil {
			return o, err
		}
		if err := tlog.CheckTree(o.Proof, c.N, c.Hash, shown.N, h.Past); err != nil { // never vouch for what does not hold
			return o, fmt.Errorf("this node's audit log cannot prove its own growth from %s to %s: `proofmark audit verify` says where it is damaged: %w", entries(shown.N), entries(c.N), err)
		}
	}
	h.Proof = rules.ProofSum(o.Proof)
	if h.Restored, err = s.restored(tx, shown); err != nil {
		return o, err
	}
	o.Head = h
	return o, nil
}

// restored is the restore that explains why this log is not what was shown: the last one of those that went back behind it, or else the last one of all.
func (s *Service) restored(tx *store.Tx, shown rules.Tree) (*rules.Restored, error) {
	last, err := s.o.Restored(tx)
	if err != nil || last == nil {
		return nil, err
	}
	var found *rules.Restored
	var at time.Time
	for _, r := range Declared.All(tx) {
		base, err := rules.OpenCheckpoint(r.Checkpoint, s.o.Own)
		if err != nil {
			return nil, fmt.Errorf("where the log restored on %s ends: %w", r.At.Format(time.DateOnly), err)
		}
		if base.N < shown.N && !r.At.Before(at) {
			found, at = &rules.Restored{ID: r.ID, Base: base.Tree}, r.At
		}
	}
	if err := tx.Err(); err != nil || found != nil {
		return found, err
	}
	base, err := rules.OpenCheckpoint(last.Checkpoint, s.o.Own)
	if err != nil {
		return nil, fmt.Errorf("where the restored log ends: %w", err)
	}
	return &rules.Restored{ID: last.ID, Base: base.Tree}, nil
}

// own holds what a witness has shown of this log against this log, and keeps what contradicts it: the database here is older than what it has signed, or
// a copy of it runs elsewhere. A declared restore explains it.
func (s *Service) own(ctx context.Context, witness protocol.Country, e rules.Evidence) error {
	f, err := e.Check(s.o.Own)
	if errors.Is(err, rules.ErrNoContradiction) {
		return nil
	}
	if err != nil {
		return err
	}
	if f.Restored != nil && f.Restored.Base.N < f.First.N {
		return nil
	}
	ring, _, err := s.keyring()
	if err != nil {
		return err
	}
	log, ok := ring.Log(string(s.country))
	if !ok {
		return nil
	}
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		_, err := s.keep(tx, log, e, f, witness, false)
		return err
	})
}

// take keeps what came of some talks: cosignatures with their checkpoints, and faults where they are news.
func (s *Service) take(ctx context.Context, got []outcome, wanted int) error {
	err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		got = slices.DeleteFunc(got, func(o outcome) bool {
			if o.err == nil || ctx.Err() != nil {
				return o.err != nil
			}
			g, err := optional(tx, Givens, string(o.witness))
			return err == nil && g != nil && g.Fault == words(o.err.Error())
		})
		return nil
	})
	if err != nil || len(got) == 0 {
		return err
	}
	return s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		for _, o := range got {
			if err := s.keepOutcome(tx, o); err != nil {
				return err
			}
		}
		return prune(tx, wanted)
	})
}

func (s *Service) keepOutcome(tx *store.Tx, o outcome) error {
	g, err := optional(tx, Givens, string(o.witness))
	if err != nil {
		return err
	}
	if o.err != nil {
		if g == nil {
			g = &Given{Witness: o.witness}
		}
		g.Fault, g.Failed = words(o.err.Error()), tx.Now().UTC()
		return Givens.Put(tx, string(o.witness), g)
	}
	g = &Given{Witness: o.witness, Size: o.offered.N, Note: o.offered.Note, Line: o.by.Line, At: o.by.At}
	if err := Givens.Put(tx, string(o.witness), g); err != nil {
		return err
	}
	id := checkpointID(o.offered.N)
	k, err := optional(tx, Checkpoints, id)
	if err != nil {
		return err
	}
	if k == nil || k.Note != o.offered.Note { // another one of this size is of a log that is no more
		k = &Cosigned{Size: o.offered.N, Note: o.offered.Note}
	}
	k.By = slices.DeleteFunc(k.By, func(w Witness) bool { return w.Country == o.by.Country })
	k.By = append(k.By, Witness{Country: o.by.Country, At: o.by.At, Line: o.by.Line})
	slices.SortFunc(k.By, func(a, b Witness) int { return strings.Compare(a.Country, b.Country) })
	return Checkpoints.Put(tx, id, k)
}

// prune keeps the best checkpoint (the newest with as many cosignatures as are wanted, else the newest of those with most) and what came after it, but no
// more than a few: those right behind the best go first.
func prune(tx *store.Tx, wanted int) error {
	var ids []string
	best, most := 0, 0
	for id, k := range Checkpoints.All(tx) {
		if n := min(len(k.By), wanted); n >= most {
			best, most = len(ids), n
		}
		ids = append(ids, id)
	}
	if err := tx.Err(); err != nil {
		return err
	}
	behind := ids[min(best+1, len(ids)):]
	for _, id := range append(slices.Clone(ids[:best]), behind[:max(0, len(behind)-maxCheckpoints)]...) {
		if err := Checkpoints.Delete(tx, id); err != nil {
			return err
		}
	}
	return nil
}
