package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

func (b *bureau) sweep() {
	b.f.t.Helper()
	if err := b.Expire(context.Background()); err != nil {
		b.f.t.Fatal(err)
	}
}

// Every kind of foreign document ends with its terms: accepted ones of any type, refused and unread ones; and none before its time.
func TestEveryKindOfDocumentEnds(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	until := begin.Add(48 * time.Hour)
	terms := func(m *protocol.Message) { m.Terms.RetainUntil = until }
	c := pt.chainTo("ES", protocol.Urgent)
	var msgs [][]byte
	var ids []string
	for _, typ := range []protocol.Type{protocol.TypeLeadAck, protocol.TypeSignature} {
		var body protocol.Body = ackBody("Canary")
		if typ == protocol.TypeSignature {
			body = signature("Canary-place")
		}
		jws, all, id := pt.document(typ, body, nil)
		msgs, ids = append(msgs, c.add(jws, terms, all...)), append(ids, id)
	}
	unread, _, _ := pt.document(protocol.TypeLeadAck, ackBody("x"), func(doc map[string]any) { doc["type"] = "weather" })
	refused, _, _ := pt.document(protocol.TypeLeadAck, ackBody("x"), func(doc map[string]any) { delete(doc["body"].(map[string]any), "pair") })
	endless, _, _ := pt.document(protocol.TypeLeadAck, ackBody("y"), func(doc map[string]any) { delete(doc["body"].(map[string]any), "pair") })
	msgs = append(msgs, c.add(unread, terms), c.add(refused, terms), c.add(endless, nil))
	own := es.publish(signature("x"), attributes())
	if _, err := es.accept(pt, pt.batch("ES", protocol.Urgent, 1, nil, msgs...)); err != nil {
		t.Fatal(err)
	}
	if len(es.kept(Accepted)) != 2 || len(es.kept(Unread)) != 1 || len(es.kept(Refused)) != 2 {
		t.Fatalf("accepted %d, unread %d, refused %d", len(es.kept(Accepted)), len(es.kept(Unread)), len(es.kept(Refused)))
	}
	ended := es.endings()
	es.hold(ids[0], "order 7")
	f.clock.add(48*time.Hour - time.Second)
	if es.sweep(); len(es.kept(Accepted)) != 2 || es.Erased() != 0 {
		t.Error("erased before its time")
	}
	f.clock.add(time.Second)
	es.sweep()
	if es.record(ids[1]) != nil || es.record(ids[0]) == nil || len(es.kept(Unread)) != 0 || len(es.kept(Refused)) != 1 || es.record(own) == nil {
		t.Errorf("left: accepted %+v, unread %d, refused %d", es.kept(Accepted), len(es.kept(Unread)), len(es.kept(Refused)))
	}
	erased := func() int {
		return es.entries(func(r store.AuditRecord) bool {
			return r.Action == protocol.ActErase && r.Ground == "retention" && r.Counterpart == "PT"
		})
	}
	if n := erased(); n != 3 || es.Erased() != 3 {
		t.Errorf("%d erasures in the log, %d counted", n, es.Erased())
	}
	if e := *ended; len(e) != 1 || e[0].Cause != CauseExpired || e[0].Document == nil {
		t.Errorf("the workflow was told %+v", e)
	}
	es.sweep()
	es.release(ids[0])
	es.sweep()
	if es.record(ids[0]) != nil || erased() != 4 {
		t.Error("it outlived its hold")
	}
	for range 62 {
		f.clock.add(6 * 24 * time.Hour)
		es.sweep()
	}
	if len(es.kept(Refused)) != 0 {
		t.Error("a refused document without a term is kept for ever")
	}
	if es.record(own) == nil {
		t.Error("an own document was erased")
	}
}

// What cannot be erased is told, and holds up nothing.
func TestOneFaultHoldsUpNoSweep(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	c := pt.chainTo("ES", protocol.Bulk)
	var msgs [][]byte
	for i := range 40 {
		jws, all, _ := pt.document(protocol.TypeSignature, signature(fmt.Sprint(i)), nil)
		msgs = append(msgs, c.add(jws, func(m *protocol.Message) { m.Terms.RetainUntil = begin.Add(time.Hour) }, all...))
		f.clock.add(time.Millisecond)
	}
	if _, err := es.accept(pt, pt.batch("ES", protocol.Bulk, 1, nil, msgs...)); err != nil {
		t.Fatal(err)
	}
	n := 0
	es.HandleEnding(protocol.TypeSignature, func(tx *store.Tx, _ Ending) ([]protocol.Remainder, error) {
		if n++; n == 7 {
			return nil, errors.New("the shelf is stuck")
		}
		return nil, tx.Put(fmt.Sprintf("gone/%d", n), nil)
	})
	f.clock.add(2 * time.Hour)
	if err := es.Expire(context.Background()); err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("not told: %v", err)
	}
	if left := len(es.kept(Accepted)); left != 1 {
		t.Errorf("%d are left, want the one that is stuck", left)
	}
	es.sweep()
	if left := len(es.kept(Accepted)); left != 0 {
		t.Errorf("%d are left", left)
	}
}

