package accounting

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"proofmark/crypto"
	"proofmark/crypto/proof"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// ProveRequest asks for the proof of one entry.
type ProveRequest struct {
	Index      int64 `json:"index"`
	HeaderOnly bool  `json:"header_only,omitempty"` // for somebody who may not see who did what with which object
	Links      bool  `json:"links,omitempty"`       // with the messages between a disclosure and its receipt, which speak of other objects
}

// Proved is a bundle, and what it could not hold.
type Proved struct {
	Bundle  []byte   `json:"bundle"`
	Missing []string `json:"missing"` // in words
}

func nothing(*store.Tx) (struct{}, error) { return struct{}{}, nil }

// receiptsLookedAt bounds the entries among which the receipt of a disclosure is looked for: those of one document and one country.
const receiptsLookedAt = 1000

// Prove makes the proof bundle of an entry, under the last checkpoint that members have cosigned if it covers the entry, else under the newest one.
func (s *Service) Prove(ctx context.Context, who desk.Actor, r ProveRequest) (*Proved, error) {
	size, err := s.o.Desk.Store.AuditSize()
	if err != nil {
		return nil, err
	}
	missing := r.Index < 0 || r.Index >= size
	shown := "with its body"
	if r.HeaderOnly {
		shown = "its header alone"
	}
	if err := s.read(ctx, who, policy.AuditProve, protocol.AuditEntry{AuditBody: protocol.AuditBody{Object: strconv.FormatInt(r.Index, 10), Event: "proof of an audit entry made, " + shown}}); err != nil {
		return nil, err
	}
	if missing {
		return nil, desk.NotFound("there is no entry %d: the log has the entries 0 to %d; audit query lists them", r.Index, size-1)
	}
	return s.bundle(ctx, r)
}

// Bundle makes the proof bundle of an entry for an act that was authorised and recorded as what it is.
func (s *Service) Bundle(ctx context.Context, index int64) ([]byte, error) {
	p, err := s.bundle(ctx, ProveRequest{Index: index})
	if err != nil {
		return nil, err
	}
	return p.Bundle, nil
}

func (s *Service) bundle(ctx context.Context, r ProveRequest) (*Proved, error) {
	noted, err := s.receiptOf(ctx, r)
	if err != nil {
		return nil, err
	}
	b := proof.Bundle{Country: s.o.Desk.Country}
	out := &Proved{Missing: []string{}}
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		checkpoint, size, err := s.checkpoint(tx, max(r.Index, noted))
		if err != nil {
			return err
		}
		first, e, err := s.entry(tx, r.Index, size, checkpoint)
		if err != nil {
			return err
		}
		b.Entries = []proof.Entry{first}
		if r.HeaderOnly {
			b.Entries[0] = first.Bare()
			return nil
		}
		if first.Body == "" {
			out.Missing = append(out.Missing, "the body was erased, as its retention or a withdrawal demands: the header is proved")
			return nil
		}
		switch {
		case e.Action == protocol.ActDisclose && e.Details["message"] != "":
			return s.disclosure(tx, r, e, noted, size, checkpoint, &b, out)
		case e.Action == protocol.ActReceive && e.Counterpart != "":
			return s.received(tx, e, &b, out)
		}
		return nil
	})
	if err == nil {
		out.Bundle, err = b.Encode()
	}
	if err != nil {
		return nil, fmt.Errorf("prove entry %d: %w", r.Index, err)
	}
	return out, nil
}

// checkpoint chooses the signed note that covers an entry: the one that members have cosigned, where it does, else the newest.
func (s *Service) checkpoint(tx *store.Tx, index int64) (note []byte, size int64, err error) {
	newest, err := tx.Checkpoint()
	if err != nil {
		return nil, 0, err
	}
	now, _, err := store.ParseCheckpoint(newest)
	if err != nil {
		return nil, 0, err
	}
	if note, err = s.o.Cosigned(tx); err != nil {
		return nil, 0, fmt.Errorf("cosigned checkpoint: %w", err)
	}
	if note == nil {
		return newest, now, nil
	}
	if size, _, err = store.ParseCheckpoint(note); err != nil {
		return nil, 0, err
	}
	if size <= index || size > now { // beyond what there is: the log was put back to an older state
		return newest, now, nil
	}
	return note, size, nil
}

func (s *Service) entry(tx *store.Tx, index, size int64, checkpoint []byte) (proof.Entry, protocol.AuditEntry, error) {
	leaf, err := tx.AuditLeaf(index)
	if err != nil {
		return proof.Entry{}, protocol.AuditEntry{}, err
	}
	e, err := leaf.Entry()
	if err != nil {
		return proof.Entry{}, e, err
	}
	p, err := proof.NewEntry(leaf, index, size, tx.AuditHashes(), checkpoint)
	return p, e, err
}

