package people

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"proofmark/node/desk"
	"proofmark/store"
)

// Enrol sets an account's secret with the one-time code and opens the first session. It returns ErrEnrolment for whatever is wrong with
// name or code, after no hash at all, ErrShared for a secret that another account has, and a desk.ErrInvalid for one that does not fit the rules (see
// CheckSecret).
//
// A client that crashed after its code was used may repeat itself: the used code with the secret that was set with it is a log-in.
func (s *Service) Enrol(ctx context.Context, name, code string, secret []byte) (*Session, error) {
	if err := CheckSecret(name, secret); err != nil {
		return nil, err
	}
	typed := hashCode(code)
	var salt []byte
	var used bool
	err := s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		a, err := find(tx, name)
		if err != nil {
			return err
		}
		if ground := codeGround(a, typed, tx.Now()); ground != "" {
			return refuse(tx, a, "enrolment refused", ground)
		}
		used = a.CodeUsed
		salt, err = draw(tx, saltSize)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("enrol: %w", err)
	case salt == nil:
		return nil, ErrEnrolment
	case used:
		return s.Login(ctx, name, secret)
	}
	encoded, err := s.hash(ctx, name, secret, salt)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	var c comparison
	for {
		if err := s.compare(ctx, &c, name, secret); err != nil {
			return nil, fmt.Errorf("enrol: %w", err)
		}
		var session *Session
		var again, refused bool
		err = s.desk.Store.Update(ctx, func(tx *store.Tx) error {
			a, err := find(tx, name)
			if err != nil {
				return err
			}
			if codeGround(a, typed, tx.Now()) != "" || a.CodeUsed {
				return desk.Conflict("the account changed while the secret was being set: try again, or ask an administrator for a new code")
			}
			again, refused, err = c.settle(tx, a, "enrolment refused")
			switch {
			case err != nil || again:
				return err
			case refused:
				if a.CodeTaken++; a.CodeTaken >= sharedMost {
					a.CodeUntil = tx.Now()
				}
				return accounts.Put(tx, name, a)
			}
			a.Secret, a.CodeUsed, a.Changed = encoded, true, tx.Now()
			event, details := enrolled(a, tx.Now())
			session, err = open(tx, a, event, details)
			return err
		})
		switch {
		case err != nil:
			return nil, fmt.Errorf("enrol: %w", err)
		case refused:
			return nil, ErrShared
		case !again:
			return session, nil
		}
	}
}

// codeGround says in one word why a code, given by its hash, does not enrol; "" if it does or did.
func codeGround(a *Account, typed string, now time.Time) string {
	switch {
	case a == nil:
		return "unknown-account"
	case a.Disabled:
		return "disabled"
	case typed == "" || a.Code == "" || subtle.ConstantTimeCompare([]byte(typed), []byte(a.Code)) != 1:
		return "wrong-code"
	case !now.Before(a.CodeUntil):
		return "expired-code"
	}
	return ""
}
