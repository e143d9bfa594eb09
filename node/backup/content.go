package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"proofmark/crypto"
	"proofmark/crypto/stream"
	"proofmark/protocol"
)

// Limits of what a backup holds beside the database.
const (
	maxFiles = 2048
	maxFile  = 16 << 20 // bytes of one file
	maxIndex = 1 << 20
	window   = 8 << 20 // of the compression: what a reader is made to hold at most
)

// File is one file of the data folder.
type File struct {
	Name    string // relative, with slashes
	Content []byte
}

// contents is the frame that the content begins with.
type contents struct {
	Master []byte   `json:"master"` // the node's master key: a restore wraps it with a new passphrase
	Files  []string `json:"files"`
}

func (c *contents) check() error {
	if len(c.Master) != len(crypto.MasterKey{}) {
		return fmt.Errorf("a master key of %d bytes", len(c.Master))
	}
	if len(c.Files) > maxFiles {
		return fmt.Errorf("%d files, the limit is %d", len(c.Files), maxFiles)
	}
	seen := map[string]bool{}
	for _, name := range c.Files {
		if !fs.ValidPath(name) || name == "." || strings.Count(name, "/") > 1 || strings.ContainsAny(name, "\\\x00") || len(name) > 255 || seen[name] {
			return fmt.Errorf("a file named %.80q", name)
		}
		seen[name] = true
	}
	return nil
}

// bodyWriter compresses and encrypts what a file holds behind its head.
type bodyWriter struct {
	sealed *stream.Writer
	zip    *zstd.Encoder
}

func newBodyWriter(w io.Writer, h *Head, key crypto.MasterKey, random io.Reader) (*bodyWriter, error) {
	sealed, err := stream.NewWriter(w, key.Derive(bodyKey), h.label(), random)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(sealed, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	return &bodyWriter{sealed, z}, nil
}

func (b *bodyWriter) Write(p []byte) (int, error) { return b.zip.Write(p) }

// files writes what stands before the database.
func (b *bodyWriter) files(master crypto.MasterKey, list []File) error {
	c := contents{Master: master[:]}
	for _, f := range list {
		if len(f.Content) > maxFile {
			return fmt.Errorf("%s has %d bytes, %d are the limit of a backup", f.Name, len(f.Content), maxFile)
		}
		c.Files = append(c.Files, f.Name)
	}
	if err := c.check(); err != nil {
		return fmt.Errorf("files of the backup: %w", err)
	}
	index, err := json.Marshal(c)
	if err != nil {
		return err
	}
	defer clear(index)
	if err := protocol.WriteFrame(b.zip, index); err != nil {
		return err
	}
	for _, f := range list {
		if err := protocol.WriteFrame(b.zip, f.Content); err != nil {
			return err
		}
	}
	return nil
}

func (b *bodyWriter) Close() error {
	return errors.Join(b.zip.Close(), b.sealed.Close())
}

// Content is an opened backup: its files, and then the records of the database for store.Loader.
type Content struct {
	Head   *Head
	Master crypto.MasterKey
	Files  []File
	sealed io.Reader
	zip    *zstd.Decoder
}

// Open opens the content of a backup whose head was read from r.
func (h *Head) Open(r io.Reader, recovery *crypto.RecoveryKey) (*Content, error) {
	key, err := h.fileKey(recovery)
	if err != nil {
		return nil, err
	}
	sealed, err := stream.NewReader(r, key.Derive(bodyKey), h.label())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	z, err := zstd.NewReader(sealed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	c := &Content{Head: h, sealed: sealed, zip: z}
	if err := c.readFiles(); err != nil {
		c.Close()
		return nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	return c, nil
}

func (c *Content) readFiles() error {
	b, err := protocol.ReadFrame(c.zip, maxIndex)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	defer clear(b)
	if err := protocol.CheckJSON(b, maxIndex, 3); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	var list contents
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	if err := list.check(); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	copy(c.Master[:], list.Master)
	clear(list.Master)
	for _, name := range list.Files {
		b, err := protocol.ReadFrame(c.zip, maxFile)
		if err != nil {
			return fmt.Errorf("file %s: %w", name, err)
		}
		c.Files = append(c.Files, File{name, b})
	}
	return nil
}

// File returns a file by its name; nil if there is none.
func (c *Content) File(name string) []byte {
	i := slices.IndexFunc(c.Files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return c.Files[i].Content
}

// Database is what the content holds behind its files. Its end is reported only where the writer ended.
func (c *Content) Database() io.Reader { return ended{c} }

// ended reads the compressed stream, and at its end what is encrypted: whatever was appended or cut off shows there.
type ended struct{ c *Content }

func (e ended) Read(p []byte) (int, error) {
	n, err := e.c.zip.Read(p)
	if errors.Is(err, io.EOF) {
		var rest [1]byte
		if k, rerr := e.c.sealed.Read(rest[:]); k > 0 {
			return n, fmt.Errorf("%w: something follows its end", ErrContent)
		} else if !errors.Is(rerr, io.EOF) {
			return n, fmt.Errorf("%w: %w", ErrContent, rerr)
		}
		return n, io.EOF
	}
	if err != nil && !errors.Is(err, ErrContent) {
		err = fmt.Errorf("%w: %w", ErrContent, err)
	}
	return n, err
}

// Close lets the decoder go.
func (c *Content) Close() { c.zip.Close() }

// FilesOf reads what belongs into a backup of a data folder: its top-level files and those of the named folders, but for the names left out. Hidden files
// are what a program was killed over.
func FilesOf(folder fs.FS, folders, without []string) ([]File, error) {
	var out []File
	read := func(dir string) error {
		entries, err := fs.ReadDir(folder, dir)
		if errors.Is(err, fs.ErrNotExist) && dir != "." {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") || slices.Contains(without, name) {
				continue
			}
			info, err := fs.Stat(folder, name) // follows a link, as its reader does
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() {
				continue
			}
			if info.Size() > maxFile {
				return fmt.Errorf("%s has %d bytes, %d are the limit of a backup: it does not belong into the data folder", name, info.Size(), maxFile)
			}
			b, err := fs.ReadFile(folder, name)
			if err != nil {
				return err
			}
			out = append(out, File{name, b})
		}
		return nil
	}
	for _, dir := range append([]string{"."}, folders...) {
		if err := read(dir); err != nil {
			return nil, fmt.Errorf("files for the backup: %w", err)
		}
	}
	return out, nil
}
