package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/durable"
	"proofmark/node/membership"
)

type rosterCmd struct {
	Holder   rosterHolderCmd   `cmd:"" help:"Make a key holder's key: a private file, and its public side in FILE.pub."`
	Create   rosterCreateCmd   `cmd:"" help:"Start version 1 from the key holders' public files."`
	Add      rosterAddCmd      `cmd:"" help:"List members, from the member.jws of each, in a roster that nobody has signed yet."`
	Suspend  rosterSuspendCmd  `cmd:"" help:"Suspend a member in a roster that nobody has signed yet."`
	Activate rosterActivateCmd `cmd:"" help:"Make a suspended member active again in a roster that nobody has signed yet."`
	Override rosterOverrideCmd `cmd:"" help:"Announce new keys for a member that lost its own, in a roster that nobody has signed yet; in effect after seven days."`
	Next     rosterNextCmd     `cmd:"" help:"Start the next version of a signed roster."`
	Sign     rosterSignCmd     `cmd:"" help:"Sign a roster as a key holder."`
	Show     rosterShowCmd     `cmd:"" help:"Show a roster's file, or the roster in force at the node."`
	Anchor   rosterAnchorCmd   `cmd:"" help:"Print the anchor, which newcomers get by another way than the roster."`
	Install  rosterInstallCmd  `cmd:"" help:"Bring signed rosters into force at the node."`
	Save     rosterSaveCmd     `cmd:"" help:"Write all versions in force into a file: what a newcomer joins with."`
	Resolve  rosterResolveCmd  `cmd:"" help:"Follow what the key holders decided after there were two rosters of one version."`
}

// Limits of the files of a ceremony.
const (
	maxHolderFile = 8 << 10 // bytes, as crypto/roster has it
	maxMemberFile = 2*roster.MaxEntry + 64
	minPassphrase = 12 // bytes, as of a node
)

// readRoster reads a roster's file, and says what stood in it, for writeRoster. Mail programs and editors put line ends around it, which are none of its
// content.
func readRoster(path string) (*roster.Document, []byte, error) {
	b, err := readFile("roster", path, roster.MaxDocument)
	if err != nil {
		return nil, nil, err
	}
	d, err := roster.Parse(bytes.TrimSpace(b))
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not a roster that can be read: %w: get the file again from whoever gave it to you", path, err)
	}
	return d, b, nil
}

// writeRoster puts a changed roster in place of what was read. Two people may work on one file, in a folder that they share: the second one's change is not
// made where it would take back the first one's.
func writeRoster(path string, was []byte, d *roster.Document) error {
	b, err := d.Marshal()
	if err != nil {
		return err
	}
	err = durable.Swap(path, was, b, 0o644)
	if errors.Is(err, durable.ErrChanged) {
		return fmt.Errorf("%s: %w by somebody else, and nothing was written now: look at it (proofmark roster show %s), and type the command again", path, err, path)
	}
	return err
}

// readChain reads a file with one roster or several, a line each, as `roster save` writes them.
func readChain(path string) ([][]byte, error) {
	b, err := readFile("roster", path, membership.MaxBytes)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if _, err := roster.Parse(line); err != nil {
			return nil, fmt.Errorf("%s, roster %d, is not one that can be read: %w: get the file again from whoever gave it to you", path, len(out)+1, err)
		}
		out = append(out, line)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no roster: get the file again from whoever gave it to you", path)
	}
	return out, nil
}

// readMember reads a member's file: its entry, and the consent of an old key where the entry is signed with a new one.
func readMember(path string) (entry, consent string, err error) {
	b, err := readFile("member's entry", path, maxMemberFile)
	if err != nil {
		return "", "", err
	}
	if entry, consent, err = roster.ParseMemberFile(b); err != nil {
		return "", "", fmt.Errorf("%s: %w: ask the member for it again", path, err)
	}
	return entry, consent, nil
}

