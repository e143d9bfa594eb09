package dispatch

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// What is wrong with a batch refuses it whole: nothing is applied, and no receipt given.
func TestHostileBatches(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	jws, _, _ := pt.document(protocol.TypeLeadAck, ackBody("x"), nil)
	c := pt.chainTo("ES", protocol.Urgent)
	one, two := c.add(jws, nil), c.add(jws, nil)
	whole := pt.batch("ES", protocol.Urgent, 1, nil, one, two)
	own := func(change func(m *protocol.Manifest)) *Batch {
		return pt.batch("ES", protocol.Urgent, 1, change, one, two)
	}
	msg := func(change func(m *protocol.Message)) *Batch {
		return pt.batch("ES", protocol.Urgent, 1, nil, pt.chainTo("ES", protocol.Urgent).add(jws, change))
	}
	joined := protocol.JoinMessages([][]byte{one, two})
	bomb := compressor.EncodeAll(make([]byte, 64<<20), nil)
	streamed := func(size int) []byte { // without the content's size in front
		var buf bytes.Buffer
		w := must(zstd.NewWriter(&buf))
		for range size >> 10 {
			_ = must(w.Write(make([]byte, 1<<10)))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	packed := func(payload []byte, size int) *Batch {
		return pt.sealed("ES", protocol.Urgent, 1, payload, func(m *protocol.Manifest) { m.Count, m.Size, m.Head = 2, size, protocol.MessageHash(two) })
	}
	other := pt.chainTo("ES", protocol.Urgent)
	other.seq, other.prev = 1, protocol.MessageHash([]byte("another"))
	unchained := other.add(jws, nil)

	for name, a := range map[string]struct {
		from  *bureau
		batch *Batch
		class error
		says  string
	}{
		"signed by another member":      {pt, fr.batch("ES", protocol.Urgent, 1, func(m *protocol.Manifest) { m.From = "PT" }, one, two), ErrForged, ""},
		"replayed by another member":    {fr, whole, ErrForged, ""},
		"wrong audience":                {pt, own(func(m *protocol.Manifest) { m.To = "FR" }), ErrForged, "from PT to FR"},
		"for another sender":            {pt, own(func(m *protocol.Manifest) { m.From = "FR" }), ErrForged, "from FR to ES"},
		"a receipt for a manifest":      {pt, &Batch{Manifest: must(pt.keys.Signer().Sign(crypto.TypeReceipt, []byte("{}"))), Payload: whole.Payload}, ErrForged, ""},
		"garbage for a manifest":        {pt, &Batch{Manifest: "a.b.c", Payload: whole.Payload}, ErrForged, ""},
		"a huge manifest":               {pt, &Batch{Manifest: strings.Repeat("a", 1<<20), Payload: whole.Payload}, ErrForged, "limit"},
		"signed garbage":                {pt, &Batch{Manifest: must(pt.keys.Signer().Sign(crypto.TypeBatch, []byte("{}"))), Payload: whole.Payload}, protocol.ErrBadMessage, "manifest"},
		"tampered payload":              {pt, &Batch{Manifest: whole.Manifest, Payload: append(bytes.Clone(whole.Payload[:len(whole.Payload)-1]), whole.Payload[len(whole.Payload)-1]^1)}, ErrForged, "not those that were signed"},
		"payload cut":                   {pt, &Batch{Manifest: whole.Manifest, Payload: whole.Payload[:9]}, ErrForged, ""},
		"no payload":                    {pt, &Batch{Manifest: whole.Manifest}, ErrForged, ""},
		"too large a payload":           {pt, packed(make([]byte, protocol.MaxBatch+1), 10), protocol.ErrBadMessage, "limit"},
		"not compressed":                {pt, packed(joined, len(joined)), protocol.ErrBadMessage, "decompress"},
		"bomb":                          {pt, packed(bomb, protocol.MaxBatch), protocol.ErrBadMessage, "decompress"},
		"bomb of unknown size":          {pt, packed(streamed(64<<20), protocol.MaxBatch), protocol.ErrBadMessage, "decompress"},
		"bomb of many frames":           {pt, packed(bytes.Repeat(compressor.EncodeAll(make([]byte, 1<<20), nil), 64), protocol.MaxBatch), protocol.ErrBadMessage, "decompress"},
		"size a little short":           {pt, packed(compressor.EncodeAll(joined, nil), len(joined)-1), protocol.ErrBadMessage, "decompress"},
		"size a little long":            {pt, packed(compressor.EncodeAll(joined, nil), len(joined)+1), protocol.ErrBadMessage, "announced"},
		"one more announced":            {pt, own(func(m *protocol.Manifest) { m.Count = 3 }), protocol.ErrBadMessage, "3 announced"},
		"one less announced":            {pt, own(func(m *protocol.Manifest) { m.Count = 1 }), protocol.ErrBadMessage, "more messages"},
		"another head":                  {pt, own(func(m *protocol.Manifest) { m.Head = protocol.MessageHash(one) }), ErrForged, "head"},
		"another first number":          {pt, own(func(m *protocol.Manifest) { m.First = 2 }), ErrForged, "belongs to"},
		"another channel":               {pt, own(func(m *protocol.Manifest) { m.Channel = protocol.Bulk }), ErrForged, "belongs to"},
		"a message to another":          {pt, msg(func(m *protocol.Message) { m.To = "FR" }), ErrForged, "belongs to"},
		"a message of another":          {pt, msg(func(m *protocol.Message) { m.From = "FR" }), ErrForged, "belongs to"},
		"a message on another channel":  {pt, msg(func(m *protocol.Message) { m.Channel = protocol.Bulk }), ErrForged, "belongs to"},
		"a message without a document":  {pt, msg(func(m *protocol.Message) { m.Document = "" }), protocol.ErrBadMessage, "document"},
		"a chain that is broken inside": {pt, pt.batch("ES", protocol.Urgent, 1, nil, one, unchained), ErrForged, "does not follow"},
		"garbage for a message":         {pt, pt.batch("ES", protocol.Urgent, 1, nil, one, []byte("{}")), protocol.ErrBadMessage, "message 2"},
	} {
		r, err := es.accept(a.from, a.batch)
		if !errors.Is(err, a.class) || !strings.Contains(err.Error(), a.says) || r != nil {
			t.Errorf("%s: receipt %v, error %v, want %v that says %q", name, r, err, a.class, a.says)
		}
	}
	if es.effects() != 0 || len(es.got) != 0 || len(es.kept(""))+len(es.kept(Refused)) != 0 {
		t.Error("a refused batch left something behind")
	}
	if r, err := es.accept(pt, whole); err != nil || r.UpTo != 2 {
		t.Fatalf("the whole one: %+v, %v", r, err)
	}
}

func TestABombCostsNoMoreThanItsBatch(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	// A legal batch's worth of zeros, of which the manifest speaks as one kilobyte: no more than that is made of it.
	b := pt.sealed("ES", protocol.Bulk, 1, compressor.EncodeAll(make([]byte, protocol.MaxBatch), nil), func(m *protocol.Manifest) { m.Size = 1 << 10 })
	if _, err := es.accept(pt, b); err == nil {
		t.Fatal("taken")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		_, _ = es.accept(pt, b)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 10; got > protocol.MaxBatch/2 {
		t.Errorf("a bomb costs %d bytes", got)
	}
}

func TestReplayGapAndFork(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	doc := func(note string) string {
		jws, _, _ := pt.document(protocol.TypeLeadAck, ackBody(note), nil)
		return jws
	}
	c := pt.chainTo("ES", protocol.Urgent)
	m1, m2, m3, m4 := c.add(doc("1"), nil), c.add(doc("2"), nil), c.add(doc("3"), nil), c.add(doc("4"), nil)
	take := func(first uint64, upTo uint64, class error, msgs ...[]byte) {
		t.Helper()
		log := es.effects()
		r, err := es.accept(pt, pt.batch("ES", protocol.Urgent, first, nil, msgs...))
		if !errors.Is(err, class) {
			t.Fatalf("%v, want %v", err, class)
		}
		if forked := errors.Is(err, ErrFork); forked != (r == nil) || !forked && r.UpTo != upTo {
			t.Fatalf("receipt %+v, want up to %d", r, upTo)
		}
		if class != nil && es.effects() != log {
			t.Fatal("a refused batch was applied")
		}
	}
	take(2, 0, ErrGap, m2)
	take(1, 2, nil, m1, m2)
	take(1, 2, nil, m1, m2) // replayed whole
	take(1, 2, nil, m1)     // replayed in part
	take(4, 2, ErrGap, m4)
	fork := pt.chainTo("ES", protocol.Urgent)
	f1 := fork.add(doc("rewritten"), nil)
	f2, f3 := fork.add(doc("2'"), nil), fork.add(doc("3'"), nil)
	take(1, 2, ErrFork, f1, f2)
	take(2, 2, ErrFork, f2, f3)
	take(3, 2, ErrFork, f3)
	take(2, 4, nil, m2, m3, m4) // overlapping: only what is new
	if len(es.got) != 4 || es.entries(func(r store.AuditRecord) bool { return r.Action == protocol.ActReceive }) != 4 {
		t.Errorf("%d handled, %d entries", len(es.got), len(es.log()))
	}
	es.reopen()
	take(1, 4, nil, m1, m2, m3, m4)
	if len(es.got) != 4 {
		t.Error("a restart forgot what was received")
	}
}

// A crash between the commit and the receipt: the sender sends again, and gets the receipt that was lost.
func TestCrashBeforeTheReceipt(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	id := pt.ack("ES", "one")
	b := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent))
	if _, err := es.accept(pt, b); err != nil { // the receipt is lost
		t.Fatal(err)
	}
	es.reopen()
	pt.reopen()
	again := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent))
	if again.First != b.First || again.Last != b.Last || !bytes.Equal(again.Payload, b.Payload) {
		t.Fatal("after a restart other messages are sent under the same numbers")
	}
	receipt := must(es.AcceptBatch(t.Context(), "PT", again.Manifest, again.Payload))
	if err := pt.AcceptReceipt(t.Context(), "ES", receipt); err != nil {
		t.Fatal(err)
	}
	if b := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent)); b != nil || len(es.got) != 1 || pt.delivery(id, "ES").State != Delivered {
		t.Errorf("%v, %d handled", b, len(es.got))
	}
	if n := es.entries(func(r store.AuditRecord) bool { return r.MessageSeq == 1 }); n != 1 {
		t.Errorf("%d entries of one message", n)
	}
}

