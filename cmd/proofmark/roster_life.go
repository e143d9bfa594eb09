package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"proofmark/crypto/roster"
	"proofmark/node/control"
	"proofmark/node/membership"
)

type rosterOverrideCmd struct {
	File     string `arg:"" help:"Roster file that nobody has signed yet." type:"path"`
	Member   string `arg:"" help:"New entry of the member that lost its keys: member.jws of its new node. With --withdraw, its country code."`
	Withdraw bool   `help:"Take back what an earlier version announced for the country."`
}

func (c *rosterOverrideCmd) Run(a *app) error {
	d, was, err := readRoster(c.File)
	if err != nil {
		return err
	}
	next := "proofmark roster sign " + c.File + " --key HOLDERFILE"
	if c.Withdraw {
		if err := d.Withdraw(c.Member); err != nil {
			return whyNotDraft(c.File, err)
		}
		if err := writeRoster(c.File, was, d); err != nil {
			return err
		}
		return a.showDraft(c.File, d, "announces nothing for "+printable(c.Member)+" any more", next)
	}
	entry, _, err := readMember(c.Member)
	if err != nil {
		return err
	}
	if err := d.Announce(entry); err != nil {
		return fmt.Errorf("%s: %w", c.Member, whyNotDraft(c.File, err))
	}
	if err := writeRoster(c.File, was, d); err != nil {
		return err
	}
	m, err := roster.OpenMember(entry)
	if err != nil {
		return err
	}
	for _, o := range d.Roster().Announced() {
		if o.Member.Country == m.Country {
			return a.showDraft(c.File, d, fmt.Sprintf("announces other keys for %s, in effect from %s on,", m.Country, day(o.Due())), next)
		}
	}
	return a.showDraft(c.File, d, "lists these keys of "+m.Country+" already, and nothing changed; it lies", next)
}

type rosterSaveCmd struct {
	File string `arg:"" help:"File to make: a version on each line, from 1 on." type:"path"`
}

func (c *rosterSaveCmd) Run(a *app) error {
	chain, err := ask[control.RosterChain](a, "roster.chain", control.None{})
	if err != nil {
		return err
	}
	if len(chain.Documents) == 0 {
		return fmt.Errorf("no roster is in force at this node: there is nothing to save")
	}
	b := append(bytes.Join(chain.Documents, []byte("\n")), '\n')
	if err := createFiles(newFile{c.File, b, 0o644}); err != nil {
		return err
	}
	return a.show(map[string]any{"file": c.File, "versions": len(chain.Documents), "anchor": chain.Anchor}, func(w io.Writer) {
		fmt.Fprintf(w, "%s of the roster in %s.\n\n", count(len(chain.Documents), "version"), c.File)
		fmt.Fprintf(w, "A newcomer joins with it, and with the anchor, given by another way than the file:  proofmark join --anchor HASH --from %s\n", c.File)
	})
}

type rosterResolveCmd struct {
	File []string `arg:"" help:"The key holders' version that rejects one of the two, and what lies between where this node has not met it." type:"path"`
}

func (c *rosterResolveCmd) Run(a *app) error {
	var r control.InstallRequest
	for _, path := range c.File {
		chain, err := readChain(path)
		if err != nil {
			return err
		}
		r.Documents = append(r.Documents, chain...)
	}
	in, err := change[membership.Installed](a, "roster.resolve", r)
	if err != nil {
		return err
	}
	return a.show(in, func(w io.Writer) { printInstalled(w, in) })
}

// anchorWords is what a person pastes as an anchor, on one line.
func anchorWords(s string) string { return strings.Join(strings.Fields(s), " ") }
