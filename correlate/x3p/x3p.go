// Package x3p reads and writes surface topographies in the X3P container
// (ISO 25178-72, formerly ISO 5436-2).
//
// It owns the file format and the traps of files seen in laboratories; it
// refuses to know what a surface shows, and it never rescales one: a file whose
// numbers look like micrometres where the format says metres is returned as it
// stands, with a warning, and [Scan.CheckUnits] says what looks wrong.
//
// The bytes are taken to be hostile. Every size that a file declares is checked
// against [Limits] and against the bytes that are really there before memory is
// set aside for it.
package x3p

import (
	"errors"
	"fmt"
	"math"
)

// Scan is a height map on a regular grid.
//
// The format stores X fastest, so point (x, y) is Z[y*SizeX+x]. Tools that index
// a matrix as [x, y] show the same file transposed.
type Scan struct {
	SizeX, SizeY int       // columns, rows
	IncX, IncY   float64   // lateral spacing, metres
	Z            []float64 // heights, metres, SizeX*SizeY of them; NaN where missing
	Meta         Meta
	Warnings     []string // what looked wrong in the file and was tolerated
}

// Meta is Record2 of the file as it stands there. Dates are text, because real
// files hold "N/A" where the schema wants a date and time.
type Meta struct {
	Date            string // of the measurement; xsd:dateTime in a conforming file
	Creator         string
	Manufacturer    string // of the instrument, as are the next three
	Model           string
	Serial          string
	Version         string
	CalibrationDate string // xsd:dateTime in a conforming file
	ProbingType     string // Contacting, NonContacting or Software in a conforming file
	ProbingID       string // lens or tip
	Comment         string
}

// At returns the height at column x and row y in metres, NaN where missing.
func (s *Scan) At(x, y int) float64 { return s.Z[y*s.SizeX+x] }

// Missing counts the points without a height.
func (s *Scan) Missing() int {
	n := 0
	for _, z := range s.Z {
		if math.IsNaN(z) {
			n++
		}
	}
	return n
}

// Options say how a file is read. The zero value reads a file from a laboratory
// under [DefaultLimits].
type Options struct {
	Limits Limits
	// Strict is for files from a peer: a checksum that does not match is an
	// error instead of a warning. A checksum that is absent stays a warning.
	Strict bool
}

// Limits bound what a file may ask of its reader. A zero field stands for its
// value in [DefaultLimits].
type Limits struct {
	MaxFile    int64 // bytes of the container
	MaxPoints  int   // SizeX*SizeY; eight bytes of memory each
	MaxXML     int64 // bytes of main.xml, held in memory while it is parsed
	MaxEntries int   // files and folders in the container
	MaxDepth   int   // nesting of elements in main.xml
	MaxRatio   int64 // bytes per compressed byte, of members above some size
}

// DefaultLimits admit any scan of a cartridge case or bullet at today's
// resolutions (a whole primer at 1 µm has 25 million points).
func DefaultLimits() Limits {
	return Limits{
		MaxFile:    256 << 20,
		MaxPoints:  32 << 20,
		MaxXML:     16 << 20,
		MaxEntries: 128,
		MaxDepth:   16,
		MaxRatio:   200,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.MaxFile <= 0 {
		l.MaxFile = d.MaxFile
	}
	if l.MaxPoints <= 0 {
		l.MaxPoints = d.MaxPoints
	}
	if l.MaxXML <= 0 {
		l.MaxXML = d.MaxXML
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = d.MaxEntries
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = d.MaxDepth
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = d.MaxRatio
	}
	return l
}

// Errors on which a caller may decide; each arrives wrapped in a [FormatError]
// except ErrUnits, which only [Scan.CheckUnits] returns.
var (
	// ErrNotX3P: the bytes are not an X3P container at all.
	ErrNotX3P = errors.New("not an X3P file")
	// ErrTooLarge: the file asks for more than the limits allow.
	ErrTooLarge = errors.New("larger than the limit")
	// ErrNotSurface: an X3P file, but a profile, a point cloud or a stack of
	// layers; comparison needs one areal matrix (SUR).
	ErrNotSurface = errors.New("not an areal surface")
	// ErrChecksum: the content does not match its MD5 (strict reading only).
	ErrChecksum = errors.New("checksum does not match")
	// ErrUnits: spacing or heights are implausible for a surface in metres.
	ErrUnits = errors.New("implausible units")
)

// FormatError says where a file is wrong and how.
type FormatError struct {
	Part   string // "main.xml: Record3/MatrixDimension/SizeX", "bindata/data.bin", "container"
	Reason string
	Err    error // a sentinel of this package or the cause; may be nil
}

func (e *FormatError) Error() string { return "x3p: " + e.Part + ": " + e.Reason }

func (e *FormatError) Unwrap() error { return e.Err }

func fault(sentinel error, part, format string, args ...any) error {
	return &FormatError{Part: part, Reason: fmt.Sprintf(format, args...), Err: sentinel}
}
