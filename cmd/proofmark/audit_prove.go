package main

import (
	"fmt"
	"io"

	"proofmark/node/accounting"
)

type auditProveCmd struct {
	Entry      int64  `arg:"" help:"Number of the entry, as audit query shows it."`
	Out        string `help:"File to make; entry-NUMBER.proof where it is not named. Nothing is overwritten." type:"path" placeholder:"FILE"`
	HeaderOnly bool   `help:"Prove action, counterpart, decision, ground and day alone: for somebody who may not see who did what with which object."`
	Links      bool   `help:"Of a disclosure: put in the messages up to the one that the receipt names. They speak of other objects."`
}

func (c *auditProveCmd) Run(a *app) error {
	p, err := ask[accounting.Proved](a, "audit.prove", accounting.ProveRequest{Index: c.Entry, HeaderOnly: c.HeaderOnly, Links: c.Links})
	if err != nil {
		return err
	}
	if c.Out == "" {
		c.Out = fmt.Sprintf("entry-%d.proof", c.Entry)
	}
	if err := createFiles(newFile{c.Out, p.Bundle, 0o600}); err != nil {
		return err
	}
	made := struct {
		Entry   int64    `json:"entry"`
		File    string   `json:"file"`
		Missing []string `json:"missing"` // what the bundle could not hold
	}{c.Entry, c.Out, p.Missing}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s proves entry %d. Whoever has the roster checks it without this node:  proofmark audit check %s --roster FILE\n", printable(c.Out), c.Entry, argument(c.Out))
		for _, m := range p.Missing {
			fmt.Fprintf(w, "Not in it: %s.\n", printable(m))
		}
	})
}
