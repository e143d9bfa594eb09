package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"proofmark/node/desk"
	"proofmark/protocol"
)

// Server takes commands on a Unix socket.
type Server struct {
	services Services
	listener net.Listener
	http     *http.Server

	bodyWithin, uploadWithin time.Duration // how long a command's body may take to arrive
	endWithin                time.Duration // how long commands under way may take once the server is to end

	answers           map[string]reflect.Type // of each command; nil unless somebody asks
	commands, unasked []string                // that are served; of these, for which it is not said what is asked
}

// How long a body may take. Nothing but a local process is at the other end of the socket; the upload's limit is for a machine that is busy.
const (
	bodyWithin   = 30 * time.Second
	uploadWithin = 10 * time.Minute
	endWithin    = 10 * time.Second
)

// idleAtServer is how long a connection without a command stays open, a new one too: a machine that stands still for some seconds between the opening and the
// command loses none.
const idleAtServer = time.Minute

// maxSocketPath is what the kernel takes for a Unix socket's address (sun_path, unix(7)).
const maxSocketPath = 107

// Listen opens the socket, which only the account that runs the daemon may use. A socket left behind by a daemon that was killed is replaced; the
// store's lock keeps two daemons from serving one data folder.
func Listen(path string, s Services) (*Server, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the command socket's path is %d bytes long, the system allows %d: move the data folder to a shorter path (%s)", len(path), maxSocketPath, path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("old command socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("command socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("command socket: %w", err), l.Close())
	}
	srv := &Server{services: s, listener: l, bodyWithin: bodyWithin, uploadWithin: uploadWithin, endWithin: endWithin}
	mux := http.NewServeMux()
	srv.routes(mux)
	if err := srv.checkQuestions(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	mux.HandleFunc("/", srv.unknown)
	srv.http = &http.Server{Handler: mux, ReadHeaderTimeout: idleAtServer, IdleTimeout: idleAtServer, MaxHeaderBytes: 1 << 20,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn)}
	return srv, nil
}

// Serve answers commands until ctx ends; commands under way have ten seconds to finish. Those that take longer, or all of them if the machine stands still for so
// long, are cut off: who gave one is told that it broke off and may give it again, and the end is a clean one.
func (s *Server) Serve(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(s.listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.endWithin)
	defer cancel()
	err := s.http.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		s.services.Log.Warn("commands were cut off at the end of the daemon", "after", s.endWithin.String())
		return s.http.Close()
	}
	return err
}

// call is one command with the person behind it.
type call struct {
	actor    desk.Actor
	token    string
	key      string
	object   string // what the request names
	body     []byte // of an upload
	progress func(done, total int64)
}

// handle registers a command; what the decision function is asked for it stands in questions. Open commands need no session.
func handle[Req, Resp any](s *Server, mux *http.ServeMux, name string, fn func(ctx context.Context, c call, req Req) (Resp, error)) {
	answers[Resp](s, name)
	s.register(name, true)
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		serve(s, w, r, name, true, fn)
	})
}

func handleOpen[Req, Resp any](s *Server, mux *http.ServeMux, name string, fn func(ctx context.Context, c call, req Req) (Resp, error)) {
	answers[Resp](s, name)
	s.register(name, false)
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		serve(s, w, r, name, false, fn)
	})
}

