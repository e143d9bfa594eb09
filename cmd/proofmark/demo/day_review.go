package demo

import (
	"context"
	"fmt"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/protocol"
)

// arrival is how long a document may take to the other side before the demo gives up.
const arrival = 90 * time.Second

// review takes the strongest pair across the border from candidate to hit, and another to a lead that is taken back.
func (f *federation) review(ctx context.Context) error {
	home, away := f.bureaus[pt], f.bureaus[es]
	list, err := f.worklist(ctx, home)
	if err != nil {
		return err
	}
	c := strongest(list, func(c *ballistics.CandidateView) bool {
		return c.ROI == roi && c.Other.Country == es && c.Other.Origin == protocol.TestFire
	})
	if c == nil {
		return fmt.Errorf("no candidate in PT links evidence with the test fire in ES")
	}
	f.pair = c.Pair
	if err := f.verify(f.sameSource(c), "The strongest candidate that links evidence in PT with the test fire in ES: exhibit %s, score %.2f, %s. The true sources agree.",
		c.Own.Exhibit, c.Score, c.Agreement()); err != nil {
		return err
	}
	if err := f.weigh(ctx, c, away); err != nil {
		return err
	}
	if err := f.twoReviews(ctx, home, c.Pair); err != nil {
		return err
	}
	if err := f.lead(ctx, home, away); err != nil {
		return err
	}
	if err := f.hit(ctx, home, away); err != nil {
		return err
	}
	return f.takeBack(ctx)
}

// strongest is the first of a list, which the strongest leads, that fits; nil if none does.
func strongest(list []*ballistics.CandidateView, fits func(*ballistics.CandidateView) bool) *ballistics.CandidateView {
	for _, c := range list {
		if !c.Other.Own && fits(c) {
			return c
		}
	}
	return nil
}

func (f *federation) sameSource(c *ballistics.CandidateView) bool {
	a, known := f.marks[c.Own.Signature]
	b, also := f.marks[c.Other.Signature]
	return known && also && a.source == b.source
}

// weigh tells what the score of a pair is worth as evidence: to the side that knows the make of its test fire, and to the one that was not told.
func (f *federation) weigh(ctx context.Context, here *ballistics.CandidateView, away *bureau) error {
	there, err := call[*ballistics.CandidateView](ctx, away.technician, "candidates.show", control.Ref{Ref: here.Pair})
	if err != nil {
		return err
	}
	a, b := here.LikelihoodRatio, there.LikelihoodRatio
	if a == nil || b == nil {
		return fmt.Errorf("the pair %s says nothing of a likelihood ratio", here.Pair)
	}
	f.result.Log10LR = b.Log10LR
	return f.verify(b.Calibrated && !a.Calibrated, "Madrid knows the make of its pistol and has a calibration for it: log10 LR %+.2f (%s, version %s). Lisbon was not told the make, and its list says so instead of a number: %s.",
		b.Log10LR, b.Population, b.Version, a.Reason)
}

// judge makes one person's review.
func judge(ctx context.Context, p *person, pair string, note string) (*ballistics.CandidateView, error) {
	return call[*ballistics.CandidateView](ctx, p, "candidates.review", ballistics.NewReview{Pair: pair, Verdict: protocol.VerdictLead, Note: note})
}

