package node

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says what each package may import of this project, by prefix: arrows run one way.
var allowed = map[string][]string{
	"proofmark/protocol":           {},
	"proofmark/crypto":             {"proofmark/protocol"},
	"proofmark/crypto/roster":      {"proofmark/protocol", "proofmark/crypto"},
	"proofmark/crypto/proof":       {"proofmark/protocol", "proofmark/crypto"},
	"proofmark/store":              {"proofmark/protocol"},
	"proofmark/policy":             {"proofmark/protocol"},
	"proofmark/correlate":          {"proofmark/correlate/exact", "proofmark/correlate/snapshot", "proofmark/correlate/x3p"},
	"proofmark/correlate/":         {"proofmark/correlate"},
	"proofmark/correlate/exact":    {},
	"proofmark/correlate/snapshot": {},
	"proofmark/correlate/x3p":      {},
	"proofmark/correlate/synth":    {"proofmark/correlate/x3p"},
	"proofmark/node/freeport":      {},
	"proofmark/node/durable":       {},
	"proofmark/node/memory":        {"proofmark/store"},
	"proofmark/node/bureautest":    {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk", "proofmark/node/dispatch"},
	"proofmark/node/budget":        {"proofmark/protocol", "proofmark/store", "proofmark/policy"},
	"proofmark/node/agenda":        {"proofmark/node/budget"},
	"proofmark/node/desk":          {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/node/budget"},
	"proofmark/node/people":        {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk"},
	"proofmark/node/membership":    {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk"},
	"proofmark/node/identity":      {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk", "proofmark/node/durable"},
	"proofmark/node/dispatch":      {"proofmark/node/agenda", "proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk"},
	"proofmark/node/operations":    {"proofmark/node/agenda", "proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/node/desk", "proofmark/node/dispatch"},
	"proofmark/node/retention":     {"proofmark/node/agenda", "proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/node/desk", "proofmark/node/dispatch"},
	"proofmark/node/tracing":       {"proofmark/node/budget", "proofmark/node/retention", "proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/node/desk", "proofmark/node/dispatch"},
	"proofmark/crypto/stream":      {},
	"proofmark/crypto/witness":     {"proofmark/protocol", "proofmark/crypto/roster"},
	"proofmark/crypto/extract":     {"proofmark/protocol"},
	"proofmark/node/index":         {"proofmark/node/durable", "proofmark/protocol", "proofmark/correlate", "proofmark/crypto/stream", "proofmark/node/tracing"},
	"proofmark/node/ballistics": {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/correlate", "proofmark/node/desk", "proofmark/node/dispatch", "proofmark/node/tracing",
		"proofmark/node/index", "proofmark/node/operations", "proofmark/node/retention"},
	"proofmark/node/release":    {"proofmark/node/budget", "proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/correlate/x3p", "proofmark/node/desk", "proofmark/node/dispatch", "proofmark/node/ballistics"},
	"proofmark/node/bundle":     {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk", "proofmark/node/dispatch"},
	"proofmark/node/sharing":    {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/node/desk", "proofmark/node/durable"},
	"proofmark/node/backup":     {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk"},
	"proofmark/node/custody":    {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk", "proofmark/node/durable", "proofmark/node/backup"},
	"proofmark/node/witness":    {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk"},
	"proofmark/node/accounting": {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/crypto", "proofmark/node/desk", "proofmark/node/dispatch", "proofmark/node/ballistics", "proofmark/node/release"},
	"proofmark/node/exchange":   {"proofmark/protocol", "proofmark/crypto/roster", "proofmark/crypto/proof", "proofmark/node/dispatch"},
	"proofmark/node/monitor":    {"proofmark/node/agenda", "proofmark/node/budget", "proofmark/protocol", "proofmark/store", "proofmark/node/exchange"},
	"proofmark/node/control": {"proofmark/node/agenda", "proofmark/node/budget", "proofmark/node/operations", "proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/node/desk", "proofmark/node/people", "proofmark/node/identity", "proofmark/crypto", "proofmark/node/membership",
		"proofmark/node/dispatch", "proofmark/node/ballistics", "proofmark/node/tracing", "proofmark/node/exchange", "proofmark/node/bundle", "proofmark/node/release", "proofmark/node/backup", "proofmark/node/custody", "proofmark/node/sharing", "proofmark/node/witness", "proofmark/node/accounting", "proofmark/node/permission", "proofmark/node/retention"},
	"proofmark/node": {"proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/correlate", "proofmark/crypto", "proofmark/node/"},
	"proofmark/cmd/": {"proofmark/"},

	"proofmark/node/permission": {"proofmark/node/agenda", "proofmark/protocol", "proofmark/store", "proofmark/policy", "proofmark/node/desk", "proofmark/node/dispatch"},

	"proofmark/bench/": {"proofmark/correlate"}, // programs beside the product
}

func TestArrowsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "proofmark/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		may, known := allowed[fields[0]]
		for _, tree := range []string{"proofmark/cmd/", "proofmark/bench/", "proofmark/correlate/"} { // where every package may import what its tree may
			if !known && strings.HasPrefix(fields[0], tree) {
				may, known = allowed[tree], true
			}
		}
		if !known {
			t.Errorf("package %s is not in the plan of the house: docs/architecture.md says where things belong, this table holds the code to it", fields[0])
			continue
		}
		seen++
		for _, imp := range fields[1:] {
			if slices.Contains([]string{"testing", "proofmark/node/bureautest", "proofmark/node/freeport"}, imp) && fields[0] != "proofmark/node/bureautest" {
				t.Errorf("%s imports %s, which is for tests", fields[0], imp)
			}
			if strings.HasPrefix(imp, "proofmark/") && !permitted(imp, may) {
				t.Errorf("%s imports %s: arrows run cmd → node → {store, policy, correlate, crypto} → protocol", fields[0], imp)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

func permitted(imp string, may []string) bool {
	for _, m := range may {
		if imp == m || strings.HasPrefix(imp, strings.TrimSuffix(m, "/")+"/") {
			return true
		}
	}
	return false
}
