package sharing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"proofmark/node/durable"
	"proofmark/policy"
)

// The folder is changed in three steps, so that a crash leaves the old policies or the new ones and never a mixture: the new files are written beside it
// (.next), the change is committed, and the folders change places; the old one stays as .last until the next change.
const (
	nextSuffix = ".next"
	lastSuffix = ".last"
)

// stage writes files to the folder beside, durably.
func stage(folder string, files map[string]string) error {
	next := folder + nextSuffix
	if err := os.RemoveAll(next); err != nil {
		return fmt.Errorf("remove an earlier policy that was never put in place: %w", err)
	}
	if err := os.Mkdir(next, 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := durable.Create(filepath.Join(next, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write policy: %w", err)
		}
	}
	return durable.SyncFolder(filepath.Dir(folder))
}

// promote puts the staged folder in place of the one in force.
func promote(folder string) error {
	if _, err := os.Stat(folder); err == nil { // where it is not, it is .last already: a crash came between the two renames
		last := folder + lastSuffix
		if err := os.RemoveAll(last); err != nil {
			return fmt.Errorf("remove the policy before the last: %w", err)
		}
		if err := os.Rename(folder, last); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(folder+nextSuffix, folder); err != nil {
		return err
	}
	return durable.SyncFolder(filepath.Dir(folder))
}

// settle ends a change that a crash broke off: committed is the version that the store has as in force.
func settle(folder, committed string) error {
	next := folder + nextSuffix
	if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	engine, err := policy.Load(os.DirFS(next))
	if err == nil && committed != "" && engine.Version() == committed {
		// Where the folder has this version too, somebody proposed what is in force already, perhaps with other cases, which are no part of a version.
		if now, err := policy.Load(os.DirFS(folder)); err != nil || now.Version() != committed {
			return promote(folder)
		}
	}
	if err := os.RemoveAll(next); err != nil { // it was never committed, or not written to the end
		return fmt.Errorf("remove a policy that was never put in force: %w", err)
	}
	return nil
}