// signedBy counts the document's own holders whose signature it carries.
func signedBy(d *roster.Document) (n int) {
	for _, s := range d.Signatures() {
		if s.Name != "" {
			n++
		}
	}
	return n
}

type rosterHolderCmd struct {
	Name           string `arg:"" help:"Name of the person or office that holds the key."`
	Out            string `required:"" help:"Private file to make; the public side goes to FILE.pub." type:"path" placeholder:"FILE"`
	PassphraseFile string `help:"File with the passphrase that seals the private file (mode 0600)." type:"path" placeholder:"FILE"`
}

func (c *rosterHolderCmd) Run(a *app) error {
	passphrase, err := a.readSecret("passphrase of holder "+c.Name, c.PassphraseFile, "", true)
	if err != nil {
		return err
	}
	if len(passphrase) < minPassphrase {
		return fmt.Errorf("the passphrase has fewer than %d bytes; it protects a key that decides who belongs to the federation: choose a longer one", minPassphrase)
	}
	pub := c.Out + ".pub"
	if err := c.make(pub, passphrase); err != nil {
		return err
	}
	return a.show(map[string]string{"name": c.Name, "private": c.Out, "public": pub}, func(w io.Writer) {
		fmt.Fprintf(w, "The key of %s is made.\n", printable(c.Name))
		fmt.Fprintf(w, "Private:  %s  keep it, and its passphrase, to yourself\n", c.Out)
		fmt.Fprintf(w, "Public:   %s  give it to whoever starts the roster\n\n", pub)
		fmt.Fprintf(w, "Next:  proofmark roster create ROSTER --name FEDERATION --threshold K --holder %s --holder …\n", pub)
	})
}

// make writes both files, the private one first. Where a command that was killed left it alone, its public side is made of it: whose passphrase opens it has
// typed the same command again.
func (c *rosterHolderCmd) make(pub string, passphrase []byte) error {
	if _, err := os.Lstat(pub); errors.Is(err, os.ErrNotExist) {
		if left, err := readFile("private file of the key holder", c.Out, maxHolderFile); err == nil {
			key, err := roster.OpenHolder(bytes.TrimSpace(left), passphrase)
			if err != nil || key.Name() != c.Name {
				return taken(c.Out, os.ErrExist)
			}
			public, err := key.Public()
			if err != nil {
				return err
			}
			return createFiles(newFile{pub, public, 0o644})
		}
	}
	private, public, err := roster.NewHolder(c.Name, passphrase, rand.Reader)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Out); err == nil {
		return taken(c.Out, os.ErrExist)
	}
	return createFiles(newFile{pub, public, 0o644}, newFile{c.Out, private, 0o600})
}

type rosterCreateCmd struct {
	File       string   `arg:"" help:"Roster file to make." type:"path"`
	Name       string   `required:"" help:"Name of the federation."`
	Holder     []string `required:"" sep:"none" help:"Public file of a key holder, once for each." type:"path" placeholder:"FILE"`
	Threshold  int      `required:"" help:"How many of the holders must sign." placeholder:"K"`
	ValidUntil string   `help:"Last day it is valid; the default is a year from now." placeholder:"DATE"`
}

func (c *rosterCreateCmd) Run(a *app) error {
	now := wallClock()
	until := now.AddDate(1, 0, 0)
	if c.ValidUntil != "" {
		day, err := parseDay(c.ValidUntil)
		if err != nil {
			return fmt.Errorf("--valid-until: %w", err)
		}
		if until = endOf(day, c.ValidUntil); !until.After(now) {
			return fmt.Errorf("--valid-until: %s is over: name a day in the future", c.ValidUntil)
		}
	}
	holders := make([]roster.Holder, len(c.Holder))
	for i, path := range c.Holder {
		b, err := readFile("public file of a key holder", path, maxHolderFile)
		if err != nil {
			return err
		}
		if holders[i], err = roster.ParseHolder(bytes.TrimSpace(b)); err != nil {
			return fmt.Errorf("%s: %w: name the holder's public file, which ends in .pub", path, err)
		}
	}
	d, err := roster.Create(c.Name, holders, c.Threshold, now, until)
	if err != nil {
		return err
	}
	b, err := d.Marshal()
	if err != nil {
		return err
	}
	if err := createFiles(newFile{c.File, b, 0o644}); err != nil {
		return err
	}
	return a.showDraft(c.File, d, "is started", "proofmark roster add "+c.File+" MEMBER.jws …")
}

