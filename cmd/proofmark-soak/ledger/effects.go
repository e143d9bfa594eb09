package ledger

import (
	"fmt"
	"slices"
	"strings"

	"proofmark/node/ballistics"
	"proofmark/node/tracing"
	"proofmark/protocol"
	"proofmark/store"
)

// Effects are what the documents have done at a node, as both ends must tell it: by trace and by pair of a lead, with the country at the other end.
type Effects struct {
	Traces map[string]Effect // by the request's id
	Leads  map[string]Effect // by pair
}

// Effect is the state of one piece of work and what happened to it, each event with the country it happened in.
type Effect struct {
	With   protocol.Country
	State  string
	Events []string // sorted: own events and foreign ones are written in the order in which each node learnt of them
}

// The collections of records that the workflows keep to themselves.
var (
	traces = store.NewCollection[tracing.Trace]("trace")
	leads  = store.NewCollection[ballistics.Lead]("lead")
)

func (b *Books) readEffects(tx *store.Tx) error {
	b.Effects = Effects{Traces: map[string]Effect{}, Leads: map[string]Effect{}}
	for id, t := range traces.All(tx) {
		e := Effect{With: t.Counterpart, State: string(t.State)}
		for _, s := range t.Timeline {
			if s.Event != "received" && s.Event != "own records searched" { // what only the addressee's node does
				e.Events = append(e.Events, string(s.Event))
			}
		}
		b.Effects.Traces[id] = e.sorted()
	}
	for id, l := range leads.All(tx) {
		e := Effect{With: l.Counterpart}
		note := func(way string, n *ballistics.Notice) {
			if n != nil {
				e.Events = append(e.Events, fmt.Sprintf("%s %s acknowledged %t retracted %t", way, n.Document, !n.Acknowledged.IsZero(), !n.Retracted.IsZero()))
			}
		}
		note("from "+string(b.Country), l.Sent)
		note("from "+string(l.Counterpart), l.Received)
		for _, f := range l.Feedback {
			e.Events = append(e.Events, fmt.Sprintf("feedback of %s: %s", f.From, f.Code))
		}
		b.Effects.Leads[id] = e.sorted()
	}
	return tx.Err()
}

func (e Effect) sorted() Effect {
	slices.Sort(e.Events)
	return e
}

// effects holds what happened at one node against what happened at the others.
func (c *comparison) effects() {
	for _, b := range c.books {
		for kind, of := range map[string]func(*Books) map[string]Effect{
			"trace": func(b *Books) map[string]Effect { return b.Effects.Traces },
			"lead":  func(b *Books) map[string]Effect { return b.Effects.Leads },
		} {
			for id, here := range of(b) {
				c.totals.Effects++
				where := fmt.Sprintf("%s %s at %s", kind, id, b.Country)
				for i := 1; i < len(here.Events); i++ {
					if here.Events[i] == here.Events[i-1] {
						c.find(Duplicated, where, "it happened twice: %s", here.Events[i])
					}
				}
				other := c.books[here.With]
				if other == nil {
					c.find(Lost, where, "it is with %s, which has no books", here.With)
					continue
				}
				there, ok := of(other)[id]
				switch {
				case !ok:
					c.find(Lost, where, "%s knows nothing of it", here.With)
				case here.State != there.State, !slices.Equal(here.Events, there.Events):
					c.find(Lost, where, "it is %q (%s) here, and %q (%s) at %s", here.State, strings.Join(here.Events, ", "), there.State, strings.Join(there.Events, ", "), here.With)
				}
			}
		}
	}
}

// Act is what a node confirmed of commands that issue documents of one type.
type Act struct {
	Country   protocol.Country
	Type      protocol.Type
	Confirmed int // each must have left one document
	Unknown   int // each may have left one
}

// CompareActs holds what people were told against the documents that there are: a command that is retried leaves one document.
func CompareActs(books map[protocol.Country]*Books, acts []Act) []Finding {
	c := &comparison{}
	for _, a := range acts {
		n := 0
		for _, d := range books[a.Country].Documents {
			if (d.Status == "own" || d.Status == "withdrawn") && d.Type == a.Type {
				n++
			}
		}
		if n < a.Confirmed {
			c.find(Acts, string(a.Country), "%d commands were confirmed that issue a %s, there are %d such documents", a.Confirmed, a.Type, n)
		}
		if n > a.Confirmed+a.Unknown {
			c.find(Acts, string(a.Country), "there are %d documents of type %s, but only %d commands that may have issued one", n, a.Type, a.Confirmed+a.Unknown)
		}
	}
	return c.findings
}
