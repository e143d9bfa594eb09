package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/permission"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// TestWhatIsWithheldIsShownAsWithheld: a person reads by whose policy a field is withheld, and never an empty value; what there never was is not called
// withheld. Programs read the names of the fields, and no empty text in their places.
func TestWhatIsWithheldIsShownAsWithheld(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const by = "withheld by KE's policy"
	lead := func(withheld bool) *ballistics.Lead {
		n := &ballistics.Notice{Document: "d", At: at, Body: protocol.LeadBody{Number: "KE-L-2026-000001", Own: protocol.LeadParty{Country: "KE", Origin: protocol.Evidence, Signature: "s"}}}
		l := &ballistics.Lead{Pair: "0123456789abcdef", Counterpart: "KE", State: ballistics.LeadHit, Own: protocol.LeadSide{Country: "PT"}, Received: n, Timeline: []ballistics.Stamp{{Event: "x", At: at}},
			Feedback: []ballistics.Feedback{{From: "KE", Code: "ARREST"}}, Hit: &ballistics.Hit{From: "KE", HitBody: protocol.HitBody{Conclusion: protocol.Identification, Examined: at, Verified: at}}}
		if withheld {
			n.Withheld, l.Feedback[0].Withheld, l.Hit.Withheld = protocol.Redactable(protocol.TypeLead), []string{"note"}, protocol.Redactable(protocol.TypeHit)
		}
		return l
	}
	trace := func(withheld bool) *tracing.Trace {
		tr := &tracing.Trace{Number: "KE-T-1", Direction: tracing.Incoming, Counterpart: "KE", State: tracing.Completed}
		if withheld {
			tr.Withheld = protocol.Redactable(protocol.TypeTraceRequest)
		}
		return tr
	}
	answer := func(withheld bool) *tracing.Trace {
		tr := &tracing.Trace{Number: "PT-T-1", Direction: tracing.Outgoing, Counterpart: "KE", State: tracing.Completed, Answer: &protocol.TraceAnswerBody{Outcome: "COMPLETED"},
			Timeline: []tracing.Step{{Event: tracing.AnswerCompleted, Country: "KE", At: at}}}
		if withheld {
			tr.AnswerWithheld, tr.Timeline[0].Withheld = protocol.Redactable(protocol.TypeTraceAnswer), []string{"note"}
		}
		return tr
	}
	side := func(withheld bool) *ballistics.Side {
		s := &ballistics.Side{Country: "KE", Origin: protocol.Evidence, Calibre: "9x19"}
		if withheld {
			s.Withheld = protocol.Redactable(protocol.TypeSignature)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		print func(w io.Writer, withheld bool) any
		lines int // that say so
	}{
		{"a lead with its hit", func(w io.Writer, is bool) any { l := lead(is); printLead(w, l); return l }, 16},
		{"a trace request", func(w io.Writer, is bool) any { tr := trace(is); printTrace(w, tr); return tr }, 5}, // place and date on one line
		{"a trace answer", func(w io.Writer, is bool) any { tr := answer(is); printTrace(w, tr); return tr }, 4},
		{"a candidate", func(w io.Writer, is bool) any {
			s := side(is)
			printSides(w, &ballistics.Side{Country: "PT"}, s)
			return s
		}, 6},
	} {
		var out, none bytes.Buffer
		record := c.print(&out, true)
		c.print(&none, false)
		n := 0
		for _, line := range strings.Split(out.String(), "\n") {
			if strings.Contains(line, by) {
				n++
			}
		}
		if n != c.lines {
			t.Errorf("%s says %d times that something is withheld, want %d:\n%s", c.name, n, c.lines, out.String())
		}
		if strings.Contains(none.String(), "withheld") {
			t.Errorf("%s of which nothing is withheld:\n%s", c.name, none.String())
		}
		raw, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(raw, []byte(`withheld":[`)) {
			t.Errorf("%s in JSON: %s", c.name, raw)
		}
		for _, name := range []string{"agency", "case_reference", "exhibit_number", "narrative", "place", "recovery_place", "officer", "possessor", "note", "where", "examiner", "verifier", "items", "chain"} {
			if bytes.Contains(raw, []byte(`"`+name+`":""`)) || bytes.Contains(raw, []byte(`"`+name+`":null`)) {
				t.Errorf("%s in JSON has an empty %s: %s", c.name, name, raw)
			}
		}
	}
	if got := cell("", "note", (&permission.Permission{Withheld: []string{"note"}}).Withheld); got != "withheld" {
		t.Errorf("in a list: %q", got)
	}
	if got := told("Nairobi", "place", []string{"place"}, "KE"); got != "Nairobi" {
		t.Errorf("what was told after all: %q", got)
	}
}
