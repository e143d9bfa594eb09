package ballistics

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

var start = time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)

// twoMates gives PT and ES one exhibit each of the same firearm, correlated on both sides.
func twoMates(t *testing.T) (pt, es *lab, pair string) {
	t.Helper()
	both := labs(t, "PT", "ES")
	pt, es = both[0], both[1]
	pt.crime("PT-1")
	es.crime("ES-1")
	pt.exhibit("P1", "PT-1")
	es.exhibit("E1", "ES-1")
	a := pt.acquire("P1", shot(t, 5, 1))
	b := es.acquire("E1", shot(t, 5, 2))
	carry(t, pt, es)
	carry(t, es, pt)
	pt.settle()
	es.settle()
	return pt, es, protocol.PairID(a.Signature, b.Signature)
}

func (l *lab) review(who desk.Actor, pair string, v protocol.Verdict) error {
	_, err := l.Review(l.t.Context(), who, "", NewReview{Pair: pair, Verdict: v})
	return err
}

func (l *lab) decideLead(pair string) {
	l.t.Helper()
	if err := errors.Join(l.review(tech, pair, protocol.VerdictLead), l.review(exam1, pair, protocol.VerdictLead)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) lead(pair string) *Lead {
	l.t.Helper()
	lead, err := l.Lead(l.t.Context(), invest, pair)
	if err != nil {
		l.t.Fatal(err)
	}
	return lead
}

func TestBothSidesFindTheSamePair(t *testing.T) {
	pt, es, pair := twoMates(t)
	a, err := pt.Candidate(t.Context(), exam1, pair)
	if err != nil {
		t.Fatal(err)
	}
	b, err := es.Candidate(t.Context(), exam1, pair)
	if err != nil {
		t.Fatal(err)
	}
	if a.Score != b.Score || a.Comparison.CongruentCells != b.Comparison.CongruentCells {
		t.Errorf("PT computed %.6f with %d cells, ES %.6f with %d: a pair has one score", a.Score, a.Comparison.CongruentCells, b.Score, b.Comparison.CongruentCells)
	}
	if a.Own.Signature != b.Other.Signature || a.Rank != 1 || b.Rank != 1 {
		t.Errorf("PT sees %+v at rank %d, ES %+v at rank %d", a.Own, a.Rank, b.Own, b.Rank)
	}
	if a.Country != "ES" || b.Country != "PT" {
		t.Errorf("other countries %s and %s", a.Country, b.Country)
	}
}

func TestAcquiringTwiceChangesNothing(t *testing.T) {
	pt := labs(t, "PT", "ES")[0]
	pt.crime("PT-1")
	pt.exhibit("P1", "PT-1")
	scan := shot(t, 5, 1)
	first := pt.acquire("P1", scan)
	again := pt.acquire("P1", scan)
	if first.ID != again.ID || first.Signature != again.Signature {
		t.Errorf("the same scan made two acquisitions: %s and %s", first.ID, again.ID)
	}
	if n := len(pt.Events(store.AuditQuery{Kind: "acquisition"})); n != 1 {
		t.Errorf("%d audit entries of one acquisition", n)
	}
	if n, err := pt.Out.Waiting("ES", protocol.Bulk); err != nil || n != 1 {
		t.Errorf("%d documents wait for ES, %v; want 1", n, err)
	}
}

func TestUnusableScanLeavesNothingButItsRefusal(t *testing.T) {
	pt := labs(t, "PT", "ES")[0]
	pt.crime("PT-1")
	pt.exhibit("P1", "PT-1")
	good := shot(t, 5, 1)
	for name, scan := range map[string][]byte{"empty.x3p": nil, "text.x3p": []byte("not a scan"), "cut.x3p": good[:len(good)/2]} {
		_, err := pt.Acquire(t.Context(), tech, "", NewAcquisition{Exhibit: "P1", ROI: "breech-face", Scans: []File{{Name: name, Content: scan}}})
		if !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v; want an ErrInvalid that names the file", name, err)
		}
	}
	if _, err := pt.Acquire(t.Context(), tech, "", NewAcquisition{Exhibit: "P1", ROI: "ejector-mark", Scans: []File{{Name: "a.x3p", Content: good}}}); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("a region that cannot be encoded: %v", err)
	}
	v, err := pt.Exhibit(t.Context(), tech, "P1")
	if err != nil || len(v.Acquisitions) != 0 {
		t.Errorf("the exhibit has %d acquisitions, %v", len(v.Acquisitions), err)
	}
	if n, _ := pt.Out.Waiting("ES", protocol.Bulk); n != 0 {
		t.Errorf("%d documents wait for ES", n)
	}
	if n := len(pt.Events(store.AuditQuery{Decision: "deny"})); n != 4 {
		t.Errorf("%d refusals in the log, want 4", n)
	}
}

