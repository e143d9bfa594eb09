package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"proofmark/crypto"
	"proofmark/node/backup"
	"proofmark/node/control"
	"proofmark/node/custody"
	"proofmark/node/desk"
	"proofmark/node/durable"
	"proofmark/protocol"
)

type backupCmd struct {
	Make  backupMakeCmd  `cmd:"" default:"withargs" help:"Back up the running node into a file, or into a folder that keeps a chain of them."`
	Check backupCheckCmd `cmd:"" help:"Check that backups are whole and in order; with the recovery key, everything in them."`
}

type backupMakeCmd struct {
	To    string `arg:"" help:"File to make, never overwritten; or folder (one that exists, or a name that ends with a slash), in which the first backup is full and each later one holds what changed." placeholder:"FILE|FOLDER"`
	Since string `help:"Into a file: hold only what changed since the backup in this file." type:"path" placeholder:"FILE"`
	Full  bool   `help:"Into a folder: begin a new chain with a full backup."`

	At []string `help:"Into a folder: send what they lack of its chain to these members, which keep sealed copies." placeholder:"COUNTRY,…"`
}

// maker writes one backup; what is half-written has no name that anybody takes for one.
type maker struct {
	a    *app
	dir  string
	lock *os.File
}

func (c *backupMakeCmd) Run(a *app) error {
	folder := strings.HasSuffix(c.To, "/")
	if st, err := os.Stat(c.To); err == nil && st.IsDir() {
		folder = true
	}
	switch {
	case folder && c.Since != "":
		return errors.New("--since is for a single file: a folder knows its last backup")
	case !folder && c.Full:
		return errors.New("--full is for a folder: a single file without --since is full")
	case !folder && len(c.At) > 0:
		return errors.New("--at is for a folder: its chain is what members keep")
	case folder:
		return c.intoFolder(a)
	}
	return c.intoFile(a)
}

func (c *backupMakeCmd) intoFile(a *app) error {
	if _, err := os.Lstat(c.To); err == nil {
		return taken(c.To, os.ErrExist)
	}
	r := backup.Request{}
	if c.Since != "" {
		f, err := openFile(c.Since)
		if err != nil {
			return err
		}
		head, err := backup.ReadHead(bufio.NewReader(f))
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", c.Since, err)
		}
		r.Since = head.ID
	}
	m, err := newMaker(a, filepath.Dir(c.To), false)
	if err != nil {
		return err
	}
	made, err := m.make(r, func(*backup.Made) string { return filepath.Base(c.To) })
	if err != nil {
		return err
	}
	return a.showBackup(made, c.To, nil)
}

func (c *backupMakeCmd) intoFolder(a *app) error {
	if len(c.At) > 0 { // a misspelt country is to be found before hours of work
		if _, err := ask[[]protocol.Country](a, "custody.ready", control.CustodyHolders{Holders: c.At}); err != nil {
			return err
		}
	}
	if err := durable.MakeFolder(c.To); err != nil {
		return err
	}
	m, err := newMaker(a, c.To, true)
	if err != nil {
		return err
	}
	defer m.lock.Close()
	index, err := backup.ReadIndex(c.To)
	if err != nil {
		return err
	}
	r := backup.Request{}
	if chain := index.Latest(); len(chain) > 0 && !c.Full {
		last := chain[len(chain)-1]
		// The rest of the chain is not read for every increment: that is for a check. The last one must be there at least.
		if st, err := os.Stat(last.Path); err != nil || st.Size() != last.Size {
			return fmt.Errorf("the last backup of this folder, %s, is missing or has another size than it was written with: check the folder, or begin a new chain with --full", last.Path)
		}
		r.Since = last.ID
	}
	var name string
	made, err := m.make(r, func(made *backup.Made) string {
		name = backup.FileName(made)
		return name
	})
	if errors.Is(err, desk.ErrConflict) && r.Since != "" && strings.Contains(err.Error(), backup.ErrUnknownParent.Error()) {
		return fmt.Errorf("%w\nproofmark backup --full %s begins a new chain", err, argument(c.To))
	}
	if err != nil {
		return err
	}
	s, err := ask[control.Status](a, "status", control.None{})
	if err != nil {
		return err
	}
	index.Country = s.Country
	index.Files = append(index.Files, backup.Part{Name: name, ID: made.ID, Chain: made.Chain, Number: made.Number, SHA256: made.SHA256, Size: made.Size, Made: made.At})
	b, err := json.MarshalIndent(index, "", "  ")
	if err == nil {
		err = durable.Replace(filepath.Join(c.To, backup.IndexName), append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("the backup %s is made, but the folder's index could not be written: %w", name, err)
	}
	var sent []custody.Sent
	if len(c.At) > 0 {
		if sent, err = a.sendCopies(c.To, c.At); err != nil {
			return fmt.Errorf("the backup %s is made, but it was sent to nobody: %w", name, err)
		}
	}
	if err := a.showBackup(made, filepath.Join(c.To, name), sent); err != nil {
		return err
	}
	return notAtAll(sent, c.To)
}

// newMaker makes backups into a folder. A folder of backups is locked: two at once would make two ends of one chain.
func newMaker(a *app, dir string, exclusive bool) (*maker, error) {
	m := &maker{a: a, dir: dir}
	if !exclusive {
		return m, nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another backup into %s is under way (%w): wait for its end", dir, err), f.Close())
	}
	m.lock = f
	return m, nil
}

// make downloads a backup into an unfinished file, makes it durable and gives it its name.
func (m *maker) make(r backup.Request, name func(*backup.Made) string) (made *backup.Made, err error) {
	client, err := m.a.dial()
	if err != nil {
		return nil, err
	}
	f, err := durable.Begin(m.dir, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Discard()) }()
	done := m.a.progress("written")
	client.Progress = done.tell
	made, err = control.Download[*backup.Made](m.a.ctx, client, "backup.create", r, f)
	done.end()
	if err != nil {
		return nil, m.a.explain(err)
	}
	to := name(made)
	if err := f.Create(to); err != nil {
		return nil, taken(filepath.Join(m.dir, to), err)
	}
	return made, nil
}

