package operations

import (
	"slices"
	"testing"
	"time"

	"proofmark/protocol"
)

var begin = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// sample is an operation of PT with ES and FR, which PT and ES are in, seen at PT.
func sample(change func(o *Operation)) *Operation {
	o := &Operation{ID: "x", Number: "PT-O-2026-000001", Founder: "PT", SHA256: "h", Body: &protocol.OperationBody{Number: "PT-O-2026-000001", From: begin,
		Until: begin.AddDate(0, 1, 0), Members: []protocol.Country{"ES", "FR", "PT"}},
		Parts: map[protocol.Country]*Part{"PT": {Accepted: begin}, "ES": {Accepted: begin, SHA256: "h"}}}
	if change != nil {
		change(o)
	}
	return o
}

func TestWhenAnOperationRuns(t *testing.T) {
	end := begin.AddDate(0, 1, 0)
	gone := &Ended{At: begin}
	for name, c := range map[string]struct {
		change      func(o *Operation)
		at          time.Time
		with        protocol.Country
		runs, lasts bool
		phase       string
	}{
		"both are in it":                      {nil, begin, "ES", true, true, PhaseRunning},
		"a moment before":                     {nil, begin.Add(-1), "ES", false, true, PhaseWaiting},
		"its last moment":                     {nil, end.Add(-1), "ES", true, true, PhaseRunning},
		"at its end":                          {nil, end, "ES", false, false, PhaseEnded},
		"the other has not accepted":          {nil, begin, "FR", false, true, PhaseRunning},
		"the other accepted another text":     {func(o *Operation) { o.Parts["FR"] = &Part{Accepted: begin, SHA256: "other"} }, begin, "FR", false, true, PhaseRunning},
		"the other is not named":              {func(o *Operation) { o.Parts["DE"] = &Part{Accepted: begin, SHA256: "h"} }, begin, "DE", false, true, PhaseRunning},
		"ended by its founder":                {func(o *Operation) { o.Ended = gone }, begin, "ES", false, false, PhaseEnded},
		"the other has left":                  {func(o *Operation) { o.Parts["ES"].Left = gone }, begin, "ES", false, false, PhaseRunning},
		"a third country has left":            {func(o *Operation) { o.Parts["FR"] = &Part{Accepted: begin, SHA256: "h", Left: gone} }, begin, "ES", true, true, PhaseRunning},
		"this country has left":               {func(o *Operation) { o.Parts["PT"].Left = gone }, begin, "ES", false, false, PhaseLeft},
		"this country has not accepted":       {func(o *Operation) { o.Founder, o.Parts["PT"] = "FR", nil }, begin, "ES", false, true, PhaseOffered},
		"a draft":                             {func(o *Operation) { o.Draft, o.Pending = true, &Pending{What: propose} }, begin, "ES", false, true, PhaseDraft},
		"a draft that nobody approved":        {func(o *Operation) { o.Draft = true }, begin, "ES", false, true, PhaseRejected},
		"left without ever having been in it": {func(o *Operation) { o.Parts["FR"] = &Part{Left: gone} }, begin, "FR", false, false, PhaseRunning},
	} {
		o := sample(c.change)
		if o.runs(c.at, "PT", c.with) != c.runs || o.lasts(c.at, "PT", c.with) != c.lasts || o.Phase(c.at, "PT") != c.phase {
			t.Errorf("%s: runs %v, lasts %v, %s; want %v, %v, %s", name, !c.runs, o.lasts(c.at, "PT", c.with), o.Phase(c.at, "PT"), c.runs, c.lasts, c.phase)
		}
	}
	// A word on an operation that has not arrived yet ends nothing and runs nothing.
	if o := (&Operation{ID: "x", Founder: "ES", Parts: map[protocol.Country]*Part{"FR": {Accepted: begin}}}); o.in("FR") || o.runs(begin, "PT", "FR") || !o.lasts(begin, "PT", "FR") {
		t.Error("something came of an operation that is not known")
	}
}

func TestAnOperationAsItIsShown(t *testing.T) {
	o := sample(func(o *Operation) { o.Parts["FR"] = &Part{Accepted: begin, SHA256: "other"} })
	var states []string
	for _, m := range o.look(begin, "PT").Members {
		states = append(states, string(m.Country)+" "+m.State)
	}
	if want := []string{"ES joined", "FR accepted another text", "PT founder"}; !slices.Equal(states, want) {
		t.Errorf("%q, want %q", states, want)
	}
	if got := pairs([]*Operation{o, sample(nil)}, begin, "PT"); got != "PT-O-2026-000001/ES PT-O-2026-000001/ES" {
		t.Error(got)
	}
}
