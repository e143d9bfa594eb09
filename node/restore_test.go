package node

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/crypto"
	"proofmark/node/backup"
	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/exchange"
	"proofmark/protocol"
	"proofmark/store"
)

// backUp writes a full backup of the running node into a file.
func (b *bureau) backUp(path string) {
	b.t.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = control.Download[*backup.Made](b.t.Context(), b.people["admin"], "backup.create", backup.Request{}, f)
	if err = errors.Join(err, f.Close()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) documents(status dispatch.Status) map[string]bool {
	b.t.Helper()
	out := map[string]bool{}
	if err := b.node.store.View(func(tx *store.Tx) error {
		for id, r := range dispatch.Documents.All(tx) {
			if r.Status == status {
				out[id] = true
			}
		}
		return tx.Err()
	}); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// ends compares both ends of every channel of two nodes.
func ends(t *testing.T, a, b *bureau) (same bool) {
	t.Helper()
	same = true
	for _, pair := range [][2]*bureau{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		for _, ch := range protocol.Channels {
			var out, in store.ChannelHead
			err := errors.Join(
				from.node.store.View(func(tx *store.Tx) (err error) { out, err = tx.OutHead(to.country, string(ch)); return err }),
				to.node.store.View(func(tx *store.Tx) (err error) { in, err = tx.InHead(from.country, string(ch)); return err }))
			if err != nil {
				t.Fatal(err)
			}
			same = same && out.Seq == out.Acked && out.Acked == in.Seq && out.AckedHead == in.Head
		}
	}
	return same
}

func (b *bureau) stopped() []dispatch.Stop {
	b.t.Helper()
	s, err := b.node.dispatch.Stopped()
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// TestARestoredNodeIsToldWhatCameAfter loses a node that went on after its last backup, restores it, and then plays an operator who puts an old copy back
// without saying so: real nodes, hosts and databases.
func TestARestoredNodeIsToldWhatCameAfter(t *testing.T) {
	pt, es := newBureau(t, "PT"), newBureau(t, "ES")
	for _, b := range []*bureau{pt, es} {
		b.start()
		b.login(roles)
	}
	federate(t, pt, es)
	recovery, err := crypto.NewRecoveryKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	call[*backup.RecoveryState](t, pt.people["admin"], "recovery.set", control.RecoveryRequest{Key: recovery.JWK()})
	maker := synth.NewMaker(1)
	pt.enrol("PT-1", maker.Firearm(1).Fire(1, synth.Shot{}))
	es.enrol("ES-1", maker.Firearm(2).Fire(1, synth.Shot{}))
	eventually(t, "the first exchange", func() bool {
		return ends(t, pt, es) && len(pt.documents(dispatch.Accepted)) == 1 && len(es.documents(dispatch.Accepted)) == 1
	})
	folder := shortTemp(t)
	file := filepath.Join(folder, "full"+backup.Suffix)
	pt.backUp(file)
	pt.enrol("PT-2", maker.Firearm(3).Fire(1, synth.Shot{}))
	es.enrol("ES-2", maker.Firearm(4).Fire(1, synth.Shot{}))
	eventually(t, "the exchange after the backup", func() bool {
		return ends(t, pt, es) && len(pt.documents(dispatch.Accepted)) == 2 && len(es.documents(dispatch.Accepted)) == 2
	})
	own, foreign := pt.documents(dispatch.Own), pt.documents(dispatch.Accepted)
	pt.halt()
	if err := os.RemoveAll(pt.dir); err != nil {
		t.Fatal(err)
	}

	parts, err := backup.Gather(t.Context(), []string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pt.dir = filepath.Join(folder, "new")
	o := RestoreOptions{Parts: parts, Recovery: recovery, Passphrase: []byte(testPassphrase), Cost: crypto.TestCost}
	other, err := crypto.NewRecoveryKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrong := o
	wrong.Recovery = other
	if _, err := Restore(t.Context(), pt.dir, wrong); !errors.Is(err, crypto.ErrNotForUs) {
		t.Errorf("a restore with another recovery key: %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("a refused restore left %v, %v", left, err)
	}
	if r, err := Restore(t.Context(), pt.dir, o); err != nil || r.Country != "PT" {
		t.Fatalf("%+v, %v", r, err)
	}
	pt.start()
	eventually(t, "help from ES", func() bool {
		left, err := pt.node.dispatch.RestoringWith()
		return err == nil && len(left) == 0
	})
	if err := pt.node.store.Update(t.Context(), func(tx *store.Tx) error {
		number, err := desk.NextNumber(tx, "PT", "T")
		if err == nil && strings.HasSuffix(number, "-000001") {
			err = errors.New("it may have been given after the backup: " + number)
		}
		return err
	}); err != nil {
		t.Errorf("the first number after a restore: %v", err)
	}
	for id := range own {
		if !pt.documents(dispatch.Own)[id] {
			t.Errorf("the own document %s did not come back", id)
		}
	}
	for id := range foreign {
		if !pt.documents(dispatch.Accepted)[id] {
			t.Errorf("the foreign document %s did not come back", id)
		}
	}
	for _, name := range []string{"tech", "op"} {
		pt.people[name] = pt.session(control.LoginRequest{Name: name, Secret: testSecret + " " + name})
	}
	pt.enrol("PT-3", maker.Firearm(5).Fire(1, synth.Shot{}))
	eventually(t, "the exchange after the restore", func() bool { return ends(t, pt, es) && len(es.documents(dispatch.Accepted)) == 3 })
	if len(pt.stopped())+len(es.stopped()) > 0 {
		t.Fatalf("a declared restore alarms: %+v %+v", pt.stopped(), es.stopped())
	}

	// An old copy of the data folder, put back without a word.
	pt.halt()
	old := filepath.Join(folder, "old")
	if err := os.CopyFS(old, os.DirFS(pt.dir)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(keepPrivate(old), os.Chmod(old, 0o700)); err != nil {
		t.Fatal(err)
	}
	pt.start()
	pt.people["tech"] = pt.session(control.LoginRequest{Name: "tech", Secret: testSecret + " tech"})
	pt.enrol("PT-4", maker.Firearm(6).Fire(1, synth.Shot{}))
	eventually(t, "the exchange that the copy does not know", func() bool { return ends(t, pt, es) && len(es.documents(dispatch.Accepted)) == 4 })
	pt.halt()
	pt.dir = old
	pt.start()
	eventually(t, "the alarm on both sides", func() bool { return len(pt.stopped()) == 1 && len(es.stopped()) == 1 })
	if s := pt.stopped()[0]; !s.Here {
		t.Errorf("PT blames somebody else: %+v", s)
	}
	if s := es.stopped()[0]; s.Here || s.Peer != "PT" {
		t.Errorf("ES: %+v", s)
	}
	for _, b := range []*bureau{pt, es} {
		if why := strings.Join(b.node.unready(), "; "); !strings.Contains(why, "the exchange is stopped") {
			t.Errorf("%s is ready all the same: %s", b.country, why)
		}
	}
	eventually(t, "what operators see at ES", func() bool {
		for _, p := range call[[]exchange.PeerStatus](t, es.people["op"], "peers", control.None{}) {
			if strings.Contains(p.LastError, "stopped") {
				return true
			}
		}
		return false
	})
}
