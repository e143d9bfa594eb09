package people

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

const (
	sessionFor   = 8 * time.Hour    // from log-in, whatever happens
	sessionIdle  = 30 * time.Minute // without a request
	touchEvery   = time.Minute      // how often use is written down: a session ends 29 to 30 idle minutes after its last use
	sessionsMost = 16               // of one account; a further log-in ends the oldest
	tokenSize    = 32               // bytes
)

// Session is what a person gets for the secret. The token is shown once; the store holds only its hash.
type Session struct {
	Token   string    `json:"token"` // 32 random bytes in base64url
	Name    string    `json:"name"`
	Roles   []string  `json:"roles"`
	Expires time.Time `json:"expires"`
	Resets  []Reset   `json:"resets,omitempty"` // what the person is told of the own secret
}

// sessionRecord is kept under the SHA-256 of the token, in hexadecimal.
type sessionRecord struct {
	Account string    `json:"account"`
	Opened  time.Time `json:"opened"`
	Seen    time.Time `json:"seen"` // last use, to a minute
	Expires time.Time `json:"expires"`
}

var sessions = store.NewCollection("session", store.Index[sessionRecord]{
	Name: "account",
	Keys: func(r *sessionRecord) []string { return []string{r.Account} },
})

func (r *sessionRecord) over(now time.Time) bool {
	return !now.Before(r.Expires) || now.Sub(r.Seen) >= sessionIdle
}

func tokenID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// open opens a session of an account and clears what stood against it.
func open(tx *store.Tx, a *Account, event string, details map[string]string) (*Session, error) {
	raw, err := draw(tx, tokenSize)
	if err != nil {
		return nil, err
	}
	now := tx.Now()
	if err := makeRoom(tx, a.Name); err != nil {
		return nil, err
	}
	token := base64.RawURLEncoding.EncodeToString(raw)
	r := &sessionRecord{Account: a.Name, Opened: now, Seen: now, Expires: now.Add(sessionFor)}
	if err := sessions.Put(tx, tokenID(token), r); err != nil {
		return nil, err
	}
	a.Failures, a.LockedUntil, a.LastLogin = 0, time.Time{}, now
	if err := accounts.Put(tx, a.Name, a); err != nil {
		return nil, err
	}
	e := entry(protocol.ActAdminister, a.Name, a.Name, event)
	e.Details = details
	tx.Audit(e)
	return &Session{Token: token, Name: a.Name, Roles: slices.Clone(a.Roles), Expires: r.Expires, Resets: a.resetsToTell(now)}, nil
}

// makeRoom ends an account's sessions that are over, and its oldest if there are too many.
func makeRoom(tx *store.Tx, name string) error {
	type held struct {
		id     string
		opened time.Time
	}
	var live []held
	var over []string
	for id, r := range sessions.By(tx, "account", name) {
		if r.over(tx.Now()) {
			over = append(over, id)
		} else {
			live = append(live, held{id, r.Opened})
		}
	}
	slices.SortFunc(live, func(a, b held) int { return a.opened.Compare(b.opened) })
	for len(live) >= sessionsMost {
		over, live = append(over, live[0].id), live[1:]
	}
	return endSessions(tx, over)
}

// endAll ends every session of an account.
func endAll(tx *store.Tx, name string) error {
	var ids []string
	for id := range sessions.By(tx, "account", name) {
		ids = append(ids, id)
	}
	return endSessions(tx, ids)
}

func endSessions(tx *store.Tx, ids []string) error {
	if err := tx.Err(); err != nil {
		return err
	}
	for _, id := range ids {
		if err := sessions.Delete(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// Authenticate gives the account that a token stands for, with the roles that it has now; ErrSession if there is no session.
func (s *Service) Authenticate(ctx context.Context, token string) (desk.Actor, error) {
	id := tokenID(token)
	var actor desk.Actor
	var touch bool
	err := s.desk.Store.View(func(tx *store.Tx) error {
		r, a, err := live(tx, id)
		if err != nil {
			return err
		}
		actor = desk.Actor{Name: a.Name, Roles: slices.Clone(a.Roles), Account: true}
		touch = r.stale(tx.Now())
		return nil
	})
	if errors.Is(err, ErrSession) {
		if e := s.strange(ctx, id); e != nil {
			err = e
		}
	}
	if err != nil {
		return desk.Actor{}, err
	}
	if touch {
		if err := s.touch(ctx, id); err != nil {
			return desk.Actor{}, err
		}
	}
	return actor, nil
}

// Stands tells whether an actor's account is as it was when the command came, within the act itself: what a command prepares may take minutes, in which the
// account is disabled or a role taken away. A session that ends meanwhile by itself ends no command that it began.
func (s *Service) Stands(tx *store.Tx, actor desk.Actor) error {
	a, err := find(tx, actor.Name)
	switch {
	case err != nil:
		return fmt.Errorf("look up the account of %s: %w", actor.Name, err)
	case a == nil || a.Disabled || a.Secret == "":
		return ErrSession
	case !slices.Equal(a.Roles, actor.Roles):
		return desk.Conflict("your roles changed while the command ran, and nothing was done: send it again")
	}
	return nil
}

func (r *sessionRecord) stale(now time.Time) bool { return now.Sub(r.Seen) >= touchEvery }

// live reads a session and its account, both fit for use.
func live(tx *store.Tx, id string) (*sessionRecord, *Account, error) {
	r, err := sessions.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, ErrSession
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up a session: %w", err)
	}
	a, err := find(tx, r.Account)
	if err != nil {
		return nil, nil, fmt.Errorf("look up a session's account: %w", err)
	}
	if r.over(tx.Now()) || a == nil || a.Disabled || a.Secret == "" {
		return nil, nil, ErrSession
	}
	return r, a, nil
}

// Stranger counts a command that came with no token at all.
func (s *Service) Stranger(ctx context.Context) error { return s.strange(ctx, "") }

// strange counts a command of nobody: without a session, or with one that is over, whose account is then known.
func (s *Service) strange(ctx context.Context, id string) error {
	err := s.desk.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
		r, err := sessions.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return count(tx, strangers, "command refused", "no-session")
		}
		if err != nil {
			return err
		}
		return count(tx, r.Account, "command refused", "session-ended")
	})
	if errors.Is(err, store.ErrDiskReserve) {
		return nil // it gets the same answer, and nothing was shown
	}
	return err
}

// touch writes down that a session is in use.
func (s *Service) touch(ctx context.Context, id string) error {
	err := s.desk.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
		r, _, err := live(tx, id)
		if err != nil || !r.stale(tx.Now()) {
			return err // another request was faster
		}
		r.Seen = tx.Now()
		return sessions.Put(tx, id, r)
	})
	if errors.Is(err, store.ErrDiskReserve) {
		return nil // what needs no writing still works; the session then ends as if idle
	}
	return err
}

// Logout ends the session of a token; one that has ended already is no error.
func (s *Service) Logout(ctx context.Context, token string) error {
	id := tokenID(token)
	err := s.desk.Store.UpdateSmall(ctx, func(tx *store.Tx) error {
		r, err := sessions.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		tx.Audit(entry(protocol.ActAdminister, r.Account, r.Account, "logged out"))
		return sessions.Delete(tx, id)
	})
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}
