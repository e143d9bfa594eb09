package x3p

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"strings"
)

// Decode is [Read] for bytes in memory.
func Decode(b []byte, opt Options) (*Scan, error) {
	return Read(bytes.NewReader(b), int64(len(b)), opt)
}

// Read parses the X3P container in the first size bytes of r. It fails with a
// [FormatError]; what it could tolerate stands in Scan.Warnings, implausible
// units among it.
func Read(r io.ReaderAt, size int64, opt Options) (*Scan, error) {
	d := &reader{strict: opt.Strict, limits: opt.Limits.orDefault(), scan: &Scan{}}
	if err := d.read(r, size); err != nil {
		return nil, err
	}
	return d.scan, nil
}

// reader is one reading of one file.
type reader struct {
	strict bool
	limits Limits
	box    *container
	head   *header
	text   []byte // main.xml as UTF-8
	scan   *Scan
	kinds  []kind // of scan.Warnings
	sums   string // content of the checksum file
}

// kind says what a warning means to those who decide about a file.
type kind int

const (
	remark  kind = iota // the standard permits it
	departs             // from the standard
	suspect             // the standard permits it, a peer does not
	corrupt             // departs from the standard, and a peer does not accept it
)

type warner func(k kind, format string, args ...any)

func (d *reader) warn(k kind, format string, args ...any) {
	d.scan.Warnings = append(d.scan.Warnings, fmt.Sprintf(format, args...))
	d.kinds = append(d.kinds, k)
}

func (d *reader) read(r io.ReaderAt, size int64) (err error) {
	if d.box, err = openContainer(r, size, d.limits, d.warn); err != nil {
		return err
	}
	raw, err := d.box.readAll(d.box.main, "main.xml", d.limits.MaxXML)
	if err != nil {
		return err
	}
	var note string
	if d.text, note, err = toUTF8(raw); err != nil {
		return err
	}
	if note != "" {
		d.warn(departs, "%s", note)
	}
	if d.head, err = parseHeader(d.text, d.limits, d.warn); err != nil {
		return err
	}
	if err := d.checkMain(raw); err != nil {
		return err
	}
	if err := d.readPoints(); err != nil {
		return err
	}
	for _, m := range metaFields(&d.scan.Meta) {
		*m.text = d.head.leaves[m.path]
	}
	if err := d.scan.CheckUnits(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.warn(suspect, "%s", line)
		}
	}
	return nil
}

// checkMain compares main.xml with the checksum file beside it.
func (d *reader) checkMain(raw []byte) error {
	name := d.head.leaves[pathSumFile]
	if name == "" {
		name = "md5checksum.hex"
		d.warn(departs, "%s: is missing; taken for %q", inMain(pathSumFile), name)
	}
	f, err := d.box.linked(inMain(pathSumFile), name)
	if err != nil {
		d.warn(departs, "%s is missing: main.xml is not verified", name)
		return nil
	}
	b, err := d.box.readAll(f, name, 4<<10)
	if err != nil {
		return err
	}
	d.sums = string(b)
	want := "" // the line is "digest *main.xml" or a bare digest, ended in any way
	if fields := strings.Fields(string(b)); len(fields) > 0 {
		want = fields[0]
	}
	sum := md5.Sum(raw)
	return d.compare(name, "main.xml", want, sum[:])
}

// compare holds a checksum against the one the file states.
func (d *reader) compare(statedIn, content, want string, sum []byte) error {
	got := hex.EncodeToString(sum)
	switch {
	case want == "":
		d.warn(departs, "%s: no checksum: %s is not verified", statedIn, content)
	case strings.EqualFold(want, got):
	case d.strict:
		return fault(ErrChecksum, content, "has MD5 %s, but %s says %.40q", got, statedIn, want)
	default:
		d.warn(corrupt, "%s has MD5 %s, but %s says %.40q", content, got, statedIn, want)
	}
	return nil
}

func (d *reader) readPoints() error {
	h := d.head
	_, linked := h.leaves[pathPoints]
	switch {
	case linked && h.inline:
		return fault(nil, inMain("Record3"), "holds both DataLink and DataList")
	case !linked && !h.inline:
		return fault(nil, inMain("Record3"), "holds neither DataLink nor DataList")
	case h.inline && h.datums != h.points():
		return fault(nil, inMain("Record3/DataList"), "%d points, the matrix of %d × %d calls for %d",
			h.datums, h.sizeX, h.sizeY, h.points())
	}
	g := newGrid(h)
	var err error
	if h.inline {
		d.scan.Z = make([]float64, h.points())
		err = readInline(d.text, d.limits.MaxDepth, h, d.scan.Z, g)
	} else {
		err = d.readLinked(g)
	}
	if err != nil {
		return err
	}
	d.scan.SizeX, d.scan.SizeY = h.sizeX, h.sizeY
	d.scan.IncX, d.scan.IncY = h.x.inc, h.y.inc
	if h.x.absolute {
		if d.scan.IncX, err = g.spacing("X"); err != nil {
			return err
		}
	}
	if h.y.absolute {
		if d.scan.IncY, err = g.spacing("Y"); err != nil {
			return err
		}
	}
	return nil
}

// readLinked fills the heights from data.bin and, where there is one, valid.bin.
func (d *reader) readLinked(g *grid) error {
	h := d.head
	name := h.leaves[pathPoints]
	f, err := d.box.linked(inMain(pathPoints), name)
	if err != nil {
		return err
	}
	rec := h.record()
	if g != nil && f.UncompressedSize64 == uint64(h.points())*uint64(h.z.width()) {
		return fault(nil, inMain("Record1/Axes"), "CX or CY is absolute, but %s holds heights alone; mark them incremental (I) with their spacing", name)
	}
	err = d.member(f, name, int64(h.points())*int64(rec.width), pathPointsMD, func(r io.Reader) error {
		d.scan.Z = make([]float64, h.points())
		infinite, err := readBinary(r, rec, d.scan.Z, g)
		if infinite > 0 {
			d.warn(departs, "%s: %d infinite heights read as missing", name, infinite)
		}
		return err
	})
	if err != nil {
		return err
	}
	valid, ok := h.leaves[pathValid]
	if !ok || valid == "" {
		return nil
	}
	if f, err = d.box.linked(inMain(pathValid), valid); err != nil {
		return err
	}
	want := (int64(h.points()) + 7) / 8
	return d.member(f, valid, want, pathValidMD, func(r io.Reader) error {
		bits, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if int64(len(bits)) != want {
			return errTrailing
		}
		maskInvalid(bits, d.scan.Z)
		return nil
	})
}

// member reads one binary member of exactly want bytes and holds it against its
// checksum in main.xml.
func (d *reader) member(f *zip.File, name string, want int64, sumPath string, read func(io.Reader) error) error {
	r, err := d.box.open(f, name, want, math.MaxInt64)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := md5.New()
	if err := read(&hashingReader{r: io.LimitReader(r, want+1), sum: sum}); err != nil {
		return fault(err, name, "cannot be read: %v", err)
	}
	return d.compare(inMain(sumPath), name, d.head.leaves[sumPath], sum.Sum(nil))
}

type hashingReader struct {
	r   io.Reader
	sum hash.Hash
}

func (h *hashingReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.sum.Write(p[:n])
	return n, err
}
