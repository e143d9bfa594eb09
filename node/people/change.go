package people

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// What somebody who changes the own secret is told. Each is also a desk.ErrForbidden.
var (
	// ErrOldSecret is the answer to a wrong old secret.
	ErrOldSecret = desk.Forbidden("the old secret is wrong: nothing was changed. After five wrong ones in a row the account is locked for a while. " +
		"Whoever has lost the secret gets a new enrolment code from an administrator.")
	// ErrLocked is the answer while the account is locked.
	ErrLocked = desk.Forbidden("the account is locked for a while after wrong secrets: nothing was changed. Try again in some minutes.")
)

// Changed says what a change of the own secret did.
type Changed struct {
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
	Ended int       `json:"ended"` // other sessions of the account, which are over
}

// ChangeSecret replaces the secret of the account whose session the token opens. The old secret is asked for again, so that nobody takes an account over at
// a desk that was left for a moment, and wrong ones count as at a log-in. All other sessions of the account end. It returns ErrOldSecret, ErrLocked,
// ErrShared, ErrSession, or a desk.ErrInvalid for a secret that does not fit the rules (see CheckSecret).
//
// A client that crashed may repeat itself: where the new secret opens the account already, nothing is left to do.
func (s *Service) ChangeSecret(ctx context.Context, token string, old, secret []byte) (*Changed, error) {
	id := tokenID(token)
	var before Account
	err := s.desk.Store.View(func(tx *store.Tx) error {
		_, a, err := live(tx, id)
		if err == nil {
			before = *a
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("change a secret: %w", err)
	}
	if err := CheckSecret(before.Name, secret); err != nil {
		return nil, err
	}
	if bytes.Equal(canonical(old), canonical(secret)) {
		return nil, desk.Invalid("the new secret is the old one: choose another")
	}
	right, err := s.check(ctx, before.Secret, old)
	if err != nil {
		return nil, fmt.Errorf("change a secret: %w", err)
	}
	if !right {
		done, err := s.check(ctx, before.Secret, secret)
		if err != nil || !done {
			return nil, s.oldWasWrong(ctx, id, before.Secret, err)
		}
		return &Changed{Name: before.Name, At: before.Changed}, nil
	}
	encoded, err := s.freshHash(ctx, before.Name, secret)
	if err != nil {
		return nil, fmt.Errorf("change a secret: %w", err)
	}
	var c comparison
	for {
		if err := s.compare(ctx, &c, before.Name, secret); err != nil {
			return nil, fmt.Errorf("change a secret: %w", err)
		}
		var out *Changed
		var again bool
		var outcome error // of what leaves an entry and is refused all the same
		err := s.desk.Store.UpdateSmall(ctx, func(tx *store.Tx) (err error) {
			out, again, outcome, err = replace(tx, id, before.Secret, encoded, &c)
			return err
		})
		switch {
		case err != nil:
			return nil, fmt.Errorf("change a secret: %w", err)
		case !again:
			return out, outcome
		}
	}
}

// replace sets the new secret where nothing stands against it.
func replace(tx *store.Tx, session, before, encoded string, c *comparison) (out *Changed, again bool, outcome, err error) {
	_, a, err := live(tx, session)
	if err != nil {
		return nil, false, nil, err
	}
	if tx.Now().Before(a.LockedUntil) {
		return nil, false, ErrLocked, refuse(tx, a, "change of the own secret refused", "locked")
	}
	if a.Secret != before {
		return nil, false, nil, desk.Conflict("the secret of this account was changed at the same time: try again with the one that holds now")
	}
	again, refused, err := c.settle(tx, a, "change of the own secret refused")
	switch {
	case err != nil || again:
		return nil, again, nil, err
	case refused:
		// It counts as a wrong one: else a session could be used to find out what others have.
		return nil, false, ErrShared, countWrong(tx, a)
	}
	ended, err := endOthers(tx, a.Name, session)
	if err != nil {
		return nil, false, nil, err
	}
	a.Secret, a.Changed, a.Failures = encoded, tx.Now(), 0
	e := entry(protocol.ActAdminister, a.Name, a.Name, "own secret changed")
	e.Details = map[string]string{"sessions_ended": fmt.Sprint(ended)}
	tx.Audit(e)
	return &Changed{Name: a.Name, At: a.Changed, Ended: ended}, false, nil, accounts.Put(tx, a.Name, a)
}

// oldWasWrong counts a wrong old secret as a log-in does, unless checking failed itself.
func (s *Service) oldWasWrong(ctx context.Context, session, before string, failed error) error {
	if failed != nil {
		return fmt.Errorf("change a secret: %w", failed)
	}
	answer := ErrOldSecret
	err := s.desk.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
		_, a, err := live(tx, session)
		if err != nil {
			return err
		}
		if tx.Now().Before(a.LockedUntil) {
			answer = ErrLocked
			return refuse(tx, a, "change of the own secret refused", "locked")
		}
		if a.Secret != before {
			return nil // it was changed while the old one was tried, which is no guess
		}
		return wrongSecret(tx, a, "change of the own secret refused")
	})
	if err != nil {
		return fmt.Errorf("change a secret: %w", err)
	}
	return answer
}

// endOthers ends all sessions of an account but one, and says how many were open.
func endOthers(tx *store.Tx, name, but string) (open int, err error) {
	var ids []string
	for id, r := range sessions.By(tx, "account", name) {
		if id == but {
			continue
		}
		ids = append(ids, id)
		if !r.over(tx.Now()) {
			open++
		}
	}
	return open, endSessions(tx, ids)
}