// twoReviews: primary by the technician, who cannot be the second reviewer too; blind secondary by an examiner.
func (f *federation) twoReviews(ctx context.Context, b *bureau, pair string) error {
	v, err := judge(ctx, b.technician, pair, "parallel marks agree over most of the ring")
	if err != nil {
		return err
	}
	if err := f.verify(v.State == "awaits-secondary", "%s (technician) made the primary review: lead.", b.technician.full); err != nil {
		return err
	}
	_, err = judge(ctx, b.technician, pair, "second look")
	words, err := refused(err, "a second review by the first reviewer", desk.ErrForbidden)
	if err != nil {
		return err
	}
	f.shown("The same person tries the second review and is refused: %s", words)
	seen, err := call[*ballistics.CandidateView](ctx, b.examiner, "candidates.show", control.Ref{Ref: pair})
	if err != nil {
		return err
	}
	if err := f.verify(seen.Hidden == 1 && len(seen.Reviews) == 0, "%s (examiner) opens the candidate: one review is hidden, no verdict is shown.", b.examiner.full); err != nil {
		return err
	}
	if v, err = judge(ctx, b.examiner, pair, "agreement of fine striae at two places"); err != nil {
		return err
	}
	return f.verify(v.Outcome == protocol.VerdictLead && v.State == "decided", "%s reviewed it blind and also says lead: now, and only now, the two make a lead of it.", b.examiner.full)
}

// leadAt waits until a bureau's record of a lead is as it should be.
func (f *federation) leadAt(ctx context.Context, p *person, pair, what string, fits func(*ballistics.Lead) bool) (*ballistics.Lead, error) {
	var found *ballistics.Lead
	err := await(ctx, fmt.Sprintf("%s: %s", p.bureau.country, what), arrival, func() (bool, error) {
		list, err := call[[]*ballistics.Lead](ctx, p, "lead.list", control.None{})
		for _, l := range list {
			if l.Pair == pair && fits(l) {
				found = l
			}
		}
		return found != nil, err
	})
	return found, err
}

// lead sends the lead to the other country, where it is acknowledged and answered with feedback.
func (f *federation) lead(ctx context.Context, home, away *bureau) error {
	sent, err := call[*ballistics.Lead](ctx, home.examiner, "lead.release", control.LeadRequest{Pair: f.pair, Text: "Please keep the pistol and its test fires for microscopic comparison."})
	if err != nil {
		return err
	}
	got, err := f.leadAt(ctx, away.operator, f.pair, "the lead arrives", func(l *ballistics.Lead) bool { return l.Received != nil })
	if err != nil {
		return err
	}
	if err := f.verify(got.Received.Body.Caveat == protocol.Caveat && got.State == ballistics.LeadReceived && sent.State == ballistics.LeadReleased,
		"Lead %s is released to ES and arrives with its caveat: \"%s\"", got.Received.Body.Number, got.Received.Body.Caveat); err != nil {
		return err
	}
	if _, err := call[*ballistics.Lead](ctx, away.operator, "lead.ack", control.LeadRequest{Pair: f.pair, Text: "taken up by the investigation of the road check"}); err != nil {
		return err
	}
	known, err := f.leadAt(ctx, home.operator, f.pair, "the acknowledgement arrives", func(l *ballistics.Lead) bool { return l.State == ballistics.LeadAcknowledged })
	if err != nil {
		return err
	}
	if err := f.verify(known.Sent.OtherCase == recoveryCase, "%s (NCB operator in ES) acknowledged it, and Lisbon learns the case in Madrid: %s.", away.operator.full, known.Sent.OtherCase); err != nil {
		return err
	}
	_, err = call[*ballistics.Lead](ctx, away.investigator, "lead.feedback", control.LeadRequest{Pair: f.pair, Code: "GUN_RECOVERED", Text: "the pistol is in our custody"})
	if err != nil {
		return err
	}
	told, err := f.leadAt(ctx, home.investigator, f.pair, "the feedback arrives", func(l *ballistics.Lead) bool { return len(l.Feedback) > 0 })
	if err != nil {
		return err
	}
	f.result.Lead = string(told.State)
	return f.verify(told.Feedback[0].Code == "GUN_RECOVERED" && told.Feedback[0].From == es && len(told.Feedback) == 1,
		"%s (investigator in ES) gives the feedback GUN_RECOVERED; it reaches Lisbon.", away.investigator.full)
}

