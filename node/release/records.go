package release

import (
	"fmt"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// Directions of a request.
const (
	Outgoing = "outgoing" // this country asked
	Incoming = "incoming" // this country was asked
)

// State is where a request stands.
type State string

// The states of a request.
const (
	Requested State = "requested"         // outgoing: no answer yet
	Filed     State = "filed"             // incoming: not judged yet
	Awaiting  State = "awaiting-approval" // incoming: people decide
	Refusing  State = "refusing"          // incoming: the refusal leaves on its tick
	Refused   State = "refused"           //
	Released  State = "released"          // the scans can be fetched
	Received  State = "received"          // outgoing: every scan is here; incoming: every scan is there
	Failed    State = "failed"            // outgoing: the bytes are not what was released
	Lapsed    State = "lapsed"            // the release expired before everything was fetched
	Erased    State = "erased"            // outgoing: retention ended, or the owner took them back: the scans are erased
	Withdrawn State = "withdrawn"         // incoming: the signature or the release was taken back
)

// States lists them in their order.
var States = []State{Requested, Filed, Awaiting, Refusing, Refused, Released, Received, Failed, Lapsed, Erased, Withdrawn}

// Request is a request for the scans behind a signature, as one of its two countries keeps it. Its id is that of the request's document.
type Request struct {
	ID          string           `json:"id"`
	Number      string           `json:"number"` // the requester's, such as PT-S-2026-000001
	Direction   string           `json:"direction"`
	Counterpart protocol.Country `json:"counterpart"`
	State       State            `json:"state"`
	Signature   string           `json:"signature"`
	Purpose     string           `json:"purpose"`
	Reason      string           `json:"reason"`
	Created     time.Time        `json:"created"`
	By          string           `json:"by,omitempty"` // who asked, of an outgoing request

	// Of an incoming request: what it is about and how it was judged. Ground is the true reason, which the requester may not learn.
	Exhibit   string     `json:"exhibit,omitempty"`
	Case      string     `json:"case,omitempty"`
	Ground    string     `json:"ground,omitempty"`
	Policies  []string   `json:"policies,omitempty"`
	Approvals []Approval `json:"approvals,omitempty"`
	Due       time.Time  `json:"due,omitzero"` // the tick on which the refusal leaves

	Refusal     *Refusal          `json:"refusal,omitempty"`
	Release     *Release          `json:"release,omitempty"`
	Files       []File            `json:"files,omitempty"`
	Handling    protocol.Handling `json:"handling,omitempty"`
	RetainUntil time.Time         `json:"retain_until,omitzero"` // of received scans: they are erased then
	Sooner      bool              `json:"sooner,omitempty"`      // that is before the release's own terms end, with which they are erased otherwise
	Timeline    []Step            `json:"timeline"`

	protocol.Said
}

// Marks implements protocol.Marked.
func (r *Request) Marks() (protocol.Handling, []string) {
	about := []string{r.Signature, r.ID}
	if r.Release != nil {
		about = append([]string{r.Release.Document}, about...)
	}
	return r.Handling, about
}

// Approval is one person's consent to a release.
type Approval struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"` // stays in this country
}

// Refusal is why nothing was released.
type Refusal struct {
	Code     string    `json:"code"`
	Note     string    `json:"note,omitempty"`
	By       string    `json:"by,omitempty"` // a person of this country, or the node
	At       time.Time `json:"at"`
	Document string    `json:"document,omitempty"`
	Withheld []string  `json:"withheld,omitempty"` // fields of a foreign refusal that its country's policy withholds
}

// Release is what was released and how long it can be fetched.
type Release struct {
	Document string                  `json:"document"`
	ROI      string                  `json:"roi"`
	Scans    []protocol.ReleasedScan `json:"scans"`
	Expires  time.Time               `json:"expires"`
	At       time.Time               `json:"at"`
}

// File is how far one released scan is.
type File struct {
	Land      int       `json:"land,omitempty"`
	SHA256    string    `json:"sha256"`
	Size      int64     `json:"size"`
	Opened    int       `json:"opened,omitempty"`     // incoming: streams on which it was fetched
	Sent      time.Time `json:"sent,omitzero"`        // incoming: its last byte left
	Received  time.Time `json:"received,omitzero"`    // outgoing: whole, checked and kept; incoming: as the other side said
	Unopened  string    `json:"unopened,omitempty"`   // outgoing: why it cannot be read as a scan
	LastFault string    `json:"last_fault,omitempty"` // outgoing: why the last try to fetch it failed
	Kept      int64     `json:"kept,omitempty"`       // outgoing, in views alone: bytes that are here of one that is not whole yet
}

// Step is an event in a request's timeline.
type Step struct {
	Event    string           `json:"event"`
	At       time.Time        `json:"at"`
	By       string           `json:"by,omitempty"`
	Country  protocol.Country `json:"country,omitempty"`
	Note     string           `json:"note,omitempty"`
	Document string           `json:"document,omitempty"`
}

var requests = store.NewCollection("scan-request",
	store.Index[Request]{Name: "number", Keys: func(r *Request) []string { return []string{r.Number} }},
	store.Index[Request]{Name: "signature", Keys: func(r *Request) []string { return []string{r.Direction + "/" + r.Signature} }},
	store.Index[Request]{Name: "filed", Keys: func(r *Request) []string { return when(r.State == Filed, r.Created) }},
	store.Index[Request]{Name: "due", Keys: func(r *Request) []string { return when(r.State == Refusing, r.Due) }},
	store.Index[Request]{Name: "fetch", Keys: func(r *Request) []string {
		if r.Direction != Outgoing || r.State != Released {
			return nil
		}
		return []string{string(r.Counterpart)}
	}},
	store.Index[Request]{Name: "release", Keys: func(r *Request) []string {
		if r.Release == nil {
			return nil
		}
		return []string{r.Release.Document}
	}},
	store.Index[Request]{Name: "ends", Keys: func(r *Request) []string {
		switch {
		case r.State == Released:
			return when(true, r.Release.Expires)
		case r.State == Received && r.Direction == Outgoing:
			return when(r.Sooner, r.RetainUntil)
		}
		return nil
	}})

// when is an index value that sorts by time, none where it does not apply.
func when(applies bool, t time.Time) []string {
	if !applies {
		return nil
	}
	return []string{moment(t)}
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

func (r *Request) note(s Step) { r.Timeline = append(r.Timeline, s) }

// view leaves out what only machines need.
func (r *Request) view() *Request {
	v := *r
	if r.Release != nil {
		rel := *r.Release
		rel.Scans = slices.Clone(rel.Scans)
		for i := range rel.Scans {
			rel.Scans[i].Chunks = nil
		}
		v.Release = &rel
	}
	return &v
}

// owner is the country whose scan is asked for.
func (r *Request) owner(own protocol.Country) protocol.Country {
	if r.Direction == Incoming {
		return own
	}
	return r.Counterpart
}

// addressee is the country that asks for it.
func (r *Request) addressee(own protocol.Country) protocol.Country {
	if r.Direction == Incoming {
		return r.Counterpart
	}
	return own
}

// find accepts what people type.
func find(tx *store.Tx, ref string) (*Request, error) {
	return desk.Find(tx, requests, ref, "scan request", "scan requests", func(r *Request) bool { return r.Direction == Outgoing })
}

// progress of a scan that is being fetched: the number of chunks that are kept, as blobs under their hashes.
func progressKey(request string, file int) string {
	return fmt.Sprintf("release/progress/%s/%d", request, file)
}
