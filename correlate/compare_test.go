//go:build !race

package correlate

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"proofmark/correlate/x3p"
)

func angleBetween(a, b float64) float64 {
	return math.Abs(math.Mod(a-b+540, 360) - 180)
}

func TestCompareFindsKnownPose(t *testing.T) {
	const firearm = texture(7)
	a := mustTemplate(t, firearm.scan(view{noise: 100}))
	views := []view{
		{rotation: 17.3}, {rotation: 93.1}, {rotation: 180}, {rotation: 271.9}, {rotation: 355.2},
		{rotation: 44, shiftX: 61, shiftY: -87}, {rotation: 230, shiftX: -90, shiftY: 33, pitch: 3.125},
		{rotation: 120, pitch: 10}, {rotation: 300, pitch: 15},
	}
	if raceDetector {
		views = views[5:8]
	}
	for i, v := range views {
		v.noise = texture(200 + i)
		b := mustTemplate(t, firearm.scan(v))
		c := Compare(a, b)
		if c.Score < 0.5 {
			t.Errorf("%+v: score %.3f", v, c.Score)
		}
		// b shows the marks turned by v.rotation, so mapping b onto a turns back.
		if d := angleBetween(c.Pose.Rotation, -v.rotation); d > 1 {
			t.Errorf("%+v: rotation %.2f", v, c.Pose.Rotation)
		}
		// The aperture is the origin of both frames.
		if d := math.Hypot(c.Pose.ShiftX, c.Pose.ShiftY); d > 30 {
			t.Errorf("%+v: shift %.1f, %.1f µm", v, c.Pose.ShiftX, c.Pose.ShiftY)
		}
	}
}

func TestCompareTellsFirearmsApart(t *testing.T) {
	const firearm = texture(7)
	a := mustTemplate(t, firearm.scan(view{noise: 100}))
	for i := range 8 {
		b := mustTemplate(t, texture(20+i).scan(view{rotation: float64(40 * i), noise: texture(300 + i)}))
		if c := Compare(a, b); c.Score > 0.25 {
			t.Errorf("different texture %d: score %.3f", i, c.Score)
		}
	}
}

// A frame displaced on purpose must be found by the shift search: the pose
// carries the displacement.
func TestCompareFindsShiftOfFrame(t *testing.T) {
	scan := texture(9).scan(view{})
	a := mustTemplate(t, scan)
	for _, d := range []struct{ x, y float64 }{{93, 0}, {-60, 80}, {120, -90}} {
		s, err := resample(scan)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := segmentFace(s); err != nil {
			t.Fatal(err)
		}
		c := findCentre(s)
		c.x += d.x
		c.y += d.y
		b := NewTemplate(quantise(bandPass(s), c, roiCodeBreechFace, maxSteps))
		got := Compare(a, b)
		if got.Score < 0.7 || math.Hypot(got.Pose.ShiftX-d.x, got.Pose.ShiftY-d.y) > 12 || math.Abs(got.Pose.Rotation) > 0.7 {
			t.Errorf("displaced by %v: score %.3f pose %+v", d, got.Score, got.Pose)
		}
	}
}

func TestCompareIsSymmetricToTheBit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var set []*Template
	for i := range 6 {
		set = append(set, mustTemplate(t, texture(1+i%2).scan(view{rotation: rng.Float64() * 360, noise: texture(50 + i)})))
	}
	for i, a := range set {
		for j, b := range set {
			ab, ba := Compare(a, b), Compare(b, a)
			if ab.Score != ba.Score || ab.R != ba.R || ab.OverlapMM2 != ba.OverlapMM2 || ab.Cells != ba.Cells || ab.CongruentCells != ba.CongruentCells {
				t.Fatalf("pair %d, %d: %v and %v", i, j, ab, ba)
			}
			if i == j || ab.Score < 0.3 {
				continue
			}
			// The two poses are inverse to each other.
			if d := angleBetween(ab.Pose.Rotation, -ba.Pose.Rotation); d > 0.01 {
				t.Errorf("pair %d, %d: rotations %.3f and %.3f", i, j, ab.Pose.Rotation, ba.Pose.Rotation)
			}
			sin, cos := math.Sincos(ab.Pose.Rotation * math.Pi / 180)
			x := cos*ba.Pose.ShiftX - sin*ba.Pose.ShiftY + ab.Pose.ShiftX
			y := sin*ba.Pose.ShiftX + cos*ba.Pose.ShiftY + ab.Pose.ShiftY
			if math.Hypot(x, y) > 1 {
				t.Errorf("pair %d, %d: shifts do not cancel: %.2f, %.2f µm", i, j, x, y)
			}
		}
	}
}

