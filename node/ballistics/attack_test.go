package ballistics

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// leadAtES brings a pair to the state where ES holds PT's lead, acknowledged by nobody yet.
func leadAtES(t *testing.T) (pt, es *lab, pair string) {
	t.Helper()
	pt, es, pair = twoMates(t)
	pt.decideLead(pair)
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, ""); err != nil {
		t.Fatal(err)
	}
	carry(t, pt, es)
	return pt, es, pair
}

// forge issues a document as a member would who does not use this software's workflows.
func (l *lab) forge(to protocol.Country, typ protocol.Type, body protocol.Body) {
	l.t.Helper()
	err := l.Store.Update(l.t.Context(), func(tx *store.Tx) error {
		_, err := l.Out.Issue(tx, typ, body, dispatch.Facts{To: to, Purpose: Purpose, Kind: "lead", Actor: "forger", TwoPeople: true, Attributes: map[string]any{"handling": []string{}}})
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestTwoTechniciansAtOnceMakeOneReview(t *testing.T) {
	pt, _, pair := twoMates(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			who := desk.Actor{Name: fmt.Sprintf("tech%d", i), Roles: []string{policy.Technician}}
			errs[i] = pt.review(who, pair, protocol.VerdictLead)
		})
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case !errors.Is(err, desk.ErrConflict) && !errors.Is(err, desk.ErrForbidden):
			t.Error(err)
		}
	}
	c, err := pt.Candidate(t.Context(), exam1, pair)
	if err != nil || done != 1 || c.State != "awaits-secondary" || c.Outcome != "" {
		t.Errorf("%d technicians reviewed at once, the candidate is %s, outcome %q, %v: the second review is an examiner's", done, c.State, c.Outcome, err)
	}
}

