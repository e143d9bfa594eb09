package node

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"proofmark/crypto"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// starts opens and closes a bureau's node, and returns its entries on policies, oldest first, and what it logged.
func (b *bureau) starts() (entries []store.AuditRecord, log string) {
	b.t.Helper()
	var buf bytes.Buffer
	n, err := Open(b.dir, []byte(testPassphrase), Options{Cost: crypto.TestCost, Log: slog.New(slog.NewTextHandler(&buf, nil))})
	if err != nil {
		b.t.Fatal(err)
	}
	entries, err = n.store.QueryAudit(b.t.Context(), store.AuditQuery{Kind: policy.KindPolicy, Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b store.AuditRecord) int { return int(a.Index - b.Index) })
	if err := n.Close(); err != nil {
		b.t.Fatal(err)
	}
	return entries, buf.String()
}

func TestAPolicyChangedBetweenStartsIsRecorded(t *testing.T) {
	b := newBureau(t, "PT")
	first, log := b.starts()
	if len(first) != 1 || first[0].Details["old"] != "none" || strings.Contains(log, "sharing policy") {
		t.Fatalf("the first start: %+v, log %s", first, log)
	}
	if again, log := b.starts(); len(again) != 1 || strings.Contains(log, "sharing policy") {
		t.Errorf("the same policy again: %+v, log %s", again, log)
	}
	added := filepath.Join(b.dir, policyDir, "99-added.cedar")
	if err := os.WriteFile(added, []byte("@id(\"added\")\nforbid (principal, action == Action::\"share\", resource);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, log := b.starts()
	if len(changed) != 2 {
		t.Fatalf("%+v", changed)
	}
	e := changed[1]
	if e.Action != protocol.ActAlter || e.Actor != "node" || e.Decision != "permit" || e.Event != "policy changed at start" || e.Details["old"] != first[0].Details["new"] ||
		e.Details["new"] == e.Details["old"] || e.PolicyVer != e.Details["new"] || !strings.Contains(e.Details["files"], "20-signatures.cedar") || !strings.Contains(e.Details["files"], "99-added.cedar") {
		t.Errorf("%+v", e)
	}
	if !strings.Contains(log, "level=WARN") || !strings.Contains(log, e.Details["new"]) {
		t.Errorf("the log says %s", log)
	}
	if err := os.Remove(added); err != nil {
		t.Fatal(err)
	}
	if back, _ := b.starts(); len(back) != 3 || back[2].Details["new"] != e.Details["old"] {
		t.Errorf("the old policy again: %+v", back)
	}
}
