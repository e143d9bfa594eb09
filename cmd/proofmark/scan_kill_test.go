package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
	"proofmark/node/control"
	"proofmark/node/release"
)

// newPair makes two nodes that are each other's members, as processes of their own, with an examiner, an NCB operator, a technician and an auditor each.
func newPair(t *testing.T, countries ...string) (out []*daemon) {
	t.Helper()
	dir := folderWithSecrets(t)
	add := []string{"roster", "add", "roster.json"}
	for _, c := range countries {
		n := &daemon{terminal: &terminal{t: t, dir: dir, data: filepath.Join(dir, c), session: filepath.Join(dir, c+".admin.session")}}
		n.run("init", "--country", c, "--name", "NCB "+c, "--listen", loopback(t), "--passphrase-file", "pass", "--secret-file", "secret")
		add = append(add, filepath.Join(n.data, "member.jws"))
		out = append(out, n)
	}
	first := out[0]
	first.run("roster", "holder", "A. Silva", "--out", "silva", "--passphrase-file", "pass")
	first.run("roster", "create", "roster.json", "--name", "test", "--holder", "silva.pub", "--threshold", "1")
	first.run(add...)
	first.run("roster", "sign", "roster.json", "--key", "silva", "--passphrase-file", "pass")
	first.run("roster", "anchor", "roster.json", "--out", "anchor")
	for i, n := range out {
		n.start()
		t.Cleanup(n.kill)
		n.run("login", "admin", "--secret-file", "secret")
		n.run("roster", "install", "roster.json", "--anchor-file", "anchor")
		for name, role := range map[string]string{"tech": "technician", "exam": "examiner", "ncb": "ncb-operator", "aud": "auditor"} {
			code := countries[i] + name + ".code"
			n.run("user", "add", name, "--role", role, "--code-file", code)
			n.person(name).run("login", name, "--code-file", code, "--secret-file", n.secretOf(name))
		}
	}
	return out
}

// person is somebody at this node's command line.
func (d *daemon) person(name string) *terminal {
	return d.as(filepath.Base(d.data) + "." + name + ".session")
}

// printed runs a command and decodes what it prints.
func printed[T any](m *terminal, args ...string) (v T) {
	m.t.Helper()
	if err := json.Unmarshal(m.run(append([]string{"--json"}, args...)...), &v); err != nil {
		m.t.Fatalf("%v: %v", args, err)
	}
	return v
}

func waitFor(t *testing.T, what string, seen func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !seen(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v: %s", patience, what)
		}
	}
}

// TestScanFetchSurvivesKills: while Lisbon fetches a released scan from Madrid, either process is killed as kill -9 does. What had arrived is still there, the
// rest comes after the restart, the bytes are Madrid's, and each log has one entry for what was kept.
func TestScanFetchSurvivesKills(t *testing.T) {
	pair := newPair(t, "PT", "ES")
	pt, es := pair[0], pair[1]
	tech := es.person("tech")
	tech.run("case", "add", "C-1", "--agency", "Policía Nacional")
	tech.run("incident", "add", "--case", "C-1", "--from", "2026-03-01", "--to", "2026-03-02", "--place", "Madrid", "--offence", "homicide")
	shots := uint64(0)
	for _, q := range []struct {
		name   string
		killed *daemon
	}{{"the one who fetches", pt}, {"the owner", es}} {
		midway := false
		for try := 0; try < 8 && !midway; try++ {
			shots++
			file, signature := es.enrol(shots)
			want := sha256.Sum256(file)
			waitFor(t, "the signature at PT", func() bool {
				_, err := pt.person("ncb").try("document", "show", signature)
				return err == nil
			})
			r := printed[release.Request](pt.person("exam"), "scan", "request", signature, "--reason", "compare side by side")
			waitFor(t, "the request at ES", func() bool {
				_, err := es.person("exam").try("scan", "approve", r.Number)
				return err == nil
			})
			es.person("ncb").run("scan", "approve", r.Number)
			before := pt.arriving(r.ID)
			midway = before > 0 && before < int64(len(file))
			q.killed.kill()
			q.killed.start()
			got := pt.shown(r.ID)
			if kept := got.Files; midway && len(kept) == 1 && kept[0].Received.IsZero() && kept[0].Kept < before {
				t.Errorf("%s was killed with %d bytes here, %d are left", q.name, before, kept[0].Kept)
			}
			waitFor(t, "the scan at PT", func() bool { return pt.shown(r.ID).State == release.Received })
			saved := filepath.Join(pt.dir, r.ID+".x3p")
			pt.person("exam").run("scan", "save", r.Number, saved)
			raw, err := os.ReadFile(saved)
			if err != nil || sha256.Sum256(raw) != want {
				t.Fatalf("%s was killed: %d bytes came of %d, %v", q.name, len(raw), len(file), err)
			}
			entries := printed[[]map[string]any](pt.person("aud"), "audit", "query", "--kind", "scan", "--object", r.ID, "--action", "receive", "--text", "scan received")
			if len(entries) != 1 {
				t.Errorf("%s was killed: PT has %d entries for what it kept", q.name, len(entries))
			}
			t.Logf("%s was killed with %d of %d bytes there", q.name, before, len(file))
		}
		if !midway {
			t.Errorf("%s was never killed in the middle: the test proved nothing", q.name)
		}
	}
	for _, n := range pair {
		n.person("aud").run("audit", "verify")
	}
}

// enrol acquires the scan of a shot at a fine spacing, so that it has dozens of chunks.
func (d *daemon) enrol(shot uint64) (scan []byte, signature string) {
	d.t.Helper()
	fine, err := edit.Resample(synth.NewMaker(1).Firearm(1).Fire(shot, synth.Shot{}), 1.6e-6)
	if err != nil {
		d.t.Fatal(err)
	}
	var file bytes.Buffer
	if err := x3p.Write(&file, fine); err != nil {
		d.t.Fatal(err)
	}
	name := fmt.Sprintf("scan%d.x3p", shot)
	if err := os.WriteFile(filepath.Join(d.dir, name), file.Bytes(), 0o600); err != nil {
		d.t.Fatal(err)
	}
	number := fmt.Sprintf("E-%d", shot)
	d.person("tech").run("exhibit", "add", "--number", number, "--case", "C-1", "--origin", "evidence", "--calibre", "9x19")
	acquired := printed[map[string]any](d.person("tech"), "acquire", "--exhibit", number, "--roi", "breech-face", name)
	signature, _ = acquired["signature"].(string)
	if signature == "" {
		d.t.Fatalf("%v", acquired)
	}
	return file.Bytes(), signature
}

// shown asks the node itself: a process for each question would be too slow to see a fetch under way.
func (d *daemon) shown(request string) *release.Request {
	d.t.Helper()
	var saved savedSession
	b, err := os.ReadFile(d.person("exam").session)
	if err == nil {
		err = json.Unmarshal(b, &saved)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	c := control.Dial(d.data)
	defer c.Close()
	c.Token = saved.Token
	r, err := control.Call[*release.Request](context.Background(), c, "scan.show", "", control.Ref{Ref: request})
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// arriving waits until some of a scan is here, and says how many bytes.
func (d *daemon) arriving(request string) (bytes int64) {
	d.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		r := d.shown(request)
		if len(r.Files) == 1 && r.Files[0].Kept > 0 {
			return r.Files[0].Kept
		}
		if r.State == release.Received {
			return r.Files[0].Size
		}
	}
	d.t.Fatalf("nothing of the scan came within %v", patience)
	return 0
}
