package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"proofmark/node/control"
	"proofmark/node/freeport"
)

// terminal is one person at a command line, in real processes.
type terminal struct {
	t       *testing.T
	dir     string // working folder, with the secrets of everybody
	data    string
	session string
}

func (m *terminal) command(args ...string) *exec.Cmd {
	c := exec.Command("proofmark", append([]string{"--data", m.data, "--session", m.session}, args...)...)
	c.Dir = m.dir
	c.Env = append(os.Environ(), "XDG_CONFIG_HOME="+m.dir, "TZ=UTC")
	return c
}

func (m *terminal) run(args ...string) []byte {
	m.t.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.t.Fatalf("proofmark %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func (m *terminal) try(args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	c := m.command(args...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.Bytes(), nil
}

func (m *terminal) as(session string) *terminal {
	n := *m
	n.session = filepath.Join(m.dir, session)
	return &n
}

// daemon runs a node as a process of its own until the test ends; restart kills it first, as kill -9 does.
type daemon struct {
	*terminal
	cmd *exec.Cmd
}

func (d *daemon) start() {
	d.t.Helper()
	d.cmd = d.command("run", "--passphrase-file", "pass")
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c := control.Dial(d.data)
		_, err := control.Call[control.Status](context.Background(), c, "status", "", control.None{})
		c.Close()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("the node does not answer: %v", err)
		}
	}
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Signal(syscall.SIGKILL)
	_ = d.cmd.Wait()
}

// folderWithSecrets is a folder with a short path, as a Unix socket wants it, that holds a passphrase (pass) and a person's secret (secret).
func folderWithSecrets(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, s := range map[string]string{"pass": "seven red lamps in the harbour", "secret": "a grey heron stands on one leg"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newDaemon makes a node with a technician and an NCB operator; its only other member is never reachable.
func newDaemon(t *testing.T, country string) (node *daemon, tech, ncb *terminal) {
	t.Helper()
	dir := folderWithSecrets(t)
	admin := &terminal{t: t, dir: dir, data: filepath.Join(dir, country), session: filepath.Join(dir, "admin.session")}
	listen := loopback(t)
	admin.run("init", "--country", country, "--name", "NCB "+country, "--listen", listen, "--passphrase-file", "pass", "--secret-file", "secret")
	absent := &terminal{t: t, dir: dir, data: filepath.Join(dir, "absent"), session: filepath.Join(dir, "none")}
	absent.run("init", "--country", "ES", "--name", "Absent", "--listen", loopback(t), "--passphrase-file", "pass", "--secret-file", "secret")
	admin.run("roster", "holder", "A. Silva", "--out", "silva", "--passphrase-file", "pass")
	admin.run("roster", "create", "roster.json", "--name", "test", "--holder", "silva.pub", "--threshold", "1")
	admin.run("roster", "add", "roster.json", filepath.Join(admin.data, "member.jws"), filepath.Join(absent.data, "member.jws"))
	admin.run("roster", "sign", "roster.json", "--key", "silva", "--passphrase-file", "pass")
	admin.run("roster", "anchor", "roster.json", "--out", "anchor")
	node = &daemon{terminal: admin}
	node.start()
	t.Cleanup(node.kill)
	admin.run("login", "admin", "--secret-file", "secret")
	admin.run("roster", "install", "roster.json", "--anchor-file", "anchor")
	for name, role := range map[string]string{"tech": "technician", "ncb": "ncb-operator", "aud": "auditor"} {
		admin.run("user", "add", name, "--role", role, "--code-file", name+".code")
		admin.as(name+".session").run("login", name, "--code-file", name+".code", "--secret-file", admin.secretOf(name))
	}
	return node, admin.as("tech.session"), admin.as("ncb.session")
}

// secretOf is the file of a person's own secret: no two accounts of a node have the same.
func (m *terminal) secretOf(name string) string {
	m.t.Helper()
	file := name + ".secret"
	if err := os.WriteFile(filepath.Join(m.dir, file), []byte("a grey heron watches "+name), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return file
}

func loopback(t *testing.T) string {
	t.Helper()
	port, err := freeport.Find()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)
}

// work is what one day leaves behind, in order; each step is one command of one person.
func work(t *testing.T, tech, ncb *terminal) [][]any {
	t.Helper()
	for i := range 2 {
		if err := generate([]string{filepath.Join(tech.dir, fmt.Sprintf("scan%d.x3p", i)), "1", fmt.Sprint(i + 1), "1"}); err != nil {
			t.Fatal(err)
		}
	}
	csv := "reference,status,status_date,kind,make,model,calibre,serial\nPT-F-2,stolen,2026-01-05,pistol,Glock,17,9x19,ABC123\nPT-F-3,lost,2026-01-06,pistol,Walther,PPK,7.65 Browning,771122\n"
	if err := os.WriteFile(filepath.Join(tech.dir, "firearms.csv"), []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}
	return [][]any{
		{tech, "case", "add", "C-1", "--agency", "Judicial Police"},
		{tech, "incident", "add", "--case", "C-1", "--from", "2026-03-01", "--to", "2026-03-02", "--place", "Evora", "--offence", "homicide"},
		{tech, "exhibit", "add", "--number", "E-1", "--case", "C-1", "--origin", "evidence", "--calibre", "9x19"},
		{tech, "acquire", "--exhibit", "E-1", "--roi", "breech-face", "scan0.x3p"},
		{tech, "exhibit", "add", "--number", "E-2", "--case", "C-1", "--origin", "evidence", "--calibre", "9x19"},
		{tech, "acquire", "--exhibit", "E-2", "--roi", "breech-face", "scan1.x3p"},
		{ncb, "firearm", "import", "firearms.csv"},
		{ncb, "trace", "new", "--to", "ES", "--firearm", "PT-F-2", "--justification", "found at a scene", "--circumstances", "search of a house",
			"--intended-use", "criminal investigation", "--agency", "Judicial Police"},
	}
}

// endState is what the node holds, by content: no ids, no times.
func endState(t *testing.T, node *daemon, tech, ncb *terminal) string {
	t.Helper()
	node.awaitIdle(2)
	var out strings.Builder
	list := func(m *terminal, name string, keep func(map[string]any) any, args ...string) {
		var rows []map[string]any
		if err := json.Unmarshal(m.run(append([]string{"--json"}, args...)...), &rows); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var lines []string
		for _, r := range rows {
			lines = append(lines, fmt.Sprint(keep(r)))
		}
		slices.Sort(lines)
		fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(lines, " | "))
	}
	list(tech, "cases", func(r map[string]any) any { return r["reference"] }, "case", "list")
	list(tech, "incidents", func(r map[string]any) any { return r["place"] }, "incident", "list")
	list(tech, "exhibits", func(r map[string]any) any {
		var scans []string
		for _, a := range r["acquisitions"].([]any) {
			for _, s := range a.(map[string]any)["scans"].([]any) {
				scans = append(scans, s.(map[string]any)["scan"].(string))
			}
		}
		return fmt.Sprint(r["number"], scans)
	}, "exhibit", "list")
	list(tech, "candidates", func(r map[string]any) any {
		return fmt.Sprintf("%.6f", r["comparison"].(map[string]any)["score"])
	}, "candidates", "list")
	list(ncb, "firearms", func(r map[string]any) any { return fmt.Sprint(r["reference"], r["serial"]) }, "firearm", "list")
	list(ncb, "traces", func(r map[string]any) any { return fmt.Sprint(r["number"], r["state"]) }, "trace", "list")
	list(ncb, "queued", func(r map[string]any) any {
		var queued []any
		for _, c := range r["channels"].([]any) {
			queued = append(queued, c.(map[string]any)["queued"])
		}
		return fmt.Sprint(r["country"], queued)
	}, "peers")
	return out.String()
}

// awaitIdle waits until so many signatures were correlated; nothing is said of deliveries, which go nowhere here.
func (m *terminal) awaitIdle(signatures int) {
	m.t.Helper()
	aud := m.as("aud.session")
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var rows []map[string]any
		if err := json.Unmarshal(aud.run("--json", "audit", "query", "--action", "combine", "--text", "correlated", "--limit", "1000"), &rows); err != nil {
			m.t.Fatal(err)
		}
		if len(rows) >= signatures {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("%d of %d correlations after %v", len(rows), signatures, patience)
		}
	}
}

