package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// facts are the attributes of a signature that no special rule cares about;
// changes are laid over them, and a nil takes an attribute away.
func facts(changes map[string]any) map[string]any {
	all := map[string]any{
		"owner": "PT", "calibre": "9x19", "offence": "robbery", "origin": "evidence",
		"terrorism": false, "customs": false, "trafficking": false,
		"group_size": int64(1), "age_days": int64(3), "handling": []string{"H0"},
		"operations": []string{},
	}
	for key, value := range changes {
		if all[key] = value; value == nil {
			delete(all, key)
		}
	}
	return all
}

func directed(addressee string) map[string]any {
	return map[string]any{"owner": "PT", "addressee": addressee, "handling": []string{}}
}

func country(code string) Principal { return Principal{Country: code} }

func person(roles ...string) Principal { return Principal{User: "ana", Roles: roles} }

func engine(t testing.TB, files map[string]string) *Engine {
	t.Helper()
	e, err := Load(folder(files))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func folder(files map[string]string) fstest.MapFS {
	dir := make(fstest.MapFS)
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

func ids(refs []Ref) []string {
	var out []string
	for _, r := range refs {
		out = append(out, r.ID)
	}
	return out
}

func TestDefaultExchange(t *testing.T) {
	share := func(p Principal, doc string, attributes map[string]any) Request {
		return Request{Principal: p, Action: Share, Resource: Resource{Type: doc, ID: "1", Attributes: attributes}, Now: noon}
	}
	suspendedFR := Principal{Country: "FR", Suspended: true}
	for _, c := range []struct {
		name  string
		q     Request
		allow bool
		by    string // the one deciding policy; "" for none
	}{
		{"evidence to a member", share(country("FR"), Signature, facts(nil)), true, "signatures-to-members"},
		{"test fire to a member", share(country("FR"), Signature, facts(map[string]any{"origin": "test-fire"})), true, "signatures-to-members"},
		{"no criminal origin", share(country("FR"), Signature, facts(map[string]any{"origin": "manufacture"})), false, ""},
		{"signature to a suspended member", share(suspendedFR, Signature, facts(nil)), false, "suspended-members"},
		{"withdrawal to a suspended member", share(suspendedFR, Withdrawal, map[string]any{"owner": "PT", "handling": []string{}}), true, "withdrawals-to-members"},
		{"lead to its addressee", share(country("FR"), Lead, directed("FR")), true, "leads-to-addressee"},
		{"lead to another", share(country("ES"), Lead, directed("FR")), false, ""},
		{"lead-ack to its addressee", share(country("FR"), LeadAck, directed("FR")), true, "lead-answers-to-addressee"},
		{"retraction to another", share(country("ES"), LeadRetraction, directed("FR")), false, ""},
		{"hit to its addressee", share(country("FR"), Hit, directed("FR")), true, "hits-to-addressee"},
		{"hit to another", share(country("ES"), Hit, directed("FR")), false, ""},
		{"feedback to another", share(country("ES"), Feedback, directed("FR")), false, ""},
		{"trace request to its addressee", share(country("BE"), TraceRequest, directed("BE")), true, "trace-requests-to-addressee"},
		{"trace request to another", share(country("FR"), TraceRequest, directed("BE")), false, ""},
		{"trace status to its addressee", share(country("BE"), TraceStatus, directed("BE")), true, "trace-status-to-addressee"},
		{"trace answer to another", share(country("FR"), TraceAnswer, directed("BE")), false, ""},
		{"scan to its addressee", share(country("BE"), Scan, directed("BE")), true, "scans-to-addressee"},
		{"release of a scan is the scan", share(country("BE"), ScanReleased, directed("BE")), true, "scans-to-addressee"},
		{"release of a scan to another", share(country("FR"), ScanReleased, directed("BE")), false, ""},
		{"scan request to its addressee", share(country("BE"), ScanAsked, directed("BE")), true, "scan-requests-to-addressee"},
		{"scan refusal to its addressee", share(country("BE"), ScanRefused, directed("BE")), true, "scan-refusals-to-addressee"},
		{"scan refusal to another", share(country("FR"), ScanRefused, directed("BE")), false, ""},
		{"notice to all", share(country("BE"), Notice, map[string]any{"owner": "PT", "handling": []string{}}), true, "notices-to-members"},
		{"notice to one, other asks", share(country("FR"), Notice, directed("BE")), false, ""},
		{"accept", Request{Principal: country("FR"), Action: Accept, Resource: Resource{Type: Signature, Attributes: map[string]any{"owner": "FR"}}, Now: noon}, true, "accept-from-members"},
		{"accept from a suspended member", Request{Principal: suspendedFR, Action: Accept, Resource: Resource{Type: Signature, Attributes: map[string]any{"owner": "FR"}}, Now: noon}, false, "suspended-members"},
		{"answer a trace", Request{Principal: country("FR"), Action: Answer, Resource: Resource{Type: TraceRequest, Attributes: map[string]any{"owner": "FR"}}, Now: noon}, true, "answer-traces"},
		{"accept a scan", Request{Principal: country("FR"), Action: Accept, Resource: Resource{Type: ScanReleased, Attributes: map[string]any{"owner": "FR"}}, Now: noon}, true, "accept-from-members"},
		{"accept a scan request", Request{Principal: country("FR"), Action: Accept, Resource: Resource{Type: ScanAsked, Attributes: map[string]any{"owner": "FR"}}, Now: noon}, true, "accept-from-members"},
		{"answer a scan request", Request{Principal: country("FR"), Action: Answer, Resource: Resource{Type: Scan, Attributes: directed("FR")}, Now: noon}, true, "answer-scan-requests"},
		{"answer a lookup", Request{Principal: country("FR"), Action: Answer, Resource: Resource{Type: Lookup}, Now: noon}, true, "answer-lookups"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Default().Decide(c.q)
			if d.Allow != c.allow || len(d.Errors) != 0 {
				t.Errorf("allow %v, want %v; errors %q; by %v", d.Allow, c.allow, d.Errors, d.Policies)
			}
			if got := strings.Join(ids(d.Policies), " "); got != c.by {
				t.Errorf("decided by %q, want %q", got, c.by)
			}
		})
	}
}

func TestDefaultSignatureObligations(t *testing.T) {
	d := Default().Decide(Request{Principal: country("FR"), Action: Share, Resource: Resource{Type: Signature, Attributes: facts(nil)}, Now: noon})
	if !slices.Equal(d.Obligations.Handling, []string{"H0"}) || d.Obligations.RetainFor != 5*365*day || d.Obligations.Approval != "" {
		t.Errorf("obligations %+v", d.Obligations)
	}
	for field, withheld := range map[string]bool{"case_reference": true, "agency": true, "place": true, "exhibit_number": true, "narrative": true, "offence": false, "occurred": false} {
		if slices.Contains(d.Obligations.Redact, field) != withheld {
			t.Errorf("%s withheld: %v, want %v", field, !withheld, withheld)
		}
	}
	if got := ids(d.Sources["retain:P1825D"]); !slices.Equal(got, []string{"signatures-to-members"}) {
		t.Errorf("source of the retention: %v; all: %v", got, slices.Sorted(maps.Keys(d.Sources)))
	}
}
