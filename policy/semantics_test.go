package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	anyShare = `permit (principal is Country, action == Action::"share", resource is Signature)`
	noShare  = `forbid (principal is Country, action == Action::"share", resource is Signature)`
	// overflow passes every check on load and fails when it is evaluated with a
	// group of more than one firearm.
	overflow = `when { resource.group_size * 9223372036854775807 >= 0 }`
)

func signatureTo(code string, changes map[string]any) Request {
	return shareWith(code, Signature, facts(changes))
}

func TestSemantics(t *testing.T) {
	two := map[string]any{"group_size": int64(2)}
	for _, c := range []struct {
		name, policies string
		changes        map[string]any
		allow          bool
		by             string
		errors         int
	}{
		{"nothing permits", anyShare + `when { resource.terrorism };`, nil, false, "", 0},
		{"a permit for another action", strings.Replace(anyShare, "share", "accept", 1) + ";", nil, false, "", -1},
		{"one permits", `@id("p")` + anyShare + ";", nil, true, "p", 0},
		{"two permit", `@id("p")` + anyShare + `; @id("q")` + anyShare + ";", nil, true, "p q", 0},
		{"forbid wins", `@id("p")` + anyShare + `; @id("f")` + noShare + ";", nil, false, "f", 0},
		{"forbid wins in any order", `@id("f")` + noShare + `; @id("p")` + anyShare + ";", nil, false, "f", 0},
		{"a forbid that does not apply", `@id("p")` + anyShare + `; @id("f")` + noShare + ` when { resource.customs };`, nil, true, "p", 0},
		{"a permit fails beside a permit", `@id("p")` + anyShare + `; @id("e")` + anyShare + overflow + ";", two, false, "e", 1},
		{"a forbid fails beside a permit", `@id("p")` + anyShare + `; @id("e")` + noShare + overflow + ";", two, false, "e", 1},
		{"a failing policy that does not fail now", `@id("p")` + anyShare + `; @id("e")` + anyShare + overflow + ";", nil, true, "p e", 0},
		{"a forbid beside a failure", `@id("f")` + noShare + `; @id("e")` + anyShare + overflow + ";", two, false, "f e", 1},
		{"a failure alone", `@id("e")` + anyShare + overflow + ";", two, false, "e", 1},
		{"a failure for another action", `@id("p")` + anyShare + `; permit (principal, action == Action::"answer", resource is Lookup) when { 9223372036854775807 + 1 > 0 };`, two, true, "p", 0},
		{"missing distance is not near", anyShare + `when { resource has border_km && resource.border_km <= 80 };`, nil, false, "", 0},
		{"the country's code", `@id("p")` + anyShare + `when { principal.code == "FR" };`, nil, true, "p", 0},
		{"the owner's code", `@id("p")` + anyShare + `when { resource.owner.code == "PT" };`, nil, true, "p", 0},
		{"the codes it carries", `@id("p")` + anyShare + `when { resource.handling.contains("H0") };`, nil, true, "p", 0},
		{"before the end of an agreement", `@id("p")` + anyShare + `when { context.now < datetime("2026-03-03") };`, nil, true, "p", 0},
		{"after the end of an agreement", anyShare + `when { context.now < datetime("2026-03-02") };`, nil, false, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.errors < 0 { // the action does not go with the type: refused on load
				if _, err := Load(folder(map[string]string{"x.cedar": c.policies})); err == nil {
					t.Error("loaded")
				}
				return
			}
			d := engine(t, map[string]string{"x.cedar": c.policies}).Decide(signatureTo("FR", c.changes))
			if got := strings.Join(ids(d.Policies), " "); d.Allow != c.allow || got != c.by || len(d.Errors) != c.errors {
				t.Errorf("allow %v by %q, errors %q; want %v by %q, %d errors", d.Allow, got, d.Errors, c.allow, c.by, c.errors)
			}
			if !d.Allow && (!reflect.DeepEqual(d.Obligations, Obligations{}) || d.Sources != nil) {
				t.Errorf("a denial has obligations: %+v %v", d.Obligations, d.Sources)
			}
			for _, e := range d.Errors {
				if !strings.HasPrefix(e, "x.cedar:1: policy e ") {
					t.Errorf("the error does not name its place: %s", e)
				}
			}
		})
	}
}

