package node

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/policy"
	"proofmark/protocol"
)

// secret is a value that stands in one field of one thing, and nowhere else in the world: where it is found, that field has got to.
type secret struct {
	what, owner string
	value       []byte
	grants      []grant // none: it never leaves the country
}

// grant is one way in which a secret may leave: in a field of a document that policy lets go to a country, and does not withhold.
type grant struct {
	about    policy.Resource
	field    string // "" where no policy can withhold it
	to       string // the one addressee; "" for whoever policy permits
	approved bool   // two people have approved it
}

// permits asks the policy in force at the owner: the oracle of the test, which knows nothing of how documents are made.
func (g grant) permits(engine *policy.Engine, owner, to string) bool {
	if g.to != "" && g.to != to {
		return false
	}
	about := g.about
	about.Attributes = map[string]any{"owner": owner, "handling": []string{}}
	maps.Copy(about.Attributes, g.about.Attributes)
	if g.to != "" {
		about.Attributes["addressee"] = g.to
	}
	d := engine.Decide(policy.Request{Principal: policy.Principal{Country: to}, Action: policy.Share, Resource: about, Now: time.Now()})
	return d.Allow && !slices.Contains(d.Obligations.Redact, g.field) && (d.Obligations.Approval == "" || g.approved)
}

// directed is a grant of a document for one country.
func directed(kind protocol.Type, field, to string) grant {
	return grant{about: policy.Resource{Type: cedarKind(kind), ID: "x"}, field: field, to: to}
}

func cedarKind(t protocol.Type) string {
	if t == protocol.TypeScanRelease {
		return policy.Scan
	}
	return string(t)
}

// The Cedar names of what one country writes to one other.
var directedTypes = []string{"Lead", "LeadAck", "LeadRetraction", "Hit", "Feedback", "TraceRequest", "TraceStatus", "TraceAnswer", "ScanRequest", "ScanRefusal", "Scan", "Permission"}

// randomPolicy is a sharing policy of a country: what people may do, and what is accepted, as in the default; what leaves, drawn at random.
func randomPolicy(t testing.TB, r *rand.Rand, own string, others []string) (map[string]string, *policy.Engine) {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"10-members.cedar", "40-inbound.cedar", "50-casework.cedar", "60-upkeep.cedar"} {
		b, err := os.ReadFile(filepath.Join("..", "policy", "default", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
		if name == "60-upkeep.cedar" || r.IntN(2) == 0 { // what changes the policy takes one person here
			files[name] = strings.ReplaceAll(string(b), `@approval("two-person")`, "")
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "@id(\"version-%d\")\nforbid (principal == Country::\"ZZ\", action, resource);\n", r.Uint64()) // no two are the same
	rule := func(effect, kind, condition string) {
		if effect == "permit" {
			if fields := pick(r, policy.Withholdable(), 0.25); len(fields) > 0 {
				fmt.Fprintf(&out, "@redact(%q)\n", strings.Join(fields, " "))
			}
			if r.IntN(3) == 0 {
				fmt.Fprintf(&out, "@retain(\"P%dD\")\n", 1+r.IntN(900))
			}
		}
		whom := "principal is Country"
		if r.IntN(3) == 0 {
			whom = fmt.Sprintf("principal == Country::%q", others[r.IntN(len(others))])
		}
		fmt.Fprintf(&out, "%s (%s, action == Action::\"share\", resource is %s)\nwhen { %s };\n", effect, whom, kind, condition)
	}
	for range 1 + r.IntN(3) {
		rule("permit", "Signature", condition(r))
	}
	if r.IntN(2) == 0 {
		rule("forbid", "Signature", condition(r))
	}
	for _, kind := range directedTypes {
		for range r.IntN(3) {
			rule("permit", kind, "resource.addressee == principal")
		}
	}
	out.WriteString("permit (principal is Country, action == Action::\"share\", resource is Withdrawal);\n")
	files["20-random.cedar"] = out.String()
	engine, err := policy.LoadTexts(files)
	if err != nil {
		t.Fatalf("%s: %v\n%s", own, err, files["20-random.cedar"])
	}
	return files, engine
}

// condition is something that a policy may ask of an exhibit.
func condition(r *rand.Rand) string {
	all := []string{"true", "resource.terrorism", "!resource.customs", "resource.trafficking || resource.customs", "resource.group_size >= 3",
		"resource has border_km && resource.border_km <= 80", `resource.origin == "evidence"`, `["test-fire"].contains(resource.origin)`}
	return all[r.IntN(len(all))]
}

// pick takes each of a list with a probability.
func pick(r *rand.Rand, from []string, p float64) (out []string) {
	for _, s := range from {
		if r.Float64() < p {
			out = append(out, s)
		}
	}
	return out
}
