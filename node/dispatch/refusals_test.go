package dispatch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// A member that sends rubbish all day leaves few entries that tell how much; another member's rubbish has its own.
func TestRefusalsAreCounted(t *testing.T) {
	ctx := context.Background()
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	found := func() (out []store.AuditRecord) {
		for _, r := range es.log() {
			if strings.HasPrefix(r.Event, "refused: ") {
				out = append(out, r)
			}
		}
		return out
	}
	jws, _, _ := pt.document(protocol.TypeLeadAck, ackBody("x"), nil)
	good := pt.batch("ES", protocol.Urgent, 1, nil, pt.chainTo("ES", protocol.Urgent).add(jws, nil))
	forged := &Batch{Manifest: good.Manifest, Payload: append([]byte{1}, good.Payload...)}
	for range 50 {
		if _, err := es.accept(pt, forged); !errors.Is(err, ErrForged) {
			t.Fatal(err)
		}
	}
	if _, err := es.accept(fr, good); !errors.Is(err, ErrForged) {
		t.Fatal(err)
	}
	if err := es.AcceptReceipt(ctx, "PT", "a.b.c"); !errors.Is(err, ErrForged) {
		t.Fatal(err)
	}
	if got := found(); len(got) != 2 || got[0].Counterpart != "PT" || got[0].Ground != "forged" || got[0].Details["times"] != "1" || got[1].Counterpart != "FR" {
		t.Fatalf("within the minute: %+v", got)
	}
	if err := es.FlushRefusals(ctx, false); err != nil || len(found()) != 2 {
		t.Fatalf("before the minute is over: %d entries, %v", len(found()), err)
	}
	f.clock.add(refusalWindow)
	for range 2 { // the second time there is nothing left
		if err := es.FlushRefusals(ctx, false); err != nil {
			t.Fatal(err)
		}
	}
	got := found()
	if len(got) != 3 || got[2].Counterpart != "PT" || got[2].Details["times"] != "50" || !strings.Contains(got[2].Event, "receipt") {
		t.Fatalf("after the minute: %+v", got[2:])
	}
	// What follows a window without a flush takes its count along.
	for range 3 {
		_, _ = es.accept(pt, forged)
	}
	f.clock.add(time.Hour)
	_, _ = es.accept(pt, forged)
	if got := found(); len(got) != 6 || got[4].Details["times"] != "2" || got[5].Details["times"] != "1" {
		t.Errorf("a later window: %+v", got[3:])
	}
	_, _ = es.accept(pt, forged)
	if err := es.FlushRefusals(ctx, true); err != nil || len(found()) != 7 {
		t.Errorf("before the node stops: %d entries, %v", len(found()), err)
	}
	if n := es.Refused(); n["forged"] != 57 || len(n) != 1 {
		t.Errorf("counted: %v", n)
	}
	// Nobody is to blame for a gap.
	c := pt.chainTo("ES", protocol.Urgent)
	c.seq, c.prev = 4, protocol.MessageHash([]byte("x"))
	if _, err := es.accept(pt, pt.batch("ES", protocol.Urgent, 5, nil, c.add(jws, nil))); !errors.Is(err, ErrGap) || len(found()) != 7 {
		t.Errorf("a gap: %v, %d entries", err, len(found()))
	}
	if len(es.got) != 0 {
		t.Errorf("%d documents were applied", len(es.got))
	}
}

func TestForkLeavesItsEntry(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	one, _, _ := pt.document(protocol.TypeLeadAck, ackBody("one"), nil)
	two, _, _ := pt.document(protocol.TypeLeadAck, ackBody("two"), nil)
	first := pt.batch("ES", protocol.Urgent, 1, nil, pt.chainTo("ES", protocol.Urgent).add(one, nil))
	rewritten := pt.batch("ES", protocol.Urgent, 1, nil, pt.chainTo("ES", protocol.Urgent).add(two, nil))
	if _, err := es.accept(pt, first); err != nil {
		t.Fatal(err)
	}
	if _, err := es.accept(pt, rewritten); !errors.Is(err, ErrFork) {
		t.Fatal(err)
	}
	if n := es.entries(func(r store.AuditRecord) bool {
		return r.Ground == "fork" && r.Counterpart == "PT" && r.Decision == "deny"
	}); n != 1 {
		t.Errorf("%d entries of the fork", n)
	}
}
