package dispatch

import (
	"errors"
	"fmt"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Cause is why a document ends.
type Cause string

// The causes.
const (
	CauseWithdrawn Cause = "withdrawn" // by its owner
	CauseExpired   Cause = "expired"   // its retention ended
)

// Ending is the end of a document, as the workflow of its type is told of it.
type Ending struct {
	ID     string
	Type   protocol.Type
	Issuer protocol.Country
	Own    bool   // this country withdrew it: its record stays, and nothing is to be erased here
	Held   bool   // withdrawn, and a legal hold keeps it: it is to be marked, and not to be used any more
	Cause  Cause  //
	Reason string // of a withdrawal

	NeverSent bool // an own document of which no country was ever sent anything

	// Document is opened with all that was disclosed of it; nil where it is not held any more or cannot be read.
	Document *protocol.Document
}

// Eraser erases what a workflow made of a document that ends, in the transaction that erases the document itself, and says what stays and on what
// ground. It is called for documents that are not held any more, too: what was made of them may still be here. Called again it changes nothing.
type Eraser func(tx *store.Tx, e Ending) ([]protocol.Remainder, error)

// end tells the workflows of a document's type that it ends.
func (d *Dispatch) end(tx *store.Tx, e Ending) ([]protocol.Remainder, error) {
	var stays []protocol.Remainder
	for _, erase := range d.erasers[e.Type] {
		more, err := erase(tx, e)
		if err != nil {
			return nil, err
		}
		stays = append(stays, more...)
	}
	if len(stays) > protocol.MaxRemainders-1 { // one place is for the hold of the document itself
		stays = stays[:protocol.MaxRemainders-1]
		stays[len(stays)-1].Note = "and more of this kind"
	}
	return stays, nil
}

// opened opens a document that was verified before; nil where it cannot be read.
func (d *Dispatch) opened(r *Record) *protocol.Document {
	payload, _, err := crypto.Unverified(r.JWS, crypto.TypeDocument, 2*protocol.MaxDocument)
	if err != nil {
		return nil
	}
	doc, err := protocol.Open(payload, r.Disclosures)
	if err != nil {
		return nil
	}
	return doc
}

// erase ends a foreign document: what its workflow made of it, and the document.
func (d *Dispatch) erase(tx *store.Tx, rec *Record, cause Cause, reason, withdrawal string) ([]protocol.Remainder, error) {
	var stays []protocol.Remainder
	if rec.Status == Accepted {
		var err error
		e := Ending{ID: rec.ID, Type: rec.Type, Issuer: rec.Issuer, Cause: cause, Reason: reason, Document: d.opened(rec)}
		if stays, err = d.end(tx, e); err != nil {
			return nil, fmt.Errorf("erase %s %s: %w", rec.Type, rec.ID, err)
		}
	}
	if err := Documents.Delete(tx, rec.ID); err != nil {
		return nil, err
	}
	e := erasure(rec, stays)
	e.Ground, e.Event = "retention", "erased: its retention ended"
	if cause == CauseWithdrawn {
		e.Ground, e.Event = groundWithdrawal, "erased: withdrawn by its owner"
		e.Documents, e.Details["reason"] = append(e.Documents, withdrawal), reason
	}
	tx.Audit(e)
	tx.OnCommit(func() { d.erased.Add(1) })
	return stays, nil
}

// erasure is the entry of an erasure, or of one that a hold keeps from happening.
func erasure(rec *Record, stays []protocol.Remainder) protocol.AuditEntry {
	e := protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActErase, Counterpart: string(rec.Issuer), Decision: "permit"},
		AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: string(rec.Type), Object: rec.ID, Documents: []string{rec.ID},
			Details: map[string]string{"type": string(rec.Type), "status": string(rec.Status), "sha256": rec.hash()}},
	}
	if rec.Terms != nil {
		e.Handling = protocol.ReadHandling(rec.Terms.Handling, rec.Issuer).Codes()
		if !rec.Terms.RetainUntil.IsZero() {
			e.Details["retain_until"] = rec.Terms.RetainUntil.UTC().Format(time.RFC3339)
		}
	}
	if len(stays) > 0 {
		e.Details["stays"] = remainders(stays)
	}
	return e
}

// errWithdrawn: the document was withdrawn before it arrived.
var errWithdrawn = errors.New("withdrawn by its owner before it arrived: it is not kept")

// withdrawnBefore is the fault of a document that its owner withdrew already: the urgent channel overtakes the bulk one.
func withdrawnBefore(tx *store.Tx, id string, from protocol.Country) (fault, err error) {
	if id == "" {
		return nil, nil
	}
	t, err := Tombstones.Get(tx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case t.Issuer != from:
		return nil, nil // the id is not this sender's: refused for that
	}
	return fmt.Errorf("%w (withdrawal %s, %s)", errWithdrawn, t.Withdrawal, t.Reason), nil
}

