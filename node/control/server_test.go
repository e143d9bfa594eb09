package control

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/node/people"
	"proofmark/policy"
	"proofmark/store"
)

const chiefSecret = "seven ravens over Lisbon"

// socket is a server with accounts, and nothing behind the other commands.
type socket struct {
	t      *testing.T
	dir    string
	people *people.Service
	chief  desk.Actor
}

func serveSocket(t *testing.T, adjust func(*Server)) *socket {
	t.Helper()
	dir, err := os.MkdirTemp("", "pm") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	skey, _, err := note.GenerateKey(rand.Reader, "proofmark.PT")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(store.Options{Dir: filepath.Join(dir, "store"), Key: make([]byte, 32), Now: time.Now, Random: rand.Reader, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	log, engine := slog.New(slog.DiscardHandler), policy.Default()
	d := &desk.Desk{Store: st, Policy: func() *policy.Engine { return engine }, Country: "PT", Log: log}
	s := &socket{t: t, dir: dir, people: people.New(d, crypto.TestCost), chief: desk.Actor{Name: "chief", Roles: []string{policy.Administrator}}}
	if err := s.people.CreateFirst(t.Context(), "chief", []byte(chiefSecret)); err != nil {
		t.Fatal(err)
	}
	srv, err := Listen(filepath.Join(dir, "proofmark.sock"), Services{Country: "PT", Name: "NCB Lisbon", Now: time.Now, Log: log, Desk: d, Store: st, People: s.people})
	if err != nil {
		t.Fatal(err)
	}
	if adjust != nil {
		adjust(srv)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// enrol makes an account and returns the token of its session.
func (s *socket) enrol(name string, roles ...string) string {
	s.t.Helper()
	code, err := s.people.Add(s.t.Context(), s.chief, "", name, "", roles)
	if err != nil {
		s.t.Fatal(err)
	}
	session, err := s.people.Enrol(s.t.Context(), name, code, []byte("a cartridge in the sand of "+name))
	if err != nil {
		s.t.Fatal(err)
	}
	return session.Token
}

// begin opens a request and sends the first bytes of its body.
func (s *socket) begin(name, header, first string, length int) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(s.dir, "proofmark.sock"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /v1/%s HTTP/1.1\r\nHost: node\r\n%sContent-Length: %d\r\n\r\n%s", name, header, length, first)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func answer(t *testing.T, r *bufio.Reader) (int, reply[json.RawMessage]) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var m reply[json.RawMessage]
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%d %q: %v", resp.StatusCode, b, err)
	}
	return resp.StatusCode, m
}

// A request may be opened and its body kept back for as long as the account lasts; what counts is who the person is when the body is there.
func TestWhatChangedBeforeTheBodyArrivedCounts(t *testing.T) {
	s := serveSocket(t, nil)
	bearer := func(token string) string { return "Authorization: Bearer " + token + "\r\n" }
	for name, c := range map[string]struct {
		change func(name string) error
		status int
		says   string
	}{
		"nobody":   {func(string) error { return nil }, http.StatusOK, `"roles":["auditor"]`},
		"disabled": {func(name string) error { return s.people.Disable(t.Context(), s.chief, "", name) }, http.StatusUnauthorized, ""},
		"moved": {func(name string) error {
			return s.people.SetRoles(t.Context(), s.chief, "", name, []string{policy.Examiner})
		}, http.StatusOK, `"roles":["examiner"]`},
	} {
		conn, r := s.begin("whoami", bearer(s.enrol(name, policy.Auditor)), "{", 2)
		time.Sleep(50 * time.Millisecond) // for the server to have authenticated; without it the test passes for a lesser reason
		if err := c.change(name); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("}")); err != nil {
			t.Fatal(err)
		}
		status, m := answer(t, r)
		if status != c.status || m.Result != nil && !strings.Contains(string(*m.Result), c.says) || status != http.StatusOK && m.Result != nil {
			t.Errorf("%s: %d %+v", name, status, m)
		}
	}
}

func TestAStrangersBodyIsNotAwaited(t *testing.T) {
	s := serveSocket(t, nil)
	_, r := s.begin("whoami", "Authorization: Bearer made-up\r\n", "{", 1<<20)
	if status, _ := answer(t, r); status != http.StatusUnauthorized {
		t.Errorf("%d", status)
	}
}

func TestABodyHasItsTime(t *testing.T) {
	s := serveSocket(t, func(srv *Server) { srv.bodyWithin, srv.uploadWithin = 200*time.Millisecond, time.Minute })
	token := s.enrol("anna", policy.Auditor)
	header := "Authorization: Bearer " + token + "\r\n"
	for _, name := range []string{"whoami", "login"} {
		_, r := s.begin(name, header, "{", 2)
		if status, m := answer(t, r); status != http.StatusBadRequest || m.Error == nil || !strings.Contains(m.Error.Text, "send it again") {
			t.Errorf("%s: %d %+v", name, status, m.Error)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Errorf("%s: the connection stays", name)
		}
	}
	conn, r := s.begin("whoami", header+headerRequest+": e30=\r\n", "x", 2)
	time.Sleep(400 * time.Millisecond)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if status, m := answer(t, r); status != http.StatusOK {
		t.Errorf("an upload has the time of a plain command: %d %+v", status, m.Error)
	}
}

// The limit is the body's alone: a command that takes longer is not taken for one whose client has left. The server watches for that from the start
// where a body is empty.
func TestAWorkflowOutlastsTheTimeOfTheBody(t *testing.T) {
	s := serveSocket(t, func(srv *Server) {
		srv.uploadWithin = time.Second
		mux := http.NewServeMux()
		handle(srv, mux, "slow", func(ctx context.Context, _ call, _ None) (None, error) {
			select {
			case <-ctx.Done():
				return None{}, ctx.Err()
			case <-time.After(2 * time.Second):
				return None{}, nil
			}
		})
		srv.http.Handler = mux
	})
	_, r := s.begin("slow", "Authorization: Bearer "+s.enrol("anna", policy.Auditor)+"\r\n"+headerRequest+": e30=\r\n", "", 0)
	if status, m := answer(t, r); status != http.StatusOK {
		t.Errorf("%d %+v", status, m.Error)
	}
}

// A machine that stands still for as long as a body may take breaks no command off before that, and no client sends one on a connection that the server is closing.
func TestConnectionsOutlastACommandsWay(t *testing.T) {
	srv, err := Listen(filepath.Join(serveSocket(t, nil).dir, "other.sock"), Services{Country: "PT", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.listener.Close()
	client := Dial(t.TempDir()).http.Transport.(*http.Transport).IdleConnTimeout
	if srv.http.ReadHeaderTimeout < bodyWithin || client == 0 || client >= srv.http.IdleTimeout {
		t.Errorf("a head has %v, a body %v; a connection is idle for %v at the server, for %v at the client", srv.http.ReadHeaderTimeout, bodyWithin, srv.http.IdleTimeout, client)
	}
}

// A command that does not end keeps no daemon from ending, and an end that waited for it in vain is no failure.
func TestTheEndWaitsForNoCommandForEver(t *testing.T) {
	s := serveSocket(t, nil)
	begun, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	srv, err := Listen(filepath.Join(s.dir, "other.sock"), Services{Country: "PT", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv.endWithin = time.Millisecond
	srv.http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-never
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx) }()
	conn, err := net.Dial("unix", filepath.Join(s.dir, "other.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /v1/status HTTP/1.1\r\nHost: node\r\nContent-Length: 0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	<-begun
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the client of a command that was cut off reads %d byte, %v", n, err)
	}
}

func TestAnUnknownCommandGetsASentence(t *testing.T) {
	s := serveSocket(t, nil)
	_, r := s.begin("case.burn", "", "", 0)
	if status, m := answer(t, r); status != http.StatusNotFound || m.Error == nil || !strings.Contains(m.Error.Text, "no such command") {
		t.Errorf("%d %+v", status, m.Error)
	}
	c := Dial(s.dir)
	defer c.Close()
	if _, err := Call[None](t.Context(), c, "case.burn", "", None{}); err == nil || !strings.Contains(err.Error(), "no such command") {
		t.Errorf("the client says %v", err)
	}
}
