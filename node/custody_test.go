package node

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/crypto"
	"proofmark/node/backup"
	"proofmark/node/control"
	"proofmark/node/custody"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// grant writes into a node's configuration for whom it keeps copies.
func (b *bureau) grant(owner, size string) {
	b.t.Helper()
	path := filepath.Join(b.dir, configFile)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "\n[custody.for]\n%s = %q\n", owner, size)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// backUpInto adds a backup to a folder as the command does.
func (b *bureau) backUpInto(folder string, full bool) *backup.Made {
	b.t.Helper()
	index, err := backup.ReadIndex(folder)
	if err != nil {
		b.t.Fatal(err)
	}
	var r backup.Request
	if chain := index.Latest(); len(chain) > 0 && !full {
		r.Since = chain[len(chain)-1].ID
	}
	var buf bytes.Buffer
	made, err := control.Download[*backup.Made](b.t.Context(), b.people["admin"], "backup.create", r, &buf)
	if err != nil {
		b.t.Fatal(err)
	}
	name := fmt.Sprintf("%s-%04d%s", made.Chain[:8], made.Number, backup.Suffix)
	index.Country = protocol.Country(b.country)
	index.Files = append(index.Files, backup.Part{Name: name, ID: made.ID, Chain: made.Chain, Number: made.Number, SHA256: made.SHA256, Size: made.Size, Made: made.At})
	raw, err := json.Marshal(index)
	if err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), buf.Bytes(), 0o600), os.WriteFile(filepath.Join(folder, backup.IndexName), raw, 0o600)); err != nil {
		b.t.Fatal(err)
	}
	return made
}

// export writes out what a holder keeps, as the command does.
func (b *bureau) export(owner, folder string) {
	b.t.Helper()
	out := call[*custody.Export](b.t, b.people["admin"], "custody.begin", control.CustodyRef{Owner: owner})
	raw, err := json.Marshal(backup.Index{Country: out.Owner, Files: out.Files})
	if err = errors.Join(err, os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, backup.IndexName), raw, 0o600)); err != nil {
		b.t.Fatal(err)
	}
	for _, p := range out.Files {
		var buf bytes.Buffer
		if _, err := control.Download[*protocol.CustodyReceipt](b.t.Context(), b.people["admin"], "custody.fetch", control.CustodyRef{Owner: owner, ID: p.ID}, &buf); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, p.Name), buf.Bytes(), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bureau) custodyEvents() (out []string) {
	b.t.Helper()
	for _, e := range call[[]store.AuditRecord](b.t, b.people["aud"], "audit.query", control.AuditRequest{Kind: "custody", Limit: 1000}) {
		out = append(out, e.Event)
	}
	slices.Sort(out)
	return out
}