func TestObligationsUnite(t *testing.T) {
	e := engine(t, map[string]string{
		"a.cedar": `@id("a") @handling("H1 H0 H1") @retain("P1Y") @redact("location") ` + anyShare + ";",
		"b.cedar": `@id("b") @handling("H2 H1") @retain("P365D") @redact("agency place") @approval("two-person") ` + anyShare + ";",
		"c.cedar": `@id("c") @retain("P2Y") ` + anyShare + ";",
		"d.cedar": `@id("d") @handling("H3") @retain("P1D") @redact("narrative") ` + anyShare + "when { resource.terrorism };",
	})
	d := e.Decide(signatureTo("FR", nil))
	want := Obligations{Handling: []string{"H0", "H1", "H2"}, RetainFor: 365 * day, Redact: []string{"agency", "place"}, Approval: TwoPerson}
	if !d.Allow || !reflect.DeepEqual(d.Obligations, want) {
		t.Errorf("%v %+v, want %+v", d.Allow, d.Obligations, want)
	}
	got := make(map[string]string)
	for restriction, refs := range d.Sources {
		got[restriction] = strings.Join(ids(refs), " ")
	}
	sources := map[string]string{
		"handling:H0": "a", "handling:H1": "a b", "handling:H2": "b",
		"redact:agency": "b", "redact:place": "a b", "approval:two-person": "b", "retain:P365D": "a b",
	}
	if !reflect.DeepEqual(got, sources) {
		t.Errorf("sources %v\nwant    %v", got, sources)
	}
}

// TestQuestionsRefused asks what the schema does not admit: denied with a reason
// even where a policy permits everything.
func TestQuestionsRefused(t *testing.T) {
	e := engine(t, map[string]string{"x.cedar": permitAll})
	sign := func(changes map[string]any) Request { return signatureTo("FR", changes) }
	for _, c := range []struct {
		name string
		q    Request
		says string
	}{
		{"nothing asked", Request{}, "unknown action"},
		{"unknown action", Request{Principal: country("FR"), Action: "lend"}, "unknown action"},
		{"a group of actions", Request{Principal: person(Examiner), Action: "casework"}, "unknown action"},
		{"no principal", Request{Action: Share, Resource: Resource{Type: Signature, Attributes: facts(nil)}}, "two capital letters"},
		{"small letters", signatureTo("fr", nil), "two capital letters"},
		{"a person shares", Request{Principal: person(Examiner), Action: Share, Resource: Resource{Type: Signature, Attributes: facts(nil)}}, "for a country"},
		{"a country views a case", Request{Principal: country("FR"), Action: CaseView}, "for a person"},
		{"unknown role", Request{Principal: person("boss"), Action: CaseView}, `unknown role "boss"`},
		{"a person's wrong country", Request{Principal: Principal{User: "ana", Country: "Portugal"}, Action: CaseView}, "two capital letters"},
		{"unknown document type", shareWith("FR", "rumour", facts(nil)), `unknown document type "rumour"`},
		{"no document type", shareWith("FR", "", facts(nil)), "unknown document type"},
		{"unknown kind of record", Request{Principal: person(Examiner), Action: CaseView, Resource: Resource{Type: "rumour"}}, "unknown kind"},
		{"a lookup cannot be shared", shareWith("FR", Lookup, nil), "not for a document of type lookup"},
		{"a kind given as an attribute", Request{Principal: person(Examiner), Action: CaseView, Resource: Resource{Attributes: map[string]any{"kind": "lead"}}}, `no attribute "kind"`},
		{"missing attribute", sign(map[string]any{"terrorism": nil}), "attribute terrorism of Signature is missing"},
		{"lead without addressee", shareWith("FR", Lead, map[string]any{"owner": "PT", "handling": []string{}}), "attribute addressee of Lead is missing"},
		{"unknown attribute", sign(map[string]any{"colour": "red"}), `no attribute "colour"`},
		{"number as text", sign(map[string]any{"group_size": "3"}), "group_size of Signature: want an int64"},
		{"text as number", sign(map[string]any{"calibre": 9}), "want a string"},
		{"text as bool", sign(map[string]any{"customs": "yes"}), "want a bool"},
		{"list of another type", sign(map[string]any{"handling": "H0"}), "want a []string"},
		{"an owner that is no country", sign(map[string]any{"owner": "Portugal"}), "country code"},
		{"a distance that is not known", sign(map[string]any{"border_km": any(nil), "group_size": 2.5}), "want an int64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := e.Decide(c.q)
			if d.Allow || len(d.Errors) == 0 || !strings.Contains(strings.Join(d.Errors, "\n"), c.says) {
				t.Errorf("%v %q, want a denial: %s", d.Allow, d.Errors, c.says)
			}
		})
	}
	if d := e.Decide(sign(map[string]any{"group_size": 2})); !d.Allow {
		t.Errorf("an int for a long: %q", d.Errors)
	}
}

