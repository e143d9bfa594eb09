package x3p

import (
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

var nan = math.NaN()

func little(v ...any) []byte {
	var b []byte
	for _, x := range v {
		b, _ = binary.Append(b, binary.LittleEndian, x)
	}
	return b
}

func TestTolerated(t *testing.T) {
	plain := []float64{0, 1e-6, 2e-6, 3e-6, 4e-6, 5e-6}
	signalling := math.Float64frombits(0x7ff00000000007a2)
	valid := func(bits byte) map[string][]byte { return map[string][]byte{"bindata/valid.bin": {bits}} }
	xz := little(0., 0., 1e-6, 1e-6, 2e-6, 2e-6, 0., 3e-6, 1e-6, 4e-6, 2e-6, 5e-6)
	for _, c := range []struct {
		name     string
		file     file
		z        []float64
		warnings []string
	}{
		{"plain", file{}, plain, nil},
		{"byte order mark", file{prefixXML: []byte("\xef\xbb\xbf")}, plain, nil},
		{"root without prefix or namespace", file{edit: map[string]string{"p:ISO5436_2": "ISO5436_2", ` xmlns:p="http://www.opengps.eu/2008/ISO5436_2"`: ""}}, plain, nil},
		{"other root", file{edit: map[string]string{"p:ISO5436_2": "p:ISO5436"}}, plain, []string{`root element is "ISO5436"`}},
		{"nested folder beside Mac litter", file{folder: "my scan/", extra: map[string][]byte{"__MACOSX/my scan/._main.xml": {1}, "my scan/bindata/._data.bin": {2}}}, plain, []string{`nested in folder "my scan"`}},
		{"backslashes", file{rename: map[string]string{"bindata/data.bin": `bindata\data.bin`}}, plain, []string{"backslashes"}},
		{"other case", file{rename: map[string]string{"bindata/data.bin": `BinData/Data.BIN`, "main.xml": "Main.XML"}}, plain, nil},
		{"bare checksum", file{sum: fmt.Sprintf("%X", md5.Sum(file{}.xml()))}, plain, nil},
		{"wrong checksum of main.xml", file{sum: "0123 *main.xml"}, plain, []string{`md5checksum.hex says "0123"`}},
		{"empty checksum file", file{sum: "\n"}, plain, []string{"md5checksum.hex: no checksum"}},
		{"no checksum file", file{noSum: true}, plain, []string{"md5checksum.hex is missing"}},
		{"Latin-1 in a UTF-8 document", file{edit: map[string]string{"<Record3>": "<Record2><Comment>\xb5surf</Comment></Record2><Record3>"}}, plain, []string{"Windows-1252"}},
		{"vendor elements", file{edit: map[string]string{"</Record3>": "<Mask><Background>#cd7f32</Background></Mask></Record3><Vendor/>"}}, plain, nil},
		{"no SizeZ", file{edit: map[string]string{"<SizeZ>1</SizeZ>": ""}}, plain, []string{"SizeZ: is missing"}},
		{"incremental heights", file{axes: cx + cy + strings.Replace(cz, ">A<", ">I<", 1)}, plain, []string{"read as A"}},
		{"CZ increment on floats", file{axes: cx + cy + strings.Replace(cz, "</DataType>", "</DataType><Increment>1e-06</Increment>", 1)}, plain, []string{"1e-06 is not applied"}},
		{"rotated axes", file{axes: cx + cy + cz + "<Rotation><r11>0</r11><r22>1.0</r22></Rotation>"}, plain, []string{"r11"}},
		{"missing in every spelling", file{data: little(nan, math.Inf(1), math.Inf(-1), signalling, 0.0, 1e-6)}, []float64{nan, nan, nan, nan, 0, 1e-6}, []string{"2 infinite heights"}},
		{"float32", file{axes: cx + cy + strings.Replace(cz, ">D<", ">F<", 1), data: little(float32(1), float32(math.Inf(1)), float32(nan), float32(0), float32(2), float32(3))},
			[]float64{1, nan, nan, 0, 2, 3}, []string{"1 infinite heights", "heights span 3 m"}},
		{"int16 with increment and offset", file{axes: cx + cy + "<CZ><AxisType>A</AxisType><DataType>I</DataType><Increment>1e-6</Increment><Offset>-1e-6</Offset></CZ>", data: little(int16(0), int16(1), int16(-1), int16(2), int16(3), int16(4))},
			[]float64{-1e-6, 0, -2e-6, 1e-6, 2e-6, 3e-6}, nil},
		{"int32", file{axes: cx + cy + "<CZ><AxisType>A</AxisType><DataType>L</DataType><Increment>1e-9</Increment></CZ>", data: little(int32(0), int32(1e6), int32(-1e6), int32(0), int32(0), int32(0))},
			[]float64{0, 1e-3, -1e-3, 0, 0, 0}, nil},
		{"valid points, lowest bit first", file{record3: linked(sixHeights(), []byte{0b00111101}), extra: valid(0b00111101)}, []float64{0, nan, 2e-6, 3e-6, 4e-6, 5e-6}, nil},
		{"inline list", file{record3: matrix + "<DataList><Datum>0</Datum><Datum> 1.0e-6 </Datum><Datum/><Datum>+3E-006</Datum><Datum>NaN</Datum><Datum><!-- five -->5e-6</Datum></DataList>"},
			[]float64{0, 1e-6, nan, 3e-6, nan, 5e-6}, nil},
		{"inline list with absolute y", file{axes: cx + "<CY><AxisType>A</AxisType><DataType>I</DataType><Increment>1.5e-6</Increment><Offset>7e-6</Offset></CY>" + cz,
			record3: matrix + "<DataList><Datum>1;0</Datum><Datum>1;1e-6</Datum><Datum/><Datum>2;3e-6</Datum><Datum>2;4e-6</Datum><Datum>2;5e-6</Datum></DataList>"},
			[]float64{0, 1e-6, nan, 3e-6, 4e-6, 5e-6}, nil},
		{"binary with absolute x and y", file{axes: "<CX><AxisType>A</AxisType><DataType>D</DataType></CX><CY><AxisType>A</AxisType><DataType>D</DataType></CY>" + cz,
			data: little(0., 0., 0., 1e-6, 0., 1e-6, 2e-6, 0., math.Inf(1), 0., 1.5e-6, 3e-6, 1e-6, 1.5e-6, 4e-6, 2e-6, 1.5e-6, 5e-6)},
			[]float64{0, 1e-6, nan, 3e-6, 4e-6, 5e-6}, []string{"1 infinite heights"}},
		{"absolute x with valid points", file{axes: "<CX><AxisType>A</AxisType><DataType>D</DataType></CX>" + cy + cz, data: xz, record3: linked(xz, []byte{1}), extra: valid(1)},
			[]float64{0, nan, nan, nan, nan, nan}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Decode(c.file.bytes(t), Options{})
			if err != nil {
				t.Fatal(err)
			}
			checkWarnings(t, s.Warnings, c.warnings)
			if s.SizeX != 3 || s.SizeY != 2 || math.Abs(s.IncX-1e-6) > 1e-20 || math.Abs(s.IncY-1.5e-6) > 1e-20 {
				t.Errorf("%d × %d at %g, %g m", s.SizeX, s.SizeY, s.IncX, s.IncY)
			}
			same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-15 }
			if !slices.EqualFunc(s.Z, c.z, same) {
				t.Errorf("heights %g, want %g", s.Z, c.z)
			}
			if s.At(2, 1) != s.Z[5] && !math.IsNaN(s.Z[5]) {
				t.Errorf("At(2, 1) is %g, want %g", s.At(2, 1), s.Z[5])
			}
		})
	}
}

