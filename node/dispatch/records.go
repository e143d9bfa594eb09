package dispatch

import (
	"fmt"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// Status says what became of a document at this node.
type Status string

// The states of a document.
const (
	Own      Status = "own"      // issued by this country
	Accepted Status = "accepted" // foreign, applied
	Refused  Status = "refused"  // foreign, kept with the reason why it was not applied
	Unread   Status = "unread"   // foreign, of a type or schema that this node does not know yet: kept and reported
)

// Record is a document as it is kept.
type Record struct {
	ID          string                `json:"id"`                 // the document's own; "message-" and the message's hash for one that was not accepted
	Document    string                `json:"document,omitempty"` // what a document that was not accepted says its id is
	Type        protocol.Type         `json:"type"`
	Issuer      protocol.Country      `json:"issuer"`
	Status      Status                `json:"status"`
	Reason      string                `json:"reason,omitempty"`
	JWS         string                `json:"jws"`
	Disclosures []protocol.Disclosure `json:"disclosures,omitempty"` // all of an own document, those received of a foreign one
	Terms       *protocol.Terms       `json:"terms,omitempty"`       // of a foreign document
	Facts       *Facts                `json:"facts,omitempty"`       // of an own document
	At          time.Time             `json:"at"`                    // issued or received
}

// Facts are what policy and the audit log must know of a document that is issued.
type Facts struct {
	To         protocol.Country `json:"to,omitempty"` // addressee; empty: every active member
	Attributes map[string]any   `json:"attributes,omitempty"`
	Purpose    string           `json:"purpose,omitempty"`
	Kind       string           `json:"kind,omitempty"` // of the object the document is about, with its id and case
	Object     string           `json:"object,omitempty"`
	Case       string           `json:"case,omitempty"`
	Actor      string           `json:"actor"`

	// Event is when it happened, zero if that does not matter: policy is told its age on the day it is asked.
	Event time.Time `json:"event,omitzero"`
	// TwoPeople: two different people approved the content before it was issued, which meets a two-person approval.
	TwoPeople bool `json:"two_people,omitempty"`
}

// Delivery is the way of one document to one country.
type Delivery struct {
	Document string           `json:"document"`
	Peer     protocol.Country `json:"peer"`
	Channel  protocol.Channel `json:"channel"`
	State    string           `json:"state"` // queued, sent, delivered, denied
	Policy   string           `json:"policy,omitempty"`
	Withheld []string         `json:"withheld,omitempty"`
	Terms    protocol.Terms   `json:"terms"`
	Seq      uint64           `json:"seq,omitempty"`
	Queued   time.Time        `json:"queued"`
	Sent     time.Time        `json:"sent,omitzero"` // fixed into a message
	Received time.Time        `json:"received,omitzero"`
}

// States of a delivery.
const (
	Queued    = "queued"
	Sent      = "sent"
	Delivered = "delivered"
	Denied    = "denied"
)

// Documents holds every document that this country issued or received.
var Documents = store.NewCollection("document",
	store.Index[Record]{Name: "status-type", Keys: func(r *Record) []string { return []string{string(r.Status) + "/" + string(r.Type)} }})

// Deliveries holds, for each own document and country, how far it went.
var Deliveries = store.NewCollection("delivery",
	store.Index[Delivery]{Name: "document", Keys: func(d *Delivery) []string { return []string{d.Document} }},
	store.Index[Delivery]{Name: "awaiting", Keys: func(d *Delivery) []string {
		if d.State != Sent {
			return nil
		}
		return []string{awaitingKey(d.Peer, d.Channel, d.Seq)}
	}})

func deliveryID(doc string, peer protocol.Country) string { return doc + "/" + string(peer) }

// awaitingKey sorts the messages of a channel by their numbers.
func awaitingKey(peer protocol.Country, ch protocol.Channel, seq uint64) string {
	return fmt.Sprintf("%s%020d", awaitingPrefix(peer, ch), seq)
}

func awaitingPrefix(peer protocol.Country, ch protocol.Channel) string {
	return string(peer) + "/" + string(ch) + "/"
}