// receiptOf finds the entry that noted the receipt for a disclosure; -1 where there is none, or none is wanted.
func (s *Service) receiptOf(ctx context.Context, r ProveRequest) (int64, error) {
	if r.HeaderOnly {
		return -1, nil
	}
	var e protocol.AuditEntry
	if err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		leaf, err := tx.AuditLeaf(r.Index)
		if err != nil {
			return err
		}
		e, err = leaf.Entry()
		return err
	}); err != nil {
		return -1, err
	}
	if e.Action != protocol.ActDisclose || e.Details["message"] == "" || len(e.Documents) == 0 {
		return -1, nil
	}
	list, err := s.o.Desk.Store.QueryAudit(ctx, store.AuditQuery{Object: e.Documents[0], Counterpart: e.Counterpart, Action: string(protocol.ActDisclose), Limit: receiptsLookedAt})
	if err != nil {
		return -1, err
	}
	found := int64(-1)
	for _, n := range list { // the newest first: the last that fits is the first receipt
		if n.Index > r.Index && n.Kind == "receipt" && n.Channel == e.Channel && n.MessageSeq >= e.MessageSeq && n.Details["receipt"] != "" {
			found = n.Index
		}
	}
	return found, nil
}

// disclosure adds what was sent and the receipt for it, as far as they are kept.
func (s *Service) disclosure(tx *store.Tx, r ProveRequest, e protocol.AuditEntry, noted, size int64, checkpoint []byte, b *proof.Bundle, out *Proved) error {
	to, ch := protocol.Country(e.Counterpart), protocol.Channel(e.Channel)
	if len(e.Documents) > 0 {
		message, err := s.o.Dispatch.SentAgain(tx, to, ch, e.MessageSeq, e.Documents[0])
		if err != nil {
			return err
		}
		if message != nil && protocol.MessageHash(message) == e.Details["message"] {
			b.Message = message
		}
	}
	if b.Message == nil {
		out.Missing = append(out.Missing, "the message is not kept as it was sent: its document was erased or withdrawn, or sent once more with other disclosures")
	}
	if noted < 0 {
		out.Missing = append(out.Missing, "no receipt of "+e.Counterpart+" for it is kept")
		return nil
	}
	second, note, err := s.entry(tx, noted, size, checkpoint)
	if err != nil {
		return err
	}
	b.Receipt, b.Entries = note.Details["receipt"], append(b.Entries, second)
	if !r.Links || b.Message == nil || note.MessageSeq == e.MessageSeq {
		return nil
	}
	b.Links, err = s.links(tx, to, ch, e.MessageSeq, note)
	if err == nil && b.Links == nil {
		out.Missing = append(out.Missing, "the messages between this one and the one that the receipt names are not all kept as they were sent")
	}
	return err
}

// links makes the messages behind seq up to the receipt's again; nil where one of them cannot be.
func (s *Service) links(tx *store.Tx, to protocol.Country, ch protocol.Channel, seq uint64, note protocol.AuditEntry) ([][]byte, error) {
	payload, _, err := crypto.Unverified(note.Details["receipt"], crypto.TypeReceipt, 2*protocol.MaxReceipt)
	if err != nil {
		return nil, err
	}
	if r, err := protocol.DecodeReceipt(payload); err != nil || r.UpTo != note.MessageSeq {
		return nil, err // a long one, noted in several entries
	}
	carried := map[uint64]string{}
	for _, id := range note.Documents {
		c, n, err := s.o.Dispatch.SentAs(tx, id, to)
		if err != nil {
			return nil, err
		}
		if c == ch {
			carried[n] = id
		}
	}
	var out [][]byte
	for n := seq + 1; n <= note.MessageSeq && len(out) < protocol.MaxBatchCount; n++ {
		if carried[n] == "" {
			return nil, nil
		}
		m, err := s.o.Dispatch.SentAgain(tx, to, ch, n, carried[n])
		if err != nil || m == nil {
			return nil, err
		}
		out = append(out, m)
	}
	if seq+uint64(len(out)) != note.MessageSeq {
		return nil, nil
	}
	return out, nil
}

// received adds the document that the entry is about, as its issuer signed it.
func (s *Service) received(tx *store.Tx, e protocol.AuditEntry, b *proof.Bundle, out *Proved) error {
	rec, err := dispatch.Documents.Get(tx, e.Object)
	switch {
	case errors.Is(err, store.ErrNotFound):
		out.Missing = append(out.Missing, "the document is not held any more")
		return nil
	case err != nil:
		return err
	case string(rec.Issuer) != e.Counterpart || rec.Status != dispatch.Accepted:
		return nil
	}
	b.Document = rec.JWS
	return nil
}
