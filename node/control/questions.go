package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
)

// question is what the decision function is asked about a command before anything is looked at: may the person do one of the actions with any object at
// all? The workflow then asks for the action that it needs, of the object itself.
type question struct {
	actions []policy.Action
	object  string // the field of the request that names the object, for the log; empty where it names none
}

// own are the commands about a person's own session, which nobody needs a permission for.
var own = []string{"whoami", "logout", "secret", "budget.show"} // what countries have used is asked for within

// open are the commands that need no session.
var open = []string{"login", "status"}

// questions has every other command. A command that is nowhere here is not served.
var questions = map[string]question{
	"user.add":     {[]policy.Action{policy.UserManage}, "name"},
	"user.code":    {[]policy.Action{policy.UserManage}, "name"},
	"user.roles":   {[]policy.Action{policy.UserManage}, "name"},
	"user.disable": {[]policy.Action{policy.UserManage}, "name"},
	"user.enable":  {[]policy.Action{policy.UserManage}, "name"},
	"user.list":    {[]policy.Action{policy.UserManage}, ""},

	"roster.install":   {[]policy.Action{policy.RosterManage}, ""},
	"roster.join":      {[]policy.Action{policy.RosterManage}, "peer"},
	"roster.resolve":   {[]policy.Action{policy.RosterManage}, ""},
	"roster.show":      {[]policy.Action{policy.RosterView}, ""},
	"roster.chain":     {[]policy.Action{policy.RosterView}, ""},
	"peers":            {[]policy.Action{policy.PeersView}, ""},
	"key.rotate":       {[]policy.Action{policy.NodeManage}, "use"},
	"key.renew":        {[]policy.Action{policy.NodeManage}, ""},
	"address.announce": {[]policy.Action{policy.NodeManage}, ""},

	"case.add":         {[]policy.Action{policy.CaseAdd}, "reference"},
	"case.list":        {[]policy.Action{policy.CaseView}, ""},
	"incident.add":     {[]policy.Action{policy.CaseAdd}, "case"},
	"incident.list":    {[]policy.Action{policy.CaseView}, "case"},
	"exhibit.add":      {[]policy.Action{policy.ExhibitAdd}, "number"},
	"exhibit.list":     {[]policy.Action{policy.ExhibitView}, "case"},
	"exhibit.show":     {[]policy.Action{policy.ExhibitView}, "ref"},
	"exhibit.tag":      {[]policy.Action{policy.ExhibitTag}, "exhibit"},
	"exhibit.withdraw": {[]policy.Action{policy.ExhibitWithdraw}, "exhibit"},
	"acquire":          {[]policy.Action{policy.Acquire}, "exhibit"},

	"candidates.list":    {[]policy.Action{policy.CandidatesList}, "exhibit"},
	"candidates.fused":   {[]policy.Action{policy.CandidatesList}, "exhibit"},
	"candidates.show":    {[]policy.Action{policy.CandidatesView}, "ref"},
	"candidates.picture": {[]policy.Action{policy.CandidatesView}, "ref"},
	"candidates.review":  {[]policy.Action{policy.ReviewPrimary, policy.ReviewSecondary}, "pair"},
	"lead.release":       {[]policy.Action{policy.LeadRelease}, "pair"},
	"lead.list":          {[]policy.Action{policy.LeadView}, ""},
	"lead.show":          {[]policy.Action{policy.LeadView}, "ref"},
	"lead.ack":           {[]policy.Action{policy.LeadAcknowledge}, "pair"},
	"lead.retract":       {[]policy.Action{policy.LeadRetract}, "pair"},
	"lead.feedback":      {[]policy.Action{policy.GiveFeedback}, "pair"},
	"hit.confirm":        {[]policy.Action{policy.HitConfirm, policy.HitVerify}, "pair"},

	"firearm.add":    {[]policy.Action{policy.FirearmAdd}, "reference"},
	"firearm.import": {[]policy.Action{policy.FirearmImport}, "name"},
	"firearm.search": {[]policy.Action{policy.FirearmSearch}, ""},
	"firearm.list":   {[]policy.Action{policy.FirearmSearch}, ""},
	"firearm.show":   {[]policy.Action{policy.FirearmSearch}, "ref"},
	"trace.new":      {[]policy.Action{policy.TraceNew}, "record"},
	"trace.list":     {[]policy.Action{policy.TraceView}, ""},
	"trace.show":     {[]policy.Action{policy.TraceView}, "ref"},
	"trace.ack":      {[]policy.Action{policy.TraceAck}, "ref"},
	"trace.answer":   {[]policy.Action{policy.TraceRespond}, "ref"},
	"trace.close":    {[]policy.Action{policy.TraceClose}, "ref"},
	"scan.request":   {[]policy.Action{policy.ScanRequest}, "signature"},
	"scan.list":      {[]policy.Action{policy.ScanView}, ""},
	"scan.show":      {[]policy.Action{policy.ScanView}, "ref"},
	"scan.approve":   {[]policy.Action{policy.ScanApprove}, "ref"},
	"scan.refuse":    {[]policy.Action{policy.ScanRefuse}, "ref"},
	"scan.fetch":     {[]policy.Action{policy.ScanSave}, "ref"},
	"scan.save":      {[]policy.Action{policy.ScanSave}, "ref"},

	"operation.propose": {[]policy.Action{policy.OperationPropose}, "name"},
	"operation.accept":  {[]policy.Action{policy.OperationAccept}, "ref"},
	"operation.approve": {[]policy.Action{policy.OperationPropose, policy.OperationAccept}, "ref"},
	"operation.reject":  {[]policy.Action{policy.OperationAccept}, "ref"},
	"operation.leave":   {[]policy.Action{policy.OperationLeave}, "ref"},
	"operation.end":     {[]policy.Action{policy.OperationEnd}, "ref"},
	"operation.list":    {[]policy.Action{policy.OperationView}, ""},
	"operation.show":    {[]policy.Action{policy.OperationView}, "ref"},

	"document.list":        {[]policy.Action{policy.DocumentView}, ""},
	"document.show":        {[]policy.Action{policy.DocumentView}, "ref"},
	"document.save":        {[]policy.Action{policy.DocumentView}, "ref"},
	"document.withdrawals": {[]policy.Action{policy.DocumentView}, ""},
	"document.withdraw":    {dispatch.WithdrawActions(), "ref"},
	"document.hold":        {[]policy.Action{policy.RetentionReview}, "ref"},
	"document.release":     {[]policy.Action{policy.RetentionReview}, "ref"},
	"approval.list":        {[]policy.Action{policy.DocumentApprove}, ""},
	"approval.show":        {[]policy.Action{policy.DocumentApprove}, "ref"},
	"approval.approve":     {[]policy.Action{policy.DocumentApprove}, "document"},
	"approval.refuse":      {[]policy.Action{policy.DocumentApprove}, "document"},
	"permission.grant":     {[]policy.Action{policy.PermissionGrant}, "document"},
	"permission.list":      {[]policy.Action{policy.DocumentView}, ""},
	"bundle.export":        {[]policy.Action{policy.BundleExport}, "to"},
	"bundle.import":        {[]policy.Action{policy.BundleImport}, ""},

	"policy.explain":   {[]policy.Action{policy.PolicyView}, "document"},
	"policy.compare":   {[]policy.Action{policy.PolicyView}, ""},
	"policy.proposals": {[]policy.Action{policy.PolicyView}, ""},
	"policy.show":      {[]policy.Action{policy.PolicyView}, "version"},
	"policy.apply":     {[]policy.Action{policy.PolicyApply}, ""},
	"policy.approve":   {[]policy.Action{policy.PolicyApply}, "version"},
	"policy.reject":    {[]policy.Action{policy.PolicyApply}, "version"},
	"retention.due":    {[]policy.Action{policy.RetentionReview}, ""},
	"retention.review": {[]policy.Action{policy.RetentionReview, policy.RetentionPurge}, "item"},
	"retention.purge":  {[]policy.Action{policy.RetentionPurge}, ""},
	"retention.proof":  {[]policy.Action{policy.RetentionReview}, "ref"},

	"audit.verify":        {[]policy.Action{policy.AuditVerify}, ""},
	"audit.checkpoint":    {[]policy.Action{policy.AuditVerify}, ""},
	"audit.find":          {[]policy.Action{policy.AuditQuery}, "object"},
	"audit.query":         {[]policy.Action{policy.AuditQuery}, "object"},
	"audit.exhibit":       {[]policy.Action{policy.AuditQuery}, "ref"},
	"audit.export":        {[]policy.Action{policy.AuditExport}, ""},
	"audit.prove":         {[]policy.Action{policy.AuditProve}, ""},
	"audit.report":        {[]policy.Action{policy.AuditReport}, ""},
	"audit.statement":     {[]policy.Action{policy.AuditReconcile}, "with"},
	"audit.reconcile":     {[]policy.Action{policy.AuditReconcile}, "with"},
	"witness.status":      {[]policy.Action{policy.PeersView, policy.AuditVerify}, ""},
	"witness.show":        {[]policy.Action{policy.PeersView, policy.AuditVerify}, "country"},
	"witness.acknowledge": {[]policy.Action{policy.WitnessAcknowledge}, "country"},
	"witness.save":        {[]policy.Action{policy.PeersView, policy.AuditVerify}, ""},

	"recovery.set":   {[]policy.Action{policy.NodeManage}, ""},
	"recovery.show":  {[]policy.Action{policy.NodeManage}, ""},
	"backup.create":  {[]policy.Action{policy.NodeManage}, ""},
	"custody.send":   {[]policy.Action{policy.NodeManage}, ""},
	"custody.status": {[]policy.Action{policy.NodeManage}, ""},
	"custody.ready":  {[]policy.Action{policy.NodeManage}, ""},
	"custody.check":  {[]policy.Action{policy.NodeManage}, ""},
	"custody.list":   {[]policy.Action{policy.NodeManage}, ""},
	"custody.begin":  {[]policy.Action{policy.NodeManage}, "owner"},
	"custody.fetch":  {[]policy.Action{policy.NodeManage}, "id"},
}

