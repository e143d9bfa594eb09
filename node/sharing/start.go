package sharing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// rawPolicyVersion is where the store keeps the version of the policy that was in force last.
const rawPolicyVersion = "node/policy-version"

// Load reads the policies of a folder at start. Where a crash broke off a change, it is ended first.
func Load(st *store.Store, folder string) (*policy.Engine, error) {
	known, err := lastVersion(st)
	if err == nil {
		err = settle(folder, known)
	}
	if err != nil {
		return nil, fmt.Errorf("sharing policy: %w", err)
	}
	engine, err := policy.Load(os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("sharing policy in %s: %w", folder, err)
	}
	return engine, nil
}

// Record leaves an audit entry where the policy files are not those of the last start: they were edited outside of the node, so the start is the first
// that it can know of. Where the entry cannot be written the node does not start; a restart must not be a way around the log.
func Record(ctx context.Context, st *store.Store, engine *policy.Engine, folder string, log *slog.Logger) error {
	known, err := lastVersion(st)
	if err != nil || known == engine.Version() {
		return err
	}
	old := known
	if old == "" {
		old = "none"
	}
	names := filesOf(engine)
	err = st.Update(ctx, func(tx *store.Tx) error {
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
		log.Warn("the sharing policy is not that of the last start; the audit log says so", "old", known, "new", engine.Version(), "folder", folder, "files", names)
	}
	return nil
}

// filesOf names the files of a policy's rules.
func filesOf(engine *policy.Engine) string {
	var files []string
	for _, p := range engine.Policies() {
		files = append(files, p.File)
	}
	slices.Sort(files)
	return strings.Join(slices.Compact(files), " ")
}

// lastVersion is the version that was in force last, empty before the first start.
func lastVersion(st *store.Store) (version string, err error) {
	err = st.View(func(tx *store.Tx) error {
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
