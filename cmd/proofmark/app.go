package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"proofmark/node/control"
	"proofmark/node/durable"
	"proofmark/protocol"
	"proofmark/store"
)

// app is what a command has at hand.
type app struct {
	Globals
	ctx      context.Context
	in       io.Reader
	out, err io.Writer

	client  *control.Client
	foreign string   // data folder of the node that the session file is for, where it is not this one
	done    []kept   // of commands that the node has done, until their outcome was shown
	shown   bool     // it was
	says    []string // what the owners of files that were read demand, see carry
}

// kept is the key of a command, and the file that keeps it for when the command is typed again.
type kept struct{ path, key string }

// settle forgets the keys of commands whose outcome the person has seen.
func (a *app) settle() error {
	for _, k := range a.done {
		if err := k.forget(); err != nil {
			return fmt.Errorf("the command is done, but its key could not be removed: %w", err)
		}
	}
	a.done = nil
	return nil
}

// forget leaves a file in which the same command, typed at another terminal, keeps another key by now.
func (k kept) forget() error {
	b, err := os.ReadFile(k.path)
	if err == nil && string(bytes.TrimSpace(b)) == k.key {
		err = os.Remove(k.path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (a *app) close() {
	if a.client != nil {
		a.client.Close()
	}
}

// savedSession is the session file: who is logged in to which node. It holds the token and is readable by its owner alone.
type savedSession struct {
	Data  string `json:"data"`
	Name  string `json:"name"`
	Token string `json:"token"`
}

// sessionPath is where the session of this node is kept for the account of this machine.
func (a *app) sessionPath() (string, error) {
	if a.Session != "" {
		return a.Session, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no place for the session file (%w): name one with --session FILE", err)
	}
	data, err := filepath.Abs(a.Data)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(data))
	return filepath.Join(dir, "proofmark", "session-"+hex.EncodeToString(sum[:8])+".json"), nil
}

func (a *app) loadSession() (savedSession, error) {
	var s savedSession
	path, err := a.sessionPath()
	if err != nil {
		return s, err
	}
	if err := control.Guard(path, 0o077); errors.Is(err, os.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return s, fmt.Errorf("session file: %w; or remove it and log in again", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("session: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("session file %s is damaged: log in again (%w)", path, err)
	}
	return s, nil
}

// saveSession writes the session file whole or not at all.
func (a *app) saveSession(s savedSession) error {
	path, err := a.sessionPath()
	if err != nil {
		return err
	}
	if s.Data, err = filepath.Abs(s.Data); err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := durable.MakeFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return durable.Replace(path, b, 0o600)
}

// dial returns the client of the node, with the session where there is one.
func (a *app) dial() (*control.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	s, err := a.loadSession()
	if err != nil {
		return nil, err
	}
	data, err := filepath.Abs(a.Data)
	if err != nil {
		return nil, err
	}
	a.client = control.Dial(a.Data)
	a.client.Why = a.Why
	if s.Token == "" || s.Data == data {
		a.client.Token = s.Token
	} else {
		a.foreign = s.Data // a token is for one node alone: whoever serves another could use it
	}
	return a.client, nil
}

// explain says why nobody is logged in where there is a session, but of another node.
func (a *app) explain(err error) error {
	if a.foreign != "" && errors.Is(err, control.ErrNoSession) {
		return fmt.Errorf("this session is for the node in %s and was not sent; log in to this one (%w)", a.foreign, err)
	}
	return err
}

// ask runs a command that changes nothing.
func ask[Resp, Req any](a *app, name string, req Req) (Resp, error) {
	c, err := a.dial()
	if err != nil {
		var zero Resp
		return zero, err
	}
	resp, err := control.Call[Resp](a.ctx, c, name, "", req)
	return resp, a.explain(err)
}

// change runs a command that changes something, exactly once: see once.
func change[Resp, Req any](a *app, name string, req Req) (Resp, error) {
	return once(a, name, req, nil, func(c *control.Client, key string) (Resp, error) {
		return control.Call[Resp](a.ctx, c, name, key, req)
	})
}

// upload is change for a command with files.
func upload[Resp, Req any](a *app, name string, req Req, files ...[]byte) (Resp, error) {
	return once(a, name, req, files, func(c *control.Client, key string) (Resp, error) {
		return control.Upload[Resp](a.ctx, c, name, key, req, files...)
	})
}

// once gives a command its idempotency key. The key is durable before the command is sent and removed after its outcome was shown: where this process or
// the node dies between, or nobody could be shown anything, the same command typed again carries the same key, and the node does it at most once.
func once[Resp any](a *app, name string, req any, files [][]byte, send func(c *control.Client, key string) (Resp, error)) (Resp, error) {
	var zero Resp
	c, err := a.dial()
	if err != nil {
		return zero, err
	}
	path, err := a.pendingPath(name, req, files)
	if err != nil {
		return zero, err
	}
	key, err := pendingKey(path)
	if err != nil {
		return zero, fmt.Errorf("write down the command before it is sent: %w", err)
	}
	resp, err := send(c, key)
	switch k := (kept{path, key}); {
	case err == nil:
		a.done = append(a.done, k)
	case errors.Is(err, control.ErrNoSession), errors.Is(err, store.ErrDiskReserve): // it may have been done before, by a command whose answer was lost
	case control.Definite(err): // the node has done nothing
		err = errors.Join(err, k.forget())
	}
	return resp, a.explain(err)
}

// pendingPath names the file of a command's key: the same command of the same person at the same node has the same name.
func (a *app) pendingPath(name string, req any, files [][]byte) (string, error) {
	session, err := a.sessionPath()
	if err != nil {
		return "", err
	}
	who, err := a.loadSession()
	if err != nil {
		return "", err
	}
	data, err := filepath.Abs(a.Data)
	if err != nil {
		return "", err
	}
	sums := make([][sha256.Size]byte, len(files))
	for i, f := range files {
		sums[i] = sha256.Sum256(f)
	}
	b, err := json.Marshal([]any{data, who.Name, name, req, sums})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return filepath.Join(filepath.Dir(session), "pending", hex.EncodeToString(sum[:16])), nil
}

// pendingKey is the key that a command is sent with: the one that is written down already, by a command that was killed or by the same one at another terminal
// at this moment, or a new one.
func pendingKey(path string) (string, error) {
	for {
		b, err := os.ReadFile(path)
		key := string(bytes.TrimSpace(b))
		if err == nil && protocol.CheckID(key) == nil {
			return key, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		damaged := err == nil
		if key, err = protocol.NewID(wallClock(), rand.Reader); err != nil {
			return "", err
		}
		if damaged {
			return key, durable.Replace(path, []byte(key), 0o600)
		}
		if err := durable.MakeFolder(filepath.Dir(path)); err != nil {
			return "", err
		}
		if err := durable.Create(path, []byte(key), 0o600); !errors.Is(err, os.ErrExist) {
			return key, err
		}
	}
}
