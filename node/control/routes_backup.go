package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"

	"proofmark/node/backup"
)

// headerReply is the trailer of a download: the reply that other commands give as their body, in base64.
const headerReply = "Proofmark-Reply"

// RecoveryRequest gives the node the public part of its recovery key.
type RecoveryRequest struct {
	Key     json.RawMessage `json:"key"`
	Replace bool            `json:"replace,omitempty"`
}

func (s *Server) routeBackup(mux *http.ServeMux) {
	b := s.services.Backup
	handle(s, mux, "recovery.set", func(ctx context.Context, c call, r RecoveryRequest) (*backup.RecoveryState, error) {
		return b.SetRecovery(ctx, c.actor, c.key, r.Key, r.Replace)
	})
	handle(s, mux, "recovery.show", func(ctx context.Context, c call, _ None) (*backup.RecoveryState, error) {
		return b.Recovery(ctx, c.actor)
	})
	handleDownload(s, mux, "backup.create", func(ctx context.Context, c call, r backup.Request, w io.Writer) (*backup.Made, error) {
		return b.Create(ctx, c.actor, r, w, nil)
	})
}

// handleDownload registers a command whose result is bytes of any number, written as they come, and then a reply.
func handleDownload[Req, Resp any](s *Server, mux *http.ServeMux, name string, fn func(ctx context.Context, c call, req Req, w io.Writer) (Resp, error)) {
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		body := &downloadBody{w: w}
		defer func() {
			if p := recover(); p != nil {
				s.services.Log.Error("panic in a command", "command", name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if body.begun {
					panic(http.ErrAbortHandler) // the client must not take what it has for all
				}
				s.fail(w, name, errors.New("the command failed inside the node; its log says where"))
			}
		}()
		c, req, err := receive[Req](s, w, r, true)
		if err != nil {
			s.fail(w, name, err)
			return
		}
		resp, err := fn(r.Context(), c, req, body)
		if err != nil && !body.begun {
			s.fail(w, name, err)
			return
		}
		m := reply[Resp]{Result: &resp}
		if err != nil {
			word, _ := classify(err)
			if word == "internal" && !errors.Is(err, context.Canceled) {
				s.services.Log.Error("command failed", "command", name, "error", err)
			}
			m = reply[Resp]{Error: &errorMsg{word, err.Error()}}
		}
		body.begin()
		raw, err := json.Marshal(m)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set(headerReply, base64.StdEncoding.EncodeToString(raw))
	})
}

// downloadBody announces the trailer with its first byte: until then a command can still fail as any other.
type downloadBody struct {
	w     http.ResponseWriter
	begun bool
}

func (d *downloadBody) begin() {
	if !d.begun {
		d.begun = true
		d.w.Header().Set("Content-Type", "application/octet-stream")
		d.w.Header().Set("Trailer", headerReply)
	}
}

func (d *downloadBody) Write(b []byte) (int, error) {
	d.begin()
	return d.w.Write(b)
}

// Download sends a command whose result is bytes, writes them to w, and returns the reply behind them. Progress is told the bytes so far. What was written
// before an error is not the whole.
func Download[Resp, Req any](ctx context.Context, c *Client, name string, req Req, w io.Writer) (Resp, error) {
	var zero Resp
	b, err := json.Marshal(req)
	if err != nil {
		return zero, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/v1/"+name, bytes.NewReader(b))
	if err != nil {
		return zero, err
	}
	r.Header.Set("Content-Type", "application/json")
	c.sign(r)
	resp, err := c.http.Do(r)
	if err != nil {
		return zero, c.explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var m reply[Resp]
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxOpen)).Decode(&m); err != nil || m.Error == nil {
			return zero, fmt.Errorf("the node answered %s and did not say why", resp.Status)
		}
		return zero, fromWire(*m.Error)
	}
	if _, err := io.Copy(w, &downloading{r: resp.Body, progress: c.Progress}); err != nil {
		return zero, fmt.Errorf("the node broke off: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(resp.Trailer.Get(headerReply))
	var m reply[Resp]
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	switch {
	case m.Error != nil:
		return zero, fromWire(*m.Error)
	case err != nil || m.Result == nil:
		return zero, fmt.Errorf("the node broke off before it said that this was all (%v)", err)
	}
	return *m.Result, nil
}

type downloading struct {
	r        io.Reader
	n        int64
	progress func(done, total int64)
}

func (d *downloading) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.n += int64(n)
	if d.progress != nil {
		d.progress(d.n, 0)
	}
	return n, err
}
