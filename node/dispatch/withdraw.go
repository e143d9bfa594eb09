package dispatch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// groundWithdrawal is the ground of everything that a withdrawal brings about, in the log of both sides.
const groundWithdrawal = "withdrawal"

// duty tells the documents that no policy decides on: whoever gave something away may always take it back, and is always told what became of it.
func duty(t protocol.Type) bool {
	return !protocol.Asked(t)
}

// withdrawnBy says whose act the withdrawal of a document is: that of whoever may issue one of its type.
var withdrawnBy = map[protocol.Type]policy.Action{
	protocol.TypeSignature:    policy.ExhibitWithdraw,
	protocol.TypeLead:         policy.LeadRetract,
	protocol.TypeLeadAck:      policy.LeadAcknowledge,
	protocol.TypeFeedback:     policy.GiveFeedback,
	protocol.TypeHit:          policy.HitConfirm,
	protocol.TypeTraceRequest: policy.TraceNew,
	protocol.TypeTraceAnswer:  policy.TraceRespond,
	protocol.TypeScanRelease:  policy.ScanRefuse,
	protocol.TypePermission:   policy.PermissionGrant,
}

// WithdrawActions are the permissions of which withdrawing a document needs one.
func WithdrawActions() []policy.Action {
	return slices.Compact(slices.Sorted(maps.Values(withdrawnBy)))
}

// WithdrawAction is the permission that withdrawing a document needs; of what cannot be withdrawn the error says why.
func (d *Dispatch) WithdrawAction(tx *store.Tx, id string) (policy.Action, error) {
	rec, err := find(tx, id)
	if err != nil {
		return "", err
	}
	return rec.withdrawable(d.Country)
}

func (r *Record) withdrawable(own protocol.Country) (policy.Action, error) {
	if r.Status != Own && r.Status != Recalled {
		return "", desk.Conflict("document %.80s was issued by %s: only %s can withdraw it. A copy held here ends with its terms, or by their withdrawal", r.ID, r.Issuer, r.Issuer)
	}
	action, ok := withdrawnBy[r.Type]
	if !ok || !protocol.Withdrawable(r.Type) {
		return "", desk.Invalid("documents of the type %s cannot be withdrawn: they hold nothing of a case", r.Type)
	}
	return action, nil
}

// Withdrawal is what a person says who withdraws a document.
type Withdrawal struct {
	Reason string `json:"reason"` // one of protocol.WithdrawalReasons
	Note   string `json:"note,omitempty"`
}

// Check says what is wrong with it before anything is looked up.
func (w Withdrawal) Check() error {
	if !slices.Contains(protocol.WithdrawalReasons, w.Reason) {
		return desk.Invalid("reason %.40q is not one of %s", w.Reason, strings.Join(protocol.WithdrawalReasons, ", "))
	}
	if w.Reason == protocol.ReasonOther && strings.TrimSpace(w.Note) == "" {
		return desk.Invalid("the reason %s says more in a note (--note)", protocol.ReasonOther)
	}
	return nil
}

// Withdraw takes back a document of this country's own, in the caller's transaction: the record is marked, deliveries that have not left never will, and
// everybody who was sent the document gets the withdrawal, whatever policy says today and whether a member is active or not. Done again it changes nothing.
func (d *Dispatch) Withdraw(tx *store.Tx, who desk.Actor, id string, w Withdrawal) (*Recall, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	rec, err := find(tx, id)
	if err != nil {
		return nil, err
	}
	if _, err := rec.withdrawable(d.Country); err != nil {
		return nil, err
	}
	if rec.Status == Recalled {
		return d.recall(tx, rec)
	}
	wid, err := protocol.NewDocumentID(d.Country, tx.Now(), tx.Random())
	if err != nil {
		return nil, err
	}
	body := &protocol.WithdrawalBody{Document: rec.ID, Kind: rec.Type, SHA256: protocol.DocumentHash(rec.JWS), Reason: w.Reason, Note: w.Note}
	notice, err := d.compose(tx, wid, protocol.TypeWithdrawal, body, d.dutyFacts(rec, who.Name))
	if err != nil {
		return nil, err
	}
	if err := Documents.Insert(tx, wid, notice); err != nil {
		return nil, fmt.Errorf("withdraw %s: %w", id, err)
	}
	told, dropped, err := d.tellHolders(tx, rec, notice)
	if err != nil {
		return nil, fmt.Errorf("withdraw %s: %w", id, err)
	}
	opened := d.opened(rec)
	rec.Status = Recalled
	rec.Withdrawn = &Withdrawn{Document: wid, Reason: w.Reason, Note: w.Note, At: tx.Now(), By: who.Name}
	if err := Documents.Put(tx, rec.ID, rec); err != nil {
		return nil, err
	}
	if _, err := d.end(tx, Ending{ID: rec.ID, Type: rec.Type, Issuer: d.Country, Own: true, Cause: CauseWithdrawn, Reason: w.Reason, NeverSent: len(told) == 0, Document: opened}); err != nil {
		return nil, fmt.Errorf("withdraw %s: %w", id, err)
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Decision: "permit", Ground: groundWithdrawal},
		AuditBody: protocol.AuditBody{Actor: who.Name, Kind: string(rec.Type), Object: rec.ID, Case: caseOf(rec), Event: "withdrawn: " + w.Reason, Documents: []string{rec.ID, wid},
			Details: map[string]string{"type": string(rec.Type), "sha256": body.SHA256, "told": strings.Join(told, " "), "never_sent": strings.Join(dropped, " ")}},
	})
	return d.recall(tx, rec)
}

