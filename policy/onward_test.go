package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"proofmark/protocol"
)

// Nothing that a folder of policies says lets another country's H2 go to a third one.
func TestOnwardTransferNeedsTheOwner(t *testing.T) {
	everything := engine(t, map[string]string{"all.cedar": `@id("all") permit (principal, action, resource);`})
	nothing := engine(t, map[string]string{"none.cedar": `@id("none") forbid (principal, action, resource);`})
	for _, c := range []struct {
		name      string
		foreign   protocol.Handling
		permitted []protocol.Country
		to        string
		allow     bool
		by        string
	}{
		{"nothing foreign", nil, nil, "FR", true, "all"},
		{"foreign, and no H2", protocol.MarkedBy("ES", "H0", "H1", "H3"), nil, "FR", true, "all"},
		{"H2 to its owner", protocol.MarkedBy("FR", "H2"), nil, "FR", true, "all"},
		{"H2 to a third country", protocol.MarkedBy("ES", "H2"), nil, "FR", false, "no-onward-transfer-without-ES"},
		{"H2 with permission", protocol.MarkedBy("ES", "H2"), []protocol.Country{"ES"}, "FR", true, "all"},
		{"two owners, one permits", protocol.UnionHandling(protocol.MarkedBy("ES", "H2"), protocol.MarkedBy("DE", "H2")), []protocol.Country{"ES"}, "FR", false, "no-onward-transfer-without-DE"},
		{"two owners, both permit", protocol.UnionHandling(protocol.MarkedBy("ES", "H2"), protocol.MarkedBy("DE", "H2")), []protocol.Country{"ES", "DE"}, "FR", true, "all"},
		{"another country's permission", protocol.MarkedBy("ES", "H2"), []protocol.Country{"DE"}, "FR", false, "no-onward-transfer-without-ES"},
	} {
		q := signatureTo(c.to, nil)
		q.Foreign, q.Permissions = c.foreign, map[protocol.Country]string{}
		for _, p := range c.permitted {
			q.Permissions[p] = "doc-" + string(p)
		}
		d := everything.Decide(q)
		if d.Allow != c.allow || strings.Join(ids(d.Policies), " ") != c.by {
			t.Errorf("%s: %v by %v", c.name, d.Allow, ids(d.Policies))
		}
		if !d.Allow && (len(d.Owners) == 0 || !strings.Contains(d.Owners[0], "permission grant") || d.Policies[0].String() != c.by+" (built in)") {
			t.Errorf("%s: it says %v, by %v", c.name, d.Owners, d.Policies)
		}
		for _, p := range c.permitted {
			if refs := d.Sources["onward:"+string(p)]; d.Allow && (len(refs) != 1 || refs[0].String() != "doc-"+string(p)+" (permission of "+string(p)+")") {
				t.Errorf("%s: the permission of %s is named %v", c.name, p, refs)
			}
		}
		if nothing.Decide(q).Allow {
			t.Errorf("%s: a permission of the owner overrules this country's own policy", c.name)
		}
	}
}

func TestOnwardTransferWhateverIsAsked(t *testing.T) {
	countries := []string{"PT", "ES", "FR", "DE"}
	everything := engine(t, map[string]string{"all.cedar": `permit (principal, action, resource);`})
	rapid.Check(t, func(t *rapid.T) {
		to := rapid.SampledFrom(countries).Draw(t, "to")
		var foreign protocol.Handling
		for range rapid.IntRange(0, 6).Draw(t, "markings") {
			foreign = protocol.UnionHandling(foreign, protocol.MarkedBy(protocol.Country(rapid.SampledFrom(countries).Draw(t, "owner")), rapid.SampledFrom(protocol.HandlingCodes).Draw(t, "code")))
		}
		q := signatureTo(to, nil)
		if rapid.Bool().Draw(t, "answer") {
			q = Request{Principal: country(to), Action: Answer, Resource: Resource{Type: TraceRequest, ID: "t", Attributes: map[string]any{"owner": to}}, Now: noon}
		}
		q.Foreign, q.Permissions = foreign, map[protocol.Country]string{}
		if permits := rapid.SampledFrom(countries).Draw(t, "permits"); rapid.Bool().Draw(t, "permitted") {
			q.Permissions[protocol.Country(permits)] = "p"
		}
		open := slices.ContainsFunc(foreign, func(m protocol.Marking) bool {
			return m.Code == "H2" && m.Owner != protocol.Country(to) && q.Permissions[m.Owner] == ""
		})
		if d := everything.Decide(q); d.Allow == open {
			t.Fatalf("%v with %v to %s: allowed %v", foreign, q.Permissions, to, d.Allow)
		}
	})
}
