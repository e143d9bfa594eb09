package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/control"
	"proofmark/node/tracing"
	"proofmark/protocol"
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
	withheld := ""
	if t.Withheld > 0 {
		withheld = "perhaps: the country that asked may know more than it disclosed" // decoys count too, so that nobody can tell
	}
	facts(w, "Trace", t.Number+" "+direction, "Id", t.ID, "State", string(t.State), "Source withdrawn", stamp(t.SourceWithdrawn), "Case", t.Case, "Own record", t.Firearm, "Priority", r.Priority, "Reason", r.PriorityReason,
		"Agency", r.Agency, "Officer", r.Officer, "Justification", r.LegalJustification, "Circumstances", r.Circumstances, "Intended use", r.IntendedUse,
		"Recovered", strings.TrimSpace(span(r.RecoveryDate)+" "+r.RecoveryPlace), "Possessor", r.Possessor, "Narrative", r.Narrative,
		"Handling", handling(t.Handling), "Keep until", day(t.RetainUntil), "Withheld", withheld)
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
		printAnswer(w, t.Answer)
	}
	fmt.Fprintln(w)
	events := make([]event, len(t.Timeline))
	for i, s := range t.Timeline {
		by := s.By
		if by == "" {
			by = string(s.Country)
		}
		what := string(s.Event)
		if s.Note != "" {
			what += " (" + s.Note + ")"
		}
		events[i] = event{what, s.At, by}
	}
	timeline(w, events)
	if next := nextForTrace(t); next != "" {
		fmt.Fprintf(w, "\nNext:  %s\n", next)
	}
}

func printAnswer(w io.Writer, b *protocol.TraceAnswerBody) {
	toCrime := ""
	if b.TimeToCrime != nil {
		toCrime = count(*b.TimeToCrime, "day") + " from the first retail sale to the recovery"
	}
	facts(w, "Outcome", b.Outcome, "Reasons", strings.Join(b.Reasons, ", "), "Record", b.Record, "Status", b.Status, "Firearm", describeFirearm(b.Firearm),
		"Time to crime", toCrime, "Diversion", b.Diversion, "Note", b.Note)
	if len(b.Chain) > 0 {
		fmt.Fprintln(w, "\nLegal chain")
		printChain(w, b.Chain)
	}
}
