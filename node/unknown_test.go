package node

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/tracing"
	"proofmark/protocol"
	"proofmark/store"
)

// nobodys is an id that nothing has, in the form that documents and records have theirs; nobodysPair is that of a pair.
const (
	nobodys     = "01890a5d-ac96-774b-bcce-b30209004553" // of a document that ES made
	nobodysPair = "0123456789abcdef0123456789abcdef"
)

// asksFor is a command that names an object: REF stands for it in the body.
type asksFor struct {
	who      string // somebody whose role allows the command
	body     string
	unknown  string // the name that nothing has
	existing string // one of the real objects below; empty: one and the same refusal for whoever may not is tested without one
	file     string // of an upload
	why      string // that the person gives
	status   int    // of the answer to who; 404 if left out
}

// unknownAsks has a row for each command that names an object.
var unknownAsks = map[string]asksFor{
	"user.code":    {who: "admin", body: `{"name":"REF"}`, unknown: "nobody", existing: "person"},
	"user.roles":   {who: "admin", body: `{"name":"REF","roles":["examiner"]}`, unknown: "nobody", existing: "person"},
	"user.disable": {who: "admin", body: `{"name":"REF"}`, unknown: "nobody", existing: "person"},
	"user.enable":  {who: "admin", body: `{"name":"REF"}`, unknown: "nobody", existing: "person"},

	"document.show":     {who: "op", body: `{"ref":"REF"}`, unknown: nobodys, existing: "document"},
	"document.save":     {who: "op", body: `{"ref":"REF"}`, unknown: nobodys, existing: "document"},
	"document.hold":     {who: "op", body: `{"ref":"REF","ground":"court"}`, unknown: nobodys, existing: "document"},
	"document.release":  {who: "op", body: `{"ref":"REF"}`, unknown: nobodys, existing: "document"},
	"document.withdraw": {who: "op", body: `{"ref":"REF","reason":"COURT_ORDER"}`, unknown: nobodys, existing: "document"},
	"policy.explain":    {who: "op", body: `{"document":"REF","to":"ES"}`, unknown: nobodys, existing: "document"},
	"approval.show":     {who: "op", body: `{"ref":"REF"}`, unknown: nobodys, existing: "document"},
	"approval.approve":  {who: "op", body: `{"document":"REF"}`, unknown: nobodys, existing: "document"},
	"approval.refuse":   {who: "op", body: `{"document":"REF","note":"no"}`, unknown: nobodys, existing: "document"},
	"permission.grant":  {who: "op", body: `{"document":"REF","for":"ES","use":"court","until":"2100-01-01T00:00:00Z"}`, unknown: nobodys, existing: "document"},
	"policy.show":       {who: "op", body: `{"version":"REF"}`, unknown: "ffffffff"},
	"policy.approve":    {who: "op", body: `{"version":"REF"}`, unknown: "ffffffff"},
	"policy.reject":     {who: "op", body: `{"version":"REF"}`, unknown: "ffffffff"},

	"incident.add":     {who: "tech", body: `{"case":"REF","occurred":{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z"},"place":"Faro","offence":"homicide"}`, unknown: "NO-CASE", existing: "case"},
	"incident.list":    {who: "tech", body: `{"case":"REF"}`, unknown: "NO-CASE", existing: "case", status: http.StatusOK},
	"exhibit.list":     {who: "tech", body: `{"case":"REF"}`, unknown: "NO-CASE", existing: "case", status: http.StatusOK},
	"exhibit.add":      {who: "tech", body: `{"number":"E-9","case":"REF","kind":"cartridge-case","origin":"evidence","calibre":"9x19"}`, unknown: "NO-CASE", existing: "case"},
	"exhibit.show":     {who: "tech", body: `{"ref":"REF"}`, unknown: "NO-EXHIBIT", existing: "exhibit"},
	"exhibit.tag":      {who: "tech", body: `{"exhibit":"REF","operation":"PT-OP-2026-000001"}`, unknown: "NO-EXHIBIT", existing: "exhibit"},
	"exhibit.withdraw": {who: "exam1", body: `{"exhibit":"REF","reason":"COURT_ORDER"}`, unknown: "NO-EXHIBIT", existing: "exhibit"},
	"candidates.list":  {who: "tech", body: `{"exhibit":"REF"}`, unknown: "NO-EXHIBIT", existing: "exhibit"},
	"candidates.fused": {who: "tech", body: `{"exhibit":"REF"}`, unknown: "NO-EXHIBIT", existing: "exhibit"},

	"candidates.show":    {who: "tech", body: `{"ref":"REF"}`, unknown: nobodysPair},
	"candidates.picture": {who: "tech", body: `{"ref":"REF"}`, unknown: nobodysPair},
	"candidates.review":  {who: "tech", body: `{"pair":"REF","verdict":"lead"}`, unknown: nobodysPair},
	"lead.release":       {who: "exam1", body: `{"pair":"REF"}`, unknown: nobodysPair},
	"lead.show":          {who: "inv", body: `{"ref":"REF"}`, unknown: "PT-L-2026-999999"},
	"lead.ack":           {who: "op", body: `{"pair":"REF"}`, unknown: "PT-L-2026-999999"},
	"lead.retract":       {who: "exam1", body: `{"pair":"REF","text":"mistaken"}`, unknown: "PT-L-2026-999999"},
	"lead.feedback":      {who: "inv", body: `{"pair":"REF","code":"ARREST"}`, unknown: "PT-L-2026-999999"},
	"hit.confirm":        {who: "exam1", body: `{"pair":"REF","conclusion":"identification","items":["E-1"],"where":"Lisbon"}`, unknown: nobodysPair},

	"firearm.show": {who: "op", body: `{"ref":"REF"}`, unknown: "NO-FIREARM", existing: "firearm"},
	"trace.new": {who: "inv", body: `{"to":"ES","record":"REF","legal_justification":"found at a scene","circumstances":"search of a house","intended_use":"investigation","agency":"PJ"}`,
		unknown: "NO-FIREARM", existing: "firearm"},
	"trace.show":   {who: "inv", body: `{"ref":"REF"}`, unknown: "PT-T-2026-999999", existing: "trace"},
	"trace.ack":    {who: "op", body: `{"ref":"REF"}`, unknown: "PT-T-2026-999999", existing: "trace"},
	"trace.answer": {who: "op", body: `{"ref":"REF","outcome":"UNSUCCESSFUL","reasons":["NO_RECORD"]}`, unknown: "PT-T-2026-999999", existing: "trace"},
	"trace.close":  {who: "inv", body: `{"ref":"REF"}`, unknown: "PT-T-2026-999999", existing: "trace"},

	"operation.accept":  {who: "op", body: `{"ref":"REF"}`, unknown: "ES-OP-2026-999999"},
	"operation.approve": {who: "op", body: `{"ref":"REF"}`, unknown: "ES-OP-2026-999999"},
	"operation.reject":  {who: "op", body: `{"ref":"REF"}`, unknown: "ES-OP-2026-999999"},
	"operation.leave":   {who: "op", body: `{"ref":"REF","note":"over"}`, unknown: "ES-OP-2026-999999"},
	"operation.end":     {who: "op", body: `{"ref":"REF","note":"over"}`, unknown: "ES-OP-2026-999999"},
	"operation.show":    {who: "op", body: `{"ref":"REF"}`, unknown: "ES-OP-2026-999999"},

	"scan.request": {who: "exam1", body: `{"signature":"REF","reason":"compare"}`, unknown: nobodys, status: http.StatusOK}, // its owner says that it is not there, on a tick
	"scan.show":    {who: "op", body: `{"ref":"REF"}`, unknown: "ES-S-2026-999999"},
	"scan.approve": {who: "op", body: `{"ref":"REF"}`, unknown: "ES-S-2026-999999"},
	"scan.refuse":  {who: "op", body: `{"ref":"REF","code":"COMPROMISES_AN_INVESTIGATION"}`, unknown: "ES-S-2026-999999"},
	"scan.fetch":   {who: "exam1", body: `{"ref":"REF"}`, unknown: "ES-S-2026-999999"},
	"scan.save":    {who: "exam1", body: `{"ref":"REF"}`, unknown: "ES-S-2026-999999"},

	"retention.review": {who: "op", body: `{"item":"REF","keep_until":"2100-01-01T00:00:00Z","reason":"a court asked"}`, unknown: "case/NO-CASE", existing: "retained"},
	"retention.proof":  {who: "op", body: `{"ref":"REF"}`, unknown: "case/" + nobodys, existing: "retained"},

	"witness.show":        {who: "op", body: `{"country":"REF"}`, unknown: "FR", status: http.StatusNotFound},
	"witness.acknowledge": {who: "aud", why: "a drill", body: `{"country":"REF"}`, unknown: "FR"},

	"bundle.export":   {who: "op", body: `{"to":"REF"}`, unknown: "FR", status: http.StatusNotFound},
	"custody.begin":   {who: "admin", body: `{"owner":"REF"}`, unknown: "FR"},
	"custody.fetch":   {who: "admin", body: `{"owner":"REF","id":"` + nobodys + `"}`, unknown: "FR"},
	"audit.prove":     {who: "aud", body: `{"index":REF}`, unknown: "9999999", status: http.StatusNotFound},
	"audit.exhibit":   {who: "aud", body: `{"ref":"REF"}`, unknown: "NO-EXHIBIT", existing: "exhibit", status: http.StatusOK}, // records may be gone that the log still knows of
	"audit.statement": {who: "aud", body: `{"with":"REF"}`, unknown: "FR", status: http.StatusNotFound},
	"audit.reconcile": {who: "aud", body: `{"with":"REF"}`, unknown: "FR", status: http.StatusNotFound},
	"acquire":         {who: "tech", body: `{"exhibit":"REF","roi":"breech-face","scans":[{"name":"a.x3p","size":7}]}`, file: "no scan", unknown: "NO-EXHIBIT", existing: "exhibit"},
}

