package people

import (
	"context"
	"fmt"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

const (
	freeFailures = 5           // wrong secrets before an account is locked
	lockFirst    = time.Minute // doubled by every further wrong secret
	lockLongest  = time.Hour   // so that nobody can lock somebody else out for good
)

// lockFor is how long an account is locked after so many wrong secrets in a row.
func lockFor(failures int) time.Duration {
	if failures < freeFailures {
		return 0
	}
	d := lockFirst
	for range failures - freeFailures {
		if d *= 2; d >= lockLongest {
			return lockLongest
		}
	}
	return d
}

// Login opens a session for a secret. Whatever is wrong, the answer is ErrCredentials after one hash and one transaction: it tells
// neither who has an account nor what state it is in.
func (s *Service) Login(ctx context.Context, name string, secret []byte) (*Session, error) {
	var encoded string
	err := s.desk.Store.View(func(tx *store.Tx) error {
		a, err := find(tx, name)
		if a != nil {
			encoded = a.Secret
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	right, err := s.check(ctx, encoded, secret)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	var session *Session
	err = s.desk.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
		a, err := find(tx, name)
		if err != nil {
			return err
		}
		ground := groundAgainst(a, tx.Now())
		if ground == "" && (!right || a.Secret != encoded) {
			// Only what counts towards the lock has entries of its own; they are few because the lock holds off the next.
			return wrongSecret(tx, a, "log-in refused")
		}
		if ground != "" {
			return refuse(tx, a, "log-in refused", ground)
		}
		session, err = open(tx, a, "logged in", nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	if session == nil {
		return nil, ErrCredentials
	}
	return session, nil
}

// groundAgainst says in one word why no secret opens the account now; "" if one may.
func groundAgainst(a *Account, now time.Time) string {
	switch {
	case a == nil:
		return "unknown-account"
	case a.Disabled:
		return "disabled"
	case a.Secret == "":
		return "not-enrolled"
	case now.Before(a.LockedUntil):
		return "locked"
	}
	return ""
}

// wrongSecret counts a wrong secret, locks the account when there were too many, and leaves an entry.
func wrongSecret(tx *store.Tx, a *Account, event string) error {
	err := countWrong(tx, a)
	e := denial(a.Name, event, "wrong-secret")
	e.Details = map[string]string{"failures": fmt.Sprint(a.Failures)}
	if a.LockedUntil.After(tx.Now()) {
		e.Event = event + ", account locked"
		e.Details["locked_until"] = a.LockedUntil.UTC().Format(time.RFC3339)
	}
	tx.Audit(e)
	return err
}

// countWrong counts a wrong secret and locks the account when there were too many.
func countWrong(tx *store.Tx, a *Account) error {
	a.Failures++
	if d := lockFor(a.Failures); d > 0 {
		a.LockedUntil = tx.Now().Add(d)
	}
	return accounts.Put(tx, a.Name, a)
}

// denial is the audit entry of a refusal to an account; its actor is who the other side claimed to be.
func denial(account, event, ground string) protocol.AuditEntry {
	e := entry(protocol.ActDeny, account, account, event)
	e.Decision, e.Ground = "deny", ground
	return e
}