func TestDoubtOfTheClock(t *testing.T) {
	mark := begin
	for _, c := range []struct {
		name    string
		mark    time.Time
		now     time.Duration
		witness time.Duration // before now; negative: none
		steady  time.Duration
		doubted bool
	}{
		{"never swept", time.Time{}, 9999 * time.Hour, -1, 0, false},
		{"a minute later", mark, time.Minute, -1, 0, false},
		{"a week later", mark, clockLeap, -1, 0, false},
		{"more than a week later", mark, clockLeap + time.Second, -1, 0, true},
		{"more than a week later, a member agrees", mark, clockLeap + time.Second, time.Minute, 0, false},
		{"a member agreed long ago", mark, clockLeap + 3*time.Hour, 2 * time.Hour, 0, true},
		{"a day of steady time", mark, clockLeap + 25*time.Hour, -1, 24 * time.Hour, false},
		{"not yet a day", mark, clockLeap + 24*time.Hour, -1, 23 * time.Hour, true},
		{"a little back", mark, -protocol.MaxClockSkew, -1, 0, false},
		{"back", mark, -protocol.MaxClockSkew - time.Second, -1, 30 * time.Hour, true},
		{"back, a member agrees", mark, -time.Hour, time.Minute, 0, false},
	} {
		now := mark.Add(c.now)
		var witness time.Time
		if c.witness >= 0 {
			witness = now.Add(-c.witness)
		}
		if why := doubt(c.mark, now, witness, c.steady); (why != "") != c.doubted {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}

// A clock that jumped erases nothing until a member's signed time, or a steady day, confirms it; a restart does not help it.
func TestAnIncredibleClockErasesNothing(t *testing.T) {
	for _, confirmed := range []string{"by a member", "by a steady day"} {
		f := newFederation(t, "PT", "ES")
		pt, es := f.bureaus["PT"], f.bureaus["ES"]
		id := pt.publish(signature("x"), attributes()) // five years, by the default policy
		deliver(pt, es, protocol.Bulk)
		es.sweep()
		f.clock.add(6 * 366 * 24 * time.Hour)
		for range 3 {
			es.sweep()
			f.clock.add(time.Minute)
		}
		es.reopen()
		es.sweep()
		if es.record(id) == nil {
			t.Fatalf("%s: erased by a clock that leapt", confirmed)
		}
		held := func() int {
			return es.entries(func(r store.AuditRecord) bool { return r.Ground == "clock" && r.Decision == "deny" })
		}
		if n := held(); n != 2 { // once before the restart, once after
			t.Errorf("%s: %d entries say that the clock is not believed", confirmed, n)
		}
		if confirmed == "by a member" {
			es.witnessed(f.clock.now().Add(-time.Hour)) // one whose time is another does not confirm it
			if es.sweep(); es.record(id) == nil {
				t.Error("confirmed by a clock that differs")
			}
			es.witnessed(f.clock.now())
		} else {
			for range 49 {
				f.clock.add(30 * time.Minute)
				es.sweep()
			}
		}
		es.sweep()
		if es.record(id) != nil {
			t.Errorf("%s: not erased", confirmed)
		}
	}
}

// A clock that leaps between the look at it and the erasing erases nothing: what was judged is what is gone by.
func TestAClockThatLeapsDuringTheSweepErasesNothing(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	id := pt.publish(signature("x"), attributes())
	deliver(pt, es, protocol.Bulk)
	es.sweep()
	es.Now = func() time.Time {
		now := f.clock.now()
		f.clock.add(6 * 366 * 24 * time.Hour)
		es.Now = f.clock.now
		return now
	}
	if es.sweep(); es.record(id) == nil {
		t.Error("erased by a time that nobody has judged")
	}
	if es.sweep(); es.record(id) == nil {
		t.Error("erased by a clock that leapt")
	}
}

// Documents that an earlier program kept without an end get one.
func TestOlderDocumentsGetAnEnd(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.publishMany(5)
	deliver(pt, es, protocol.Bulk)
	plain := store.NewCollection[Record]("document") // without any index
	es.update(func(tx *store.Tx) error {
		_, _, err := plain.Reindex(tx, "", 1000)
		return err
	})
	for range 2 {
		if err := es.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	f.clock.add(6 * 366 * 24 * time.Hour)
	if es.sweep(); len(es.kept(Accepted)) != 0 || es.Erased() != 5 {
		t.Errorf("%d are left, %d erased", len(es.kept(Accepted)), es.Erased())
	}
}
