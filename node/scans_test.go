package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/release"
	"proofmark/protocol"
	"proofmark/store"
)

// quickScans are the measures of tests: answers within a second, and many chunks.
var quickScans = scanPace{tick: 500 * time.Millisecond, quota: 100, chunk: protocol.MinScanChunk}

func (b *bureau) scan(who, ref string) *release.Request {
	b.t.Helper()
	return call[*release.Request](b.t, b.people[who], "scan.show", control.Ref{Ref: ref})
}

func (b *bureau) audited(event string) []store.AuditRecord {
	b.t.Helper()
	list := call[[]store.AuditRecord](b.t, b.people["aud"], "audit.query", control.AuditRequest{Kind: "scan", Limit: 10000})
	return slices.DeleteFunc(list, func(r store.AuditRecord) bool { return r.Event != event })
}

// TestScanCrossesBorder is the release of a scan from request to comparison, over real hosts, stores and command sockets: two people release it, the one
// who fetches is cut off in the middle and started anew, the bytes are the owner's, and both logs agree. A country that was never told of the exhibit
// gets the answer to one that does not exist.
func TestScanCrossesBorder(t *testing.T) {
	pt, es, fr := newBureau(t, "PT"), newBureau(t, "ES"), newBureau(t, "FR")
	denied := "forbid (principal == Country::\"FR\", action == Action::\"share\", resource is Signature);\n"
	if err := os.WriteFile(filepath.Join(es.dir, policyDir, "99-fr.cedar"), []byte(denied), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*bureau{pt, es, fr} {
		b.scans = quickScans
		b.start()
		b.login(roles)
	}
	federate(t, pt, es, fr)
	gun := synth.NewMaker(1).Firearm(7)
	shot := gun.Fire(2, synth.Shot{})
	theirs := es.enrol("ES-E1", shot)
	var original bytes.Buffer
	if err := x3p.Write(&original, shot); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the signature at PT", func() bool {
		return pt.holds(theirs.Signature)
	})

	r := call[*release.Request](t, pt.people["exam1"], "scan.request", release.Ask{Signature: theirs.Signature, Reason: "compare side by side"})
	hidden := call[*release.Request](t, fr.people["exam1"], "scan.request", release.Ask{Signature: theirs.Signature, Reason: "a guess"})
	nothing := call[*release.Request](t, fr.people["exam1"], "scan.request", release.Ask{Signature: theirs.Signature[:len(theirs.Signature)-8] + "00004553", Reason: "a guess"})
	eventually(t, "the request at ES", func() bool {
		return slices.ContainsFunc(call[[]*release.Request](t, es.people["op"], "scan.list", control.None{}), func(q *release.Request) bool { return q.ID == r.ID && q.State == release.Awaiting })
	})
	call[*release.Request](t, es.people["exam1"], "scan.approve", control.ScanDecision{Ref: r.Number})
	if _, err := control.Call[*release.Request](t.Context(), es.people["exam1"], "scan.approve", "", control.ScanDecision{Ref: r.Number}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("one person approved twice: %v", err)
	}
	if q := call[*release.Request](t, es.people["op"], "scan.approve", control.ScanDecision{Ref: r.Number}); q.State != release.Released && q.State != release.Received {
		t.Fatalf("after two approvals it is %s", q.State)
	}

	// Cut off in the middle, from either side, as often as it takes until the scan is there.
	cuts := 0
	for _, b := range []*bureau{pt, es} {
		if !pt.midway(r.ID, b.stop) {
			break
		}
		b.halt()
		b.start()
		cuts++
		for _, who := range []string{"exam1", "op", "aud"} {
			b.people[who] = b.session(control.LoginRequest{Name: who, Secret: testSecret + " " + who})
		}
	}
	eventually(t, "the scan at PT", func() bool { return pt.scan("exam1", r.Number).State == release.Received })
	if cuts == 0 {
		t.Error("the scan was there before it could be cut off")
	}
	saved := call[release.Saved](t, pt.people["exam1"], "scan.save", control.ScanRef{Ref: r.Number})
	if !bytes.Equal(saved.Content, original.Bytes()) || !slices.Equal(saved.Handling.Codes(), []string{"H0", "H1"}) {
		t.Fatalf("what arrived is not the owner's scan (%d bytes, %d sent), handling %v", len(saved.Content), original.Len(), saved.Handling)
	}
	got, err := x3p.Decode(saved.Content, x3p.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := correlate.Encode(got, correlate.BreechFace)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := correlate.Encode(gun.Fire(3, synth.Shot{}), correlate.BreechFace)
	if err != nil {
		t.Fatal(err)
	}
	if found := correlate.Compare(correlate.NewTemplate(a), correlate.NewTemplate(b)); found.Score < 0.3 {
		t.Errorf("compared with another case of the firearm it scores %.3f", found.Score)
	}

	for name, q := range map[string]*release.Request{"hidden": hidden, "nothing": nothing} {
		eventually(t, "the answer to FR about what is "+name, func() bool { return fr.scan("exam1", q.ID).State == release.Refused })
		if c := fr.scan("exam1", q.ID).Refusal; c.Code != protocol.ScanUnknown || c.Note != "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if g := es.scan("op", hidden.ID).Ground + " " + es.scan("op", nothing.ID).Ground; g != "not-told no-such-exhibit" {
		t.Errorf("the owner's records say %q", g)
	}

	// Both logs tell the same of what went over.
	eventually(t, "the owner's entry", func() bool { return len(es.audited("scan sent and received")) == 1 })
	sent, came := es.audited("scan sent and received"), pt.audited("scan received")
	if len(came) != 1 {
		t.Fatalf("PT recorded %d scans", len(came))
	}
	for _, key := range []string{"release", "scan", "bytes", "number", "signature"} {
		if sent[0].Details[key] == "" || sent[0].Details[key] != came[0].Details[key] {
			t.Errorf("%s: %q sent, %q received", key, sent[0].Details[key], came[0].Details[key])
		}
	}
	for _, b := range []*bureau{pt, es, fr} {
		if v := call[control.AuditVerified](t, b.people["aud"], "audit.verify", control.None{}); !v.Verified {
			t.Errorf("%s: %s", b.country, v.Fault)
		}
	}
	if strings.Contains(strings.Join(eventsOf(fr), "\n"), "not-told") {
		t.Error("FR learned the true ground")
	}
}

