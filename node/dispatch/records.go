package dispatch

import (
	"iter"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// Status says what became of a document at this node.
type Status string

// The states of a document.
const (
	Own      Status = "own"       // issued by this country
	Recalled Status = "withdrawn" // issued by this country and taken back
	Accepted Status = "accepted"  // foreign, applied
	Refused  Status = "refused"   // foreign, kept with the reason why it was not applied
	Unread   Status = "unread"    // foreign, of a type or schema that this node does not know yet: kept and reported
)

// Record is a document as it is kept; see AppendBinary for its form.
type Record struct {
	ID          string                `json:"id"`                 // the document's own; "message-" and the message's hash for one that was not accepted
	Document    string                `json:"document,omitempty"` // what a document that was not accepted says its id is
	Type        protocol.Type         `json:"type"`
	Issuer      protocol.Country      `json:"issuer"`
	Status      Status                `json:"status"`
	Reason      string                `json:"reason,omitempty"`
	JWS         string                `json:"jws"`                   // empty where this country's policy refused the document: nothing of its content is kept
	SHA256      string                `json:"sha256,omitempty"`      // of a document that is not kept, so that it can be told what was refused
	Disclosures []protocol.Disclosure `json:"disclosures,omitempty"` // all of an own document, those received of a foreign one
	Terms       *protocol.Terms       `json:"terms,omitempty"`       // of a foreign document
	Facts       *Facts                `json:"facts,omitempty"`       // of an own document
	At          time.Time             `json:"at"`                    // issued or received

	Withdrawn *Withdrawn `json:"withdrawn,omitempty"` // an own document that was taken back; a foreign one that its owner took back and a hold keeps
	Hold      *Hold      `json:"hold,omitempty"`      // a legal hold: nothing erases the document while it stands
}

// hash names the document's bytes, also where they are not kept.
func (r *Record) hash() string {
	if r.JWS == "" {
		return r.SHA256
	}
	return protocol.DocumentHash(r.JWS)
}

// Withdrawn says how a document was taken back.
type Withdrawn struct {
	Document string    `json:"document"` // id of the withdrawal
	Reason   string    `json:"reason"`   // one of protocol.WithdrawalReasons
	Note     string    `json:"note,omitempty"`
	At       time.Time `json:"at"`           // issued, or received
	By       string    `json:"by,omitempty"` // who withdrew an own document
}

// Hold is a legal hold on a foreign document.
type Hold struct {
	Ground string    `json:"ground"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Tombstone stands for a foreign document that its owner withdrew: whenever it still arrives, it is refused and not kept. It has the document's id.
type Tombstone struct {
	ID         string           `json:"id"`
	Type       protocol.Type    `json:"type"`
	Issuer     protocol.Country `json:"issuer"`
	SHA256     string           `json:"sha256"`
	Withdrawal string           `json:"withdrawal"` // id of the withdrawal
	Reason     string           `json:"reason"`
	At         time.Time        `json:"at"`              // the withdrawal's arrival
	Erased     time.Time        `json:"erased,omitzero"` // zero while a hold keeps the document, and where it was not held
}

// Facts are what policy and the audit log must know of a document that is issued.
type Facts struct {
	To protocol.Country `json:"to,omitempty"` // addressee; empty: every active member, or those of Among

	// Among are the countries that it is for, where there are several and not all; this one may be among them.
	Among []protocol.Country `json:"among,omitempty"`

	Attributes map[string]any `json:"attributes,omitempty"`
	Purpose    string         `json:"purpose,omitempty"`
	Kind       string         `json:"kind,omitempty"` // of the object the document is about, with its id and case
	Object     string         `json:"object,omitempty"`
	Case       string         `json:"case,omitempty"`
	Actor      string         `json:"actor"`

	// Handling is what the owners of the information demand, united of all that the document was made of; without an owner a marking is this country's
	// own. Policy is told the codes. Based are the ids of the foreign documents that it was made of: what stands on them when it leaves counts too.
	Handling protocol.Handling `json:"handling,omitempty"`
	Based    []string          `json:"based,omitempty"`

	// Event is when it happened, zero if that does not matter: policy is told its age on the day it is asked.
	Event time.Time `json:"event,omitzero"`
	// TwoPeople: two different people approved the content before it was issued, which meets a two-person approval.
	TwoPeople bool `json:"two_people,omitempty"`
	// NeedsTwo: a decision other than that on sharing asked for the approval of two people, such as the one on answering at all.
	NeedsTwo bool `json:"needs_two,omitempty"`
}

// Delivery is the way of one document to one country.
type Delivery struct {
	Document string           `json:"document"`
	Peer     protocol.Country `json:"peer"`
	Channel  protocol.Channel `json:"channel"`
	State    string           `json:"state"` // queued, sent, delivered, denied, withdrawn, awaiting approval, not approved
	Policy   string           `json:"policy,omitempty"`
	Withheld []string         `json:"withheld,omitempty"`
	Terms    protocol.Terms   `json:"terms"`
	Seq      uint64           `json:"seq,omitempty"`
	Queued   time.Time        `json:"queued"`
	Sent     time.Time        `json:"sent,omitzero"` // fixed into a message
	Received time.Time        `json:"received,omitzero"`

	Confirmed *Confirmed `json:"confirmed,omitempty"` // of a withdrawal
	Wait      *Wait      `json:"wait,omitempty"`      // of what two people must approve

	// Operations that ran with the country when it was denied, by number: another set is a reason to ask again.
	Operations []string `json:"operations,omitempty"`
}

// Confirmed is what a holder confirmed last of a withdrawal.
type Confirmed struct {
	Document string               `json:"document"` // id of the confirmation
	Outcome  string               `json:"outcome"`  // one of protocol.WithdrawalOutcomes
	Erased   time.Time            `json:"erased,omitzero"`
	Stays    []protocol.Remainder `json:"stays,omitempty"`
	At       time.Time            `json:"at"` // received
}

// States of a delivery.
const (
	Queued    = "queued"
	Sent      = "sent"
	Delivered = "delivered"
	Denied    = "denied"
	Dropped   = "withdrawn" // taken back before it left: it never will

	Awaiting    = "awaiting approval"
	Disapproved = "not approved" // people refused it, or did not approve it in time: it never goes
)

// Documents holds every document that this country issued or received.
var Documents = store.NewCollection("document",
	store.Index[Record]{Name: "status-type", Keys: func(r *Record) []string { return []string{string(r.Status) + "/" + string(r.Type)} }},
	store.Index[Record]{Name: expiresIndex, Keys: func(r *Record) []string {
		if end := r.end(); !end.IsZero() {
			return []string{expiryKey(end)}
		}
		return nil
	}},
	store.Index[Record]{Name: claimsIndex, Keys: func(r *Record) []string {
		if r.Document == "" {
			return nil
		}
		return []string{r.Document}
	}},
	store.Index[Record]{Name: operationsIndex, Keys: func(r *Record) []string {
		if r.Status == Own || r.Status == Recalled || r.Terms == nil {
			return nil
		}
		return r.Terms.Operations
	}})

// Indexes of documents: by the end of their retention; of those that were not accepted by the id that they claim; of foreign ones by the operations
// for which they were shared.
const (
	expiresIndex    = "expires"
	claimsIndex     = "claims"
	operationsIndex = "operation"
)

// Tombstones holds what other countries withdrew.
var Tombstones = store.NewCollection[Tombstone]("tombstone")

// Deliveries holds, for each own document and country, how far it went.
var Deliveries = store.NewCollection("delivery",
	store.Index[Delivery]{Name: awaitingApproval, Keys: func(d *Delivery) []string {
		if d.State != Awaiting || d.Wait == nil {
			return nil
		}
		return []string{approvalKey(d.Wait.Until)}
	}},
	store.Index[Delivery]{Name: byCommand, Keys: func(d *Delivery) []string {
		if d.State != Awaiting || d.Wait == nil || d.Wait.Command == "" {
			return nil
		}
		return []string{d.Wait.Command}
	}})

func deliveryID(doc string, peer protocol.Country) string { return doc + "/" + string(peer) }

// DeliveriesOf yields the ways of one document, in the order of the countries' codes.
func DeliveriesOf(tx *store.Tx, doc string) iter.Seq2[string, *Delivery] {
	return Deliveries.Within(tx, deliveryID(doc, ""))
}
