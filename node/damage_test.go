package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofmark/crypto"
)

// reopen opens a bureau's folder and closes it again.
func (b *bureau) reopen() error {
	n, err := Open(b.dir, []byte(testPassphrase), Options{Cost: crypto.TestCost})
	if err != nil {
		return err
	}
	return n.Close()
}

// A node that has lost its database, or the part with everything in it, must not begin anew.
func TestALostDatabaseIsNotMadeAnew(t *testing.T) {
	for name, lose := range map[string]func(b *bureau, store string) error{
		"all":      func(_ *bureau, store string) error { return os.RemoveAll(store) },
		"manifest": func(_ *bureau, store string) error { return os.Remove(filepath.Join(store, "MANIFEST")) },
		"keys":     func(_ *bureau, store string) error { return os.Remove(filepath.Join(store, "KEYREGISTRY")) },
		"contents": func(b *bureau, store string) error { // a good database with nothing in it
			if err := os.RemoveAll(store); err != nil {
				return err
			}
			n, err := Open(b.dir, []byte(testPassphrase), Options{Cost: crypto.TestCost, offline: true})
			if err != nil {
				return err
			}
			return n.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBureau(t, "PT")
			store := filepath.Join(b.dir, storeDir)
			if err := lose(b, store); err != nil {
				t.Fatal(err)
			}
			err := b.reopen()
			if !errors.Is(err, ErrNoDatabase) || !strings.Contains(err.Error(), "restore the data folder from a backup") || !strings.Contains(err.Error(), store) {
				t.Errorf("%v", err)
			}
			if name == "all" {
				if _, err := os.Stat(store); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("something was made where the database was: %v", err)
				}
			}
		})
	}
}

func TestDamageIsCalledDamage(t *testing.T) {
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	flip := func(b []byte) []byte { b[len(b)-3] ^= 1; return b }
	for _, c := range []struct {
		name  string
		files string              // pattern
		spoil func([]byte) []byte // nil: the file is gone
	}{
		{"half a master key", "master.key", cut},
		{"no master key", "master.key", func([]byte) []byte { return nil }},
		{"half the keys", "keys.sealed", cut},
		{"another manifest", "store/MANIFEST", flip},
		{"a manifest of nothing", "store/MANIFEST", func(b []byte) []byte { return make([]byte, len(b)) }},
		{"a table is gone", "store/*.sst", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBureau(t, "PT")
			files, err := filepath.Glob(filepath.Join(b.dir, c.files))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v, %v", c.files, files, err)
			}
			for _, f := range files {
				if c.spoil == nil {
					if err := os.Remove(f); err != nil {
						t.Fatal(err)
					}
					continue
				}
				content, err := os.ReadFile(f)
				if err == nil {
					err = os.WriteFile(f, c.spoil(content), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			err = b.reopen()
			if err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "from a backup") || !strings.Contains(err.Error(), b.dir) {
				t.Errorf("%v", err)
			}
		})
	}
	b := newBureau(t, "PT")
	if err := b.reopen(); err != nil {
		t.Errorf("a good one: %v", err)
	}
}