// TestKilledClientsAndDaemonsLeaveTheSameEnd types the same day's commands at two nodes: undisturbed at one; at the other every client is killed at random
// moments and the command typed again, and the daemon is killed and restarted between and during commands.
func TestKilledClientsAndDaemonsLeaveTheSameEnd(t *testing.T) {
	node, tech, ncb := newDaemon(t, "PT")
	began := time.Now()
	day := work(t, tech, ncb)
	for _, step := range day {
		step[0].(*terminal).run(texts(step[1:])...)
	}
	each := time.Since(began) / time.Duration(len(day))
	want := endState(t, node, tech, ncb)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d; a command takes about %v", seed, each)
	random := rand.New(rand.NewPCG(seed, 1))
	moment := func() time.Duration { return time.Duration(random.Float64() * 1.3 * float64(each)) }
	node2, tech2, ncb2 := newDaemon(t, "PT")
	clients, daemons := 0, 0
	for i, step := range work(t, tech2, ncb2) {
		m, args := step[0].(*terminal), texts(step[1:])
		done := false
		for try := range 3 {
			var out bytes.Buffer
			c := m.command(args...)
			c.Stdout = &out
			after, sure := moment(), try == 0 && i == 1 // however the dice fall, a daemon is killed, and a client
			if try == 0 && i == 0 {
				after = 0
			}
			began, end := time.Now(), make(chan error, 1)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			go func() { end <- c.Wait() }()
			var err error
			ended := false
			select {
			case err = <-end:
				ended = true
				each = time.Since(began) // commands may be far faster now than on the first day
			case <-time.After(after):
			}
			if random.IntN(3) == 0 || sure {
				daemons++
				node2.kill()
				node2.start()
			}
			if !ended {
				_ = c.Process.Kill()
				err = <-end
			}
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == -1 {
				clients++
				each += each / 8
			}
			if done = out.Len() > 0; done { // the person has seen that it is done, and does not type it again
				break
			}
		}
		var err error
		for try := 0; try < 20 && !done; try++ { // the person types it again until it works
			_, err = m.try(args...)
			done = err == nil
		}
		if err != nil {
			t.Fatalf("proofmark %s after the kills: %v", strings.Join(args, " "), err)
		}
	}
	t.Logf("%d clients and %d daemons were killed", clients, daemons)
	if clients == 0 || daemons == 0 {
		t.Errorf("%d clients and %d daemons were killed: the test proved nothing", clients, daemons)
	}
	if got := endState(t, node2, tech2, ncb2); got != want {
		t.Errorf("the end state differs.\nundisturbed:\n%s\nkilled:\n%s", want, got)
	}
	for _, n := range []*daemon{node, node2} {
		n.as("aud.session").run("audit", "verify")
	}
}

func texts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.(string)
	}
	return out
}
