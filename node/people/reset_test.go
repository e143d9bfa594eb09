package people

import (
	"slices"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/store"
)

// An administrator who keeps the code to himself takes an account over; the log names him, and the owner is told as soon as she is back.
func TestATakeoverIsTold(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	rival := desk.Actor{Name: "rival", Roles: []string{policy.Administrator}}
	if s := b.enrolled(chief, "anna", annaSecret, policy.Examiner); len(s.Resets) != 0 {
		t.Errorf("the first secret counts as a reset: %+v", s.Resets)
	}
	if _, err := b.ResetCode(ctx, rival, "", "anna"); err != nil {
		t.Fatal(err)
	}
	code, err := b.ResetCode(ctx, rival, "", "anna") // the second code before anybody enrolled
	if err != nil {
		t.Fatal(err)
	}
	taken := b.now
	if _, err := b.Enrol(ctx, "anna", code, []byte("a secret of the rival")); err != nil {
		t.Fatal(err)
	}
	b.wait(24 * time.Hour)
	if code, err = b.ResetCode(ctx, chief, "", "anna"); err != nil {
		t.Fatal(err)
	}
	s, err := b.Enrol(ctx, "anna", code, annaSecret)
	if err != nil {
		t.Fatal(err)
	}
	want := []Reset{{taken, "rival"}, {b.now, "chief"}}
	same := func(a, b Reset) bool { return a.By == b.By && a.At.Equal(b.At) }
	told, err := b.Resets("anna")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]Reset{"enrolment": s.Resets, "log-in": b.works("anna", annaSecret).Resets, "who am I": told} {
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("%s tells %+v, want %+v", name, got, want)
		}
	}
	var log []string
	for _, e := range b.entries(store.AuditQuery{Actor: "anna"}) {
		if by := e.Details["code_by"]; by != "" {
			log = append(log, e.Event+" by "+by)
		}
	}
	slices.Sort(log)
	if want := []string{"enrolled with own secret by chief", "secret reset with a new code by chief", "secret reset with a new code by rival"}; !slices.Equal(log, want) {
		t.Errorf("the log says %q, want %q", log, want)
	}
	b.wait(resetTold - 24*time.Hour)
	if got := b.works("anna", annaSecret).Resets; !slices.EqualFunc(got, want[1:], same) {
		t.Errorf("after the time of the first: %+v", got)
	}
}

func TestAnAccountKeepsTheLastResets(t *testing.T) {
	b := newBureau(t)
	chief := b.chief()
	b.enrolled(chief, "anna", annaSecret, policy.Examiner)
	for range resetsMost + 2 {
		b.wait(time.Minute)
		code, err := b.ResetCode(ctx, chief, "", "anna")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Enrol(ctx, "anna", code, annaSecret); err != nil {
			t.Fatal(err)
		}
	}
	if a := b.account("anna"); len(a.Resets) != resetsMost || !a.Resets[resetsMost-1].At.Equal(b.now) {
		t.Errorf("%+v", a.Resets)
	}
}