// The largest legal batch goes into one transaction of the receiver, whatever its workflow keeps of it.
func TestTheLargestBatchIsOneTransaction(t *testing.T) {
	for name, size := range map[string]int{"many small ones": protocol.MaxBatch/protocol.MaxBatchCount - 8, "just below the value log": 31 << 10, "two large ones": protocol.MaxMessage - 8} {
		f := newFederation(t, "PT", "ES")
		pt, es := f.bureaus["PT"], f.bureaus["ES"]
		es.fail = func(tx *store.Tx, in Received) error { // keeps a second copy, beside the one of the test's handler
			return tx.Put("copy/"+in.Document.ID, in.Document.Body)
		}
		c := pt.chainTo("ES", protocol.Urgent)
		var msgs [][]byte
		left := protocol.MaxBatch
		for len(msgs) < protocol.MaxBatchCount && left > 4096 {
			want := min(size, left-4)
			var m []byte
			for text := max(1, (want-1400)*3/4/4); ; text -= 16 { // four texts of a trace request, in base64 twice
				body := traceRequest(min(text, protocol.MaxText))
				jws, all, _ := pt.document(protocol.TypeTraceRequest, body, nil)
				try := *c
				if m = try.add(jws, nil, all...); len(m) <= want {
					c = &try
					break
				}
			}
			msgs = append(msgs, m)
			left -= len(m) + 4
			if len(m) < want/2 { // no document is larger: padded, as a hostile sender would
				c.seq, c.prev = uint64(len(msgs)-1), ""
				if len(msgs) > 1 {
					c.prev = protocol.MessageHash(msgs[len(msgs)-2])
				}
				left += len(m) + 4
				m = c.add(strings.Repeat("A", want-500), nil)
				msgs[len(msgs)-1] = m
				left -= len(m) + 4
			}
		}
		if left > protocol.MaxBatch/20 {
			t.Errorf("%s: %d bytes of the batch are empty", name, left)
		}
		b := pt.batch("ES", protocol.Urgent, 1, nil, msgs...)
		r, err := es.accept(pt, b)
		if err != nil || r.UpTo != uint64(len(msgs)) {
			t.Errorf("%s: %d messages of %d bytes in all: %+v, %v", name, len(msgs), protocol.MaxBatch-left, r, err)
		}
		if len(es.got)+len(es.kept(Refused)) != len(msgs) {
			t.Errorf("%s: %d applied, %d refused of %d", name, len(es.got), len(es.kept(Refused)), len(msgs))
		}
	}
}