func serve[Req, Resp any](s *Server, w http.ResponseWriter, r *http.Request, name string, needsSession bool, fn func(ctx context.Context, c call, req Req) (Resp, error)) {
	defer func() {
		if p := recover(); p != nil {
			s.services.Log.Error("panic in a command", "command", name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			s.fail(w, name, errors.New("the command failed inside the node; its log says where"))
		}
	}()
	c, req, err := receive[Req](s, w, r, name, needsSession)
	if err != nil {
		s.fail(w, name, err)
		return
	}
	started := false
	last := time.Time{}
	c.progress = func(done, total int64) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond { // progress is for people: the wall clock, a few times a second
			last, started = now, true
			_ = json.NewEncoder(w).Encode(reply[Resp]{Done: done, Total: total})
			_ = http.NewResponseController(w).Flush()
		}
	}
	ctx, logged := desk.InCommand(r.Context(), name)
	resp, err := fn(ctx, c, req)
	err = s.left(ctx, name, c, logged, err)
	if err == nil {
		err = s.say(&resp)
	}
	if err != nil {
		if started {
			word, _ := classify(err)
			_ = json.NewEncoder(w).Encode(reply[Resp]{Error: &errorMsg{word, err.Error()}})
			return
		}
		s.fail(w, name, err)
		return
	}
	if !started {
		w.Header().Set("Content-Type", "application/json")
	}
	_ = json.NewEncoder(w).Encode(reply[Resp]{Result: &resp, Held: s.held(c)})
}

// receive authenticates twice: before the body, so that a stranger's costs nothing, and after it, because a body may take minutes in which the account
// is disabled, its session ended or a role taken away. Both times it is asked whether the person may give the command at all: whoever may not is told so
// whatever the request says, and no more of it is read than what it names, for the log.
func receive[Req any](s *Server, w http.ResponseWriter, r *http.Request, name string, needsSession bool) (c call, req Req, err error) {
	upload := needsSession && r.Header.Get(headerRequest) != ""
	within := s.bodyWithin
	if upload {
		within = s.uploadWithin
	}
	// Connections have deadlines of the wall clock, whatever clock the node goes by. Set before anything is refused: the server reads the rest of a
	// refused body too.
	deadline := http.NewResponseController(w)
	if err = deadline.SetReadDeadline(time.Now().Add(within)); err != nil {
		return c, req, fmt.Errorf("limit the time of a request: %w", err)
	}
	ask := questions[name]
	barred := false
	if needsSession {
		if err = s.authenticate(r, &c); err != nil {
			return c, req, err
		}
		barred = len(ask.actions) > 0 && !s.services.Desk.MayEver(c.actor, ask.actions)
	}
	if barred {
		c.object, err = ask.glance(r, upload)
	} else {
		req, err = read[Req](r, &c, name, ask, needsSession, upload)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return c, req, desk.Invalid("the command did not arrive whole within %v, and nothing was done: send it again", within)
	}
	if err != nil {
		return c, req, err
	}
	// The server goes on listening for the client's departure; where the body is empty it would take a passed deadline for it.
	if err = deadline.SetReadDeadline(time.Time{}); err != nil {
		return c, req, fmt.Errorf("lift the time limit of a request: %w", err)
	}
	if !needsSession {
		return c, req, nil
	}
	if err = s.authenticate(r, &c); err != nil {
		return c, req, err
	}
	wrong := c.headers(r)
	if len(ask.actions) > 0 {
		if err = s.services.Desk.Bar(r.Context(), c.actor, ask.actions, c.object); err == nil && barred {
			err = desk.Conflict("your roles changed while the command arrived, and nothing was done: send it again")
		}
	}
	if err == nil {
		err = wrong
	}
	return c, req, err
}

// glance reads of a request that is refused what it names; the rest of the body is thrown away as it comes.
func (q question) glance(r *http.Request, upload bool) (object string, err error) {
	var b []byte
	if upload {
		b, err = base64.StdEncoding.DecodeString(r.Header.Get(headerRequest))
	} else {
		b, err = io.ReadAll(io.LimitReader(r.Body, maxOpen))
	}
	if err == nil && protocol.CheckJSON(b, maxOpen, protocol.MaxDepth) == nil {
		object = q.named(b)
	}
	if _, err = io.Copy(io.Discard, io.LimitReader(r.Body, MaxUpload)); errors.Is(err, os.ErrDeadlineExceeded) {
		return "", err
	}
	return object, nil
}

