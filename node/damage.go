package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"proofmark/store"
)

// ErrNoDatabase says that the data folder has lost its database. Only Init makes one: a node that made itself an empty one would go on without a
// record, without its people and with a new audit log.
var ErrNoDatabase = errors.New("the database is missing: do not go on; restore the data folder from a backup")

// databasePresent looks for the two files without which Badger would make a new database.
func databasePresent(dir string) error {
	for _, name := range []string{badger.ManifestFilename, badger.KeyRegistryFileName} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w (there is no %s)", ErrNoDatabase, filepath.Join(dir, name))
		} else if err != nil {
			return fmt.Errorf("database: %w", err)
		}
	}
	return nil
}

// inhabited refuses a database without a single account: Init makes one and none is ever deleted, so the files that held them are gone.
func (n *Node) inhabited() error {
	empty, err := n.people.Empty()
	if err == nil && empty {
		return fmt.Errorf("%w (that in %s holds not even an account)", ErrNoDatabase, filepath.Join(n.dir, storeDir))
	}
	return err
}

// damagedFile says what to do about one of the node's own files that cannot be read.
func damagedFile(path string, content []byte, err error) error {
	if !json.Valid(content) {
		return fmt.Errorf("%s is damaged: restore it from a backup (%w)", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// damagedDatabase says what to do about a database that Badger finds broken. Badger has no names for most of these errors, so they are known by
// their text; an unknown one is passed on as it is.
func damagedDatabase(dir string, err error) error {
	text := strings.ToLower(err.Error())
	broken := errors.Is(err, store.ErrCorrupt)
	for _, sign := range []string{"checksum", "bad magic", "corrupt", "file does not exist for table"} {
		broken = broken || strings.Contains(text, sign)
	}
	if !broken {
		return err
	}
	return fmt.Errorf("the database in %s is damaged: do not go on; restore the data folder from a backup (%w)", dir, err)
}
