package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// attest has one bureau ask another for its standing, and fetch what it lost if it was restored.
func attest(t testing.TB, asker, other *bureau) {
	t.Helper()
	ctx := context.Background()
	a, ask, err := asker.AskStanding(ctx, other.country)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := other.AnswerStanding(ctx, asker.country, ask)
	if err != nil {
		t.Fatal(err)
	}
	more, err := asker.TakeStanding(ctx, a, answer)
	for err == nil && more {
		var q, page []byte
		if q, err = asker.AskPage(a); err == nil {
			page, err = other.AnswerPage(ctx, asker.country, q)
		}
		if err == nil {
			more, err = asker.TakePage(ctx, a, page)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// copyOf copies a bureau's database as it is.
func (b *bureau) copyOf() string {
	b.f.t.Helper()
	if err := b.store.Close(); err != nil {
		b.f.t.Fatal(err)
	}
	dir := b.f.t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(b.dir)); err != nil {
		b.f.t.Fatal(err)
	}
	b.open()
	return dir
}

// putOld opens an older database in the bureau's place.
func (b *bureau) putOld(dir string) {
	b.f.t.Helper()
	if err := b.store.Close(); err != nil {
		b.f.t.Fatal(err)
	}
	b.dir = dir
	b.open()
}

func (b *bureau) stops() []Stop {
	b.f.t.Helper()
	return must(b.Stopped())
}

// iberia is two bureaus that have exchanged on every channel, with a copy of PT's database from the middle of it.
func iberia(t *testing.T) (pt, es *bureau, old string) {
	f := newFederation(t, "PT", "ES")
	pt, es = f.bureaus["PT"], f.bureaus["ES"]
	exchange := func(n int) {
		pt.publishMany(n)
		es.publishMany(n)
		pt.ack("ES", "note")
		es.ack("PT", "note")
		for _, ch := range protocol.Channels {
			deliver(pt, es, ch)
			deliver(es, pt, ch)
		}
		attest(t, pt, es)
		attest(t, es, pt)
	}
	exchange(5)
	f.clock.add(time.Hour)
	pt.publishMany(2) // queued in the copy, sent after it
	old = pt.copyOf()
	exchange(7)
	for _, b := range []*bureau{pt, es} {
		if s := b.stops(); len(s) > 0 {
			t.Fatalf("%s stopped in an honest exchange: %+v", b.country, s)
		}
	}
	return pt, es, old
}

func TestAnUndeclaredRollbackStopsBothSides(t *testing.T) {
	for _, asker := range []string{"the honest one asks", "the one that was put back asks"} {
		t.Run(asker, func(t *testing.T) {
			pt, es, old := iberia(t)
			pt.putOld(old)
			if asker == "the honest one asks" {
				attest(t, es, pt)
			} else {
				attest(t, pt, es)
				attest(t, es, pt)
			}
			here, there := pt.stops(), es.stops()
			if len(here) != 1 || !here[0].Here || !strings.Contains(here[0].Text, "proofmark restore") {
				t.Fatalf("PT: %+v", here)
			}
			if len(there) != 1 || there[0].Here || there[0].Peer != "PT" || len(there[0].Evidence) != 2 {
				t.Fatalf("ES: %+v", there)
			}
			// Each side holds two statements that PT signed.
			keys := must(crypto.NewKeySet(pt.keys.SigningJWK()))
			for _, e := range there[0].Evidence {
				if _, _, err := crypto.Verify(e, crypto.TypeStanding, keys, 1<<20); err == nil {
					continue
				}
				if _, _, err := crypto.Verify(e, crypto.TypeBatch, keys, 1<<20); err != nil {
					t.Errorf("evidence that PT did not sign: %v", err)
				}
			}
			v := must(note.NewVerifier(pt.keys.LogVerifierKey("proofmark.PT")))
			if _, err := note.Open([]byte(here[0].Evidence[0]), note.VerifierList(v)); err != nil {
				t.Errorf("PT's own checkpoint: %v", err)
			}
			for _, b := range []*bureau{pt, es} {
				other := es
				if b == es {
					other = pt
				}
				if _, err := b.NextBatch(t.Context(), other.country, protocol.Bulk); !errors.Is(err, ErrStopped) {
					t.Errorf("%s forms a batch: %v", b.country, err)
				}
				if _, err := b.CurrentReceipt(t.Context(), other.country, protocol.Bulk); !errors.Is(err, ErrStopped) {
					t.Errorf("%s signs a receipt: %v", b.country, err)
				}
				if _, _, err := b.Bundle(t.Context(), other.country); !errors.Is(err, ErrStopped) {
					t.Errorf("%s makes a bundle: %v", b.country, err)
				}
				if n := b.entries(func(r store.AuditRecord) bool { return r.Ground == "rollback" }); n != 1 {
					t.Errorf("%s: %d entries about the rollback", b.country, n)
				}
				if b.Refused()["rollback"] != 1 {
					t.Errorf("%s: the figures say %v", b.country, b.Refused())
				}
				b.reopen()
				if len(b.stops()) != 1 {
					t.Errorf("%s forgot the stop with a restart", b.country)
				}
			}
		})
	}
}

// TestWorkThatOnlyTheLogKnows puts a database back that has exchanged nothing since: the checkpoint alone tells.
func TestWorkThatOnlyTheLogKnows(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	attest(t, es, pt)
	old := pt.copyOf()
	pt.update(func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActConsult, Decision: "permit"}, AuditBody: protocol.AuditBody{Actor: "ana", Event: "looked"}})
		return nil
	})
	attest(t, es, pt)
	pt.putOld(old)
	attest(t, es, pt)
	if here, there := pt.stops(), es.stops(); len(here) != 1 || len(there) != 1 || !strings.Contains(there[0].Text, "its audit log had 1 entries and now has 0") {
		t.Errorf("PT %+v, ES %+v", here, there)
	}
}