// nameless are the commands that name no object that could be there or not.
var nameless = strings.Fields(`logout whoami secret user.add user.list roster.install roster.show peers roster.join roster.resolve roster.chain key.rotate key.renew
	address.announce bundle.import document.list document.withdrawals policy.compare policy.apply policy.proposals case.add case.list lead.list firearm.add firearm.import
	firearm.search firearm.list trace.list operation.propose operation.list scan.list audit.verify audit.checkpoint audit.find audit.query audit.export audit.report
	recovery.set recovery.show backup.create custody.send custody.status custody.ready custody.check custody.list witness.status witness.save budget.show permission.list
	approval.list retention.due retention.purge`)

// TestAskingForWhatIsNotThere: each command that names an object, asked for one that does not exist, leaves an entry with what was asked; and somebody whose
// role does not allow it gets the same answer as for an object that exists.
func TestAskingForWhatIsNotThere(t *testing.T) {
	b := newBureau(t, "PT")
	es := newBureau(t, "ES")
	for _, n := range []*bureau{b, es} {
		n.start()
		n.login(roles)
	}
	federate(t, b, es)
	es.halt()
	real := realObjects(t, b)
	for _, name := range b.commands() {
		if name == "login" || name == "status" { // need no session
			continue
		}
		row, named := unknownAsks[name]
		if named == slices.Contains(nameless, name) {
			t.Errorf("%s: either a row says what it is asked for, or it is among those that name nothing", name)
			continue
		}
		if !named {
			continue
		}
		ask := func(who, ref string) (int, string, []store.AuditRecord) {
			before, err := b.node.store.AuditSize()
			if err != nil {
				t.Fatal(err)
			}
			body := strings.ReplaceAll(row.body, "REF", ref)
			send := func() (int, string) { return b.raw("POST", "/v1/"+name, b.people[who].Token, body) }
			if row.file != "" || row.why != "" {
				send = func() (int, string) { return b.upload("/v1/"+name, b.people[who].Token, body, row.file, row.why) }
			}
			status, text := send()
			entries, err := b.node.store.QueryAudit(t.Context(), store.AuditQuery{Actor: who, Limit: 20})
			if err != nil {
				t.Fatal(err)
			}
			return status, strings.ReplaceAll(text, ref, "REF"), slices.DeleteFunc(entries, func(e store.AuditRecord) bool { return e.Index < before })
		}
		status, text, entries := ask(row.who, row.unknown)
		if want := max(row.status, http.StatusNotFound); row.status == 0 && status != want || row.status != 0 && status != row.status {
			t.Errorf("%s by %s: %d %.300s", name, row.who, status, text)
		}
		names := func(e store.AuditRecord) bool {
			for _, v := range e.Details {
				if strings.Contains(v, row.unknown) {
					return true
				}
			}
			return e.Object == row.unknown || e.Case == row.unknown || e.Counterpart == row.unknown
		}
		if !slices.ContainsFunc(entries, func(e store.AuditRecord) bool {
			return e.Action != "" && e.Decision == "permit" && e.Event != "" && e.PolicyVer != "" && names(e)
		}) {
			t.Errorf("%s by %s: no entry has %s: %+v", name, row.who, row.unknown, entries)
		}
		if row.status == 0 && !slices.ContainsFunc(entries, func(e store.AuditRecord) bool { return e.Ground == "not-found" && names(e) }) {
			t.Errorf("%s by %s: nothing in the log says that it was not found: %+v", name, row.who, entries)
		}
		outsider := "aud"
		if row.who == "aud" || name == "witness.show" {
			outsider = "tech"
		}
		status, told, entries := ask(outsider, row.unknown)
		if status != http.StatusForbidden || len(entries) != 1 || entries[0].Decision != "deny" || entries[0].Action != protocol.ActDeny {
			t.Errorf("%s by %s: %d %.300s, entries %+v", name, outsider, status, told, entries)
			continue
		}
		if row.existing == "" {
			continue
		}
		if s, text, _ := ask(outsider, real[row.existing]); s != status || text != told {
			t.Errorf("%s by %s: of what is not there %s, of what is there %d %s", name, outsider, told, s, text)
		}
	}
}

