package operations

import (
	"slices"
	"strings"
	"time"

	"proofmark/protocol"
)

// in tells whether a country has joined an operation and not left it. The founder joined by founding; another member by accepting the very text that is
// held here.
func (o *Operation) in(c protocol.Country) bool {
	p := o.Parts[c]
	if o.Draft || o.Body == nil || p == nil || p.Accepted.IsZero() || p.Left != nil || !slices.Contains(o.Body.Members, c) {
		return false
	}
	return c == o.Founder || p.SHA256 == o.SHA256
}

// runs tells whether an operation runs now between this country and another.
func (o *Operation) runs(now time.Time, own, with protocol.Country) bool {
	return o.in(own) && o.in(with) && o.Ended == nil && !now.Before(o.Body.From) && now.Before(o.Body.Until)
}

// lasts tells whether what a country shared for an operation may still be kept here: nobody has ended it. That an acceptance has not arrived yet ends
// nothing, for documents overtake each other.
func (o *Operation) lasts(now time.Time, own, issuer protocol.Country) bool {
	left := func(c protocol.Country) bool { return o.Parts[c] != nil && o.Parts[c].Left != nil }
	return o.Body == nil || o.Ended == nil && now.Before(o.Body.Until) && !left(own) && !left(issuer)
}

// Phases of an operation, as this country sees it.
const (
	PhaseDraft    = "proposed"          // here, and a second person is to approve it
	PhaseOffered  = "offered"           // this country has not accepted it
	PhaseWaiting  = "accepted, to come" // it begins later
	PhaseRunning  = "running"
	PhaseEnded    = "ended"
	PhaseLeft     = "left"
	PhaseRejected = "rejected"
)

// Phase is where an operation stands for a country.
func (o *Operation) Phase(now time.Time, own protocol.Country) string {
	switch {
	case o.Draft && o.Pending == nil:
		return PhaseRejected
	case o.Draft:
		return PhaseDraft
	case o.Ended != nil || !now.Before(o.Body.Until):
		return PhaseEnded
	case o.Parts[own] != nil && o.Parts[own].Left != nil:
		return PhaseLeft
	case !o.in(own):
		return PhaseOffered
	case now.Before(o.Body.From):
		return PhaseWaiting
	}
	return PhaseRunning
}

// over tells whether an operation is at its end for a country that was in it.
func (o *Operation) over(now time.Time, own protocol.Country) bool {
	return slices.Contains([]string{PhaseEnded, PhaseLeft}, o.Phase(now, own))
}

// Member is one member of an operation as it is shown.
type Member struct {
	Country protocol.Country `json:"country"`
	State   string           `json:"state"` // founder, joined, left, invited, accepted another text
	Since   time.Time        `json:"since,omitzero"`
	Reason  string           `json:"reason,omitempty"`
}

// View is an operation as it is shown.
type View struct {
	ID      string                 `json:"id"`
	Number  string                 `json:"number"`
	Founder protocol.Country       `json:"founder"`
	Phase   string                 `json:"phase"`
	Body    protocol.OperationBody `json:"operation"`
	Members []Member               `json:"members"`
	Pending *Pending               `json:"pending,omitempty"`
	Ended   *Ended                 `json:"ended,omitempty"`

	// Handling is under which codes everything travels that is shared for it, with their owner.
	Handling protocol.Handling `json:"handling,omitempty"`
	protocol.Said
}

// Marks implements protocol.Marked.
func (v *View) Marks() (protocol.Handling, []string) { return v.Handling, []string{v.ID} }

func (o *Operation) look(now time.Time, own protocol.Country) *View {
	v := &View{ID: o.ID, Number: o.Number, Founder: o.Founder, Phase: o.Phase(now, own), Body: *o.Body, Pending: o.Pending, Ended: o.Ended,
		Handling: protocol.ReadHandling(o.Body.Handling, o.Founder)}
	for _, c := range o.Body.Members {
		m := Member{Country: c, State: "invited"}
		if p := o.Parts[c]; p != nil {
			m.Since = p.Accepted
			switch {
			case p.Left != nil:
				m.State, m.Since, m.Reason = "left", p.Left.At, p.Left.Reason
			case c == o.Founder:
				m.State = "founder"
			case o.SHA256 != "" && p.SHA256 != o.SHA256:
				m.State = "accepted another text"
			default:
				m.State = "joined"
			}
		}
		v.Members = append(v.Members, m)
	}
	return v
}

// pairs writes which operations run with whom.
func pairs(list []*Operation, now time.Time, own protocol.Country) string {
	var out []string
	for _, o := range list {
		for _, c := range o.Body.Members {
			if c != own && o.runs(now, own, c) {
				out = append(out, o.Number+"/"+string(c))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
