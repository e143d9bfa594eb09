package main

import (
	"errors"
	"fmt"
	"io"

	"proofmark/crypto/roster"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/membership"
)

type joinCmd struct {
	Anchor     string   `xor:"anchor" help:"Hash or fingerprint of the roster's version 1, which you got by another way: a letter, a call, in person." placeholder:"HASH"`
	AnchorFile string   `xor:"anchor" help:"File with the anchor." type:"path" placeholder:"FILE"`
	From       []string `xor:"source" sep:"none" help:"File with all versions of the roster, as a member's roster save writes it." type:"path" placeholder:"FILE"`
	Peer       string   `xor:"source" help:"Address of any member that is connected, with its peer ID, as its proofmark status shows it." placeholder:"MULTIADDR"`
}

func (c *joinCmd) Run(a *app) error {
	anchor := anchorWords(c.Anchor)
	if c.AnchorFile != "" {
		var err error
		if anchor, err = readAnchor(c.AnchorFile); err != nil {
			return err
		}
	}
	if anchor == "" {
		return errors.New("the anchor is missing: --anchor HASH or --anchor-file FILE. It tells the federation that you mean from any other; get it from a member by another way than the roster")
	}
	j, err := c.join(a, anchor)
	if err != nil {
		return err
	}
	member := node.MemberPath(a.Data)
	return a.show(struct {
		control.Joined
		Member string `json:"member"` // file of this node's entry, for the key holders
	}{j, member}, func(w io.Writer) {
		if j.Added == 0 {
			fmt.Fprintf(w, "This node belongs to %s already: version %d is in force, and nothing changed.\n", printable(j.Name), j.Version)
		} else {
			fmt.Fprintf(w, "This node has joined %s: version %d is in force, and every version from 1 on is verified against the anchor.\n", printable(j.Name), j.Version)
		}
		facts(w, "Members", fmt.Sprint(j.Members), "Anchor", j.Installed.Anchor, "Fingerprint", j.Fingerprint, "Valid until", day(j.ValidUntil))
		for _, warning := range j.Warnings {
			fmt.Fprintf(w, "Warning: %s\n", printable(warning))
		}
		if !j.Listed {
			fmt.Fprintf(w, "\n%s is not listed yet, so the members do not talk to this node.\n", j.Country)
			fmt.Fprintf(w, "Next:  give %s to the federation's key holders; they list it (roster add) and sign the next version (roster sign)\n", member)
			fmt.Fprintf(w, "       then, with the address of any member:  proofmark join --anchor HASH --peer MULTIADDR\n")
			return
		}
		fmt.Fprintln(w, "\nNext:  proofmark peers")
	})
}

func (c *joinCmd) join(a *app, anchor string) (control.Joined, error) {
	switch {
	case c.Peer != "":
		return change[control.Joined](a, "roster.join", control.JoinRequest{Anchor: anchor, Peer: c.Peer})
	case len(c.From) == 0:
		return control.Joined{}, errors.New("where does the roster come from? --from FILE, or --peer with the address of a member")
	}
	var chain [][]byte
	for _, path := range c.From {
		docs, err := readChain(path)
		if err != nil {
			return control.Joined{}, err
		}
		chain = append(chain, docs...)
	}
	var j control.Joined
	for len(chain) > 0 { // as many as one installation takes, from version 1 on
		n := min(len(chain), membership.MaxDocuments)
		in, err := change[membership.Installed](a, "roster.install", control.InstallRequest{Documents: chain[:n], Anchor: anchor})
		if err != nil {
			return control.Joined{}, err
		}
		in.Added += j.Added
		j.Installed, chain = in, chain[n:]
	}
	status, err := ask[control.Status](a, "status", control.None{})
	if err != nil {
		return j, err
	}
	force, err := ask[control.RosterInForce](a, "roster.show", control.None{})
	if err != nil {
		return j, err
	}
	d, err := roster.Parse(force.Document)
	if err != nil {
		return j, fmt.Errorf("roster in force: %w", err)
	}
	j.Country = status.Country
	_, j.Listed = d.Roster().ByCountry(string(j.Country))
	return j, nil
}
