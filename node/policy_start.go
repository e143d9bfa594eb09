package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// rawPolicyVersion is where the store keeps the version of the policy that was in force last.
const rawPolicyVersion = "node/policy-version"

// recordPolicy leaves an audit entry where the policy files are not those of the last start: they are edited outside of the node, so this is the first
// that it can know of. Where the entry cannot be written the node does not start; a restart must not be a way around the log.
func (n *Node) recordPolicy(ctx context.Context) error {
	engine := n.policy.Load()
	var files []string
	for _, p := range engine.Policies() {
		files = append(files, p.File)
	}
	slices.Sort(files)
	names := strings.Join(slices.Compact(files), " ")
	known, err := n.lastPolicy()
	if err != nil || known == engine.Version() {
		return err
	}
	old := known
	if old == "" {
		old = "none"
	}
	err = n.store.Update(ctx, func(tx *store.Tx) error {
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Decision: "permit"},
			AuditBody: protocol.AuditBody{Actor: desk.Node.Name, Kind: policy.KindPolicy, Object: engine.Version(), Event: "policy changed at start", PolicyVer: engine.Version(),
				Details: map[string]string{"old": old, "new": engine.Version(), "files": names}},
		})
		return tx.Put(rawPolicyVersion, []byte(engine.Version()))
	})
	if err != nil {
		return fmt.Errorf("record that the policy changed (from %s to %s): %w", old, engine.Version(), err)
	}
	if known != "" {
		n.log.Warn("the sharing policy is not that of the last start; the audit log says so", "old", known, "new", engine.Version(),
			"folder", filepath.Join(n.dir, policyDir), "files", names)
	}
	return nil
}

// lastPolicy is the version that was in force last, empty before the first start.
func (n *Node) lastPolicy() (version string, err error) {
	err = n.store.View(func(tx *store.Tx) error {
		b, err := tx.Get(rawPolicyVersion)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		version = string(b)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("policy of the last start: %w", err)
	}
	return version, nil
}
