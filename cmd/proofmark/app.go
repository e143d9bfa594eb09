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
	"proofmark/protocol"
)

// app is what a command has at hand.
type app struct {
	Globals
	ctx      context.Context
	in       io.Reader
	out, err io.Writer

	client  *control.Client
	foreign string   // data folder of the node that the session file is for, where it is not this one
	done    []string // files of keys of commands whose outcome is known
	says    []string // what the owners of files that were read demand, see carry
}

// settle forgets the keys of commands whose outcome the person has seen.
func (a *app) settle() error {
	for _, path := range a.done {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the command is done, but its key could not be removed: %w", err)
		}
	}
	return nil
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
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("session: %w", err)
	}
	return writeFile(path, b, 0o600)
}

// writeFile replaces a file in one step. mode is what the umask may still take from, as for any file that a program makes.
func writeFile(path string, b []byte, mode os.FileMode) error {
	name := filepath.Join(filepath.Dir(path), ".proofmark-"+rand.Text())
	tmp, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
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

// change runs a command that changes something, exactly once: see pending.
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

// once gives a command its idempotency key. The key is written down before the command is sent and removed after its outcome was printed: where this
// process or the node dies between, the same command typed again carries the same key, and the node does it at most once.
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
	if err == nil || control.Definite(err) {
		a.done = append(a.done, path)
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

func pendingKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && protocol.CheckID(string(bytes.TrimSpace(b))) == nil {
		return string(bytes.TrimSpace(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	key, err := protocol.NewID(wallClock(), rand.Reader)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return key, writeFile(path, []byte(key), 0o600)
}
