package policy

import (
	"strings"
	"testing"
	"time"
)

func running(numbers ...string) []Operation {
	out := make([]Operation, len(numbers))
	for i, n := range numbers {
		out[i] = Operation{Number: n, Until: noon.AddDate(0, 0, i+1)}
	}
	return out
}

const (
	opA = "PT-O-2026-000001" // ends a day after noon
	opB = "ES-O-2026-000007" // two days after, and so on
	opC = "FR-O-2026-000002"
)

func TestOperations(t *testing.T) {
	named := `@id("n") permit (principal in Operation::"` + opA + `", action == Action::"share", resource is Signature);`
	inner := `@id("i") ` + anyShare + `when { resource.terrorism || principal in [Operation::"` + opA + `", Operation::"` + opB + `"] };`
	tagged := `@id("t") ` + anyShare + `when { context.operations.containsAny(resource.operations) };`
	whatever := `@id("a") ` + anyShare + `when { !context.operations.isEmpty() };`
	outside := `@id("o") ` + anyShare + `unless { principal in Operation::"` + opA + `" };`
	general := `@id("g") ` + anyShare + `;`
	for _, c := range []struct {
		name, policies string
		running        []Operation
		tags           []string
		allow          bool
		by, operations string
		days           int // from noon until the copy ends; 0: no end
	}{
		{"in no operation", named, nil, nil, false, "", "", 0},
		{"in another one", named, running(opB), nil, false, "", "", 0},
		{"in the one that is named", named, running(opA, opB), nil, true, "n", opA, 1},
		{"the longer of two that are named", inner, running(opA, opB, opC), nil, true, "i", opB + " " + opA, 2},
		{"tagged with one that does not run", tagged, running(opA), []string{opB}, false, "", "", 0},
		{"tagged with nothing", tagged, running(opA), nil, false, "", "", 0},
		{"tagged", tagged, running(opA, opB), []string{opB, opC}, true, "t", opB, 2},
		{"any operation, and no tag", whatever, running(opA, opB), nil, true, "a", opB + " " + opA, 2},
		{"any operation, and a tag", whatever, running(opA, opB), []string{opA}, true, "a", opA, 1},
		{"outside of an operation", outside, running(opB), nil, true, "o", "", 0},
		{"carved out", outside, running(opA), nil, false, "", "", 0},
		{"a general permit beside it: the restrictions of both", general + named, running(opA), nil, true, "g n", opA, 1},
		{"two permits for two operations: the shorter one", tagged + named, running(opA, opB), []string{opB}, true, "t n", opB + " " + opA, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tags := c.tags
			if tags == nil {
				tags = []string{}
			}
			q := signatureTo("FR", map[string]any{"operations": tags})
			q.Principal.Operations = c.running
			d := engine(t, map[string]string{"x.cedar": c.policies}).Decide(q)
			if d.Allow != c.allow || len(d.Errors) > 0 || strings.Join(ids(d.Policies), " ") != c.by || strings.Join(d.Obligations.Operations, " ") != c.operations {
				t.Fatalf("%v by %v for %v, errors %q", d.Allow, ids(d.Policies), d.Obligations.Operations, d.Errors)
			}
			var until time.Time
			if c.days > 0 {
				until = noon.AddDate(0, 0, c.days)
			}
			if !d.Obligations.Until.Equal(until) {
				t.Errorf("until %v, want %v", d.Obligations.Until, until)
			}
			for _, o := range d.Obligations.Operations {
				if len(d.Sources["operation:"+o]) == 0 {
					t.Errorf("no policy is named as the source of %s: %v", o, d.Sources)
				}
			}
		})
	}
}

// A name is anybody's to give, a misspelt number would never be met, and of other countries than the principal no operations are known.
func TestOperationsThatNoPolicyMayNameSo(t *testing.T) {
	for text, says := range map[string]string{
		`permit (principal in Operation::"Trigger X", action == Action::"share", resource is Signature);`:                        "not the number of one",
		`permit (principal in Operation::"PT-O-2026-1", action == Action::"share", resource is Signature);`:                      "not the number of one",
		anyShare + `when { principal.operations.contains("` + opA + `") };`:                                                      "operations",
		anyShare + `when { resource.owner.operations.contains("` + opA + `") };`:                                                 "operations",
		`permit (principal, action, resource) when { context.operations.contains("` + opA + `") };`:                              "operations",
		`permit (principal is Country, action == Action::"share", resource is Lead) when { resource.operations.contains("x") };`: "ask first",
	} {
		if _, err := Load(folder(map[string]string{"x.cedar": text})); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}
