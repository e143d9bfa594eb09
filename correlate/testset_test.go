package correlate

import (
	"cmp"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"proofmark/correlate/x3p"
)

// labelled is one scan and the firearm it came from.
type labelled struct {
	name, source string
	scan         *x3p.Scan
}

const scansDir = "../../shared/scans"

var realSets sync.Map // folder → []labelled: reading one takes a second

// realScans reads a folder of research scans, or nothing where it is missing.
func realScans(tb testing.TB, folder string) []labelled {
	tb.Helper()
	if set, ok := realSets.Load(folder); ok {
		return set.([]labelled)
	}
	f, err := os.Open(filepath.Join(scansDir, folder, "truth.csv"))
	if err != nil {
		return nil
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	rows = rows[1:]
	if raceDetector { // a subset: the figures are the plain run's
		rows = rows[:min(len(rows), 10)]
	}
	var out []labelled
	for _, r := range rows {
		out = append(out, labelled{r[0], r[1], readScan(tb, filepath.Join(folder, r[0]))})
	}
	realSets.Store(folder, out)
	return out
}

var signatures sync.Map // *x3p.Scan → *Signature: encoding a set takes a second too

// signature is the scan's, encoded once for all tests.
func (l labelled) signature(tb testing.TB) *Signature {
	tb.Helper()
	if s, ok := signatures.Load(l.scan); ok {
		return s.(*Signature)
	}
	s := mustEncode(tb, l.scan)
	signatures.Store(l.scan, s)
	return s
}

func readScan(tb testing.TB, path string) *x3p.Scan {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(scansDir, path))
	if err != nil {
		tb.Fatal(err)
	}
	s, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return s
}

// texture is a random surface that can be read at any point, so that a test
// knows the exact truth of a rotation: lattice noise of a few octaves.
type texture uint64

func (t texture) lattice(octave, x, y int64) float64 {
	h := uint64(t)*0x9e3779b97f4a7c15 + uint64(octave)*0xd1342543de82ef95 + uint64(x)*0xbf58476d1ce4e5b9 + uint64(y)*0x94d049bb133111eb
	h = (h ^ h>>31) * 0xd6e8feb86659fd93
	h = (h ^ h>>29) * 0xd6e8feb86659fd93
	return float64(h>>11)/(1<<52) - 1
}

// at returns µm of height at a point in µm.
func (t texture) at(x, y float64) float64 {
	sum := 0.0
	for o, pitch := range [3]float64{45, 80, 160} {
		fx, fy := x/pitch, y/pitch
		ix, iy := math.Floor(fx), math.Floor(fy)
		u, v := fx-ix, fy-iy
		u, v = u*u*(3-2*u), v*v*(3-2*v)
		i, j := int64(ix), int64(iy)
		a, b := t.lattice(int64(o), i, j), t.lattice(int64(o), i+1, j)
		c, d := t.lattice(int64(o), i, j+1), t.lattice(int64(o), i+1, j+1)
		sum += a + u*(b-a) + v*(c+u*(d-c)-a-u*(b-a))
	}
	return sum
}

// view is how a texture is scanned.
type view struct {
	rotation       float64 // degrees
	shiftX, shiftY float64 // µm, of the aperture in the field
	pitch          float64 // µm
	noise          texture // added at half weight; 0 = none
	sector         float64 // degrees of the ring that are kept; 0 = all
}

// scan renders a breech face: a ring from 750 to 1,700 µm around the aperture.
func (t texture) scan(v view) *x3p.Scan {
	const field = 3900.0
	if v.pitch == 0 {
		v.pitch = 6.25
	}
	n := int(field / v.pitch)
	s := &x3p.Scan{SizeX: n, SizeY: n, IncX: v.pitch * 1e-6, IncY: v.pitch * 1e-6, Z: make([]float64, n*n)}
	sin, cos := math.Sincos(v.rotation * math.Pi / 180)
	for i := range s.Z {
		x := (float64(i%n)+0.5)*v.pitch - field/2 - v.shiftX
		y := (float64(i/n)+0.5)*v.pitch - field/2 - v.shiftY
		// The exhibit was turned by rotation: turn back to read its marks.
		mx, my := cos*x+sin*y, cos*y-sin*x
		r := math.Hypot(x, y)
		angle := math.Mod(math.Atan2(my, mx)*180/math.Pi+360, 360)
		if r < 750 || r > 1700 || (v.sector > 0 && angle > v.sector) {
			s.Z[i] = math.NaN()
			continue
		}
		z := t.at(mx+5000, my+5000)
		if v.noise != 0 {
			z += v.noise.at(x, y) / 2
		}
		s.Z[i] = z * 1e-6
	}
	return s
}

func mustEncode(tb testing.TB, s *x3p.Scan) *Signature {
	tb.Helper()
	sig, _, err := Encode(s, BreechFace)
	if err != nil {
		tb.Fatal(err)
	}
	return sig
}

func mustTemplate(tb testing.TB, s *x3p.Scan) *Template {
	tb.Helper()
	return NewTemplate(mustEncode(tb, s))
}

// fragmentOf cuts a sector out of a scan around its origin that holds a share of
// its points, the aperture's edge with it.
func fragmentOf(scan *x3p.Scan, q Quality, share, from float64) *x3p.Scan {
	angles := make([]float64, len(scan.Z))
	var order []int
	for i, z := range scan.Z {
		x := (float64(i%scan.SizeX)+0.5)*scan.IncX*1e6 - q.OriginX
		y := (float64(i/scan.SizeX)+0.5)*scan.IncY*1e6 - q.OriginY
		if !math.IsNaN(z) && math.Hypot(x, y) < halfFrame {
			angles[i] = math.Mod(math.Atan2(y, x)*180/math.Pi-from+720, 360)
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(angles[a], angles[b]) })
	cut := *scan
	cut.Z = make([]float64, len(scan.Z))
	for i := range cut.Z {
		cut.Z[i] = math.NaN()
	}
	for _, i := range order[:int(share*float64(len(order)))] {
		cut.Z[i] = scan.Z[i]
	}
	return &cut
}