func TestTwoExaminersAtOnceMakeOneHit(t *testing.T) {
	pt, _, pair := leadAtES(t)
	var wg sync.WaitGroup
	for _, who := range []desk.Actor{exam1, exam2, exam3} {
		wg.Go(func() {
			_, err := pt.ConfirmHit(t.Context(), who, "", NewConfirmation{Pair: pair, Conclusion: protocol.Identification, Items: []string{"a"}, Where: "b"})
			if err != nil && !errors.Is(err, desk.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if l := pt.lead(pair); l.Hit != nil && l.Hit.Examiner == l.Hit.Verifier {
		t.Errorf("one person on both sides of a hit: %+v", l.Hit)
	}
}

func TestDisagreementAtTheMicroscopeIsNoHit(t *testing.T) {
	for _, c := range []struct{ first, second string }{
		{protocol.Identification, "elimination"}, {"elimination", protocol.Identification}, {"elimination", "elimination"}, {"inconclusive", ""},
	} {
		pt, es, pair := leadAtES(t)
		if _, err := pt.ConfirmHit(t.Context(), exam1, "", NewConfirmation{Pair: pair, Conclusion: c.first, Items: []string{"P1", "cast"}, Where: "Lisbon"}); err != nil {
			t.Fatal(err)
		}
		l, err := pt.ConfirmHit(t.Context(), exam2, "", NewConfirmation{Pair: pair, Conclusion: c.second})
		if err != nil {
			t.Fatal(err)
		}
		if l.Hit != nil || l.State == LeadHit || len(l.Examinations) != 2 || l.Confirmation != nil {
			t.Errorf("%s and %q: state %s, hit %v, %d examinations", c.first, c.second, l.State, l.Hit, len(l.Examinations))
		}
		carry(t, pt, es)
		if got := es.lead(pair); got.Hit != nil {
			t.Errorf("%s and %q: ES was told of a hit", c.first, c.second)
		}
		// The comparison may start over, and then be a hit.
		for _, who := range []desk.Actor{exam2, exam3} {
			if _, err := pt.ConfirmHit(t.Context(), who, "", NewConfirmation{Pair: pair, Conclusion: protocol.Identification, Items: []string{"P1", "cast"}, Where: "Lisbon"}); err != nil {
				t.Fatal(err)
			}
		}
		if l := pt.lead(pair); l.State != LeadHit || l.Hit.Examiner != "exam2" || l.Hit.Verifier != "exam3" {
			t.Errorf("after a new comparison: %s", l.State)
		}
	}
	pt, _, pair := leadAtES(t)
	if _, err := pt.ConfirmHit(t.Context(), exam1, "", NewConfirmation{Pair: pair, Conclusion: "looks alike", Items: []string{"P1"}, Where: "Lisbon"}); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("a conclusion of one's own words: %v", err)
	}
}

func TestSecondLeadWaitsForTheRetractionOfTheFirst(t *testing.T) {
	pt, es, pair := leadAtES(t)
	first := pt.lead(pair).Sent
	again := first.Body
	again.Number = "PT-L-2026-000099"
	pt.forge("ES", protocol.TypeLead, &again)
	carry(t, pt, es)
	if got := es.lead(pair); got.Received.Document != first.Document {
		t.Error("a second lead replaced one that stands")
	}
	if _, err := pt.RetractLead(t.Context(), exam1, "", pair, "mislabelled"); err != nil {
		t.Fatal(err)
	}
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, ""); err != nil {
		t.Fatal(err)
	}
	carry(t, pt, es)
	if got := es.lead(pair); got.State != LeadReceived || len(got.Earlier) != 1 || got.Earlier[0].Document != first.Document || got.Earlier[0].Reason != "mislabelled" {
		t.Errorf("after the retraction ES holds %s, earlier %+v", got.State, got.Earlier)
	}
}

func TestHitsThatCannotBeAreRefused(t *testing.T) {
	now := start.Add(time.Hour)
	hit := func(lead, pair string, examined, verified time.Time) *protocol.HitBody {
		return &protocol.HitBody{Lead: lead, Pair: pair, Conclusion: protocol.Identification, Items: []string{"a"}, Where: "b", Examiner: "x", Verifier: "y", Examined: examined, Verified: verified}
	}
	pt, es, pair := leadAtES(t)
	lead := pt.lead(pair).Sent.Document
	pt.forge("ES", protocol.TypeHit, hit(lead, pair, now, now.AddDate(50, 0, 0)))
	pt.forge("ES", protocol.TypeHit, hit(lead, pair, now, now.Add(-time.Minute)))
	carry(t, pt, es)
	if got := es.lead(pair); got.Hit != nil {
		t.Errorf("a hit verified on %s was taken", got.Hit.Verified)
	}
	if _, err := pt.RetractLead(t.Context(), exam1, "", pair, "mislabelled"); err != nil {
		t.Fatal(err)
	}
	pt.forge("ES", protocol.TypeHit, hit(lead, pair, now, now))
	carry(t, pt, es)
	if got := es.lead(pair); got.State != LeadRetracted || got.Hit != nil {
		t.Errorf("a hit on a retracted lead made it %s", got.State)
	}
	// A report is held against its own time: that the receiver's clock is two hours behind by then is no reason to refuse it for good.
	pt, es, pair = twoMates(t)
	pt.decideLead(pair)
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, ""); err != nil {
		t.Fatal(err)
	}
	carry(t, pt, es)
	pt.Clock.Add(2 * time.Hour)
	pt.forge("ES", protocol.TypeHit, hit(pt.lead(pair).Sent.Document, pair, pt.Clock.Now(), pt.Clock.Now()))
	pt.Clock.Add(-2 * time.Hour)
	carry(t, pt, es)
	if got := es.lead(pair); got.State != LeadHit || got.Hit == nil {
		t.Errorf("a hit from a clock that is ahead: %s", got.State)
	}
}

func TestFeedbackIsBounded(t *testing.T) {
	pt, es, pair := leadAtES(t)
	lead := pt.lead(pair).Sent.Document
	for i := range maxFeedback + 10 {
		es.forge("PT", protocol.TypeFeedback, &protocol.FeedbackBody{Lead: lead, Pair: pair, Code: "NO_ACTION", Note: fmt.Sprint(i)})
	}
	carry(t, es, pt)
	if n := len(pt.lead(pair).Feedback); n != maxFeedback {
		t.Errorf("%d feedbacks are kept, the limit is %d", n, maxFeedback)
	}
}

func TestLeadReferencesNameOneLead(t *testing.T) {
	pt, es, pair := leadAtES(t)
	number := pt.lead(pair).Sent.Body.Number
	for _, ref := range []string{number, pair, pair[:12]} {
		if l, err := es.Lead(t.Context(), invest, ref); err != nil || l.Pair != pair {
			t.Errorf("%s: %v", ref, err)
		}
	}
	// A twin of the lead under a pair that begins alike: a beginning that fits both names neither.
	err := es.Store.Update(t.Context(), func(tx *store.Tx) error {
		twin, err := leads.Get(tx, pair)
		if err != nil {
			return err
		}
		twin.Pair = pair[:16] + "0000000000000000"
		return leads.Put(tx, twin.Pair, twin)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{number, pair[:12]} {
		if _, err := es.Lead(t.Context(), invest, ref); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%s names two leads: %v", ref, err)
		}
	}
	if l, err := es.Lead(t.Context(), invest, pair); err != nil || l.Pair != pair {
		t.Errorf("the whole pair: %v", err)
	}
}
