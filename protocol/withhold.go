package protocol

import (
	"maps"
	"slices"
)

// Policies name what they withhold in the same words for every type. A body has fields of its own: a trace request's place is where the firearm was
// recovered, a hit's exhibit numbers are the items that were compared. What tells a withheld field's value is withheld with it.

// fields are those of a body that a policy may withhold, each with the words that withhold it: any one of them does.
type fields map[string][]string

// named are fields that policies call by their own names.
func named(names ...string) fields {
	out := fields{}
	for _, n := range names {
		out[n] = []string{n}
	}
	return out
}

// also adds fields to others.
func (f fields) also(more fields) fields {
	maps.Copy(f, more)
	return f
}

// Redactable lists the body fields of a type that a policy may withhold, sorted.
func Redactable(t Type) []string { return slices.Clone(specs[t].names) }

// WithheldBy lists the body fields of a type that a policy withholds with these words, sorted; whether a document has them or not.
func WithheldBy(t Type, words []string) []string {
	var out []string
	if len(words) == 0 {
		return out
	}
	spec := specs[t]
	for _, name := range spec.names {
		if slices.ContainsFunc(spec.redactable[name], func(w string) bool { return slices.Contains(words, w) }) {
			out = append(out, name)
		}
	}
	return out
}

// CheckOwn is Check for a document that this country issues: it is whole.
func CheckOwn(body Body) error {
	if err := body.Check(); err != nil {
		return err
	}
	if b, ok := body.(whole); ok {
		return b.complete()
	}
	return nil
}

// Inseparable gives the words of policies for what stands open in a type, each with the reason why no document of the type can do without it: a policy
// that withholds it cannot be obeyed by leaving it out.
func Inseparable(t Type) map[string]string { return maps.Clone(specs[t].inseparable) }

// Asked tells whether policy is asked what of a type goes to a country: a withdrawal and its confirmation are owed whole to whoever holds the thing.
func Asked(t Type) bool { return t != TypeWithdrawal && t != TypeWithdrawalConfirmation }

// StillWithheld is what remains withheld of a document that came before and now comes again: what both releases keep back. Either one has told of every
// other field, by its value or by having none.
func StillWithheld(before, now []string) []string {
	var out []string
	for _, name := range now {
		if slices.Contains(before, name) {
			out = append(out, name)
		}
	}
	return out
}
