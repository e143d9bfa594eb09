package control

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"

	"proofmark/node/desk"
)

const (
	maxPiece = 1 << 20  // bytes of a download that are announced at once
	maxReply = 64 << 20 // bytes of the reply behind them
)

// handleDownload registers a command whose result is bytes of any number, written as they come, and then a reply.
func handleDownload[Req, Resp any](s *Server, mux *http.ServeMux, name string, fn func(ctx context.Context, c call, req Req, w io.Writer) (Resp, error)) {
	answers[Resp](s, name)
	s.register(name, true)
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
		c, req, err := receive[Req](s, w, r, name, true)
		if err != nil {
			s.fail(w, name, err)
			return
		}
		ctx, logged := desk.InCommand(r.Context(), name)
		resp, err := fn(ctx, c, req, body)
		err = s.left(ctx, name, c, logged, err)
		if err == nil {
			err = s.say(&resp)
		}
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
		if err := body.end(m); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
}

// downloadBody writes pieces, each behind its length (four bytes, the greatest first); a length of 0 ends them, and the reply follows as JSON. Until the first
// piece a command can still fail as any other. A reply grows with what was asked for, so it is no trailer of HTTP: a client reads about 4 KB of these.
type downloadBody struct {
	w     http.ResponseWriter
	begun bool
}

func (d *downloadBody) length(n int) error {
	if !d.begun {
		d.begun = true
		d.w.Header().Set("Content-Type", "application/octet-stream")
	}
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(n))
	_, err := d.w.Write(head[:])
	return err
}

func (d *downloadBody) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		piece := b[:min(len(b), maxPiece)]
		if err := d.length(len(piece)); err != nil {
			return n, err
		}
		m, err := d.w.Write(piece)
		n += m
		if err != nil {
			return n, err
		}
		b = b[len(piece):]
	}
	return n, nil
}

func (d *downloadBody) end(reply any) error {
	raw, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	if err := d.length(0); err != nil {
		return err
	}
	_, err = d.w.Write(raw)
	return err
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
	content := &downloading{r: resp.Body, progress: c.Progress}
	if _, err := io.Copy(w, content); err != nil {
		return zero, fmt.Errorf("the node broke off: %w", err)
	}
	var m reply[Resp]
	err = json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(&m)
	switch {
	case m.Error != nil:
		return zero, fromWire(*m.Error)
	case err != nil || m.Result == nil:
		return zero, fmt.Errorf("the node broke off before it said that this was all (%v)", err)
	}
	return *m.Result, nil
}

// downloading reads the pieces of a downloadBody, up to the length of 0.
type downloading struct {
	r        io.Reader
	left     int // of the piece that is being read
	ended    bool
	n        int64
	progress func(done, total int64)
}

func (d *downloading) Read(p []byte) (int, error) {
	if d.ended {
		return 0, io.EOF
	}
	if d.left == 0 {
		var head [4]byte
		if _, err := io.ReadFull(d.r, head[:]); err != nil {
			return 0, io.ErrUnexpectedEOF // before the length of 0 no end is a good one
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > maxPiece {
			return 0, fmt.Errorf("a piece of %d bytes was announced, the most is %d: are node and program of one version?", n, maxPiece)
		}
		d.left, d.ended = int(n), n == 0
		return 0, nil
	}
	n, err := d.r.Read(p[:min(len(p), d.left)])
	d.left -= n
	d.n += int64(n)
	if d.progress != nil {
		d.progress(d.n, 0)
	}
	if errors.Is(err, io.EOF) {
		err = nil // the next length says whether this was all
		if d.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}
