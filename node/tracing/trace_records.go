package tracing

import (
	"cmp"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// Directions of a trace.
const (
	Outgoing = "outgoing" // this country asked
	Incoming = "incoming" // this country was asked
)

// Trace is a trace request as one of its two countries keeps it. Its id is that of the request's document, the same on both sides.
type Trace struct {
	ID          string                    `json:"id"`
	Number      string                    `json:"number"` // the requester's, such as PT-T-2026-000001
	Direction   string                    `json:"direction"`
	Counterpart protocol.Country          `json:"counterpart"`
	State       State                     `json:"state"`
	Request     protocol.TraceRequestBody `json:"request"`
	Case        string                    `json:"case,omitempty"`     // of an outgoing trace; it does not leave the country
	Firearm     string                    `json:"firearm,omitempty"`  // own record that an outgoing trace is about, by reference
	Handling    protocol.Handling         `json:"handling,omitempty"` // of an incoming trace, of an answer, and of what an own one was made of
	Based       []string                  `json:"based_on,omitempty"` // foreign documents that an own request or answer was made of
	RetainUntil time.Time                 `json:"retain_until,omitzero"`
	Withheld    []string                  `json:"withheld,omitempty"`    // fields of an incoming request that the policy of the country that asked withholds
	Undisclosed int                       `json:"undisclosed,omitempty"` // its digests without a disclosure, decoys among them
	Timeline    []Step                    `json:"timeline"`
	Advice      []string                  `json:"advice,omitempty"` // what would make an answer likelier

	Matches   []Match `json:"matches,omitempty"` // own records proposed for an incoming request; a person decides
	MatchNote string  `json:"match_note,omitempty"`
	// Unsearched: own records have not been searched yet for an incoming request.
	Unsearched bool                      `json:"unsearched,omitempty"`
	Record     string                    `json:"record,omitempty"` // own record that an incoming trace was answered from, by reference
	Answer     *protocol.TraceAnswerBody `json:"answer,omitempty"`
	// AnswerWithheld are the fields of a foreign answer that its country's policy withholds.
	AnswerWithheld []string `json:"answer_withheld,omitempty"`

	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`

	// SourceWithdrawn: the request, or the answer to it, was withdrawn by the country that wrote it.
	SourceWithdrawn time.Time `json:"source_withdrawn,omitzero"`

	protocol.Said
}

// Marks implements protocol.Marked.
func (t *Trace) Marks() (protocol.Handling, []string) {
	return t.Handling, slices.Concat([]string{t.ID}, t.documents(), t.Based)
}

// Step is an event in a trace's timeline: who did it, one of the own people or the other country.
type Step struct {
	At       time.Time        `json:"at"`
	Event    Event            `json:"event"`
	State    State            `json:"state"` // after it
	By       string           `json:"by,omitempty"`
	Country  protocol.Country `json:"country,omitempty"`
	Note     string           `json:"note,omitempty"`
	Document string           `json:"document,omitempty"`
	Withheld []string         `json:"withheld,omitempty"` // of the document's fields that stand here: the note
}

// Match is an own record that the ladder reached for an incoming request.
type Match struct {
	Reference string                      `json:"reference"`
	Status    string                      `json:"status"`
	Firearm   protocol.FirearmDescription `json:"firearm"`
	Rung      Rung                        `json:"rung"`
	Why       string                      `json:"why"`
	Remarks   []string                    `json:"remarks,omitempty"`
}

var traces = store.NewCollection("trace",
	store.Index[Trace]{Name: "number", Keys: func(t *Trace) []string { return []string{t.Number} }},
	store.Index[Trace]{Name: "unsearched", Keys: func(t *Trace) []string {
		if !t.Unsearched {
			return nil
		}
		return []string{""}
	}})

// advance applies an event to a trace and puts it into the timeline.
func (t *Trace) advance(e Event, s Step) error {
	to, err := next(t.State, e)
	if err != nil {
		return err
	}
	t.State = to
	t.note(e, s)
	return nil
}

// note puts an event into the timeline that moves nothing.
func (t *Trace) note(e Event, s Step) {
	s.Event, s.State = e, t.State
	t.Timeline = append(t.Timeline, s)
	t.Changed = s.At
}

// knows reports whether a document has had its effect on the trace already.
func (t *Trace) knows(document string) bool {
	return slices.ContainsFunc(t.Timeline, func(s Step) bool { return s.Document == document })
}

// step is the one that a document brought about; nil where there is none.
func (t *Trace) step(document string) *Step {
	if i := slices.IndexFunc(t.Timeline, func(s Step) bool { return s.Document == document }); i >= 0 {
		return &t.Timeline[i]
	}
	return nil
}

// owner is the country that asked.
func (t *Trace) owner(own protocol.Country) protocol.Country {
	if t.Direction == Outgoing {
		return own
	}
	return t.Counterpart
}

// addressee is the country that was asked.
func (t *Trace) addressee(own protocol.Country) protocol.Country {
	if t.Direction == Outgoing {
		return t.Counterpart
	}
	return own
}

// findTrace accepts what people type.
func findTrace(tx *store.Tx, ref string) (*Trace, error) {
	return desk.Find(tx, traces, ref, "trace", "trace list", func(t *Trace) bool { return t.Direction == Outgoing })
}

// newestFirst orders traces for a list.
func newestFirst(a, b *Trace) int {
	return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID))
}