func TestCellMapLiesOnTheMark(t *testing.T) {
	a := mustTemplate(t, texture(5).scan(view{noise: 60}))
	b := mustTemplate(t, texture(5).scan(view{rotation: 77, noise: 61}))
	for _, pair := range [][2]*Template{{a, b}, {b, a}} {
		c := Compare(pair[0], pair[1])
		if c.Cells < 12 || c.Cells != len(c.CellMap) || c.CongruentCells < c.Cells*2/3 {
			t.Fatalf("%d of %d cells congruent, %d in the map", c.CongruentCells, c.Cells, len(c.CellMap))
		}
		congruent := 0
		for _, cell := range c.CellMap {
			if cell.Congruent {
				congruent++
			}
			if r := math.Hypot(cell.X, cell.Y); r < 500 || r > 2000 {
				t.Errorf("cell at %.0f, %.0f µm lies off the ring", cell.X, cell.Y)
			}
			if math.Hypot(cell.ShiftX, cell.ShiftY) > 40 || math.Abs(cell.Rotation) > 3.1 {
				t.Errorf("cell shifted by %.0f, %.0f µm, turned by %.1f°", cell.ShiftX, cell.ShiftY, cell.Rotation)
			}
		}
		if congruent != c.CongruentCells {
			t.Errorf("map shows %d congruent cells, count says %d", congruent, c.CongruentCells)
		}
	}
}

func TestPartialMarkFindsItsWhole(t *testing.T) {
	const firearm = texture(11)
	whole := mustTemplate(t, firearm.scan(view{noise: 400}))
	for _, sector := range []float64{180, 90} {
		part := mustTemplate(t, firearm.scan(view{rotation: 130, noise: 401, sector: sector}))
		c := Compare(whole, part)
		other := Compare(mustTemplate(t, texture(12).scan(view{noise: 402})), part)
		if c.Score < 0.35 || c.Score < other.Score+0.15 || angleBetween(c.Pose.Rotation, -130) > 2 {
			t.Errorf("sector of %.0f°: score %.3f at %+v, another firearm %.3f", sector, c.Score, c.Pose, other.Score)
		}
	}
}

// Rotating a real scan by bilinear resampling must leave it its own mate.
func TestRotatedRealScanFindsItself(t *testing.T) {
	set := realScans(t, "fadul")
	if len(set) == 0 {
		set = []labelled{{"generated", "1", texture(3).scan(view{noise: 4})}}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, l := range set[:min(len(set), 6)] {
		angle := rng.Float64() * 360
		c := Compare(mustTemplate(t, l.scan), mustTemplate(t, rotateScan(l.scan, angle)))
		if c.Score < 0.7 || angleBetween(c.Pose.Rotation, -angle) > 1 {
			t.Errorf("%s turned by %.1f°: score %.3f, rotation %.1f", l.name, angle, c.Score, c.Pose.Rotation)
		}
	}
}

// rotateScan turns a scan about its middle by an angle in degrees, growing the
// field so that nothing is cut.
func rotateScan(s *x3p.Scan, deg float64) *x3p.Scan {
	sin, cos := math.Sincos(deg * math.Pi / 180)
	n := int(1.45 * float64(max(s.SizeX, s.SizeY)))
	out := &x3p.Scan{SizeX: n, SizeY: n, IncX: s.IncX, IncY: s.IncY, Z: make([]float64, n*n)}
	for i := range out.Z {
		out.Z[i] = math.NaN()
		x, y := float64(i%n)-float64(n-1)/2, float64(i/n)-float64(n-1)/2
		fx := cos*x + sin*y + float64(s.SizeX-1)/2
		fy := cos*y - sin*x + float64(s.SizeY-1)/2
		x0, y0 := int(math.Floor(fx)), int(math.Floor(fy))
		if x0 < 0 || y0 < 0 || x0+1 >= s.SizeX || y0+1 >= s.SizeY {
			continue
		}
		u, v := fx-float64(x0), fy-float64(y0)
		out.Z[i] = (s.At(x0, y0)*(1-u)+s.At(x0+1, y0)*u)*(1-v) + (s.At(x0, y0+1)*(1-u)+s.At(x0+1, y0+1)*u)*v
	}
	return out
}

func TestCompareLeavesTemplatesAlone(t *testing.T) {
	a := mustTemplate(t, texture(1).scan(view{}))
	b := mustTemplate(t, texture(2).scan(view{}))
	first := Compare(a, b)
	for range 3 {
		if got := Compare(a, b); !reflect.DeepEqual(got, first) {
			t.Fatal("the same comparison differs from run to run")
		}
	}
}

// Whatever decodes can be compared: any picture, any kind of origin.
func TestCompareArbitrarySignatures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := NewTemplate(drawSignature(t)), NewTemplate(drawSignature(t))
		ab, ba := Compare(a, b), Compare(b, a)
		if ab.Score != ba.Score || ab.CongruentCells != ba.CongruentCells {
			t.Fatalf("not symmetric: %v, %v", ab.Score, ba.Score)
		}
		if !(ab.Score >= -1 && ab.Score <= 1) || ab.CongruentCells > ab.Cells {
			t.Fatalf("out of range: %+v", ab)
		}
	})
}
