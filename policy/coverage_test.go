package policy

import (
	"slices"
	"testing"
)

// Each rule that is shipped decides at least one of the cases beside it, and the cases look at its other side too: somebody or something that it does
// not permit, or does not forbid, in the same act.
func TestEveryShippedRuleHasItsCases(t *testing.T) {
	shipped(t, func(name string, e *Engine, cases []Case, outcomes []Outcome) {
		for _, ref := range e.Uncovered(outcomes) {
			t.Errorf("%s: no case asks about %s", name, ref)
		}
		// The other side: a case with the same question (who, action, kind) that the rule did not decide.
		for _, r := range e.rules {
			var about []string
			for i, c := range cases {
				if slices.Contains(outcomes[i].By, r.ref.String()) {
					about = append(about, c.about())
				}
			}
			other := false
			for i, c := range cases {
				other = other || slices.Contains(about, c.about()) && !slices.Contains(outcomes[i].By, r.ref.String())
			}
			if len(about) > 0 && !other {
				t.Errorf("%s: %s decides every case of %q: none shows where it ends", name, r.ref, about)
			}
		}
	})
}

// about says what kind of question a case puts.
func (c Case) about() string {
	switch {
	case len(c.As) > 0:
		return string(c.Action)
	case c.From != "":
		return "accept"
	case c.Answers:
		return "answer"
	}
	return "share"
}

func TestUncovered(t *testing.T) {
	e := engine(t, map[string]string{"a.cedar": "@id(\"one\") permit (principal, action == Action::\"case:view\", resource);\n@id(\"two\") permit (principal, action == Action::\"case:add\", resource);\n"})
	out, err := e.Try([]Case{{Name: "c", As: []string{Examiner}, Action: CaseView, Expect: Expectation{Decision: "permit"}}}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if left := e.Uncovered(out); len(left) != 1 || left[0].ID != "two" || left[0].Line != 2 {
		t.Errorf("%v", left)
	}
}
