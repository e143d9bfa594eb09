package policy

import "slices"

// Uncovered lists the policies that decided none of the cases: nobody has asked whether they do what they are meant to.
func (e *Engine) Uncovered(outcomes []Outcome) []Ref {
	return slices.DeleteFunc(e.Policies(), func(ref Ref) bool {
		return slices.ContainsFunc(outcomes, func(o Outcome) bool { return slices.Contains(o.By, ref.String()) })
	})
}
