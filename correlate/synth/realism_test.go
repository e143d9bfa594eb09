//go:build !race

// Statistics of pure computation: the race detector has nothing to find here and makes it ten times slower. `make test` runs them without it.

package synth

import (
	"flag"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"

	"proofmark/correlate/x3p"
)

// What sixteen of the forty real scans measure (docs/generator.md has the names),
// and how far the mean of a few generated ones may lie from it, as a factor; for
// the last three as a difference.
var realFigures = []struct {
	name            string
	mean, tolerance float64
}{
	{"0–25 µm", 0.194, 1.2}, {"25–40 µm", 0.123, 1.2}, {"40–80 µm", 0.255, 1.25}, {"80–140 µm", 0.306, 1.2},
	{"140–250 µm", 0.390, 1.25}, {"250–500 µm", 0.436, 1.25}, {"above 500 µm", 0.589, 1.35}, {"RMS", 1.557, 1.2},
	{"valid share", 0.305, 1.2}, {"kurtosis", 13.7, 3.5}, {"kurtosis of 25–250 µm", 4.48, 1.35},
	{"median slope", 0.038, 1.2}, {"slope of 90 %", 0.085, 1.2}, {"slope of 99 %", 0.154, 1.25},
	{"skewness of 25–250 µm", 0.168, 0.4}, {"anisotropy", 0.073, 0.12},
}

// full measures what docs/generator.md tells instead of a few scans.
var full = flag.Bool("full", false, "measure all forty real scans and as many generated ones")

func TestStatistics(t *testing.T) {
	t.Parallel()
	generated, real := 5, []string{"1-1", "8-2", "F", "T"}
	if *full {
		generated, real = 40, nil
		for k := range 10 {
			real = append(real, fmt.Sprintf("%d-1", k+1), fmt.Sprintf("%d-2", k+1))
		}
		for _, c := range "ABCEFHIKLMNOPQRSTXYZ" {
			real = append(real, string(c))
		}
	}
	check := func(name string, scans []*x3p.Scan, slack float64) {
		all := make([][]float64, len(scans))
		var wg sync.WaitGroup
		slots := make(chan struct{}, 4)
		for i, s := range scans {
			wg.Go(func() {
				slots <- struct{}{}
				all[i] = figuresOf(s).values()
				<-slots
			})
		}
		wg.Wait()
		for k, want := range realFigures {
			mean, least, most := 0.0, math.Inf(1), math.Inf(-1)
			for _, v := range all {
				mean += v[k] / float64(len(all))
				least, most = min(least, v[k]), max(most, v[k])
			}
			off := math.Abs(mean - want.mean)
			limit := want.tolerance
			if k < len(realFigures)-2 {
				off, limit = math.Abs(math.Log(mean/want.mean)), math.Log(want.tolerance)
			}
			if off > limit*slack {
				t.Errorf("%s: %s %.3f, of the real set %.3f", name, want.name, mean, want.mean)
			}
			t.Logf("%s: %s %.3f, %.3f to %.3f", name, want.name, mean, least, most)
		}
	}
	var simulated []*x3p.Scan
	for i := range uint64(generated) {
		simulated = append(simulated, NewMaker(i).Firearm(i).Fire(i, Shot{}))
	}
	check("generated", simulated, 1)
	if dir := realScans(t); dir != "" {
		var scans []*x3p.Scan
		for _, name := range real {
			scans = append(scans, readScan(t, filepath.Join(dir, "fadul-"+name+".x3p")))
		}
		check("real", scans, 1)
	}
}

// Two shots of one firearm correlate where their known poses say they do, and
// nowhere near it; shots of two firearms of one maker correlate nowhere.
func TestCorrelation(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{0, 2, 3} { // granular, parallel, arched
		m := NewMaker(seed)
		f := m.Firearm(1)
		one := Shot{Rotation: 360, ShiftX: 0.1e-3, ShiftY: 0.15e-3}
		two := Shot{Rotation: 137, ShiftX: -0.2e-3, ShiftY: 0.05e-3}
		a, b := newMarks(f.Fire(1, one)), newMarks(f.Fire(2, two))
		pts := a.points(6, one.ShiftX/pitch, one.ShiftY/pitch)
		known := pose{angle: two.Rotation - one.Rotation}
		// The warp and the instrument's scale move marks by some micrometres.
		same, _ := b.search(pts, two.ShiftX/pitch, two.ShiftY/pitch, known, 0.5, 0.5, 1, 1)
		if same < 0.5 || same > 0.9 {
			t.Errorf("maker %d (%s): same firearm r = %.3f at the known pose", seed, m.Pattern(), same)
		}
		off, _ := b.search(pts, two.ShiftX/pitch, two.ShiftY/pitch, pose{angle: known.angle + 12}, 2, 2, 4, 2)
		if off > 0.25 {
			t.Errorf("maker %d: r = %.3f at 12° from the pose", seed, off)
		}
		other := newMarks(m.Firearm(2).Fire(3, two))
		different, _ := other.search(pts, two.ShiftX/pitch, two.ShiftY/pitch, known, 40, 2, 12, 6)
		if different > 0.25 {
			t.Errorf("maker %d: different firearms r = %.3f", seed, different)
		}
		t.Logf("maker %d (%s): same %.3f, other pose %.3f, other firearm %.3f", seed, m.Pattern(), same, off, different)
	}
}

