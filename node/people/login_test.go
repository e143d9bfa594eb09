package people

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// A refusal must not tell who has an account. Time is not measured: that the work is the same is shown by counting it.
func TestRefusalsLookAlike(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	for _, name := range []string{"locked", "disabled", "resigned"} {
		b.enrolled(chief, name, secretOf(name), policy.Examiner)
	}
	if _, err := b.Add(ctx, chief, "", "waiting", "", []string{policy.Examiner}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"disabled", "resigned"} {
		if err := b.Disable(ctx, chief, "", name); err != nil {
			t.Fatal(err)
		}
	}
	for range freeFailures {
		b.refused("locked", []byte("not the secret at all"))
	}
	for _, c := range []struct {
		what, name string
		secret     []byte
	}{
		{"unknown account", "nobody", annaSecret},
		{"impossible name", "a\x00b/../" + strings.Repeat("z", 1<<16), annaSecret},
		{"empty name", "", annaSecret},
		{"the node itself", "node", annaSecret},
		{"wrong secret", "chief", annaSecret},
		{"empty secret", "chief", nil},
		{"oversized secret", "chief", bytes.Repeat([]byte("s"), 1<<20)},
		{"not enrolled", "waiting", annaSecret},
		{"not enrolled, empty secret", "waiting", nil},
		{"locked, right secret", "locked", secretOf("locked")},
		{"locked, wrong secret", "locked", chiefSecret},
		{"disabled, right secret", "disabled", secretOf("disabled")},
		{"disabled, wrong secret", "resigned", chiefSecret},
	} {
		hashes, commits := b.hashes.Load(), b.desk.Store.Commits()
		_, err := b.Login(ctx, c.name, c.secret)
		if err != ErrCredentials || !errors.Is(err, desk.ErrForbidden) {
			t.Errorf("%s: error %v, want ErrCredentials", c.what, err)
		}
		if h, n := b.hashes.Load()-hashes, b.desk.Store.Commits()-commits; h != 1 || n != 1 {
			t.Errorf("%s: %d hashes and %d commits, want 1 of each", c.what, h, n)
		}
	}
	hashes, commits := b.hashes.Load(), b.desk.Store.Commits()
	b.works("chief", chiefSecret)
	if h, n := b.hashes.Load()-hashes, b.desk.Store.Commits()-commits; h != 1 || n != 1 {
		t.Errorf("success: %d hashes and %d commits, want 1 of each", h, n)
	}
}

func TestLockFor(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		0: 0, 4: 0, 5: time.Minute, 6: 2 * time.Minute, 7: 4 * time.Minute, 10: 32 * time.Minute, 11: time.Hour, 12: time.Hour, 1 << 30: time.Hour,
	} {
		if got := lockFor(failures); got != want {
			t.Errorf("after %d failures %v, want %v", failures, got, want)
		}
	}
}

func TestLockGrowsAndEnds(t *testing.T) {
	b := newBureau(t)
	b.chief()
	wrong := []byte("not the secret at all")
	for range freeFailures - 1 {
		b.refused("chief", wrong)
	}
	b.works("chief", chiefSecret) // clears the count
	for range freeFailures {
		b.refused("chief", wrong)
	}
	for _, lock := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		b.refused("chief", chiefSecret)
		b.wait(lock - time.Second)
		b.refused("chief", chiefSecret)
		b.wait(time.Second)
		b.refused("chief", wrong)
	}
	b.wait(8 * time.Minute)
	b.works("chief", chiefSecret)
	if a := b.account("chief"); a.Failures != 0 || !a.LockedUntil.IsZero() {
		t.Errorf("after a log-in: %d failures, locked until %v", a.Failures, a.LockedUntil)
	}
	if n := len(b.entries(store.AuditQuery{Decision: "deny", Object: "chief", Text: "account locked"})); n != 4 {
		t.Errorf("%d locks in the log, want 4", n)
	}
}

