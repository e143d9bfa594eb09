package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"proofmark/crypto"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/desk"
)

// raw speaks to a node's command socket without the client's manners.
func (b *bureau) raw(method, path, token, body string) (int, string) {
	b.t.Helper()
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(b.dir, "proofmark.sock"))
	}}}
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://node"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := h.Do(r)
	// A node that refuses a body hangs up before all of it is written; the answer may be lost with that, and is asked for again.
	for range 20 {
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			break
		}
		r.Body = io.NopCloser(strings.NewReader(body))
		resp, err = h.Do(r)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestTheSocketIsOfTheOwnAccount(t *testing.T) {
	b := newBureau(t, "PT")
	b.start()
	if st, err := os.Stat(filepath.Join(b.dir, "proofmark.sock")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v; want 0600", st.Mode(), err)
	}
}

func TestBadRequestsAreRefusedAndHarmNobody(t *testing.T) {
	b := newBureau(t, "PT")
	b.start()
	b.login(map[string]string{"tech": "technician"})
	token := b.people["tech"].Token
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"another method", "GET", "/v1/case.list", "", http.StatusMethodNotAllowed},
		{"unknown command", "POST", "/v1/case.burn", "{}", http.StatusNotFound},
		{"a path that climbs", "POST", "/v1/../v1/whoami2", "{}", http.StatusNotFound},
		{"no JSON", "POST", "/v1/case.add", "case", http.StatusBadRequest},
		{"half a JSON", "POST", "/v1/case.add", `{"reference":"A`, http.StatusBadRequest},
		{"two values", "POST", "/v1/case.add", `{}{}`, http.StatusBadRequest},
		{"a field twice", "POST", "/v1/case.add", `{"reference":"A","reference":"B","agency":"C"}`, http.StatusBadRequest},
		{"an unknown field", "POST", "/v1/case.add", `{"reference":"A","agency":"C","actor":"admin"}`, http.StatusBadRequest},
		{"too deep", "POST", "/v1/case.add", strings.Repeat("[", 1000) + strings.Repeat("]", 1000), http.StatusBadRequest},
		{"a log-in as long as a book", "POST", "/v1/login", `{"name":"` + strings.Repeat("a", 100<<10) + `"}`, http.StatusBadRequest},
		{"an empty case", "POST", "/v1/case.add", `{"reference":" ","agency":"C"}`, http.StatusBadRequest},
	} {
		status, text := b.raw(c.method, c.path, token, c.body)
		if status != c.status {
			t.Errorf("%s: %d %.200s; want %d", c.name, status, text, c.status)
		}
	}
	if list := call[[]*ballistics.Case](t, b.people["tech"], "case.list", control.None{}); len(list) != 0 {
		t.Errorf("a refused request left %d cases", len(list))
	}
}

func TestOneKeyDoesOneThing(t *testing.T) {
	b := newBureau(t, "PT")
	b.start()
	b.login(map[string]string{"tech": "technician"})
	ctx, tech := t.Context(), b.people["tech"]
	first, err := control.Call[*ballistics.Case](ctx, tech, "case.add", "key-1", ballistics.NewCase{Reference: "A", Agency: "PJ"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := control.Call[*ballistics.Case](ctx, tech, "case.add", "key-1", ballistics.NewCase{Reference: "A", Agency: "PJ"})
	if err != nil || again.ID != first.ID {
		t.Errorf("the same command with the same key: %v, %v", again, err)
	}
	if _, err := control.Call[*ballistics.Case](ctx, tech, "case.add", "key-1", ballistics.NewCase{Reference: "B", Agency: "PJ"}); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("another command with the same key: %v", err)
	}
}

func TestOpeningSaysWhatIsWrong(t *testing.T) {
	b := newBureau(t, "PT")
	open := func() error {
		n, err := Open(b.dir, []byte(testPassphrase), Options{Cost: crypto.TestCost})
		if err == nil {
			n.Close()
		}
		return err
	}
	if _, err := Open(b.dir, []byte("not the passphrase"), Options{}); !errors.Is(err, crypto.ErrWrongPassphrase) || !strings.Contains(err.Error(), "master.key") {
		t.Errorf("a wrong passphrase: %v", err)
	}
	config := filepath.Join(b.dir, "proofmark.toml")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{
		string(good) + "\ncolour = 'red'\n":                                   "colour",
		string(bytes.Replace(good, []byte("listen ="), []byte("lisen ="), 1)): "lisen",
		string(bytes.Replace(good, []byte("'PT'"), []byte("'XX'"), 1)):        "XX",
		string(good[:bytes.Index(good, []byte("'PT'"))+2]):                    config,
	} {
		if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), config) {
			t.Errorf("want an error that names %s and %q, got %v", config, want, err)
		}
	}
	if err := os.WriteFile(config, good, 0o600); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(b.dir, "policy", "20-signatures.cedar")
	if err := os.WriteFile(policy, []byte("permit (principal, action == Action::\"sahre\", resource);"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(); err == nil || !strings.Contains(err.Error(), "20-signatures.cedar:1") {
		t.Errorf("a policy that asks for an unknown action: %v", err)
	}
}

func TestInitLeavesNothingHalfMade(t *testing.T) {
	dir := filepath.Join(shortTemp(t), "pt")
	o := InitOptions{Config: DefaultConfig("PT", "NCB Lisbon"), Passphrase: []byte(testPassphrase), Admin: "admin", Secret: []byte("short"), Cost: crypto.TestCost}
	if err := Init(t.Context(), dir, o); err == nil {
		t.Error("a secret of five characters was taken")
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 0 {
		t.Errorf("a failed init left %v, %v", left, err)
	}
	o.Secret, o.Now = []byte(testSecret), nil
	if err := Init(t.Context(), dir, o); err != nil {
		t.Fatal(err)
	}
	if err := Init(t.Context(), dir, o); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second init over the first: %v", err)
	}
	var config Config
	b, err := os.ReadFile(filepath.Join(dir, "proofmark.toml"))
	if err == nil {
		config, err = ParseConfig(b)
	}
	if err != nil || config.Country != "PT" {
		t.Errorf("the written configuration reads back as %+v, %v", config, err)
	}
	for _, name := range []string{"master.key", "keys.sealed"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, st, err)
		}
		raw, _ := os.ReadFile(filepath.Join(dir, name))
		if json.Valid(raw) && bytes.Contains(raw, []byte(`"d":`)) {
			t.Errorf("%s holds an open private key", name)
		}
	}
}
