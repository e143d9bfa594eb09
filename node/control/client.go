package control

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
)

// Client calls the daemon of one data folder.
type Client struct {
	Token    string                  // of the session; empty before login
	Why      string                  // why the person acts, for the log; where policy wants it, it must be said
	Progress func(done, total int64) // told of the progress of long commands; may be nil
	Held     []*dispatch.Waiting     // what the commands issued that waits for two people
	dir      string
	http     *http.Client
}

// Dial makes a client for the node in dir; nothing is connected yet. What it sends, secrets and tokens among it, goes to a socket of this account or of
// root alone, in a folder that nobody else can write.
func Dial(dir string) *Client {
	path := filepath.Join(dir, "proofmark.sock")
	return &Client{dir: dir, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if err := guardSocket(dir, path); err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		IdleConnTimeout: idleAtClient,
	}}}
}

// idleAtClient is how long a connection is kept for the next command: shorter than the server keeps it, so that none is sent on one that the server is closing.
const idleAtClient = idleAtServer / 2

// Close lets the connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call sends a command and returns its result. key is the command's idempotency key, empty for one that changes nothing.
func Call[Resp, Req any](ctx context.Context, c *Client, name, key string, req Req) (Resp, error) {
	var zero Resp
	b, err := json.Marshal(req)
	if err != nil {
		return zero, err
	}
	return send[Resp](ctx, c, name, key, bytes.NewReader(b), int64(len(b)), nil)
}

// Upload sends a command with files, one after another as one body.
func Upload[Resp, Req any](ctx context.Context, c *Client, name, key string, req Req, files ...[]byte) (Resp, error) {
	var zero Resp
	b, err := json.Marshal(req)
	if err != nil {
		return zero, err
	}
	size := int64(0)
	parts := make([]io.Reader, len(files))
	for i, f := range files {
		parts[i] = bytes.NewReader(f)
		size += int64(len(f))
	}
	if size > MaxUpload {
		return zero, desk.Invalid("the files have %d bytes together, %d can be sent in one command", size, int64(MaxUpload))
	}
	return send[Resp](ctx, c, name, key, io.MultiReader(parts...), size, b)
}

func send[Resp any](ctx context.Context, c *Client, name, key string, body io.Reader, size int64, upload []byte) (Resp, error) {
	var zero Resp
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/v1/"+name, body)
	if err != nil {
		return zero, err
	}
	r.ContentLength = size
	r.Header.Set("Content-Type", "application/json")
	if upload != nil {
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Header.Set(headerRequest, base64.StdEncoding.EncodeToString(upload))
	}
	if key != "" {
		r.Header.Set(headerKey, key)
	}
	c.sign(r)
	resp, err := c.http.Do(r)
	if err != nil {
		return zero, c.explain(err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for {
		var m reply[Resp]
		if err := dec.Decode(&m); err != nil {
			return zero, fmt.Errorf("the node broke off before it answered; repeat the command, it is done at most once: %w", err)
		}
		switch {
		case m.Error != nil:
			return zero, fromWire(*m.Error)
		case m.Result != nil:
			c.Held = append(c.Held, m.Held...)
			return *m.Result, nil
		case c.Progress != nil:
			c.Progress(m.Done, m.Total)
		}
	}
}

// sign says on whose behalf a command is sent, and why.
func (c *Client) sign(r *http.Request) {
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if c.Why != "" {
		r.Header.Set(headerWhy, base64.StdEncoding.EncodeToString([]byte(c.Why)))
	}
}

// explain turns a failed connection into what a person does next.
func (c *Client) explain(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		if _, serr := os.Stat(c.dir); errors.Is(serr, os.ErrNotExist) {
			return fmt.Errorf("%w: there is no data folder %s; make one with `proofmark init`, or name the right one with --data", ErrNoDaemon, c.dir)
		}
		return fmt.Errorf("%w: start it with `proofmark run --data %s`", ErrNoDaemon, c.dir)
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("the command socket in %s belongs to the account that runs the node; work as that account: %w", c.dir, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("%w: it broke off before it answered; repeat the command, it is done at most once", ErrNoDaemon)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err // without the address, which is no place that a person knows
	}
	return err
}

// Definite reports whether an error is the node's own answer: the command was not done. Any other error leaves open whether it was.
func Definite(err error) bool {
	word, _ := classify(err)
	return word != "internal"
}
