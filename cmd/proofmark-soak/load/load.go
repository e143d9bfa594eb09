package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"proofmark/cmd/proofmark-soak/bureau"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// Pace is how long each node's people wait between two acts of a kind, on the average.
type Pace struct {
	Acquire, Trace, Answer, Lead, Withdraw time.Duration
}

// Load is the work at all nodes.
type Load struct {
	Bureaus []*bureau.Bureau
	Scans   [][]byte // X3P files of breech faces, used again and again for other exhibits
	Pace    Pace
	Seed    uint64
	Journal *Journal

	mu         sync.Mutex
	signatures map[protocol.Country][]string // published and not withdrawn
}

// Run works until ctx ends, and returns when every command under way has ended.
func (l *Load) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i, b := range l.Bureaus {
		for j, job := range []struct {
			pace time.Duration
			do   func(context.Context, *bureau.Bureau, *rand.Rand, int)
		}{{l.Pace.Acquire, l.acquire}, {l.Pace.Trace, l.ask}, {l.Pace.Trace, l.ask}, {l.Pace.Answer, l.answer}, {l.Pace.Lead, l.leads}, {l.Pace.Lead, l.reply}, {l.Pace.Withdraw, l.withdraw}} {
			r := rand.New(rand.NewPCG(l.Seed, uint64(100*i+j+10)))
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Duration((0.5 + r.Float64()) * float64(job.pace))):
					}
					job.do(ctx, b, r, 10*n+j)
				}
			})
		}
	}
	wg.Wait()
}

const caseRef = "SOAK-1"

// Prepare opens the case that everything belongs to, with its incident.
func (l *Load) Prepare(ctx context.Context, b *bureau.Bureau) error {
	_, err := bureau.Do[*ballistics.Case](ctx, b.Worker, "case.add", ballistics.NewCase{Reference: caseRef, Agency: "Soak", Title: "Everything"})
	if err != nil {
		return err
	}
	at := time.Now().UTC().AddDate(0, 0, -10).Truncate(time.Hour)
	_, err = bureau.Do[*ballistics.Incident](ctx, b.Worker, "incident.add", ballistics.NewIncident{Case: caseRef, Place: "anywhere", Precision: "town", Offence: "robbery",
		Occurred: protocol.Interval{From: at, To: at.Add(time.Hour)}})
	return err
}

// calibres and firing pins keep exhibits apart: only what agrees in both is compared, so that searching stays cheap however long the run.
var (
	calibres = []string{"9x19", ".45 ACP", "7.65 Browning", "6.35 Browning", "9x17", "9x18 Makarov", "9x21", "7.62x25 Tokarev", ".38 Special", ".357 Magnum", ".40 S&W", "10 mm Auto"}
	pins     = []string{"circular", "rectangular", "elliptical"}
)

// acquire enters an exhibit and one of the scans.
func (l *Load) acquire(ctx context.Context, b *bureau.Bureau, r *rand.Rand, n int) {
	number := fmt.Sprintf("%s-%d", caseRef, n)
	class := r.IntN(len(calibres) * len(pins))
	scan := l.Scans[class%len(l.Scans)]
	_, err := bureau.Do[*ballistics.Exhibit](ctx, b.Worker, "exhibit.add", ballistics.NewExhibit{Number: number, Case: caseRef, Kind: protocol.CartridgeCase,
		Origin: protocol.Evidence, Calibre: calibres[class%len(calibres)], FiringPin: pins[class/len(calibres)]})
	if err != nil {
		l.Journal.note(b, "exhibit", err)
		return
	}
	a, err := bureau.Upload[*ballistics.Acquisition](ctx, b.Worker, "acquire", ballistics.NewAcquisition{Exhibit: number, ROI: "breech-face",
		Scans: []ballistics.File{{Name: number + ".x3p", Size: int64(len(scan))}}}, scan)
	if l.Journal.note(b, protocol.TypeSignature, err) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.signatures == nil {
			l.signatures = map[protocol.Country][]string{}
		}
		l.signatures[b.Country] = append(l.signatures[b.Country], a.Signature)
	}
}

// withdraw takes back one of the own signatures.
func (l *Load) withdraw(ctx context.Context, b *bureau.Bureau, r *rand.Rand, _ int) {
	l.mu.Lock()
	list := l.signatures[b.Country]
	if len(list) < 2 {
		l.mu.Unlock()
		return
	}
	i := r.IntN(len(list))
	id := list[i]
	l.signatures[b.Country] = slices.Delete(list, i, i+1)
	l.mu.Unlock()
	req := control.WithdrawRequest{Ref: id, Withdrawal: dispatch.Withdrawal{Reason: protocol.ReasonEnteredInError}}
	_, err := bureau.Do[*dispatch.Recall](ctx, b.Worker, "document.withdraw", req)
	l.Journal.note(b, protocol.TypeWithdrawal, err)
}

