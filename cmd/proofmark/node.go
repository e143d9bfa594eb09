package main

import (
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

	"proofmark/crypto"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/memory"
)

type initCmd struct {
	Country        string   `required:"" help:"ISO 3166-1 alpha-2 code of the country, such as PT."`
	Name           string   `required:"" help:"Name of the bureau, such as \"NCB Lisbon\"."`
	Listen         []string `help:"Addresses to listen on (multiaddrs)." placeholder:"ADDR"`
	Announce       []string `help:"Addresses that other members use, where they differ." placeholder:"ADDR"`
	Admin          string   `default:"admin" help:"Account name of the first administrator."`
	PassphraseFile string   `help:"File with the passphrase that wraps the master key (mode 0600)." type:"path" placeholder:"FILE"`
	SecretFile     string   `help:"File with the administrator's own secret (mode 0600)." type:"path" placeholder:"FILE"`
}

// argonCost is what secrets of this node are stretched with; only a test of this package may lower it.
var argonCost = crypto.DefaultCost

const passphraseCredential = "proofmark-passphrase" // systemd: LoadCredential=proofmark-passphrase:…

func (c *initCmd) Run(a *app) error {
	config := node.DefaultConfig(c.Country, c.Name)
	if len(c.Listen) > 0 {
		config.Network.Listen = c.Listen
	}
	if c.Announce != nil {
		config.Network.Announce = c.Announce
	}
	if err := config.Check(); err != nil { // before anybody types a passphrase
		return err
	}
	passphrase, err := a.readSecret("passphrase of the node", c.PassphraseFile, passphraseCredential, true)
	if err != nil {
		return err
	}
	secret, err := a.readSecret("secret of "+c.Admin, c.SecretFile, "", true)
	if err != nil {
		return err
	}
	err = node.Init(a.ctx, a.Data, node.InitOptions{Config: config, Passphrase: passphrase, Admin: c.Admin, Secret: secret, Cost: argonCost, Now: wallClock})
	if err != nil {
		return err
	}
	member := node.MemberPath(a.Data)
	return a.show(map[string]string{"data": a.Data, "country": c.Country, "admin": c.Admin, "member": member}, func(w io.Writer) {
		fmt.Fprintf(w, "The node of %s (%s) is made in %s.\n", c.Country, c.Name, a.Data)
		fmt.Fprintf(w, "Keep the passphrase: without it nobody can open the node, and it cannot be replaced.\n\n")
		fmt.Fprintf(w, "Next:  proofmark run --data %s\n", a.Data)
		fmt.Fprintf(w, "       hand %s to the federation's key holders, and install the roster that they sign\n", member)
	})
}

type runCmd struct {
	PassphraseFile string `help:"File with the passphrase (mode 0600); also read from the systemd credential proofmark-passphrase, or from the terminal." type:"path" placeholder:"FILE"`
	LogFormat      string `help:"text or json." enum:"text,json" default:"text"`
}

func (c *runCmd) Run(a *app) error {
	if err := keepMemory(); err != nil { // before the passphrase is read
		return err
	}
	config, err := node.LoadConfig(a.Data)
	if err != nil {
		return err
	}
	passphrase, err := a.readSecret("passphrase of the node", c.PassphraseFile, passphraseCredential, false)
	if err != nil {
		return err
	}
	options := &slog.HandlerOptions{Level: config.LogLevel()}
	var handler slog.Handler = slog.NewTextHandler(a.err, options)
	if c.LogFormat == "json" {
		handler = slog.NewJSONHandler(a.err, options)
	}
	log := slog.New(handler)
	n, err := node.Open(a.Data, passphrase, node.Options{Now: wallClock, Log: log, Cost: argonCost})
	if err != nil {
		return err
	}
	go memory.Bound(a.ctx, a.Data, log)
	return n.Run(a.ctx, func() {
		fmt.Fprintf(a.out, "%s (%s) is running. Stop it with Ctrl-C or SIGTERM.\n", n.Config.Country, n.Config.Name)
	})
}

type stateCmd struct{}

func (c *stateCmd) Run(a *app) error {
	s, err := ask[control.Status](a, "status", control.None{})
	if err != nil {
		return err
	}
	return a.show(s, func(w io.Writer) {
		roster := s.Roster
		if roster == "" {
			roster = "none installed: nobody is let in (proofmark join)"
		} else {
			roster = fmt.Sprintf("version %d, %s", s.Version, roster)
		}
		work := "all signatures are correlated and everything is delivered"
		if !s.Idle {
			work = "correlating or delivering"
		}
		if !s.Index.Ready {
			work = "the index is being filled; everything but correlation goes on"
		}
		facts(w, "Node", fmt.Sprintf("%s (%s)", s.Country, s.Name), "Peer", s.PeerID, "Addresses", strings.Join(s.Addresses, "  "), "Roster", roster, "Work", work, "Index", s.Index.String(),
			"Calibrations", strings.Join(s.Calibrations, "; "))
		for _, stop := range s.Stopped {
			fmt.Fprintf(w, "Alarm: %s\n", printable(stop))
		}
		for _, alarm := range s.Alarms {
			fmt.Fprintf(w, "Alarm: %s\n", printable(alarm))
		}
		for _, alarm := range s.Witness.Alarms {
			fmt.Fprintf(w, "Alarm: %s (proofmark witness status)\n", printable(alarm))
		}
		for _, n := range s.Notices {
			word := "Waits"
			if n.Urgent {
				word = "Look"
			}
			fmt.Fprintf(w, "%s: %s\n", word, printable(n.Says))
		}
		for _, warning := range s.Warnings {
			if s.Roster != "" {
				fmt.Fprintf(w, "Warning: %s\n", printable(warning))
			}
		}
	})
}

type versionCmd struct{}

func (c *versionCmd) Run(a *app) error {
	version, goVersion := "devel", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			version = info.Main.Version
		}
	}
	return a.show(map[string]string{"version": version, "go": goVersion}, func(w io.Writer) { fmt.Fprintln(w, "proofmark", version, goVersion) })
}
