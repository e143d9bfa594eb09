package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"proofmark/crypto/extract"
	"proofmark/crypto/roster"
	"proofmark/crypto/witness"
	"proofmark/node/control"
	"proofmark/node/durable"
)

type auditExportCmd struct {
	File string `arg:"" help:"File to write: a table for spreadsheets if its name ends in .csv, otherwise JSON lines." type:"path"`
	period
	Counterpart string `help:"Country code of the other side."`
	Actor       string `help:"Account name, or node."`
	Action      string `help:"collect, alter, consult, disclose, receive, combine, erase, deny or administer."`
	Decision    string `help:"permit or deny."`
	Object      string `help:"Id of an object or document."`
	Case        string `help:"Case reference."`
	Purpose     string `help:"Purpose of the act."`
	Policy      string `help:"Id of a policy that decided." placeholder:"ID"`
	Handling    string `help:"Handling code in force: H0, H1, H2 or H3." placeholder:"CODE"`
}

func (c *auditExportCmd) Run(a *app) (err error) {
	r := control.ExportRequest{CSV: strings.EqualFold(filepath.Ext(c.File), ".csv"), AuditRequest: control.AuditRequest{Counterpart: c.Counterpart, Actor: c.Actor, Action: c.Action,
		Decision: c.Decision, Object: c.Object, Case: c.Case, Purpose: c.Purpose, Policy: c.Policy, Handling: c.Handling}}
	if r.Since, r.Until, err = c.times(); err != nil {
		return err
	}
	client, err := a.dial()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.File); err == nil {
		return taken(c.File, os.ErrExist)
	}
	f, err := durable.Begin(filepath.Dir(c.File), 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Discard()) }()
	to := bufio.NewWriterSize(f, 256<<10)
	made, err := control.Download[*control.Exported](a.ctx, client, "audit.export", r, to)
	if err = errors.Join(a.explain(err), to.Flush()); err != nil {
		return err
	}
	if err := f.Create(filepath.Base(c.File)); err != nil {
		return taken(c.File, err)
	}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds %d of the %d entries that its checkpoint covers, tree root %s. `proofmark audit check-export` proves it anywhere.\n", c.File, made.Rows, made.Entries, made.Root)
	})
}

type auditCheckExportCmd struct {
	File   string `arg:"" help:"File that audit export wrote." type:"path"`
	Roster string `help:"File with the roster's versions, as roster save writes it: says whose log it is, and who witnessed it." placeholder:"FILE" type:"path" required:""`
	Anchor string `help:"Hash of the roster's version 1, which you got by another way." placeholder:"HASH" xor:"anchor" required:""`

	AnchorFile string `help:"File with the anchor, as roster anchor writes it." placeholder:"FILE" type:"path" xor:"anchor" required:""`
}

// checkedExport is what an offline check found.
type checkedExport struct {
	extract.Report
	Country   string   `json:"country"`
	Witnesses []string `json:"witnesses"`
}

func (c *auditCheckExportCmd) Run(a *app) error {
	anchor := anchorWords(c.Anchor)
	if c.AnchorFile != "" {
		var err error
		if anchor, err = readAnchor(c.AnchorFile); err != nil {
			return err
		}
	}
	lines, err := readChain(c.Roster)
	if err != nil {
		return err
	}
	chain := make([]*roster.Document, len(lines))
	for i, l := range lines {
		if chain[i], err = roster.Parse(l); err != nil {
			return fmt.Errorf("%s: %w", c.Roster, err)
		}
	}
	r, err := roster.Verify(chain, anchor)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Roster, err)
	}
	keys, err := witness.Verifiers(r)
	if err != nil {
		return fmt.Errorf("roster: %w", err)
	}
	f, err := openFile(c.File)
	if err != nil {
		return fmt.Errorf("export: %w: check the path", err)
	}
	defer f.Close()
	report, err := extract.Check(f)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	head, err := keys.Open([]byte(report.Checkpoint))
	if err != nil {
		return fmt.Errorf("%s: the checkpoint in it: %w", c.File, err)
	}
	if head.N != report.Size || head.Hash != report.Root {
		return fmt.Errorf("%s: %w: its rows give a log of %d entries with the root %s, its checkpoint signs %d with %s", c.File, extract.ErrExtract, report.Size, report.Root, head.N, head.Hash)
	}
	out := checkedExport{Report: *report, Country: head.Country, Witnesses: []string{}}
	for _, s := range head.Cosignatures {
		out.Witnesses = append(out.Witnesses, s.Country)
	}
	return a.show(out, func(w io.Writer) {
		fmt.Fprintf(w, "%s: its %d rows are entries of the log of %s as it was signed with %d entries, and none was changed.\n", c.File, out.Rows, out.Country, out.Size)
		if out.Erased > 0 {
			fmt.Fprintf(w, "Of %d of them retention left the header alone.\n", out.Erased)
		}
		fmt.Fprintln(w, "Whether they are all that fits the query, only the log itself tells.")
	})
}
