package policy

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/types"
)

// allowed says which roles the default policy gives each action of people to.
var allowed = map[Action][]string{
	ExhibitAdd:      {Technician},
	ExhibitView:     {Technician, Examiner},
	ExhibitWithdraw: {Examiner},
	Acquire:         {Technician},
	CaseAdd:         {Technician},
	CaseView:        {Technician, Examiner, Investigator},
	CandidatesList:  {Technician, Examiner},
	CandidatesView:  {Technician, Examiner},
	ReviewPrimary:   {Technician},
	ReviewSecondary: {Examiner},
	LeadView:        {Examiner, Investigator, NCBOperator},
	LeadRelease:     {Examiner},
	LeadAcknowledge: {NCBOperator},
	LeadRetract:     {Examiner},
	GiveFeedback:    {Investigator},
	HitConfirm:      {Examiner},
	HitVerify:       {Examiner},
	FirearmAdd:      {NCBOperator},
	FirearmImport:   {NCBOperator},
	FirearmSearch:   {NCBOperator},
	TraceNew:        {Investigator, NCBOperator},
	TraceView:       {Investigator, NCBOperator},
	TraceAck:        {NCBOperator},
	TraceRespond:    {NCBOperator},
	TraceClose:      {Investigator, NCBOperator},
	ScanRequest:     {Examiner},
	ScanView:        {Examiner, NCBOperator},
	ScanApprove:     {Examiner, NCBOperator},
	ScanRefuse:      {Examiner, NCBOperator},
	ScanSave:        {Examiner},
	AuditVerify:     {Auditor},
	AuditQuery:      {Auditor},
	AuditExport:     {Auditor},
	AuditProve:      {Auditor},
	AuditReport:     {Auditor},
	AuditReconcile:  {Auditor, NCBOperator},

	WitnessAcknowledge: {Auditor, NCBOperator},

	UserManage:   {Administrator},
	RosterManage: {Administrator},
	NodeManage:   {Administrator},
	PeersView:    {NCBOperator, Administrator},
	RosterView:   {NCBOperator, Administrator},
	PolicyView:   {NCBOperator},
	PolicyApply:  {NCBOperator},
	DocumentView: {NCBOperator},
	BundleExport: {NCBOperator}, BundleImport: {NCBOperator},
	RetentionReview: {NCBOperator},

	ExhibitTag:       {Technician, Examiner},
	OperationView:    {Technician, Examiner, Investigator, NCBOperator},
	OperationPropose: {NCBOperator},
	OperationAccept:  {NCBOperator},
	OperationLeave:   {NCBOperator},
	OperationEnd:     {NCBOperator},
	RetentionPurge:   {NCBOperator},
	DocumentApprove:  {NCBOperator, Examiner},
	PermissionGrant:  {NCBOperator},
}

// TestDefaultRoles asks every action for every single role, and for no role.
func TestDefaultRoles(t *testing.T) {
	e := Default()
	for action, roles := range allowed {
		for _, role := range append(Roles(), "") {
			q := Request{Principal: person(), Action: action, Now: noon}
			if role != "" {
				q.Principal = person(role)
			}
			d := e.Decide(q)
			if want := slices.Contains(roles, role); d.Allow != want || len(d.Errors) > 0 {
				t.Errorf("%s for role %q: %v, want %v; %v %q", action, role, d.Allow, want, d.Policies, d.Errors)
			}
		}
	}
}

// TestActionsAndSchemaAgree finds an action that only the code or only the schema knows.
func TestActionsAndSchemaAgree(t *testing.T) {
	sch, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	for uid, action := range sch.resolved.Actions {
		if action.AppliesTo == nil || !slices.Contains(action.AppliesTo.Principals, types.EntityType("User")) {
			continue
		}
		if _, ok := allowed[Action(uid.ID)]; !ok {
			t.Errorf("the schema's action %s is in no test of roles", uid.ID)
		}
		if homeKind[Action(uid.ID)] == "" {
			t.Errorf("the schema's action %s has no kind of record", uid.ID)
		}
	}
	for action := range homeKind {
		if _, ok := sch.resolved.Actions[types.NewEntityUID(actionType, types.String(action))]; !ok {
			t.Errorf("the schema does not know the action %s", action)
		}
	}
	for document, name := range cedarType {
		if _, ok := sch.resolved.Entities[types.EntityType(name)]; !ok {
			t.Errorf("the schema does not know the document type %s as %s", document, name)
		}
	}
}

