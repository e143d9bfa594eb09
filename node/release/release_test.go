package release

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/bureautest"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// granted brings a request to its release by two people, and delivers it.
func granted(t *testing.T, more ...string) (f *federation, id string) {
	t.Helper()
	f, signature, _ := hidden(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	es.Engine = rules(t, strings.Join(more, "\n"))
	r := pt.ask(signature, "ES")
	if _, err := es.Approve(t.Context(), exam1, "k1", r.Number, "seen"); err != nil {
		t.Fatal(err)
	}
	got, err := es.Approve(t.Context(), ncb, "k2", r.Number, "")
	if err != nil || got.State != Released {
		t.Fatalf("%+v, %v", got, err)
	}
	f.carry("ES", "PT")
	return f, r.ID
}

func (b *bureau) fetchRound(t *testing.T, from protocol.Country) error {
	t.Helper()
	_, err := b.round(t.Context(), from)
	return err
}

// TestTwoPeopleRelease: the second person is not the first, policy is asked again, and the bytes that arrive are the owner's.
func TestTwoPeopleRelease(t *testing.T) {
	f, signature, _ := hidden(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	r := pt.ask(signature, "ES")
	if got := es.show(r.ID); got.State != Awaiting || got.Exhibit != "E-1" || got.Case != "C-1" || got.Reason != "side by side" {
		t.Fatalf("%+v", got)
	}
	if _, err := pt.Request(t.Context(), exam2, "", Ask{Signature: signature, Reason: "again"}); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the same scan was asked for twice: %v", err)
	}
	if _, err := pt.Approve(t.Context(), exam1, "", r.ID, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the one who asks approved: %v", err)
	}
	if _, err := es.Approve(t.Context(), tech, "", r.ID, ""); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician approved: %v", err)
	}
	first, err := es.Approve(t.Context(), exam1, "key", r.ID, "seen")
	if err != nil || first.State != Awaiting || len(first.Approvals) != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := es.Approve(t.Context(), exam1, "key", r.ID, "seen"); err != nil || len(again.Approvals) != 1 {
		t.Errorf("the same command again: %+v, %v", again, err)
	}
	if _, err := es.Approve(t.Context(), exam1, "", r.ID, ""); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("one person approved twice: %v", err)
	}
	// A policy without the rule does not let one person be two.
	es.Engine = rules(t, "", `@id("second-person")
forbid (
  principal,
  action in [Action::"review:secondary", Action::"hit:verify", Action::"scan:approve", Action::"document:approve"],
  resource
)
when { resource has reviewers && resource.reviewers.contains(principal.name) };`)
	if _, err := es.Approve(t.Context(), exam1, "", r.ID, ""); !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), "another person") {
		t.Errorf("one person approved twice: %v", err)
	}
	es.Engine = rules(t, `forbid (principal == Country::"PT", action == Action::"answer", resource is Scan);`)
	if _, err := es.Approve(t.Context(), exam2, "", r.ID, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("released against a policy that changed: %v", err)
	}
	es.Engine = rules(t, "")
	second, err := es.Approve(t.Context(), exam2, "", r.ID, "")
	if err != nil || second.State != Released || second.Release.Scans[0].Chunks != nil {
		t.Fatalf("%+v, %v", second, err)
	}
	f.carry("ES", "PT")
	if got := pt.show(r.ID); got.State != Released || !slices.Equal(got.Handling.Codes(), []string{"H0", "H1"}) || !got.RetainUntil.Equal(begin.AddDate(0, 0, 365)) {
		t.Fatalf("%+v", got)
	}
	if err := pt.fetchRound(t, "ES"); err != nil {
		t.Fatal(err)
	}
	saved, err := pt.Save(t.Context(), exam1, r.Number, 0)
	if err != nil || !bytes.Equal(saved.Content, shot()) || !slices.Equal(saved.Handling.Codes(), []string{"H0", "H1"}) {
		t.Fatalf("%v", err)
	}
	if f := pt.show(r.ID).Files[0]; f.Unopened == "" { // it is no scan, and what was released all the same
		t.Error("random bytes were read as a scan")
	}
	if got := es.show(r.ID); got.State != Received || got.Files[0].Received.IsZero() {
		t.Errorf("the owner's record: %+v", got.Files)
	}
	// Both logs agree on what went from where to where.
	sent, came := es.entries("scan sent and received"), pt.entries("scan received")
	if len(sent) != 1 || len(came) != 1 {
		t.Fatalf("%d and %d entries", len(sent), len(came))
	}
	for _, key := range []string{"release", "scan", "bytes", "number", "signature"} {
		if sent[0].Details[key] == "" || sent[0].Details[key] != came[0].Details[key] {
			t.Errorf("%s: %q sent, %q received", key, sent[0].Details[key], came[0].Details[key])
		}
	}
	if sent[0].Counterpart != "PT" || came[0].Counterpart != "ES" || !slices.Equal(sent[0].Handling, came[0].Handling) {
		t.Errorf("%+v and %+v", sent[0], came[0])
	}
	if n := len(pt.entries("scan saved to a file")); n != 1 {
		t.Errorf("%d entries for the file", n)
	}
	for _, c := range []string{"first", "second"} {
		if !slices.ContainsFunc(es.entries("release of a scan approved"), func(e store.AuditRecord) bool { return e.Details["approval"] == c }) {
			t.Errorf("no entry for the %s approval", c)
		}
	}
	chunksGone(t, pt, r.ID)
}

