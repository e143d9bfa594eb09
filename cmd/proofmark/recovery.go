package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"proofmark/crypto"
	"proofmark/node/backup"
	"proofmark/node/control"
)

type recoveryCmd struct {
	Init recoveryInitCmd `cmd:"" help:"Make the country's recovery key: backups are encrypted for it, and it alone opens them."`
	Show recoveryShowCmd `cmd:"" help:"Show which recovery key backups are for, and the last backup."`
}

// maxRecoveryFile bounds a recovery key's file.
const maxRecoveryFile = 8 << 10

type recoveryInitCmd struct {
	Out            string `required:"" help:"File for the private part; take it away from this machine." type:"path" placeholder:"FILE"`
	PassphraseFile string `help:"File with the passphrase that seals the private part (mode 0600)." type:"path" placeholder:"FILE"`
	Replace        bool   `help:"Replace the node's recovery key; backups made so far still need the old file."`
}

// Run makes the key here and gives the node its public part alone: the private part never reaches the node.
func (c *recoveryInitCmd) Run(a *app) error {
	passphrase, err := a.readSecret("passphrase of the recovery key", c.PassphraseFile, "", true)
	if err != nil {
		return err
	}
	if len(passphrase) < 12 {
		return errors.New("the passphrase of the recovery key has fewer than 12 bytes; whoever has file and passphrase has the country's whole registry")
	}
	key, made, err := a.recoveryKey(c.Out, passphrase)
	if err != nil {
		return err
	}
	st, err := change[*backup.RecoveryState](a, "recovery.set", control.RecoveryRequest{Key: key.JWK(), Replace: c.Replace})
	if err != nil {
		if made && control.Definite(err) { // the node does not know the key: the file would only mislead
			err = errors.Join(err, os.Remove(c.Out))
		}
		return err
	}
	return a.show(st, func(w io.Writer) {
		if !made {
			fmt.Fprintf(w, "%s was there already, and its passphrase opens it: no other key was made.\n", printable(c.Out))
		}
		fmt.Fprintf(w, "The recovery key %s is made; its private part is in %s, sealed by its passphrase.\n", st.KeyID, printable(c.Out))
		fmt.Fprintf(w, "Take the file away from this machine, and keep file and passphrase in two places: together they open every backup, and without them no backup can be opened.\n\n")
		fmt.Fprintf(w, "Next:  proofmark backup FOLDER\n")
	})
}

// recoveryKey makes a recovery key and its file. Where a command that was killed, or whose answer was lost, left the file, it is the key: nobody else knows the
// passphrase, and the node may know its public part already.
func (a *app) recoveryKey(path string, passphrase []byte) (key *crypto.RecoveryKey, made bool, err error) {
	if left, err := readFile("recovery key", path, maxRecoveryFile); err == nil {
		if key, err = crypto.OpenRecoveryKey(left, passphrase); err != nil {
			return nil, false, taken(path, os.ErrExist)
		}
		return key, false, nil
	}
	if key, err = crypto.NewRecoveryKey(rand.Reader); err != nil {
		return nil, false, err
	}
	sealed, err := key.Wrap(passphrase, rand.Reader, argonCost)
	if err != nil {
		return nil, false, err
	}
	return key, true, createFiles(newFile{path, append(sealed, '\n'), 0o600})
}

type recoveryShowCmd struct{}

func (c *recoveryShowCmd) Run(a *app) error {
	st, err := ask[*backup.RecoveryState](a, "recovery.show", control.None{})
	if err != nil {
		return err
	}
	return a.show(st, func(w io.Writer) {
		if st.KeyID == "" {
			fmt.Fprintf(w, "The node has no recovery key: no backup can be made. Make one:  proofmark recovery init --out FILE\n")
			return
		}
		last := "none yet: proofmark backup FOLDER"
		if m := st.Last; m != nil {
			last = fmt.Sprintf("%s, number %d of chain %s, %d entries of the audit log, by %s", stamp(m.At), m.Number, m.Chain[:8], m.Entries, m.By)
		}
		facts(w, "Recovery key", st.KeyID, "Last backup", last)
	})
}

// openRecovery reads the private part of a recovery key.
func (a *app) openRecovery(path, passphraseFile string) (*crypto.RecoveryKey, error) {
	b, err := readFile("recovery key", path, maxRecoveryFile)
	if err != nil {
		return nil, err
	}
	passphrase, err := a.readSecret("passphrase of the recovery key", passphraseFile, "", false)
	if err != nil {
		return nil, err
	}
	key, err := crypto.OpenRecoveryKey(b, passphrase)
	if err != nil {
		if !errors.Is(err, crypto.ErrWrongPassphrase) {
			return nil, fmt.Errorf("%s is not the file that `proofmark recovery init --out FILE` made, or is damaged: %w", path, err)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