func TestRolesDecideWhoSeesCandidates(t *testing.T) {
	pt, _, pair := twoMates(t)
	if _, err := pt.Candidates(t.Context(), ncb, CandidateFilter{}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("an NCB operator listed candidates: %v", err)
	}
	if err := pt.review(exam1, pair, protocol.VerdictLead); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("an examiner made the primary review, which is a technician's: %v", err)
	}
	if n := len(pt.Events(store.AuditQuery{Action: "deny", Actor: "ncb"})); n != 1 {
		t.Errorf("%d refusals of ncb in the log", n)
	}
}

func TestSecondReviewIsBlindAndAnothersOwn(t *testing.T) {
	pt, _, pair := twoMates(t)
	if err := pt.review(tech, pair, protocol.VerdictLead); err != nil {
		t.Fatal(err)
	}
	if err := pt.review(tech, pair, protocol.VerdictLead); err != nil {
		t.Errorf("the same review again, as a client that was killed sends it: %v", err)
	}
	both := desk.Actor{Name: "tech", Roles: []string{"technician", "examiner"}}
	if err := pt.review(both, pair, protocol.VerdictExcluded); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("one person made both reviews: %v", err)
	}
	if n := len(pt.Events(store.AuditQuery{Action: "deny", Actor: "tech"})); n != 1 {
		t.Errorf("%d refusals in the log, want 1", n)
	}
	v, err := pt.Candidate(t.Context(), exam1, pair)
	if err != nil || len(v.Reviews) != 0 || v.Hidden != 1 {
		t.Errorf("before deciding, the second reviewer sees %v and %d hidden, %v", v.Reviews, v.Hidden, err)
	}
	if err := pt.review(exam1, pair, protocol.VerdictExcluded); err != nil {
		t.Fatal(err)
	}
	if v, _ = pt.Candidate(t.Context(), exam2, pair); v.State != "awaits-third" || v.Hidden != 2 {
		t.Errorf("after a disagreement: %s, %d hidden", v.State, v.Hidden)
	}
	if err := pt.review(exam2, pair, protocol.VerdictLead); err != nil {
		t.Fatal(err)
	}
	if v, _ = pt.Candidate(t.Context(), exam2, pair); v.Outcome != protocol.VerdictLead || len(v.Reviews) != 3 {
		t.Errorf("after the third review: %s, %d reviews shown", v.Outcome, len(v.Reviews))
	}
	if err := pt.review(exam3, pair, protocol.VerdictLead); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("a fourth review: %v", err)
	}
}

func TestLeadOvertakesItsSignature(t *testing.T) {
	both := labs(t, "PT", "ES")
	pt, es := both[0], both[1]
	pt.crime("PT-1")
	es.crime("ES-1")
	pt.exhibit("P1", "PT-1")
	es.exhibit("E1", "ES-1")
	a, b := pt.acquire("P1", shot(t, 5, 1)), es.acquire("E1", shot(t, 5, 2))
	carry(t, es, pt) // PT knows ES's exhibit; ES does not know PT's yet
	pt.settle()
	pair := protocol.PairID(a.Signature, b.Signature)
	pt.decideLead(pair)
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, "same tool"); err != nil {
		t.Fatal(err)
	}
	if l, err := pt.ReleaseLead(t.Context(), exam1, "", pair, "same tool"); err != nil || l.Sent == nil {
		t.Errorf("said twice: %v", err)
	}
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, "another tool"); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "lead retract") {
		t.Errorf("another narrative was taken for sent: %v", err)
	}
	carry(t, pt, es, protocol.Urgent)
	if l := es.lead(pair); l.State != LeadReceived || l.Received.Body.Caveat != protocol.Caveat || l.Received.Body.CaseReference != "PT-1" {
		t.Errorf("ES holds %+v", l)
	}
	carry(t, pt, es)
	es.settle()
	if v, err := es.Candidate(t.Context(), exam1, pair); err != nil || v.Lead != string(LeadReceived) {
		t.Errorf("the candidate that ES found later does not know of the lead: %+v, %v", v, err)
	}
}

