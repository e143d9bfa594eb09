package x3p

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Readers that share no code with this package read what the writer writes. They
// are tried where they are installed; docs/x3p.md says which were.

// pythonReader follows the standard with Python's own libraries alone: ZIP, XML
// with its namespace, both checksums, little-endian heights, X fastest.
const pythonReader = `
import hashlib, json, struct, sys, zipfile
import xml.etree.ElementTree as ET
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
main = z.read("main.xml")
digest, name = z.read("md5checksum.hex").decode("ascii").split()
assert name == "*main.xml" and digest == hashlib.md5(main).hexdigest()
root = ET.fromstring(main)
assert root.tag == "{http://www.opengps.eu/2008/ISO5436_2}ISO5436_2"
text = lambda path: root.find(path).text
assert text("Record1/FeatureType") == "SUR"
assert text("Record1/Axes/CZ/AxisType") == "A" and text("Record1/Axes/CZ/DataType") == "D"
data = z.read(text("Record3/DataLink/PointDataLink"))
assert text("Record3/DataLink/MD5ChecksumPointData").lower() == hashlib.md5(data).hexdigest()
size = [int(text("Record3/MatrixDimension/Size" + a)) for a in "XYZ"]
heights = struct.unpack("<%dd" % (size[0] * size[1] * size[2]), data)
number = lambda v: "NaN" if v != v else v.hex()
print(json.dumps({
    "size": size, "increment": [float(text("Record1/Axes/C%s/Increment" % a)).hex() for a in "XYZ"],
    "offset": [float(text("Record1/Axes/C%s/Offset" % a)) for a in "XYZ"],
    "heights": [number(v) for v in heights], "comment": root.findtext("Record2/Comment", "").strip(),
}))
`

func tool(t *testing.T, name string, args ...string) (out []byte, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "DISPLAY=")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if out, err = c.Output(); err != nil {
		err = fmt.Errorf("%w: %s", err, stderr.String())
	}
	return out, err
}

// independentScans are of sizes and values that tell mistakes of order apart.
func independentScans() map[string]*Scan {
	odd := surface(7, 3)
	for i := range odd.Z {
		odd.Z[i] = float64(i) * 1e-7
	}
	odd.Z[9] = math.NaN()
	large := surface(311, 97)
	for i := 0; i < len(large.Z); i += 13 {
		large.Z[i] = math.NaN()
	}
	return map[string]*Scan{"odd": odd, "large": large}
}

func write(t *testing.T, s *Scan) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "written.x3p")
	if err := os.WriteFile(path, written(t, s), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPythonReadsWhatIsWritten(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("python3 is not installed: nothing is compared")
		return
	}
	for name, s := range independentScans() {
		out, err := tool(t, python, "-c", pythonReader, write(t, s))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got struct {
			Size      []int
			Increment []string
			Offset    []float64
			Heights   []string
			Comment   string
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got.Size, got.Offset) != fmt.Sprint([]int{s.SizeX, s.SizeY, 1}, []float64{0, 0, 0}) || got.Comment != s.Meta.Comment {
			t.Errorf("%s: %v %v %q", name, got.Size, got.Offset, got.Comment)
		}
		for i, want := range []float64{s.IncX, s.IncY, 1} {
			if !sameHex(got.Increment[i], want) {
				t.Errorf("%s: increment %d is %s, want %g", name, i, got.Increment[i], want)
			}
		}
		for i, want := range s.Z {
			if !sameHex(got.Heights[i], want) {
				t.Fatalf("%s: height %d is %s, want %g", name, i, got.Heights[i], want)
			}
		}
	}
}

// sameHex compares a number that Python wrote with every bit.
func sameHex(text string, want float64) bool {
	if math.IsNaN(want) {
		return text == "NaN"
	}
	var got float64
	_, err := fmt.Sscan(text, &got)
	return err == nil && math.Float64bits(got) == math.Float64bits(want)
}

// Gwyddion, a program for probe microscopy, reads X3P with a reader of its own
// and writes what it has read in its own format.
func TestGwyddionReadsWhatIsWritten(t *testing.T) {
	gwyddion, err := exec.LookPath("gwyddion")
	if err != nil {
		t.Log("gwyddion is not installed (Debian: gwyddion): nothing is compared")
		return
	}
	for name, s := range independentScans() {
		gwy := filepath.Join(t.TempDir(), "out.gwy")
		if _, err := tool(t, gwyddion, "--convert-to-gwy="+gwy, write(t, s)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, err := os.ReadFile(gwy)
		if err != nil {
			t.Fatal(err)
		}
		width, height := gwyDouble(t, b, "xreal"), gwyDouble(t, b, "yreal")
		if x, y := float64(s.SizeX)*s.IncX, float64(s.SizeY)*s.IncY; math.Abs(width/x-1) > 1e-12 || math.Abs(height/y-1) > 1e-12 {
			t.Errorf("%s: %g × %g m, want %g × %g", name, width, height, x, y)
		}
		heights := gwyDoubles(t, b, 0)
		mask := gwyDoubles(t, b, 1) // Gwyddion fills missing points and marks them here
		if len(heights) != len(s.Z) || len(mask) != len(s.Z) {
			t.Fatalf("%s: %d heights and %d marks, want %d", name, len(heights), len(mask), len(s.Z))
		}
		for i, want := range s.Z {
			if math.IsNaN(want) != (mask[i] != 0) || !math.IsNaN(want) && heights[i] != want {
				t.Fatalf("%s: height %d is %g (marked %g), want %g", name, i, heights[i], mask[i], want)
			}
		}
	}
}

// gwyDouble finds the first double of a name: its type stands after the name.
func gwyDouble(t *testing.T, b []byte, name string) float64 {
	t.Helper()
	key := append([]byte(name), 0, 'd')
	i := bytes.Index(b, key)
	if i < 0 || len(b) < i+len(key)+8 {
		t.Fatalf("no %s", name)
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b[i+len(key):]))
}

// gwyDoubles returns the values of the n-th data field.
func gwyDoubles(t *testing.T, b []byte, n int) []float64 {
	t.Helper()
	key := append([]byte("data"), 0, 'D')
	for ; ; n-- {
		i := bytes.Index(b, key)
		if i < 0 {
			t.Fatal("a data field is missing")
		}
		b = b[i+len(key):]
		count := int(binary.LittleEndian.Uint32(b))
		if len(b) < 4+8*count {
			t.Fatal("a data field is cut off")
		}
		if n == 0 {
			v := make([]float64, count)
			for k := range v {
				v[k] = math.Float64frombits(binary.LittleEndian.Uint64(b[4+8*k:]))
			}
			return v
		}
		b = b[4+8*count:]
	}
}
