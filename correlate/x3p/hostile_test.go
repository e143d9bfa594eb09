package x3p

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"
)

func TestRefused(t *testing.T) {
	list := func(datums string) file { return file{record3: matrix + "<DataList>" + datums + "</DataList>"} }
	edit := func(from, to string) file { return file{edit: map[string]string{from: to}} }
	const absolute = "<CX><AxisType>A</AxisType><DataType>D</DataType></CX>"
	for _, c := range []struct {
		name     string
		file     file
		part     string
		reason   string // a part of it
		sentinel error
	}{
		{"profile", edit(">SUR<", ">PRF<"), "main.xml: Record1/FeatureType", "profile", ErrNotSurface},
		{"point cloud", edit(">SUR<", ">PCL<"), "main.xml: Record1/FeatureType", "point cloud", ErrNotSurface},
		{"unknown feature", edit(">SUR<", ">VOL<"), "main.xml: Record1/FeatureType", `"VOL"`, ErrNotSurface},
		{"no feature", edit("<FeatureType>SUR</FeatureType>", ""), "main.xml: Record1/FeatureType", "missing", ErrNotX3P},
		{"surface as list", file{record3: "<ListDimension>6</ListDimension><DataList/>"}, "main.xml: Record3/ListDimension", "unordered list", ErrNotSurface},
		{"layers", edit("<SizeZ>1<", "<SizeZ>2<"), "main.xml: Record3/MatrixDimension/SizeZ", "2 layers", ErrNotSurface},
		{"zero size", edit("<SizeX>3<", "<SizeX>0<"), "main.xml: Record3/MatrixDimension/SizeX", `"0"`, nil},
		{"negative size", edit("<SizeY>2<", "<SizeY>-2<"), "main.xml: Record3/MatrixDimension/SizeY", `"-2"`, nil},
		{"no size", edit("<SizeX>3</SizeX>", ""), "main.xml: Record3/MatrixDimension/SizeX", `""`, nil},
		{"overflowing size", edit("<SizeX>3</SizeX><SizeY>2<", "<SizeX>4294967296</SizeX><SizeY>4294967296<"), "main.xml: Record3/MatrixDimension", "the limit is", ErrTooLarge},
		{"too many points", edit("<SizeX>3</SizeX><SizeY>2<", "<SizeX>8192</SizeX><SizeY>8192<"), "main.xml: Record3/MatrixDimension", "8192 × 8192", ErrTooLarge},
		{"matrix larger than the data", edit("<SizeX>3<", "<SizeX>4<"), "bindata/data.bin", "is 48 bytes long, the header calls for 64", nil},
		{"matrix smaller than the data", edit("<SizeX>3<", "<SizeX>2<"), "bindata/data.bin", "is 48 bytes long, the header calls for 32", nil},
		{"type narrower than the data", edit("<CZ><AxisType>A</AxisType><DataType>D<", "<CZ><AxisType>A</AxisType><DataType>F<"), "bindata/data.bin", "calls for 24", nil},
		{"unknown type", edit("<CZ><AxisType>A</AxisType><DataType>D<", "<CZ><AxisType>A</AxisType><DataType>Q<"), "main.xml: Record1/Axes/CZ/DataType", `"Q"`, nil},
		{"no type", edit("<CZ><AxisType>A</AxisType><DataType>D</DataType>", "<CZ><AxisType>A</AxisType>"), "main.xml: Record1/Axes/CZ/DataType", `""`, nil},
		{"unknown axis type", edit("<CX><AxisType>I<", "<CX><AxisType>R<"), "main.xml: Record1/Axes/CX/AxisType", `"R"`, nil},
		{"no increment", edit("<Increment>1e-6</Increment>", "<Increment/>"), "main.xml: Record1/Axes/CX/Increment", "missing", nil},
		{"increment of zero", edit(">1e-6<", ">0<"), "main.xml: Record1/Axes/CX/Increment", "above zero", nil},
		{"negative increment", edit(">1.5e-006<", ">-1<"), "main.xml: Record1/Axes/CY/Increment", "above zero", nil},
		{"increment NaN", edit(">1e-6<", ">NaN<"), "main.xml: Record1/Axes/CX/Increment", `"NaN"`, nil},
		{"decimal comma", edit(">1e-6<", ">1,5e-6<"), "main.xml: Record1/Axes/CX/Increment", `"1,5e-6"`, nil},
		{"increment beyond float64", edit(">1e-6<", ">1e999<"), "main.xml: Record1/Axes/CX/Increment", `"1e999"`, nil},
		{"said twice", edit("<SizeX>3</SizeX>", "<SizeX>3</SizeX><SizeX>4</SizeX>"), "main.xml: Record3/MatrixDimension/SizeX", "twice", nil},
		{"absolute axis without coordinates", file{axes: absolute + cy + cz}, "main.xml: Record1/Axes", "holds heights alone", nil},
		{"irregular grid", file{axes: absolute + cy + cz, data: little(0., 0., 1e-6, 0., 3e-6, 0., 0., 0., 1e-6, 0., 3e-6, 0.)}, "main.xml: Record1/Axes/CX", "regular", ErrNotSurface},
		{"falling grid", file{axes: absolute + cy + cz, data: little(2e-6, 0., 1e-6, 0., 0., 0., 2e-6, 0., 1e-6, 0., 0., 0.)}, "main.xml: Record1/Axes/CX", "regular", ErrNotSurface},
		{"link to the network", edit(">bindata/data.bin<", ">http://x/data.bin<"), "main.xml: Record3/DataLink/PointDataLink", "outside of the container", nil},
		{"link upwards", edit(">bindata/data.bin<", ">bindata/../../data.bin<"), "main.xml: Record3/DataLink/PointDataLink", "outside of the container", nil},
		{"absolute link", edit(">bindata/data.bin<", ">/etc/passwd<"), "main.xml: Record3/DataLink/PointDataLink", "outside of the container", nil},
		{"link to nothing", edit(">bindata/data.bin<", ">data.bin<"), "main.xml: Record3/DataLink/PointDataLink", "names nothing", nil},
		{"valid points of another length", file{record3: linked(sixHeights(), []byte{1, 2}), extra: map[string][]byte{"bindata/valid.bin": {1, 2}}}, "bindata/valid.bin", "is 2 bytes long, the header calls for 1", nil},
		{"valid points absent", file{record3: linked(sixHeights(), []byte{1})}, "main.xml: Record3/DataLink/ValidPointsLink", "names nothing", nil},
		{"entry upwards", file{extra: map[string][]byte{"../evil": nil}}, "container", `"../evil" points outside`, nil},
		{"absolute entry", file{extra: map[string][]byte{"/evil": nil}}, "container", "points outside", nil},
		{"entry on a drive", file{extra: map[string][]byte{`C:\evil`: nil}}, "container", "points outside", nil},
		{"same name twice", file{extra: map[string][]byte{"MAIN.xml": nil}}, "container", "two entries are named", nil},
		{"two surfaces", file{folder: "a/", extra: map[string][]byte{"b/main.xml": nil}}, "container", "2 main.xml", nil},
		{"no main.xml", file{rename: map[string]string{"main.xml": "other.xml"}}, "container", "without main.xml", ErrNotX3P},
		{"both link and list", file{record3: linked(sixHeights(), nil) + "<DataList/>"}, "main.xml: Record3", "both", nil},
		{"neither link nor list", file{record3: matrix}, "main.xml: Record3", "neither", nil},
		{"list too short", list(strings.Repeat("<Datum>1</Datum>", 5)), "main.xml: Record3/DataList", "5 points, the matrix of 3 × 2 calls for 6", nil},
		{"list too long", list(strings.Repeat("<Datum/>", 7)), "main.xml: Record3/DataList", "7 points", nil},
		{"list of words", list(strings.Repeat("<Datum>1</Datum>", 5) + "<Datum>one</Datum>"), "main.xml: Record3/DataList/Datum", `point 5: "one"`, nil},
		{"list of pairs", list(strings.Repeat("<Datum>1;2</Datum>", 6)), "main.xml: Record3/DataList/Datum", "2 coordinates, the axes call for 1", nil},
		{"document type", edit("<p:ISO5436_2 ", "<!DOCTYPE x [<!ENTITY a \"b\">]><p:ISO5436_2 "), "main.xml", "document type", nil},
		{"entity", edit(">3<", ">&a;<"), "main.xml", "entity", nil},
		{"two roots", edit("</p:ISO5436_2>", "</p:ISO5436_2><a/>"), "main.xml", "more than one root", nil},
		{"cut short", edit("</Record4></p:ISO5436_2>", ""), "main.xml", "unexpected EOF", nil},
		{"no element", file{edit: map[string]string{}, rename: map[string]string{"main.xml": "x"}, extra: map[string][]byte{"main.xml": []byte("<!-- -->")}}, "main.xml", "no element", ErrNotX3P},
		{"UTF-16", file{prefixXML: []byte("\xff\xfe")}, "main.xml", "UTF-16", nil},
		{"other encoding", edit("UTF-8", "EBCDIC"), "main.xml", "EBCDIC", nil},
		{"deep", edit("</Record4>", "</Record4>"+strings.Repeat("<a>", 20)+strings.Repeat("</a>", 20)), "main.xml: " + strings.TrimSuffix(strings.Repeat("a/", 15), "/"), "deeper than 16", ErrTooLarge},
		{"a million attributes", edit("</Record4>", "</Record4><a "+strings.Repeat(`a="" `, 60_000)+"/>"), "main.xml: ", "tag, comment or text", ErrTooLarge},
		{"many elements", edit("</Record4>", "</Record4>"+strings.Repeat("<a/>", maxElements)), "main.xml", "more than 10000 elements", ErrTooLarge},
		{"long text", edit(">3<", ">"+strings.Repeat("3", maxLeaf+1)+"<"), "main.xml: Record3/MatrixDimension/SizeX", "text longer", ErrTooLarge},
		{"long checksum file", file{sum: strings.Repeat("0", 5000)}, "md5checksum.hex", "the limit is 4096", ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Decode(c.file.bytes(t), Options{})
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("error %v, want a FormatError", err)
			}
			if fe.Part != c.part || !strings.Contains(fe.Reason, c.reason) {
				t.Errorf("%q: %q; want %q: %q", fe.Part, fe.Reason, c.part, c.reason)
			}
			if c.sentinel != nil && !errors.Is(err, c.sentinel) {
				t.Errorf("error %v is not %v", err, c.sentinel)
			}
		})
	}
}

