package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// IndexName is the file in a folder of backups that says which there must be.
const IndexName = "index.json"

// Suffix ends the name of a backup file that a folder's chain is made of.
const Suffix = ".backup"

// FileName is what a backup is called in a folder. It ends with the backup's own id: one that was killed between the name and the index is on nobody's list,
// and the next one has its chain, its number and perhaps its second.
func FileName(m *Made) string {
	return fmt.Sprintf("%s-%s-%04d-%s%s", m.At.UTC().Format("20060102T150405Z"), short(m.Chain), m.Number, short(m.ID), Suffix)
}

// Part is one file of a chain, as it was found or made.
type Part struct {
	Path   string    `json:"-"`
	Name   string    `json:"name"`
	ID     string    `json:"id"`
	Chain  string    `json:"chain"`
	Number int       `json:"number"`
	SHA256 string    `json:"sha256"` // of the whole file, hex
	Size   int64     `json:"size"`   // bytes
	Made   time.Time `json:"made"`
	Head   *Head     `json:"-"`
}

// Index says which files a folder of backups holds, in their order.
type Index struct {
	Country protocol.Country `json:"country"`
	Files   []Part           `json:"files"`
}

// Latest is the newest chain of the index.
func (x *Index) Latest() []Part {
	if len(x.Files) == 0 {
		return nil
	}
	last := x.Files[len(x.Files)-1].Chain
	var out []Part
	for _, p := range x.Files {
		if p.Chain == last {
			out = append(out, p)
		}
	}
	return out
}

// ReadIndex reads a folder's index; an empty one where there is none.
func ReadIndex(dir string) (*Index, error) {
	f, err := os.Open(filepath.Join(dir, IndexName))
	if errors.Is(err, os.ErrNotExist) {
		return &Index{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const limit = 8 << 20
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil {
		err = protocol.CheckJSON(b, limit, 4)
	}
	var x Index
	if err == nil {
		err = json.Unmarshal(b, &x)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): move the folder aside and begin a new one, or restore from its files by name", filepath.Join(dir, IndexName), err)
	}
	for i := range x.Files {
		p := &x.Files[i]
		if p.Name != filepath.Base(p.Name) || !strings.HasSuffix(p.Name, Suffix) {
			return nil, fmt.Errorf("%s names a file %.80q", filepath.Join(dir, IndexName), p.Name)
		}
		p.Path = filepath.Join(dir, p.Name)
	}
	return &x, nil
}

// Unlisted finds files in the index's folder that are named as backups and that it does not name: whole ones, which a kill kept off the list, or somebody's
// copies. No chain needs them.
func (x *Index) Unlisted(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), Suffix) && !slices.ContainsFunc(x.Files, func(p Part) bool { return p.Name == e.Name() }) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// Measure reads a backup file's head and hashes the whole of it. progress (may be nil) is told the bytes read.
func Measure(ctx context.Context, path string, progress func(bytes int64)) (Part, error) {
	f, err := os.Open(path)
	if err != nil {
		return Part{}, err
	}
	defer f.Close()
	head, err := ReadHead(bufio.NewReader(io.LimitReader(f, int64(len(magic))+maxHead+16)))
	if err != nil {
		return Part{}, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return Part{}, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.New()
	size, err := io.Copy(sum, &watched{ctx: ctx, r: f, progress: progress})
	if err != nil {
		return Part{}, fmt.Errorf("%s: %w", path, err)
	}
	return Part{Path: path, Name: filepath.Base(path), ID: head.ID, Chain: head.Chain, Number: head.Number, SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size, Made: head.Made, Head: head}, nil
}

// watched reads until its context ends and tells how far it is.
type watched struct {
	ctx      context.Context
	r        io.Reader
	n        int64
	progress func(int64)
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(p)
	w.n += int64(n)
	if w.progress != nil {
		w.progress(w.n)
	}
	return n, err
}

// CheckOrder holds that files are one chain from its full backup on, in their order, each the one that its successor follows: nothing missing between,
// nothing changed, nothing of another chain. That nothing is missing at the end, only the folder's index can tell.
func CheckOrder(parts []Part) error {
	if len(parts) == 0 {
		return fmt.Errorf("%w: there is no backup", ErrChain)
	}
	for i, p := range parts {
		h := p.Head
		switch {
		case i == 0 && h.Number != 0:
			return fmt.Errorf("%w: it begins with %s, which is number %d: the full backup of chain %s is missing", ErrChain, p.Name, h.Number, short(h.Chain))
		case i == 0:
			continue
		case h.Country != parts[0].Head.Country:
			return fmt.Errorf("%w: %s is of %s, %s is of %s", ErrChain, p.Name, h.Country, parts[0].Name, parts[0].Head.Country)
		case h.Chain != parts[0].ID:
			return fmt.Errorf("%w: %s belongs to chain %s, %s begins chain %s", ErrChain, p.Name, short(h.Chain), parts[0].Name, short(parts[0].ID))
		case h.Number != i:
			return fmt.Errorf("%w: %s is number %d where number %d is wanted: a file is missing, twice or out of order", ErrChain, p.Name, h.Number, i)
		case h.Parent != parts[i-1].SHA256:
			return fmt.Errorf("%w: %s follows a file with another content than %s has: that one was changed, or is of another run", ErrChain, p.Name, parts[i-1].Name)
		case h.Since != parts[i-1].Head.UpTo:
			return fmt.Errorf("%w: %s begins at version %d, %s ends at %d", ErrChain, p.Name, h.Since, parts[i-1].Name, parts[i-1].Head.UpTo)
		}
	}
	return nil
}

func short(id string) string { return id[:min(8, len(id))] }

// Gather finds the files that a restore or a check is about: those named, in whatever order, or the newest chain of a folder, by its index where it has
// one. Every file is read whole; the order is checked.
func Gather(ctx context.Context, paths []string, progress func(bytes int64)) ([]Part, error) {
	var files []Part
	var total int64
	add := func(path string) (Part, error) {
		p, err := Measure(ctx, path, func(n int64) {
			if progress != nil {
				progress(total + n)
			}
		})
		total += p.Size
		return p, err
	}
	for _, path := range paths {
		st, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("backups: %w: check the path", err)
		}
		if st.IsDir() {
			found, err := gatherFolder(path, add)
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
			continue
		}
		if !st.Mode().IsRegular() { // opening a pipe would wait for whoever writes into it
			return nil, fmt.Errorf("backups: %s is neither a file nor a folder", path)
		}
		p, err := add(path)
		if err != nil {
			return nil, err
		}
		files = append(files, p)
	}
	slices.SortStableFunc(files, func(a, b Part) int { return a.Number - b.Number })
	return files, CheckOrder(files)
}