func (a *app) showBackup(m *backup.Made, path string, sent []custody.Sent) error {
	return a.show(struct {
		*backup.Made
		File string         `json:"file"`
		At   []custody.Sent `json:"at,omitempty"`
	}{m, path, sent}, func(w io.Writer) {
		what := "everything"
		if m.Number > 0 {
			what = fmt.Sprintf("what changed since number %d", m.Number-1)
		}
		fmt.Fprintf(w, "%s holds %s: %s of the database, %d of the audit log; %d bytes, for the recovery key %s.\n", printable(path), what, count(int(m.Records.Written), "record"), m.Entries, m.Size, m.Recovery)
		showSent(w, sent)
	})
}

// megabytes shows bytes that pass, a few times a second.
type megabytes struct {
	a     *app
	verb  string
	shown bool
	last  time.Time
}

func (a *app) progress(verb string) *megabytes { return &megabytes{a: a, verb: verb} }

func (p *megabytes) tell(done, _ int64) {
	if now := wallClock(); !p.a.JSON && now.Sub(p.last) > 200*time.Millisecond {
		p.last, p.shown = now, true
		fmt.Fprintf(p.a.err, "\r%.1f MB %s", float64(done)/1e6, p.verb)
	}
}

func (p *megabytes) end() {
	if p.shown {
		fmt.Fprintln(p.a.err)
	}
}

// tellUnlisted names the backups in a folder that its index does not name.
func (a *app) tellUnlisted(dir string) error {
	index, err := backup.ReadIndex(dir)
	if err != nil {
		return err
	}
	names, err := index.Unlisted(dir)
	for _, name := range names {
		fmt.Fprintf(a.err, "%s is not in the folder's index: a backup that was broken off after its last byte, or somebody's copy. The chain does not need it; it may be removed.\n", printable(filepath.Join(dir, name)))
	}
	return err
}

type backupCheckCmd struct {
	From          []string `arg:"" help:"Folder of backups, or the files of a chain." type:"path" placeholder:"FILE|FOLDER"`
	Key           string   `help:"File of the recovery key: everything in the backups is decrypted and read, nothing is restored." type:"path" placeholder:"FILE"`
	KeyPassphrase string   `name:"key-passphrase-file" help:"File with the passphrase of the recovery key (mode 0600)." type:"path" placeholder:"FILE"`
}

// checkedPart is one file of a chain as a check shows it.
type checkedPart struct {
	backup.Part
	Entries  int64            `json:"entries"`
	Recovery string           `json:"recovery"`
	Signing  string           `json:"signing_key"`
	Content  *backup.Verified `json:"content,omitempty"`
}

func (c *backupCheckCmd) Run(a *app) error {
	var key *crypto.RecoveryKey
	if c.Key != "" {
		var err error
		if key, err = a.openRecovery(c.Key, c.KeyPassphrase); err != nil {
			return err
		}
	}
	p := a.progress("read")
	defer p.end()
	parts, err := backup.Gather(a.ctx, c.From, func(n int64) { p.tell(n, 0) })
	if err != nil {
		return err
	}
	var out []checkedPart
	for _, part := range parts {
		row := checkedPart{Part: part, Entries: part.Head.Entries(), Recovery: part.Head.Recovery, Signing: part.Head.KeyID()}
		if key != nil {
			v, err := backup.VerifyContent(a.ctx, part, key, func(n int64) { p.tell(n, 0) })
			if err != nil {
				return err
			}
			row.Content = &v
		}
		out = append(out, row)
	}
	p.end()
	p.shown = false
	for _, path := range c.From {
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			if err := a.tellUnlisted(path); err != nil {
				return err
			}
		}
	}
	return a.show(out, func(w io.Writer) {
		rows := make([][]string, len(out))
		for i, r := range out {
			content := "not opened"
			if r.Content != nil {
				content = fmt.Sprintf("whole: %d files, %d records", r.Content.Files, r.Content.Records.Written)
			}
			rows[i] = []string{fmt.Sprint(r.Number), stamp(r.Made), fmt.Sprint(r.Size), fmt.Sprint(r.Entries), content, r.Name}
		}
		table(w, "", []string{"NUMBER", "MADE", "BYTES", "LOG ENTRIES", "CONTENT", "FILE"}, rows)
		last := parts[len(parts)-1].Head
		fmt.Fprintf(w, "The chain of %s is whole: %s, up to %s, for the recovery key %s, signed by key %s.\n", last.Country, count(len(parts), "file"), stamp(last.Made), last.Recovery, last.KeyID())
		if key == nil {
			fmt.Fprintf(w, "Its content was not opened: add --key FILE, where the recovery key is at hand.\n")
		}
	})
}