// authenticate finds the person behind a command, with the roles of this moment.
func (s *Server) authenticate(r *http.Request, c *call) (err error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		if err := s.services.People.Stranger(r.Context()); err != nil {
			return err
		}
		return fmt.Errorf("%w: proofmark login NAME", ErrNoSession)
	}
	c.token = token
	if c.actor, err = s.services.People.Authenticate(r.Context(), token); err != nil {
		return err
	}
	return nil
}

// headers reads what a command says beside its request.
func (c *call) headers(r *http.Request) (err error) {
	if c.key = r.Header.Get(headerKey); len(c.key) > maxKey {
		return desk.Invalid("the idempotency key is longer than %d bytes", maxKey)
	}
	c.actor.Justification, err = justification(r)
	return err
}

// maxKey bounds an idempotency key, in bytes.
const maxKey = 128

// maxJustification is how much a person may say, in bytes: it stands in every entry that the command leaves.
const maxJustification = 1000

// justification reads why the person acts; control characters would forge lines where the log is shown.
func justification(r *http.Request) (string, error) {
	b, err := base64.StdEncoding.DecodeString(r.Header.Get(headerWhy))
	text := strings.TrimSpace(string(b))
	switch {
	case err != nil || !utf8.ValidString(text):
		return "", desk.Invalid("the justification is no text")
	case len(text) > maxJustification:
		return "", desk.Invalid("the justification has %d bytes, the limit is %d", len(text), maxJustification)
	case strings.ContainsFunc(text, unicode.IsControl):
		return "", desk.Invalid("the justification has control characters: write it in one line")
	}
	return text, nil
}

// read takes in a command's JSON and, of an upload, the file.
func read[Req any](r *http.Request, c *call, name string, ask question, needsSession, upload bool) (req Req, err error) {
	limit := int64(maxOpen)
	if needsSession {
		limit = MaxRequest
	}
	var b []byte
	if upload {
		if b, err = base64.StdEncoding.DecodeString(r.Header.Get(headerRequest)); err != nil {
			return req, desk.Invalid("header %s: %v", headerRequest, err)
		}
		if c.body, err = readAll(r.Body, r.ContentLength, MaxUpload); err != nil {
			return req, err
		}
	} else if b, err = readAll(r.Body, r.ContentLength, limit); err != nil {
		return req, err
	}
	if err := protocol.CheckJSON(b, int(limit), protocol.MaxDepth); err != nil {
		return req, desk.Invalid("request: %v", err)
	}
	if err := checkTexts(name, b); err != nil {
		return req, desk.Invalid("request: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return req, desk.Invalid("request: %v", err)
	}
	c.object = ask.named(b)
	return req, nil
}

func readAll(r io.Reader, announced, limit int64) ([]byte, error) {
	if announced > limit {
		return nil, desk.Invalid("%d bytes, the limit is %d", announced, limit)
	}
	// Of an announced size the memory is asked for once: a body that grows is held twice while it is copied.
	b := bytes.NewBuffer(make([]byte, 0, max(announced, 0)+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	if int64(b.Len()) > limit {
		return nil, desk.Invalid("more than %d bytes", limit)
	}
	return b.Bytes(), nil
}

// unknown answers what is no command.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Connection", "close") // whatever body it has is not waited for
	status, text := http.StatusNotFound, "this node knows no such command: the program that sent it is of another version than the node, or the path is wrong"
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		status, text = http.StatusMethodNotAllowed, "commands are sent with POST to /v1/ and the command's name"
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply[struct{}]{Error: &errorMsg{"unknown-command", text}})
}

// fail reports an error; what is the node's own fault is logged too.
func (s *Server) fail(w http.ResponseWriter, name string, err error) {
	word, status := classify(err)
	if word == "internal" && !errors.Is(err, context.Canceled) {
		s.services.Log.Error("command failed", "command", name, "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply[struct{}]{Error: &errorMsg{word, err.Error()}})
}