// TestALostRegistryComesBackFromItsHolders: backed up at two members, the country loses its machine and its own backups; one holder writes its copies out,
// and with the recovery key alone the node is back and the exchange goes on. Real nodes, hosts and databases.
func TestALostRegistryComesBackFromItsHolders(t *testing.T) {
	pt, es, fr := newBureau(t, "PT"), newBureau(t, "ES"), newBureau(t, "FR")
	es.grant("PT", "50MB")
	for _, b := range []*bureau{pt, es, fr} {
		b.start()
		b.login(roles)
	}
	federate(t, pt, es, fr)
	recovery, err := crypto.NewRecoveryKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	call[*backup.RecoveryState](t, pt.people["admin"], "recovery.set", control.RecoveryRequest{Key: recovery.JWK()})
	maker := synth.NewMaker(1)
	pt.enrol("PT-1", maker.Firearm(1).Fire(1, synth.Shot{}))
	eventually(t, "the first exchange", func() bool { return ends(t, pt, es) && len(es.documents(dispatch.Accepted)) == 1 })
	folder := shortTemp(t)
	full := pt.backUpInto(folder, false)
	request := custody.Request{Folder: folder, Holders: []string{"ES", "FR"}}
	send := func() (es, fr custody.Sent) {
		t.Helper()
		sent := call[[]custody.Sent](t, pt.people["admin"], "custody.send", request)
		if len(sent) != 2 || sent[0].Holder != "ES" || sent[1].Holder != "FR" {
			t.Fatalf("%+v", sent)
		}
		return sent[0], sent[1]
	}
	// FR has granted nothing: it says so, and ES has all the same what it is to have.
	one, two := send()
	if one.Fault != "" || one.Kept != 1 || one.Bytes != full.Size || two.Kept != 0 || !strings.Contains(two.Fault, "keeps no copies for PT") || !strings.Contains(two.Fault, "[custody.for]") {
		t.Fatalf("%+v\n%+v", one, two)
	}
	fr.halt()
	fr.grant("PT", "50MB")
	fr.start()
	fr.people["admin"] = fr.session(control.LoginRequest{Name: "admin", Secret: testSecret})
	more := pt.backUpInto(folder, false)
	eventually(t, "FR is back", func() bool { return pt.node.exchange.Connected("FR") })
	one, two = send()
	if one.Fault+two.Fault != "" || one.Kept != 2 || two.Kept != 2 || one.Bytes != more.Size || two.Bytes != full.Size+more.Size {
		t.Fatalf("%+v\n%+v", one, two)
	}
	if one, _ = send(); one.Bytes != 0 || one.Kept != 2 {
		t.Errorf("sent once more: %+v", one)
	}
	for _, b := range []*bureau{es, fr} {
		list := call[[]custody.Holding](t, b.people["admin"], "custody.list", control.None{})
		if len(list) != 1 || list[0].Owner != "PT" || !list[0].Complete || len(list[0].Files) != 2 || list[0].Bytes != full.Size+more.Size || list[0].Granted != 50e6 {
			t.Errorf("%s: %+v", b.country, list)
		}
	}
	status := call[[]custody.AtHolder](t, pt.people["admin"], "custody.status", control.None{})
	if len(status) != 2 || status[0].Newest.ID != more.ID || status[1].Files != 2 || status[0].Behind != 0 || status[0].Signed == "" {
		t.Errorf("%+v", status)
	}
	checks := call[[]custody.Check](t, pt.people["admin"], "custody.check", control.CustodyHolders{})
	if len(checks) != 2 || checks[0].Good != 2 || checks[1].Good != 2 || len(call[control.Status](t, pt.people["admin"], "status", control.None{}).Alarms) != 0 {
		t.Errorf("%+v", checks)
	}
	if refused := call[[]store.AuditRecord](t, fr.people["aud"], "audit.query", control.AuditRequest{Text: "keeps no copies for PT"}); len(refused) != 1 || refused[0].Counterpart != "PT" || refused[0].Decision != "deny" {
		t.Errorf("FR's log of what it refused: %+v", refused)
	}
	if got := pt.custodyEvents(); strings.Count(strings.Join(got, "\n"), "sealed copy confirmed by its holder") != 4 {
		t.Errorf("the owner's log: %q", got)
	}
	if got := es.custodyEvents(); strings.Count(strings.Join(got, "\n"), "sealed copy kept") != 2 {
		t.Errorf("the holder's log: %q", got)
	}
	for name, q := range map[string]custody.Request{"no member": {Folder: folder}, "itself": {Folder: folder, Holders: []string{"PT"}}, "no country": {Folder: folder, Holders: []string{"../x"}},
		"a relative folder": {Folder: "week", Holders: []string{"ES"}}, "no backups": {Folder: pt.dir, Holders: []string{"ES"}}} {
		if sent, err := control.Call[[]custody.Sent](t.Context(), pt.people["admin"], "custody.send", "", q); err == nil {
			t.Errorf("%s: %+v", name, sent)
		}
	}
	if _, err := control.Call[[]custody.Holding](t.Context(), es.people["tech"], "custody.list", "", control.None{}); err == nil {
		t.Error("a technician sees what is kept")
	}

	// What comes after the last backup, then the loss of everything: machine and backups.
	pt.enrol("PT-2", maker.Firearm(2).Fire(1, synth.Shot{}))
	eventually(t, "the exchange after the backup", func() bool { return ends(t, pt, es) && ends(t, pt, fr) && len(es.documents(dispatch.Accepted)) == 2 })
	own := pt.documents(dispatch.Own)
	pt.halt()
	if err := errors.Join(os.RemoveAll(pt.dir), os.RemoveAll(folder)); err != nil {
		t.Fatal(err)
	}
	fresh := shortTemp(t)
	copies := filepath.Join(fresh, "from-es")
	es.export("PT", copies)
	parts, err := backup.Gather(t.Context(), []string{copies}, nil)
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d files, %v", len(parts), err)
	}
	pt.dir = filepath.Join(fresh, "new")
	if _, err := Restore(t.Context(), pt.dir, RestoreOptions{Parts: parts, Recovery: recovery, Passphrase: []byte(testPassphrase), Cost: crypto.TestCost}); err != nil {
		t.Fatal(err)
	}
	pt.start()
	eventually(t, "help from the members", func() bool {
		left, err := pt.node.dispatch.RestoringWith()
		return err == nil && len(left) == 0
	})
	for id := range own {
		if !pt.documents(dispatch.Own)[id] {
			t.Errorf("the document %s did not come back", id)
		}
	}
	for _, name := range []string{"tech", "op"} {
		pt.people[name] = pt.session(control.LoginRequest{Name: name, Secret: testSecret + " " + name})
	}
	pt.people["admin"] = pt.session(control.LoginRequest{Name: "admin", Secret: testSecret})
	pt.enrol("PT-3", maker.Firearm(3).Fire(1, synth.Shot{}))
	eventually(t, "the exchange goes on", func() bool { return ends(t, pt, es) && len(es.documents(dispatch.Accepted)) == 3 })

	// The old chain is not this database's; a new full one follows it at the holder, which keeps both for a while.
	again, err := control.Call[[]custody.Sent](t.Context(), pt.people["admin"], "custody.send", "", custody.Request{Folder: copies, Holders: []string{"ES"}})
	if err == nil || !strings.Contains(err.Error(), "backup --full") {
		t.Errorf("the old chain: %+v, %v", again, err)
	}
	second := shortTemp(t)
	made := pt.backUpInto(second, true)
	if sent := call[[]custody.Sent](t, pt.people["admin"], "custody.send", custody.Request{Folder: second, Holders: []string{"ES"}}); sent[0].Fault != "" || sent[0].Bytes != made.Size {
		t.Fatalf("%+v", sent)
	}
	list := call[[]custody.Holding](t, es.people["admin"], "custody.list", control.None{})
	left, err := os.ReadDir(filepath.Join(es.dir, custodyDir, "PT"))
	if err != nil || len(left) != 3 || len(list[0].Files) != 1 || list[0].Files[0].ID != made.ID || len(list[0].Before) != 1 || list[0].Before[0].Files != 2 {
		t.Errorf("ES keeps %v, %+v, %v", left, list, err)
	}
	// A disk that changes a byte is found out when the copy is wanted.
	path := filepath.Join(es.dir, custodyDir, "PT", list[0].Files[0].Name)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Download[*protocol.CustodyReceipt](t.Context(), es.people["admin"], "custody.fetch", control.CustodyRef{Owner: "PT", ID: made.ID}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "is not what was kept") {
		t.Errorf("a changed copy: %v", err)
	}
	if checks = call[[]custody.Check](t, pt.people["admin"], "custody.check", control.CustodyHolders{Holders: []string{"ES"}}); len(checks) != 1 || checks[0].Good != 0 || !strings.Contains(strings.Join(checks[0].Faults, ""), "the holder's disk has changed") {
		t.Errorf("a changed copy is proved: %+v", checks)
	}
	if alarms := call[control.Status](t, pt.people["admin"], "status", control.None{}).Alarms; len(alarms) != 1 || !strings.Contains(alarms[0], "ES does not have what it signed for") {
		t.Errorf("alarms: %q", alarms)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if list = call[[]custody.Holding](t, es.people["admin"], "custody.list", control.None{}); list[0].Complete || len(list[0].Missing) != 1 {
		t.Errorf("its file is gone: %+v", list)
	}
	if sent := call[[]custody.Sent](t, pt.people["admin"], "custody.send", custody.Request{Folder: second, Holders: []string{"ES"}}); sent[0].Fault != "" || sent[0].Bytes != made.Size {
		t.Errorf("what the holder lost is not sent again: %+v", sent)
	}
	if checks = call[[]custody.Check](t, pt.people["admin"], "custody.check", control.CustodyHolders{}); len(checks) != 1 || checks[0].Good != 1 { // of what FR signed for after the backup the restored node does not know
		t.Errorf("sent again: %+v", checks)
	}
}

