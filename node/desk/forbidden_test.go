package desk

import (
	"strings"
	"testing"

	"proofmark/policy"
)

// What a forbid refuses, no further role permits: nobody is sent to the administrator for one.
func TestARefusalSaysWhatHelps(t *testing.T) {
	act := Act{Actor: edgar, Action: policy.LeadRelease}
	for name, c := range map[string]struct {
		dec  policy.Decision
		want string
		not  string
	}{
		"no permit": {policy.Decision{}, "administrator for the role", "further role"},
		"a forbid":  {policy.Decision{Policies: []policy.Ref{{ID: "second-person", File: "50-casework.cedar", Line: 41}}}, "further role does not change", "administrator for the role"},
		"an error":  {policy.Decision{Errors: []string{"x is missing"}}, "could not be evaluated", "further role"},
	} {
		if err := forbidden(act, c.dec); !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.not) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