func gatherFolder(dir string, add func(string) (Part, error)) ([]Part, error) {
	index, err := ReadIndex(dir)
	if err != nil {
		return nil, err
	}
	if len(index.Files) == 0 {
		return nil, fmt.Errorf("%s has no %s: it is no folder that backups were made into; name the files themselves", dir, IndexName)
	}
	var out []Part
	for _, want := range index.Latest() {
		p, err := add(want.Path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s is missing, the index names it as number %d", ErrChain, want.Path, want.Number)
		}
		if err != nil {
			return nil, err
		}
		if p.SHA256 != want.SHA256 || p.ID != want.ID {
			return nil, fmt.Errorf("%w: %s is not the file that was written (%d bytes, SHA-256 %s…; the index says %d, %s…): take it from another copy of the folder, or from a holder (`proofmark custody export` there)", ErrChain, want.Path, p.Size, short(p.SHA256), want.Size, short(want.SHA256))
		}
		out = append(out, p)
	}
	return out, nil
}

// Verified is what a check of the content found.
type Verified struct {
	Files   int               `json:"files"` // of the data folder
	Records store.BackupCount `json:"records"`
}

// VerifyContent decrypts a backup and reads everything in it, restoring nothing.
func VerifyContent(ctx context.Context, p Part, recovery *crypto.RecoveryKey, progress func(bytes int64)) (Verified, error) {
	var v Verified
	err := WithContent(ctx, p, recovery, progress, func(c *Content) (err error) {
		v.Files = len(c.Files)
		v.Records, err = store.CheckBackup(ctx, c.Database())
		return err
	})
	return v, err
}

// WithContent opens a backup file for the time of act.
func WithContent(ctx context.Context, p Part, recovery *crypto.RecoveryKey, progress func(bytes int64), act func(*Content) error) error {
	f, err := os.Open(p.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(&watched{ctx: ctx, r: f, progress: progress}, 256<<10)
	h, err := ReadHead(r)
	if err == nil && h.raw != p.Head.raw {
		err = fmt.Errorf("%w: the file changed while it was read", ErrChain)
	}
	var c *Content
	if err == nil {
		c, err = h.Open(r, recovery)
	}
	if err == nil {
		defer c.Close()
		err = act(c)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Path, err)
	}
	return nil
}
