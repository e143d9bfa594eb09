package people

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

func TestEnrolRefusals(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	add := func(name string) string {
		t.Helper()
		code, err := b.Add(ctx, chief, "", name, "", []string{policy.Examiner})
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	early := add("early")
	b.wait(codeValid - time.Second)
	late, other, gone := add("late"), add("other"), add("gone")
	if err := b.Disable(ctx, chief, "", "gone"); err != nil {
		t.Fatal(err)
	}
	b.wait(time.Second) // now early's code has expired
	replaced := add("replaced")
	if _, err := b.ResetCode(ctx, chief, "", "replaced"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, name, code string }{
		{"unknown account", "nobody", late},
		{"impossible name", "No\x00body", late},
		{"somebody else's code", "late", other},
		{"expired code", "early", early},
		{"replaced code", "replaced", replaced},
		{"disabled account", "gone", gone},
		{"no code", "late", ""},
		{"no code where none was given", "chief", ""},
		{"half a code", "late", late[:9]},
		{"two codes", "late", late + late},
		{"no base32", "late", "UUUU-UUUU-UUUU-UUUU"},
		{"an enormous code", "late", strings.Repeat("-", 1<<20) + late},
	} {
		hashes, commits := b.hashes.Load(), b.desk.Store.Commits()
		if _, err := b.Enrol(ctx, c.name, c.code, annaSecret); err != ErrEnrolment {
			t.Errorf("%s: %v, want ErrEnrolment", c.what, err)
		}
		if h, n := b.hashes.Load()-hashes, b.desk.Store.Commits()-commits; h != 0 || n != 1 {
			t.Errorf("%s: %d hashes and %d commits, want 0 and 1", c.what, h, n)
		}
	}
	if _, err := b.Enrol(ctx, "late", late, []byte("short")); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("short secret: %v, want ErrInvalid", err)
	}
	// None of that used the code up. It may be typed as people type.
	typed := " " + strings.ToLower(strings.NewReplacer("-", " ", "0", "o", "1", "l").Replace(late)) + " "
	if _, err := b.Enrol(ctx, "late", typed, annaSecret); err != nil {
		t.Errorf("code typed as %q: %v", typed, err)
	}
}

func TestEnrolOnce(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	code, err := b.Add(ctx, chief, "", "anna", "", []string{policy.Examiner})
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Enrol(ctx, "anna", code, annaSecret)
	if err != nil {
		t.Fatal(err)
	}
	// A client that crashed repeats itself: a session, and nothing else changes.
	encoded := b.account("anna").Secret
	again, err := b.Enrol(ctx, "anna", code, annaSecret)
	if err != nil {
		t.Fatal(err)
	}
	if again.Token == first.Token || b.account("anna").Secret != encoded {
		t.Error("the repetition gave the same token or set another secret")
	}
	// Whoever finds the code afterwards cannot set a secret, and guesses no better than at the log-in.
	for range freeFailures {
		if _, err := b.Enrol(ctx, "anna", code, chiefSecret); err != ErrCredentials {
			t.Fatalf("used code with another secret: %v, want ErrCredentials", err)
		}
	}
	b.refused("anna", annaSecret)
	b.wait(codeValid)
	if _, err := b.Enrol(ctx, "anna", code, annaSecret); err != ErrEnrolment {
		t.Errorf("used code after its time: %v, want ErrEnrolment", err)
	}
	b.works("anna", annaSecret)
}

// Two who hold one code at the same time: one sets the secret, and it is that one's.
func TestEnrolTogether(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	code, err := b.Add(ctx, chief, "", "anna", "", []string{policy.Examiner})
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{annaSecret, secretOf("second"), []byte("the third of the three"), []byte("the fourth of the four")}
	results := make([]error, len(secrets))
	var wg sync.WaitGroup
	for i, secret := range secrets {
		wg.Go(func() { _, results[i] = b.Enrol(ctx, "anna", code, secret) })
	}
	wg.Wait()
	winners := 0
	for i, err := range results {
		switch {
		case err == nil:
			winners++
			b.works("anna", secrets[i])
		case !errors.Is(err, desk.ErrConflict) && err != ErrCredentials:
			t.Errorf("%v, want a conflict or ErrCredentials", err)
		}
	}
	if winners != 1 {
		t.Errorf("%d set the secret, want 1", winners)
	}
}

func TestAddRetried(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	add := func(key, name string) (string, error) {
		return b.Add(ctx, chief, key, name, "", []string{policy.Examiner})
	}
	code, err := add("k1", "anna")
	if err != nil {
		t.Fatal(err)
	}
	b.restart()
	again, err := add("k1", "anna")
	if err != nil || again != code {
		t.Errorf("retry: %v, the same code: %v", err, again == code)
	}
	if n := len(b.entries(store.AuditQuery{Text: "account added", Object: "anna"})); n != 1 {
		t.Errorf("%d entries of one account added, want 1", n)
	}
	if _, err := add("k1", "bela"); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the key for another account: %v, want ErrConflict", err)
	}
	if _, err := add("k2", "anna"); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("a name twice: %v, want ErrConflict", err)
	}
	other, err := add("k3", "bela")
	if err != nil || other == code {
		t.Errorf("another account: %v, the same code: %v", err, other == code)
	}
	reset, err := b.ResetCode(ctx, chief, "k4", "anna")
	if err != nil || reset == code {
		t.Errorf("new code: %v, the same: %v", err, reset == code)
	}
	if again, err := b.ResetCode(ctx, chief, "k4", "anna"); err != nil || again != reset {
		t.Errorf("retry of the new code: %v, the same: %v", err, again == reset)
	}
	if _, err := b.Enrol(ctx, "anna", reset, annaSecret); err != nil {
		t.Error(err)
	}
}

func FuzzHashCode(f *testing.F) {
	for _, s := range []string{"", "KX7Q-2M9D-0RTB-W4HE", "kx7q 2m9d orlb w4he", "\n\r", "====", strings.Repeat("0", 17), "İ", "0000-0000-0000-000\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		h := hashCode(typed)
		if h != "" && len(h) != 64 {
			t.Fatalf("hash %q of %q", h, typed)
		}
		ascii := strings.IndexFunc(typed, func(r rune) bool { return r > 127 }) < 0
		half := len(typed) / 2
		if h != "" && ascii && len(typed) < 60 && hashCode(" "+strings.ToLower(typed[:half])+"-"+typed[half:]+"\r\n") != h {
			t.Fatalf("%q has another hash when it is typed differently", typed)
		}
	})
}
