package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"proofmark/node/control"
)

// guardFolder refuses a data folder that somebody else could have tampered with: the folder, its configuration, keys, policies and calibrations must be this
// account's or root's and writable by nobody else, and the keys readable by nobody else.
func guardFolder(dir string) error {
	files := map[string]os.FileMode{dir: 0o022, filepath.Join(dir, configFile): 0o022, filepath.Join(dir, masterFile): 0o077, filepath.Join(dir, keysFile): 0o077}
	for name, what := range map[string]string{policyDir: "sharing policy", modelDir: "calibrations"} {
		folder := filepath.Join(dir, name)
		err := fs.WalkDir(os.DirFS(folder), ".", func(path string, _ fs.DirEntry, err error) error { // follows a link to the folder, as its reader does
			files[filepath.Join(folder, path)] = 0o022
			return err
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	for path, forbidden := range files {
		// What is missing is reported where it is read, with what to do about it.
		if err := control.Guard(path, forbidden); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the node does not start on files that others can get at: %w", err)
		}
	}
	return nil
}

// keepPrivate takes the rights of group and others from everything in a folder, whatever the umask left.
func keepPrivate(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
}
