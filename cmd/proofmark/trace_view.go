package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/control"
	"proofmark/node/tracing"
)

type traceShowCmd struct {
	Ref string `arg:"" help:"Trace number or id."`
}

func (c *traceShowCmd) Run(a *app) error {
	t, err := ask[tracing.Trace](a, "trace.show", control.Ref{Ref: c.Ref})
	if err != nil {
		return err
	}
	return a.show(t, func(w io.Writer) { printTrace(w, &t) })
}

func printTrace(w io.Writer, t *tracing.Trace) {
	r := &t.Request
	direction := "to " + string(t.Counterpart)
	if t.Direction == tracing.Incoming {
		direction = "from " + string(t.Counterpart)
	}
	of := func(value, field string) string { return told(value, field, t.Withheld, t.Counterpart) }
	recovered := []string{of(span(r.RecoveryDate), "recovery_date"), of(r.RecoveryPlace, "recovery_place")}
	if recovered[0] != "" && recovered[0] == recovered[1] {
		recovered = recovered[:1]
	}
	facts(w, "Trace", t.Number+" "+direction, "Id", t.ID, "State", string(t.State), "Source withdrawn", stamp(t.SourceWithdrawn), "Case", t.Case, "Own record", t.Firearm, "Priority", r.Priority, "Reason", r.PriorityReason,
		"Agency", of(r.Agency, "agency"), "Officer", of(r.Officer, "officer"), "Justification", r.LegalJustification, "Circumstances", r.Circumstances, "Intended use", r.IntendedUse,
		"Recovered", strings.TrimSpace(strings.Join(recovered, " ")), "Possessor", of(r.Possessor, "possessor"), "Narrative", of(r.Narrative, "narrative"),
		"Handling", codes(t.Handling), "Keep until", day(t.RetainUntil))
	fmt.Fprintln(w, "\nFirearm")
	printDescription(w, &r.Firearm)
	printAdvice(w, t.Advice)
	if t.MatchNote != "" {
		fmt.Fprintf(w, "\nOwn records: %s\n", printable(t.MatchNote))
	}
	if len(t.Matches) > 0 {
		rows := make([][]string, len(t.Matches))
		for i := range t.Matches {
			m := &t.Matches[i]
			rows[i] = []string{m.Reference, m.Status, describeFirearm(&m.Firearm), rungWords(m.Rung), remarked(m.Why, m.Remarks)}
		}
		table(w, "", []string{"REFERENCE", "STATUS", "FIREARM", "RUNG", "WHY"}, rows)
	}
	if t.Answer != nil {
		fmt.Fprintln(w, "\nAnswer")
		printAnswer(w, t)
	}
	fmt.Fprintln(w)
	events := make([]event, len(t.Timeline))
	for i, s := range t.Timeline {
		by := s.By
		if by == "" {
			by = string(s.Country)
		}
		what := string(s.Event)
		if note := told(s.Note, "note", s.Withheld, s.Country); note != "" {
			what += " (" + note + ")"
		}
		events[i] = event{what, s.At, by}
	}
	timeline(w, events)
	if next := nextForTrace(t); next != "" {
		fmt.Fprintf(w, "\nNext:  %s\n", next)
	}
}

func printAnswer(w io.Writer, t *tracing.Trace) {
	b := t.Answer
	of := func(value, field string) string { return told(value, field, t.AnswerWithheld, t.Counterpart) }
	toCrime := ""
	if b.TimeToCrime != nil {
		toCrime = count(*b.TimeToCrime, "day") + " from the first retail sale to the recovery"
	}
	facts(w, "Outcome", b.Outcome, "Reasons", strings.Join(b.Reasons, ", "), "Record", b.Record, "Status", b.Status, "Firearm", of(describeFirearm(b.Firearm), "firearm"),
		"Time to crime", toCrime, "Diversion", b.Diversion, "Legal chain", of("", "chain"), "Note", of(b.Note, "note"))
	if len(b.Chain) > 0 {
		fmt.Fprintln(w, "\nLegal chain")
		printChain(w, b.Chain)
	}
}