// TestConcurrentDecisions runs under the race detector; every decision has to be
// the same, its reasons in the same order.
func TestConcurrentDecisions(t *testing.T) {
	e := engine(t, manyPolicies(50))
	want := e.Decide(signatureTo("FR", nil))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got := e.Decide(signatureTo("FR", nil))
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v, want %+v", got, want)
					return
				}
				slices.Reverse(got.Obligations.Redact) // a caller may change what it got
				got.Policies[0].ID = "changed"
			}
		})
	}
	wg.Wait()
}

// manyPolicies is a folder of n policies of the kind that countries write: rules
// for groups of recipients with conditions on the object, most of them for share.
func manyPolicies(n int) map[string]string {
	var b strings.Builder
	for i := range n {
		code := string([]byte{'A' + byte(i%26), 'A' + byte(i/26%26)})
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, "@id(\"r%d\") @handling(\"H0\") @retain(\"P%dD\") @redact(\"agency place\")\n%s\nwhen { [\"evidence\", \"test-fire\"].contains(resource.origin) && resource.age_days <= %d };\n", i, 365+i, anyShare, 100+i)
		case 1:
			fmt.Fprintf(&b, "@id(\"r%d\")\n%s\nwhen { principal == Country::\"%s\" && resource.offence == \"homicide\" && resource has border_km && resource.border_km <= %d };\n", i, anyShare, code, i)
		case 2:
			fmt.Fprintf(&b, "@id(\"r%d\")\nforbid (principal == Country::\"%s\", action == Action::\"share\", resource is Signature)\nunless { resource.terrorism };\n", i, code)
		case 3:
			fmt.Fprintf(&b, "@id(\"r%d\")\npermit (principal is User, action in [Action::\"case:view\", Action::\"lead:view\"], resource)\nwhen { context.purpose == \"purpose %d\" };\n", i, i)
		}
	}
	return map[string]string{"many.cedar": b.String()}
}

func BenchmarkLoad(b *testing.B) {
	dir := folder(manyPolicies(200))
	for b.Loop() {
		if _, err := Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}

// A decision's work grows with the policies and no faster; the benchmark gives
// the true numbers.
func TestDecideGrowsWithThePolicies(t *testing.T) {
	work := func(policies int) float64 {
		e := engine(t, manyPolicies(policies))
		return testing.AllocsPerRun(20, func() { e.Decide(signatureTo("FR", nil)) })
	}
	if few, many := work(20), work(200); many > 12*few {
		t.Errorf("20 policies take %v allocations, 200 take %v", few, many)
	}
}
