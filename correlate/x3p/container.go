package x3p

import (
	"archive/zip"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"
)

// container is the ZIP around the XML and the points, its names checked and
// made relative to the folder of main.xml.
type container struct {
	files  map[string]*zip.File // by lower-case slash path relative to main.xml's folder
	main   *zip.File
	size   int64
	limits Limits
	warn   warner
}

var errBudget = errors.New("ZIP directory longer than the limit")

// budgetReaderAt bounds what the ZIP library reads while it parses the
// directory. The library builds every entry it finds, whatever the trailer
// says their number is, so the bytes are the only thing that can be bounded.
type budgetReaderAt struct {
	r    io.ReaderAt
	left int64
}

func (b *budgetReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errBudget
	}
	return b.r.ReadAt(p, off)
}

const (
	trailerBytes = 128 << 10 // the search for the trailer (comment of at most 64 KiB), read twice
	entryBytes   = 1 << 10   // a directory entry with a long name and extra fields
)

func openContainer(r io.ReaderAt, size int64, l Limits, warn warner) (*container, error) {
	if size > l.MaxFile {
		return nil, fault(ErrTooLarge, "container", "%d bytes, the limit is %d", size, l.MaxFile)
	}
	budget := &budgetReaderAt{r: r, left: trailerBytes + entryBytes*int64(l.MaxEntries)}
	z, err := zip.NewReader(budget, size)
	switch {
	case errors.Is(err, errBudget):
		return nil, fault(ErrTooLarge, "container", "the ZIP directory is longer than %d entries need", l.MaxEntries)
	case errors.Is(err, zip.ErrInsecurePath): // named below, with the entry
	case err != nil:
		return nil, fault(ErrNotX3P, "container", "not a readable ZIP file: %v", err)
	}
	budget.left = 1 << 62 // each member is bounded on its own from here on
	if len(z.File) > l.MaxEntries {
		return nil, fault(ErrTooLarge, "container", "%d entries, the limit is %d", len(z.File), l.MaxEntries)
	}
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	c := &container{files: map[string]*zip.File{}, size: size, limits: l, warn: warn}
	return c, c.index(z.File)
}

// index picks main.xml (the least deeply nested one) and names every other
// member relative to it.
func (c *container) index(files []*zip.File) error {
	byName := map[string]*zip.File{}
	mainName, mainDepth, same := "", 0, 0
	for _, f := range files {
		name := f.Name
		if strings.Contains(name, `\`) {
			name = strings.ReplaceAll(name, `\`, "/")
			c.warn(departs, "container: entry %q has backslashes in its name", f.Name)
		}
		if strings.HasSuffix(name, "/") || macLitter(name) {
			continue
		}
		if !localPath(name) {
			return fault(nil, "container", "entry %q points outside of the container", f.Name)
		}
		// Case is ignored, as on the systems that many of these files come from.
		name = strings.ToLower(path.Clean(name))
		if byName[name] != nil {
			return fault(nil, "container", "two entries are named %q", name)
		}
		byName[name] = f
		if path.Base(name) != "main.xml" {
			continue
		}
		switch depth := strings.Count(name, "/"); {
		case mainName == "" || depth < mainDepth:
			mainName, mainDepth, same = name, depth, 1
		case depth == mainDepth:
			same++
		}
	}
	if mainName == "" {
		return fault(ErrNotX3P, "container", "a ZIP file without main.xml")
	}
	if same > 1 {
		return fault(nil, "container", "%d main.xml side by side; one surface per file, please", same)
	}
	c.main = byName[mainName]
	folder := path.Dir(mainName)
	if folder != "." {
		c.warn(departs, "container: main.xml is nested in folder %q", path.Dir(c.main.Name))
	}
	for name, f := range byName {
		if folder == "." {
			c.files[name] = f
		} else if rest, ok := strings.CutPrefix(name, folder+"/"); ok {
			c.files[rest] = f
		}
	}
	return nil
}

// macLitter tells the resource forks that a Mac adds to a ZIP.
func macLitter(name string) bool {
	return strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(path.Base(name), "._")
}

// localPath tells whether a slash path stays below the folder it starts in.
func localPath(name string) bool {
	if name == "" || strings.HasPrefix(name, "/") || strings.ContainsAny(name, ":\x00") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return false
		}
	}
	return true
}

// open returns the content of a member that must be exactly want bytes long
// (want < 0: at most max). What it declares is checked before a byte of it is
// inflated; the ZIP library checks length and CRC against that at the end.
func (c *container) open(f *zip.File, part string, want, max int64) (io.ReadCloser, error) {
	declared := f.UncompressedSize64
	switch {
	case f.Flags&1 != 0:
		return nil, fault(nil, part, "is encrypted; export it without a password")
	case want >= 0 && declared != uint64(want):
		return nil, fault(nil, part, "is %d bytes long, the header calls for %d", declared, want)
	case declared > uint64(max):
		return nil, fault(ErrTooLarge, part, "%d bytes, the limit is %d", declared, max)
	case f.CompressedSize64 > uint64(c.size):
		return nil, fault(nil, part, "claims %d compressed bytes in a file of %d", f.CompressedSize64, c.size)
	case declared > c.ratioFloor(f) && declared/(f.CompressedSize64+1) > uint64(c.limits.MaxRatio):
		return nil, fault(ErrTooLarge, part, "inflates from %d to %d bytes, more than %d:1",
			f.CompressedSize64, declared, c.limits.MaxRatio)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fault(err, part, "cannot be opened: %v", err)
	}
	return r, nil
}

// ratioFloor is the size in bytes under which a member may compress as well as
// it likes. A small flat surface reaches deflate's limit of 1032:1; text never
// comes near it.
func (c *container) ratioFloor(f *zip.File) uint64 {
	if f == c.main {
		return 1 << 20
	}
	return 16 << 20
}

// readAll returns a small member whole.
func (c *container) readAll(f *zip.File, part string, max int64) ([]byte, error) {
	r, err := c.open(f, part, -1, max)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// A member that lies about its length stops here at what it declared.
	b, err := io.ReadAll(io.LimitReader(r, int64(f.UncompressedSize64)+1))
	if err != nil {
		return nil, fault(err, part, "cannot be read: %v", err)
	}
	if uint64(len(b)) != f.UncompressedSize64 {
		return nil, fault(nil, part, "inflates to more than the %d bytes it declares", f.UncompressedSize64)
	}
	return b, nil
}

// linked finds the member that a link of main.xml names.
func (c *container) linked(element, link string) (*zip.File, error) {
	name := strings.ReplaceAll(link, `\`, "/")
	if !localPath(name) {
		return nil, fault(nil, element, "link %q points outside of the container", link)
	}
	if f := c.files[strings.ToLower(path.Clean(name))]; f != nil {
		return f, nil
	}
	return nil, fault(nil, element, "link %q names nothing in the container", link)
}
