package dispatch

import (
	"errors"
	"slices"
	"testing"

	"proofmark/node/desk"
	"proofmark/policy"
)

// TestWhatCannotBeWithheldStays: a policy that withholds a field which a type carries in the open keeps such a document in the country; one without
// that field goes.
func TestWhatCannotBeWithheldStays(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt := f.bureaus["PT"]
	pt.rules(`@redact("note") permit (principal is Country, action == Action::"share", resource is LeadAck);`)
	if _, err := pt.tryAck("ES", "Canary-note", false); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("an acknowledgement with a note that policy withholds: %v", err)
	}
	if _, err := pt.tryAck("ES", "", false); err != nil {
		t.Errorf("an acknowledgement without one: %v", err)
	}
	pt.rules(`permit (principal is Country, action == Action::"share", resource is LeadAck);`)
	if _, err := pt.tryAck("ES", "a note", false); err != nil {
		t.Errorf("where policy withholds nothing: %v", err)
	}
}

// TestImply: what tells a withheld field's value is withheld with it, and `policy explain` names the same source.
func TestImply(t *testing.T) {
	source := []policy.Ref{{ID: "narrow", File: "20.cedar", Line: 3}}
	for _, c := range []struct{ redact, want []string }{
		{[]string{"firearm", "place"}, []string{"firearm", "likelihood_ratio", "place"}},
		{[]string{"firearm", "likelihood_ratio"}, []string{"firearm", "likelihood_ratio"}},
		{[]string{"place"}, []string{"place"}},
		{nil, nil},
	} {
		dec := policy.Decision{Allow: true, Obligations: policy.Obligations{Redact: c.redact}, Sources: map[string][]policy.Ref{"redact:firearm": source}}
		imply(&dec, "firearm", "likelihood_ratio")
		if !slices.Equal(dec.Obligations.Redact, c.want) {
			t.Errorf("%q becomes %q, want %q", c.redact, dec.Obligations.Redact, c.want)
		}
		if len(c.want) > len(c.redact) && !slices.Equal(dec.Sources["redact:likelihood_ratio"], source) {
			t.Errorf("%q: the source is %v", c.redact, dec.Sources)
		}
	}
}
