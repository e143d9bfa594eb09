package protocol

import (
	"fmt"
	"slices"
	"time"
)

// TypePermission lets a holder do what a handling code forbids without the owner's permission.
const TypePermission Type = "permission"

// What is permitted.
const (
	UseOnward = "onward" // to pass the information on to the countries named: what H2 forbids
	UseCourt  = "court"  // to use it in court: what H1 forbids
)

// PermissionUses lists them.
var PermissionUses = []string{UseOnward, UseCourt}

// MaxPermitted bounds the countries of one permission.
const MaxPermitted = 32

// PermissionBody permits its addressee, until a day, what the issuer otherwise forbids about information of its own: that of one document, whoever issued
// it, and what is derived from it.
type PermissionBody struct {
	Document string    `json:"document"`       // id
	Use      string    `json:"use"`            // one of PermissionUses
	To       []Country `json:"to,omitempty"`   // onward: the countries that may get it
	Until    time.Time `json:"until"`          // the permission ends
	Note     string    `json:"note,omitempty"` // redactable
}

// Check implements Body.
func (b *PermissionBody) Check() error {
	if (b.Use == UseOnward) != (len(b.To) > 0) {
		return fmt.Errorf("to: a permission to pass on names countries, one for the court names none")
	}
	if len(b.To) > MaxPermitted {
		return fmt.Errorf("to: %d countries, the limit is %d", len(b.To), MaxPermitted)
	}
	for i, c := range b.To {
		if _, err := ParseCountry(string(c)); err != nil {
			return fmt.Errorf("to: %w", err)
		}
		if slices.Contains(b.To[:i], c) {
			return fmt.Errorf("to: %s stands twice", c)
		}
	}
	if b.Until.IsZero() {
		return fmt.Errorf("until: missing")
	}
	return first(field("document", CheckID(b.Document)), oneOf("use", b.Use, PermissionUses, false), checkText("note", b.Note, MaxText))
}