// ask sends a trace request to another country.
func (l *Load) ask(ctx context.Context, b *bureau.Bureau, r *rand.Rand, n int) {
	to := l.Bureaus[(b.Number+1+r.IntN(len(l.Bureaus)-1))%len(l.Bureaus)].Country
	req := tracing.NewTrace{To: to, LegalJustification: "order 1", Circumstances: fmt.Sprintf("search %d", n), IntendedUse: "criminal proceedings", Agency: "Soak",
		Firearm: protocol.FirearmDescription{Kind: "pistol", Make: "Ruger", Model: "P95", Calibre: "9x19", Serial: fmt.Sprintf("%s%07d", b.Country, n), CountryOfManufacture: "US"}}
	if r.IntN(4) == 0 {
		req.Priority, req.PriorityReason = "urgent", "a suspect is held"
	}
	_, err := bureau.Do[*tracing.Trace](ctx, b.Worker, "trace.new", req)
	l.Journal.note(b, protocol.TypeTraceRequest, err)
}

// atOnce bounds how many requests one look into the inbox works off.
const atOnce = 12

// answer works off the inbox: what is new is acknowledged, what is acknowledged is answered.
func (l *Load) answer(ctx context.Context, b *bureau.Bureau, _ *rand.Rand, _ int) {
	list, err := bureau.Do[[]*tracing.Trace](ctx, b.Worker, "trace.list", tracing.TraceFilter{Direction: tracing.Incoming, Open: true, Limit: atOnce})
	if err != nil {
		return
	}
	for _, t := range list {
		if ctx.Err() != nil {
			return
		}
		if t.State == tracing.Submitted {
			_, err := bureau.Do[*tracing.Trace](ctx, b.Worker, "trace.ack", control.TraceNote{Ref: t.ID, Note: "looked at"})
			l.Journal.note(b, protocol.TypeTraceStatus, err)
			continue
		}
		_, err := bureau.Do[*tracing.Trace](ctx, b.Worker, "trace.answer", control.TraceAnswer{Ref: t.ID, Answer: tracing.Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}})
		l.Journal.note(b, protocol.TypeTraceAnswer, err)
	}
}

// leads takes the strongest candidate across a border through two reviews and releases it.
func (l *Load) leads(ctx context.Context, b *bureau.Bureau, _ *rand.Rand, _ int) {
	list, err := bureau.Do[[]*ballistics.CandidateView](ctx, b.Worker, "candidates.list", ballistics.CandidateFilter{Limit: 50})
	if err != nil {
		return
	}
	for _, c := range list {
		if c.Other.Own {
			continue
		}
		for _, p := range []*bureau.Person{b.Worker, b.Second} {
			_, err := bureau.Do[*ballistics.CandidateView](ctx, p, "candidates.review", ballistics.NewReview{Pair: c.Pair, Verdict: protocol.VerdictLead, Note: "agrees"})
			if err != nil && !bureau.Definite(err) {
				return
			}
		}
		_, err := bureau.Do[*ballistics.Lead](ctx, b.Worker, "lead.release", control.LeadRequest{Pair: c.Pair, Text: "please keep the exhibit"})
		l.Journal.note(b, protocol.TypeLead, err)
		return
	}
}

// reply acknowledges leads that came and gives feedback on one that was acknowledged.
func (l *Load) reply(ctx context.Context, b *bureau.Bureau, r *rand.Rand, _ int) {
	list, err := bureau.Do[[]*ballistics.Lead](ctx, b.Worker, "lead.list", control.None{})
	if err != nil {
		return
	}
	for _, lead := range list {
		switch {
		case ctx.Err() != nil:
			return
		case lead.Received == nil:
		case lead.Received.Acknowledged.IsZero() && lead.Received.Retracted.IsZero():
			_, err := bureau.Do[*ballistics.Lead](ctx, b.Worker, "lead.ack", control.LeadRequest{Pair: lead.Pair, Text: "taken up"})
			l.Journal.note(b, protocol.TypeLeadAck, err)
		case len(lead.Feedback) == 0 && r.IntN(2) == 0:
			_, err := bureau.Do[*ballistics.Lead](ctx, b.Worker, "lead.feedback", control.LeadRequest{Pair: lead.Pair, Code: "USEFUL_LINK", Text: "linked"})
			l.Journal.note(b, protocol.TypeFeedback, err)
		}
	}
}
