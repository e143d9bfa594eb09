package x3p

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

const namespace = "http://www.opengps.eu/2008/ISO5436_2"

// zipDate is the first day a ZIP can tell: equal scans make equal bytes.
var zipDate = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Write writes s as a conforming X3P container: elements in the order of the
// schema, heights as float64 with NaN for missing, a CZ increment of 1, both
// checksums. Equal scans give equal bytes in one build of the program. Meta is
// left out whole if it is empty; otherwise the schema wants both dates as
// xsd:dateTime and one of three probing types, and Write fails without them.
func Write(w io.Writer, s *Scan) error {
	if err := s.writable(); err != nil {
		return fmt.Errorf("writing X3P: %w", err)
	}
	z := zip.NewWriter(w)
	sum := md5.New()
	err := add(z, "bindata/data.bin", func(w io.Writer) error {
		return writeHeights(io.MultiWriter(w, sum), s.Z)
	})
	if err != nil {
		return err
	}
	main := s.mainXML(hex.EncodeToString(sum.Sum(nil)))
	if err := add(z, "main.xml", func(w io.Writer) error { _, err := w.Write(main); return err }); err != nil {
		return err
	}
	err = add(z, "md5checksum.hex", func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%x *main.xml\n", md5.Sum(main))
		return err
	})
	if err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing X3P: %w", err)
	}
	return nil
}

func add(z *zip.Writer, name string, content func(io.Writer) error) error {
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: zipDate})
	if err == nil {
		err = content(w)
	}
	if err != nil {
		return fmt.Errorf("writing X3P: %s: %w", name, err)
	}
	return nil
}

func (s *Scan) writable() error {
	if s.SizeX <= 0 || s.SizeY <= 0 || s.SizeX > math.MaxInt/s.SizeY || s.SizeX*s.SizeY != len(s.Z) {
		return fmt.Errorf("%d × %d points, but %d heights", s.SizeX, s.SizeY, len(s.Z))
	}
	for _, inc := range []float64{s.IncX, s.IncY} {
		if !(inc > 0) || math.IsInf(inc, 0) {
			return fmt.Errorf("lateral spacing %g m is not above zero", inc)
		}
	}
	return s.Meta.Check()
}

func writeHeights(w io.Writer, z []float64) error {
	buf := make([]byte, 0, 64<<10)
	for len(z) > 0 {
		n := min(len(z), cap(buf)/8)
		buf = buf[:0]
		for _, v := range z[:n] {
			buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(finite(v)))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		z = z[n:]
	}
	return nil
}

func (s *Scan) mainXML(dataMD5 string) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	fmt.Fprintf(&b, "<p:ISO5436_2 xmlns:p=%q xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"%s %s/ISO5436_2.xsd\">\n",
		namespace, namespace, namespace)
	open := []string{} // elements that are open below the root
	// put writes one leaf, opening and closing its ancestors as the path asks.
	put := func(path, text string) {
		dirs := strings.Split(path, "/")
		leaf := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		same := 0
		for same < len(open) && same < len(dirs) && open[same] == dirs[same] {
			same++
		}
		for len(open) > same {
			fmt.Fprintf(&b, "%s</%s>\n", indent(len(open)), open[len(open)-1])
			open = open[:len(open)-1]
		}
		for len(open) < len(dirs) {
			open = append(open, dirs[len(open)])
			fmt.Fprintf(&b, "%s<%s>\n", indent(len(open)), open[len(open)-1])
		}
		if leaf == "" {
			return
		}
		fmt.Fprintf(&b, "%s<%s>", indent(len(open)+1), leaf)
		_ = xml.EscapeText(&b, []byte(text)) // a bytes.Buffer does not fail
		fmt.Fprintf(&b, "</%s>\n", leaf)
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

	put("Record1/Revision", "ISO5436 - 2000")
	put(pathFeature, "SUR")
	for _, a := range []struct {
		name, kind string
		inc        float64
	}{{"CX", "I", s.IncX}, {"CY", "I", s.IncY}, {"CZ", "A", 1}} {
		put("Record1/Axes/"+a.name+"/AxisType", a.kind)
		put("Record1/Axes/"+a.name+"/DataType", "D")
		put("Record1/Axes/"+a.name+"/Increment", number(a.inc))
		put("Record1/Axes/"+a.name+"/Offset", "0")
	}
	if s.Meta != (Meta{}) {
		meta := s.Meta
		for _, m := range metaFields(&meta) {
			if optional := m.text == &meta.Creator || m.text == &meta.Comment; !optional || *m.text != "" {
				put(m.path, *m.text)
			}
		}
	}
	put(pathMatrix+"SizeX", strconv.Itoa(s.SizeX))
	put(pathMatrix+"SizeY", strconv.Itoa(s.SizeY))
	put(pathMatrix+"SizeZ", "1")
	put(pathPoints, "bindata/data.bin")
	put(pathPointsMD, dataMD5)
	put(pathSumFile, "md5checksum.hex")
	put("", "") // closes what is open
	b.WriteString("</p:ISO5436_2>\n")
	return b.Bytes()
}

func indent(depth int) string { return strings.Repeat("  ", depth) }