func TestADeclaredRestoreBringsBackWhatWasExchanged(t *testing.T) {
	for _, alarmed := range []bool{false, true} {
		pt, es, old := iberia(t)
		before := map[string]*Record{}
		for _, s := range []Status{Own, Accepted} {
			for _, r := range pt.kept(s) {
				before[r.ID] = r
			}
		}
		pt.putOld(old)
		if alarmed { // it ran as if nothing had happened first
			attest(t, es, pt)
			if len(es.stops()) != 1 {
				t.Fatal("no alarm")
			}
		}
		pt.update(func(tx *store.Tx) error {
			cp, err := tx.Checkpoint()
			return errors.Join(err, DeclareRestore(tx, pt.f.clock.now().Add(-time.Hour), string(cp)))
		})
		if _, err := pt.NextBatch(t.Context(), "ES", protocol.Bulk); !errors.Is(err, ErrRestoring) {
			t.Errorf("a restored node sends before it has asked: %v", err)
		}
		if _, err := pt.CurrentReceipt(t.Context(), "ES", protocol.Bulk); !errors.Is(err, ErrRestoring) {
			t.Errorf("a restored node signs a receipt before it has asked: %v", err)
		}
		es.update(func(tx *store.Tx) error { // one of ES's documents is gone since: only its hash can come back
			for _, dl := range Deliveries.All(tx) {
				if dl.Peer == "PT" && dl.Channel == protocol.Bulk && dl.Seq == 8 {
					delete(before, dl.Document)
					return Documents.Delete(tx, dl.Document)
				}
			}
			return errors.New("no such delivery")
		})
		attest(t, pt, es)
		if left := must(pt.RestoringWith()); len(left) > 0 || len(pt.stops())+len(es.stops()) > 0 {
			t.Fatalf("after it: waiting for %v, stops %+v %+v", left, pt.stops(), es.stops())
		}
		compare(t, pt, es)
		for id, was := range before {
			now := pt.record(id)
			if now == nil || now.JWS != was.JWS || now.Status != was.Status {
				t.Errorf("%s %s did not come back: %+v", was.Status, id, now)
			}
		}
		if n := pt.entries(func(r store.AuditRecord) bool {
			return strings.HasPrefix(r.Event, "restore witnessed by ES") && r.Details["entries lost"] != "" && r.Details["messages lost"] == "1"
		}); n != 1 {
			t.Errorf("PT's log has %d entries about its witness", n)
		}
		if n := es.entries(func(r store.AuditRecord) bool {
			return strings.HasPrefix(r.Event, "restore declared by PT at checkpoint ") && r.Details["entries known before"] != ""
		}); n != 1 {
			t.Errorf("ES's log has %d entries about the declaration", n)
		}
		// It goes on, in both directions, with numbers above the last.
		sent := pt.ack("ES", "after")
		pt.publishMany(3)
		es.publishMany(3)
		for _, ch := range protocol.Channels {
			deliver(pt, es, ch)
			deliver(es, pt, ch)
		}
		attest(t, pt, es)
		attest(t, es, pt)
		if es.record(sent) == nil || len(pt.stops())+len(es.stops()) > 0 {
			t.Errorf("it does not go on: %+v %+v", pt.stops(), es.stops())
		}
		compare(t, pt, es)
		for _, b := range []*bureau{pt, es} {
			v := must(note.NewVerifier(b.keys.LogVerifierKey("proofmark." + string(b.country))))
			if _, err := b.store.VerifyAudit(t.Context(), v, nil); err != nil {
				t.Errorf("%s: %v", b.country, err)
			}
			if err := b.store.CheckIndexes(t.Context()); err != nil {
				t.Errorf("%s: %v", b.country, err)
			}
		}
	}
}

