package tracing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// State is where a trace stands.
type State string

// The states of a trace.
const (
	Draft        State = "DRAFT"
	Submitted    State = "SUBMITTED"
	Acknowledged State = "ACKNOWLEDGED"
	InProgress   State = "IN_PROGRESS"
	Completed    State = "COMPLETED"
	PartialTrace State = "PARTIAL"
	Unsuccessful State = "UNSUCCESSFUL"
	Refused      State = "REFUSED" // too many requests: nothing was looked up
	Closed       State = "CLOSED"
)

// Event is what moves a trace from one state to another.
type Event string

// The events in the life of a trace.
const (
	Submit           Event = "submitted"
	Acknowledge      Event = "acknowledged"
	Begin            Event = "work begun"
	AnswerCompleted  Event = "answered: completed"
	AnswerPartial    Event = "answered: partial"
	AnswerNotTraced  Event = "answered: unsuccessful"
	Refuse           Event = "refused: too many requests"
	Close            Event = "closed"
	received         Event = "received" // moves nothing: the request reached its addressee
	released         Event = "more of the request was released"
	searchedOnArrive Event = "own records searched"
)

// transitions is the state machine: what can happen in each state and where it leads.
var transitions = map[State]map[Event]State{
	Draft:        {Submit: Submitted},
	Submitted:    {Acknowledge: Acknowledged, Refuse: Refused},
	Acknowledged: {Begin: InProgress},
	InProgress:   {AnswerCompleted: Completed, AnswerPartial: PartialTrace, AnswerNotTraced: Unsuccessful},
	Completed:    {Close: Closed},
	PartialTrace: {Close: Closed},
	Unsuccessful: {Close: Closed},
	Refused:      {Close: Closed},
	Closed:       {},
}

// States lists the states of a trace, sorted.
func States() []State { return slices.Sorted(maps.Keys(transitions)) }

// answers says which event each outcome of an answer is.
var answers = map[string]Event{"COMPLETED": AnswerCompleted, "PARTIAL": AnswerPartial, "UNSUCCESSFUL": AnswerNotTraced}

// next returns the state that an event leads to, or an error that says what can happen instead.
func next(from State, e Event) (State, error) {
	to, ok := transitions[from][e]
	if ok {
		return to, nil
	}
	possible := make([]string, 0, len(transitions[from]))
	for _, p := range slices.Sorted(maps.Keys(transitions[from])) {
		possible = append(possible, string(p))
	}
	if len(possible) == 0 {
		return from, fmt.Errorf("a trace that is %s cannot be %s: nothing follows this state", from, e)
	}
	return from, fmt.Errorf("a trace that is %s cannot be %s: it can be %s", from, e, strings.Join(possible, " or "))
}
