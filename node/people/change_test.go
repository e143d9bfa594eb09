package people

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

var newSecret = []byte("three kites over the Tagus")

func TestChangingTheOwnSecret(t *testing.T) {
	b := newBureau(t)
	here := b.enrolled(b.chief(), "anna", annaSecret, policy.Examiner)
	there, over := b.works("anna", annaSecret), b.works("anna", annaSecret)
	if err := b.Logout(ctx, over.Token); err != nil {
		t.Fatal(err)
	}
	done, err := b.ChangeSecret(ctx, here.Token, annaSecret, newSecret)
	if err != nil || done.Name != "anna" || done.Ended != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, open := b.open(here.Token); !open {
		t.Error("the session in which the secret was changed is over")
	}
	if _, open := b.open(there.Token); open {
		t.Error("a session under the old secret goes on")
	}
	b.refused("anna", annaSecret)
	b.works("anna", newSecret)
	// A client that did not hear the answer.
	if again, err := b.ChangeSecret(ctx, here.Token, annaSecret, newSecret); err != nil || again.Ended != 0 || !again.At.Equal(done.At) {
		t.Errorf("again: %+v, %v", again, err)
	}
	var changes int
	for _, e := range b.entries(store.AuditQuery{Actor: "anna"}) {
		if e.Event == "own secret changed" && e.Details["sessions_ended"] == "1" {
			changes++
		}
	}
	if changes != 1 {
		t.Errorf("%d entries of a change, want 1", changes)
	}
}

func TestASecretIsNotChanged(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	token := b.enrolled(chief, "anna", annaSecret, policy.Examiner).Token
	for name, c := range map[string]struct {
		token    string
		old, new []byte
		want     error
	}{
		"no session":      {"made up", annaSecret, newSecret, ErrSession},
		"wrong old":       {token, []byte("not the secret at all"), newSecret, ErrOldSecret},
		"no old":          {token, nil, newSecret, ErrOldSecret},
		"the same":        {token, annaSecret, annaSecret, desk.ErrInvalid},
		"short":           {token, annaSecret, []byte("short"), desk.ErrInvalid},
		"another's":       {token, annaSecret, chiefSecret, ErrShared},
		"another's, typo": {token, []byte("not the secret at all"), chiefSecret, ErrOldSecret},
	} {
		if _, err := b.ChangeSecret(ctx, c.token, c.old, c.new); !errors.Is(err, c.want) || c.want == ErrShared && err != ErrShared { // said without a preface
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	b.works("anna", annaSecret)
}

// Whoever sits down at somebody's open session gets as many tries as at a log-in, and both count together.
func TestOldSecretsAreCountedAsAtALogIn(t *testing.T) {
	b := newBureau(t)
	token := b.enrolled(b.chief(), "anna", annaSecret, policy.Examiner).Token
	b.refused("anna", []byte("not the secret at all"))
	for range freeFailures - 1 {
		if _, err := b.ChangeSecret(ctx, token, []byte("not the secret at all"), newSecret); !errors.Is(err, ErrOldSecret) {
			t.Fatal(err)
		}
	}
	for _, old := range [][]byte{annaSecret, []byte("not the secret at all")} {
		if _, err := b.ChangeSecret(ctx, token, old, newSecret); !errors.Is(err, ErrLocked) {
			t.Errorf("locked: %v", err)
		}
	}
	b.refused("anna", annaSecret)
	b.wait(lockFirst)
	if _, err := b.ChangeSecret(ctx, token, annaSecret, newSecret); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// One person with two accounts is not two people: no secret opens two, however it is typed, also where the other account is disabled.
func TestNoSecretOpensTwoAccounts(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	b.enrolled(chief, "anna", []byte("um caf\u00e9 na esquina"), policy.NCBOperator)
	if err := b.Disable(ctx, chief, "", "anna"); err != nil {
		t.Fatal(err)
	}
	code, err := b.Add(ctx, chief, "", "bela", "", []string{policy.NCBOperator})
	if err != nil {
		t.Fatal(err)
	}
	before := b.hashes.Load()
	for range sharedMost - 1 {
		if _, err := b.Enrol(ctx, "bela", code, []byte("um cafe\u0301 na esquina")); !errors.Is(err, ErrShared) {
			t.Fatalf("the secret of another account: %v", err)
		}
	}
	tries := b.hashes.Load() - before
	if _, err := b.Enrol(ctx, "bela", code, secretOf("bela")); err != nil {
		t.Fatalf("an own one: %v", err)
	}
	if free := b.hashes.Load() - before - tries; free*(sharedMost-1) != tries {
		t.Errorf("%d hashes for a free secret, %d for %d taken ones: the time would tell", free, tries, sharedMost-1)
	}
	var told []string
	for _, e := range b.entries(store.AuditQuery{Actor: "bela"}) {
		if e.Ground == "secret-of-another-account" {
			told = append(told, e.Details["accounts"])
		}
	}
	if want := slices.Repeat([]string{"anna"}, sharedMost-1); !slices.Equal(told, want) {
		t.Errorf("the log names %q, want %q", told, want)
	}
}

func TestACodeFindsOutNoSecrets(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	code, err := b.Add(ctx, chief, "", "bela", "", []string{policy.Examiner})
	if err != nil {
		t.Fatal(err)
	}
	for range sharedMost {
		if _, err := b.Enrol(ctx, "bela", code, chiefSecret); !errors.Is(err, ErrShared) {
			t.Fatal(err)
		}
	}
	if _, err := b.Enrol(ctx, "bela", code, secretOf("bela")); !errors.Is(err, ErrEnrolment) {
		t.Errorf("after %d tries the code still works: %v", sharedMost, err)
	}
	if code, err = b.ResetCode(ctx, chief, "", "bela"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Enrol(ctx, "bela", code, secretOf("bela")); err != nil {
		t.Error(err)
	}
}

// Two who choose the same secret at the same moment: one of them gets it.
func TestTheSameSecretAtTheSameTime(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	people := []string{"anna", "bela", "cleo", "dora"}
	codes := map[string]string{}
	for _, name := range people {
		code, err := b.Add(ctx, chief, "", name, "", []string{policy.Examiner})
		if err != nil {
			t.Fatal(err)
		}
		codes[name] = code
	}
	results := make(chan error, len(people))
	for name, code := range codes {
		go func() {
			_, err := b.Enrol(ctx, name, code, newSecret)
			results <- err
		}()
	}
	var got int
	for range people {
		if err := <-results; err == nil {
			got++
		} else if !errors.Is(err, ErrShared) {
			t.Error(err)
		}
	}
	if got != 1 {
		t.Errorf("%d accounts have the same secret, want 1", got)
	}
}

func TestOnePersonHasOneAccount(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	if _, err := b.Add(ctx, chief, "", "rita", "Rita Alves", []string{policy.NCBOperator}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Rita Alves", "RITA  alves", "rita a\u006cves"} {
		if _, err := b.Add(ctx, chief, "", "rita2", name, []string{policy.NCBOperator}); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "rita") {
			t.Errorf("%q: %v, want a conflict that names the account", name, err)
		}
	}
	for account, name := range map[string]string{"rui": "Rui Alves", "none": "", "none2": "", "rita3": "Rita Alves (Porto)"} {
		if _, err := b.Add(ctx, chief, "", account, name, []string{policy.NCBOperator}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
