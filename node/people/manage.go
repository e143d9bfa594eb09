package people

import (
	"context"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// View is what an administrator sees of an account.
type View struct {
	Name      string    `json:"name"`
	FullName  string    `json:"full_name,omitempty"`
	Roles     []string  `json:"roles"`
	State     State     `json:"state"`
	Until     time.Time `json:"until,omitzero"` // end of the lock, or of the code's validity
	Failures  int       `json:"failures,omitempty"`
	Sessions  int       `json:"sessions"` // open now
	LastLogin time.Time `json:"last_login,omitzero"`
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
	Changed   time.Time `json:"changed"`
}

func manage(actor desk.Actor, key, name string, request any) desk.Act {
	return desk.Act{
		Actor: actor, Key: key, Action: policy.UserManage, Request: request,
		Resource: policy.Resource{Type: policy.KindUser, ID: name},
	}
}

// Add makes an account and returns its one-time enrolment code, valid for 72 hours: the administrator never learns the person's secret.
// A retry with the same key returns the same code (see code.go for how, although the code is not kept).
func (s *Service) Add(ctx context.Context, actor desk.Actor, key, name, fullName string, roles []string) (code string, err error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	if err := checkFullName(fullName); err != nil {
		return "", err
	}
	sorted, err := sortRoles(roles)
	if err != nil {
		return "", err
	}
	request := struct {
		Do, Name, FullName string
		Roles              []string
	}{"add", name, fullName, sorted}
	i, err := desk.Do(ctx, s.desk, manage(actor, key, name, request), func(tx *store.Tx) (issued, error) {
		if taken, err := accounts.Has(tx, name); err != nil {
			return issued{}, err
		} else if taken {
			return issued{}, desk.Conflict("there is an account %s already: choose another name, or hand out a new code for it", name)
		}
		if err := onePerson(tx, fullName); err != nil {
			return issued{}, err
		}
		now := tx.Now()
		a := &Account{Name: name, FullName: fullName, Roles: sorted, Created: now, CreatedBy: actor.Name, Changed: now}
		i, err := issueCode(tx, a, actor)
		if err != nil {
			return issued{}, err
		}
		audit(tx, protocol.ActCollect, actor, "account added", a)
		return i, accounts.Put(tx, name, a)
	})
	if err != nil {
		return "", err
	}
	return s.code(name, i)
}

// ResetCode hands out a new enrolment code, for a person who lost the secret or let the code expire. The old secret and code stop
// working and all sessions end at once; a lock ends with the enrolment.
func (s *Service) ResetCode(ctx context.Context, actor desk.Actor, key, name string) (code string, err error) {
	i, err := change(ctx, s, actor, key, name, "reset-code", func(tx *store.Tx, a *Account) (issued, error) {
		if a.Disabled {
			return issued{}, desk.Conflict("the account %s is disabled: enable it first", name)
		}
		a.CodeReset = a.CodeReset || a.Secret != "" // a second code before the enrolment is still a reset
		a.Secret = ""
		// Without this the node could be left with nobody who gets in before the code expires.
		if err := keepAdministrator(tx, a); err != nil {
			return issued{}, err
		}
		i, err := issueCode(tx, a, actor)
		if err != nil {
			return issued{}, err
		}
		audit(tx, protocol.ActAdminister, actor, "new enrolment code, sessions ended", a)
		return i, endAll(tx, name)
	})
	if err != nil {
		return "", err
	}
	return s.code(name, i)
}

// SetRoles replaces an account's roles; open sessions have the new ones from their next request on.
func (s *Service) SetRoles(ctx context.Context, actor desk.Actor, key, name string, roles []string) error {
	sorted, err := sortRoles(roles)
	if err != nil {
		return err
	}
	request := struct {
		Do    string
		Roles []string
	}{"set-roles", sorted}
	_, err = change(ctx, s, actor, key, name, request, func(tx *store.Tx, a *Account) (struct{}, error) {
		a.Roles = sorted
		audit(tx, protocol.ActAdminister, actor, "roles set", a)
		return struct{}{}, keepAdministrator(tx, a)
	})
	return err
}

// Disable shuts an account and ends its sessions. The account stays: the audit log names it, and the name is not given to anybody else.
func (s *Service) Disable(ctx context.Context, actor desk.Actor, key, name string) error {
	_, err := change(ctx, s, actor, key, name, "disable", func(tx *store.Tx, a *Account) (struct{}, error) {
		if a.Disabled {
			return struct{}{}, nil
		}
		a.Disabled = true
		audit(tx, protocol.ActAdminister, actor, "account disabled, sessions ended", a)
		if err := keepAdministrator(tx, a); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, endAll(tx, name)
	})
	return err
}

// Enable opens a disabled account again, with the secret it had.
func (s *Service) Enable(ctx context.Context, actor desk.Actor, key, name string) error {
	_, err := change(ctx, s, actor, key, name, "enable", func(tx *store.Tx, a *Account) (struct{}, error) {
		if !a.Disabled {
			return struct{}{}, nil
		}
		a.Disabled = false
		audit(tx, protocol.ActAdminister, actor, "account enabled", a)
		return struct{}{}, nil
	})
	return err
}

// change runs fn on an account, once for each key, and keeps what fn made of it.
func change[T any](ctx context.Context, s *Service, actor desk.Actor, key, name string, request any, fn func(*store.Tx, *Account) (T, error)) (T, error) {
	var zero T
	if err := CheckName(name); err != nil {
		return zero, err
	}
	full := struct {
		Name   string
		Change any
	}{name, request}
	return desk.Do(ctx, s.desk, manage(actor, key, name, full), func(tx *store.Tx) (T, error) {
		a, err := find(tx, name)
		if err != nil {
			return zero, err
		}
		if a == nil {
			return zero, desk.NotFound("there is no account %s: list the accounts to see their names", name)
		}
		out, err := fn(tx, a)
		if err != nil {
			return zero, err
		}
		a.Changed = tx.Now()
		return out, accounts.Put(tx, name, a)
	})
}

// keepAdministrator refuses a change of a that would leave the node without an administrator who can log in.
func keepAdministrator(tx *store.Tx, changed *Account) error {
	if changed.administers() {
		return nil
	}
	before, err := accounts.Get(tx, changed.Name)
	if err != nil {
		return err
	}
	if !before.administers() {
		return nil
	}
	for name, a := range accounts.All(tx) {
		if name != changed.Name && a.administers() {
			return nil
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	return desk.Conflict("%s is the last administrator who can log in: add another one, let that person enrol, then repeat this", changed.Name)
}

// List shows all accounts by name, to whoever may manage them.
func (s *Service) List(ctx context.Context, actor desk.Actor) ([]View, error) {
	e := entry(protocol.ActConsult, actor.Name, "", "accounts listed")
	return desk.Read(ctx, s.desk, manage(actor, "", "", nil), e, func(tx *store.Tx) ([]View, error) {
		now := tx.Now()
		open := map[string]int{}
		for _, r := range sessions.All(tx) {
			if !r.over(now) {
				open[r.Account]++
			}
		}
		views := []View{}
		for name, a := range accounts.All(tx) {
			v := View{
				Name: name, FullName: a.FullName, Roles: a.Roles, State: a.StateAt(now), Failures: a.Failures, Sessions: open[name],
				LastLogin: a.LastLogin, Created: a.Created, CreatedBy: a.CreatedBy, Changed: a.Changed,
			}
			switch v.State {
			case Locked:
				v.Until = a.LockedUntil
			case Waiting, Expired:
				v.Until = a.CodeUntil
			}
			views = append(views, v)
		}
		return views, nil
	})
}

// audit records what an administrator did with an account.
func audit(tx *store.Tx, action protocol.AuditAction, actor desk.Actor, event string, a *Account) {
	e := entry(action, actor.Name, a.Name, event)
	e.Details = map[string]string{"roles": strings.Join(a.Roles, " ")}
	tx.Audit(e)
}