// compare holds both ends of every channel against each other, and what each side has of the other's documents.
func compare(t *testing.T, a, b *bureau) {
	t.Helper()
	for _, pair := range [][2]*bureau{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		for _, ch := range protocol.Channels {
			var out, in store.ChannelHead
			from.view(func(tx *store.Tx) (err error) { out, err = tx.OutHead(string(to.country), string(ch)); return err })
			to.view(func(tx *store.Tx) (err error) { in, err = tx.InHead(string(from.country), string(ch)); return err })
			if out.Acked != in.Seq || out.AckedHead != in.Head {
				t.Errorf("%s to %s, %s: sent and acknowledged %d %.8s, received %d %.8s", from.country, to.country, ch, out.Acked, out.AckedHead, in.Seq, in.Head)
			}
		}
		for _, r := range to.kept(Accepted) {
			own := from.record(r.ID)
			if own == nil && r.Issuer == from.country && len(from.kept(Own)) > 0 {
				continue // erased on purpose by a test
			}
			if own != nil && own.JWS != r.JWS {
				t.Errorf("%s: %s is another document at its issuer", r.ID, r.Issuer)
			}
		}
	}
}

// A connection breaks while the peer gives back what was lost, and the next one asks too: each page is taken once, and the restore witnessed once. The peer is not
// taken for one that has forked.
func TestTheSameIsGivenBackOverTwoConnections(t *testing.T) {
	pt, es, old := iberia(t)
	pt.putOld(old)
	pt.update(func(tx *store.Tx) error {
		cp, err := tx.Checkpoint()
		return errors.Join(err, DeclareRestore(tx, pt.f.clock.now().Add(-time.Hour), string(cp)))
	})
	type talk struct {
		*Asked
		page []byte
		more bool
	}
	talks := make([]talk, 2)
	for i := range talks {
		a, ask, err := pt.AskStanding(t.Context(), "ES")
		if err != nil {
			t.Fatal(err)
		}
		more, err := pt.TakeStanding(t.Context(), a, must(es.AnswerStanding(t.Context(), "PT", ask)))
		if err != nil || !more {
			t.Fatalf("%v, %v", more, err)
		}
		talks[i] = talk{Asked: a, more: true}
	}
	for talks[0].more || talks[1].more {
		for i := range talks { // both ask before either takes
			if talks[i].more {
				talks[i].page = must(es.AnswerPage(t.Context(), "PT", must(pt.AskPage(talks[i].Asked))))
			}
		}
		for i := range talks {
			if !talks[i].more {
				continue
			}
			var err error
			if talks[i].more, err = pt.TakePage(t.Context(), talks[i].Asked, talks[i].page); err != nil {
				t.Fatalf("connection %d: %v", i+1, err)
			}
		}
	}
	if n := pt.entries(func(r store.AuditRecord) bool { return strings.HasPrefix(r.Event, "restore witnessed by ES") }); n != 1 {
		t.Errorf("PT's log has %d entries about its witness", n)
	}
	if n := pt.entries(func(r store.AuditRecord) bool { return r.Ground == "fork" || r.Ground == "forged" }); n != 0 {
		t.Errorf("PT's log accuses ES %d times", n)
	}
	compare(t, pt, es)
}

