package protocol

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// The document types of a regional operation: a group of members for a purpose and a time. All travel on the urgent channel.
const (
	TypeOperation           Type = "operation"            // founds one, and is its founder's own acceptance
	TypeOperationAcceptance Type = "operation-acceptance" // one member joins
	TypeOperationEnd        Type = "operation-end"        // its founder ends it, or one member leaves it
)

// Limits of an operation.
const (
	MaxOperationMembers  = 64
	MaxOperationDuration = 5 * 366 * 24 * time.Hour // what lasts longer is founded again
)

// OperationSeries is the series of operations' numbers.
const OperationSeries = "O"

var operationNumber = regexp.MustCompile(`^[A-Z]{2}-O-[0-9]{4}-[0-9]{6}$`)

// OperationBody founds an operation: what every country agrees to that accepts it.
type OperationBody struct {
	Number     string    `json:"number"` // the founder's, such as PT-O-2026-000001: what policies and people call it
	Name       string    `json:"name"`
	Purpose    string    `json:"purpose"`
	LegalBasis string    `json:"legal_basis"`
	From       time.Time `json:"from"`    // in whole seconds
	Until      time.Time `json:"until"`   // then it ends, and every copy that was shared for it
	Members    []Country `json:"members"` // whom it is open to, the founder among them; sorted
	Handling   []string  `json:"handling"`
}

// Check implements Body. That the founder is a member, and the number its own, is checked where the issuer is known.
func (b *OperationBody) Check() error {
	if !operationNumber.MatchString(b.Number) {
		return fmt.Errorf("number: %.40q is not one of an operation, such as PT-O-2026-000001", b.Number)
	}
	switch {
	case b.From.IsZero() || b.Until.IsZero():
		return fmt.Errorf("from, until: both times are needed")
	case b.From.Nanosecond() != 0 || b.Until.Nanosecond() != 0:
		return fmt.Errorf("from, until: they are told in whole seconds")
	case !b.From.Before(b.Until):
		return fmt.Errorf("until: it ends (%s) before it begins (%s)", b.Until.Format(time.RFC3339), b.From.Format(time.RFC3339))
	case b.Until.Sub(b.From) > MaxOperationDuration:
		return fmt.Errorf("until: it ends more than five years after it begins; found it again then")
	case len(b.Members) < 2 || len(b.Members) > MaxOperationMembers:
		return fmt.Errorf("members: %d, want 2 to %d", len(b.Members), MaxOperationMembers)
	}
	for i, m := range b.Members {
		if _, err := ParseCountry(string(m)); err != nil {
			return fmt.Errorf("members: %w", err)
		}
		if i > 0 && b.Members[i-1] >= m {
			return fmt.Errorf("members: %s: each stands there once, in the order of the codes", m)
		}
	}
	if len(b.Handling) > maxHandling {
		return fmt.Errorf("handling: %d codes, the limit is %d", len(b.Handling), maxHandling)
	}
	for _, h := range b.Handling {
		if err := needLine("handling", h, maxHandlingCode); err != nil {
			return err
		}
	}
	return first(needLine("name", b.Name, 128), needText("purpose", b.Purpose, MaxText), needText("legal_basis", b.LegalBasis, MaxText))
}

// CheckFounder holds that an operation is its issuer's own.
func (b *OperationBody) CheckFounder(issuer Country) error {
	if !slices.Contains(b.Members, issuer) {
		return fmt.Errorf("members: %s founds it and is not among them", issuer)
	}
	return CheckNumber(b.Number, issuer, OperationSeries)
}

// OperationAcceptanceBody joins an operation: nobody else can put a country into one.
type OperationAcceptanceBody struct {
	Operation string `json:"operation"`        // id of the document that founded it
	SHA256    string `json:"operation_sha256"` // DocumentHash of it: what exactly is accepted
	Note      string `json:"note,omitempty"`   // redactable
}

// Check implements Body.
func (b *OperationAcceptanceBody) Check() error {
	return first(field("operation", CheckID(b.Operation)), checkHash("operation_sha256", b.SHA256), checkText("note", b.Note, MaxText))
}

// OperationEndBody ends an operation where its founder issues it, and a member's part in it where a member does. Either is for good.
type OperationEndBody struct {
	Operation string `json:"operation"` // id of the document that founded it
	Reason    string `json:"reason"`
}

// Check implements Body.
func (b *OperationEndBody) Check() error {
	return first(field("operation", CheckID(b.Operation)), needText("reason", b.Reason, MaxText))
}
