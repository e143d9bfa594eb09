package desk

import (
	"errors"
	"fmt"
	"strings"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// What an act can fail with; the control API maps each to a status. The text after it is for a person: what was wrong and what to do next.
var (
	ErrForbidden = errors.New("not permitted")
	ErrInvalid   = errors.New("not valid")
	ErrNotFound  = errors.New("not found")
	ErrConflict  = errors.New("conflict")
)

// fault carries a sentence for a person and the class it belongs to; the class's own words are not repeated in the sentence.
type fault struct {
	class error
	text  string

	// Of a refusal within an act, for the log: why (workflow, if empty), towards which country, by which policies.
	ground, counterpart string
	policies            []string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.class }

// Forbidden returns an ErrForbidden with the given sentence.
func Forbidden(format string, args ...any) error {
	return &fault{class: ErrForbidden, text: fmt.Sprintf(format, args...)}
}

// SamePerson returns the ErrForbidden of an act that wants another person than the one who did the first.
func SamePerson(format string, args ...any) error {
	return &fault{class: ErrForbidden, text: fmt.Sprintf(format, args...), ground: "same-person"}
}

// Withheld returns the ErrForbidden of an act that would send a country what policy does not let go to it.
func Withheld(to protocol.Country, dec policy.Decision, format string, args ...any) error {
	return &fault{class: ErrForbidden, text: fmt.Sprintf(format, args...), ground: "policy", counterpart: string(to), policies: PolicyRefs(dec)}
}

// Invalid returns an ErrInvalid with the given sentence.
func Invalid(format string, args ...any) error {
	return &fault{class: ErrInvalid, text: fmt.Sprintf(format, args...)}
}

// NotFound returns an ErrNotFound with the given sentence.
func NotFound(format string, args ...any) error {
	return &fault{class: ErrNotFound, text: fmt.Sprintf(format, args...)}
}

// Conflict returns an ErrConflict with the given sentence.
func Conflict(format string, args ...any) error {
	return &fault{class: ErrConflict, text: fmt.Sprintf(format, args...)}
}

// asPerson classifies the store's own errors; what a workflow has classified stays as it is.
func asPerson(err error) error {
	var known *fault
	switch {
	case errors.As(err, &known):
	case errors.Is(err, store.ErrNotFound):
		return &fault{class: ErrNotFound, text: err.Error()}
	case errors.Is(err, store.ErrKeyReused), errors.Is(err, store.ErrDuplicate):
		return &fault{class: ErrConflict, text: err.Error()}
	case errors.Is(err, store.ErrTooLarge):
		return &fault{class: ErrInvalid, text: err.Error()}
	}
	return err
}

func forbidden(a Act, dec policy.Decision) error {
	who := a.Actor.Name
	if len(a.Actor.Roles) > 0 {
		who += " (" + strings.Join(a.Actor.Roles, ", ") + ")"
	}
	why, todo := "no policy permits it", "Ask somebody whose role allows it, or the administrator for the role."
	switch {
	case len(dec.Errors) > 0:
		why = "the policy could not be evaluated: " + strings.Join(dec.Errors, "; ")
	case len(dec.Policies) > 0:
		why, todo = "forbidden by "+strings.Join(PolicyRefs(dec), ", "), "A further role does not change that: ask somebody to whom it does not apply."
	}
	return Forbidden("%s may not do %s: %s. %s", who, a.Action, why, todo)
}
