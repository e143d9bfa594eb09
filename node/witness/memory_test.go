package witness

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// forgetting is a federation in which ES has an old copy of its database put back, without a word: it remembers of PT's log what it held then, and has
// cosigned more.
type forgetting struct {
	*federation
	pt, es, fr *bureau
	then       rules.Tree // of PT's log, as ES remembers it
}

func newForgetting(t *testing.T, early int) forgetting {
	dir := t.TempDir()
	f := newFederation(t, dir, "PT", "ES", "FR")
	out := forgetting{federation: f, pt: f.bureaus["PT"], es: f.bureaus["ES"], fr: f.bureaus["FR"]}
	if early > 0 {
		out.pt.grow(early)
		f.turn()
		f.turn()
	}
	out.then = rules.Empty()
	if early > 0 {
		out.then = must(out.es.heldTree("PT"))
	}
	old := filepath.Join(dir, "old")
	out.es.copyTo(old)
	out.pt.grow(10)
	out.fr.grow(10)
	f.turn()
	f.turn()
	out.es.putBack(old)
	return out
}

// forked is an offer of another history than the one that ES has cosigned, of n entries after those that both share.
func (f forgetting) forked(t *testing.T, shown rules.Tree, n int64) []byte {
	t.Helper()
	h := &history{name: "fork", signer: f.pt.o.Signer, own: f.pt.o.Own}
	check(t, f.pt.store.View(func(tx *store.Tx) error {
		for i := range f.then.N {
			at := []int64{tlog.StoredHashIndex(0, i)}
			leaf, err := tx.AuditHashes().ReadHashes(at)
			if err != nil {
				return err
			}
			h.hashes = append(h.hashes, must(tlog.StoredHashesForRecordHash(i, leaf[0], h))...)
		}
		return nil
	}))
	for i := f.then.N; i < f.then.N+n; i++ {
		h.hashes = append(h.hashes, must(tlog.StoredHashes(i, []byte("another entry"), h))...)
	}
	return h.offer(shown, f.then.N+n)
}

// A witness that was put back is told so by the first honest log that shows it its own cosignature, asks, and goes on where it was.
func TestAWitnessIsShownWhatItForgot(t *testing.T) {
	t.Parallel()
	f := newForgetting(t, 6)
	forgot := must(f.es.heldTree("PT"))
	f.add(time.Minute)
	f.pt.grow(1)
	check(t, f.pt.look(t.Context())) // before ES has said anything of its own log
	s := f.es.state()
	if s.Memory == nil || !strings.Contains(s.Memory.Why, "PT has shown a cosignature of this node") || len(s.Memory.Missing) != 2 {
		t.Fatalf("%+v", s.Memory)
	}
	if w := f.pt.state().Witnesses; !slices.ContainsFunc(w, func(w WitnessState) bool {
		return w.Country == "ES" && strings.Contains(w.Fault, "lost a part of its memory")
	}) {
		t.Errorf("PT is told %+v", w)
	}
	if fig := must(f.es.Figures()); fig.Memory == "" {
		t.Errorf("%+v", fig)
	}
	// The fork that ES would have cosigned by what it remembers: not before it has asked, and never afterwards.
	if a := f.es.answerTo("PT", f.forked(t, forgot, 2)); a.Refusal != forgetful {
		t.Fatalf("%+v", a)
	}
	f.turn()
	f.turn()
	if s := f.es.state(); s.Memory != nil {
		t.Fatalf("%+v", s.Memory)
	}
	if v := f.es.view("PT"); v.Size != f.pt.size() || v.Owed != 0 || v.LogState.Evidence > 0 {
		t.Errorf("ES holds %+v", v)
	}
	a := f.es.answerTo("PT", f.forked(t, must(f.es.heldTree("PT")), 2))
	if v := f.es.view("PT"); a.Verdict != "rollback" || v.Alarms != 1 {
		t.Errorf("%+v, %+v", a, v)
	}
	// The second cosignature that it does not know is another loss.
	if ends := f.es.told("what they hold"); ends != 1 {
		t.Errorf("the end of the loss is noted %d times", ends)
	}
}

// told counts audit entries of this node's memory that hold these words.
func (b *bureau) told(words string) (n int) {
	b.f.t.Helper()
	list, err := b.store.QueryAudit(b.f.t.Context(), store.AuditQuery{Kind: "witness"})
	check(b.f.t, err)
	for _, e := range list {
		if strings.Contains(e.Event, words) {
			n++
		}
	}
	return n
}

