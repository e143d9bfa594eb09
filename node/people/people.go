// Package people owns accounts, their secrets and their sessions: who somebody is. It refuses to know what somebody may do, which is
// policy's, and never learns a secret that it did not need: an administrator hands out a one-time code, and each person sets the own
// secret with it.
//
// A secret is stretched with argon2id outside of the store's writer; what was decided on is read again in the transaction that acts on
// it. A log-in that is refused costs one hash and one transaction and gets one sentence, whatever the reason.
package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// What a person without a valid session is told. Each is also a desk.ErrForbidden.
var (
	// ErrCredentials is the one answer to an unknown name, a wrong secret, a locked, a disabled and a not yet enrolled account.
	ErrCredentials = desk.Forbidden("the name or the secret is wrong, or the account is locked for a while or disabled. " +
		"Try again in some minutes; an administrator sees the account's state and can hand out a new enrolment code.")
	// ErrEnrolment is the one answer to an unknown name, a wrong, used or expired code and a disabled account.
	ErrEnrolment = desk.Forbidden("the name or the enrolment code is wrong, or the code was used before or has expired. " +
		"Check both; an administrator can hand out a new code.")
	// ErrSession says that a token opens no session.
	ErrSession = desk.Forbidden("no session: it was never opened, has ended or has expired. Log in again.")
	// ErrNotFirst says that CreateFirst came too late.
	ErrNotFirst = desk.Conflict("there is an account already: the first administrator is made once. Let an administrator add further people.")
)

// Account is one person's account as it is kept.
type Account struct {
	Name     string   `json:"name"`
	FullName string   `json:"full_name,omitempty"`
	Roles    []string `json:"roles"` // in the order of policy.Roles

	Secret    string    `json:"secret,omitempty"` // argon2id in PHC form; empty until enrolled
	Code      string    `json:"code,omitempty"`   // hash of the last enrolment code
	CodeUntil time.Time `json:"code_until,omitzero"`
	CodeUsed  bool      `json:"code_used,omitempty"`
	CodeBy    string    `json:"code_by,omitempty"`    // administrator who handed the code out
	CodeReset bool      `json:"code_reset,omitempty"` // it replaces a secret that the person had
	CodeTaken int       `json:"code_taken,omitempty"` // how often it was used to set a secret that another account has
	Resets    []Reset   `json:"resets,omitempty"`     // the last ones, oldest first

	Disabled    bool      `json:"disabled,omitempty"`
	Failures    int       `json:"failures,omitempty"` // wrong secrets since the last log-in
	LockedUntil time.Time `json:"locked_until,omitzero"`
	LastLogin   time.Time `json:"last_login,omitzero"`
	Created     time.Time `json:"created"`
	CreatedBy   string    `json:"created_by"`
	Changed     time.Time `json:"changed"` // when somebody last changed roles, state, code or secret
}

// State is what an account can be used for.
type State string

// The states of an account.
const (
	Active   State = "active"
	Waiting  State = "waiting" // for its owner to enrol
	Expired  State = "expired" // the enrolment code ran out unused
	Locked   State = "locked"  // too many wrong secrets
	Disabled State = "disabled"
)

// StateAt is the state at a time.
func (a *Account) StateAt(now time.Time) State {
	switch {
	case a.Disabled:
		return Disabled
	case a.Secret == "" && !now.Before(a.CodeUntil):
		return Expired
	case a.Secret == "":
		return Waiting
	case now.Before(a.LockedUntil):
		return Locked
	}
	return Active
}

// administers tells whether the account's owner can act as administrator without anybody's help.
func (a *Account) administers() bool {
	return !a.Disabled && a.Secret != "" && slices.Contains(a.Roles, policy.Administrator)
}

var accounts = store.NewCollection[Account]("account")

// Service owns a node's accounts and sessions. Its methods may be called from any goroutine.
type Service struct {
	desk *desk.Desk
	cost crypto.ArgonCost

	slots  chan struct{} // held while hashing
	hashes atomic.Int64  // hash evaluations so far
}

// atOnce limits argon2id: each evaluation holds 64 MiB at the default cost.
const atOnce = 2

// New serves the accounts in the desk's store, and has the desk look at an actor's account within each act; cost is that of new secrets' hashes.
func New(d *desk.Desk, cost crypto.ArgonCost) *Service {
	s := &Service{desk: d, cost: cost, slots: make(chan struct{}, atOnce)}
	d.Standing = s.Stands
	return s
}

// CreateFirst makes the first administrator, with a secret of its own, while there is no account; otherwise ErrNotFirst.
func (s *Service) CreateFirst(ctx context.Context, name string, secret []byte) error {
	if err := CheckName(name); err != nil {
		return err
	}
	var salt []byte
	err := s.desk.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if err = none(tx); err == nil {
			salt, err = draw(tx, saltSize)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create the first administrator: %w", err)
	}
	encoded, err := s.hash(ctx, name, secret, salt)
	if err != nil {
		return err
	}
	err = s.desk.Store.Update(ctx, func(tx *store.Tx) error {
		if err := none(tx); err != nil {
			return err
		}
		now := tx.Now()
		a := &Account{Name: name, Roles: []string{policy.Administrator}, Secret: encoded, Created: now, CreatedBy: desk.Node.Name, Changed: now}
		tx.Audit(entry(protocol.ActCollect, desk.Node.Name, name, "first administrator added"))
		return accounts.Put(tx, name, a)
	})
	if err != nil {
		return fmt.Errorf("create the first administrator: %w", err)
	}
	return nil
}

func none(tx *store.Tx) error {
	n, err := accounts.Count(tx)
	if err == nil && n > 0 {
		return ErrNotFirst
	}
	return err
}

// Empty reports whether there is no account at all, which is so only before the first administrator is made.
func (s *Service) Empty() (bool, error) {
	err := s.desk.Store.View(none)
	if errors.Is(err, ErrNotFirst) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("count accounts: %w", err)
	}
	return true, nil
}

// find reads an account; nil if there is none.
func find(tx *store.Tx, name string) (*Account, error) {
	// A name that no account can have must not become a key: people type all kinds of things into the field, secrets too.
	if CheckName(name) != nil {
		return nil, nil
	}
	a, err := accounts.Get(tx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return a, err
}

// entry is the audit entry of something that was done with an account.
func entry(action protocol.AuditAction, actor, account, event string) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: action, Decision: "permit"},
		AuditBody:   protocol.AuditBody{Actor: actor, Kind: kindAccount, Object: account, Event: event},
	}
}

const kindAccount = "account"