func TestCrossingLeadsMergeAndRetractionLeavesTheOther(t *testing.T) {
	pt, es, pair := twoMates(t)
	for _, l := range []*lab{pt, es} {
		l.decideLead(pair)
		if _, err := l.ReleaseLead(t.Context(), exam1, "", pair, ""); err != nil {
			t.Fatal(err)
		}
	}
	carry(t, pt, es)
	carry(t, es, pt)
	for _, l := range []*lab{pt, es} {
		if got := l.lead(pair); got.Sent == nil || got.Received == nil {
			t.Fatalf("%s did not merge the crossing leads: %+v", l.Country, got)
		}
		if list, err := l.Leads(t.Context(), invest); err != nil || len(list) != 1 {
			t.Errorf("%s lists %d leads, %v", l.Country, len(list), err)
		}
	}
	if _, err := pt.RetractLead(t.Context(), exam1, "", pair, "wrong exhibit"); err != nil {
		t.Fatal(err)
	}
	carry(t, pt, es)
	if got := es.lead(pair); got.State == LeadRetracted || got.Received.Reason != "wrong exhibit" {
		t.Errorf("ES's own lead still stands; it holds %s, reason %q", got.State, got.Received.Reason)
	}
	if _, err := es.RetractLead(t.Context(), exam1, "", pair, "so is ours"); err != nil {
		t.Fatal(err)
	}
	carry(t, es, pt)
	for _, l := range []*lab{pt, es} {
		if got := l.lead(pair); got.State != LeadRetracted {
			t.Errorf("%s holds a lead that both sides retracted as %s", l.Country, got.State)
		}
	}
}

func TestLeadToHit(t *testing.T) {
	pt, es, pair := twoMates(t)
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("a lead without two reviews: %v", err)
	}
	pt.decideLead(pair)
	if _, err := pt.ReleaseLead(t.Context(), tech, "", pair, ""); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician released a lead: %v", err)
	}
	for range 2 { // the second time is a retry
		if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, ""); err != nil {
			t.Fatal(err)
		}
	}
	carry(t, pt, es)
	if _, err := pt.AcknowledgeLead(t.Context(), ncb, "", pair, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the sender acknowledged its own lead: %v", err)
	}
	if _, err := es.AcknowledgeLead(t.Context(), ncb, "", pair, "on it"); err != nil {
		t.Fatal(err)
	}
	if _, err := es.GiveFeedback(t.Context(), invest, "", pair, "MAYBE", ""); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("an unknown feedback code: %v", err)
	}
	if _, err := es.GiveFeedback(t.Context(), invest, "", pair, "ARREST", "one person"); err != nil {
		t.Fatal(err)
	}
	carry(t, es, pt)
	if l := pt.lead(pair); l.State != LeadAcknowledged || l.Sent.OtherCase != "ES-1" || len(l.Feedback) != 1 || l.Feedback[0].Code != "ARREST" {
		t.Errorf("PT holds %s, other case %q, feedback %v", l.State, l.Sent.OtherCase, l.Feedback)
	}
	n := NewConfirmation{Pair: pair, Conclusion: "identification", Items: []string{"E1", "cast of P1"}, Where: "Madrid"}
	if _, err := es.ConfirmHit(t.Context(), exam1, "", n); err != nil {
		t.Fatal(err)
	}
	n.Conclusion = "elimination"
	if _, err := es.ConfirmHit(t.Context(), exam1, "", n); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("one examiner confirmed and verified: %v", err)
	}
	if _, err := es.ConfirmHit(t.Context(), exam1, "", NewConfirmation{Pair: pair}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("one examiner verified the own confirmation: %v", err)
	}
	n.Conclusion = protocol.Identification
	if _, err := es.ConfirmHit(t.Context(), exam1, "", n); err != nil {
		t.Errorf("the same confirmation again, as a client that was killed sends it: %v", err)
	}
	if _, err := es.ConfirmHit(t.Context(), exam2, "", NewConfirmation{Pair: pair}); err != nil {
		t.Fatal(err)
	}
	carry(t, es, pt)
	for _, l := range []*lab{pt, es} {
		if got := l.lead(pair); got.State != LeadHit || got.Hit.Examiner != "exam1" || got.Hit.Verifier != "exam2" {
			t.Errorf("%s holds %s, %+v", l.Country, got.State, got.Hit)
		}
	}
	if _, err := pt.RetractLead(t.Context(), exam1, "", pair, "too late"); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("a hit was retracted: %v", err)
	}
}