// tellHolders queues a withdrawal for every country that was ever sent the document, by wire or bundle, and drops what has not left.
func (d *Dispatch) tellHolders(tx *store.Tx, rec, notice *Record) (told, dropped []string, err error) {
	var all []*Delivery
	for _, dl := range DeliveriesOf(tx, rec.ID) {
		all = append(all, dl)
	}
	if err := tx.Err(); err != nil {
		return nil, nil, err
	}
	for _, dl := range all {
		switch {
		case dl.State == Sent, dl.State == Delivered:
			if err := d.queue(tx, notice, dl.Peer, policy.Decision{Allow: true}, nil); err != nil {
				return nil, nil, err
			}
			told = append(told, string(dl.Peer))
		case dl.State == Queued, dl.State == Awaiting:
			if dl.State == Queued {
				if _, err := tx.Unqueue(string(dl.Peer), string(dl.Channel), rec.ID); err != nil {
					return nil, nil, err
				}
			}
			dl.State = Dropped
			if err := Deliveries.Put(tx, deliveryID(rec.ID, dl.Peer), dl); err != nil {
				return nil, nil, err
			}
			dropped = append(dropped, string(dl.Peer))
		}
	}
	return told, dropped, nil
}

// dutyFacts are the facts of a withdrawal or confirmation: it is about a document.
func (d *Dispatch) dutyFacts(about *Record, actor string) Facts {
	f := Facts{Kind: string(about.Type), Object: about.ID, Actor: actor}
	if about.Facts != nil {
		f.Purpose, f.Case = about.Facts.Purpose, about.Facts.Case
	}
	return f
}

func caseOf(r *Record) string {
	if r.Facts == nil {
		return ""
	}
	return r.Facts.Case
}

// receiveConfirmation notes what a holder did with a document that this country withdrew.
func (d *Dispatch) receiveConfirmation(tx *store.Tx, in Received) error {
	body, err := protocol.BodyOf[protocol.WithdrawalConfirmationBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	notice, err := Documents.Get(tx, body.Withdrawal)
	if errors.Is(err, store.ErrNotFound) || err == nil && (notice.Status != Own || notice.Type != protocol.TypeWithdrawal) {
		return desk.NotFound("it confirms the withdrawal %s, which this country never issued", body.Withdrawal)
	}
	if err != nil {
		return err
	}
	dl, err := Deliveries.Get(tx, deliveryID(notice.ID, in.From))
	if errors.Is(err, store.ErrNotFound) || err == nil && dl.Sent.IsZero() {
		return desk.Invalid("it confirms the withdrawal %s, which %s was never sent", body.Withdrawal, in.From)
	}
	if err != nil {
		return err
	}
	rec, err := Documents.Get(tx, notice.Facts.Object)
	if errors.Is(err, store.ErrNotFound) {
		return desk.Conflict("the withdrawal %s was confirmed by all who held its document, which was purged here since", notice.ID)
	}
	if err != nil {
		return err
	}
	switch hash := protocol.DocumentHash(rec.JWS); {
	case body.Document != rec.ID:
		return desk.Invalid("the withdrawal %s is of document %s, not of %s", notice.ID, rec.ID, body.Document)
	case body.SHA256 != hash:
		return desk.Invalid("document %s has the hash %s, the confirmation names %s", rec.ID, hash, body.SHA256)
	case dl.Confirmed != nil && dl.Confirmed.Outcome != protocol.OutcomeHeld:
		return desk.Conflict("%s confirmed the withdrawal %s already: %s", in.From, notice.ID, dl.Confirmed.Outcome)
	}
	dl.Confirmed = &Confirmed{Document: in.Document.ID, Outcome: body.Outcome, Erased: body.Erased, Stays: body.Stays, At: tx.Now()}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActReceive, Counterpart: string(in.From), Decision: "permit", Ground: groundWithdrawal},
		AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: string(rec.Type), Object: rec.ID, Case: caseOf(rec), Event: "withdrawal confirmed: " + body.Outcome,
			Documents: []string{rec.ID, notice.ID, in.Document.ID}, Details: map[string]string{"sha256": body.SHA256, "stays": remainders(body.Stays)}},
	})
	return Deliveries.Put(tx, deliveryID(notice.ID, in.From), dl)
}

// remainders writes what stays in one line.
func remainders(list []protocol.Remainder) string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = strings.TrimSpace(strings.Join(slices.DeleteFunc([]string{r.What, r.Reference, r.Ground, r.Note}, func(s string) bool { return s == "" }), " "))
	}
	return strings.Join(out, "; ")
}