func TestCustodyGrants(t *testing.T) {
	c := DefaultConfig("ES", "NCB Madrid")
	for _, q := range []struct {
		key, size, want string
	}{
		{"PT", "2GB", ""}, {"PT", "500MB", ""}, {"PT", "2", "want a size such as"}, {"PT", "2gb", "want a size such as"}, {"PT", "-1GB", "want a size such as"}, {"PT", "0GB", "want a size such as"},
		{"PT", "99999999999999999999GB", "want a size such as"}, {"PT", "GB", "want a size such as"}, {"ES", "2GB", "own country"}, {"pt", "2GB", "custody.for"}, {"../x", "2GB", "custody.for"},
	} {
		c.Custody.For = map[string]string{q.key: q.size}
		err := c.Check()
		if q.want == "" && err != nil || q.want != "" && (err == nil || !strings.Contains(err.Error(), q.want)) {
			t.Errorf("%s = %q: %v, want %q", q.key, q.size, err, q.want)
		}
	}
	if _, err := ParseConfig([]byte("country = \"ES\"\nname = \"NCB\"\n[network]\nlisten = [\"/ip4/0.0.0.0/tcp/1\"]\n[log]\nlevel = \"info\"\n[custody]\nof = \"PT\"\n")); err == nil || !strings.Contains(err.Error(), "custody.of") {
		t.Errorf("an unknown key: %v", err)
	}
}
