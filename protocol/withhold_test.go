package protocol

import (
	"slices"
	"strings"
	"testing"
)

// TestWithheldBy: what a policy's words mean for each type; what would tell a withheld value goes with it.
func TestWithheldBy(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		words string
		want  string
	}{
		{TypeSignature, "firearm place note", "firearm place"},
		{TypeLead, "firearm", "firearm likelihood_ratio"},
		{TypeLead, "likelihood_ratio", "likelihood_ratio"},
		{TypeLead, "case_reference exhibit_number", "case_reference exhibit_number linked_cases"},
		{TypeLead, "officer", "reviewers"},
		{TypeHit, "officer place", "examiner verifier where"},
		{TypeTraceRequest, "place occurred firearm", "recovery_date recovery_place"},
		{TypeTraceAnswer, "firearm", "chain firearm"},
		{TypeScanRequest, "place note", ""},
		{TypeWithdrawal, "note", ""},
		{"of-tomorrow", "place", ""},
		{TypeLead, "", ""},
	} {
		if got := WithheldBy(c.typ, strings.Fields(c.words)); !slices.Equal(got, strings.Fields(c.want)) && len(got)+len(c.want) > 0 {
			t.Errorf("%s, %q: %q, want %q", c.typ, c.words, got, c.want)
		}
	}
}

// TestWhatIsInseparable: a field is never both, and the reason is a sentence's worth.
func TestWhatIsInseparable(t *testing.T) {
	var all []string
	for _, typ := range Types() {
		for word, why := range Inseparable(typ) {
			all = append(all, string(typ)+" "+word)
			if len(WithheldBy(typ, []string{word})) > 0 {
				t.Errorf("%s: %s can be withheld, and cannot", typ, word)
			}
			if len(strings.Fields(why)) < 6 {
				t.Errorf("%s: %s: %q is no reason", typ, word, why)
			}
		}
	}
	if !slices.Equal(all, []string{"trace-request firearm"}) {
		t.Errorf("%q", all)
	}
	Inseparable(TypeTraceRequest)["firearm"] = "" // a copy
	if Inseparable(TypeTraceRequest)["firearm"] == "" {
		t.Error("a caller can change the registry")
	}
}

func TestStillWithheld(t *testing.T) {
	for _, c := range []struct{ before, now, want string }{
		{"place", "", ""},               // now it is told, or that there is none
		{"", "place", ""},               // it was told before
		{"a place", "place b", "place"}, // neither told of it
		{"", "", ""},
	} {
		if got := StillWithheld(strings.Fields(c.before), strings.Fields(c.now)); !slices.Equal(got, strings.Fields(c.want)) && len(got)+len(c.want) > 0 {
			t.Errorf("%q, then %q: %q, want %q", c.before, c.now, got, c.want)
		}
	}
}
