package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/control"
	"proofmark/node/durable"
	"proofmark/node/membership"
	"proofmark/protocol"
)

// maxAnchorFile bounds the file of an anchor.
const maxAnchorFile = 1 << 10

// rosterView is a roster as it is shown.
type rosterView struct {
	Name        string       `json:"name"`
	Version     int          `json:"version"`
	Hash        string       `json:"hash"`
	Fingerprint string       `json:"fingerprint"` // of the hash, for reading over the phone
	Anchor      string       `json:"anchor,omitempty"`
	Previous    string       `json:"previous,omitempty"`
	Issued      time.Time    `json:"issued"`
	ValidUntil  time.Time    `json:"valid_until"`
	Threshold   int          `json:"threshold"`
	Signed      int          `json:"signed"`
	Holders     []holderView `json:"holders"`
	Members     []memberView `json:"members"`
	Rejects     []string     `json:"rejects,omitempty"` // hashes of rosters that it does not follow
	InForce     bool         `json:"in_force"`
	Warnings    []string     `json:"warnings,omitempty"`

	Overrides []overrideView                `json:"overrides,omitempty"`
	Forks     []membership.Fork             `json:"forks,omitempty"`     // other rosters that the node has met
	Announced map[protocol.Country][]string `json:"announced,omitempty"` // addresses, by members since their entries were made
}

// overrideView is what the key holders announce for a member that lost its keys.
type overrideView struct {
	Country   string    `json:"country"`
	Version   int       `json:"version"`
	Announced time.Time `json:"announced"`
	Due       time.Time `json:"due"`
	PeerIDs   []string  `json:"peer_ids"`
}

type holderView struct {
	Name   string `json:"name"`
	Signed bool   `json:"signed"`
}

type memberView struct {
	Country   string        `json:"country"`
	Name      string        `json:"name"`
	Addresses []string      `json:"addresses"`
	PeerIDs   []string      `json:"peer_ids"`
	Status    roster.Status `json:"status"`
	Since     time.Time     `json:"since"`
	Until     time.Time     `json:"until"` // end of the entry
}

func viewRoster(d *roster.Document) rosterView {
	r := d.Roster()
	v := rosterView{Name: r.Name, Version: r.Version, Hash: d.Hash(), Fingerprint: d.Fingerprint(), Previous: r.Previous, Issued: r.Issued, ValidUntil: r.ValidUntil,
		Threshold: r.Threshold, Signed: signedBy(d), Rejects: r.Rejects, Holders: []holderView{}, Members: []memberView{}}
	if r.Version == 1 {
		v.Anchor = v.Hash
	}
	signed := map[string]bool{}
	for _, s := range d.Signatures() {
		signed[s.Name] = true
	}
	for _, h := range r.Holders {
		v.Holders = append(v.Holders, holderView{h.Name, signed[h.Name]})
	}
	for _, m := range r.All() {
		v.Members = append(v.Members, memberView{Country: m.Country, Name: m.Name, Addresses: m.Addresses, PeerIDs: m.PeerIDs, Status: m.Status, Since: m.Since, Until: m.ValidUntil})
	}
	for _, o := range r.Announced() {
		v.Overrides = append(v.Overrides, overrideView{o.Member.Country, o.Version, o.Announced, o.Due(), o.Member.PeerIDs})
	}
	return v
}