func TestStrictRejectsChecksumMismatchAlone(t *testing.T) {
	other := little(0., 1., 2., 3., 4., 5.)
	for _, c := range []struct {
		name string
		file file
		part string // of the FormatError; empty: accepted
	}{
		{"right", file{}, ""},
		{"absent", file{noSum: true}, ""},
		{"main.xml", file{sum: "00 *main.xml"}, "main.xml"},
		{"points", file{data: other, record3: linked(sixHeights(), nil)}, "bindata/data.bin"},
	} {
		_, err := Decode(c.file.bytes(t), Options{Strict: true})
		var fe *FormatError
		switch {
		case c.part == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.part != "" && (!errors.Is(err, ErrChecksum) || !errors.As(err, &fe) || fe.Part != c.part):
			t.Errorf("%s: error %v, want a checksum error about %s", c.name, err, c.part)
		}
	}
}

func TestCheckUnits(t *testing.T) {
	for _, c := range []struct {
		name  string
		scale func(*Scan)
		want  []string
	}{
		{"metres", func(*Scan) {}, nil},
		{"at the limits", func(s *Scan) { s.IncX, s.IncY = 0.1e-6, 50e-6; s.Z[0], s.Z[1] = 0, 9.9e-3 }, nil},
		{"spacing in micrometres", func(s *Scan) { s.IncX *= 1e6 }, []string{"x spacing is 6.25 m", "in micrometres"}},
		{"spacing in millimetres", func(s *Scan) { s.IncY *= 1e3 }, []string{"y spacing is 0.003125 m", "in millimetres"}},
		{"spacing of nothing known", func(s *Scan) { s.IncX = 1e-12 }, []string{"x spacing is 1e-12 m"}},
		{"heights in micrometres", func(s *Scan) { s.Z[0], s.Z[1] = 0, 120 }, []string{"heights span 120 m", "in micrometres"}},
		{"heights at 10 mm", func(s *Scan) { s.Z[0], s.Z[1] = 0, 10e-3 }, []string{"heights span 0.01 m"}},
		{"nothing valid", func(s *Scan) {
			for i := range s.Z {
				s.Z[i] = nan
			}
		}, nil},
	} {
		s := surface(4, 4)
		c.scale(s)
		err := s.CheckUnits()
		if (err != nil) != (c.want != nil) || err != nil && !errors.Is(err, ErrUnits) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, w := range c.want {
			if err != nil && !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", c.name, err, w)
			}
		}
	}
}