// showDraft says what a roster's file holds now and what to do next.
func (a *app) showDraft(path string, d *roster.Document, what, next string) error {
	v := viewRoster(d)
	return a.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "Version %d of %s %s in %s: %s, %d of %d signatures needed.\n", v.Version, printable(v.Name), what, path, count(len(v.Members), "member"), v.Signed, v.Threshold)
		if next != "" {
			fmt.Fprintf(w, "\nNext:  %s\n", next)
		}
	})
}

type rosterAddCmd struct {
	File   string   `arg:"" help:"Roster file that nobody has signed yet." type:"path"`
	Member []string `arg:"" help:"Members' entries: member.jws from each one's data folder." type:"path"`
}

func (c *rosterAddCmd) Run(a *app) error {
	d, was, err := readRoster(c.File)
	if err != nil {
		return err
	}
	for _, path := range c.Member {
		entry, consent, err := readMember(path)
		if err != nil {
			return err
		}
		if err := d.AddSuccession(entry, consent, wallClock()); err != nil {
			return fmt.Errorf("%s: %w", path, whyNotDraft(c.File, err))
		}
	}
	if err := writeRoster(c.File, was, d); err != nil {
		return err
	}
	return a.showDraft(c.File, d, "is changed", "proofmark roster sign "+c.File+" --key HOLDERFILE")
}

// whyNotDraft adds to a refused change what to do next.
func whyNotDraft(path string, err error) error {
	switch {
	case errors.Is(err, roster.ErrSigned):
		return fmt.Errorf("%w (proofmark roster next %s --out FILE2)", err, path)
	case errors.Is(err, roster.ErrKeyChange):
		return fmt.Errorf("%w: ask that member, by another way, whether it changed its keys", err)
	case errors.Is(err, roster.ErrStale):
		return fmt.Errorf("%w: the one that is listed stays; ask the member for its present entry", err)
	}
	return err
}

type rosterSuspendCmd struct {
	File    string `arg:"" help:"Roster file that nobody has signed yet." type:"path"`
	Country string `arg:"" help:"Country code of the member."`
}

func (c *rosterSuspendCmd) Run(a *app) error {
	return a.setStatus(c.File, c.Country, roster.Suspended)
}

type rosterActivateCmd struct {
	File    string `arg:"" help:"Roster file that nobody has signed yet." type:"path"`
	Country string `arg:"" help:"Country code of the member."`
}

func (c *rosterActivateCmd) Run(a *app) error { return a.setStatus(c.File, c.Country, roster.Active) }

func (a *app) setStatus(path, country string, status roster.Status) error {
	d, was, err := readRoster(path)
	if err != nil {
		return err
	}
	if _, listed := d.Roster().ByCountry(country); !listed {
		return fmt.Errorf("%s lists no member %.20q: proofmark roster show %s names them", path, country, path)
	}
	if err := d.SetStatus(country, status, wallClock()); err != nil {
		return whyNotDraft(path, err)
	}
	if err := writeRoster(path, was, d); err != nil {
		return err
	}
	return a.showDraft(path, d, "lists "+country+" as "+string(status), "proofmark roster sign "+path+" --key HOLDERFILE")
}

type rosterNextCmd struct {
	File   string   `arg:"" help:"Roster file that is signed." type:"path"`
	Out    string   `required:"" help:"Roster file to make." type:"path" placeholder:"FILE2"`
	Reject []string `sep:"none" help:"Another roster of the same version or an earlier one, which the new one says it does not follow: the key holders' decision after a fork." type:"path" placeholder:"OTHER"`
}

