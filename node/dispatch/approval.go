package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// approvalsNeeded before a document goes that policy puts into the hands of two people.
const approvalsNeeded = 2

// ApprovalDays is how long a document waits for its approvals where the node's configuration says nothing else.
const ApprovalDays = 14

// unapproved is why a document is not shared yet that two people have to approve first.
const unapproved = "it needs the approval of two people first: `proofmark approval list` shows what waits"

// Wait is what a delivery that two people must approve has come to.
type Wait struct {
	Proposer  string     `json:"proposer"` // who made the document; no approval of its own
	Since     time.Time  `json:"since"`
	Until     time.Time  `json:"until"`    // it expires unapproved
	Policies  []string   `json:"policies"` // that ask for it
	Manner    string     `json:"manner"`   // what would be sent under which terms, as it was approved; another one needs new approvals
	Approvals []Approval `json:"approvals,omitempty"`
	Ended     string     `json:"ended,omitempty"` // why it never goes
	By        string     `json:"by,omitempty"`    // who ended it

	// Command that made the document, see store.Tx.Command: whoever gave it is told that it waits, also when the command is repeated.
	Command string `json:"command,omitempty"`
}

// Approval is one person's consent.
type Approval struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// awaitingApproval finds deliveries that wait, by the time when they expire.
const awaitingApproval = "approval"

// byCommand finds deliveries that wait by the command that made their documents.
const byCommand = "command"

func approvalKey(until time.Time) string { return until.UTC().Format(time.RFC3339) }

// held tells a decision that only wants two people's approval from a denial.
func held(dec policy.Decision) bool {
	return !dec.Allow && slices.Equal(dec.Errors, []string{unapproved})
}

// lift permits what waited and was approved in the manner in which it would go now.
func (d *Dispatch) lift(tx *store.Tx, rec *Record, dl *Delivery, dec policy.Decision) (policy.Decision, error) {
	if !held(dec) || dl == nil || dl.Wait == nil || len(dl.Wait.Approvals) < approvalsNeeded {
		return dec, nil
	}
	manner, err := d.manner(tx, rec, dec)
	if err == nil && manner == dl.Wait.Manner {
		dec.Allow, dec.Errors = true, nil
	}
	return dec, err
}

// manner describes what a permit would send: the fields withheld, the codes, how long it may be kept.
func (d *Dispatch) manner(tx *store.Tx, rec *Record, dec policy.Decision) (string, error) {
	_, withheld, _, err := chosen(rec, dec)
	if err != nil {
		return "", err
	}
	handling, err := d.markings(tx, rec)
	if err != nil {
		return "", err
	}
	t := terms(dec, handling, d.Country, d.Country, time.Time{})
	o, kept := dec.Obligations, "kept without an end"
	if o.RetainFor > 0 {
		kept = fmt.Sprintf("kept %v days", o.RetainFor.Hours()/24)
	}
	if !o.Until.IsZero() {
		kept += ", until " + o.Until.UTC().Format(time.DateOnly) + " at the latest"
	}
	return fmt.Sprintf("withheld %s; handling %s; %s", cmp.Or(strings.Join(withheld, " "), "nothing"), cmp.Or(strings.Join(t.Handling, " "), "none"), kept), nil
}

// hold puts a delivery into the queue of what two people approve. What was approved in another manner is to be approved anew.
func (d *Dispatch) hold(tx *store.Tx, rec *Record, peer protocol.Country, dec policy.Decision, known *Delivery) error {
	manner, err := d.manner(tx, rec, dec)
	if err != nil {
		return err
	}
	running, err := d.operations(tx, peer)
	if err != nil {
		return err
	}
	wait := &Wait{Proposer: rec.Facts.Actor, Since: tx.Now(), Until: tx.Now().Add(d.approvalFor()), Policies: desk.PolicyRefs(dec), Manner: manner, Command: tx.Command()}
	event := "held: two people are to approve it"
	if known != nil && known.Wait != nil && known.State != Denied {
		if known.State == Awaiting && known.Wait.Manner == manner {
			known.Policy, known.Operations = d.Policy().Version(), numbersOf(running)
			return Deliveries.Put(tx, deliveryID(rec.ID, peer), known)
		}
		event = "held again: it would go in another manner than was approved"
	}
	e := d.entry(rec, peer, dec)
	e.Action, e.Decision, e.Ground, e.Event = protocol.ActDeny, "deny", "approval", event
	e.Details["manner"] = manner
	tx.Audit(e)
	return Deliveries.Put(tx, deliveryID(rec.ID, peer), &Delivery{Document: rec.ID, Peer: peer, Channel: protocol.ChannelOf(rec.Type), State: Awaiting,
		Policy: d.Policy().Version(), Operations: numbersOf(running), Queued: tx.Now(), Wait: wait})
}