func (v *rosterView) print(w io.Writer) {
	signatures := fmt.Sprintf("%d of %s, %d needed", v.Signed, count(len(v.Holders), "key holder"), v.Threshold)
	switch {
	case v.InForce:
		signatures += ", verified when it was installed"
	case v.Version == 1 && v.Signed >= v.Threshold:
		signatures += ", verified"
	case v.Signed < v.Threshold:
		signatures += ": not complete yet"
	default:
		signatures += ", verified against the version before when it is installed"
	}
	facts(w, "Federation", v.Name, "Version", fmt.Sprint(v.Version), "Hash", v.Hash, "Fingerprint", v.Fingerprint, "Anchor", v.Anchor, "Previous", v.Previous,
		"Valid", v.Issued.Format(time.DateOnly)+" to "+v.ValidUntil.Format(time.DateOnly), "Signatures", signatures,
		"Does not follow", strings.Join(v.Rejects, " "))
	for _, warning := range v.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", printable(warning))
	}
	fmt.Fprintln(w)
	rows := make([][]string, len(v.Holders))
	for i, h := range v.Holders {
		rows[i] = []string{h.Name, "no"}
		if h.Signed {
			rows[i][1] = "yes"
		}
	}
	table(w, "It has no key holders.", []string{"KEY HOLDER", "SIGNED"}, rows)
	fmt.Fprintln(w)
	rows = make([][]string, len(v.Members))
	for i, m := range v.Members {
		rows[i] = []string{m.Country, m.Name, string(m.Status), day(m.Until), strings.Join(m.PeerIDs, " "), strings.Join(m.Addresses, " ")}
	}
	table(w, "It lists no members yet: proofmark roster add FILE MEMBER.jws", []string{"COUNTRY", "NAME", "STATUS", "UNTIL", "PEER", "ADDRESSES"}, rows)
	for _, o := range v.Overrides {
		fmt.Fprintf(w, "\n%s: other keys are announced since %s, version %d, and take effect on %s at the earliest (peer %s).\n", o.Country, day(o.Announced), o.Version, day(o.Due), printable(strings.Join(o.PeerIDs, " ")))
	}
	for _, c := range slices.Sorted(maps.Keys(v.Announced)) {
		fmt.Fprintf(w, "\n%s says that it is now at %s\n", c, printable(strings.Join(v.Announced[c], "  ")))
	}
	v.printForks(w)
}

// printForks shows rosters beside the one in force, with the fingerprints and signers of both.
func (v *rosterView) printForks(w io.Writer) {
	if len(v.Forks) == 0 {
		return
	}
	rows := make([][]string, len(v.Forks))
	for i, f := range v.Forks {
		state := "open"
		if f.ResolvedBy > 0 {
			state = fmt.Sprintf("decided by version %d", f.ResolvedBy)
		}
		ours := "–"
		if f.Ours != "" {
			ours = f.OursFingerprint + " (" + strings.Join(f.OursSigners, ", ") + ")"
		}
		rows[i] = []string{fmt.Sprint(f.Version), f.Fingerprint + " (" + strings.Join(f.Signers, ", ") + ")", ours, f.From + ", " + day(f.Met), state}
	}
	fmt.Fprintln(w)
	table(w, "", []string{"VERSION", "OTHER ROSTER (SIGNERS)", "OURS (SIGNERS)", "MET", "STATE"}, rows)
}

type rosterShowCmd struct {
	File string `arg:"" optional:"" help:"Roster file; without it, the roster in force at the node." type:"path"`
}

func (c *rosterShowCmd) Run(a *app) error {
	var v rosterView
	if c.File != "" {
		d, _, err := readRoster(c.File)
		if err != nil {
			return err
		}
		if err := checkFirst(d); err != nil && !errors.Is(err, roster.ErrThreshold) {
			return fmt.Errorf("%s: %w: do not install it, and tell the key holders", c.File, err)
		}
		v = viewRoster(d)
	} else {
		in, err := ask[control.RosterInForce](a, "roster.show", control.None{})
		if err != nil {
			return err
		}
		if len(in.Document) == 0 {
			return errors.New("no roster is in force at this node: install one that the key holders signed with `proofmark roster install FILE --anchor HASH`")
		}
		d, err := roster.Parse(in.Document)
		if err != nil {
			return fmt.Errorf("roster in force: %w", err)
		}
		v = viewRoster(d)
		v.InForce, v.Anchor, v.Warnings, v.Forks, v.Announced = true, in.Anchor, in.Warnings, in.Forks, in.Announced
	}
	return a.show(v, v.print)
}