// chunksGone checks that no chunk of a scan is kept beside it.
func chunksGone(t *testing.T, b *bureau, id string) {
	t.Helper()
	err := b.Store.View(func(tx *store.Tx) error {
		r, err := requests.Get(tx, id)
		if err != nil {
			return err
		}
		for i, s := range r.Release.Scans {
			if n, err := progress(tx, id, i); err != nil || n != 0 {
				t.Errorf("file %d: progress %d, %v", i, n, err)
			}
			for _, h := range s.Chunks {
				if has, err := tx.HasBlob(h); err != nil || has {
					t.Errorf("chunk %.12s is still there, %v", h, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// twoForScans are the default rules by which two people decide about a scan.
var twoForScans = []string{
	"@id(\"scans-to-addressee\")\n@handling(\"H0 H1\")\n@retain(\"P1Y\")\n@approval(\"two-person\")\npermit (principal is Country, action == Action::\"share\", resource is Scan)\nwhen { resource.addressee == principal }\nunless { resource has operations && !resource.operations.isEmpty() };",
	"@id(\"answer-scan-requests\")\n@handling(\"H0 H1\")\n@approval(\"two-person\")\npermit (principal is Country, action == Action::\"answer\", resource is Scan)\nwhen { resource.addressee == principal };",
}

// TestAutomaticRelease: where policy asks for nobody, nobody is asked, and the release is there at once.
func TestAutomaticRelease(t *testing.T) {
	f, signature, _ := hidden(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	es.Engine = rules(t, `@handling("H2")
permit (principal is Country, action in [Action::"share", Action::"answer"], resource is Scan);`, twoForScans...)
	r := pt.ask(signature, "ES")
	if got := es.show(r.ID); got.State != Released || len(got.Approvals) != 0 {
		t.Fatalf("%+v", got)
	}
	f.carry("ES", "PT")
	if err := pt.fetchRound(t, "ES"); err != nil {
		t.Fatal(err)
	}
	if got := pt.show(r.ID); got.State != Received || !slices.Equal(got.Handling.Codes(), []string{"H2"}) || !got.RetainUntil.IsZero() {
		t.Errorf("%+v", got)
	}
}

// TestFetchResumes: cut off again and again, and restarted between, a fetch goes on behind the last chunk that was kept.
func TestFetchResumes(t *testing.T) {
	f, id := granted(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	chunks := len(must1(t, pt, id).Release.Scans[0].Chunks)
	if chunks < 20 {
		t.Fatalf("%d chunks: too few for this test", chunks)
	}
	cut := errors.New("the line is cut")
	for i := range 5 {
		left := (i + 1) * 10_000
		pt.line = func(b []byte) ([]byte, error) {
			if left -= len(b); left < 0 {
				return nil, cut
			}
			return b, nil
		}
		if err := pt.fetchRound(t, "ES"); !errors.Is(err, cut) {
			t.Fatal(err)
		}
		if _, err := pt.Save(t.Context(), exam1, id, 0); !errors.Is(err, desk.ErrConflict) {
			t.Fatalf("a half scan was saved: %v", err)
		}
		if err := pt.Store.Close(); err != nil {
			t.Fatal(err)
		}
		pt.open()
	}
	at, err := pt.progress(id, 0)
	if err != nil || at < 20 || at >= chunks {
		t.Fatalf("%d of %d chunks are kept, %v", at, chunks, err)
	}
	pt.line = nil
	if err := pt.fetchRound(t, "ES"); err != nil {
		t.Fatal(err)
	}
	saved, err := pt.Save(t.Context(), exam1, id, 0)
	if err != nil || !bytes.Equal(saved.Content, shot()) {
		t.Fatalf("what was put together is not the scan: %v", err)
	}
	var offsets []string
	for _, e := range es.entries("scan stream opened") {
		offsets = append(offsets, e.Details["offset"])
	}
	slices.Reverse(offsets) // the newest come first
	if len(offsets) != 6 || offsets[0] != "0" || slices.Contains(offsets[1:], "0") {
		t.Errorf("streams began at %v", offsets)
	}
	chunksGone(t, pt, id)
}

func must1(t *testing.T, b *bureau, id string) (r *Request) {
	t.Helper()
	if err := b.Store.View(func(tx *store.Tx) (err error) {
		r, err = requests.Get(tx, id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWrongBytes: what is not what was released is never kept, and a release that contradicts itself ends.
func TestWrongBytes(t *testing.T) {
	f, id := granted(t)
	pt := f.bureaus["PT"]
	n := 0
	pt.line = func(b []byte) ([]byte, error) {
		if n++; n == 9 {
			b = bytes.Clone(b)
			b[0] ^= 1
		}
		return b, nil
	}
	if err := pt.fetchRound(t, "ES"); !errors.Is(err, errChunk) {
		t.Fatal(err)
	}
	if got := pt.show(id); got.State != Released || !strings.Contains(got.Files[0].LastFault, "another hash") {
		t.Errorf("%+v", got.Files)
	}
	if at, err := pt.progress(id, 0); err != nil || at != 5 { // 24,008 good bytes of chunks of 4,096
		t.Errorf("%d chunks are kept, %v", at, err)
	}
	if err := pt.FlushRefusals(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	pt.line = func(b []byte) ([]byte, error) { return append(bytes.Clone(b), 0), nil } // longer than asked
	if err := pt.fetchRound(t, "ES"); !errors.Is(err, errChunk) {
		t.Error(err)
	}
	pt.line = nil
	err := pt.Store.Update(t.Context(), func(tx *store.Tx) error { // as a hostile owner could have signed it
		r, err := requests.Get(tx, id)
		if err != nil {
			return err
		}
		r.Release.Scans[0].SHA256 = strings.Repeat("0a", 32)
		return requests.Put(tx, id, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	pt.fetch = func(_ context_, _ protocol.Country, _ string, scan protocol.ReleasedScan, offset int64, take func([]byte) error, done func() error) error {
		return errors.Join(take(shot()[offset:]), done())
	}
	if err := pt.fetchRound(t, "ES"); !errors.Is(err, errContradiction) {
		t.Fatal(err)
	}
	if got := pt.show(id); got.State != Failed {
		t.Errorf("it is %s", got.State)
	}
	chunksGone(t, pt, id)
	if left, err := pt.round(t.Context(), "ES"); left != 0 || err != nil {
		t.Errorf("it is tried again: %d, %v", left, err)
	}
}

// TestWhoMayFetch: that country, that scan, while the release stands and the signature was not withdrawn; all others hear the same word.
func TestWhoMayFetch(t *testing.T) {
	f, id := granted(t)
	es := f.bureaus["ES"]
	r := must1(t, es, id)
	hash := r.Files[0].SHA256
	open := func(to protocol.Country, release, sha string) error {
		_, err := es.Service.Open(t.Context(), to, release, sha, 0)
		return err
	}
	if err := open("PT", r.Release.Document, hash); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another country":    open("FR", r.Release.Document, hash),
		"no release":         open("PT", id, hash),
		"another scan":       open("PT", r.Release.Document, strings.Repeat("0a", 32)),
		"another's, no scan": open("FR", r.Release.Document, ""),
	} {
		if !errors.Is(err, ErrNotReleased) {
			t.Errorf("%s: %v", name, err)
		}
	}
	src, err := es.Service.Open(t.Context(), "PT", r.Release.Document, hash, 0)
	if err != nil || src.Standing() != nil {
		t.Fatal(err)
	}
	f.Clock.Set(r.Release.Expires)
	if err := src.Standing(); !errors.Is(err, ErrNotReleased) {
		t.Errorf("it expired while it was sent: %v", err)
	}
	if err := open("PT", r.Release.Document, hash); !errors.Is(err, ErrNotReleased) {
		t.Errorf("it expired: %v", err)
	}
	f.Clock.Set(begin)
	withdraw(t, es, r.Signature)
	if err := src.Standing(); !errors.Is(err, ErrNotReleased) {
		t.Errorf("the signature was withdrawn while it was sent: %v", err)
	}
	f.Clock.Set(begin.Add(2 * time.Minute))
	if err := es.FlushRefusals(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	counted := map[string]string{}
	for _, e := range bureautest.Must(es.Store.QueryAudit(t.Context(), store.AuditQuery{Limit: 1000, Decision: "deny"})) {
		if e.Ground == "no-release" {
			counted[e.Counterpart] = e.Details["times"]
		}
	}
	if counted["FR"] != "2" || counted["PT"] != "3" {
		t.Errorf("counted %v", counted)
	}
}

// TestTimesEnd: a release that nobody used lapses on both sides; a received scan is erased when its retention ends.
func TestTimesEnd(t *testing.T) {
	f, id := granted(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	expire := func() {
		t.Helper()
		for _, b := range []*bureau{es, pt} {
			if err := b.Expire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := 0
	pt.line = func(b []byte) ([]byte, error) {
		if n++; n > 20 {
			return nil, errors.New("cut")
		}
		return b, nil
	}
	_ = pt.fetchRound(t, "ES")
	if at, err := pt.progress(id, 0); err != nil || at == 0 {
		t.Fatal(at, err)
	}
	f.Clock.Set(begin.Add(UsualValid - time.Second))
	expire()
	if s := pt.show(id).State; s != Released {
		t.Errorf("a second before its end it is %s", s)
	}
	f.Clock.Set(begin.Add(UsualValid))
	expire()
	if a, b := es.show(id).State, pt.show(id).State; a != Lapsed || b != Lapsed {
		t.Errorf("%s and %s", a, b)
	}
	chunksGone(t, pt, id)

	f, id = granted(t, "@retain(\"P300D\")\npermit (principal is Country, action == Action::\"answer\", resource is Scan);")
	es, pt = f.bureaus["ES"], f.bureaus["PT"]
	if err := pt.fetchRound(t, "ES"); err != nil {
		t.Fatal(err)
	}
	hash := pt.show(id).Files[0].SHA256
	f.Clock.Set(begin.AddDate(0, 0, 300).Add(-time.Second))
	expire()
	if s := pt.show(id).State; s != Received {
		t.Fatalf("a second before its end it is %s", s)
	}
	f.Clock.Set(begin.AddDate(0, 0, 300))
	expire()
	if s := pt.show(id).State; s != Erased {
		t.Fatalf("it is %s", s)
	}
	if _, err := pt.Save(t.Context(), exam1, id, 0); err == nil || !strings.Contains(err.Error(), "was erased") {
		t.Errorf("saved after its retention: %v", err)
	}
	err := pt.Store.View(func(tx *store.Tx) error {
		if has, err := tx.HasBlob(hash); err != nil || has {
			t.Errorf("the bytes are still there, %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := pt.entries("scan erased"); len(e) != 1 || e[0].Details["scan"] != hash || e[0].Ground != "retention" {
		t.Errorf("%+v", e)
	}
	if a := must1(t, es, id); a.State != Received { // the owner's own scan stays
		t.Errorf("the owner's request is %s", a.State)
	}
	if err := es.Store.View(func(tx *store.Tx) error { _, err := tx.Blob(hash); return err }); err != nil {
		t.Errorf("the owner's own scan: %v", err)
	}
}

// TestForeignAnswers: only the country that was asked answers, once, and about what it was asked for.
func TestForeignAnswers(t *testing.T) {
	f, id := granted(t)
	pt := f.bureaus["PT"]
	r := must1(t, pt, id)
	for name, c := range map[string]struct {
		from protocol.Country
		body *protocol.ScanRefusalBody
		says string
	}{
		"a third country":   {"FR", &protocol.ScanRefusalBody{Request: id, Signature: r.Signature, Code: protocol.ScanLaw}, "never sent it"},
		"another signature": {"ES", &protocol.ScanRefusalBody{Request: id, Signature: id, Code: protocol.ScanLaw}, "speaks of"},
		"a second answer":   {"ES", &protocol.ScanRefusalBody{Request: id, Signature: r.Signature, Code: protocol.ScanLaw}, "not answered twice"},
		"no such request":   {"ES", &protocol.ScanRefusalBody{Request: r.Signature, Signature: r.Signature, Code: protocol.ScanLaw}, "never sent it"},
	} {
		f.bureaus[c.from].forge("PT", protocol.TypeScanRefusal, c.body)
		f.carry(c.from, "PT")
		if got := strings.Join(pt.Refused(protocol.TypeScanRefusal), "; "); !strings.Contains(got, c.says) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := pt.show(id); got.State != Released {
		t.Errorf("it is %s", got.State)
	}
	f.bureaus["FR"].forge("PT", protocol.TypeScanRequest, &protocol.ScanRequestBody{Number: "ES-S-2026-000001", Signature: r.Signature, Reason: "x"})
	f.carry("FR", "PT")
	if got := strings.Join(pt.Refused(protocol.TypeScanRequest), "; "); !strings.Contains(got, "begin with FR-S-") {
		t.Errorf("another's number: %q", got)
	}
	for _, bad := range []Ask{{Signature: "x", Reason: "y"}, {Signature: bureautest.Must(protocol.NewDocumentID("PT", begin, bytes.NewReader(make([]byte, 64)))), Reason: "y"}, {Signature: r.Signature, Reason: " "},
		{Signature: bureautest.Must(protocol.NewDocumentID("DE", begin, bytes.NewReader(make([]byte, 64)))), Reason: "y"}} {
		if _, err := pt.Request(t.Context(), exam1, "", bad); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := pt.Request(t.Context(), ncb, "", Ask{Signature: r.Signature, Reason: "y"}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("an operator asked: %v", err)
	}
}

// TestWithdrawal: what its owner takes back, the signature or the release alone, is sent no further, and erased where it was fetched, with both logs
// telling so; what nobody has decided yet is answered as if it had never been.
func TestWithdrawal(t *testing.T) {
	for _, what := range []string{"signature", "release"} {
		t.Run(what, func(t *testing.T) {
			f, id := granted(t)
			es, pt := f.bureaus["ES"], f.bureaus["PT"]
			if err := pt.fetchRound(t, "ES"); err != nil {
				t.Fatal(err)
			}
			r := must1(t, es, id)
			hash := r.Files[0].SHA256
			taken := map[string]string{"signature": r.Signature, "release": r.Release.Document}[what]
			withdraw(t, es, taken)
			if _, err := es.Service.Open(t.Context(), "PT", r.Release.Document, hash, 0); !errors.Is(err, ErrNotReleased) {
				t.Errorf("it can still be fetched: %v", err)
			}
			f.carry("ES", "PT")
			if a, b := es.show(id).State, pt.show(id).State; a != Withdrawn || b != Erased {
				t.Errorf("%s at the owner, %s at the holder", a, b)
			}
			if _, err := pt.Save(t.Context(), exam1, id, 0); !errors.Is(err, desk.ErrConflict) {
				t.Errorf("saved: %v", err)
			}
		})
	}
	f, signature, _ := hidden(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	r := pt.ask(signature, "ES")
	f.Clock.Set(begin.Add(time.Hour))
	withdraw(t, es, signature)
	if got := es.show(r.ID); got.State != Refusing || got.Refusal.Code != protocol.ScanUnknown || !got.Due.Equal(time.Date(2026, 3, 1, 13, 0, 30, 0, time.UTC)) {
		t.Errorf("undecided at the owner: %+v", got)
	}
}