func traceRequest(text int) *protocol.TraceRequestBody {
	s := strings.Repeat("x", text)
	return &protocol.TraceRequestBody{Number: "1", Firearm: protocol.FirearmDescription{Kind: "pistol"}, LegalJustification: s, Circumstances: s, IntendedUse: s, Agency: "PJ",
		Priority: "routine", Narrative: s}
}

// A batch that this node makes is legal, however large its messages are, and nothing is fixed beyond it.
func TestOwnBatchesAreLegal(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	const n = 60
	for range n {
		pt.update(func(tx *store.Tx) error {
			_, err := pt.Issue(tx, protocol.TypeTraceRequest, traceRequest(protocol.MaxText), Facts{To: "ES", Actor: "olga"})
			return err
		})
	}
	first := must(pt.NextBatch(t.Context(), "ES", protocol.Urgent))
	if _, err := pt.form(t.Context(), "ES", protocol.Urgent, nil); err != nil { // by somebody else at the same time
		t.Fatal(err)
	}
	pt.view(func(tx *store.Tx) error {
		if head, err := tx.OutHead("ES", "urgent"); err != nil || head.Seq != first.Last {
			t.Errorf("fixed up to %d, the batch ends at %d, %v", head.Seq, first.Last, err)
		}
		return nil
	})
	sent := deliver(pt, es, protocol.Urgent)
	if len(es.got) != n || len(sent) < 3 {
		t.Errorf("%d of %d arrived in %d batches", len(es.got), n, len(sent))
	}
	for _, b := range sent {
		payload, _, err := crypto.Unverified(b.Manifest, crypto.TypeBatch, 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := protocol.DecodeManifest(payload); err != nil || m.Size > protocol.MaxBatch {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

// While one batch travels the next is made ready, one ahead and no more: what waits further back stays an intent that policy is asked about again.
func TestPrepareGoesOneBatchAhead(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.publishMany(3 * protocol.MaxBatchCount)
	fixed := func() (n uint64) {
		pt.view(func(tx *store.Tx) error {
			head, err := tx.OutHead("ES", string(protocol.Bulk))
			n = head.Seq
			return err
		})
		return n
	}
	first := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk))
	for range 3 { // called again, it changes nothing
		if next := must(pt.BatchAfter(t.Context(), "ES", protocol.Bulk, first.Last)); next.First != first.Last+1 || next.Last != first.Last+protocol.MaxBatchCount {
			t.Fatalf("behind %d comes %d to %d", first.Last, next.First, next.Last)
		}
	}
	if got := fixed(); got != first.Last+protocol.MaxBatchCount {
		t.Fatalf("%d messages fixed, one batch of %d and one ahead", got, first.Last)
	}
	if again := must(pt.NextBatch(t.Context(), "ES", protocol.Bulk)); again.First != 1 || again.Last != first.Last {
		t.Errorf("without a receipt the first batch comes again, not %d to %d", again.First, again.Last)
	}
	deliver(pt, es, protocol.Bulk)
	if len(es.got) != 3*protocol.MaxBatchCount {
		t.Errorf("%d documents arrived", len(es.got))
	}
	if none, err := pt.BatchAfter(t.Context(), "ES", protocol.Bulk, fixed()); none != nil || err != nil {
		t.Errorf("with nothing to do: %+v, %v", none, err)
	}
}
