package release

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/node/bureautest"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/retention"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var ncb2 = desk.Actor{Name: "ncb2", Roles: []string{policy.NCBOperator}}

// holds counts the places of the whole database, in clear, where a text stands.
func (b *bureau) holds(text string) int {
	b.t.Helper()
	var all bytes.Buffer
	if _, err := b.Store.Backup(b.t.Context(), 0, func(store.BackupHead) (io.Writer, error) { return &all, nil }, nil); err != nil {
		b.t.Fatal(err)
	}
	return bytes.Count(all.Bytes(), []byte(text))
}

// acquire makes a case with one exhibit as its laboratory does, and returns what was acquired.
func (b *bureau) acquire(reference, number string) *ballistics.Acquisition {
	b.t.Helper()
	ctx, when := b.t.Context(), begin.Add(-48*time.Hour)
	bureautest.Must(b.lab.AddCase(ctx, tech, "", ballistics.NewCase{Reference: reference, Agency: "PJ"}))
	bureautest.Must(b.lab.AddIncident(ctx, tech, "", ballistics.NewIncident{Case: reference, Occurred: protocol.Interval{From: when, To: when.Add(time.Hour)}, Place: "Elvas", Offence: "homicide"}))
	bureautest.Must(b.lab.AddExhibit(ctx, tech, "", ballistics.NewExhibit{Number: number, Case: reference, Origin: protocol.Evidence, Calibre: "9 mm Luger"}))
	var scan bytes.Buffer
	if err := x3p.Write(&scan, synth.NewMaker(1).Firearm(5).Fire(1, synth.Shot{})); err != nil {
		b.t.Fatal(err)
	}
	return bureautest.Must(b.lab.Acquire(ctx, tech, "", ballistics.NewAcquisition{Exhibit: number, ROI: "breech-face", Scans: []ballistics.File{{Name: number + ".x3p", Content: scan.Bytes()}}}))
}