// checkFirst verifies the signatures of a version 1, which names its own holders; a later version can only be verified with the one before.
func checkFirst(d *roster.Document) error {
	if d.Roster().Version != 1 {
		return nil
	}
	_, err := d.VerifyFirst(d.Hash())
	return err
}

type rosterAnchorCmd struct {
	File string `arg:"" help:"Roster file of version 1, signed." type:"path"`
	Out  string `help:"Write the anchor to this file." type:"path" placeholder:"ANCHORFILE"`
}

func (c *rosterAnchorCmd) Run(a *app) error {
	d, _, err := readRoster(c.File)
	if err != nil {
		return err
	}
	if v := d.Roster().Version; v != 1 {
		return fmt.Errorf("the anchor is the hash of version 1, and %s is version %d: take the file of version 1, or ask a member for the anchor", c.File, v)
	}
	err = checkFirst(d)
	if errors.Is(err, roster.ErrThreshold) {
		return fmt.Errorf("%s: %w: until it is signed it may change, and the anchor with it (proofmark roster sign %s --key HOLDERFILE)", c.File, err, c.File)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.Out != "" {
		if err := durable.Replace(c.Out, []byte(d.Hash()+"\n"), 0o644); err != nil {
			return err
		}
	}
	return a.show(map[string]string{"anchor": d.Hash(), "fingerprint": d.Fingerprint()}, func(w io.Writer) {
		facts(w, "Anchor", d.Hash(), "Fingerprint", d.Fingerprint(), "Written to", c.Out)
		fmt.Fprintln(w, "\nGive it to each member by another way than the roster: a letter, a call, in person.")
	})
}

type rosterInstallCmd struct {
	File       []string `arg:"" help:"Signed roster files: the next version or several; the first time, every version from 1 on." type:"path"`
	Anchor     string   `xor:"anchor" help:"Hash or fingerprint of version 1, which you got by another way; needed the first time." placeholder:"HASH"`
	AnchorFile string   `xor:"anchor" help:"File with the anchor." type:"path" placeholder:"FILE"`
}

func (c *rosterInstallCmd) Run(a *app) error {
	r := control.InstallRequest{Anchor: c.Anchor}
	for _, path := range c.File {
		chain, err := readChain(path)
		if err != nil {
			return err
		}
		r.Documents = append(r.Documents, chain...)
	}
	if c.AnchorFile != "" {
		var err error
		if r.Anchor, err = readAnchor(c.AnchorFile); err != nil {
			return err
		}
	}
	in, err := change[membership.Installed](a, "roster.install", r)
	if err != nil {
		return err
	}
	return a.show(in, func(w io.Writer) { printInstalled(w, in) })
}

func readAnchor(path string) (string, error) {
	b, err := readFile("anchor", path, maxAnchorFile)
	if err != nil {
		return "", err
	}
	anchor := string(bytes.TrimSpace(b))
	if anchor == "" {
		return "", fmt.Errorf("anchor: %s is empty: ask a member for the anchor again", path)
	}
	return anchor, nil
}

func printInstalled(w io.Writer, in membership.Installed) {
	if in.Added == 0 {
		fmt.Fprintf(w, "Version %d of %s was in force already: nothing changed.\n", in.Version, printable(in.Name))
	} else {
		fmt.Fprintf(w, "Version %d of %s is in force: %s.\n", in.Version, printable(in.Name), count(in.Members, "member"))
	}
	facts(w, "Hash", in.Hash, "Fingerprint", in.Fingerprint, "Anchor", in.Anchor, "Valid until", day(in.ValidUntil))
	for _, warning := range in.Warnings {
		fmt.Fprintf(w, "Warning: %s\n", printable(warning))
	}
	fmt.Fprintln(w, "\nNext:  proofmark peers")
}
