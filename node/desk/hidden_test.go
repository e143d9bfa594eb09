package desk

import (
	"errors"
	"testing"
	"testing/fstest"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const shutters = `
@id("examiners") permit (principal in Role::"examiner", action in [Action::"lead:view", Action::"lead:retract", Action::"hit:confirm"], resource);
@id("technicians") permit (principal in Role::"technician", action in [Action::"lead:retract", Action::"hit:confirm"], resource);
@id("shut") forbid (principal, action, resource) when { resource has handling && resource.handling.contains("H3") };
@id("open-to-view") forbid (principal, action == Action::"hit:confirm", resource) when { resource has handling && resource.handling.contains("H2") };`

// TestWhatMayNotBeSeenIsNotThere: of an object that a policy keeps from a person, the person learns what there is to learn of one that does not exist; the
// log knows both for what they are.
func TestWhatMayNotBeSeenIsNotThere(t *testing.T) {
	r := newRig(t)
	engine, err := policy.Load(fstest.MapFS{"a.cedar": {Data: []byte(shutters)}})
	if err != nil {
		t.Fatal(err)
	}
	r.Policy = func() *policy.Engine { return engine }
	held := map[string]string{"plain": "H0", "seen": "H2", "shut": "H3"}
	ask := func(who Actor, action policy.Action, ref string, may ...policy.Action) (protocol.AuditEntry, error) {
		act := Act{Actor: who, Action: action, Resource: policy.Resource{Type: policy.Lead, ID: ref}, Hidden: &Hidden{Absent: NotFound("no lead"), View: policy.LeadView, Any: may},
			Describe: func(*store.Tx) (policy.Resource, error) {
				code, ok := held[ref]
				if !ok {
					return policy.Resource{}, NotFound("no lead, and never was")
				}
				return policy.Resource{Type: policy.Lead, ID: "the lead " + ref, Attributes: map[string]any{"handling": []string{code}}}, nil
			}}
		before := len(r.log())
		_, err := Do(t.Context(), r.Desk, act, func(tx *store.Tx) (int, error) {
			tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Decision: "permit"}, AuditBody: protocol.AuditBody{Object: "the lead " + ref}})
			return 0, nil
		})
		log := r.log()
		if len(log) != before+1 {
			t.Fatalf("%s, %s of %s: %d entries", who.Name, action, ref, len(log)-before)
		}
		return log[len(log)-1].AuditEntry, err
	}
	for _, q := range []struct {
		who    Actor
		action policy.Action
		may    []policy.Action
		ref    string
		class  error
		says   string // "": the words are not looked at
		object string
		ground string
	}{
		{edgar, policy.LeadRetract, nil, "plain", nil, "", "the lead plain", ""},
		{edgar, policy.LeadRetract, nil, "none", ErrNotFound, "no lead, and never was", "none", "not-found"}, // whoever sees leads is told all of it
		{tina, policy.LeadRetract, nil, "none", ErrNotFound, "no lead", "none", "not-found"},
		{edgar, policy.LeadRetract, nil, "shut", ErrNotFound, "no lead", "the lead shut", "policy"},
		{tina, policy.LeadRetract, nil, "shut", ErrNotFound, "no lead", "the lead shut", "policy"},
		{edgar, policy.HitConfirm, nil, "seen", ErrForbidden, "", "the lead seen", "policy"}, // it may be seen: the reason is told
		{tina, policy.HitConfirm, nil, "seen", ErrNotFound, "no lead", "the lead seen", "policy"},
		{oscar, policy.HitConfirm, nil, "none", ErrForbidden, "", "none", "policy"},
		{oscar, policy.HitConfirm, nil, "shut", ErrForbidden, "", "the lead shut", "policy"},
		{tina, policy.LeadView, []policy.Action{policy.LeadRetract}, "plain", ErrNotFound, "no lead", "the lead plain", "policy"},
		{tina, policy.LeadView, []policy.Action{policy.LeadRetract}, "none", ErrNotFound, "no lead", "none", "not-found"},
	} {
		e, err := ask(q.who, q.action, q.ref, q.may...)
		if !errors.Is(err, q.class) || q.says != "" && err.Error() != q.says {
			t.Errorf("%s, %s of %s: %v", q.who.Name, q.action, q.ref, err)
		}
		if e.Object != q.object || e.Ground != q.ground || (e.Decision == "permit") != (q.ground != "policy") {
			t.Errorf("%s, %s of %s: the log says %+v", q.who.Name, q.action, q.ref, e)
		}
	}
	_, there := ask(oscar, policy.HitConfirm, "shut", policy.LeadRetract, policy.HitConfirm)
	_, gone := ask(oscar, policy.HitConfirm, "none", policy.LeadRetract, policy.HitConfirm)
	if there.Error() != gone.Error() {
		t.Errorf("who may do nothing: %v; %v", there, gone)
	}
	before := len(r.log())
	if err := r.Allowed(t.Context(), Act{Actor: tina, Action: policy.HitConfirm}); err != nil || len(r.log()) != before {
		t.Errorf("allowed ahead: %v, %d entries", err, len(r.log())-before)
	}
	if err := r.Allowed(t.Context(), Act{Actor: oscar, Action: policy.HitConfirm, Key: "k"}); !errors.Is(err, ErrForbidden) || len(r.log()) != before+1 {
		t.Errorf("refused ahead: %v, %d entries", err, len(r.log())-before)
	}
}
