package main

import (
	"fmt"
	"io"
	"path/filepath"

	"proofmark/node/bundle"
	"proofmark/node/control"
)

type bundleCmd struct {
	Export bundleExportCmd `cmd:"" help:"Write what a member has not acknowledged, and receipts for what it sent, into a file sealed for it."`
	Import bundleImportCmd `cmd:"" help:"Take in a bundle from a member; doing it twice changes nothing."`
}

type bundleExportCmd struct {
	To   string `required:"" help:"Member that the bundle is for." placeholder:"COUNTRY"`
	File string `arg:"" help:"File to make; it is never overwritten." type:"path"`
}

func (c *bundleExportCmd) Run(a *app) error {
	out, err := ask[*bundle.Exported](a, "bundle.export", control.BundleRequest{To: c.To})
	if err != nil {
		return err
	}
	file := out.File
	if err := createFiles(newFile{c.File, []byte(file + "\n"), 0o600}); err != nil {
		return err
	}
	out.File = c.File
	return a.show(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds %s for %s and the receipts for what it sent (%d bytes, sealed for %s alone).\n", printable(c.File), count(out.Messages, "message"), out.To, len(file)+1, out.To)
		if out.More {
			fmt.Fprintf(w, "More waits than one bundle takes: make another one when %s's bundle with its receipts has been read here.\n", out.To)
		}
		fmt.Fprintf(w, "There:  proofmark bundle import %s\n", argument(filepath.Base(c.File)))
	})
}

type bundleImportCmd struct {
	File string `arg:"" help:"Bundle to read." type:"path"`
}

func (c *bundleImportCmd) Run(a *app) error {
	b, err := readFile("bundle", c.File, bundle.MaxFile+2)
	if err != nil {
		return err
	}
	in, err := upload[*bundle.Imported](a, "bundle.import", control.None{}, b)
	if err != nil {
		return err
	}
	return a.show(in, func(w io.Writer) {
		fmt.Fprintf(w, "From %s: %s that this node did not have, and %s.\n", in.From, count(int(in.New), "message"), count(in.Receipts, "receipt"))
		lines(w, "Not taken in:", in.Faults)
		fmt.Fprintf(w, "Receipts go back with:  proofmark bundle export --to %s FILE\n", in.From)
	})
}
