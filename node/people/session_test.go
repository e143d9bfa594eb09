package people

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

func (b *bureau) open(token string) (desk.Actor, bool) {
	b.t.Helper()
	actor, err := b.Authenticate(ctx, token)
	if err != nil && err != ErrSession {
		b.t.Fatal(err)
	}
	return actor, err == nil
}

func TestSessionEndsWhenIdle(t *testing.T) {
	b := newBureau(t)
	b.chief()
	session := b.works("chief", chiefSecret)
	for range 5 {
		b.wait(sessionIdle - time.Second)
		if _, ok := b.open(session.Token); !ok {
			t.Fatal("a session in use ended")
		}
	}
	b.restart()
	b.wait(sessionIdle - time.Second)
	if _, ok := b.open(session.Token); !ok {
		t.Fatal("a session did not survive a restart")
	}
	b.wait(sessionIdle)
	if _, ok := b.open(session.Token); ok {
		t.Error("an idle session is open")
	}
}

func TestSessionEndsAbsolutely(t *testing.T) {
	b := newBureau(t)
	b.chief()
	session := b.works("chief", chiefSecret)
	if want := b.now.Add(8 * time.Hour); !session.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", session.Expires, want)
	}
	for range 8*60/20 - 1 {
		b.wait(20 * time.Minute)
		if _, ok := b.open(session.Token); !ok {
			t.Fatal("a session in use ended too early")
		}
	}
	b.wait(20 * time.Minute)
	if _, ok := b.open(session.Token); ok {
		t.Error("a session of 8 hours is open")
	}
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	err := b.desk.Store.View(func(tx *store.Tx) error {
		if n, err := sessions.Count(tx); err != nil || n != 0 {
			t.Errorf("%d sessions kept after a sweep (%v)", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A request must not cost an fsync.
func TestUseIsWrittenOnceAMinute(t *testing.T) {
	b := newBureau(t)
	b.chief()
	session := b.works("chief", chiefSecret)
	commits := b.desk.Store.Commits()
	const minutes = 3
	for range minutes {
		b.wait(touchEvery)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					if _, ok := b.open(session.Token); !ok {
						t.Error("a session in use ended")
					}
				}
			})
		}
		wg.Wait()
	}
	if n := b.desk.Store.Commits() - commits; n != minutes {
		t.Errorf("%d requests made %d commits in %d minutes, want %d", minutes*8*20, n, minutes, minutes)
	}
}

func TestRolesAreThoseOfNow(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	session := b.enrolled(chief, "anna", annaSecret, policy.Examiner, policy.Technician)
	if err := b.SetRoles(ctx, chief, "", "anna", []string{policy.Technician}); err != nil {
		t.Fatal(err)
	}
	if actor, ok := b.open(session.Token); !ok || !slices.Equal(actor.Roles, []string{policy.Technician}) {
		t.Errorf("open %v with %v, want technician alone", ok, actor.Roles)
	}
	if err := b.Disable(ctx, chief, "", "anna"); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.open(session.Token); ok {
		t.Error("the session of a disabled account is open")
	}
	if err := b.Enable(ctx, chief, "", "anna"); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.open(session.Token); ok {
		t.Error("a session came back with the account")
	}
	session = b.works("anna", annaSecret)
	// Whatever shuts an account, its sessions are not asked whether they were ended.
	for what, shut := range map[string]func(*Account){"disabled": func(a *Account) { a.Disabled = true }, "without a secret": func(a *Account) { a.Secret = "" }} {
		a := b.account("anna")
		whole := *a
		shut(a)
		b.putAccount(a)
		if _, ok := b.open(session.Token); ok {
			t.Errorf("the session of an account %s is open", what)
		}
		b.putAccount(&whole)
	}
	if _, ok := b.open(session.Token); !ok {
		t.Error("the session of a whole account is not open")
	}
}

func TestTokens(t *testing.T) {
	b := newBureau(t)
	b.chief()
	first := b.works("chief", chiefSecret)
	raw, err := base64.RawURLEncoding.DecodeString(first.Token)
	if err != nil || len(raw) != 32 {
		t.Fatalf("a token of %d bytes (%v), want 32", len(raw), err)
	}
	for _, wrong := range []string{"", "x", first.Token + "=", first.Token[1:], tokenID(first.Token), strings.Repeat("A", 1<<20)} {
		if _, ok := b.open(wrong); ok {
			t.Errorf("%.50q opens a session", wrong)
		}
	}
	tokens := []string{first.Token}
	for range sessionsMost {
		b.wait(time.Second)
		tokens = append(tokens, b.works("chief", chiefSecret).Token)
	}
	for i, token := range tokens {
		if _, ok := b.open(token); ok == (i == 0) {
			t.Errorf("session %d of %d: open %v", i+1, len(tokens), ok)
		}
	}
	slices.Sort(tokens)
	if len(slices.Compact(tokens)) != sessionsMost+1 {
		t.Error("two sessions have one token")
	}
}
