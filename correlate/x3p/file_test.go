package x3p

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
)

// file is a container written by hand, for what the writer never writes. The
// zero value is a valid 3 × 2 surface of float64 heights 0 to 5 µm.
type file struct {
	axes      string            // Record1/Axes
	edit      map[string]string // replacements in main.xml
	record3   string            // MatrixDimension and the rest
	data      []byte            // bindata/data.bin, where record3 is empty
	folder    string            // in front of every name
	noSum     bool
	sum       string // content of md5checksum.hex
	extra     map[string][]byte
	rename    map[string]string
	prefixXML []byte
}

const cx = "<CX><AxisType>I</AxisType><DataType>D</DataType><Increment>1e-6</Increment><Offset>0</Offset></CX>"
const cy = "<CY><AxisType>I</AxisType><Increment>1.5e-006</Increment><Offset/></CY>"
const cz = "<CZ><AxisType>A</AxisType><DataType>D</DataType></CZ>"
const matrix = "<MatrixDimension><SizeX>3</SizeX><SizeY>2</SizeY><SizeZ>1</SizeZ></MatrixDimension>"

func sixHeights() []byte {
	var b []byte
	for i := range 6 {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(float64(i)*1e-6))
	}
	return b
}

// linked is a Record3 that names data.bin and, if there is one, valid.bin, with
// their checksums in the upper and lower case that both occur.
func linked(data, valid []byte) string {
	link := fmt.Sprintf("<PointDataLink>bindata/data.bin</PointDataLink><MD5ChecksumPointData>%X</MD5ChecksumPointData>", md5.Sum(data))
	if valid != nil {
		link += fmt.Sprintf("<ValidPointsLink>bindata/valid.bin</ValidPointsLink><MD5ChecksumValidPoints>%x</MD5ChecksumValidPoints>", md5.Sum(valid))
	}
	return matrix + "<DataLink>" + link + "</DataLink>"
}

func (f file) xml() []byte {
	axes, data, record3 := f.axes, f.data, f.record3
	if axes == "" {
		axes = cx + cy + cz
	}
	if data == nil {
		data = sixHeights()
	}
	if record3 == "" {
		record3 = linked(data, nil)
	}
	doc := `<?xml version="1.0" encoding="UTF-8"?>
<p:ISO5436_2 xmlns:p="http://www.opengps.eu/2008/ISO5436_2"><Record1><Revision>ISO5436 - 2000</Revision><FeatureType>SUR</FeatureType>` +
		"<Axes>" + axes + "</Axes></Record1><Record3>" + record3 + "</Record3><Record4><ChecksumFile>md5checksum.hex</ChecksumFile></Record4></p:ISO5436_2>"
	for from, to := range f.edit {
		if !strings.Contains(doc, from) {
			panic("the document has no " + from)
		}
		doc = strings.ReplaceAll(doc, from, to)
	}
	return append(bytes.Clone(f.prefixXML), doc...)
}

func (f file) bytes(t testing.TB) []byte {
	t.Helper()
	xml, data, sum := f.xml(), f.data, f.sum
	if data == nil {
		data = sixHeights()
	}
	if sum == "" {
		sum = fmt.Sprintf("%x *main.xml\r\n", md5.Sum(xml))
	}
	members := []struct {
		name    string
		content []byte
	}{{"main.xml", xml}, {"bindata/data.bin", data}, {"md5checksum.hex", []byte(sum)}}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name string, content []byte) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range members {
		if m.name == "md5checksum.hex" && f.noSum {
			continue
		}
		name := f.folder + m.name
		if to, ok := f.rename[m.name]; ok {
			name = to
		}
		put(name, m.content)
	}
	for name, content := range f.extra {
		put(name, content)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