func (d *Dispatch) approvalFor() time.Duration {
	if d.ApprovalTime > 0 {
		return d.ApprovalTime
	}
	return ApprovalDays * 24 * time.Hour
}

// Awaits tells whether a document, or what goes of it to some country, waits for people.
func (d *Dispatch) Awaits(tx *store.Tx, id string) (bool, error) {
	for _, dl := range DeliveriesOf(tx, id) {
		if dl.State == Awaiting {
			return true, tx.Err()
		}
	}
	return false, tx.Err()
}

// ApprovalRef names what is approved or refused: a document, and of it what goes to some countries; to all that it waits for, if none is named.
type ApprovalRef struct {
	Document string             `json:"document"`
	To       []protocol.Country `json:"to,omitempty"`
	Note     string             `json:"note,omitempty"`
	// Seen are the manners that the person was shown (Manner.Now); an approval of anything else is refused. Nil: whatever stands now.
	Seen []string `json:"seen,omitempty"`
}

// waiting are the deliveries of a document that wait, of those named.
func (r ApprovalRef) waiting(tx *store.Tx) (*Record, []*Delivery, error) {
	if len(r.Note) > protocol.MaxText {
		return nil, nil, desk.Invalid("the note is longer than %d bytes", protocol.MaxText)
	}
	rec, err := find(tx, r.Document)
	if err != nil {
		return nil, nil, err
	}
	var out []*Delivery
	for _, dl := range DeliveriesOf(tx, rec.ID) {
		if dl.State == Awaiting && (len(r.To) == 0 || slices.Contains(r.To, dl.Peer)) {
			out = append(out, dl)
		}
	}
	if len(out) == 0 && tx.Err() == nil {
		return nil, nil, desk.Conflict("nothing of document %.80s waits for an approval; `proofmark approval list` shows what does", r.Document)
	}
	return rec, out, tx.Err()
}

// Deciders says who has had a hand in what waits of a document: its proposer, and whoever approved it already.
func (d *Dispatch) Deciders(tx *store.Tx, r ApprovalRef) (*Record, []string, error) {
	rec, list, err := r.waiting(tx)
	if err != nil {
		return nil, nil, err
	}
	people := []string{}
	for _, dl := range list {
		people = append(people, dl.Wait.Proposer)
		for _, a := range dl.Wait.Approvals {
			people = append(people, a.By)
		}
	}
	slices.Sort(people)
	return rec, slices.Compact(people), nil
}

// ErrSamePerson: whoever proposed or approved a document does not give the next approval.
var ErrSamePerson = desk.SamePerson("not permitted: by the same person")

// Approve is one person's consent that a document goes in the manner that Waiting shows. With the second one, of another person, it is queued; policy is
// asked again now, and once more when its message is formed.
func (d *Dispatch) Approve(tx *store.Tx, who desk.Actor, r ApprovalRef) (*Waiting, error) {
	rec, list, err := r.waiting(tx)
	if err != nil {
		return nil, err
	}
	for _, dl := range list {
		if dl.Wait.Proposer == who.Name {
			return nil, fmt.Errorf("%w: you proposed this %s yourself; two other people approve it", ErrSamePerson, rec.Type)
		}
		if slices.ContainsFunc(dl.Wait.Approvals, func(a Approval) bool { return a.By == who.Name }) {
			return nil, fmt.Errorf("%w: you approved this %s for %s already; the second approval is another person's own act, in that person's session", ErrSamePerson, rec.Type, dl.Peer)
		}
	}
	for _, dl := range list {
		if err := d.approve(tx, who, rec, dl, r.Note, r.Seen); err != nil {
			return nil, err
		}
	}
	return d.waitingOf(tx, rec)
}