func TestRefusedContainers(t *testing.T) {
	good := file{}.bytes(t)
	manyEntries := file{extra: map[string][]byte{}}
	for i := range 200 {
		manyEntries.extra[fmt.Sprintf("bindata/%d", i)] = nil
	}
	longDirectory := file{extra: map[string][]byte{}}
	for i := range 10 {
		longDirectory.extra[fmt.Sprintf("bindata/%d%s", i, strings.Repeat("x", 60_000))] = nil
	}
	encrypted := bytes.Clone(good)
	encrypted[bytes.Index(encrypted, []byte("PK\x01\x02"))+8] |= 1 // flags of the first entry, main.xml
	cut := bytes.Clone(good)
	at := bytes.LastIndex(cut, []byte("bindata/data.bin")) // in the directory
	cut[at-46+24]++                                        // uncompressed size
	for _, c := range []struct {
		name     string
		b        []byte
		limits   Limits
		reason   string
		sentinel error
	}{
		{"empty", nil, Limits{}, "not a readable ZIP", ErrNotX3P},
		{"text", []byte("height,width\n1,2\n"), Limits{}, "not a readable ZIP", ErrNotX3P},
		{"truncated", good[:len(good)-30], Limits{}, "not a readable ZIP", ErrNotX3P},
		{"file limit", good, Limits{MaxFile: 100}, "the limit is 100", ErrTooLarge},
		{"point limit", good, Limits{MaxPoints: 5}, "the limit is 5", ErrTooLarge},
		{"XML limit", good, Limits{MaxXML: 50}, "the limit is 50", ErrTooLarge},
		{"entries", manyEntries.bytes(t), Limits{}, "entries, the limit is 128", ErrTooLarge},
		{"directory", longDirectory.bytes(t), Limits{}, "directory is longer", ErrTooLarge},
		{"encrypted", encrypted, Limits{}, "encrypted", nil},
		{"declared size", cut, Limits{}, "is 49 bytes long", nil},
		{"comment bomb", file{prefixXML: []byte(strings.Repeat("<!-- "+strings.Repeat(" ", 1000)+"-->", 4000))}.bytes(t), Limits{}, "more than 200:1", ErrTooLarge},
	} {
		_, err := Decode(c.b, Options{Limits: c.limits})
		var fe *FormatError
		if !errors.As(err, &fe) || !strings.Contains(fe.Reason, c.reason) || c.sentinel != nil && !errors.Is(err, c.sentinel) {
			t.Errorf("%s: error %v, want %q (%v)", c.name, err, c.reason, c.sentinel)
		}
	}
}