// realObjects makes one object of each kind that takes no time.
func realObjects(t *testing.T, b *bureau) map[string]string {
	t.Helper()
	tech, op := b.people["tech"], b.people["op"]
	call[*ballistics.Case](t, tech, "case.add", ballistics.NewCase{Reference: "PT-1", Agency: "Judicial Police"})
	when := time.Now().Add(-48 * time.Hour)
	call[*ballistics.Incident](t, tech, "incident.add", ballistics.NewIncident{Case: "PT-1", Occurred: protocol.Interval{From: when, To: when.Add(time.Hour)}, Place: "Faro", Offence: "homicide"})
	call[*ballistics.Exhibit](t, tech, "exhibit.add", ballistics.NewExhibit{Number: "PT-E1", Case: "PT-1", Origin: protocol.Evidence, Calibre: "9 mm Luger"})
	f := tracing.NewFirearm{Reference: "PT-ARM-1", Status: "stolen", StatusDate: when, FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Make: "Glock", Model: "17", Calibre: "9x19", Serial: "ABC123"}}
	call[*tracing.Firearm](t, op, "firearm.add", f)
	tr := call[*tracing.Trace](t, b.people["inv"], "trace.new", tracing.NewTrace{To: "ES", Record: "PT-ARM-1", Agency: "PJ", LegalJustification: "found at a scene",
		Circumstances: "search of a house", IntendedUse: "investigation"})
	return map[string]string{"person": "tech", "case": "PT-1", "exhibit": "PT-E1", "firearm": "PT-ARM-1", "retained": "case/PT-1", "trace": tr.Number, "document": tr.ID}
}

// upload sends a command with a file, or with the reason that a person gives.
func (b *bureau) upload(path, token, request, file, why string) (int, string) {
	b.t.Helper()
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(b.dir, "proofmark.sock"))
	}}}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://node"+path, strings.NewReader(file))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Proofmark-Request", base64.StdEncoding.EncodeToString([]byte(request)))
	r.Header.Set("Proofmark-Justification", base64.StdEncoding.EncodeToString([]byte(why)))
	resp, err := h.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
