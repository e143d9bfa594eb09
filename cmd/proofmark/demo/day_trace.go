package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"proofmark/node/control"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// trace asks FR for the history of the pistol that was recovered in ES.
func (f *federation) trace(ctx context.Context) error {
	asker, asked := f.bureaus[es], f.bureaus[fr]
	report, err := upload[*tracing.ImportReport](ctx, asked.operator, "firearm.import", control.ImportRequest{Name: "sales.csv"}, []byte(saleRecords))
	if err != nil {
		return err
	}
	records := strings.Count(saleRecords, "\n") - 1
	if err := f.verify(report.Added == records && len(report.Faults) == 0, "FR imports its sale records from a CSV file: %d records, no broken row.", report.Added); err != nil {
		return err
	}
	asks, err := call[*tracing.Trace](ctx, asker.investigator, "trace.new", tracing.NewTrace{To: fr, Record: recoveryRef, LegalJustification: "possession without a licence; national reference of the order 2026/881",
		Circumstances: "found under the driver's seat at a road check", IntendedUse: "criminal proceedings", Agency: agencyOf(es), Priority: "urgent",
		PriorityReason: "the pistol is linked with a shooting abroad"})
	if err != nil {
		return err
	}
	f.say("%s (investigator in ES) asks FR where the pistol with the serial number %s, as read, was sold: trace %s.", asker.investigator.full, serialRead, asks.Number)
	got, err := f.traceAt(ctx, asked.operator, asks.ID, "the trace request arrives", func(t *tracing.Trace) bool { return !t.Unsearched })
	if err != nil {
		return err
	}
	if err := f.verify(len(got.Matches) == 1 && got.Matches[0].Reference == saleRecord && got.Matches[0].Rung == tracing.LookAlike,
		"In FR it stands on file as %s; the search ladder proposes record %s (%s).", serialOnFile, saleRecord, tracing.LookAlike); err != nil {
		return err
	}
	if _, err := call[*tracing.Trace](ctx, asked.operator, "trace.ack", control.TraceNote{Ref: asks.ID, Note: "looked at by " + asked.operator.full}); err != nil {
		return err
	}
	if _, err := f.traceAt(ctx, asker.investigator, asks.ID, "the acknowledgement arrives", func(t *tracing.Trace) bool { return t.State == tracing.Acknowledged }); err != nil {
		return err
	}
	answer := control.TraceAnswer{Ref: asks.ID, Answer: tracing.Answer{Record: saleRecord, Note: "owner reported the theft in 2025"}}
	if _, err := call[*tracing.Trace](ctx, asked.operator, "trace.answer", answer); err != nil {
		return err
	}
	f.shown("%s (NCB operator in FR) acknowledged the request, picked the record and answered from it.", asked.operator.full)
	done, err := f.traceAt(ctx, asker.investigator, asks.ID, "the answer arrives", func(t *tracing.Trace) bool { return t.Answer != nil })
	if err != nil {
		return err
	}
	f.result.Trace = string(done.State)
	return f.history(done)
}

func (f *federation) traceAt(ctx context.Context, p *person, id, what string, fits func(*tracing.Trace) bool) (*tracing.Trace, error) {
	var found *tracing.Trace
	err := await(ctx, fmt.Sprintf("%s: %s", p.bureau.country, what), arrival, func() (bool, error) {
		list, err := call[[]*tracing.Trace](ctx, p, "trace.list", tracing.TraceFilter{})
		for _, t := range list {
			if t.ID == id && fits(t) {
				found = t
			}
		}
		return found != nil, err
	})
	return found, err
}

// history shows the answer as ES reads it, and checks it.
func (f *federation) history(t *tracing.Trace) error {
	a := t.Answer
	if err := f.verify(t.State == tracing.Completed && a.Outcome == "COMPLETED" && a.Record == saleRecord, "The trace is %s. The chain of custody, as ES sees it:", t.State); err != nil {
		return err
	}
	purchaser := ""
	for _, s := range a.Chain {
		f.row("%-16s %s  %-10s  %s", s.Role, s.Country, s.Date.Format(time.DateOnly), s.Name)
		if s.Role == "first-purchaser" {
			purchaser = s.Name
		}
	}
	sold, err := time.Parse(time.DateOnly, saleDate)
	if err != nil {
		return err
	}
	want := int(f.daysAgo(recoveryDays).Truncate(24*time.Hour).Sub(sold) / (24 * time.Hour))
	if a.TimeToCrime == nil {
		return fmt.Errorf("the answer has no time to crime")
	}
	return f.verify(*a.TimeToCrime == want && len(a.Chain) == len(protocol.CustodyRoles)-1 && purchaser == "",
		"Time to crime: %d days; %s. The first purchaser's name stays in FR.", *a.TimeToCrime, a.Diversion)
}
