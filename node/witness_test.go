package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"proofmark/crypto"
	rules "proofmark/crypto/witness"
	"proofmark/node/backup"
	"proofmark/node/control"
	"proofmark/node/witness"
	"proofmark/store"
)

// witnessed asks the node, as its auditor, what it knows of a country's log.
func (b *bureau) witnessed(country string) *witness.LogView {
	b.t.Helper()
	return call[*witness.LogView](b.t, b.people["aud"], "witness.show", control.CountryRef{Country: country})
}

func (b *bureau) figures() witness.Figures {
	b.t.Helper()
	f, err := b.node.witness.Figures()
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

func (b *bureau) logSize() int64 {
	b.t.Helper()
	n, err := b.node.store.AuditSize()
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// TestWitnessesProveAnOldCopy: three members cosign each other's logs; then one of them has an old copy of its database put back, without a word. Its
// witness has the proof, and the third member, which had seen nothing of what is lost, learns it. A declared restore settles it. Real nodes.
func TestWitnessesProveAnOldCopy(t *testing.T) {
	pt, es, fr := newBureau(t, "PT"), newBureau(t, "ES"), newBureau(t, "FR")
	all := []*bureau{pt, es, fr}
	for _, b := range all {
		b.witnessing = witness.Pace{Look: 50 * time.Millisecond, Grown: 200 * time.Millisecond, Still: time.Hour}
		b.start()
		b.login(map[string]string{"aud": "auditor", "tech": "technician"})
	}
	federate(t, all...)
	for _, b := range all {
		eventually(t, b.country+"'s log is cosigned by both others", func() bool { f := b.figures(); return f.Enough && f.Cosigned == b.logSize() })
	}
	saved := call[*witness.CosignedView](t, pt.people["aud"], "witness.save", control.None{})
	ring, err := rules.Verifiers(es.node.membership.Current())
	if err != nil {
		t.Fatal(err)
	}
	if o, err := ring.Open([]byte(saved.Note)); err != nil || len(o.Cosignatures) != 2 || o.Country != "PT" {
		t.Fatalf("%+v, %v", o, err)
	}
	if _, err := control.Call[*witness.Status](t.Context(), pt.people["tech"], "witness.status", "", control.None{}); err == nil {
		t.Error("a technician sees it")
	}

	// An old copy is kept; what follows is witnessed by ES alone.
	pt.halt()
	fr.halt()
	folder := shortTemp(t)
	old := filepath.Join(folder, "old")
	if err := errors.Join(os.CopyFS(old, os.DirFS(pt.dir)), keepPrivate(old), os.Chmod(old, 0o700)); err != nil {
		t.Fatal(err)
	}
	again := func(b *bureau) {
		b.start()
		b.people["aud"] = b.session(control.LoginRequest{Name: "aud", Secret: testSecret + " aud"})
		b.people["admin"] = b.session(control.LoginRequest{Name: "admin", Secret: testSecret})
	}
	again(pt)
	for i := range 15 { // more than the old copy will come to before its backup, which explains nothing that lies before its end
		call[control.UserCode](t, pt.people["admin"], "user.add", control.UserRequest{Name: fmt.Sprint("lost", i), Roles: []string{"technician"}})
	}
	var lost int64
	eventually(t, "ES has witnessed what will be lost", func() bool {
		lost = pt.logSize()
		return es.witnessed("PT").Size == lost
	})
	pt.halt()
	pt.dir = old
	again(pt)
	eventually(t, "ES has proof", func() bool { return es.figures().Alarms == 1 })
	v := es.witnessed("PT")
	if v.Alarms != 1 || v.Evidence[0].Verdict != "rollback" || v.Evidence[0].First != lost || v.Size != lost {
		t.Errorf("ES: %+v", v)
	}
	if s := call[control.Status](t, es.people["aud"], "status", control.None{}); len(s.Witness.Alarms) != 1 || !strings.Contains(s.Witness.Alarms[0], "PT") {
		t.Errorf("status: %+v", s.Witness)
	}
	if m, err := es.node.sources().Witness(); err != nil || m.Alarms != 1 {
		t.Errorf("figures: %+v, %v", m, err)
	}
	if found, err := es.node.store.QueryAudit(t.Context(), store.AuditQuery{Kind: "witness", Decision: "deny"}); err != nil || len(found) != 1 || found[0].Counterpart != "PT" || !strings.Contains(found[0].Details["second checkpoint"], "proofmark.PT\n") {
		t.Errorf("audit: %+v, %v", found, err)
	}
	eventually(t, "PT is not ready", func() bool { return strings.Contains(strings.Join(pt.node.unready(), "; "), "put back or forked") })

	again(fr)
	eventually(t, "FR learns it", func() bool { return fr.figures().Alarms == 1 })
	if v := fr.witnessed("PT"); v.Evidence[0].From == "FR" || v.Evidence[0].Evidence.First != es.witnessed("PT").Evidence[0].Evidence.First || v.Evidence[0].Text == "" {
		t.Errorf("FR: %+v", v)
	}

	// The old state is all there is: it is backed up, and brought back as a declared restore.
	recovery, err := crypto.NewRecoveryKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	call[*backup.RecoveryState](t, pt.people["admin"], "recovery.set", control.RecoveryRequest{Key: recovery.JWK()})
	file := filepath.Join(folder, "full"+backup.Suffix)
	pt.backUp(file)
	pt.halt()
	parts, err := backup.Gather(t.Context(), []string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pt.dir = filepath.Join(folder, "new")
	if _, err := Restore(t.Context(), pt.dir, RestoreOptions{Parts: parts, Recovery: recovery, Passphrase: []byte(testPassphrase), Cost: crypto.TestCost}); err != nil {
		t.Fatal(err)
	}
	again(pt)
	for _, b := range all {
		eventually(t, b.country+" has no alarm after the declared restore", func() bool { return b.figures().Alarms == 0 })
	}
	eventually(t, "the restored log is cosigned again", func() bool { f := pt.figures(); return f.Enough && f.Cosigned >= pt.logSize()-2 })
	// PT, restored, asks the others what they hold of the logs that it witnesses before it cosigns them again.
	for _, b := range []*bureau{es, fr} {
		eventually(t, "PT witnesses "+b.country+"'s log again", func() bool {
			v := pt.witnessed(b.country)
			return pt.figures().Memory == "" && v.Owed == 0 && v.At.After(v.Since) && v.Size >= b.logSize()-1
		})
	}
	if found, err := pt.node.store.QueryAudit(t.Context(), store.AuditQuery{Kind: "witness", Ground: "witness-memory"}); err != nil || len(found) < 2 {
		t.Errorf("PT's recovery: %+v, %v", found, err)
	}
	if v := es.witnessed("PT"); len(v.Restores) != 1 || len(v.Evidence) == 0 || v.Evidence[0].Explained == "" || !strings.Contains(v.Restores[0].First, fmt.Sprint("\n", lost, "\n")) {
		t.Errorf("ES: %+v", v)
	}
}

func TestWitnessConfiguration(t *testing.T) {
	for _, q := range []struct {
		w    Witness
		want string
	}{
		{Witness{}, ""}, {Witness{Also: []string{"ES", "FR"}, Wanted: 2}, ""}, {Witness{Wanted: 5}, ""}, {Witness{Chosen: 20, Wanted: 20}, ""},
		{Witness{Also: []string{"PT"}}, "nobody is a witness of himself"}, {Witness{Also: []string{"ES", "ES"}}, "each once"}, {Witness{Also: []string{"es"}}, "witness.also"},
		{Witness{Also: []string{"ES"}, Wanted: 18}, "how many are asked"}, {Witness{Wanted: -1}, "witness.wanted"}, {Witness{Chosen: 3}, "witness.chosen"}, {Witness{Chosen: 65}, "witness.chosen"},
		{Witness{Chosen: 64, Also: []string{"ES"}}, "at the most"},
	} {
		c := DefaultConfig("PT", "NCB Lisbon")
		c.Witness = q.w
		err := c.Check()
		if q.want == "" && err != nil || q.want != "" && (err == nil || !strings.Contains(err.Error(), q.want)) {
			t.Errorf("%+v: %v, want %q", q.w, err, q.want)
		}
	}
	c, err := ParseConfig([]byte("country = \"PT\"\nname = \"NCB\"\n[network]\nlisten = [\"/ip4/0.0.0.0/tcp/1\"]\n[log]\nlevel = \"info\"\n[witness]\nalso = [\"ES\", \"FR\"]\nwanted = 2\n"))
	if err != nil || len(c.Witness.Also) != 2 || c.Witness.Wanted != 2 {
		t.Errorf("%+v, %v", c.Witness, err)
	}
}