func (c *rosterNextCmd) Run(a *app) error {
	d, _, err := readRoster(c.File)
	if err != nil {
		return err
	}
	if r := d.Roster(); signedBy(d) < r.Threshold {
		return fmt.Errorf("version %d in %s has %d of the %d signatures it needs: nobody will accept a version after it. Have it signed first (proofmark roster sign %s --key HOLDERFILE)",
			r.Version, c.File, signedBy(d), r.Threshold, c.File)
	}
	next, err := d.Next(wallClock())
	if err != nil {
		return err
	}
	for _, path := range c.Reject {
		other, _, err := readRoster(path)
		if err != nil {
			return err
		}
		if err := next.Reject(other); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	b, err := next.Marshal()
	if err != nil {
		return err
	}
	if err := createFiles(newFile{c.Out, b, 0o644}); err != nil {
		return err
	}
	return a.showDraft(c.Out, next, "is started", "proofmark roster add "+c.Out+" MEMBER.jws …, or suspend, then sign")
}

type rosterSignCmd struct {
	File           string `arg:"" help:"Roster file." type:"path"`
	Key            string `required:"" help:"Your private file." type:"path" placeholder:"HOLDERFILE"`
	PassphraseFile string `help:"File with the passphrase of your private file (mode 0600)." type:"path" placeholder:"FILE"`
	Fingerprint    string `help:"Sign only if the roster has this fingerprint, which you got by another way." placeholder:"DIGITS"`
}

func (c *rosterSignCmd) Run(a *app) error {
	d, was, err := readRoster(c.File)
	if err != nil {
		return err
	}
	private, err := readFile("private file of the key holder", c.Key, maxHolderFile)
	if err != nil {
		return err
	}
	r := d.Roster()
	if err := d.CheckSignatures(); err != nil {
		return fmt.Errorf("%s was changed after it was signed, or damaged on its way: %w. Nothing was signed: get it again from the holder who signed before you", c.File, err)
	}
	if want := strings.Join(strings.Fields(c.Fingerprint), ""); want != "" && want != strings.ReplaceAll(d.Fingerprint(), " ", "") {
		return fmt.Errorf("%s has the fingerprint %s, and not the one that was given: it is another roster than the one you agreed on. Nothing was signed", c.File, d.Fingerprint())
	}
	if !a.JSON { // a holder answers for what is signed: it is shown before the passphrase is asked for
		fmt.Fprintf(a.err, "Version %d of %s, %s, valid until %s.\nFingerprint %s: compare it with the other holders.\n",
			r.Version, printable(r.Name), count(len(r.Members), "member"), r.ValidUntil.Format(time.DateOnly), d.Fingerprint())
	}
	passphrase, err := a.readSecret("passphrase of "+c.Key, c.PassphraseFile, "", false)
	if err != nil {
		return err
	}
	key, err := roster.OpenHolder(bytes.TrimSpace(private), passphrase)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Key, err)
	}
	before := len(d.Signatures())
	if err := d.Sign(key); err != nil {
		if errors.Is(err, roster.ErrNotHolder) {
			return fmt.Errorf("%w: proofmark roster show %s names them", err, c.File)
		}
		return err
	}
	if err := writeRoster(c.File, was, d); err != nil {
		return err
	}
	next := "give the file to the next key holder"
	if signedBy(d) >= r.Threshold {
		next = "proofmark roster install " + c.File
		if r.Version == 1 {
			next = "proofmark roster anchor " + c.File + ", and give the anchor to the members by another way than the roster"
		}
	}
	did := "is signed by " + printable(key.Name())
	if len(d.Signatures()) == before {
		did = "was signed by " + printable(key.Name()) + " before, and nothing changed; it lies"
	}
	return a.showDraft(c.File, d, did, next)
}
