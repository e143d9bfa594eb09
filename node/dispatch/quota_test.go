package dispatch

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// flood makes a batch of documents that will not be accepted: of an unknown type, or whatever else change does to them.
func (c *chain) flood(t testing.TB, n int, change func(doc map[string]any)) *Batch {
	t.Helper()
	first := c.seq + 1
	var msgs [][]byte
	for range n {
		jws, _, _ := c.from.document(protocol.TypeLeadAck, ackBody("flood"), change)
		msgs = append(msgs, c.add(jws, nil))
	}
	return c.from.batch(c.to, c.ch, first, nil, msgs...)
}

// A member that sends what must be refused all day fills neither disk nor log; its channel goes on, and the next day begins anew.
func TestRefusedDocumentsAreBounded(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	es.quota.refused = 10
	broken := func(doc map[string]any) { doc["body"] = map[string]any{"lead": "x"} }
	beyond := func() (entries, times int) {
		for _, r := range es.log() {
			if r.Ground == "quota" {
				n, err := strconv.Atoi(r.Details["times"])
				if err != nil || r.Counterpart != "PT" || r.Decision != "deny" || !strings.Contains(r.Event, "lead") {
					t.Fatalf("entry %+v", r)
				}
				entries, times = entries+1, times+n
			}
		}
		return entries, times
	}
	c := pt.chainTo("ES", protocol.Urgent)
	for range 5 {
		r, err := es.accept(pt, c.flood(t, 100, broken))
		if err != nil || r.UpTo != c.seq {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if n := len(es.kept(Refused)); n != 10 {
		t.Errorf("%d refused documents are kept, the quota is 10", n)
	}
	if entries, times := beyond(); entries != 1 || times != 1 {
		t.Errorf("within the minute: %d entries of %d documents", entries, times)
	}
	if n := len(es.log()); n != 11 {
		t.Errorf("%d entries in the log", n)
	}
	f.clock.add(refusalWindow)
	if err := errors.Join(es.FlushRefusals(t.Context(), false), es.FlushRefusals(t.Context(), false)); err != nil {
		t.Fatal(err)
	}
	if entries, times := beyond(); entries != 2 || times != 490 {
		t.Errorf("after the minute: %d entries of %d documents, want all 490", entries, times)
	}
	// What is good comes through, another member has a quota of its own, and neither is forgotten over a restart.
	jws, _, id := pt.document(protocol.TypeLeadAck, ackBody("good"), nil)
	good := c.add(jws, nil)
	if _, err := es.accept(pt, pt.batch("ES", protocol.Urgent, c.seq, nil, good)); err != nil || es.record(id) == nil {
		t.Errorf("a good document after the flood: %v", err)
	}
	es.reopen()
	es.quota.refused = 10
	if _, err := es.accept(pt, c.flood(t, 3, broken)); err != nil {
		t.Fatal(err)
	}
	if _, err := es.accept(fr, fr.chainTo("ES", protocol.Urgent).flood(t, 2, broken)); err != nil {
		t.Fatal(err)
	}
	if n := len(es.kept(Refused)); n != 12 {
		t.Errorf("%d refused documents are kept, want 10 of PT and 2 of FR", n)
	}
	f.clock.add(24 * time.Hour)
	if _, err := es.accept(pt, c.flood(t, 3, broken)); err != nil {
		t.Fatal(err)
	}
	if n := len(es.kept(Refused)); n != 15 {
		t.Errorf("%d refused documents are kept the day after, want 15", n)
	}
	// By size, too.
	es.quota.refused, es.quota.refusedBytes = 1000, 1
	if _, err := es.accept(pt, c.flood(t, 3, broken)); err != nil || len(es.kept(Refused)) != 15 {
		t.Errorf("beyond the bytes: %d kept, %v", len(es.kept(Refused)), err)
	}
}

// Unread documents are never dropped: beyond the quota their channel waits, the other goes on, and tomorrow brings the rest.
func TestUnreadDocumentsWait(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	newer := func(doc map[string]any) { doc["schema"] = 9 }
	c := pt.chainTo("ES", protocol.Urgent)
	first := c.flood(t, 5, newer)
	if _, err := es.accept(pt, first); err != nil || len(es.kept(Unread)) != 5 {
		t.Fatal(err)
	}
	var held int64
	es.view(func(tx *store.Tx) error {
		u := must(es.uselessFrom(tx, "PT"))
		held = u.UnreadBytes
		return nil
	})
	es.quota.unreadBytes = 2*held - 1
	second := c.flood(t, 5, newer)
	for range 3 {
		if r, err := es.accept(pt, second); !errors.Is(err, ErrQuota) || r != nil {
			t.Fatalf("beyond the quota: %+v, %v", r, err)
		}
	}
	if n := len(es.kept(Unread)); n != 5 {
		t.Errorf("%d documents are kept", n)
	}
	if n := es.entries(func(r store.AuditRecord) bool { return r.Ground == "quota" }); n != 1 {
		t.Errorf("%d entries say so", n)
	}
	sig, _, id := pt.document(protocol.TypeSignature, signature("x"), nil)
	if _, err := es.accept(pt, pt.batch("ES", protocol.Bulk, 1, nil, pt.chainTo("ES", protocol.Bulk).add(sig, nil))); err != nil || es.record(id) == nil {
		t.Errorf("the other channel: %v", err)
	}
	f.clock.add(24 * time.Hour)
	if r, err := es.accept(pt, second); err != nil || r.UpTo != 10 || len(es.kept(Unread)) != 10 {
		t.Errorf("the day after: %+v, %v", r, err)
	}
}

// A batch from the future waits until a clock is set. A document from the future of its own batch was issued while its sender's clock was ahead, and is
// taken: refused, it would be lost for good.
func TestFromTheFuture(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	c := pt.chainTo("ES", protocol.Urgent)
	at := func(d time.Duration) func(doc map[string]any) {
		return func(doc map[string]any) { doc["issued"] = begin.Add(d) }
	}
	later, _, laterID := pt.document(protocol.TypeLeadAck, ackBody("later"), at(time.Hour))
	near, _, nearID := pt.document(protocol.TypeLeadAck, ackBody("near"), at(9*time.Minute))
	old, _, oldID := pt.document(protocol.TypeLeadAck, ackBody("old"), at(-20*365*24*time.Hour))
	b := pt.batch("ES", protocol.Urgent, 1, func(m *protocol.Manifest) { m.Sent = begin.Add(11 * time.Minute) }, c.add(later, nil), c.add(near, nil), c.add(old, nil))
	if _, err := es.accept(pt, b); !errors.Is(err, ErrClock) || len(es.kept(Refused)) != 0 {
		t.Fatalf("a batch of eleven minutes from now: %v", err)
	}
	f.clock.add(5 * time.Minute)
	if r, err := es.accept(pt, b); err != nil || r.UpTo != 3 {
		t.Fatalf("five minutes later: %+v, %v", r, err)
	}
	if refused := es.kept(Refused); len(refused) != 0 {
		t.Errorf("refused: %+v", refused)
	}
	for _, id := range []string{laterID, nearID, oldID} {
		if r := es.record(id); r == nil || r.Status != Accepted {
			t.Errorf("%s: %+v", id, r)
		}
	}
}
