package ballistics

import (
	"errors"
	"strings"
	"testing"

	"proofmark/correlate"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

var mistaken = dispatch.Withdrawal{Reason: protocol.ReasonEnteredInError}

// withdrawDocument takes back one document of a laboratory's own and carries withdrawal and confirmation.
func (l *lab) withdrawDocument(id string, other *lab) dispatch.Holder {
	l.t.Helper()
	if err := l.Store.Update(l.t.Context(), func(tx *store.Tx) error {
		_, err := l.Out.Withdraw(tx, exam1, id, mistaken)
		return err
	}); err != nil {
		l.t.Fatal(err)
	}
	return l.settled(id, other)
}

// settled carries what a withdrawal brings about, and tells what the other side confirmed.
func (l *lab) settled(id string, other *lab) (h dispatch.Holder) {
	l.t.Helper()
	carry(l.t, l, other, protocol.Urgent)
	carry(l.t, other, l, protocol.Urgent)
	if err := l.Store.View(func(tx *store.Tx) error {
		d, err := l.Out.Show(tx, id)
		if err == nil && len(d.Holders) == 1 {
			h = d.Holders[0]
		}
		return err
	}); err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *lab) signature(id string) (sig *Signature) {
	_ = l.Store.View(func(tx *store.Tx) (err error) {
		sig, err = signatures.Get(tx, id)
		return err
	})
	return sig
}

// documentOf finds the document of a type that a laboratory issued.
func (l *lab) documentOf(t protocol.Type) string {
	l.t.Helper()
	id := ""
	if err := l.Store.View(func(tx *store.Tx) error {
		for at := range dispatch.Documents.By(tx, "status-type", "own/"+string(t)) {
			id = at
		}
		return tx.Err()
	}); err != nil || id == "" {
		l.t.Fatalf("no own %s: %v", t, err)
	}
	return id
}

func TestAWithdrawnExhibitLeavesTheOtherCountry(t *testing.T) {
	pt, es, pair := twoMates(t)
	ctx := t.Context()
	for _, w := range []WithdrawExhibit{{}, {Exhibit: "P1", Firearm: "F"}, {Exhibit: "none"}, {Firearm: "none"}} {
		w.Withdrawal = mistaken
		if _, err := pt.WithdrawExhibit(ctx, exam1, "", w); !errors.Is(err, desk.ErrInvalid) && !errors.Is(err, desk.ErrNotFound) {
			t.Errorf("%+v: %v", w, err)
		}
	}
	if _, err := pt.WithdrawExhibit(ctx, tech, "", WithdrawExhibit{Exhibit: "P1", Withdrawal: mistaken}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician withdrew: %v", err)
	}
	list, err := pt.WithdrawExhibit(ctx, exam1, "k", WithdrawExhibit{Exhibit: "P1", Withdrawal: mistaken})
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	id := list[0].Document
	if h := pt.settled(id, es); h.State != dispatch.HolderErased || len(h.Stays) != 0 {
		t.Errorf("%+v", h)
	}
	if sig := es.signature(id); sig != nil {
		t.Errorf("ES holds %+v", sig)
	}
	if _, err := es.Candidate(ctx, exam1, pair); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("ES still shows a candidate that nobody reviewed: %v", err)
	}
	if n, _ := es.index.Len(correlate.BreechFace, correlate.Algorithm); n != 1 {
		t.Errorf("ES's index holds %d, want its own", n)
	}
	// It stays in the own casework, and nothing about it leaves any more.
	if sig := pt.signature(id); sig == nil || sig.Bytes == nil || sig.Withdrawn.IsZero() || sig.restricted() {
		t.Errorf("PT holds %+v", sig)
	}
	if v, err := pt.Exhibit(ctx, exam1, "P1"); err != nil || v.Withdrawn[id].IsZero() {
		t.Errorf("the exhibit does not say that it was taken back: %+v, %v", v, err)
	}
	// No lead can come of it: nobody is asked to review it.
	if list, err := pt.Candidates(ctx, exam1, CandidateFilter{}); err != nil || len(list) != 0 {
		t.Errorf("%d candidates await a review, %v", len(list), err)
	}
	if v, err := pt.Candidate(ctx, exam1, pair); err != nil || v.State != SourceWithdrawn || v.Own.Withdrawn.IsZero() {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := pt.Review(ctx, tech, "", NewReview{Pair: pair, Verdict: protocol.VerdictLead}); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "was withdrawn") {
		t.Errorf("a review of a withdrawn signature: %v", err)
	}
}

