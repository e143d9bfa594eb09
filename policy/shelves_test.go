package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
)

// TestShelvesChangeNoDecision asks the policies that the shelves leave, and all of them: the same answer, reasons and errors.
func TestShelvesChangeNoDecision(t *testing.T) {
	law := grownLaw(200)
	law["more.cedar"] = strings.Join([]string{
		`@id("s") forbid (principal in Standing::"suspended", action, resource) unless { action == Action::"share" && resource is Withdrawal };`,
		`@id("c") permit (principal is Country in Operation::"` + opA + `", action == Action::"share", resource) when { resource has addressee };`,
		`@id("e") permit (principal, action == Action::"share", resource is Signature) ` + overflow + `;`,
		`@id("one") permit (principal == Country::"FR", action in [Action::"share", Action::"answer"], resource == Scan::"1");`,
		`@id("r") permit (principal in Role::"examiner", action in Action::"casework", resource);`,
		`@id("u") permit (principal == User::"ana", action == Action::"case:view", resource);`,
	}, "\n")
	e := engine(t, law)
	sch, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for i := range 200 {
		for _, q := range []Request{
			signatureTo(memberCode(i), map[string]any{"group_size": int64(1 + i%3), "border_km": int64(i * 10)}),
			{Principal: country("FR"), Action: Answer, Resource: Resource{Type: Scan, ID: fmt.Sprint(i % 3), Attributes: directed("FR")}, Now: noon},
			shareWith("FR", Scan, directed("FR")), shareWith(memberCode(i), Withdrawal, map[string]any{"owner": "PT", "handling": []string{}}),
			{Principal: country(memberCode(i)), Action: Accept, Resource: Resource{Type: Signature, Attributes: map[string]any{"owner": "PT", "offence": "x"}}, Now: noon},
			{Principal: person(Examiner), Action: CaseView, Now: noon}, {Principal: person(Auditor), Action: CaseView, Now: noon}, {Principal: person(Auditor), Action: AuditQuery, Now: noon},
		} {
			if q.Principal.User == "" {
				q.Principal.Suspended = i%5 == 0
				q.Principal.Operations = [][]Operation{nil, running(opA), running("PT-O-2026-000011", opA)}[i%3]
			}
			request, w, problems := sch.question(q)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			few, fewWhy := cedar.Authorize(e.candidates(request, w), w, request)
			all, allWhy := cedar.Authorize(rules(e.rules), w, request)
			if few != all || !reflect.DeepEqual(fewWhy, allWhy) {
				t.Fatalf("%+v: %v by %+v; of all policies %v by %+v", q, few, fewWhy, all, allWhy)
			}
			asked += len(fewWhy.Reasons) + len(fewWhy.Errors)
		}
	}
	if asked < 1000 {
		t.Errorf("%d reasons and errors in all: the questions meet too few policies", asked)
	}
}
