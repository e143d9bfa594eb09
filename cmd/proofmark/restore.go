package main

import (
	"fmt"
	"io"

	"proofmark/node"
	"proofmark/node/backup"
)

type restoreCmd struct {
	From           []string `required:"" help:"Folder of backups, or the files of a chain; may be given several times." type:"path" placeholder:"FILE|FOLDER"`
	Key            string   `required:"" help:"File of the recovery key." type:"path" placeholder:"FILE"`
	KeyPassphrase  string   `name:"key-passphrase-file" help:"File with the passphrase of the recovery key (mode 0600)." type:"path" placeholder:"FILE"`
	PassphraseFile string   `help:"File with a passphrase for the restored node (mode 0600); it need not be the old one." type:"path" placeholder:"FILE"`
}

func (c *restoreCmd) Run(a *app) error {
	key, err := a.openRecovery(c.Key, c.KeyPassphrase)
	if err != nil {
		return err
	}
	passphrase, err := a.readSecret("passphrase of the restored node", c.PassphraseFile, passphraseCredential, true)
	if err != nil {
		return err
	}
	p := a.progress("read")
	defer p.end()
	parts, err := backup.Gather(a.ctx, c.From, func(n int64) { p.tell(n, 0) })
	if err != nil {
		return err
	}
	r, err := node.Restore(a.ctx, a.Data, node.RestoreOptions{Parts: parts, Recovery: key, Passphrase: passphrase, Cost: argonCost, Now: wallClock,
		Progress: func(_ string, n int64) { p.tell(n, 0) }})
	if err != nil {
		return err
	}
	p.end()
	p.shown = false
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "The node of %s stands in %s as it was at %s: %d records, %d entries of the audit log, from %s.\n", r.Country, printable(r.Data), stamp(r.Made), r.Records.Written, r.Entries, count(r.Files, "backup"))
		fmt.Fprintf(w, "It signs with key %s: the roster must name it for %s, otherwise somebody else made this backup.\n", r.KeyID, r.Country)
		fmt.Fprintf(w, "What came after that time is not in it. The old node, if it still exists, must never run again beside this one.\n\n")
		fmt.Fprintf(w, "Next:  proofmark run --data %s\n", argument(r.Data))
	})
}
