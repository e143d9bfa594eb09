package node

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/crypto"
	"proofmark/crypto/proof"
	"proofmark/crypto/roster"
	"proofmark/node/accounting"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/node/index"
	"proofmark/node/release"
	"proofmark/protocol"
	"proofmark/store"
)

// ahead is a clock that goes as the wall clock does, and can be moved on.
type ahead struct{ by atomic.Int64 }

func (c *ahead) now() time.Time       { return time.Now().Add(time.Duration(c.by.Load())) }
func (c *ahead) move(d time.Duration) { c.by.Add(int64(d)) }

// rawHolds counts, for each text, the keys and values of a stopped node's database in which it stands, old versions included, in clear.
func (b *bureau) rawHolds(texts map[string][]byte) map[string]int {
	b.t.Helper()
	n := &Node{dir: b.dir}
	master, err := n.unlock([]byte(testPassphrase))
	if err != nil {
		b.t.Fatal(err)
	}
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(b.dir, storeDir)).WithLogger(nil).WithEncryptionKey(master.Derive("badger")).WithIndexCacheSize(8 << 20).
		WithCompression(options.ZSTD))
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	found := map[string]int{}
	if err := db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{AllVersions: true})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := it.Item().Value(func(v []byte) error {
				for name, text := range texts {
					if bytes.Contains(v, text) || bytes.Contains(it.Item().Key(), text) {
						found[name]++
					}
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return found
}

// snapshotHolds tells whether the written index of a stopped node holds a signature.
func (b *bureau) snapshotHolds(id string) bool {
	b.t.Helper()
	n := &Node{dir: b.dir}
	master, err := n.unlock([]byte(testPassphrase))
	if err != nil {
		b.t.Fatal(err)
	}
	x := index.New(nil)
	if err := x.RestoreFile(filepath.Join(b.dir, indexFile), master.Derive("index")); err != nil {
		b.t.Fatal(err)
	}
	return slices.Contains(x.IDs(), id)
}

// enrolFor makes a case with one exhibit and acquires a scan of it.
func (b *bureau) enrolFor(reference, number, offence string, scan *x3p.Scan) *ballistics.Acquisition {
	b.t.Helper()
	tech, when := b.people["tech"], time.Now().Add(-48*time.Hour)
	call[*ballistics.Case](b.t, tech, "case.add", ballistics.NewCase{Reference: reference, Agency: "Judicial Police"})
	call[*ballistics.Incident](b.t, tech, "incident.add", ballistics.NewIncident{Case: reference, Occurred: protocol.Interval{From: when, To: when.Add(time.Hour)}, Place: "Badajoz", Offence: offence})
	call[*ballistics.Exhibit](b.t, tech, "exhibit.add", ballistics.NewExhibit{Number: number, Case: reference, Origin: protocol.Evidence, Calibre: "9 mm Luger"})
	var file bytes.Buffer
	if err := x3p.Write(&file, scan); err != nil {
		b.t.Fatal(err)
	}
	a, err := control.Upload[*ballistics.Acquisition](b.t.Context(), tech, "acquire", "",
		ballistics.NewAcquisition{Exhibit: number, ROI: "breech-face", Scans: []ballistics.File{{Name: number + ".x3p", Size: int64(file.Len())}}}, file.Bytes())
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// TestExpiredCopiesAreGone: when the terms of another country's signature, lead and scan have ended, nothing of them is left at their holder: not in its
// records, not in the candidates made of them, not in the index or its snapshot, not in the database's files. That they were erased verifies elsewhere, with
// the roster alone.
func TestExpiredCopiesAreGone(t *testing.T) {
	clock := &ahead{}
	pt, es := newBureau(t, "PT"), newBureau(t, "ES")
	short := "@id(\"short\")\n@retain(\"P20D\")\npermit (principal is Country, action == Action::\"share\", resource);\n"
	if err := os.WriteFile(filepath.Join(es.dir, policyDir, "99-short.cedar"), []byte(short), 0o600); err != nil {
		t.Fatal(err)
	}
	people := []string{"tech", "exam1", "exam2", "inv", "op", "aud"}
	for _, b := range []*bureau{pt, es} {
		b.scans, b.now = quickScans, clock.now
		b.start()
		b.login(roles)
	}
	doc, _ := federate(t, pt, es)
	const offence, narrative = "CANARY-OFFENCE", "CANARY-NARRATIVE"
	gun := synth.NewMaker(1).Firearm(7)
	shot := gun.Fire(2, synth.Shot{})
	own, theirs := pt.enrol("PT-E1", gun.Fire(1, synth.Shot{})), es.enrolFor("ES-1", "ES-E1", offence, shot)
	var file bytes.Buffer
	if err := x3p.Write(&file, shot); err != nil {
		t.Fatal(err)
	}
	pair := protocol.PairID(own.Signature, theirs.Signature)
	for _, b := range []*bureau{pt, es} {
		eventually(t, "the candidate at "+b.country, func() bool {
			return len(b.candidates(own.Signature)) == 1 && len(b.candidates(theirs.Signature)) == 1
		})
	}
	lead := ballistics.NewReview{Pair: pair, Verdict: protocol.VerdictLead}
	call[*ballistics.CandidateView](t, es.people["tech"], "candidates.review", lead)
	call[*ballistics.CandidateView](t, es.people["exam1"], "candidates.review", lead)
	sent := call[*ballistics.Lead](t, es.people["exam1"], "lead.release", control.LeadRequest{Pair: pair, Text: narrative})
	r := call[*release.Request](t, pt.people["exam1"], "scan.request", release.Ask{Signature: theirs.Signature, Reason: "compare"})
	eventually(t, "the request at ES", func() bool {
		_, err := control.Call[*release.Request](t.Context(), es.people["exam1"], "scan.approve", "", control.ScanDecision{Ref: r.Number})
		return err == nil
	})
	call[*release.Request](t, es.people["op"], "scan.approve", control.ScanDecision{Ref: r.Number})
	eventually(t, "the scan at PT", func() bool { return pt.scan("exam1", r.Number).State == release.Received })
	eventually(t, "the lead at PT", func() bool {
		l, err := control.Call[*ballistics.Lead](t.Context(), pt.people["inv"], "lead.show", "", control.Ref{Ref: pair})
		return err == nil && l.Received != nil && l.Received.Body.Narrative == narrative
	})
	texts := map[string][]byte{"offence": []byte(offence), "narrative": []byte(narrative), "scan": file.Bytes()[file.Len()/2 : file.Len()/2+64]}
	if err := pt.node.store.View(func(tx *store.Tx) error {
		sig, err := store.NewCollection[ballistics.Signature]("signature").Get(tx, theirs.Signature)
		if err != nil {
			return err
		}
		rec, err := dispatch.Documents.Get(tx, theirs.Signature)
		if err != nil {
			return err
		}
		texts["signature"] = []byte(base64.StdEncoding.EncodeToString(sig.Bytes[300:348]))
		signed, _, err := crypto.Unverified(rec.JWS, crypto.TypeDocument, len(rec.JWS)) // as it is kept: not in base64
		if err != nil {
			return err
		}
		texts["document"] = signed[len(signed)/2 : len(signed)/2+48]
		if end := rec.Terms.RetainUntil; end.After(clock.now().AddDate(0, 0, 20)) {
			t.Errorf("kept until %v", end)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		pt.halt()
		pt.start()
		for _, who := range people {
			pt.people[who] = pt.again(who)
		}
	}
	pt.halt()
	if before := pt.rawHolds(texts); len(before) != len(texts) {
		t.Fatalf("of %d texts only these stand in the database, and the test proves nothing: %v", len(texts), before)
	}
	if !pt.snapshotHolds(theirs.Signature) || !pt.snapshotHolds(own.Signature) {
		t.Fatal("the snapshot does not hold both signatures: the test proves nothing")
	}
	pt.start()

	// Three weeks on. The clock is believed when a member's signed time agrees.
	clock.move(21 * 24 * time.Hour)
	for _, who := range people {
		pt.people[who], es.people[who] = pt.again(who), es.again(who)
	}
	fresh := es.enrolFor("ES-2", "ES-E2", "robbery", synth.NewMaker(1).Firearm(9).Fire(1, synth.Shot{}))
	eventually(t, "a new signature at PT", func() bool { return pt.holds(fresh.Signature) })
	eventually(t, "the end of the copies", func() bool {
		if err := pt.node.dispatch.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := pt.node.release.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		return !pt.holds(theirs.Signature) && pt.scan("exam1", r.Number).State == release.Erased
	})
	if list := pt.candidates(own.Signature); slices.ContainsFunc(list, func(c *ballistics.CandidateView) bool { return c.Pair == pair }) {
		t.Errorf("a candidate is left of the signature: %+v", list)
	}
	eventually(t, "the end of the lead's words", func() bool {
		if err := pt.node.dispatch.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		l := call[*ballistics.Lead](t, pt.people["inv"], "lead.show", control.Ref{Ref: pair})
		return l.Received.Body.Narrative == "" && l.Received.Body.Number == sent.Sent.Body.Number
	})
	if !pt.holds(fresh.Signature) || !pt.holds(own.Signature) || !es.holds(theirs.Signature) {
		t.Error("what has not ended is gone")
	}

	// The proof, for somebody elsewhere.
	erased := call[[]store.AuditRecord](t, pt.people["aud"], "audit.query", control.AuditRequest{Action: string(protocol.ActErase), Object: theirs.Signature, Limit: 10})
	if len(erased) != 1 || erased[0].Ground != "retention" || erased[0].Counterpart != "ES" {
		t.Fatalf("the log says of the erasure: %+v", erased)
	}
	proved := call[*accounting.Proved](t, pt.people["aud"], "audit.prove", accounting.ProveRequest{Index: erased[0].Index})
	bundle, err := proof.DecodeBundle(proved.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := proof.NewTrust([]*roster.Document{doc}, doc.Hash())
	if err != nil {
		t.Fatal(err)
	}
	if f, err := proof.Check(bundle, trust); err != nil || !f.Revealed || f.Entry.Action != protocol.ActErase || f.Entry.Object != theirs.Signature {
		t.Errorf("%+v, %v", f, err)
	}
	if err := pt.node.store.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	restart()
	if v := call[control.AuditVerified](t, pt.people["aud"], "audit.verify", control.VerifyRequest{}); !v.Verified {
		t.Error(v.Fault)
	}
	eventually(t, "the index after the start", func() bool { return pt.node.ballistics.Filling().Ready })
	pt.halt()
	if pt.snapshotHolds(theirs.Signature) || !pt.snapshotHolds(own.Signature) || !pt.snapshotHolds(fresh.Signature) {
		t.Error("the snapshot holds what ended, or lacks what did not")
	}
	for name, n := range pt.rawHolds(texts) {
		t.Errorf("%s still stands in %d keys or values of the database", name, n)
	}
}