func TestWhatPeopleDecidedStaysMarked(t *testing.T) {
	pt, es, pair := twoMates(t)
	es.decideLead(pair)
	lead, err := es.ReleaseLead(t.Context(), exam1, "", pair, "seen twice")
	if err != nil {
		t.Fatal(err)
	}
	carry(t, es, pt)
	id := es.lead(pair).Sent.Body.Other.Signature
	pt.decideLead(pair)
	h := pt.withdrawDocument(id, es)
	if _, err := pt.ReleaseLead(t.Context(), exam1, "", pair, ""); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "was withdrawn") {
		t.Errorf("a lead on a withdrawn signature: %v", err)
	}
	if h.State != dispatch.HolderErased || len(h.Stays) != 2 || h.Stays[0].What != "review" || h.Stays[1] != (protocol.Remainder{What: "lead", Reference: lead.Sent.Body.Number, Ground: protocol.GroundOwnRecord, Note: "marked: source withdrawn"}) {
		t.Errorf("%+v", h)
	}
	if sig := es.signature(id); sig == nil || sig.Bytes != nil || sig.Withdrawn.IsZero() || !sig.restricted() {
		t.Errorf("ES holds %+v", sig)
	}
	v, err := es.Candidate(t.Context(), exam1, pair)
	if err != nil || v.Outcome != protocol.VerdictLead || v.Other.Withdrawn.IsZero() || !v.Own.Withdrawn.IsZero() {
		t.Errorf("%+v, %v", v, err)
	}
	if l := es.lead(pair); l.SourceWithdrawn.IsZero() || l.State != LeadReleased || l.Timeline[len(l.Timeline)-1].Event != "signature withdrawn by its owner" {
		t.Errorf("%+v", l)
	}
	if l := pt.lead(pair); !l.SourceWithdrawn.IsZero() || l.Received == nil {
		t.Errorf("the owner's lead: %+v", l)
	}
	// The lead, too, can be taken back: it stays with both, and stands no more.
	if h := es.withdrawDocument(lead.Sent.Document, pt); h.State != dispatch.HolderErased || len(h.Stays) != 1 || h.Stays[0].Reference != lead.Sent.Body.Number {
		t.Errorf("%+v", h)
	}
	if l := pt.lead(pair); l.SourceWithdrawn.IsZero() || l.State != LeadRetracted || l.Received.Withdrawn.IsZero() || l.Received.Body.Narrative != "seen twice" {
		t.Errorf("the lead at PT: %+v", l)
	}
	if l := es.lead(pair); l.State != LeadRetracted || l.Sent.Withdrawn.IsZero() {
		t.Errorf("the lead at ES: %+v", l)
	}
}

// A candidate whose other side was withdrawn after its review makes no lead any more.
func TestNoLeadOnAWithdrawnSource(t *testing.T) {
	pt, es, pair := twoMates(t)
	es.decideLead(pair)
	pt.withdrawDocument(pt.documentOf(protocol.TypeSignature), es)
	if _, err := es.ReleaseLead(t.Context(), exam1, "", pair, ""); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "PT withdrew") {
		t.Errorf("released: %v", err)
	}
}

// A legal hold keeps a withdrawn signature and its candidates; it takes part in no comparison, not even after a restart.
func TestAHeldSignatureIsNotCompared(t *testing.T) {
	pt, es, pair := twoMates(t)
	id := pt.documentOf(protocol.TypeSignature)
	if err := es.Store.Update(t.Context(), func(tx *store.Tx) error { _, err := es.Out.Hold(tx, ncb, id, "order 7"); return err }); err != nil {
		t.Fatal(err)
	}
	if h := pt.withdrawDocument(id, es); h.State != dispatch.HolderHolds || h.Ground != "order 7" {
		t.Errorf("%+v", h)
	}
	if sig := es.signature(id); sig == nil || sig.Bytes == nil || !sig.restricted() {
		t.Errorf("ES holds %+v", sig)
	}
	if v, err := es.Candidate(t.Context(), exam1, pair); err != nil || v.Other.Withdrawn.IsZero() {
		t.Errorf("%+v, %v", v, err)
	}
	es.exhibit("E2", "ES-1")
	fresh := es.acquire("E2", shot(t, 5, 3))
	if err := es.Load(t.Context()); err != nil { // as a start does
		t.Fatal(err)
	}
	es.settle()
	if _, err := es.Candidate(t.Context(), exam1, protocol.PairID(fresh.Signature, id)); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("a withdrawn signature was compared: %v", err)
	}
	if n, _ := es.index.Len(correlate.BreechFace, correlate.Algorithm); n != 2 {
		t.Errorf("ES's index holds %d, want its own two", n)
	}
	if err := es.Store.Update(t.Context(), func(tx *store.Tx) error { _, err := es.Out.Release(tx, ncb, id); return err }); err != nil {
		t.Fatal(err)
	}
	if h := pt.settled(id, es); h.State != dispatch.HolderErased || es.signature(id) != nil {
		t.Errorf("%+v, %+v", h, es.signature(id))
	}
	if _, err := es.Candidate(t.Context(), exam1, pair); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("the candidate outlived the hold: %v", err)
	}
}

