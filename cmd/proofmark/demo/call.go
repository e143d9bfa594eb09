package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/protocol"
)

// How long a call is repeated while its node is away, and how long one try may take. A daemon that was killed is back within seconds.
const (
	patience = 90 * time.Second
	oneTry   = 45 * time.Second
)

// call has a person do something, exactly once: it is repeated with the same idempotency key until the node itself has answered.
func call[Resp, Req any](ctx context.Context, p *person, name string, req Req) (Resp, error) {
	return insist(ctx, p, name, func(ctx context.Context, key string) (Resp, error) {
		return control.Call[Resp](ctx, p.client, name, key, req)
	})
}

// upload is call for a command with files.
func upload[Resp, Req any](ctx context.Context, p *person, name string, req Req, files ...[]byte) (Resp, error) {
	return insist(ctx, p, name, func(ctx context.Context, key string) (Resp, error) {
		return control.Upload[Resp](ctx, p.client, name, key, req, files...)
	})
}

func insist[T any](ctx context.Context, p *person, name string, try func(ctx context.Context, key string) (T, error)) (T, error) {
	var zero T
	key, err := protocol.NewID(time.Now(), rand.Reader)
	if err != nil {
		return zero, err
	}
	giveUp := time.Now().Add(patience)
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, 400*time.Millisecond) {
		v, err := once(ctx, key, try)
		if err == nil {
			return v, nil
		}
		if control.Definite(err) {
			return zero, fmt.Errorf("%s, %s of %s: %w", name, p.name, p.bureau.country, err)
		}
		if time.Now().After(giveUp) {
			return zero, fmt.Errorf("%s, %s of %s: no answer in %s (the node's log is %s): %w", name, p.name, p.bureau.country, patience, p.bureau.logFile(), err)
		}
		if err := sleep(ctx, pause); err != nil {
			return zero, err
		}
	}
}

func once[T any](ctx context.Context, key string, try func(ctx context.Context, key string) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	return try(ctx, key)
}

// sleep waits, or returns why the demo ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// await polls until ready says so. What never comes is an error after most.
func await(ctx context.Context, what string, most time.Duration, ready func() (bool, error)) error {
	giveUp := time.Now().Add(most)
	for pause := 30 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		ok, err := ready()
		if err != nil || ok {
			return err
		}
		if time.Now().After(giveUp) {
			return fmt.Errorf("waited %s in vain until %s", most, what)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// refused makes sure that the node said no for one of the reasons, and returns its words.
func refused(err error, what string, classes ...error) (string, error) {
	if err == nil {
		return "", fmt.Errorf("%s was not refused", what)
	}
	for _, c := range classes {
		if errors.Is(err, c) {
			return innermost(err), nil
		}
	}
	return "", fmt.Errorf("%s was to be refused, and failed for another reason: %w", what, err)
}

// innermost is the node's own sentence without what this package put before it.
func innermost(err error) string {
	text := err.Error()
	for e := err; e != nil; e = errors.Unwrap(e) {
		switch e {
		case desk.ErrForbidden, desk.ErrInvalid, desk.ErrConflict, desk.ErrNotFound: // the class alone says less
			return text
		}
		text = e.Error()
	}
	return text
}
