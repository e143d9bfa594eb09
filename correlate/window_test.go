//go:build !race

package correlate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// cutTo keeps the pixels of a signature within some degrees from a direction on.
func (s *Signature) cutTo(from, degrees float64) *Signature {
	cut := *s
	for i := range cut.pixels {
		a := math.Atan2(float64(2*(i/side)+1-side), float64(2*(i%side)+1-side))*180/math.Pi - from
		if math.Mod(a+720, 360) > degrees {
			cut.pixels[i] = 0
		}
	}
	cut.bound()
	return &cut
}

// Every kernel counts in every window what a walk over the samples counts.
func TestWindowSweepCountsAgreement(t *testing.T) {
	whole := NewTemplate(mustEncode(t, texture(61).scan(view{noise: 610, pitch: 12.5})))
	rng := rand.New(rand.NewPCG(6, 1))
	tried := 600
	if raceDetector {
		tried = 40
	}
	for _, c := range []struct {
		degrees float64
		w       window
	}{
		{40, window{radius: 3}},
		{100, window{radius: 2, ref: offset{900, -1500}}},
		{170, window{radius: 2, query: offset{-1700, 400}, ref: offset{-64, 640}}},
		{25, window{radius: 7, query: offset{2100, 2100}}},
	} {
		ref := NewTemplate(whole.sig.cutTo(rng.Float64()*360, c.degrees))
		width := c.w.width()
		scores := make([]float32, turns*width*width)
		query := newWindows(whole.signRaster())
		c.w.sweep(kernelPlain, query, ref.turned(), scores)
		scored := 0
		for range tried {
			turn, dx, dy := rng.IntN(turns), rng.IntN(width)-c.w.radius, rng.IntN(width)-c.w.radius
			mx, my := c.w.middle(turn)
			sin, cos := turnTable[turn*turnFine][0], turnTable[turn*turnFine][1]
			n := tally{}
			for y := int32(-gridHome); y < gridSide-gridHome; y++ {
				for x := int32(-gridHome); x < gridSide-gridHome; x++ {
					a := signAt(whole.signRaster(), gridStep*x, gridStep*y)
					px, py := gridStep*(x-mx-int32(dx)), gridStep*(y-my-int32(dy))
					b := signAt(ref.signRaster(), (cos*px+sin*py+1<<13)>>14, (cos*py-sin*px+1<<13)>>14)
					n.common += int32(a & b & 1)
					n.differ += int32((a ^ b) >> 1 & a & b & 1)
				}
			}
			want := float32(0)
			if n.common >= leastSamples && dx*dx+dy*dy <= c.w.radius*c.w.radius {
				want = n.score()
				scored++
			}
			if got := scores[(turn*width+dy+c.w.radius)*width+dx+c.w.radius]; got != want {
				t.Fatalf("%.0f° at turn %d, %d, %d: %v, want %v of %+v", c.degrees, turn, dx, dy, got, want, n)
			}
		}
		if scored < tried/30 {
			t.Errorf("%.0f°: only %d displacements had an overlap", c.degrees, scored)
		}
		for _, k := range kernels {
			other := slices.Repeat([]float32{7}, len(scores))
			c.w.sweep(k, query, ref.turned(), other)
			if !slices.Equal(scores, other) {
				t.Errorf("%v counts otherwise", k)
			}
		}
	}
}

// signAt reads a raster at a point counted from the frame's origin.
func signAt(r *raster, x, y int32) int8 {
	x, y = x+rasterSide/2, y+rasterSide/2
	if x < 0 || y < 0 || x >= rasterSide || y >= rasterSide {
		return 0
	}
	return r[y*rasterSide+x]
}

// A mark whose origin is wrong is found all the same: where a circle through a
// short arc of the aperture was too large or too small by a fifth, and where no
// aperture was seen at all.
func TestPartialMarkWithWrongOrigin(t *testing.T) {
	whole := mustEncode(t, texture(62).scan(view{noise: 620, pitch: 12.5, rotation: 33}))
	other := NewTemplate(mustEncode(t, texture(63).scan(view{noise: 621, pitch: 12.5})))
	mate := mustEncode(t, texture(62).scan(view{noise: 622, pitch: 12.5}))
	// shifted moves the pixels by whole ones.
	shifted := func(s *Signature, dx, dy int) *Signature {
		out := *s
		out.pixels = [side * side]int8{}
		for i, v := range s.pixels {
			if x, y := i%side+dx, i/side+dy; v != 0 && x >= 0 && y >= 0 && x < side && y < side {
				out.pixels[y*side+x] = v
			}
		}
		out.bound()
		return &out
	}
	for _, c := range []struct {
		what    string
		from    float64
		pixels  [2]int // the marks' displacement from the true frame
		radius  int    // of the circle beside the true one, 10 µm
		kind    centreKind
		unknown bool
	}{
		{"the true circle", 200, [2]int{0, 0}, 0, centreArc, false},
		// Marks that begin at 0° and span 70° lie towards 35°: a circle larger by
		// 280 µm has its centre as much farther from them.
		{"a circle too large", 0, [2]int{7, 5}, 28, centreArc, false},
		{"a circle too small", 0, [2]int{-7, -5}, -28, centreArc, false},
		{"no circle", 110, [2]int{24, -30}, 0, centreMask, true},
	} {
		part := shifted(mate.cutTo(c.from, 70), c.pixels[0], c.pixels[1])
		part.centre, part.aperture = c.kind, uint8(int(part.aperture)+c.radius)
		if c.unknown {
			part.aperture = 0
		}
		got := Compare(NewTemplate(whole), NewTemplate(part))
		back := Compare(NewTemplate(part), NewTemplate(whole))
		chance := Compare(other, NewTemplate(part))
		t.Logf("%s: %.3f at %+v, another firearm %.3f", c.what, got.Score, got.Pose, chance.Score)
		if got.Score < 0.4 || got.Score < chance.Score+0.2 || angleBetween(got.Pose.Rotation, 33) > 2 {
			t.Errorf("%s: %.3f at %+v, another firearm %.3f", c.what, got.Score, got.Pose, chance.Score)
		}
		if got.Score != back.Score || got.R != back.R {
			t.Errorf("%s: %v one way, %v the other", c.what, got.Score, back.Score)
		}
		if plain := score(got.R, got.OverlapMM2, 0); (got.Score < plain) != c.unknown {
			t.Errorf("%s: score %.3f, without the choice of poses %.3f", c.what, got.Score, plain)
		}
	}
}

