package tracing

import (
	"slices"
	"strings"
	"testing"

	"proofmark/protocol"
)

func TestStateMachine(t *testing.T) {
	legal := map[State]map[Event]State{
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
	events := []Event{Submit, Acknowledge, Begin, AnswerCompleted, AnswerPartial, AnswerNotTraced, Refuse, Close, received, released, searchedOnArrive, "invented"}
	if len(States()) != len(legal) {
		t.Errorf("states %v, want %d of them", States(), len(legal))
	}
	for state, moves := range legal {
		for _, e := range events {
			got, err := next(state, e)
			want, ok := moves[e]
			if ok && (err != nil || got != want) {
				t.Errorf("next(%s, %s) = %s, %v; want %s", state, e, got, err, want)
			}
			if !ok && (err == nil || got != state || !strings.Contains(err.Error(), string(state))) {
				t.Errorf("next(%s, %s) = %s, %v; want an error that names the state", state, e, got, err)
			}
		}
	}
	if _, err := next("LOST", Submit); err == nil {
		t.Error("an unknown state leads somewhere")
	}
	for _, o := range protocol.TraceOutcomes {
		if to, err := next(InProgress, answers[o]); err != nil || string(to) != o {
			t.Errorf("an answer with outcome %s leads to %s, %v", o, to, err)
		}
	}
	if !slices.IsSorted(States()) {
		t.Error("states are not sorted")
	}
}
