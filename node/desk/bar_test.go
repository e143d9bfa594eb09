package desk

import (
	"errors"
	"slices"
	"testing"

	"proofmark/policy"
	"proofmark/store"
)

// Whoever may do none of a command's actions is refused in the same words whatever is asked for, and the log has what was asked.
func TestBar(t *testing.T) {
	r := newRig(t)
	review := []policy.Action{policy.ReviewPrimary, policy.ReviewSecondary}
	for _, who := range []Actor{tina, edgar} {
		if err := r.Bar(t.Context(), who, review, "pair"); err != nil {
			t.Errorf("%s: %v", who.Name, err)
		}
	}
	if n := len(r.log()); n != 0 {
		t.Errorf("%d entries of who may", n)
	}
	first, second := r.Bar(t.Context(), oscar, review, "one"), r.Bar(t.Context(), oscar, review, "")
	if !errors.Is(first, ErrForbidden) || first.Error() != second.Error() {
		t.Errorf("%v; %v", first, second)
	}
	log := r.log()
	if len(log) != 2 || log[0].Object != "one" || log[1].Object != "" || log[0].Decision != "deny" || log[0].Ground != "policy" || log[0].Event != "refused review:primary or review:secondary" {
		t.Errorf("%+v", log)
	}
}

// What the workflow refuses leaves nothing of the act, and an entry that says why.
func TestARefusalOfTheWorkflowIsRecorded(t *testing.T) {
	r := newRig(t)
	act := Act{Actor: tina, Action: policy.ExhibitAdd, Resource: exhibitA}
	dec := policy.Decision{Policies: []policy.Ref{{ID: "nobody", File: "a.cedar", Line: 3}}}
	for ground, reason := range map[string]error{
		"same-person": SamePerson("you did the first yourself"),
		"policy":      Withheld("FR", dec, "it may not go to FR"),
		"workflow":    Forbidden("not now"),
	} {
		before := len(r.log())
		_, err := Do(t.Context(), r.Desk, act, func(tx *store.Tx) (int, error) { return 0, errors.Join(tx.Put("k", []byte("x")), reason) })
		log := r.log()[before:]
		if !errors.Is(err, ErrForbidden) || len(log) != 1 || len(r.keys()) != 0 {
			t.Fatalf("%s: %v, %+v, %v", ground, err, log, r.keys())
		}
		e := log[0]
		if e.Decision != "deny" || e.Ground != ground || e.Object != "E-1" || e.Actor != "tina" || e.PolicyVer == "" || e.Details["reason"] != reason.Error() {
			t.Errorf("%s: %+v", ground, e)
		}
		if ground == "policy" && (e.Counterpart != "FR" || !slices.Equal(e.Policies, []string{"nobody (a.cedar:3)"})) {
			t.Errorf("%+v", e)
		}
	}
}

// An act that was done before changes nothing and is shown again: that is a view.
func TestAnActThatChangesNothingIsRecorded(t *testing.T) {
	r := newRig(t)
	if _, err := Do(t.Context(), r.Desk, Act{Actor: tina, Action: policy.ExhibitAdd, Resource: exhibitA}, func(*store.Tx) (int, error) { return 1, nil }); err != nil {
		t.Fatal(err)
	}
	if log := r.log(); len(log) != 1 || log[0].Ground != "unchanged" || log[0].Object != "E-1" || len(log[0].Policies) != 1 || log[0].Decision != "permit" {
		t.Errorf("%+v", log)
	}
}

// A key is of one person, one command and one request; under other roles it is of none.
func TestAKeyIsOfOneCommand(t *testing.T) {
	r := newRig(t)
	runs := 0
	do := func(who Actor, command string, request any) (*result, error) {
		ctx, _ := InCommand(t.Context(), command)
		return Do(ctx, r.Desk, Act{Actor: who, Key: "k", Action: policy.ExhibitAdd, Resource: exhibitA, Request: request}, write(&runs, "a"))
	}
	first, err := do(tina, "exhibit.add", 1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := do(tina, "exhibit.add", 1); err != nil || *again != *first || runs != 1 {
		t.Errorf("the same again: %+v, %v, %d runs", again, err, runs)
	}
	other := Actor{Name: "tom", Roles: tina.Roles}
	if got, err := do(other, "exhibit.add", 1); err != nil || got.N != 2 {
		t.Errorf("another person with the same key gets %+v, %v", got, err)
	}
	promoted := Actor{Name: "tina", Roles: []string{policy.Technician, policy.Examiner}}
	for name, ask := range map[string]func() (*result, error){
		"another command": func() (*result, error) { return do(tina, "exhibit.tag", 1) },
		"another request": func() (*result, error) { return do(tina, "exhibit.add", 2) },
		"other roles":     func() (*result, error) { return do(promoted, "exhibit.add", 1) },
	} {
		if got, err := ask(); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
