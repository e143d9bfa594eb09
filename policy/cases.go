package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"

	"proofmark/protocol"
)

// CasesFile is where the cases of a folder of policies stand, beside them.
const CasesFile = "cases.toml"

const maxCases = 2000 // in one file

// Case is one question with the answer that its author expects: a policy's test.
// One of To, From and As says who asks.
type Case struct {
	Name       string         `toml:"name"`
	To         string         `toml:"to"` // a country that we would share with (or answer, with Answers)
	Answers    bool           `toml:"answers"`
	From       string         `toml:"from"` // a country that a document came from
	As         []string       `toml:"as"`   // a person with these roles
	Action     Action         `toml:"action"`
	Document   string         `toml:"document"`   // document type, or kind of record
	Operations []string       `toml:"operations"` // numbers of operations that run, with the country and this one in them
	Suspended  bool           `toml:"suspended"`
	Purpose    string         `toml:"purpose"`
	At         time.Time      `toml:"at"`   // the clock; now where it does not matter
	With       map[string]any `toml:"with"` // attributes; what must be there and is not said is false, 0, none or ""
	// Foreign is what other countries demand of what the document is made of, such as "H2/ES"; Permitted are those that permitted the transfer.
	Foreign   []string    `toml:"foreign"`
	Permitted []string    `toml:"permitted"`
	Expect    Expectation `toml:"expect"`
}

// Expectation is what a case says of the decision. What it leaves out may be
// anything; an empty list means none.
type Expectation struct {
	Decision string    `toml:"decision"` // "permit" or "deny"
	By       *[]string `toml:"by"`       // ids of the deciding policies
	Handling *[]string `toml:"handling"`
	Redact   *[]string `toml:"redact"`
	Retain   *string   `toml:"retain"` // as in @retain; "" for none
	Approval *string   `toml:"approval"`

	Operations *[]string `toml:"operations"` // with whose end the receiver's copy ends
}

// Outcome is what became of one case.
type Outcome struct {
	Name     string   `json:"name"`
	Decision string   `json:"decision"`
	By       []string `json:"by"`
	Wrong    []string `json:"wrong"` // what is not as expected; empty: the case holds
}

// ReadCases reads the cases of a folder of policies. It returns an error that
// wraps fs.ErrNotExist where there is no file of them.
func ReadCases(dir fs.FS) ([]Case, error) {
	text, problem, err := readPolicyFile(dir, CasesFile)
	if err != nil {
		return nil, err
	}
	if problem != nil {
		return nil, problem
	}
	return ParseCases(text)
}

// ParseCases reads the text of a file of cases.
func ParseCases(text []byte) ([]Case, error) {
	if len(text) > maxFileBytes {
		return nil, &Problem{CasesFile, 1, fmt.Sprintf("the file is larger than %d KiB", maxFileBytes>>10)}
	}
	var file struct {
		Case []Case `toml:"case"`
	}
	decoder := toml.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, tomlProblem(CasesFile, err)
	}
	if len(file.Case) == 0 {
		return nil, &Problem{CasesFile, 1, "no [[case]] in it"}
	}
	if len(file.Case) > maxCases {
		return nil, &Problem{CasesFile, 1, fmt.Sprintf("%d cases, more than %d", len(file.Case), maxCases)}
	}
	seen := map[string]bool{}
	for i, c := range file.Case {
		name := c.Name
		if name == "" {
			name = fmt.Sprintf("case %d", i+1)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", CasesFile, name, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("%s: two cases are called %q", CasesFile, c.Name)
		}
		seen[c.Name] = true
	}
	return file.Case, nil
}

func (c Case) check() error {
	askers := 0
	for _, there := range []bool{c.To != "", c.From != "", len(c.As) > 0} {
		if there {
			askers++
		}
	}
	switch {
	case c.Name == "":
		return errors.New("it has no name")
	case askers != 1:
		return errors.New(`say who asks: one of to = "FR", from = "FR" and as = ["examiner"]`)
	case len(c.As) > 0 && len(c.Operations) > 0:
		return errors.New("operations go with to and from: a person takes part in none")
	case slices.ContainsFunc(c.Operations, func(o string) bool { return !validOperation(o) }):
		return errors.New("operations: name them by number, such as PT-O-2026-000001")
	case len(c.As) > 0 && c.Action == "":
		return errors.New(`say what the person wants to do: action = "case:view"`)
	case len(c.As) == 0 && c.Action != "":
		return errors.New("an action is for a person; to and from say what a country does")
	case c.Answers && c.To == "":
		return errors.New("answers goes with to")
	case c.Expect.Decision != "permit" && c.Expect.Decision != "deny":
		return errors.New(`[case.expect] wants decision = "permit" or decision = "deny"`)
	case len(c.Foreign)+len(c.Permitted) > 0 && c.To == "":
		return errors.New("foreign and permitted go with to: they bind what is passed on")
	case len(c.Foreign) > 0:
		h, err := protocol.ParseHandling(c.Foreign)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(h, func(m protocol.Marking) bool { return m.Owner == "" }) {
			return errors.New(`foreign names the owner of each code, such as "H2/ES"`)
		}
	}
	switch {
	case c.Expect.Retain != nil && *c.Expect.Retain != "":
		if _, err := parseDuration(*c.Expect.Retain); err != nil {
			return fmt.Errorf("retain: %w", err)
		}
	}
	return nil
}