// TestPurgeTakesWhatWasAskedFor: an own case is purged of whose scans other countries had asked. One got them, one was refused, one is still to be answered
// and holds the purge up; in the end nothing of the requests is left, the copies abroad are gone, and both logs verify.
func TestPurgeTakesWhatWasAskedFor(t *testing.T) {
	ctx := t.Context()
	f := newFederation(t, "ES", "PT", "FR", "DE")
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	const reference, number, reason, word = "CANARYCASE", "CANARYEXHIBIT", "CANARYREASON", "CANARYNOTE"
	a := es.acquire(reference, number)
	other := es.enrol() // of another case: its requests stay
	for _, c := range []protocol.Country{"PT", "FR", "DE"} {
		f.carry("ES", c)
	}
	from := map[protocol.Country]*Request{}
	for _, c := range []protocol.Country{"PT", "FR"} {
		from[c] = bureautest.Must(f.bureaus[c].Request(ctx, exam1, "", Ask{Signature: a.Signature, Reason: reason}))
		f.carry(c, "ES")
	}
	kept := pt.ask(other, "ES")
	es.judge()
	bureautest.Must(es.Approve(ctx, exam1, "k1", from["PT"].Number, word))
	if got := bureautest.Must(es.Approve(ctx, ncb, "k2", from["PT"].Number, "")); got.State != Released {
		t.Fatalf("%+v", got)
	}
	bureautest.Must(es.Refuse(ctx, exam1, "", from["FR"].Number, protocol.ScanInvestigation, word))
	f.carry("ES", "PT")
	if err := pt.fetchRound(t, "ES"); err != nil {
		t.Fatal(err)
	}
	// The refusal leaves on the tick. Germany's request comes after it, and waits.
	f.Clock.Set(begin.Add(time.Minute))
	if err := es.Answer(ctx); err != nil {
		t.Fatal(err)
	}
	f.carry("ES", "FR")
	from["DE"] = bureautest.Must(f.bureaus["DE"].Request(ctx, exam1, "", Ask{Signature: a.Signature, Reason: reason}))
	f.carry("DE", "ES")
	if fr := f.bureaus["FR"].show(from["FR"].ID); fr.State != Refused || pt.show(from["PT"].ID).State != Received {
		t.Fatalf("%+v", fr)
	}

	var objects, documents, blocked []string
	plan := func() {
		t.Helper()
		if err := es.Store.View(func(tx *store.Tx) (err error) {
			objects, documents, blocked, err = AskedOf(tx, a.Signature)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if plan(); len(objects) != 6 || len(documents) != 2 || len(blocked) != 1 || !strings.Contains(blocked[0], "of DE") {
		t.Errorf("what was asked for: %q, %q, %q", objects, documents, blocked)
	}
	for _, r := range from {
		if !slices.Contains(objects, r.ID) || !slices.Contains(objects, r.Number) {
			t.Errorf("request %s is not among %q", r.Number, objects)
		}
	}
	for _, text := range []string{reference, number, reason, word} {
		if es.holds(text) == 0 {
			t.Fatalf("%s stands nowhere: the test proves nothing", text)
		}
	}
	k := retention.New(retention.Options{Desk: es.Desk, Dispatch: es.Out, Periods: retention.DefaultPeriods(),
		Keepers: []retention.Keeper{es.lab.Retained(ballistics.Scans{Plan: AskedOf, Erase: es.EraseAsked})},
		Prove:   func(context.Context, int64) ([]byte, error) { return []byte("bundle"), nil }})
	if _, err := k.Purge(ctx, ncb, "", reference, "demand"); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "of DE for its scans is being answered") {
		t.Errorf("purged before an answer has left: %v", err)
	}
	es.judge()
	bureautest.Must(es.Refuse(ctx, exam1, "", from["DE"].Number, protocol.ScanInvestigation, word))
	f.Clock.Set(begin.Add(2 * time.Minute))
	if err := es.Answer(ctx); err != nil {
		t.Fatal(err)
	}
	if plan(); len(blocked) != 0 || len(documents) != 3 {
		t.Errorf("after the answer: %q, %q", documents, blocked)
	}
	hold := func(act func(tx *store.Tx) (*dispatch.Shown, error)) {
		t.Helper()
		if err := es.Store.Update(ctx, func(tx *store.Tx) error { _, err := act(tx); return err }); err != nil {
			t.Fatal(err)
		}
	}
	hold(func(tx *store.Tx) (*dispatch.Shown, error) { return es.Out.Hold(tx, ncb, from["FR"].ID, "court 7") })
	if _, err := k.Purge(ctx, ncb, "", reference, "demand"); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "under a legal hold (court 7)") {
		t.Errorf("purged under a legal hold: %v", err)
	}
	hold(func(tx *store.Tx) (*dispatch.Shown, error) { return es.Out.Release(tx, ncb, from["FR"].ID) })
	bureautest.Must(k.Purge(ctx, ncb, "", reference, "demand"))
	v := bureautest.Must(k.Purge(ctx, ncb2, "", reference, "agreed"))
	state := retention.Withdrawing
	for range 3 { // withdrawals go out, confirmations come back
		for _, c := range []protocol.Country{"PT", "FR", "DE"} {
			f.carry("ES", c)
			f.carry(c, "ES")
		}
		for _, p := range bureautest.Must(k.Purges(ctx, ncb)) {
			if state = p.State; state == retention.Withdrawing {
				t.Logf("waits for %q", p.Waits)
			}
		}
	}
	if state != retention.Purged {
		t.Fatalf("the purge is %s", state)
	}

	if plan(); len(objects)+len(documents)+len(blocked) != 0 {
		t.Errorf("still asked for: %q, %q, %q", objects, documents, blocked)
	}
	for _, r := range from {
		if _, err := es.Show(ctx, exam1, r.Number); !errors.Is(err, desk.ErrNotFound) {
			t.Errorf("request %s: %v", r.Number, err)
		}
		if err := es.Store.View(func(tx *store.Tx) error {
			if has, err := requests.Has(tx, r.ID); err != nil || has {
				t.Errorf("request %s is there: %v", r.Number, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{reference, number, reason, word, a.Scans[0].Hash} {
		if n := es.holds(text); n != 0 {
			t.Errorf("%s still stands in %d places", text, n)
		}
	}
	if got := es.show(kept.ID); got.State != Awaiting {
		t.Errorf("a request about another case: %+v", got)
	}
	if got := pt.show(from["PT"].ID); got.State != Erased {
		t.Errorf("PT's request, whose scans were withdrawn, is %s", got.State)
	}
	proof := bureautest.Must(k.Proof(ctx, ncb, v.ID))
	if len(proof.Erased) == 0 || proof.Header.Action != protocol.ActErase {
		t.Errorf("%+v", proof)
	}
	for _, b := range []*bureau{es, pt} {
		verifier := bureautest.Must(note.NewVerifier(b.LogKey()))
		report, err := b.Store.VerifyAudit(ctx, verifier, nil)
		if err != nil || b == es && report.Erased < int64(len(proof.Erased)) {
			t.Errorf("%s: %+v, %v", b.Country, report, err)
		}
	}
	if err := es.Store.View(func(tx *store.Tx) error {
		for _, id := range []string{from["PT"].ID, from["FR"].ID, from["DE"].ID} {
			if has, err := dispatch.Documents.Has(tx, id); err != nil || has {
				t.Errorf("the request document %s is there: %v", id, err)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