// TestAPeerThatGivesBackFalseThings plays a peer that lies to a restored node.
func TestAPeerThatGivesBackFalseThings(t *testing.T) {
	pt, es, old := iberia(t)
	pt.putOld(old)
	pt.update(func(tx *store.Tx) error {
		cp, err := tx.Checkpoint()
		return errors.Join(err, DeclareRestore(tx, pt.f.clock.now().Add(-time.Hour), string(cp)))
	})
	ctx := t.Context()
	ask := func() (*Asked, []byte) {
		t.Helper()
		a, q, err := pt.AskStanding(ctx, "ES")
		if err != nil {
			t.Fatal(err)
		}
		if more, err := pt.TakeStanding(ctx, a, must(es.AnswerStanding(ctx, "PT", q))); err != nil || !more {
			t.Fatal(more, err)
		}
		return a, must(es.AnswerPage(ctx, "PT", must(pt.AskPage(a))))
	}
	n := pt.effects()
	for name, change := range map[string]func(p *protocol.RestorePage){
		"a message changed":  func(p *protocol.RestorePage) { p.Messages[0].Bytes[40] ^= 1 },
		"a message left out": func(p *protocol.RestorePage) { p.Messages[0].Seq++ },
		"a message in another place": func(p *protocol.RestorePage) {
			p.Messages[0].Bytes = elsewhere(p.Messages[0].Bytes)
			p.Messages[0].Hash = protocol.MessageHash(p.Messages[0].Bytes)
		},
	} {
		a, page := ask()
		p := must(protocol.DecodeRestorePage(page))
		change(p)
		if _, err := pt.TakePage(ctx, a, must(json.Marshal(p))); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if pt.effects() != n {
		t.Error("something false left a trace in the documents")
	}
	// A peer that says there is nothing: this node's own receipt, which it showed before, says otherwise.
	a, _ := ask()
	for range protocol.Channels {
		if _, err := pt.TakePage(ctx, a, []byte(`{"end":true}`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pt.TakePage(ctx, a, []byte(`{"end":true}`)); !errors.Is(err, ErrForged) || !strings.Contains(err.Error(), "did not give back the messages") {
		t.Errorf("a peer that gives nothing back: %v", err)
	}
	if _, err := es.AnswerPage(ctx, "PT", []byte(`{"restore":"`+strings.Repeat("a", 32)+`","channel":"bulk"}`)); !errors.Is(err, ErrForged) {
		t.Errorf("a page for a restore that nobody declared: %v", err)
	}
	attest(t, pt, es)
	compare(t, pt, es)
}

// elsewhere makes a message follow another one.
func elsewhere(b []byte) []byte {
	m := must(protocol.DecodeMessage(b))
	m.Prev = strings.Repeat("0", 64)
	return must(json.Marshal(m))
}

// TestAWithdrawalAfterTheBackupHolds restores a backup that does not know of a withdrawal.
func TestAWithdrawalAfterTheBackupHolds(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	id := pt.publish(signature("Elvas"), attributes())
	deliver(pt, es, protocol.Bulk)
	old := pt.copyOf()
	pt.withdraw(id)
	deliver(pt, es, protocol.Urgent)
	deliver(es, pt, protocol.Urgent) // the confirmation
	pt.putOld(old)
	if pt.record(id).Status != Own {
		t.Fatal("the copy knows of the withdrawal")
	}
	pt.update(func(tx *store.Tx) error {
		cp, err := tx.Checkpoint()
		return errors.Join(err, DeclareRestore(tx, f.clock.now(), string(cp)))
	})
	attest(t, pt, es)
	if rec := pt.record(id); rec == nil || rec.Status != Recalled || rec.Withdrawn == nil {
		t.Errorf("after the restore %s is %+v: it would be offered again", id, rec)
	}
	compare(t, pt, es)
	for _, ch := range protocol.Channels {
		deliver(pt, es, ch)
		deliver(es, pt, ch)
	}
	if rec := es.record(id); rec != nil {
		t.Errorf("ES holds it again: %+v", rec)
	}
	compare(t, pt, es)
}