// grooves returns the direction of the grooves in degrees (0 to 180) from the
// structure tensor of the 25–140 µm band, and how far it dominates (0 to 1).
func grooves(s *x3p.Scan) (direction, anisotropy float64) {
	f := newSurface(s)
	low := f.lowPasses(25, 140)
	at := func(i int) float64 { return low[0][i] - low[1][i] }
	var xx, yy, xy float64
	for y := 1; y < f.h-1; y++ {
		for x := 1; x < f.w-1; x++ {
			i := y*f.w + x
			if f.mask[i-1]*f.mask[i+1]*f.mask[i-f.w]*f.mask[i+f.w] == 0 {
				continue
			}
			dx, dy := at(i+1)-at(i-1), at(i+f.w)-at(i-f.w)
			xx, yy, xy = xx+dx*dx, yy+dy*dy, xy+dx*dy
		}
	}
	across := math.Atan2(2*xy, xx-yy) / 2 * 180 / math.Pi
	return math.Mod(across+270, 180), math.Hypot(xx-yy, 2*xy) / (xx + yy)
}

func TestClassMarks(t *testing.T) {
	t.Parallel()
	seen := map[Pattern]int{}
	for seed := range uint64(12) {
		m := NewMaker(seed)
		if seen[m.Pattern()]++; seen[m.Pattern()] > 1 {
			continue
		}
		for gun := range uint64(2) {
			direction, anisotropy := grooves(m.Firearm(gun).Fire(gun, Shot{Rotation: 30, Contact: 1}))
			off := math.Abs(math.Mod(direction-30-m.Direction()+450, 180) - 90)
			switch m.Pattern() {
			case Granular:
				if anisotropy > 0.1 || m.Pitch() != 0 {
					t.Errorf("maker %d firearm %d: a granular face with grooves (%.2f)", seed, gun, anisotropy)
				}
			case Parallel, Arched:
				if anisotropy < 0.1 || off > 15 {
					t.Errorf("maker %d firearm %d: grooves %.0f° off the maker's direction, anisotropy %.2f", seed, gun, off, anisotropy)
				}
			}
		}
	}
	for _, p := range []Pattern{Parallel, Arched, Granular} {
		if seen[p] == 0 {
			t.Errorf("no maker of twelve is %s", p)
		}
	}
}

// The feed marks of all firearms of a maker stand at the maker's pitch: they
// raise the power there, and not beside it, over the same faces without them.
func TestPitch(t *testing.T) {
	t.Parallel()
	checked := 0
	for seed := range uint64(20) {
		m := NewMaker(seed)
		if m.Pattern() != Parallel || checked == 1 {
			continue
		}
		checked++
		smooth := *m
		smooth.cusp = 0
		at := feedPower(m, m.Pitch()) / feedPower(&smooth, m.Pitch())
		beside := feedPower(m, m.Pitch()*1.4) / feedPower(&smooth, m.Pitch()*1.4)
		if at < 1.3 || beside > 1.15 {
			t.Errorf("maker %d: feed marks raise the power %.2f times at %.0f µm and %.2f times beside", seed, at, m.Pitch()*1e6, beside)
		}
	}
	if checked == 0 {
		t.Error("no maker of twenty is parallel")
	}
}

// feedPower is the power at a wavelength (metres) along lines across the grooves
// on both sides of the aperture, over two firearms.
func feedPower(m *Maker, lambda float64) (sum float64) {
	const n = 120
	sin, cos := math.Sincos(m.direction)
	for gun := range uint64(2) {
		f := m.Firearm(gun)
		for line := -15; line <= 15; line++ {
			along := float64(line) * 8 * pitch
			for _, from := range []float64{-2.2e-3, 1.45e-3} {
				var re, im float64
				for i := range n {
					q := from + float64(i)*pitch
					s, c := math.Sincos(2 * math.Pi * q / lambda)
					z := f.at(along*cos-q*sin, along*sin+q*cos) * (1 - math.Cos(2*math.Pi*(float64(i)+0.5)/n))
					re, im = re+z*c, im+z*s
				}
				sum += re*re + im*im
			}
		}
	}
	return sum
}
