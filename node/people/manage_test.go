package people

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

// Only administrators manage people, and each attempt of others is in the log.
func TestOthersManageNobody(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	b.enrolled(chief, "anna", annaSecret, policy.Examiner)
	for _, role := range slices.DeleteFunc(policy.Roles(), func(r string) bool { return r == policy.Administrator }) {
		who := desk.Actor{Name: "anna", Roles: []string{role}}
		denied := len(b.entries(store.AuditQuery{Actor: "anna", Decision: "deny"}))
		var errs []error
		_, err := b.Add(ctx, who, "", "friend", "", []string{policy.Examiner})
		errs = append(errs, err)
		_, err = b.ResetCode(ctx, who, "", "chief")
		errs = append(errs, err)
		_, err = b.List(ctx, who)
		errs = append(errs, err, b.SetRoles(ctx, who, "", "anna", []string{policy.Administrator}), b.Disable(ctx, who, "", "chief"), b.Enable(ctx, who, "", "chief"))
		for i, err := range errs {
			if !errors.Is(err, desk.ErrForbidden) {
				t.Errorf("%s, attempt %d: %v, want ErrForbidden", role, i+1, err)
			}
		}
		if n := len(b.entries(store.AuditQuery{Actor: "anna", Decision: "deny"})) - denied; n != len(errs) {
			t.Errorf("%s: %d refusals in the log, want %d", role, n, len(errs))
		}
	}
	b.works("chief", chiefSecret)
	if got := b.account("anna").Roles; !slices.Equal(got, []string{policy.Examiner}) {
		t.Errorf("anna has the roles %v", got)
	}
}

func TestLastAdministrator(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	ncb := []string{policy.NCBOperator}
	attempts := map[string]func() error{
		"disable": func() error { return b.Disable(ctx, chief, "", "chief") },
		"role":    func() error { return b.SetRoles(ctx, chief, "", "chief", ncb) },
		"code":    func() error { _, err := b.ResetCode(ctx, chief, "", "chief"); return err },
	}
	refused := func(when string) {
		t.Helper()
		for what, attempt := range attempts {
			if err := attempt(); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "last administrator") {
				t.Errorf("%s, %s: %v, want the refusal for the last administrator", when, what, err)
			}
		}
	}
	refused("alone")
	code, err := b.Add(ctx, chief, "", "second", "", []string{policy.Administrator, policy.NCBOperator})
	if err != nil {
		t.Fatal(err)
	}
	refused("the second has not enrolled")
	if _, err := b.Enrol(ctx, "second", code, annaSecret); err != nil {
		t.Fatal(err)
	}
	if err := b.Disable(ctx, chief, "", "second"); err != nil {
		t.Fatal(err)
	}
	refused("the second is disabled")
	if err := b.Enable(ctx, chief, "", "second"); err != nil {
		t.Fatal(err)
	}
	b.works("second", annaSecret)
	if err := b.SetRoles(ctx, chief, "", "chief", ncb); err != nil {
		t.Errorf("with a second administrator: %v", err)
	}
	second := desk.Actor{Name: "second", Roles: []string{policy.Administrator}}
	if err := b.SetRoles(ctx, second, "", "second", []string{policy.Auditor}); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("the second is the last now: %v, want ErrConflict", err)
	}
	if err := b.Disable(ctx, second, "", "chief"); err != nil {
		t.Errorf("an account without the role: %v", err)
	}
}

func TestManageAbsentees(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	for _, c := range []struct {
		name string
		want error
	}{{"nobody", desk.ErrNotFound}, {"No Name", desk.ErrInvalid}} {
		_, err := b.ResetCode(ctx, chief, "", c.name)
		for i, err := range []error{err, b.SetRoles(ctx, chief, "", c.name, []string{policy.Auditor}), b.Disable(ctx, chief, "", c.name), b.Enable(ctx, chief, "", c.name)} {
			if !errors.Is(err, c.want) {
				t.Errorf("%s, %d: %v, want %v", c.name, i, err, c.want)
			}
		}
	}
	if _, err := b.Add(ctx, chief, "", "anna", "Anna\nSousa", []string{policy.Auditor}); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("a full name of two lines: %v, want ErrInvalid", err)
	}
	if _, err := b.Add(ctx, chief, "", "anna", "", nil); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("no role: %v, want ErrInvalid", err)
	}
}

func TestResetCode(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	session := b.enrolled(chief, "anna", annaSecret, policy.Examiner)
	for range freeFailures {
		b.refused("anna", chiefSecret)
	}
	code, err := b.ResetCode(ctx, chief, "", "anna")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(ctx, session.Token); err != ErrSession {
		t.Errorf("the old session: %v, want ErrSession", err)
	}
	b.refused("anna", annaSecret)
	fresh := []byte("another sentence for Anna")
	if _, err := b.Enrol(ctx, "anna", code, fresh); err != nil {
		t.Fatalf("a locked account with a new code: %v", err)
	}
	b.works("anna", fresh)
	b.refused("anna", annaSecret)
	if _, err := b.Authenticate(ctx, session.Token); err != ErrSession {
		t.Errorf("the old session after the new enrolment: %v, want ErrSession", err)
	}
	if err := b.Disable(ctx, chief, "", "anna"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ResetCode(ctx, chief, "", "anna"); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("a new code for a disabled account: %v, want ErrConflict", err)
	}
}

func TestListStates(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	b.enrolled(chief, "locked", annaSecret, policy.Examiner)
	b.enrolled(chief, "gone", secretOf("gone"), policy.Examiner)
	if _, err := b.Add(ctx, chief, "", "expired", "", []string{policy.Examiner}); err != nil {
		t.Fatal(err)
	}
	b.wait(codeValid)
	if _, err := b.Add(ctx, chief, "", "waiting", "", []string{policy.Examiner}); err != nil {
		t.Fatal(err)
	}
	if err := b.Disable(ctx, chief, "", "gone"); err != nil {
		t.Fatal(err)
	}
	for range freeFailures {
		b.refused("locked", chiefSecret)
	}
	views, err := b.List(ctx, chief)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name  string
		state State
		until time.Time
	}{
		{"chief", Active, time.Time{}}, {"expired", Expired, b.now}, {"gone", Disabled, time.Time{}},
		{"locked", Locked, b.now.Add(lockFirst)}, {"waiting", Waiting, b.now.Add(codeValid)},
	}
	if len(views) != len(want) {
		t.Fatalf("%d accounts, want %d", len(views), len(want))
	}
	for i, w := range want {
		if v := views[i]; v.Name != w.name || v.State != w.state || !v.Until.Equal(w.until) {
			t.Errorf("%s is %s until %v, want %s %s until %v", v.Name, v.State, v.Until, w.name, w.state, w.until)
		}
	}
	if n := len(b.entries(store.AuditQuery{Action: "consult", Actor: "chief"})); n != 1 {
		t.Errorf("%d entries of the view, want 1", n)
	}
}
