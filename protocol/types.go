package protocol

// spec is what the node knows of a document type.
type spec struct {
	schema     int         // newest version of the body's form
	redactable []string    // body fields a policy may withhold
	body       func() Body // a fresh body to decode into
	urgent     bool        // travels on the urgent channel
}

var specs = map[Type]spec{
	TypeSignature: {schema: 1, body: func() Body { return new(SignatureBody) },
		redactable: []string{"agency", "case_reference", "exhibit_number", "firearm", "narrative", "occurred", "offence", "place"}},
	TypeLead: {schema: 1, urgent: true, body: func() Body { return new(LeadBody) },
		redactable: []string{"firearm", "likelihood_ratio", "narrative", "occurred", "offence", "place"}},
	TypeLeadAck:        {schema: 1, urgent: true, body: func() Body { return new(LeadAckBody) }},
	TypeLeadRetraction: {schema: 1, urgent: true, body: func() Body { return new(LeadRetractionBody) }},
	TypeFeedback:       {schema: 1, body: func() Body { return new(FeedbackBody) }, redactable: []string{"note"}},
	TypeHit:            {schema: 1, urgent: true, body: func() Body { return new(HitBody) }},
	TypeTraceRequest: {schema: 1, urgent: true, body: func() Body { return new(TraceRequestBody) },
		redactable: []string{"narrative", "officer", "possessor"}},
	TypeTraceStatus: {schema: 1, urgent: true, body: func() Body { return new(TraceStatusBody) }},
	TypeTraceAnswer: {schema: 1, urgent: true, body: func() Body { return new(TraceAnswerBody) }},
	TypeScanRequest: {schema: 1, urgent: true, body: func() Body { return new(ScanRequestBody) }},
	TypeScanRelease: {schema: 1, urgent: true, body: func() Body { return new(ScanReleaseBody) }},
	TypeScanRefusal: {schema: 1, urgent: true, body: func() Body { return new(ScanRefusalBody) }},
	TypeWithdrawal:  {schema: 1, urgent: true, body: func() Body { return new(WithdrawalBody) }},
	TypePermission:  {schema: 1, urgent: true, body: func() Body { return new(PermissionBody) }},

	TypeWithdrawalConfirmation: {schema: 1, urgent: true, body: func() Body { return new(WithdrawalConfirmationBody) }},

	TypeOperation:           {schema: 1, urgent: true, body: func() Body { return new(OperationBody) }},
	TypeOperationAcceptance: {schema: 1, urgent: true, body: func() Body { return new(OperationAcceptanceBody) }},
	TypeOperationEnd:        {schema: 1, urgent: true, body: func() Body { return new(OperationEndBody) }},
}

// ChannelOf says on which channel a type travels: leads and traces overtake publications.
func ChannelOf(t Type) Channel {
	if specs[t].urgent {
		return Urgent
	}
	return Bulk
}