func (d *Dispatch) approve(tx *store.Tx, who desk.Actor, rec *Record, dl *Delivery, note string, seen []string) error {
	dec := d.mayShare(tx, rec, dl.Peer)
	if !dec.Allow && !held(dec) {
		return d.deny(tx, rec, dl.Peer, dec)
	}
	manner, err := d.manner(tx, rec, dec)
	if err != nil {
		return err
	}
	if seen != nil && !slices.Contains(seen, manner) {
		return desk.Conflict("what would go to %s has changed since you looked at it: `proofmark approval show %s` shows it as it is now", dl.Peer, rec.ID)
	}
	if manner != dl.Wait.Manner { // what others approved was something else
		dl.Wait.Manner, dl.Wait.Approvals = manner, nil
	}
	dl.Wait.Approvals = append(dl.Wait.Approvals, Approval{By: who.Name, At: tx.Now(), Note: note})
	e := d.entry(rec, dl.Peer, dec)
	e.Action, e.Ground, e.Actor = protocol.ActAlter, "approval", who.Name
	e.Event = []string{"approved by a first person", "approved by a second person"}[min(len(dl.Wait.Approvals), approvalsNeeded)-1]
	e.Details["manner"] = manner
	tx.Audit(e)
	if dec, err = d.lift(tx, rec, dl, dec); err != nil {
		return err
	}
	if !dec.Allow {
		return Deliveries.Put(tx, deliveryID(rec.ID, dl.Peer), dl)
	}
	return d.queue(tx, rec, dl.Peer, dec, dl.Wait)
}

// Disapprove ends the wait: nothing goes to the countries named. A document for one country alone is taken back with it, so that the workflow it belongs
// to knows.
func (d *Dispatch) Disapprove(tx *store.Tx, who desk.Actor, r ApprovalRef) (*Waiting, error) {
	if strings.TrimSpace(r.Note) == "" {
		return nil, desk.Invalid("say why it is refused (--reason)")
	}
	rec, list, err := r.waiting(tx)
	if err != nil {
		return nil, err
	}
	for _, dl := range list {
		if err := d.endWait(tx, who, rec, dl, r.Note, "refused"); err != nil {
			return nil, err
		}
	}
	return d.waitingOf(tx, rec)
}

// endWait keeps back for good what waited.
func (d *Dispatch) endWait(tx *store.Tx, who desk.Actor, rec *Record, dl *Delivery, why, event string) error {
	dl.State, dl.Wait.Ended, dl.Wait.By = Disapproved, why, who.Name
	e := d.entry(rec, dl.Peer, policy.Decision{})
	e.Action, e.Decision, e.Ground, e.Event, e.Actor = protocol.ActDeny, "deny", "approval", "not approved: "+event, who.Name
	e.Details["reason"] = cut(why)
	tx.Audit(e)
	if err := Deliveries.Put(tx, deliveryID(rec.ID, dl.Peer), dl); err != nil {
		return err
	}
	if rec.Facts.To == "" || rec.Status != Own || !protocol.Withdrawable(rec.Type) {
		return nil
	}
	_, err := d.Withdraw(tx, who, rec.ID, Withdrawal{Reason: protocol.ReasonOther, Note: "never sent: " + cut(why)})
	return err
}

// ExpireApprovals ends the wait of what nobody approved in time.
func (d *Dispatch) ExpireApprovals(ctx context.Context) error {
	var due []string
	if err := d.Store.View(func(tx *store.Tx) error {
		now := approvalKey(tx.Now())
		for until, id := range Deliveries.Entries(tx, awaitingApproval) {
			if until > now || len(due) == sweepAtOnce {
				break
			}
			due = append(due, id)
		}
		return tx.Err()
	}); err != nil {
		return fmt.Errorf("find what was not approved in time: %w", err)
	}
	for part := range slices.Chunk(due, erasedAtOnce) {
		if err := d.Store.Update(ctx, func(tx *store.Tx) error {
			for _, id := range part {
				dl, err := Deliveries.Get(tx, id)
				if errors.Is(err, store.ErrNotFound) {
					continue // its document was purged meanwhile
				}
				if err != nil {
					return err
				}
				if dl.State != Awaiting || dl.Wait.Until.After(tx.Now()) {
					continue
				}
				rec, err := Documents.Get(tx, dl.Document)
				if err != nil {
					return err
				}
				why := "not approved by " + dl.Wait.Until.UTC().Format(time.DateOnly)
				if err := d.endWait(tx, desk.Node, rec, dl, why, "nobody did in time"); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("end what was not approved in time: %w", err)
		}
	}
	return nil
}
