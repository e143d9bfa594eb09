package bureau

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// How a person uses a node that may be away, short of space or slow.
const (
	oneTry     = 45 * time.Second
	giveUp     = 10 * time.Minute // a node that is away for longer than any fault lasts is broken
	impatience = 0.08             // chance that a client is killed while it waits
)

// ErrGaveUp means that nothing is known of a command: it was sent and never answered.
var ErrGaveUp = errors.New("no answer")

// Do has a person do something exactly once: with one idempotency key until the node has answered. Some of the tries are broken off, as by a client that
// is killed.
func Do[Resp, Req any](ctx context.Context, p *Person, name string, req Req) (Resp, error) {
	return insist(ctx, p, name, func(ctx context.Context, c *control.Client, key string) (Resp, error) {
		return control.Call[Resp](ctx, c, name, key, req)
	})
}

// Upload is Do for a command with files.
func Upload[Resp, Req any](ctx context.Context, p *Person, name string, req Req, files ...[]byte) (Resp, error) {
	return insist(ctx, p, name, func(ctx context.Context, c *control.Client, key string) (Resp, error) {
		return control.Upload[Resp](ctx, c, name, key, req, files...)
	})
}

func insist[T any](ctx context.Context, p *Person, name string, try func(ctx context.Context, c *control.Client, key string) (T, error)) (T, error) {
	var zero T
	key, err := protocol.NewID(time.Now(), rand.Reader)
	if err != nil {
		return zero, err
	}
	end := time.Now().Add(giveUp)
	for {
		c := p.session()
		v, err := once(ctx, c, key, try)
		switch {
		case err == nil:
			return v, nil
		case errors.Is(err, control.ErrNoSession):
			if err := p.renewed(ctx, c.Token); err != nil {
				return zero, fmt.Errorf("%s at %s: %w", name, p.bureau.Country, err)
			}
		case errors.Is(err, store.ErrDiskReserve): // says itself that it may be tried again
		case control.Definite(err):
			return zero, fmt.Errorf("%s at %s: %w", name, p.bureau.Country, err)
		case time.Now().After(end):
			return zero, fmt.Errorf("%s at %s: %w: %w", name, p.bureau.Country, ErrGaveUp, err)
		}
		if perr := pause(ctx, time.Duration(100+mathrand.IntN(300))*time.Millisecond); perr != nil {
			return zero, fmt.Errorf("%s at %s: %w: %w", name, p.bureau.Country, ErrGaveUp, errors.Join(perr, err))
		}
	}
}

func once[T any](ctx context.Context, c *control.Client, key string, try func(ctx context.Context, c *control.Client, key string) (T, error)) (T, error) {
	within := oneTry
	if mathrand.Float64() < impatience {
		within = time.Duration(mathrand.IntN(30)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return try(ctx, c, key)
}

// Definite tells whether an error is the node's own refusal.
func Definite(err error) bool {
	for _, class := range []error{desk.ErrForbidden, desk.ErrInvalid, desk.ErrConflict, desk.ErrNotFound} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// Try sends a command once, and returns what came of it.
func Try[Req any](ctx context.Context, p *Person, name string, req Req) error {
	key, err := protocol.NewID(time.Now(), rand.Reader)
	if err != nil {
		return err
	}
	_, err = control.Call[json.RawMessage](ctx, p.session(), name, key, req)
	return err
}

// Status asks the node how it is, as long as ctx lasts.
func (b *Bureau) Status(ctx context.Context) (control.Status, error) {
	return Do[control.Status](ctx, b.Admin, "status", control.None{})
}
