package protocol

import (
	"maps"
	"slices"
)

// spec is what the node knows of a document type.
type spec struct {
	schema      int               // newest version of the body's form
	redactable  fields            // of the body, that a policy may withhold
	inseparable map[string]string // words for what stands open, with the reason
	body        func() Body       // a fresh body to decode into
	urgent      bool              // travels on the urgent channel

	names []string // of the redactable fields, sorted
}

var specs = withNames(map[Type]spec{
	TypeSignature: {schema: 1, body: func() Body { return new(SignatureBody) },
		redactable: named("agency", "case_reference", "exhibit_number", "firearm", "narrative", "occurred", "offence", "place")},
	TypeLead: {schema: 1, urgent: true, body: func() Body { return new(LeadBody) },
		redactable: named("agency", "case_reference", "exhibit_number", "firearm", "narrative", "occurred", "offence", "place").also(fields{
			"likelihood_ratio": {"likelihood_ratio", "firearm"}, // it, or the reason why there is none, names the population, and with it the make
			"linked_cases":     {"case_reference"},
			"reviewers":        {"officer"}})},
	TypeLeadAck:        {schema: 1, urgent: true, body: func() Body { return new(LeadAckBody) }, redactable: named("case_reference", "exhibit_number", "note")},
	TypeLeadRetraction: {schema: 1, urgent: true, body: func() Body { return new(LeadRetractionBody) }},
	TypeFeedback:       {schema: 1, body: func() Body { return new(FeedbackBody) }, redactable: named("note")},
	TypeHit: {schema: 1, urgent: true, body: func() Body { return new(HitBody) },
		redactable: fields{"items": {"exhibit_number"}, "where": {"place"}, "examiner": {"officer"}, "verifier": {"officer"}}},
	TypeTraceRequest: {schema: 1, urgent: true, body: func() Body { return new(TraceRequestBody) },
		redactable:  named("agency", "narrative", "officer", "possessor").also(fields{"recovery_date": {"occurred"}, "recovery_place": {"place"}}),
		inseparable: map[string]string{"firearm": "a request that does not describe the firearm asks for nothing that could be found"}},
	TypeTraceStatus: {schema: 1, urgent: true, body: func() Body { return new(TraceStatusBody) }, redactable: named("note")},
	TypeTraceAnswer: {schema: 1, urgent: true, body: func() Body { return new(TraceAnswerBody) },
		redactable: named("firearm", "note").also(fields{"chain": {"firearm"}})}, // its manufacturer and importer are the description's
	TypeScanRequest: {schema: 1, urgent: true, body: func() Body { return new(ScanRequestBody) }},
	TypeScanRelease: {schema: 1, urgent: true, body: func() Body { return new(ScanReleaseBody) }},
	TypeScanRefusal: {schema: 1, urgent: true, body: func() Body { return new(ScanRefusalBody) }, redactable: named("note")},
	TypeWithdrawal:  {schema: 1, urgent: true, body: func() Body { return new(WithdrawalBody) }},
	TypePermission:  {schema: 1, urgent: true, body: func() Body { return new(PermissionBody) }, redactable: named("note")},

	TypeWithdrawalConfirmation: {schema: 1, urgent: true, body: func() Body { return new(WithdrawalConfirmationBody) }},

	TypeOperation:           {schema: 1, urgent: true, body: func() Body { return new(OperationBody) }},
	TypeOperationAcceptance: {schema: 1, urgent: true, body: func() Body { return new(OperationAcceptanceBody) }, redactable: named("note")},
	TypeOperationEnd:        {schema: 1, urgent: true, body: func() Body { return new(OperationEndBody) }},
})

func withNames(specs map[Type]spec) map[Type]spec {
	for t, s := range specs {
		s.names = slices.Sorted(maps.Keys(s.redactable))
		specs[t] = s
	}
	return specs
}

// ChannelOf says on which channel a type travels: leads and traces overtake publications.
func ChannelOf(t Type) Channel {
	if specs[t].urgent {
		return Urgent
	}
	return Bulk
}