// register notes a command that is served.
func (s *Server) register(name string, needsSession bool) {
	_, asked := questions[name]
	if asked = asked || slices.Contains(own, name); asked != needsSession || !needsSession && !slices.Contains(open, name) {
		s.unasked = append(s.unasked, name)
	}
	s.commands = append(s.commands, name)
}

// checkQuestions refuses to serve while it is open what the decision function is asked for a command.
func (s *Server) checkQuestions() error {
	if len(s.unasked) > 0 {
		return fmt.Errorf("commands without an entry in questions: %q: say there which action each asks for", s.unasked)
	}
	return nil
}

// Commands are the names of all commands that are served.
func (s *Server) Commands() []string { return slices.Sorted(slices.Values(s.commands)) }

// left sees to it that the log knows of a command that found nothing, or was refused, before its workflow asked for anything.
func (s *Server) left(ctx context.Context, name string, c call, logged func() bool, err error) error {
	ask, known := questions[name]
	if err == nil || !known || logged() || !errors.Is(err, desk.ErrNotFound) && !errors.Is(err, desk.ErrForbidden) {
		return err
	}
	act := desk.Act{Actor: c.actor, Action: ask.actions[0], Resource: policy.Resource{Type: policy.Kind(ask.actions[0]), ID: c.object}}
	if errors.Is(err, desk.ErrForbidden) {
		return s.services.Desk.Refuse(ctx, act, "workflow", err)
	}
	if lost := s.services.Desk.FoundNothing(ctx, act, err); lost != nil {
		return lost
	}
	return err
}

// named reads from a request what the question calls its object; what cannot be read names nothing.
func (q question) named(request []byte) string {
	var fields map[string]json.RawMessage
	var name string
	if q.object == "" || json.Unmarshal(request, &fields) != nil || json.Unmarshal(fields[q.object], &name) != nil {
		return ""
	}
	const most = 60
	return name[:min(len(name), most)]
}