func TestExpiryErasesAForeignCopyAndKeepsWhatPeopleReviewed(t *testing.T) {
	pt, es, pair := twoMates(t)
	mark := func(l *lab) int {
		n := 0
		l.Store.View(func(tx *store.Tx) error {
			for _, s := range signatures.All(tx) {
				if !s.Own && len(s.Bytes) > 0 {
					n++
				}
			}
			return tx.Err()
		})
		return n
	}
	if mark(pt) != 1 || mark(es) != 1 {
		t.Fatalf("PT holds %d foreign signatures, ES %d", mark(pt), mark(es))
	}
	pt.decideLead(pair)
	for _, l := range []*lab{pt, es} {
		if err := l.Out.Expire(t.Context()); err != nil || mark(l) != 1 {
			t.Errorf("%s erased a copy before its time: %d left, %v", l.Country, mark(l), err)
		}
	}
	pt.Clock.Add(6 * 366 * 24 * time.Hour) // the default policy grants five years
	for _, l := range []*lab{pt, es} {
		if err := l.Out.Expire(t.Context()); err != nil || mark(l) != 1 {
			t.Errorf("%s erased by a clock that leapt six years: %v", l.Country, err)
		}
	}
	agree(t, pt, es)
	for _, l := range []*lab{pt, es} {
		if err := l.Out.Expire(t.Context()); err != nil || mark(l) != 0 {
			t.Errorf("%s still holds %d expired signatures, %v", l.Country, mark(l), err)
		}
		if n := len(l.Events(store.AuditQuery{Action: "erase"})); n != 1 {
			t.Errorf("%s: %d erasures in the log", l.Country, n)
		}
	}
	if _, err := es.Candidate(t.Context(), exam1, pair); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("ES still shows an unreviewed candidate of an erased signature: %v", err)
	}
	if v, err := pt.Candidate(t.Context(), exam1, pair); err != nil || v.Outcome != protocol.VerdictLead {
		t.Errorf("PT lost a reviewed candidate: %v", err)
	}
	if n, _ := pt.index.Len(correlate.BreechFace, correlate.Algorithm); n != 1 {
		t.Errorf("PT's index holds %d signatures, want its own", n)
	}
}

func TestListsKeepTheBestTwenty(t *testing.T) {
	pt := labs(t, "PT", "ES")[0]
	pt.crime("PT-1")
	err := pt.Store.Update(t.Context(), func(tx *store.Tx) error {
		for i := range 30 {
			c := &Candidate{Pair: protocol.PairID("a", string(rune('A'+i))), A: "a", B: string(rune('A' + i))}
			c.Score = float64(i) / 30
			if i == 0 {
				c.Reviews = []Review{{Round: Primary, By: "tech"}}
			}
			// Each other side has twenty better ones, so that only a's list could keep the pair.
			if err := candidates.Put(tx, c.Pair, c); err != nil {
				return err
			}
			for j := range ListLength {
				d := &Candidate{Pair: protocol.PairID(c.B, string(rune('0'+j))), A: string(rune('0' + j)), B: c.B}
				d.Score = 0.99
				if err := candidates.Put(tx, d.Pair, d); err != nil {
					return err
				}
			}
		}
		return trim(tx, "a")
	})
	if err != nil {
		t.Fatal(err)
	}
	var kept []float64
	pt.Store.View(func(tx *store.Tx) error {
		for _, c := range candidates.ByPrefix(tx, "ranked", "a/") {
			kept = append(kept, c.Score)
		}
		return tx.Err()
	})
	if len(kept) != ListLength+1 || kept[0] != 29.0/30 || kept[ListLength] != 0 {
		t.Errorf("kept %d, from %v to %v: the best twenty and the one that was reviewed", len(kept), kept[0], kept[len(kept)-1])
	}
}

func TestNothingWithheldLeavesTheNode(t *testing.T) {
	both := labs(t, "PT", "ES")
	pt, es := both[0], both[1]
	pt.crime("SECRET-CASE")
	pt.exhibit("SECRET-EXHIBIT", "SECRET-CASE")
	pt.acquire("SECRET-EXHIBIT", shot(t, 5, 1))
	carry(t, pt, es)
	es.Store.View(func(tx *store.Tx) error {
		for _, s := range signatures.All(tx) {
			if s.Case != "" || s.Number != "" || s.Agency != "" || s.Place != "" {
				t.Errorf("ES holds %+v", s)
			}
			if s.Offence != "homicide" || s.Occurred == nil {
				t.Errorf("ES lacks what the policy releases: %+v", s)
			}
			if s.Expires.IsZero() || len(s.Handling) == 0 {
				t.Errorf("ES holds a foreign signature without terms: %+v", s)
			}
		}
		return tx.Err()
	})
	seen := 0
	es.Store.View(func(tx *store.Tx) error {
		for _, rec := range dispatch.Documents.All(tx) {
			seen++
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(rec.JWS, ".")[1])
			if err != nil || !bytes.Contains(payload, []byte("9 mm Luger")) {
				t.Errorf("the document cannot be read: %v", err)
			}
			open := string(payload)
			for _, d := range rec.Disclosures {
				b, err := base64.RawURLEncoding.DecodeString(string(d))
				if err != nil {
					t.Error(err)
				}
				open += string(b)
			}
			if strings.Contains(open, "SECRET") {
				t.Errorf("a withheld value arrived: %s", open)
			}
		}
		return tx.Err()
	})
	if seen != 1 {
		t.Errorf("ES holds %d documents, want 1", seen)
	}
}
