package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	proofs "proofmark/crypto/proof"
	"proofmark/crypto/roster"
)

// trustFlags say whom a checker believes.
type trustFlags struct {
	Roster     string `required:"" help:"The roster: a file of roster save, which has every version, or one version." type:"path" placeholder:"FILE"`
	Anchor     string `xor:"anchor" help:"Hash of the roster's first version, which you were told by another way than the file." placeholder:"HASH"`
	AnchorFile string `xor:"anchor" help:"File with the anchor." type:"path" placeholder:"FILE"`
}

func (f *trustFlags) trust() (*proofs.Trust, error) {
	anchor := f.Anchor
	if f.AnchorFile != "" {
		var err error
		if anchor, err = readAnchor(f.AnchorFile); err != nil {
			return nil, err
		}
	}
	lines, err := readChain(f.Roster)
	if err != nil {
		return nil, err
	}
	chain := make([]*roster.Document, len(lines))
	for i, l := range lines {
		if chain[i], err = roster.Parse(l); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Roster, err)
		}
	}
	t, err := proofs.NewTrust(chain, anchor)
	if errors.Is(err, roster.ErrChain) && anchor != "" && chain[0].Roster().Version != 1 {
		return nil, fmt.Errorf("%s begins with version %d, and an anchor is the hash of version 1: give the file that `proofmark roster save` writes", f.Roster, chain[0].Roster().Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Roster, err)
	}
	return t, nil
}

type auditCheckCmd struct {
	Bundle string `arg:"" help:"File that audit prove made." type:"path"`
	trustFlags
}

func (c *auditCheckCmd) Run(a *app) error {
	t, err := c.trust()
	if err != nil {
		return err
	}
	raw, err := readFile("proof bundle", c.Bundle, proofs.MaxBundle)
	if err != nil {
		return err
	}
	b, err := proofs.DecodeBundle(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Bundle, err)
	}
	f, err := proofs.Check(b, t)
	if err != nil {
		return fmt.Errorf("%s PROVES NOTHING: %w", c.Bundle, err)
	}
	h, _ := f.Marks()
	f.Say(h, nil) // what was permitted since, only a node knows
	return a.show(f, func(w io.Writer) { printFinding(w, f) })
}

func printFinding(w io.Writer, f *proofs.Finding) {
	e := f.Entry
	facts(w, "Log", fmt.Sprintf("%s, %d entries, root %s", f.Origin, f.Size, f.Root), "Entry", fmt.Sprint(f.Index),
		"Day", e.Day, "Time", stamp(e.Time), "Actor", e.Actor, "Action", string(e.Action), "With", e.Counterpart, "Decision", e.Decision, "Ground", e.Ground,
		"Event", e.Event, "About", strings.TrimSpace(e.Type+" "+e.Object), "Case", e.Case, "Purpose", e.Purpose, "Handling", strings.Join(e.Handling, " "),
		"Withheld", strings.Join(e.Withheld, ", "), "Policies", strings.Join(e.Policies, ", "))
	printProved(w, f.Proved, f.NotProved)
}

// printProved says what a reader may rely on, and what he might take for proved.
func printProved(w io.Writer, proved, not []string) {
	fmt.Fprintln(w, "\nProved:")
	for _, s := range proved {
		fmt.Fprintf(w, "  + %s\n", printable(s))
	}
	if len(not) > 0 {
		fmt.Fprintln(w, "Not proved:")
	}
	for _, s := range not {
		fmt.Fprintf(w, "  – %s\n", printable(s))
	}
}