// Guesses that wait for their hashes at the same time must not get around the lock.
func TestParallelGuesses(t *testing.T) {
	b := newBureau(t)
	b.chief()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, err := b.Login(ctx, "chief", fmt.Appendf(nil, "guess number %d", i)); err != ErrCredentials {
				t.Errorf("guess %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if a := b.account("chief"); a.Failures != freeFailures {
		t.Errorf("%d guesses counted before the lock, want %d", a.Failures, freeFailures)
	}
	wrong := 0
	for _, r := range b.entries(store.AuditQuery{Decision: "deny"}) {
		if r.Ground == "wrong-secret" {
			wrong++
		}
	}
	if wrong != freeFailures {
		t.Errorf("%d entries of wrong secrets, want %d", wrong, freeFailures)
	}
}

// What happened to the account while the hash was computed counts.
func TestAccountChangesDuringLogin(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	another, err := crypto.HashSecret(chiefSecret, rand.Reader, crypto.TestCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"anna": func() error { return b.Disable(ctx, chief, "", "anna") },
		"bela": func() error { _, err := b.ResetCode(ctx, chief, "", "bela"); return err },
		"cleo": func() error {
			a := b.account("cleo")
			a.Secret = another
			b.putAccount(a)
			return nil
		},
	} {
		b.enrolled(chief, name, secretOf(name), policy.Examiner)
		for range atOnce {
			b.slots <- struct{}{} // nobody hashes
		}
		result := make(chan error)
		go func() {
			_, err := b.Login(ctx, name, secretOf(name))
			result <- err
		}()
		time.Sleep(20 * time.Millisecond) // the log-in reads the account meanwhile; if it is late the answer is the same
		if err := change(); err != nil {
			t.Fatal(err)
		}
		for range atOnce {
			<-b.slots
		}
		if err := <-result; err != ErrCredentials {
			t.Errorf("%s: %v, want ErrCredentials", name, err)
		}
	}
}

// What a command prepares may take minutes. In the act itself it is found that the account was disabled meanwhile, got a new code or other roles; that the session
// has ended by itself, or was ended by its owner, undoes no command that it began.
func TestAccountChangesWhileACommandRuns(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	for name, c := range map[string]struct {
		change func(name string, s *Session) error
		want   error
	}{
		"anna": {func(n string, _ *Session) error { return b.Disable(ctx, chief, "", n) }, ErrSession},
		"bela": {func(n string, _ *Session) error { _, err := b.ResetCode(ctx, chief, "", n); return err }, ErrSession},
		"cleo": {func(n string, _ *Session) error {
			return b.SetRoles(ctx, chief, "", n, []string{policy.Examiner})
		}, desk.ErrConflict},
		"dora": {func(_ string, s *Session) error { return b.Logout(ctx, s.Token) }, nil},
		"emma": {func(_ string, _ *Session) error { b.wait(sessionIdle); return nil }, nil},
	} {
		session := b.enrolled(chief, name, secretOf(name), policy.Technician)
		actor, err := b.Authenticate(ctx, session.Token)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.change(name, session); err != nil {
			t.Fatal(err)
		}
		act := desk.Act{Actor: actor, Action: policy.CaseAdd, Resource: policy.Resource{Type: policy.KindCase, ID: "C-1"}}
		done := false
		_, err = desk.Do(ctx, b.desk, act, func(*store.Tx) (struct{}, error) { done = true; return struct{}{}, nil })
		if !errors.Is(err, c.want) || done != (c.want == nil) {
			t.Errorf("%s: %v, want %v; done %v", name, err, c.want, done)
		}
		act.Action = policy.CaseView
		seen := false
		_, err = desk.Read(ctx, b.desk, act, protocol.AuditEntry{}, func(*store.Tx) (struct{}, error) { seen = true; return struct{}{}, nil })
		if !errors.Is(err, c.want) || seen != (c.want == nil) {
			t.Errorf("%s: %v, want %v; seen %v", name, err, c.want, seen)
		}
	}
}

// However often somebody tries, the log grows by an entry a minute, and the attempts add up.
func TestRefusalsAreCounted(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	b.enrolled(chief, "anna", annaSecret, policy.Examiner)
	if err := b.Disable(ctx, chief, "", "anna"); err != nil {
		t.Fatal(err)
	}
	const tries, minutes = 120, 3
	for range minutes {
		for i := range tries / minutes {
			b.refused(fmt.Sprintf("guess-%d", i), chiefSecret)
			b.refused("anna", annaSecret)
			b.wait(time.Second)
		}
		b.wait(time.Minute)
	}
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	entries := b.entries(store.AuditQuery{Decision: "deny"})
	for _, r := range entries {
		if r.Action != protocol.ActDeny || r.Kind != "account" {
			t.Errorf("entry %+v", r)
		}
		n, err := strconv.Atoi(r.Details["attempts"])
		if err != nil {
			t.Fatal(err)
		}
		counts[r.Ground] += n
	}
	if counts["unknown-account"] != tries || counts["disabled"] != tries {
		t.Errorf("attempts in the log %v, want %d of each", counts, tries)
	}
	if len(entries) > 2*(minutes+1) {
		t.Errorf("%d entries of refusals in %d bursts, want at most %d", len(entries), minutes, 2*(minutes+1))
	}
	// A clock that was set back does not silence the log until it has caught up.
	b.wait(-24 * time.Hour)
	b.refused("nobody", chiefSecret)
	if n := len(b.entries(store.AuditQuery{Decision: "deny"})) - len(entries); n != 1 {
		t.Errorf("%d entries after the clock was set back, want 1", n)
	}
	commits := b.desk.Store.Commits()
	if err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if n := b.desk.Store.Commits() - commits; n != 0 {
		t.Errorf("a sweep with nothing to do made %d commits", n)
	}
}