func TestRepliesAreWithdrawnAndEnd(t *testing.T) {
	pt, es, pair := twoMates(t)
	ctx := t.Context()
	pt.decideLead(pair)
	if _, err := pt.ReleaseLead(ctx, exam1, "", pair, "Canary-narrative"); err != nil {
		t.Fatal(err)
	}
	carry(t, pt, es)
	if _, err := es.AcknowledgeLead(ctx, ncb, "", pair, "on it"); err != nil {
		t.Fatal(err)
	}
	if _, err := es.GiveFeedback(ctx, invest, "", pair, "ARREST", "one man"); err != nil {
		t.Fatal(err)
	}
	if _, err := es.ConfirmHit(ctx, exam1, "", NewConfirmation{Pair: pair, Conclusion: protocol.Identification, Items: []string{"E1"}, Where: "Madrid"}); err != nil {
		t.Fatal(err)
	}
	if _, err := es.ConfirmHit(ctx, exam2, "", NewConfirmation{Pair: pair}); err != nil {
		t.Fatal(err)
	}
	carry(t, es, pt)
	if l := pt.lead(pair); l.State != LeadHit || l.Sent.OtherCase == "" || len(l.Feedback) != 1 {
		t.Fatalf("%+v", l)
	}
	for _, typ := range []protocol.Type{protocol.TypeLeadAck, protocol.TypeFeedback, protocol.TypeHit} {
		if h := es.withdrawDocument(es.documentOf(typ), pt); h.State != dispatch.HolderErased {
			t.Errorf("%s: %+v", typ, h)
		} else if typ == protocol.TypeHit && (len(h.Stays) != 1 || h.Stays[0].What != "hit") {
			t.Errorf("of a hit stays %+v", h.Stays)
		}
	}
	l := pt.lead(pair)
	if l.Sent.AckNote != "" || l.Sent.OtherCase != "" || len(l.Feedback) != 0 || l.State != LeadHit || l.SourceWithdrawn.IsZero() {
		t.Errorf("at PT: %+v", l)
	}
	if l := es.lead(pair); l.State != LeadHit || len(l.Feedback) != 0 || !l.SourceWithdrawn.IsZero() {
		t.Errorf("at ES: %+v", l)
	}
	// The end of a notification's retention blanks what its sender disclosed beside the link; the lead stays.
	err := es.Store.Update(ctx, func(tx *store.Tx) error {
		n := l.Sent.Document
		_, err := es.endLead(tx, dispatch.Ending{ID: n, Type: protocol.TypeLead, Issuer: "PT", Cause: dispatch.CauseExpired})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if b := es.lead(pair).Received.Body; b.Narrative != "" || b.Occurred != nil || b.Offence != "" || b.Place != "" || b.LikelihoodRatio != nil || b.Number == "" || b.CaseReference == "" {
		t.Errorf("after its retention: %+v", b)
	}
	// A country ends nothing that is another's.
	err = pt.Store.Update(ctx, func(tx *store.Tx) error {
		_, err := pt.endSignature(tx, dispatch.Ending{ID: l.Own.Signature, Type: protocol.TypeSignature, Issuer: "ES", Cause: dispatch.CauseWithdrawn})
		return err
	})
	if sig := pt.signature(l.Own.Signature); err != nil || sig == nil || !sig.Withdrawn.IsZero() {
		t.Errorf("%+v, %v", sig, err)
	}
}

// A database of an earlier program has no index of its leads.
func TestLeadsOfAnEarlierProgramAreFound(t *testing.T) {
	pt, es, pair := twoMates(t)
	es.decideLead(pair)
	if _, err := es.ReleaseLead(t.Context(), exam1, "", pair, ""); err != nil {
		t.Fatal(err)
	}
	plain := store.NewCollection[Lead]("lead")
	if err := es.Store.Update(t.Context(), func(tx *store.Tx) error { _, _, err := plain.Reindex(tx, "", 10); return err }); err != nil {
		t.Fatal(err)
	}
	if err := es.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	pt.withdrawDocument(pt.documentOf(protocol.TypeSignature), es)
	if l := es.lead(pair); l.SourceWithdrawn.IsZero() {
		t.Errorf("%+v", l)
	}
}
