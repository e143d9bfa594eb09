package protocol

import (
	"fmt"
	"time"
)

// TraceRequestBody asks another country for the history of an illicit firearm (International Tracing Instrument, paragraph 17).
type TraceRequestBody struct {
	Number             string             `json:"number"` // trace number of the requester
	Firearm            FirearmDescription `json:"firearm"`
	LegalJustification string             `json:"legal_justification"` // why the firearm is held to be illicit
	Circumstances      string             `json:"circumstances"`       // in which it was found
	IntendedUse        string             `json:"intended_use"`        // of the information sought
	Priority           string             `json:"priority"`
	PriorityReason     string             `json:"priority_reason,omitempty"`

	// Redactable.
	Agency        string    `json:"agency,omitempty"`
	RecoveryPlace string    `json:"recovery_place,omitempty"`
	RecoveryDate  *Interval `json:"recovery_date,omitempty"`
	Narrative     string    `json:"narrative,omitempty"`
	Officer       string    `json:"officer,omitempty"`
	Possessor     string    `json:"possessor,omitempty"`
}

// Check implements Body.
func (b *TraceRequestBody) Check() error {
	if b.Priority == "urgent" && b.PriorityReason == "" {
		return fmt.Errorf("priority_reason: an urgent request says why")
	}
	if b.RecoveryDate != nil {
		if err := field("recovery_date", b.RecoveryDate.Check()); err != nil {
			return err
		}
	}
	return first(
		needLine("number", b.Number, 64),
		field("firearm", b.Firearm.Check()),
		needText("legal_justification", b.LegalJustification, MaxText),
		needText("circumstances", b.Circumstances, MaxText),
		needText("intended_use", b.IntendedUse, MaxText),
		lineIfAny("agency", b.Agency, 256),
		oneOf("priority", b.Priority, Priorities, false),
		checkText("priority_reason", b.PriorityReason, MaxText),
		checkLine("recovery_place", b.RecoveryPlace, 256),
		checkText("narrative", b.Narrative, MaxText),
		checkLine("officer", b.Officer, 128),
		checkLine("possessor", b.Possessor, 256),
	)
}

func (b *TraceRequestBody) complete() error { return needLine("agency", b.Agency, 256) }

// What the answering country may say before it answers, or instead of it; and what the country that asked says at the end.
const (
	TraceAcknowledged = "ACKNOWLEDGED"
	TraceClosed       = "CLOSED"            // by the country that asked: it has read the answer, or the refusal, and waits for nothing more
	TraceTooMany      = "TOO_MANY_REQUESTS" // of this country for this purpose, whatever they ask for: nothing was looked up, and it may be asked again later
)

// TraceStatuses lists them.
var TraceStatuses = []string{TraceAcknowledged, TraceTooMany, TraceClosed}

// TraceStatusBody moves a trace on without answering it.
type TraceStatusBody struct {
	Request string `json:"request"` // id of the trace request document
	Status  string `json:"status"`
	Note    string `json:"note,omitempty"` // redactable
}

// Check implements Body.
func (b *TraceStatusBody) Check() error {
	return first(field("request", CheckID(b.Request)), oneOf("status", b.Status, TraceStatuses, false), checkText("note", b.Note, MaxText))
}

// CustodyStep is one step of a firearm's chain of custody.
type CustodyStep struct {
	Role    string    `json:"role"` // manufacturer, exporter, importer, wholesaler, retailer, first-purchaser
	Name    string    `json:"name,omitempty"`
	Country string    `json:"country"`
	Date    time.Time `json:"date,omitzero"`
}

// CustodyRoles lists the roles of a custody step in the order of a legal chain.
var CustodyRoles = []string{"manufacturer", "exporter", "importer", "wholesaler", "retailer", "first-purchaser"}

func (s CustodyStep) check() error {
	_, err := ParseCountry(s.Country)
	return first(oneOf("role", s.Role, CustodyRoles, false), checkLine("name", s.Name, 256), field("country", err))
}

// TraceAnswerBody answers a trace request from the answering country's records.
type TraceAnswerBody struct {
	Request     string   `json:"request"`
	Outcome     string   `json:"outcome"`
	Reasons     []string `json:"reasons,omitempty"`
	Record      string   `json:"record,omitempty"` // the answering country's national reference
	Status      string   `json:"record_status,omitempty"`
	TimeToCrime *int     `json:"time_to_crime_days,omitempty"` // recovery date − first retail sale
	Diversion   string   `json:"point_of_diversion,omitempty"` // where the legal chain ends

	// Redactable.
	Firearm *FirearmDescription `json:"firearm,omitempty"` // as the answering country's record has it
	Chain   []CustodyStep       `json:"chain,omitempty"`
	Note    string              `json:"note,omitempty"`
}

// Check implements Body.
func (b *TraceAnswerBody) Check() error {
	if len(b.Chain) > 64 || len(b.Reasons) > 16 {
		return fmt.Errorf("chain, reasons: %d and %d, the limits are 64 and 16", len(b.Chain), len(b.Reasons))
	}
	for i, s := range b.Chain {
		if err := field(fmt.Sprintf("chain[%d]", i), s.check()); err != nil {
			return err
		}
	}
	for _, r := range b.Reasons {
		if err := oneOf("reasons", r, TraceReasons, false); err != nil {
			return err
		}
	}
	if b.Outcome == "UNSUCCESSFUL" && len(b.Reasons) == 0 {
		return fmt.Errorf("reasons: an unsuccessful trace says why")
	}
	if b.Firearm != nil {
		if err := field("firearm", b.Firearm.Check()); err != nil {
			return err
		}
	}
	return first(
		field("request", CheckID(b.Request)),
		oneOf("outcome", b.Outcome, TraceOutcomes, false),
		checkLine("record", b.Record, 128),
		checkLine("record_status", b.Status, 64),
		checkText("point_of_diversion", b.Diversion, MaxText),
		checkText("note", b.Note, MaxText),
	)
}
