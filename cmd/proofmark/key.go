package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/crypto"
	"proofmark/node/control"
	"proofmark/node/identity"
)

type keyCmd struct {
	Rotate keyRotateCmd `cmd:"" help:"Make a new key; the old one stays in use until the roster lists the new one, and beside it for a while."`
	Renew  keyRenewCmd  `cmd:"" help:"Make a new entry for the key holders with the present keys and addresses, before the old one ends."`
}

type keyRotateCmd struct {
	Use  string `arg:"" enum:"signing,sealing,host" help:"signing, sealing or host."`
	Days int    `default:"30" help:"Days for which the old key is accepted beside the new one; make them longer than the key holders need."`
}

func (c *keyRotateCmd) Run(a *app) error {
	e, err := change[identity.Entry](a, "key.rotate", control.RotateRequest{Use: crypto.Use(c.Use), Days: c.Days})
	if err != nil {
		return err
	}
	return a.show(e, func(w io.Writer) {
		did := "A new %s key of %s is made; the old one stays in use until a roster lists the new one.\n"
		if e.Again {
			did = "A new %s key of %s was made before and waits to be listed; its entry is made again.\n"
		}
		fmt.Fprintf(w, did, e.Use, e.Country)
		printEntry(w, e)
		if e.Use == crypto.ForHost {
			fmt.Fprintln(w, "       then start the node again before the overlap ends: it goes by its new key from then on")
		}
	})
}

func printEntry(w io.Writer, e identity.Entry) {
	signed := "by this node's key"
	if e.Consent {
		signed = "by the new key and the old one"
	}
	facts(w, "Entry", e.Path, "Signed", signed, "Valid until", day(e.Until), "Old key until", day(e.Overlap), "Addresses", strings.Join(e.Addresses, "  "))
	fmt.Fprintf(w, "\nNext:  hand %s to the federation's key holders (roster add), who sign the next version\n", e.Path)
}

type keyRenewCmd struct{}

func (c *keyRenewCmd) Run(a *app) error {
	e, err := change[identity.Entry](a, "key.renew", control.None{})
	if err != nil {
		return err
	}
	return a.show(e, func(w io.Writer) {
		fmt.Fprintf(w, "A new entry of %s is made.\n", e.Country)
		printEntry(w, e)
	})
}

type addressCmd struct {
	Announce addressAnnounceCmd `cmd:"" help:"Tell the members where the node is now, at once and without the key holders; keys cannot be changed so."`
}

type addressAnnounceCmd struct {
	Address []string `arg:"" optional:"" help:"Addresses (multiaddrs); without any, those of the configuration (network.announce, or where it listens)."`
}

func (c *addressAnnounceCmd) Run(a *app) error {
	e, err := change[identity.Entry](a, "address.announce", control.AnnounceRequest{Addresses: c.Address})
	if err != nil {
		return err
	}
	return a.show(e, func(w io.Writer) {
		fmt.Fprintf(w, "The members are told that %s is at these addresses now. An entry that says the same is made, for the roster to catch up.\n", e.Country)
		printEntry(w, e)
	})
}
