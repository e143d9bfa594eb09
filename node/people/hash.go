package people

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"proofmark/crypto"
	"proofmark/store"
)

const saltSize = 16 // bytes that crypto.HashSecret takes from its source of randomness

// draw takes random bytes inside the writer, so that one source serves all.
func draw(tx *store.Tx, size int) ([]byte, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(tx.Random(), b); err != nil {
		return nil, fmt.Errorf("draw %d random bytes: %w", size, err)
	}
	return b, nil
}

// slot waits until a hash may be evaluated.
func (s *Service) slot(ctx context.Context) (release func(), err error) {
	select {
	case s.slots <- struct{}{}:
		s.hashes.Add(1)
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to check a secret: %w", ctx.Err())
	}
}

// hash checks a new secret by the rules and hashes it.
func (s *Service) hash(ctx context.Context, name string, secret, salt []byte) (string, error) {
	if err := CheckSecret(name, secret); err != nil {
		return "", err
	}
	release, err := s.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return crypto.HashSecret(canonical(secret), bytes.NewReader(salt), s.cost)
}

// freshHash hashes a new secret under a salt of its own.
func (s *Service) freshHash(ctx context.Context, name string, secret []byte) (string, error) {
	var salt []byte
	err := s.desk.Store.Update(ctx, func(tx *store.Tx) (err error) {
		salt, err = draw(tx, saltSize)
		return err
	})
	if err != nil {
		return "", err
	}
	return s.hash(ctx, name, secret, salt)
}

// check evaluates exactly one hash, whether there is one to compare with ("" = none) or not.
func (s *Service) check(ctx context.Context, encoded string, secret []byte) (bool, error) {
	secret = canonical(secret)
	release, err := s.slot(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if encoded == "" {
		return crypto.CheckUnknown(secret, s.cost), nil
	}
	return crypto.CheckSecret(encoded, secret)
}
