package policy

// Action is what is asked for. Countries share, accept and answer; every other
// action is done by a person at a console or command line.
type Action string

// Actions of the exchange between countries. The principal is the other country.
const (
	Share  Action = "share"  // send a document of ours to the principal
	Accept Action = "accept" // take in a document from the principal
	Answer Action = "answer" // answer the principal's trace request, scan request or blind lookup
)

// Actions of people. The comment names the roles that the default policy gives
// each to.
const (
	ExhibitAdd      Action = "exhibit:add"      // technician
	ExhibitView     Action = "exhibit:view"     // technician, examiner
	ExhibitWithdraw Action = "exhibit:withdraw" // examiner
	ExhibitTag      Action = "exhibit:tag"      // technician, examiner
	Acquire         Action = "acquire"          // technician
	CaseAdd         Action = "case:add"         // technician
	CaseView        Action = "case:view"        // technician, examiner, investigator

	CandidatesList  Action = "candidates:list"  // technician, examiner
	CandidatesView  Action = "candidates:view"  // technician, examiner
	ReviewPrimary   Action = "review:primary"   // technician
	ReviewSecondary Action = "review:secondary" // examiner who did not make the first review

	LeadView        Action = "lead:view"        // examiner, investigator, ncb-operator
	LeadRelease     Action = "lead:release"     // examiner
	LeadAcknowledge Action = "lead:acknowledge" // ncb-operator
	LeadRetract     Action = "lead:retract"     // examiner
	GiveFeedback    Action = "feedback"         // investigator
	HitConfirm      Action = "hit:confirm"      // examiner
	HitVerify       Action = "hit:verify"       // examiner who did not confirm the hit

	FirearmAdd    Action = "firearm:add"    // ncb-operator
	FirearmImport Action = "firearm:import" // ncb-operator
	FirearmSearch Action = "firearm:search" // ncb-operator
	TraceNew      Action = "trace:new"      // investigator, ncb-operator
	TraceView     Action = "trace:view"     // investigator, ncb-operator
	TraceAck      Action = "trace:ack"      // ncb-operator
	TraceRespond  Action = "trace:answer"   // ncb-operator
	TraceClose    Action = "trace:close"    // investigator, ncb-operator

	ScanRequest Action = "scan:request" // examiner
	ScanView    Action = "scan:view"    // examiner, ncb-operator
	ScanApprove Action = "scan:approve" // examiner, ncb-operator; not who approved the same request before
	ScanRefuse  Action = "scan:refuse"  // examiner, ncb-operator
	ScanSave    Action = "scan:save"    // examiner

	OperationView    Action = "operation:view"    // everybody who works on cases
	OperationPropose Action = "operation:propose" // ncb-operator, with a second person's approval
	OperationAccept  Action = "operation:accept"  // ncb-operator, with a second person's approval
	OperationLeave   Action = "operation:leave"   // ncb-operator
	OperationEnd     Action = "operation:end"     // ncb-operator

	AuditVerify Action = "audit:verify" // auditor
	AuditQuery  Action = "audit:query"  // auditor
	AuditExport Action = "audit:export" // auditor, who says why

	AuditProve     Action = "audit:prove"     // auditor
	AuditReport    Action = "audit:report"    // auditor
	AuditReconcile Action = "audit:reconcile" // auditor, ncb-operator

	WitnessAcknowledge Action = "witness:acknowledge" // auditor, ncb-operator, who say why

	UserManage   Action = "user:manage"   // administrator
	RosterManage Action = "roster:manage" // administrator
	NodeManage   Action = "node:manage"   // administrator

	PeersView       Action = "peers:view"       // ncb-operator, administrator
	RosterView      Action = "roster:view"      // ncb-operator, administrator
	DocumentView    Action = "document:view"    // ncb-operator
	BundleExport    Action = "bundle:export"    // ncb-operator
	BundleImport    Action = "bundle:import"    // ncb-operator
	PolicyView      Action = "policy:view"      // ncb-operator
	PolicyApply     Action = "policy:apply"     // ncb-operator, with a second person's approval
	RetentionReview Action = "retention:review" // ncb-operator
	RetentionPurge  Action = "retention:purge"  // ncb-operator, with a second person's approval

	DocumentApprove Action = "document:approve" // ncb-operator, examiner; not who proposed the document or approved it before
	PermissionGrant Action = "permission:grant" // ncb-operator
)

// Roles of people.
const (
	NCBOperator   = "ncb-operator"
	Technician    = "technician"
	Examiner      = "examiner"
	Investigator  = "investigator"
	Auditor       = "auditor"
	Administrator = "administrator"
)

// Roles lists every role a person can have.
func Roles() []string {
	return []string{NCBOperator, Technician, Examiner, Investigator, Auditor, Administrator}
}