// request is the question that a case puts.
func (c Case) request(now time.Time) Request {
	q := Request{Action: c.Action, Purpose: c.Purpose, Now: now,
		Resource: Resource{Type: c.Document, ID: "case", Attributes: map[string]any{}}}
	if !c.At.IsZero() {
		q.Now = c.At
	}
	switch {
	case c.From != "":
		q.Action, q.Principal.Country = Accept, c.From
	case c.To != "":
		q.Action, q.Principal.Country = Share, c.To
		if c.Answers {
			q.Action = Answer
		}
	default:
		q.Principal.User, q.Principal.Roles = "somebody", c.As
	}
	q.Principal.Suspended = c.Suspended
	for _, number := range c.Operations {
		q.Principal.Operations = append(q.Principal.Operations, Operation{Number: number, Until: q.Now.Add(day)})
	}
	q.Foreign, _ = protocol.ParseHandling(c.Foreign) // checked when it was read
	for _, owner := range c.Permitted {
		if q.Permissions == nil {
			q.Permissions = map[protocol.Country]string{}
		}
		q.Permissions[protocol.Country(owner)] = "case"
	}
	for key, v := range c.With {
		if list, ok := v.([]any); ok {
			words := make([]string, 0, len(list))
			for _, e := range list {
				s, ok := e.(string)
				if !ok {
					s = fmt.Sprint(e) // the schema then says what it wants
				}
				words = append(words, s)
			}
			v = words
		}
		q.Resource.Attributes[key] = v
	}
	return q
}

// complete gives what the schema demands and the case leaves out its empty value;
// a country that is left out is the one that owns the policy, "XX".
func (x *schemaIndex) complete(q *Request) {
	action, ok := x.resolved.Actions[types.NewEntityUID(actionType, types.String(q.Action))]
	if !ok || action.AppliesTo == nil {
		return
	}
	name, err := resourceType(*q, action)
	if err != nil {
		return
	}
	for key, attribute := range x.resolved.Entities[name].Shape {
		if _, said := q.Resource.Attributes[string(key)]; said || attribute.Optional || key == "kind" {
			continue
		}
		switch attribute.Type.(type) {
		case resolved.StringType:
			q.Resource.Attributes[string(key)] = ""
		case resolved.BoolType:
			q.Resource.Attributes[string(key)] = false
		case resolved.LongType:
			q.Resource.Attributes[string(key)] = int64(0)
		case resolved.SetType:
			q.Resource.Attributes[string(key)] = []string{}
		case resolved.EntityType:
			q.Resource.Attributes[string(key)] = "XX"
		}
	}
}

// Try asks every case and compares. The clock of cases that name none is now.
func (e *Engine) Try(cases []Case, now time.Time) ([]Outcome, error) {
	sch, err := loadSchema()
	if err != nil {
		return nil, err
	}
	out := make([]Outcome, len(cases))
	for i, c := range cases {
		q := c.request(now)
		sch.complete(&q)
		d := e.Decide(q)
		out[i] = Outcome{Name: c.Name, Decision: verdict(d), By: []string{}, Wrong: append([]string{}, d.Errors...)}
		for _, ref := range d.Policies {
			out[i].By = append(out[i].By, ref.String())
		}
		out[i].Wrong = append(out[i].Wrong, c.Expect.differences(d)...)
	}
	return out, nil
}

func verdict(d Decision) string {
	if d.Allow {
		return "permit"
	}
	return "deny"
}

func (x Expectation) differences(d Decision) (wrong []string) {
	if got := verdict(d); got != x.Decision {
		by := "no policy permits it"
		if len(d.Policies) > 0 {
			refs := make([]string, len(d.Policies))
			for i, ref := range d.Policies {
				refs[i] = ref.String()
			}
			by = "by " + strings.Join(refs, ", ")
		}
		wrong = append(wrong, fmt.Sprintf("%s expected, %s found: %s", x.Decision, got, by))
	}
	ids := map[string]bool{}
	for _, ref := range d.Policies {
		ids[ref.ID] = true
	}
	compare := func(what string, want *[]string, got []string) {
		if want == nil {
			return
		}
		expected := slices.Compact(slices.Sorted(slices.Values(*want)))
		if !slices.Equal(expected, got) {
			wrong = append(wrong, fmt.Sprintf("%s: [%s] expected, [%s] found", what, strings.Join(expected, " "), strings.Join(got, " ")))
		}
	}
	compare("by", x.By, slices.Sorted(maps.Keys(ids)))
	compare("handling", x.Handling, d.Obligations.Handling)
	compare("redact", x.Redact, d.Obligations.Redact)
	compare("operations", x.Operations, d.Obligations.Operations)
	if x.Retain != nil {
		want := time.Duration(0)
		if *x.Retain != "" {
			want, _ = parseDuration(*x.Retain) // checked when it was read
		}
		if want != d.Obligations.RetainFor {
			wrong = append(wrong, fmt.Sprintf("retain: %d days expected, %d found", want/day, d.Obligations.RetainFor/day))
		}
	}
	if x.Approval != nil && *x.Approval != d.Obligations.Approval {
		wrong = append(wrong, fmt.Sprintf("approval: %q expected, %q found", *x.Approval, d.Obligations.Approval))
	}
	return wrong
}