func eventsOf(b *bureau) (out []string) {
	for _, e := range call[[]store.AuditRecord](b.t, b.people["aud"], "audit.query", control.AuditRequest{Limit: 10000}) {
		out = append(out, e.Event+" "+e.Ground)
	}
	return out
}

// holds tells whether a foreign signature has arrived.
func (b *bureau) holds(signature string) (there bool) {
	b.t.Helper()
	err := b.node.store.View(func(tx *store.Tx) error {
		_, err := store.NewCollection[ballistics.Signature]("signature").Get(tx, signature)
		there = err == nil
		return nil
	})
	return there && err == nil
}

// midway cuts while a scan is arriving here, in an act of the store: chunks and looks take turns, and no chunk is kept between the look and the cut. It says
// false where the scan is here already.
func (b *bureau) midway(id string, cut func()) bool {
	b.t.Helper()
	var midway, done bool
	for end := time.Now().Add(patience); !midway && !done; {
		if err := b.node.store.Update(b.t.Context(), func(tx *store.Tx) error {
			r, err := store.NewCollection[release.Request]("scan-request").Get(tx, id)
			if err != nil {
				return err
			}
			done = r.State == release.Received
			_, err = tx.Get("release/progress/" + id + "/0")
			if midway = err == nil && !done; midway {
				cut()
			}
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return err
		}); err != nil {
			b.t.Fatal(err)
		}
		if time.Now().After(end) {
			b.t.Fatalf("nothing of the scan came within %v", patience)
		}
	}
	return midway
}