// hit: confirmed on the physical evidence by one examiner and verified by another, known on both sides under one identity.
func (f *federation) hit(ctx context.Context, home, away *bureau) error {
	n := ballistics.NewConfirmation{Pair: f.pair, Conclusion: "identification", Items: []string{"cartridge case from Lisbon", "test fire from Madrid"}, Where: "comparison microscope (fictitious), Lisbon"}
	l, err := call[*ballistics.Lead](ctx, home.examiner, "hit.confirm", n)
	if err != nil {
		return err
	}
	if err := f.verify(l.Confirmation != nil && l.Hit == nil, "%s compares the cartridge cases at the (fictitious) microscope and confirms; that is not a hit yet.", home.examiner.full); err != nil {
		return err
	}
	_, err = call[*ballistics.Lead](ctx, home.examiner, "hit.confirm", ballistics.NewConfirmation{Pair: f.pair})
	words, err := refused(err, "a verification by the examiner who confirmed", desk.ErrForbidden)
	if err != nil {
		return err
	}
	f.shown("The same examiner tries to verify it too and is refused: %s", words)
	if _, err := call[*ballistics.Lead](ctx, home.second, "hit.confirm", ballistics.NewConfirmation{Pair: f.pair}); err != nil {
		return err
	}
	here, err := f.leadAt(ctx, home.investigator, f.pair, "the hit is recorded", func(l *ballistics.Lead) bool { return l.Hit != nil })
	if err != nil {
		return err
	}
	there, err := f.leadAt(ctx, away.investigator, f.pair, "the hit report arrives", func(l *ballistics.Lead) bool { return l.Hit != nil })
	if err != nil {
		return err
	}
	f.result.Hit = string(there.State)
	return f.verify(here.State == ballistics.LeadHit && there.State == ballistics.LeadHit && here.Pair == there.Pair && there.Hit.Verifier == home.second.name && there.Hit.Document == here.Hit.Document,
		"%s verified it. Both countries now hold the pair %s as a hit, under one identity.", home.second.full, short(f.pair))
}

// takeBack: FR sends a lead to PT and retracts it.
func (f *federation) takeBack(ctx context.Context) error {
	from, to := f.bureaus[fr], f.bureaus[pt]
	list, err := f.worklist(ctx, from)
	if err != nil {
		return err
	}
	c := strongest(list, func(c *ballistics.CandidateView) bool { return c.ROI == roi && c.Other.Country == pt })
	if c == nil {
		return fmt.Errorf("no candidate in FR links an exhibit with one in PT")
	}
	f.taken = c.Pair
	for _, p := range []*person{from.technician, from.second} {
		if _, err := judge(ctx, p, c.Pair, "similar over a third of the ring"); err != nil {
			return err
		}
	}
	if _, err := call[*ballistics.Lead](ctx, from.examiner, "lead.release", control.LeadRequest{Pair: c.Pair}); err != nil {
		return err
	}
	if _, err := f.leadAt(ctx, to.operator, c.Pair, "the second lead arrives", func(l *ballistics.Lead) bool { return l.Received != nil }); err != nil {
		return err
	}
	const reason = "the exhibit's bag was mislabelled; it is entered anew under its own case"
	if _, err := call[*ballistics.Lead](ctx, from.examiner, "lead.retract", control.LeadRequest{Pair: c.Pair, Text: reason}); err != nil {
		return err
	}
	l, err := f.leadAt(ctx, to.operator, c.Pair, "the retraction arrives", func(l *ballistics.Lead) bool { return !l.Received.Retracted.IsZero() })
	if err != nil {
		return err
	}
	f.result.Retracted = string(l.State)
	return f.verify(l.State == ballistics.LeadRetracted && l.Received.Reason == reason, "A second lead, FR to PT, is taken back by its sender and stands as retracted in Lisbon, with the reason: %s.", l.Received.Reason)
}

// short is the beginning of an identity, enough for the command line.
func short(id string) string { return id[:min(12, len(id))] }
