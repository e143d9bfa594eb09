package x3p

import (
	"errors"
	"math"
	"testing"
)

// fuzzLimits keep a run of the fuzzer from spending its time on large inputs.
var fuzzLimits = Limits{MaxFile: 1 << 20, MaxPoints: 1 << 16, MaxXML: 64 << 10}

// checkDecoded holds what every outcome of Decode must keep.
func checkDecoded(t *testing.T, s *Scan, err error) {
	t.Helper()
	var fe *FormatError
	if err != nil {
		if !errors.As(err, &fe) || fe.Part == "" || fe.Reason == "" || s != nil {
			t.Fatalf("scan %v, error %#v", s, err)
		}
		return
	}
	if s.SizeX <= 0 || s.SizeY <= 0 || len(s.Z) != s.SizeX*s.SizeY || len(s.Z) > fuzzLimits.MaxPoints {
		t.Fatalf("%d × %d points, %d heights", s.SizeX, s.SizeY, len(s.Z))
	}
	if !(s.IncX > 0 && s.IncY > 0) || math.IsInf(s.IncX+s.IncY, 0) {
		t.Fatalf("spacing %g, %g", s.IncX, s.IncY)
	}
	for i, z := range s.Z {
		if math.IsInf(z, 0) {
			t.Fatalf("height %d is infinite", i)
		}
	}
	s.Meta = Meta{} // may be unwritable
	again, err := Decode(written(t, s), Options{Strict: true, Limits: fuzzLimits})
	if err != nil {
		t.Fatalf("reading what was written: %v", err)
	}
	sameScan(t, again, s)
}

// FuzzDecode mutates whole containers.
func FuzzDecode(f *testing.F) {
	f.Add(written(f, surface(3, 2)))
	f.Add(written(f, &Scan{SizeX: 1, SizeY: 1, IncX: 1e-6, IncY: 1e-6, Z: []float64{math.NaN()}}))
	f.Add(file{}.bytes(f))
	f.Add(file{folder: "x/"}.bytes(f))
	f.Add(file{record3: matrix + "<DataList><Datum>0</Datum><Datum/><Datum>1</Datum><Datum>2</Datum><Datum>3</Datum><Datum>4</Datum></DataList>"}.bytes(f))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, strict := range []bool{false, true} {
			s, err := Decode(b, Options{Strict: strict, Limits: fuzzLimits})
			checkDecoded(t, s, err)
		}
	})
}

// FuzzContent mutates what is in the container, past the ZIP's own checksums.
func FuzzContent(f *testing.F) {
	f.Add(file{}.xml(), sixHeights(), []byte{0xff})
	f.Add(file{record3: linked(sixHeights(), []byte{5})}.xml(), sixHeights(), []byte{5})
	f.Add(file{record3: matrix + "<DataList><Datum>0;1</Datum><Datum/></DataList>"}.xml(), []byte{}, []byte{})
	f.Add(file{axes: "<CX><AxisType>A</AxisType><DataType>I</DataType></CX><CY><AxisType>A</AxisType><DataType>L</DataType></CY>" + cz}.xml(),
		little(int16(0), int32(0), 0., int16(1), int32(0), 1., int16(2), int32(0), 2., int16(0), int32(1), 3., int16(1), int32(1), 4., int16(2), int32(1), 5.), []byte{})
	f.Fuzz(func(t *testing.T, xml, data, valid []byte) {
		b := file{
			rename: map[string]string{"main.xml": "unused"}, data: append([]byte{}, data...),
			extra: map[string][]byte{"main.xml": xml, "bindata/valid.bin": valid},
		}.bytes(t)
		s, err := Decode(b, Options{Limits: fuzzLimits})
		checkDecoded(t, s, err)
	})
}