// A member that inflates to another length than its directory entry declares.
func lying(t *testing.T, real, declared int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f := file{edit: map[string]string{"<SizeX>3</SizeX><SizeY>2<": fmt.Sprintf("<SizeX>%d</SizeX><SizeY>1<", declared/8)}}
	w, err := z.Create("main.xml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(f.xml()); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, real)
	w, err = z.CreateRaw(&zip.FileHeader{
		Name: "bindata/data.bin", Method: zip.Store, CRC32: crc32.ChecksumIEEE(data),
		CompressedSize64: uint64(real), UncompressedSize64: uint64(declared),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLyingLengths(t *testing.T) {
	if _, err := Decode(lying(t, 48, 48), Options{}); err != nil {
		t.Errorf("the truth is refused: %v", err)
	}
	for _, real := range []int{40, 56, 4096} {
		var fe *FormatError
		if _, err := Decode(lying(t, real, 48), Options{}); !errors.As(err, &fe) || fe.Part != "bindata/data.bin" {
			t.Errorf("%d bytes declared as 48: %v", real, err)
		}
	}
}

// A few bytes that promise 200 MB must be refused before memory is set aside.
func TestNoMemoryForPromises(t *testing.T) {
	b := lying(t, 48, 25<<23)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decode(b, Options{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes allocated for a file of %d", used, len(b))
	}
}
