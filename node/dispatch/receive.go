package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// AcceptBatch verifies a batch and applies its messages in their order, each exactly once, and returns the signed cumulative receipt for the
// channel. Messages received before are skipped. With ErrGap nothing was applied, and the receipt tells the sender where to resume.
func (d *Dispatch) AcceptBatch(ctx context.Context, from protocol.Country, manifest string, payload []byte) (receipt string, err error) {
	keys, err := d.keysOf(from, d.Now())
	if err != nil {
		return "", err
	}
	m, err := d.openManifest(from, keys, manifest)
	if err != nil {
		return "", d.refused(ctx, from, "batch", err)
	}
	d.witnessed(m.Sent)
	what := fmt.Sprintf("batch from %s (%s %d)", from, m.Channel, m.First)
	list, err := d.openBatch(m, keys, payload)
	if err != nil {
		return "", d.refused(ctx, from, "batch", fmt.Errorf("%s: %w", what, err))
	}
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		if err := d.mayExchange(tx, from); err != nil {
			return err
		}
		if err := d.apply(tx, from, m, list); err != nil {
			return err
		}
		return keepManifest(tx, from, m, manifest)
	})
	if err != nil && !errors.Is(err, ErrGap) {
		return "", d.refused(ctx, from, "batch", fmt.Errorf("%s: %w", what, err))
	}
	receipt, rerr := d.CurrentReceipt(ctx, from, m.Channel)
	return receipt, errors.Join(err, rerr)
}

// apply runs in the store's writer: everything slow was done before.
func (d *Dispatch) apply(tx *store.Tx, from protocol.Country, m *protocol.Manifest, list []incoming) error {
	head, err := tx.InHead(string(from), string(m.Channel))
	if err != nil {
		return err
	}
	for _, in := range list {
		switch {
		case in.msg.Seq < head.Seq:
			continue
		case in.msg.Seq == head.Seq:
			if in.hash != head.Head {
				return fmt.Errorf("message %d: %w", in.msg.Seq, ErrFork)
			}
			continue
		case in.msg.Seq > head.Seq+1:
			return fmt.Errorf("message %d, this node has %d: %w", in.msg.Seq, head.Seq, ErrGap)
		case in.msg.Prev != head.Head:
			return fmt.Errorf("message %d: %w", in.msg.Seq, ErrFork)
		}
		if err := d.receive(tx, in); err != nil {
			return fmt.Errorf("message %d: %w", in.msg.Seq, err)
		}
		if err := tx.AdvanceIn(string(from), string(m.Channel), in.msg.Seq, in.hash); err != nil {
			return err
		}
		head.Seq, head.Head = in.msg.Seq, in.hash
	}
	return nil
}

// receive applies one message. The document is applied, or kept as refused or unread with the reason; a fault of the document never stops
// the channel, a fault of the store does. Every message leaves exactly one entry of its own in the log; what is refused beyond its sender's quota is
// counted there instead.
func (d *Dispatch) receive(tx *store.Tx, in incoming) error {
	rec := &Record{ID: in.header.ID, Type: in.header.Type, Issuer: in.msg.From, Status: Accepted, JWS: in.msg.Document,
		Disclosures: in.msg.Disclosures, Terms: &in.msg.Terms, At: tx.Now()}
	e := protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActReceive, Counterpart: string(in.msg.From), Decision: "permit", Ground: "policy"},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: string(in.header.Type), Object: in.header.ID, Event: "received", Channel: string(in.msg.Channel),
			MessageSeq: in.msg.Seq, Handling: protocol.ReadHandling(in.msg.Terms.Handling, in.msg.From).Codes(), Purpose: in.header.Purpose,
			Details: map[string]string{"message": in.hash, "type": string(in.header.Type)}},
	}
	fault, err := withdrawnBefore(tx, in.header.ID, in.msg.From)
	if err != nil {
		return err
	}
	if fault == nil {
		fault = in.fault
	}
	if fault == nil {
		fault = d.accept(tx, in, rec, &e)
	}
	if fault != nil {
		status, ground := verdict(fault)
		if status == "" {
			return fault
		}
		// What was not accepted holds no document's id: it may be the id of somebody else's document, or of a copy that was accepted.
		*rec = Record{ID: "message-" + in.hash, Document: in.header.ID, Type: in.header.Type, Issuer: in.msg.From, Status: status, Reason: cut(fault.Error()),
			JWS: in.msg.Document, Disclosures: in.msg.Disclosures, Terms: &in.msg.Terms, At: tx.Now()}
		if ground == groundPolicy {
			rec.SHA256, rec.JWS, rec.Disclosures = rec.hash(), "", nil
		}
		keep, err := d.room(tx, in.msg.From, rec)
		if err != nil || !keep {
			return err
		}
		if e.Ground = ground; status == Unread {
			e.Event = "kept unread"
		} else {
			e.Action, e.Decision, e.Event = protocol.ActDeny, "deny", "refused: "+rec.Reason
		}
		if errors.Is(fault, errWithdrawn) { // not a byte of it is kept
			e.Documents = []string{in.header.ID}
			tx.Audit(e)
			return nil
		}
	}
	if e.Object == "" {
		e.Object = rec.ID
	}
	e.Documents = []string{rec.ID}
	if err := Documents.Put(tx, rec.ID, rec); err != nil {
		return err
	}
	tx.Audit(e)
	return nil
}

// groundPolicy: this country's own policy, or a budget of it, refuses a document. What a country may not have it does not keep: id, type, issuer, time, hash
// and the reason are enough to tell the issuer what was refused.
const groundPolicy = "policy"

// verdict says what becomes of a document with a fault, and on what ground; no status for a fault of this node.
func verdict(fault error) (Status, string) {
	for _, v := range []struct {
		class  error
		status Status
		ground string
	}{
		{protocol.ErrUnknownType, Unread, "unknown-type"},
		{protocol.ErrNewerSchema, Unread, "unknown-type"},
		{ErrForged, Refused, "forged"},
		{errWithdrawn, Refused, groundWithdrawal},
		{desk.ErrForbidden, Refused, groundPolicy},
		{errWorkflow, Refused, "workflow"},
		{desk.ErrInvalid, Refused, "invalid"},
		{desk.ErrNotFound, Refused, "invalid"},
		{desk.ErrConflict, Refused, "invalid"},
		{protocol.ErrBadDocument, Refused, "invalid"},
		{protocol.ErrBadDisclosure, Refused, "invalid"},
	} {
		if errors.Is(fault, v.class) {
			return v.status, v.ground
		}
	}
	return "", ""
}

// maxReason bounds what is kept of an error that quotes foreign bytes, in bytes.
const maxReason = 400

func cut(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "") + "…"
}