func TestDefaultPeople(t *testing.T) {
	e := Default()
	reviewed := func(kind string, by ...string) Resource {
		return Resource{Type: kind, ID: "7", Attributes: map[string]any{"reviewers": by}}
	}
	for _, c := range []struct {
		name  string
		q     Request
		allow bool
		by    string
	}{
		{"roles add up", Request{Principal: person(Technician, Investigator), Action: TraceNew}, true, "investigators"},
		{"second review by another", Request{Principal: person(Examiner), Action: ReviewSecondary, Resource: reviewed("candidate", "rui")}, true, "examiners"},
		{"second review by the first reviewer", Request{Principal: person(Examiner), Action: ReviewSecondary, Resource: reviewed("candidate", "rui", "ana")}, false, "second-person"},
		{"approval of a scan by another", Request{Principal: person(NCBOperator), Action: ScanApprove, Resource: reviewed("scan", "rui")}, true, "ncb-operators"},
		{"approval of a scan twice by one", Request{Principal: person(Examiner), Action: ScanApprove, Resource: reviewed("scan", "ana")}, false, "second-person"},
		{"verification by who confirmed", Request{Principal: person(Examiner), Action: HitVerify, Resource: reviewed("hit", "ana")}, false, "second-person"},
		{"an administrator who is an examiner sees no case", Request{Principal: person(Administrator, Examiner), Action: CaseView}, false, "administrators-see-no-cases"},
		{"an auditor who is an examiner only audits", Request{Principal: person(Auditor, Examiner), Action: CaseView}, false, "auditors-read-the-log-only"},
		{"an auditor who is an administrator manages nobody", Request{Principal: person(Auditor, Administrator), Action: UserManage}, false, "auditors-read-the-log-only"},
		{"a person from a named country", Request{Principal: Principal{User: "ana", Country: "PT", Roles: []string{Auditor}}, Action: AuditQuery}, true, "auditors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := e.Decide(c.q)
			if got := strings.Join(ids(d.Policies), " "); d.Allow != c.allow || got != c.by || len(d.Errors) > 0 {
				t.Errorf("allow %v by %q, want %v by %q; errors %q", d.Allow, got, c.allow, c.by, d.Errors)
			}
		})
	}
	if d := e.Decide(Request{Principal: person(NCBOperator), Action: PolicyApply}); d.Obligations.Approval != TwoPerson {
		t.Errorf("a policy change needs approval %q", d.Obligations.Approval)
	}
}

// TestOnlyAdministratorsManageUsers adds a careless rule to the default policy.
func TestOnlyAdministratorsManageUsers(t *testing.T) {
	files := defaultFiles(t)
	files["99-careless.cedar"] = `@id("careless") permit (principal is User, action, resource);`
	e := engine(t, files)
	if d := e.Decide(Request{Principal: person(Examiner), Action: UserManage}); d.Allow || !slices.Equal(ids(d.Policies), []string{"only-administrators-manage-users"}) {
		t.Errorf("an examiner manages users: %v by %v", d.Allow, d.Policies)
	}
	if d := e.Decide(Request{Principal: person(Administrator), Action: CaseView}); d.Allow {
		t.Errorf("an administrator sees cases by %v", d.Policies)
	}
}

// defaultFiles are the files that a bureau gets, with their texts.
func defaultFiles(t *testing.T) map[string]string {
	t.Helper()
	names, err := fs.Glob(DefaultFiles(), "*.cedar")
	if err != nil || len(names) == 0 {
		t.Fatalf("default files: %v %v", names, err)
	}
	names = append(names, BudgetsFile)
	files := make(map[string]string)
	for _, name := range names {
		text, err := fs.ReadFile(DefaultFiles(), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

// TestDefaultFilesAreTheDefault writes the files to a folder, as a node's first
// start does, and loads them from there.
func TestDefaultFilesAreTheDefault(t *testing.T) {
	root := t.TempDir()
	for name, text := range defaultFiles(t) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e, err := Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if e.Version() != Default().Version() || len(e.Version()) != 12 {
		t.Errorf("versions %q and %q", e.Version(), Default().Version())
	}
}