// The more poses there are to choose from, the less the best of them is worth,
// and the less so the larger the overlap.
func TestScoreCountsThePosesToChooseFrom(t *testing.T) {
	for _, area := range []float64{0.1, 0.3, 1, 3} {
		last := score(0.6, area, 0)
		if want := 0.6 * math.Sqrt(area/(area+0.8)); math.Abs(last-want) > 1e-12 {
			t.Errorf("%g mm²: %g, want %g", area, last, want)
		}
		for _, choice := range []float64{0.5, 2, lnOf(mostPoses)} {
			s := score(0.6, area, choice)
			if s >= last || s < 0 {
				t.Errorf("%g mm², ln N %g: %g after %g", area, choice, s, last)
			}
			last = s
		}
		if s := score(-0.2, area, 3); s != score(-0.2, area, 0) {
			t.Errorf("%g mm²: a negative correlation became %g", area, s)
		}
	}
	if got := lnOf(mostPoses); math.Abs(got-math.Log(mostPoses)) > 1e-12 {
		t.Errorf("ln %d = %v", mostPoses, got)
	}
	w := window{ref: offset{300, 0}, radius: windowKnown}
	near, far := w.chosen(pose{shift: offset{-300, 100}}), w.chosen(pose{shift: offset{-300, 200}})
	if near != 0 || math.Abs(far-math.Log(math.Pow(200*shiftUnit/knownReach, 2))) > 1e-9 {
		t.Errorf("%v within reach, %v beyond", near, far)
	}
}

// cutKind is a way of making a partial query of a scan.
type cutKind int

const (
	partialMark cutKind = iota // the scan shows the aperture, a sector of the face bears marks
	fragment                   // the scan itself is cut, its aperture's edge with it
)

func (k cutKind) String() string { return [...]string{"partial mark", "fragment"}[k] }

// Queries that hold a share of the marks against all other whole marks of the real
// set: every sixth mark, others for each seed, their directions drawn. The whole
// set's figures are in docs/accuracy.md.
func TestPartialMarks(t *testing.T) {
	set := realScans(t, "fadul")
	if len(set) == 0 {
		t.Log("no real scans here; TestPartialMarkFindsItsWhole and TestPartialMarkWithWrongOrigin stand alone")
		return
	}
	signatures, qualities := make([]*Signature, len(set)), make([]Quality, len(set))
	whole := make([]*Template, len(set))
	for i, l := range set {
		var err error
		if signatures[i], qualities[i], err = Encode(l.scan, BreechFace); err != nil {
			t.Fatal(err)
		}
		whole[i] = NewTemplate(signatures[i])
	}
	step := 6
	if raceDetector {
		step = 5
	}
	for _, kind := range []cutKind{partialMark, fragment} {
		for _, c := range []struct{ share, auc float64 }{{0.25, 0.999}, {0.15, 0.99}, {0.10, 0.95}} {
			t.Run(fmt.Sprintf("%v of %.0f %%", kind, 100*c.share), func(t *testing.T) {
				var same, different []float64
				lost := 0
				var mu sync.Mutex
				var wg sync.WaitGroup
				for seed := range uint64(3) {
					for i := int(seed); i < len(set); i += step {
						from := rand.New(rand.NewPCG(seed+1, uint64(i))).Float64() * 360
						wg.Go(func() {
							scan, o := set[i].scan, Options{}
							if kind == partialMark {
								o.Sector = &Sector{From: from, Share: c.share}
							} else {
								scan = fragmentOf(scan, qualities[i], c.share, from)
							}
							sig, _, err := EncodeWith(scan, BreechFace, o)
							if err != nil {
								mu.Lock()
								lost++
								mu.Unlock()
								return
							}
							part := NewTemplate(sig)
							for j := range set {
								if i == j {
									continue
								}
								score := Compare(part, whole[j]).Score
								mu.Lock()
								if set[i].source == set[j].source {
									same = append(same, score)
								} else {
									different = append(different, score)
								}
								mu.Unlock()
							}
						})
					}
				}
				wg.Wait()
				slices.Sort(different)
				auc := 0.0
				for _, s := range same {
					below, _ := slices.BinarySearch(different, s)
					auc += float64(below) / float64(len(different)*len(same))
				}
				t.Logf("AUC %.5f over %d same and %d different pairs, %d not encodable", auc, len(same), len(different), lost)
				if auc < c.auc || lost > 0 {
					t.Errorf("AUC %.5f, want %.3f; %d not encodable", auc, c.auc, lost)
				}
			})
		}
	}
}
