// Package ledger holds what the nodes of a soak have on their books at the end, and compares the two ends of every channel entry by entry. Reading and
// comparing are apart: Compare is a pure function, so that a test can show that it finds what is planted.
package ledger

import (
	"fmt"

	"proofmark/protocol"
)

// Lane is one direction of a channel between two countries.
type Lane struct {
	From    protocol.Country `json:"from"`
	To      protocol.Country `json:"to"`
	Channel protocol.Channel `json:"channel"`
}

func (l Lane) String() string { return fmt.Sprintf("%s>%s/%s", l.From, l.To, l.Channel) }

// Entry is one audit entry about a message: sent, received, or acknowledged up to its number.
type Entry struct {
	Index     int64    // in the node's log
	Seq       uint64   // of the message
	Hash      string   // of the message, in hex
	Documents []string // that it carried; for a receipt, all it acknowledged
}

// Head is where a lane stands at one of its ends.
type Head struct {
	Seq    uint64
	Hash   string
	Acked  uint64 // sender only
	Queued int    // sender only: intents
}

// Document is a document as a node keeps it.
type Document struct {
	Status string
	Type   protocol.Type
	Issuer protocol.Country
	JWS    string
	Reason string
	Named  string // what a document that was not accepted says its id is

	Withdrawal string // of an own document that was taken back: the withdrawal's id
}

// Stone is what a holder keeps of a foreign document that its owner withdrew.
type Stone struct {
	Withdrawal string
	Erased     bool
}

// Delivery is what the sender has written down about one document's way.
type Delivery struct {
	Document string
	Lane     Lane
	State    string
	Seq      uint64
	Outcome  string // of a withdrawal: what the holder confirmed
}

// Books are what one node has written down.
type Books struct {
	Country    protocol.Country
	Sent       map[Lane][]Entry // in the order of the log
	Receipts   map[Lane][]Entry
	Received   map[Lane][]Entry
	Out        map[Lane]Head
	In         map[Lane]Head
	Hashes     map[Lane][]string // of the messages sent, from number 1
	Documents  map[string]Document
	Stones     map[string]Stone
	Deliveries []Delivery
	Effects    Effects
	Entries    int64 // of the audit log
	LogFault   string
	IndexFault string
}

// Finding is one discrepancy.
type Finding struct {
	Class string `json:"class"` // lost, duplicated, disordered, tampered, unreceipted, refused, unerased, log, acts
	Where string `json:"where"`
	Text  string `json:"text"`
}

func (f Finding) String() string { return f.Class + ": " + f.Where + ": " + f.Text }

// The classes of findings.
const (
	Lost        = "lost"
	Duplicated  = "duplicated"
	Disordered  = "disordered"
	Tampered    = "tampered"
	Unreceipted = "unreceipted"
	Refused     = "refused"
	Unerased    = "unerased" // withdrawn, and not erased or not confirmed
	Log         = "log"
	Acts        = "acts"
)

// Totals are what was compared.
type Totals struct {
	Lanes     int            `json:"lanes"`
	Messages  int            `json:"messages"`
	Received  int            `json:"received"`
	Receipted int            `json:"receipted"`
	Entries   int64          `json:"audit_entries"`
	ByType    map[string]int `json:"documents_by_type"`
	ByChannel map[string]int `json:"messages_by_channel"`
	Effects   int            `json:"effects"` // traces and leads, at each of their ends
	Erased    int            `json:"erased"`  // copies that withdrawals took from their holders, confirmed
}