// A log that lies hides from a restored witness what it has cosigned; an honest witness does not.
func TestALogCannotUseAWitnessThatForgot(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]int{"of an older state": 6, "of the log at all": 0} {
		f := newForgetting(t, early)
		f.es.restored = &protocol.Restored{ID: "00000000000000000000000000000001", At: f.now(), Made: f.now(), Checkpoint: string(must(f.es.store.Checkpoint()))}
		// Nothing is cosigned from the first moment on, before the node has come to settle anything.
		if a := f.es.answerTo("PT", f.forked(t, f.then, 2)); a.Refusal != forgetful {
			t.Fatalf("%s: %+v", name, a)
		}
		check(t, f.es.settleOwn(t.Context()))
		// PT itself answers that it knows of no cosignature; FR shows what it holds.
		check(t, f.pt.store.Update(t.Context(), func(tx *store.Tx) error { return Givens.Delete(tx, "ES") }))
		f.leave("FR", true)
		f.add(time.Minute)
		check(t, f.es.look(t.Context()))
		if a := f.es.answerTo("PT", f.forked(t, f.then, 2)); a.Refusal != forgetful {
			t.Fatalf("%s: without the other witness: %+v", name, a)
		}
		f.leave("FR", false)
		f.add(2 * time.Minute)
		check(t, f.es.look(t.Context()))
		a := f.es.answerTo("PT", f.forked(t, f.then, 2))
		held := f.fr.view("PT").Note
		if early == 0 && a.Held != held {
			t.Fatalf("%s: %+v", name, a)
		}
		// What it proves of the state that ES remembers does not help it: it has to continue the other one too.
		var shown rules.Tree
		check(t, f.es.store.View(func(tx *store.Tx) error {
			log, _ := f.es.ring.Log("PT")
			h, err := f.es.holding(tx, log)
			if err == nil && len(h.owed) != 1 {
				err = errors.New("PT owes nothing")
			}
			if err == nil {
				shown = h.owed[0].Tree
			}
			return err
		}))
		a = f.es.answerTo("PT", f.forked(t, shown, 2))
		if v := f.es.view("PT"); a.Verdict != "rollback" || v.Alarms != 1 || v.Evidence[0].Evidence.First != held {
			t.Errorf("%s: %+v, %+v", name, a, v)
		}
		if a = f.es.answerTo("PT", f.forked(t, shown, 30)); a.Verdict != "fork" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// The honest logs of a federation are cosigned again by a witness that was restored, also one that has declared a restore of its own meanwhile, and the
// evidence that it had is told to it again.
func TestARestoredWitnessRecovers(t *testing.T) {
	t.Parallel()
	f := newForgetting(t, 6)
	// FR has told ES of evidence that ES's copy does not have.
	f.leave("ES", true)
	dir := t.TempDir()
	f.pt.copyTo(filepath.Join(dir, "pt"))
	f.pt.grow(3)
	f.turn()
	f.pt.putBack(filepath.Join(dir, "pt"))
	base := string(must(f.pt.store.Checkpoint()))
	f.turn()
	check(t, f.fr.store.Update(t.Context(), func(tx *store.Tx) error {
		for _, r := range Evidences.All(tx) {
			check(t, r.toldBy(tx, "ES"))
		}
		return tx.Err()
	}))
	if v := f.fr.view("PT"); v.Alarms != 1 {
		t.Fatalf("%+v", v)
	}
	f.es.restored = &protocol.Restored{ID: "00000000000000000000000000000002", At: f.now(), Made: f.now(), Checkpoint: string(must(f.es.store.Checkpoint()))}
	check(t, f.es.settleOwn(t.Context()))
	f.leave("ES", false)
	for range 3 {
		f.turn()
	}
	if v := f.es.view("PT"); v.Alarms == 0 || v.Evidence[0].Verdict != "rollback" {
		t.Errorf("ES was not told again: %+v", v)
	}
	if s := f.es.state(); s.Memory != nil {
		t.Errorf("%+v", s.Memory)
	}
	// PT declares a restore: what ES holds from before it and what FR has shown it of after it are both explained by it.
	f.pt.restored = &protocol.Restored{ID: "00000000000000000000000000000003", At: f.now(), Made: f.now(), Checkpoint: base}
	check(t, f.pt.settleOwn(t.Context()))
	f.pt.grow(1)
	for range 4 {
		f.turn()
	}
	for _, b := range []*bureau{f.es, f.fr} {
		if v := b.view("PT"); v.Alarms != 0 || v.Owed != 0 || v.Size < f.pt.size()-2 {
			t.Errorf("%s: %+v", b.c, v)
		}
	}
}

// Of two that were restored together each counts for the other once it has asked the third; and nobody is waited for without end.
func TestTwoWitnessesForget(t *testing.T) {
	t.Parallel()
	f := newForgetting(t, 6)
	for _, b := range []*bureau{f.es, f.fr} {
		b.restored = &protocol.Restored{ID: "00000000000000000000000000000004", At: f.now(), Made: f.now(), Checkpoint: string(must(b.store.Checkpoint()))}
		check(t, b.settleOwn(t.Context()))
	}
	f.leave("PT", true)
	size := f.pt.size()
	f.pt.grow(1)
	f.turn()
	f.turn()
	for _, b := range []*bureau{f.es, f.fr} {
		if s := b.state(); s.Memory == nil || len(s.Memory.Missing) != 2 {
			t.Fatalf("%s: %+v", b.c, s.Memory)
		}
	}
	f.leave("PT", false)
	for range 3 {
		f.turn()
	}
	for _, b := range []*bureau{f.es, f.fr} {
		if s, v := b.state(), b.view("PT"); s.Memory != nil || v.Size <= size || v.Size < f.pt.size()-1 || b.told("goes on without") > 0 {
			t.Errorf("%s: %+v, %+v", b.c, s.Memory, v.LogState)
		}
	}
	f.es.restored = &protocol.Restored{ID: "00000000000000000000000000000005", At: f.now(), Made: f.now(), Checkpoint: string(must(f.es.store.Checkpoint()))}
	check(t, f.es.settleOwn(t.Context()))
	f.leave("FR", true)
	f.pt.grow(1)
	f.turn()
	f.turn()
	if v := f.es.view("PT"); f.es.state().Memory == nil || v.Size == f.pt.size() {
		t.Errorf("without the other witness: %+v", v.LogState)
	}
	f.add(patience)
	f.turn()
	f.turn()
	if v := f.es.view("PT"); f.es.state().Memory != nil || v.Size != f.pt.size() || f.es.told("goes on without [FR]") != 1 {
		t.Errorf("after %v: %+v", patience, v.LogState)
	}
}
