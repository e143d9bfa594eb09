package policy

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func example(t *testing.T, name string) *Engine {
	t.Helper()
	e, err := Load(os.DirFS("../testdata/policies/" + name))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// outcome is what a test expects of a decision; by holds the deciding policies,
// sorted, and redact the withheld fields.
type outcome struct {
	allow    bool
	by       string
	handling string
	days     int
	redact   string
	approval string
}

func (o outcome) check(t *testing.T, d Decision) {
	t.Helper()
	deciding := ids(d.Policies)
	slices.Sort(deciding)
	got := outcome{d.Allow, strings.Join(deciding, " "), strings.Join(d.Obligations.Handling, " "),
		int(d.Obligations.RetainFor / day), strings.Join(d.Obligations.Redact, " "), d.Obligations.Approval}
	if got != o || len(d.Errors) > 0 {
		t.Errorf("got  %+v %q\nwant %+v", got, d.Errors, o)
	}
}

func shareWith(code, document string, attributes map[string]any) Request {
	return Request{Principal: country(code), Action: Share, Resource: Resource{Type: document, ID: "1", Attributes: attributes}, Now: noon}
}

type exampleCase struct {
	name string
	q    Request
	want outcome
}

func runExample(t *testing.T, folder string, cases []exampleCase) {
	e := example(t, folder)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.want.check(t, e.Decide(c.q)) })
	}
}

func TestExampleBorderOnly(t *testing.T) {
	const redact = "agency case_reference exhibit_number firearm narrative place"
	met := func(by string) outcome { return outcome{true, by, "H0 H2", 3 * 365, redact, ""} }
	sign := func(changes map[string]any) Request { return shareWith("FR", Signature, facts(changes)) }
	runExample(t, "border-only", []exampleCase{
		{"no criterion", sign(nil), outcome{}},
		{"80 km", sign(map[string]any{"border_km": int64(80)}), met("near-a-border")},
		{"81 km", sign(map[string]any{"border_km": int64(81)}), outcome{}},
		{"customs", sign(map[string]any{"customs": true}), met("by-customs")},
		{"traffickers", sign(map[string]any{"trafficking": true}), met("trafficking")},
		{"two firearms", sign(map[string]any{"group_size": int64(2)}), outcome{}},
		{"three firearms", sign(map[string]any{"group_size": int64(3)}), met("three-or-more")},
		{"terrorism at the border", sign(map[string]any{"terrorism": true, "border_km": int64(5)}), met("near-a-border terrorism")},
		{"terrorism without a case", sign(map[string]any{"terrorism": true, "origin": "import"}), outcome{by: "criminal-investigations-alone"}},
		{"lead", shareWith("FR", Lead, directed("FR")), outcome{true, "to-the-addressee", "H0 H2", 3 * 365, "", ""}},
		{"lead to another", shareWith("ES", Lead, directed("FR")), outcome{}},
		{"no scan leaves", shareWith("FR", Scan, directed("FR")), outcome{}},
		{"a signature is not opened by an addressee", sign(map[string]any{"addressee": "FR"}), outcome{}},
	})
}

func TestExampleTwoPerson(t *testing.T) {
	runExample(t, "two-person", []exampleCase{
		{"signature", shareWith("FR", Signature, facts(nil)),
			outcome{true, "signatures-to-members", "H0", 5 * 365, "agency case_reference exhibit_number firearm narrative place", ""}},
		{"lead", shareWith("FR", Lead, directed("FR")),
			outcome{true, "leads-need-two-people to-the-addressee", "H0 H1", 0, "", TwoPerson}},
		{"lead to another", shareWith("ES", Lead, directed("FR")), outcome{}},
		{"hit", shareWith("FR", Hit, directed("FR")),
			outcome{true, "hits-need-two-people to-the-addressee", "H0 H1", 0, "", TwoPerson}},
		{"trace", shareWith("FR", TraceRequest, directed("FR")), outcome{true, "to-the-addressee", "H0", 0, "", ""}},
		{"release", Request{Principal: person(Examiner), Action: LeadRelease}, outcome{true, "lead-release-needs-two-people", "", 0, "", TwoPerson}},
	})
}

func TestExampleOneYear(t *testing.T) {
	foreign := func(codes ...string) Request {
		return Request{Principal: country("FR"), Action: Accept, Resource: Resource{Type: Signature, Attributes: map[string]any{"owner": "FR", "handling": codes}}}
	}
	runExample(t, "one-year", []exampleCase{
		{"signature", shareWith("FR", Signature, facts(nil)),
			outcome{true, "signatures-without-place-and-offence", "H0 H2", 365, "offence place", ""}},
		{"a year old", shareWith("FR", Signature, facts(map[string]any{"age_days": int64(365)})),
			outcome{true, "signatures-without-place-and-offence", "H0 H2", 365, "offence place", ""}},
		{"older than a year", shareWith("FR", Signature, facts(map[string]any{"age_days": int64(366)})), outcome{by: "not-older-than-a-year"}},
		{"lead", shareWith("FR", Lead, directed("FR")), outcome{true, "to-the-addressee", "H0 H2", 365, "offence place", ""}},
		{"trace tells the place", shareWith("FR", TraceRequest, directed("FR")), outcome{true, "traces-to-the-addressee", "H0 H2", 365, "", ""}},
		{"accept", foreign("H0", "H2"), outcome{true, "accept", "", 0, "", ""}},
		{"accept with H3", foreign("H0", "H3"), outcome{by: "no-free-text-conditions"}},
		{"no purpose", Request{Principal: person(Examiner), Action: CaseView}, outcome{by: "no-consultation-without-a-purpose"}},
		{"a purpose", Request{Principal: person(Examiner), Action: CaseView, Purpose: "criminal-investigation"}, outcome{true, "examiners", "", 0, "", ""}},
	})
}

// TestAlternativesLoad uncomments what the default policy offers as alternatives:
// a bureau that follows the comment must get a policy that loads and does what it says.
func TestAlternativesLoad(t *testing.T) {
	const file = "20-signatures.cedar"
	text, err := embedded.ReadFile("default/" + file)
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(text), "// @id(\"signatures-by-ibin-criteria\")")
	if !found {
		t.Fatal("the alternative is not where it was")
	}
	before, _, _ = strings.Cut(before, "@id(\"signatures-to-members\")")
	var b strings.Builder
	b.WriteString(before + "@id(\"signatures-by-ibin-criteria\")")
	for line := range strings.Lines(after) {
		b.WriteString(strings.TrimPrefix(line, "// "))
	}
	e := engine(t, map[string]string{file: b.String()})
	if d := e.Decide(shareWith("FR", Signature, facts(nil))); d.Allow || len(d.Errors) > 0 {
		t.Errorf("no criterion is met: %+v", d)
	}
	for name, changes := range map[string]map[string]any{
		"border": {"border_km": int64(80)}, "customs": {"customs": true}, "trafficking": {"trafficking": true},
		"group": {"group_size": int64(3)}, "terrorism": {"terrorism": true},
	} {
		if d := e.Decide(shareWith("FR", Signature, facts(changes))); !d.Allow {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
