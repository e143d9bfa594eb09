package x3p

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {3, 2}, {1, 50}, {257, 129}} {
		s := surface(size[0], size[1])
		s.Z[0] = math.Float64frombits(0x7ff00000000007a2) // a NaN with R's payload
		s.Z[len(s.Z)-1] = math.Inf(-1)
		s.Z[len(s.Z)/2] = -0.1e-6 / 3
		b := written(t, s)
		if !bytes.Equal(b, written(t, s)) {
			t.Errorf("%v: two writings differ", size)
		}
		got, err := Decode(b, Options{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		sameScan(t, got, s)
		if got.Warnings != nil {
			t.Errorf("%v: warnings %q", size, got.Warnings)
		}
	}
}

func TestWrittenOrder(t *testing.T) {
	mainXML := func(s *Scan) []byte {
		b := written(t, s)
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		r, err := z.Open("main.xml")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	order := func(s *Scan) (paths []string) {
		text := mainXML(s)
		if _, err := walk(text, 8, func(path, _ []byte) error {
			paths = append(paths, string(path))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return paths
	}
	// In the order of the schema; a folder stands after its last element.
	const axes = `
Record1/Revision
Record1/FeatureType
Record1/Axes/CX/AxisType
Record1/Axes/CX/DataType
Record1/Axes/CX/Increment
Record1/Axes/CX/Offset
Record1/Axes/CX
Record1/Axes/CY/AxisType
Record1/Axes/CY/DataType
Record1/Axes/CY/Increment
Record1/Axes/CY/Offset
Record1/Axes/CY
Record1/Axes/CZ/AxisType
Record1/Axes/CZ/DataType
Record1/Axes/CZ/Increment
Record1/Axes/CZ/Offset
Record1/Axes/CZ
Record1/Axes
Record1`
	const meta = `
Record2/Date
Record2/Creator
Record2/Instrument/Manufacturer
Record2/Instrument/Model
Record2/Instrument/Serial
Record2/Instrument/Version
Record2/Instrument
Record2/CalibrationDate
Record2/ProbingSystem/Type
Record2/ProbingSystem/Identification
Record2/ProbingSystem
Record2/Comment
Record2`
	const data = `
Record3/MatrixDimension/SizeX
Record3/MatrixDimension/SizeY
Record3/MatrixDimension/SizeZ
Record3/MatrixDimension
Record3/DataLink/PointDataLink
Record3/DataLink/MD5ChecksumPointData
Record3/DataLink
Record3
Record4/ChecksumFile
Record4`
	s := surface(3, 2)
	if got, want := order(s), strings.Fields(axes+meta+data); !slices.Equal(got, want) {
		t.Errorf("with meta: %q, want %q", got, want)
	}
	s.Meta = Meta{}
	if got, want := order(s), strings.Fields(axes+data); !slices.Equal(got, want) {
		t.Errorf("without meta: %q, want %q", got, want)
	}
	if text := mainXML(s); !bytes.Contains(text, []byte(`<p:ISO5436_2 xmlns:p="http://www.opengps.eu/2008/ISO5436_2"`)) {
		t.Errorf("the root lacks its prefix or namespace: %s", text)
	}
}

func TestUnwritable(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Scan)
		want  string
	}{
		{"no points", func(s *Scan) { s.SizeX, s.Z = 0, nil }, "0 × 2 points"},
		{"too few heights", func(s *Scan) { s.Z = s.Z[1:] }, "but 5 heights"},
		{"overflow", func(s *Scan) { s.SizeX, s.SizeY = math.MaxInt, 2 }, "but 6 heights"},
		{"no spacing", func(s *Scan) { s.IncX = 0 }, "not above zero"},
		{"spacing NaN", func(s *Scan) { s.IncY = math.NaN() }, "not above zero"},
		{"date", func(s *Scan) { s.Meta.Date = "N/A" }, `date "N/A"`},
		{"calibration date", func(s *Scan) { s.Meta.CalibrationDate = "" }, "calibration date"},
		{"probing", func(s *Scan) { s.Meta.ProbingType = "optical" }, `probing type "optical"`},
	} {
		s := surface(3, 2)
		c.spoil(s)
		if err := Write(io.Discard, s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// failingWriter accepts a number of bytes.
type failingWriter int

var errFull = errors.New("disk full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if *w -= failingWriter(len(p)); *w < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteError(t *testing.T) {
	s := surface(100, 100)
	whole := len(written(t, s))
	for _, room := range []int{0, whole / 2, whole - 1} {
		w := failingWriter(room)
		if err := Write(&w, s); !errors.Is(err, errFull) {
			t.Errorf("room for %d of %d bytes: error %v", room, whole, err)
		}
	}
}