// receiveWithdrawal erases what its owner takes back, and confirms that.
func (d *Dispatch) receiveWithdrawal(tx *store.Tx, in Received) error {
	body, err := protocol.BodyOf[protocol.WithdrawalBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	if err := protocol.CheckDocumentID(body.Document, in.From); err != nil {
		return desk.Invalid("only its issuer withdraws a document: %v", err)
	}
	copies, err := copiesOf(tx, body.Document, in.From)
	if err != nil {
		return err
	}
	for _, c := range copies {
		if duty(c.Type) {
			return desk.Invalid("document %s is a %s, which cannot be withdrawn", body.Document, c.Type)
		}
		if hash := protocol.DocumentHash(c.JWS); c.Status == Accepted && hash != body.SHA256 {
			return desk.Invalid("document %s is held here with the hash %s, the withdrawal names %s", body.Document, hash, body.SHA256)
		}
	}
	stone := &Tombstone{ID: body.Document, Type: body.Kind, Issuer: in.From, SHA256: body.SHA256, Withdrawal: in.Document.ID, Reason: body.Reason, At: tx.Now()}
	confirmation, err := d.settle(tx, stone, copies)
	if err != nil {
		return err
	}
	if err := Tombstones.Put(tx, stone.ID, stone); err != nil {
		return err
	}
	return d.confirm(tx, stone, confirmation)
}

// copiesOf lists what is held of a document: the accepted copy, and what came under its id and was refused or not understood.
func copiesOf(tx *store.Tx, id string, issuer protocol.Country) ([]*Record, error) {
	var out []*Record
	switch r, err := Documents.Get(tx, id); {
	case err == nil && r.Issuer == issuer:
		out = append(out, r)
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	for _, r := range Documents.By(tx, claimsIndex, id) {
		if r.Issuer == issuer {
			out = append(out, r)
		}
	}
	return out, tx.Err()
}

// settle erases the copies of a withdrawn document, but for those under a legal hold, and says what to confirm.
func (d *Dispatch) settle(tx *store.Tx, stone *Tombstone, copies []*Record) (*protocol.WithdrawalConfirmationBody, error) {
	out := &protocol.WithdrawalConfirmationBody{Withdrawal: stone.Withdrawal, Document: stone.ID, SHA256: stone.SHA256, Outcome: protocol.OutcomeNotHeld}
	accepted := false
	for _, c := range copies {
		accepted = accepted || c.Status == Accepted
		if c.Hold != nil {
			stays, err := d.keep(tx, stone, c)
			if err != nil {
				return nil, err
			}
			out.Outcome, out.Stays = protocol.OutcomeHeld, append(out.Stays, stays...)
			continue
		}
		stays, err := d.erase(tx, c, CauseWithdrawn, stone.Reason, stone.Withdrawal)
		if err != nil {
			return nil, err
		}
		out.Stays = append(out.Stays, stays...)
		if out.Outcome == protocol.OutcomeNotHeld {
			out.Outcome = protocol.OutcomeErased
		}
	}
	if !accepted { // it may have been here, and its traces in case records still are
		stays, err := d.end(tx, Ending{ID: stone.ID, Type: stone.Type, Issuer: stone.Issuer, Cause: CauseWithdrawn, Reason: stone.Reason})
		if err != nil {
			return nil, err
		}
		out.Stays = append(out.Stays, stays...)
	}
	if out.Outcome == protocol.OutcomeErased {
		stone.Erased = tx.Now()
		out.Erased = stone.Erased.UTC()
	}
	out.Stays = out.Stays[:min(len(out.Stays), protocol.MaxRemainders)]
	return out, nil
}

// keep marks a document that its owner withdrew and a legal hold keeps.
func (d *Dispatch) keep(tx *store.Tx, stone *Tombstone, rec *Record) ([]protocol.Remainder, error) {
	rec.Withdrawn = &Withdrawn{Document: stone.Withdrawal, Reason: stone.Reason, At: tx.Now()}
	if err := Documents.Put(tx, rec.ID, rec); err != nil {
		return nil, err
	}
	stays := []protocol.Remainder{{What: "document", Ground: protocol.GroundLegalHold, Note: rec.Hold.Ground}}
	if rec.Status == Accepted {
		if _, err := d.end(tx, Ending{ID: rec.ID, Type: rec.Type, Issuer: rec.Issuer, Held: true, Cause: CauseWithdrawn, Reason: stone.Reason, Document: d.opened(rec)}); err != nil {
			return nil, err
		}
	}
	e := erasure(rec, stays)
	e.Decision, e.Ground, e.Event = "deny", "legal-hold", "withdrawn by its owner and not erased: "+rec.Hold.Ground
	e.Documents, e.Details["reason"] = append(e.Documents, stone.Withdrawal), stone.Reason
	tx.Audit(e)
	return stays, nil
}

// confirm tells the owner what became of a withdrawn document.
func (d *Dispatch) confirm(tx *store.Tx, stone *Tombstone, body *protocol.WithdrawalConfirmationBody) error {
	id, err := protocol.NewDocumentID(d.Country, tx.Now(), tx.Random())
	if err != nil {
		return err
	}
	f := Facts{To: stone.Issuer, Kind: string(stone.Type), Object: stone.ID, Actor: desk.Node.Name}
	rec, err := d.compose(tx, id, protocol.TypeWithdrawalConfirmation, body, f)
	if err != nil {
		return err
	}
	if err := Documents.Insert(tx, id, rec); err != nil {
		return err
	}
	return d.queue(tx, rec, stone.Issuer, policy.Decision{Allow: true}, nil)
}
