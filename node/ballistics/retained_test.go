package ballistics

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
	"golang.org/x/sync/errgroup"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/retention"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var ncb2 = desk.Actor{Name: "ncb2", Roles: []string{policy.NCBOperator}}

// keeping is the retention of a laboratory's cases.
func (l *lab) keeping(period time.Duration) *retention.Service {
	nobodyAsked := Scans{Plan: func(*store.Tx, string) (a, b, c []string, err error) { return nil, nil, nil, nil }, Erase: func(*store.Tx, string) error { return nil }}
	return retention.New(retention.Options{Desk: l.desk, Dispatch: l.Out, Periods: retention.Periods{"case": period}, Keepers: []retention.Keeper{l.Retained(nobodyAsked)},
		Prove: func(context.Context, int64) ([]byte, error) { return []byte("bundle"), nil }})
}

// holds counts the places of the whole database, in clear, where a text stands.
func (l *lab) holds(text string) int {
	l.t.Helper()
	var all bytes.Buffer
	if _, err := l.Store.Backup(l.t.Context(), 0, func(store.BackupHead) (io.Writer, error) { return &all, nil }, nil); err != nil {
		l.t.Fatal(err)
	}
	return bytes.Count(all.Bytes(), []byte(text))
}

// A published case with a lead is kept, proposed for purge, approved, held up by a legal hold abroad and by one here, and then gone without a trace but
// for the proofs.
func TestACaseIsPurged(t *testing.T) {
	ctx := t.Context()
	both := labs(t, "PT", "ES")
	pt, es := both[0], both[1]
	const reference, number = "CANARYCASE-1", "CANARYEXHIBIT-1"
	pt.crime(reference)
	pt.crime("PT-2")
	es.crime("ES-1")
	pt.exhibit(number, reference)
	pt.exhibit("P2", "PT-2")
	es.exhibit("E1", "ES-1")
	a, kept := pt.acquire(number, shot(t, 5, 1)), pt.acquire("P2", shot(t, 6, 1))
	b := es.acquire("E1", shot(t, 5, 2))
	carry(t, pt, es)
	carry(t, es, pt)
	pt.settle()
	es.settle()
	pair := protocol.PairID(a.Signature, b.Signature)
	pt.decideLead(pair)
	if _, err := pt.ReleaseLead(ctx, exam1, "", pair, "CANARYNOTE"); err != nil {
		t.Fatal(err)
	}
	carry(t, pt, es)
	for _, text := range []string{reference, number, "CANARYNOTE", a.Scans[0].Hash} {
		if pt.holds(text) == 0 {
			t.Fatalf("%s stands nowhere: the test proves nothing", text)
		}
	}

	k := pt.keeping(30 * 24 * time.Hour)
	due := func(within time.Duration) []retention.Item {
		t.Helper()
		list, err := k.Due(ctx, ncb, retention.Page{Within: within})
		if err != nil || list.Total != len(list.Items) || list.Next != "" {
			t.Fatal(list, err)
		}
		return list.Items
	}
	if len(due(0)) != 0 || len(due(31*24*time.Hour)) != 2 {
		t.Errorf("due now %+v, within 31 days %+v", due(0), due(31*24*time.Hour))
	}
	pt.Clock.Add(30*24*time.Hour + time.Hour)
	if list := due(0); len(list) != 2 || list[0].Reference != "PT-2" { // something happened to the other one later
		t.Errorf("%+v", list)
	}
	for what, err := range map[string]error{
		"no reason": second(k.Keep(ctx, ncb, "", reference, pt.Clock.Now().AddDate(1, 0, 0), " ")),
		"past":      second(k.Keep(ctx, ncb, "", reference, pt.Clock.Now().AddDate(0, 0, -1), "open")),
	} {
		if !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := k.Keep(ctx, exam1, "", reference, pt.Clock.Now().AddDate(1, 0, 0), "open"); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("an examiner: %v", err)
	}
	if _, err := k.Purge(ctx, ncb, "", "none", "x"); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
	if v, err := k.Keep(ctx, ncb, "", reference, pt.Clock.Now().AddDate(0, 0, 2), "appeal"); err != nil || v.Reference != reference {
		t.Fatalf("%+v, %v", v, err)
	}
	if list := due(0); len(list) != 1 || list[0].Reference != "PT-2" {
		t.Errorf("kept, and due: %+v", list)
	}
	pt.Clock.Add(3 * 24 * time.Hour)
	if list := due(0); len(list) != 2 || list[1].Review == nil || list[1].Review.Reason != "appeal" {
		t.Errorf("the day has passed: %+v", list)
	}

	// Two people; whoever proposed it is not the second one.
	v, err := k.Purge(ctx, ncb, "", "case/"+reference, "retention ended")
	if err != nil || v.State != retention.Proposed || len(v.Earlier) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := k.Purge(ctx, ncb, "", reference, "retention ended"); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("approved by whoever proposed it: %v", err)
	}
	es.mustHold(a.Signature, "court 12/2026")
	if v, err = k.Purge(ctx, ncb2, "", reference, "agreed"); err != nil || v.State != retention.Withdrawing || len(v.Documents) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	id := v.ID
	if again, err := k.Purge(ctx, ncb2, "", reference, "agreed"); err != nil || again.State != retention.Withdrawing {
		t.Errorf("again: %+v, %v", again, err)
	}
	state := func() *retention.Review {
		t.Helper()
		list, err := k.Purges(ctx, ncb)
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0]
	}
	if v := state(); v.State != retention.Withdrawing || len(v.Waits) == 0 || !strings.Contains(v.Waits[0], "ES: ") {
		t.Errorf("nobody was told: %+v", v)
	}
	carry(t, pt, es)
	carry(t, es, pt)
	if v := state(); v.State != retention.Withdrawing || len(v.Waits) != 1 || !strings.Contains(v.Waits[0], "court 12/2026") {
		t.Errorf("held at ES: %+v", v)
	}
	if err := es.Store.Update(ctx, func(tx *store.Tx) error { return second(es.Out.Release(tx, ncb, a.Signature)) }); err != nil {
		t.Fatal(err)
	}
	pt.mustHold(b.Signature, "court 13/2026") // a lead of the case rests on it
	carry(t, es, pt)
	if v := state(); v.State != retention.Withdrawing || len(v.Waits) != 1 || !strings.Contains(v.Waits[0], "court 13/2026") {
		t.Errorf("held here: %+v", v)
	}
	if _, err := k.Proof(ctx, ncb, id); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("proof of what is not erased: %v", err)
	}
	if err := pt.Store.Update(ctx, func(tx *store.Tx) error { return second(pt.Out.Release(tx, ncb, b.Signature)) }); err != nil {
		t.Fatal(err)
	}

	var carriers errgroup.Group // the clock and people carry it on at once
	for range 8 {
		carriers.Go(func() error { return k.Continue(ctx) })
	}
	if err := carriers.Wait(); err != nil {
		t.Fatal(err)
	}
	if said := pt.Events(store.AuditQuery{Object: id, Kind: policy.KindRetention, Action: string(protocol.ActErase)}); len(said) != 1 {
		t.Errorf("the log says %d times that it is erased", len(said))
	}
	if v := state(); v.State != retention.Purged || v.Reference != "" || v.Second != "ncb2" || v.Purged.Documents != 2 || len(v.Purged.Bodies) < 8 || len(slices.Compact(slices.Clone(v.Purged.Bodies))) != len(v.Purged.Bodies) {
		t.Fatalf("%+v %+v", v, v.Purged)
	}
	if again, err := k.Purge(ctx, ncb, "", id, "again"); err != nil || again.State != retention.Purged {
		t.Errorf("purged again: %+v, %v", again, err)
	}
	for _, text := range []string{reference, number, "CANARYNOTE", "Place " + reference, a.ID, a.Scans[0].Hash} {
		if n := pt.holds(text); n != 0 {
			t.Errorf("%s still stands in %d places", text, n)
		}
	}
	if sig := pt.signature(kept.Signature); sig == nil || pt.holds(kept.Scans[0].Hash) == 0 {
		t.Error("another case lost its signature or scan")
	}
	if n := len(pt.Events(store.AuditQuery{Case: reference})); n != 0 {
		t.Errorf("%d entries name the case", n)
	}
	if es.signature(a.Signature) != nil {
		t.Error("ES holds the signature")
	}
	if err := pt.Store.View(func(tx *store.Tx) error { return second(pt.Out.Recalls(tx, dispatch.RecallFilter{})) }); err != nil {
		t.Errorf("withdrawals after a purge: %v", err)
	}

	p, err := k.Proof(ctx, ncb, id)
	if err != nil || p.Header.Action != protocol.ActErase || len(p.Erased) != len(p.Review.Purged.Bodies) || len(p.Erased[0].BodyHash) != 64 || p.Erased[0].Header.Day == "" {
		t.Errorf("%+v, %v", p, err)
	}
	verifier, err := note.NewVerifier(pt.Keys.LogVerifierKey("proofmark.PT"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := pt.Store.VerifyAudit(ctx, verifier, nil); err != nil || r.Erased < int64(len(p.Erased)) {
		t.Errorf("%+v, %v", r, err)
	}
}

func second[T any](_ T, err error) error { return err }

func (l *lab) mustHold(id, ground string) {
	l.t.Helper()
	if err := l.Store.Update(l.t.Context(), func(tx *store.Tx) error { return second(l.Out.Hold(tx, ncb, id, ground)) }); err != nil {
		l.t.Fatal(err)
	}
}
