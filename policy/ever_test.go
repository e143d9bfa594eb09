package policy

import (
	"slices"
	"strings"
	"testing"
)

// Whatever Decide permits of some object and purpose, Ever permits; what Ever denies, Decide denies of every object, by the same policies.
func TestEverIsTheOuterBound(t *testing.T) {
	engines := map[string]*Engine{"default": Default()}
	for _, name := range []string{"border-only", "one-year", "two-person"} {
		engines[name] = example(t, name)
	}
	objects := []map[string]any{nil, {"owner": "PT"}, {"owner": "FR"}, {"reviewers": []string{"ana"}}, {"reviewers": []string{"rui"}, "owner": "PT", "handling": []string{"H2"}}}
	combinations := [][]string{nil, {Examiner, NCBOperator}, {Administrator, Examiner}, {Auditor, Technician}}
	for _, role := range Roles() {
		combinations = append(combinations, []string{role})
	}
	for name, e := range engines {
		for action := range homeKind {
			for _, roles := range combinations {
				ever, permitted := e.Ever(person(roles...), action), false
				for _, purpose := range []string{"", "criminal-investigation"} {
					for _, o := range objects {
						d := e.Decide(Request{Principal: person(roles...), Action: action, Resource: Resource{Attributes: o}, Purpose: purpose, Now: noon})
						if permitted = permitted || d.Allow; d.Allow && !ever.Allow {
							t.Errorf("%s: %s by %v of %v is permitted, and Ever denies it by %v %v", name, action, roles, o, ever.Policies, ever.Errors)
						}
						if !ever.Allow && len(d.Policies) == 0 && len(ever.Policies) > 0 {
							t.Errorf("%s: %s by %v: Ever names %v, and the decision nothing", name, action, roles, ever.Policies)
						}
					}
				}
				if ever.Allow && !permitted && len(roles) < 2 {
					t.Errorf("%s: %s by %v is denied of everything that was tried, and Ever permits it by %v", name, action, roles, ever.Policies)
				}
			}
		}
	}
}

func TestEver(t *testing.T) {
	const view = `(principal in Role::"examiner", action == Action::"case:view", resource)`
	for _, c := range []struct {
		name, policies string
		allow          bool
		by             string
		errors         int
	}{
		{"nothing is said of it", `@id("o") permit (principal in Role::"examiner", action == Action::"case:add", resource);`, false, "", 0},
		{"all objects", `@id("p") permit ` + view + `;`, true, "p", 0},
		{"some objects", `@id("p") permit ` + view + ` when { resource has owner && resource.owner == Country::"PT" };`, true, "p", 0},
		{"some purposes", `@id("p") permit ` + view + ` when { context.purpose == "x" };`, true, "p", 0},
		{"another person", `@id("p") permit ` + view + ` when { principal.name == "rui" };`, false, "", 0},
		{"this person's", `@id("p") permit ` + view + ` when { principal.name == "ana" } when { context.purpose == "x" };`, true, "p", 0},
		{"forbidden of some", `@id("p") permit ` + view + `; @id("f") forbid ` + view + ` when { resource has owner };`, true, "p", 0},
		{"forbidden without a purpose", `@id("p") permit ` + view + `; @id("f") forbid ` + view + ` unless { context.purpose != "" };`, true, "p", 0},
		{"forbidden", `@id("p") permit ` + view + `; @id("f") forbid ` + view + `;`, false, "f", 0},
		{"forbidden to the person", `@id("p") permit ` + view + `; @id("f") forbid ` + view + ` when { principal.name == "ana" };`, false, "f", 0},
		{"an error whatever is asked", `@id("p") permit ` + view + `; @id("e") permit ` + view + ` when { 9223372036854775807 + 1 > 0 };`, false, "e", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := engine(t, map[string]string{"x.cedar": c.policies}).Ever(person(Examiner), CaseView)
			if by := strings.Join(ids(d.Policies), " "); d.Allow != c.allow || by != c.by || len(d.Errors) != c.errors {
				t.Errorf("allow %v by %q, errors %q; want %v by %q, %d errors", d.Allow, by, d.Errors, c.allow, c.by, c.errors)
			}
		})
	}
	if d := Default().Ever(Principal{Country: "FR"}, CaseView); d.Allow || len(d.Errors) == 0 {
		t.Errorf("a country does a person's act: %+v", d)
	}
	if d := Default().Ever(person(Examiner), "case:burn"); d.Allow || len(d.Errors) == 0 {
		t.Errorf("an unknown action: %+v", d)
	}
	if !slices.Equal(Default().Ever(person(Administrator), CaseView).Policies, Default().Decide(Request{Principal: person(Administrator), Action: CaseView}).Policies) {
		t.Error("another reason than the decision's")
	}
}
