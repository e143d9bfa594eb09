package dispatch

import (
	"slices"
	"time"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Waiting is a document that waits, or waited, for two people.
type Waiting struct {
	Document string        `json:"document"`
	Type     protocol.Type `json:"type"`
	Kind     string        `json:"kind,omitempty"`
	Object   string        `json:"object,omitempty"`
	Case     string        `json:"case,omitempty"`
	Proposer string        `json:"proposer"`
	Until    time.Time     `json:"until,omitzero"` // the first that expires
	Manners  []Manner      `json:"manners"`

	Roles    []string          `json:"may_approve"` // roles that policy lets approve it, to other people than its proposer
	Handling protocol.Handling `json:"handling,omitempty"`
	Based    []string          `json:"based_on,omitempty"`
	protocol.Said
}

// Marks implements protocol.Marked; where it is shown what would be sent, the terms of that count too.
func (w *Waiting) Marks() (protocol.Handling, []string) {
	all := w.Handling
	for _, m := range w.Manners {
		if m.Sent != nil {
			all = protocol.UnionHandling(all, m.Sent.Handling)
		}
	}
	return all, append([]string{w.Document}, w.Based...)
}

// Manner is what goes to some countries in the same way.
type Manner struct {
	To        []protocol.Country `json:"to"`
	State     string             `json:"state"` // of the deliveries
	Manner    string             `json:"manner"`
	Policies  []string           `json:"policies,omitempty"` // that ask for two people
	Approvals []Approval         `json:"approvals,omitempty"`
	Ended     string             `json:"ended,omitempty"`
	By        string             `json:"by,omitempty"`
	Now       string             `json:"now,omitempty"` // how it would go by the policy in force; where that differs from Manner, approvals begin anew
	// Sent is exactly what would be sent to the first of the countries, with the policies that decide; all of them would get the same.
	Sent *Explained `json:"would_be_sent,omitempty"`
}

// waitingOf gathers what waits or waited of a document.
func (d *Dispatch) waitingOf(tx *store.Tx, rec *Record) (*Waiting, error) {
	handling, err := d.markings(tx, rec)
	if err != nil {
		return nil, err
	}
	out := &Waiting{Document: rec.ID, Type: rec.Type, Manners: []Manner{}, Roles: d.approvers(rec), Handling: handling, Based: rec.based()}
	if f := rec.Facts; f != nil {
		out.Kind, out.Object, out.Case, out.Proposer = f.Kind, f.Object, f.Case, f.Actor
	}
	for _, dl := range DeliveriesOf(tx, rec.ID) {
		w := dl.Wait
		if w == nil {
			continue
		}
		if dl.State == Awaiting && (out.Until.IsZero() || w.Until.Before(out.Until)) {
			out.Until = w.Until
		}
		i := slices.IndexFunc(out.Manners, func(m Manner) bool {
			return m.State == dl.State && m.Manner == w.Manner && m.Ended == w.Ended && slices.Equal(m.Policies, w.Policies) && slices.EqualFunc(m.Approvals, w.Approvals, sameApproval)
		})
		if i < 0 {
			out.Manners = append(out.Manners, Manner{State: dl.State, Manner: w.Manner, Policies: w.Policies, Approvals: w.Approvals, Ended: w.Ended, By: w.By})
			i = len(out.Manners) - 1
		}
		out.Manners[i].To = append(out.Manners[i].To, dl.Peer)
	}
	return out, tx.Err()
}

// approvers are the roles in which policy lets people approve a document whose proposer they are not.
func (d *Dispatch) approvers(rec *Record) []string {
	out := []string{}
	if rec.Facts == nil {
		return out
	}
	for _, role := range policy.Roles() {
		dec := d.Policy().Decide(policy.Request{Principal: policy.Principal{User: "another person", Roles: []string{role}, Country: string(d.Country)}, Action: policy.DocumentApprove,
			Resource: policy.Resource{Type: policy.KindDocument, ID: rec.ID, Attributes: map[string]any{"reviewers": []string{rec.Facts.Actor}, "owner": string(d.Country)}}, Now: d.Now()})
		if dec.Allow {
			out = append(out, role)
		}
	}
	return out
}

func sameApproval(a, b Approval) bool { return a.By == b.By && a.At.Equal(b.At) && a.Note == b.Note }

// listedApprovals bounds a list.
const listedApprovals = 1000

// Approvals lists the documents that wait for people, the one that expires first first.
func (d *Dispatch) Approvals(tx *store.Tx) ([]*Waiting, error) {
	out := []*Waiting{}
	seen := map[string]bool{}
	for _, id := range Deliveries.Entries(tx, awaitingApproval) {
		if len(out) == listedApprovals {
			break
		}
		dl, err := Deliveries.Get(tx, id)
		if err != nil {
			return nil, err
		}
		if seen[dl.Document] {
			continue
		}
		seen[dl.Document] = true
		rec, err := Documents.Get(tx, dl.Document)
		if err != nil {
			return nil, err
		}
		w, err := d.waitingOf(tx, rec)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, tx.Err()
}

// HeldOf lists what a person's command issued that waits for other people now.
func (d *Dispatch) HeldOf(tx *store.Tx, who, key string) ([]*Waiting, error) {
	var out []*Waiting
	for _, dl := range Deliveries.By(tx, byCommand, store.CommandOf(who, key)) {
		if slices.ContainsFunc(out, func(w *Waiting) bool { return w.Document == dl.Document }) {
			continue
		}
		rec, err := Documents.Get(tx, dl.Document)
		if err != nil {
			return nil, err
		}
		w, err := d.waitingOf(tx, rec)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, tx.Err()
}

// ShowApproval shows what waits of a document, and exactly what would be sent to whom.
func (d *Dispatch) ShowApproval(tx *store.Tx, document string) (*Waiting, error) {
	rec, err := find(tx, document)
	if err != nil {
		return nil, err
	}
	w, err := d.waitingOf(tx, rec)
	if err != nil {
		return nil, err
	}
	for i := range w.Manners {
		if w.Manners[i].State != Awaiting {
			continue
		}
		m := &w.Manners[i]
		if m.Sent, err = d.Explain(tx, rec.ID, m.To[0]); err != nil {
			return nil, err
		}
		if m.Now, err = d.manner(tx, rec, d.mayShare(tx, rec, m.To[0])); err != nil {
			return nil, err
		}
	}
	return w, nil
}
