package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// errWorkflow: the handler failed on a document without saying what is wrong with it.
var errWorkflow = errors.New("the workflow failed on the document")

// accept asks policy about an incoming document and hands it to its workflow. What is to be kept of it is put into rec, what happened into e.
func (d *Dispatch) accept(tx *store.Tx, in incoming, rec *Record, e *protocol.AuditEntry) error {
	doc := in.doc
	known, err := Documents.Get(tx, doc.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		known = nil
	case err != nil:
		return err
	case known.Issuer != in.msg.From || known.JWS != in.msg.Document:
		return desk.Conflict("another document has the id %s already", doc.ID)
	default: // a document that is held: perhaps more of it is disclosed
		e.Event = "received again"
		rec.At, rec.Hold = known.At, known.Hold
		rec.Disclosures = union(known.Disclosures, in.msg.Disclosures)
		if doc, err = protocol.Open(in.signed, rec.Disclosures); err != nil {
			return err
		}
	}
	dec := policy.Decision{Allow: true}
	if duty(doc.Type) {
		e.Ground = groundWithdrawal
	} else {
		principal, err := d.Principal(tx, in.msg.From)
		if err != nil {
			return err
		}
		dec = d.Policy().Decide(policy.Request{
			Principal: principal,
			Action:    policy.Accept,
			Resource:  policy.Resource{Type: string(doc.Type), ID: doc.ID, Attributes: d.attributesOf(doc, in.msg.Terms)},
			Purpose:   doc.Purpose,
			Now:       tx.Now(),
		})
		e.Policies, e.PolicyVer = desk.PolicyRefs(dec), d.Policy().Version()
	}
	if !dec.Allow {
		return desk.Forbidden("policy does not accept it: %s", why(dec))
	}
	own := terms(dec, nil, d.Country, in.msg.From, tx.Now())
	own.Operations = nil             // for which it was shared is its owner's to say
	t := stricter(in.msg.Terms, own) // this country's own law may be stricter than the owner's terms
	t.Withheld = in.msg.Terms.Withheld
	if known != nil && known.Terms != nil {
		t = stricter(*known.Terms, t)
		t.Withheld = protocol.StillWithheld(known.Terms.Withheld, in.msg.Terms.Withheld)
	}
	if !t.RetainUntil.IsZero() && !t.RetainUntil.After(tx.Now()) {
		return desk.Invalid("its retention ended on %s, before it arrived", t.RetainUntil.Format(time.DateOnly))
	}
	rec.Terms, e.Handling = &t, protocol.ReadHandling(t.Handling, in.msg.From).Codes()
	if known != nil && len(rec.Disclosures) == len(known.Disclosures) && sameTerms(known.Terms, &t) {
		return nil // nothing new: exactly once in effect
	}
	h, ok := d.handlers[doc.Type]
	switch doc.Type { // what belongs to no workflow
	case protocol.TypeWithdrawal:
		h, ok = d.receiveWithdrawal, true
	case protocol.TypeWithdrawalConfirmation:
		h, ok = d.receiveConfirmation, true
	}
	if !ok {
		return fmt.Errorf("%w: %s has no workflow in this node", protocol.ErrUnknownType, doc.Type)
	}
	return d.handle(tx, h, Received{From: in.msg.From, Document: doc, Terms: t})
}

// handle runs a handler so that its failure undoes its writes alone. A panic is its failure on this document: sent again, the document would only
// bring it about again, and hold up everything behind it.
func (d *Dispatch) handle(tx *store.Tx, h Handler, in Received) (err error) {
	defer func() {
		if p := recover(); p != nil {
			d.Log.Error("panic in the handler of a document", "type", in.Document.Type, "from", in.From, "document", in.Document.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: panic: %v", errWorkflow, p)
		}
	}()
	err = tx.Nested(func(tx *store.Tx) error { return h(tx, in) })
	if err == nil || storeFault(tx, err) {
		return err
	}
	if status, _ := verdict(err); status == "" {
		d.Log.Error("the handler of a document failed", "type", in.Document.Type, "from", in.From, "document", in.Document.ID, "error", err)
		return fmt.Errorf("%w: %w", errWorkflow, err)
	}
	return err
}

// storeFault tells a failure of this node's store from a failure over the document: nothing may be refused because a disk is full.
func storeFault(tx *store.Tx, err error) bool {
	for _, class := range []error{store.ErrFailed, store.ErrClosed, store.ErrDiskReserve, store.ErrCorrupt, store.ErrAuditFault, store.ErrTxDone, store.ErrReadOnly,
		context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, class) {
			return true
		}
	}
	var path *fs.PathError
	var sys syscall.Errno
	return tx.Err() != nil || errors.As(err, &path) || errors.As(err, &sys)
}

// union adds the disclosures that are new.
func union(held, more []protocol.Disclosure) []protocol.Disclosure {
	out := slices.Clone(held)
	for _, d := range more {
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// stricter unites the restrictions of two terms: all handling codes, the earlier end of retention.
func stricter(a, b protocol.Terms) protocol.Terms {
	t := protocol.Terms{Handling: slices.Concat(a.Handling, b.Handling), RetainUntil: a.RetainUntil, Operations: slices.Concat(a.Operations, b.Operations)}
	slices.Sort(t.Handling)
	t.Handling = slices.Compact(t.Handling)
	slices.Sort(t.Operations)
	t.Operations = slices.Compact(t.Operations)
	if t.RetainUntil.IsZero() || !b.RetainUntil.IsZero() && b.RetainUntil.Before(t.RetainUntil) {
		t.RetainUntil = b.RetainUntil
	}
	return t
}

func sameTerms(a, b *protocol.Terms) bool {
	return a != nil && slices.Equal(a.Handling, b.Handling) && slices.Equal(a.Operations, b.Operations) && slices.Equal(a.Withheld, b.Withheld) && a.RetainUntil.Equal(b.RetainUntil)
}

// attributesOf gathers what policy may know of a foreign document: its owner withheld the rest.
func (d *Dispatch) attributesOf(doc *protocol.Document, t protocol.Terms) map[string]any {
	attrs := map[string]any{"owner": string(doc.Issuer), "addressee": string(d.Country), "handling": protocol.ReadHandling(t.Handling, doc.Issuer).Codes()}
	if len(t.Operations) > 0 {
		attrs["operations"] = t.Operations
	}
	fields := doc.Pick("calibre", "offence", "origin", "firearm")
	text := func(raw json.RawMessage) (s string) {
		if raw != nil && json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	}
	calibre := text(fields[0])
	if calibre == "" && fields[3] != nil {
		var f *protocol.FirearmDescription
		if json.Unmarshal(fields[3], &f) == nil && f != nil {
			calibre = f.Calibre
		}
	}
	for k, v := range map[string]string{"calibre": calibre, "offence": text(fields[1]), "origin": text(fields[2])} {
		if v != "" {
			attrs[k] = v
		}
	}
	return attrs
}