// Document types, the Resource.Type of an exchange.
const (
	Signature      = "signature"
	Lead           = "lead"
	LeadAck        = "lead-ack"
	LeadRetraction = "lead-retraction"
	Hit            = "hit"
	Feedback       = "feedback"
	TraceRequest   = "trace-request"
	TraceStatus    = "trace-status"
	TraceAnswer    = "trace-answer"
	Withdrawal     = "withdrawal"
	Notice         = "notice"
	Permission     = "permission" // of an owner, to do what its handling codes forbid
	Scan           = "scan"       // the bytes of a scan; the document that releases them is one for policy
	ScanAsked      = "scan-request"
	ScanReleased   = "scan-release"
	ScanRefused    = "scan-refusal"

	OperationFounded = "operation"
	OperationJoined  = "operation-acceptance"
	OperationLeft    = "operation-end" // by its founder, or one member's part in it

	Lookup = "lookup" // a blind lookup, for Answer alone
)

// Kinds of records beside the document types, the Resource.Type of what a person
// works on.
const (
	KindExhibit   = "exhibit"
	KindOperation = OperationFounded
	KindCase      = "case"
	KindCandidate = "candidate"
	KindReview    = "review"
	KindFirearm   = "firearm"
	KindTrace     = "trace"
	KindAudit     = "audit"
	KindUser      = "user"
	KindRoster    = "roster"
	KindPeer      = "peer"
	KindDocument  = "document"
	KindPolicy    = "policy"
	KindRetention = "retention"
	KindNode      = "node"
)

// cedarType gives each document type its entity type in the schema.
var cedarType = map[string]string{
	Signature:      "Signature",
	Lead:           "Lead",
	LeadAck:        "LeadAck",
	LeadRetraction: "LeadRetraction",
	Hit:            "Hit",
	Feedback:       "Feedback",
	TraceRequest:   "TraceRequest",
	TraceStatus:    "TraceStatus",
	TraceAnswer:    "TraceAnswer",
	Withdrawal:     "Withdrawal",
	Notice:         "Notice",
	Permission:     "Permission",
	Scan:           "Scan",
	ScanAsked:      "ScanRequest",
	ScanReleased:   "Scan",
	ScanRefused:    "ScanRefusal",
	Lookup:         "Lookup",

	OperationFounded: "OperationDocument",
	OperationJoined:  "OperationDocument",
	OperationLeft:    "OperationDocument",
}

// homeKind is the kind of record that a person's action is about when the
// question does not say: the node itself for everything that has no object.
var homeKind = map[Action]string{
	ExhibitAdd: KindExhibit, ExhibitView: KindExhibit, ExhibitWithdraw: KindExhibit, ExhibitTag: KindExhibit, Acquire: KindExhibit,
	CaseAdd: KindCase, CaseView: KindCase,
	CandidatesList: KindCandidate, CandidatesView: KindCandidate,
	ReviewPrimary: KindReview, ReviewSecondary: KindReview,
	LeadView: Lead, LeadRelease: Lead, LeadAcknowledge: Lead, LeadRetract: Lead, GiveFeedback: Feedback,
	HitConfirm: Hit, HitVerify: Hit,
	FirearmAdd: KindFirearm, FirearmImport: KindFirearm, FirearmSearch: KindFirearm,
	TraceNew: KindTrace, TraceView: KindTrace, TraceAck: KindTrace, TraceRespond: KindTrace, TraceClose: KindTrace,
	ScanRequest: Scan, ScanView: Scan, ScanApprove: Scan, ScanRefuse: Scan, ScanSave: Scan,
	OperationView: KindOperation, OperationPropose: KindOperation, OperationAccept: KindOperation, OperationLeave: KindOperation, OperationEnd: KindOperation,
	AuditVerify: KindAudit, AuditQuery: KindAudit, AuditExport: KindAudit,
	AuditProve: KindAudit, AuditReport: KindAudit, AuditReconcile: KindAudit, WitnessAcknowledge: KindPeer,
	UserManage: KindUser, RosterManage: KindRoster, NodeManage: KindNode,
	PeersView: KindPeer, RosterView: KindRoster, DocumentView: KindDocument, BundleExport: KindPeer, BundleImport: KindPeer,
	PolicyView: KindPolicy, PolicyApply: KindPolicy, RetentionReview: KindRetention, RetentionPurge: KindRetention,
	DocumentApprove: KindDocument, PermissionGrant: Permission,
}

// knownKinds are the values that Kind::"…" may have in a policy.
var knownKinds = func() map[string]bool {
	known := make(map[string]bool)
	for document := range cedarType {
		known[document] = true
	}
	for _, kind := range homeKind {
		known[kind] = true
	}
	return known
}()
