//go:build !race

package bullet

import (
	"math"
	"slices"
	"sort"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

// figures of a set of land scans, that the generator is held to.
type figures struct {
	bands     []float64 // mean RMS in µm between bandEdges, of the aligned profile inside the shoulders
	rms       []float64 // the signatures', sorted
	width     float64   // µm, mean
	missing   float64   // share of points, mean
	agreement float64   // mean
	slabNoise float64   // µm RMS, one cross-section against the profile, 20 to 120 µm, median
}

var bandEdges = []float64{10, 20, 40, 80, 120, 250}

func measure(t *testing.T, scans []*x3p.Scan) figures {
	t.Helper()
	f := figures{bands: make([]float64, len(bandEdges)-1)}
	var noise []float64
	n := float64(len(scans))
	for _, s := range scans {
		v, err := lay(s)
		if err != nil {
			t.Fatal(err)
		}
		slabs := v.slabs()
		filtered := make([]line, len(slabs))
		for i, s := range slabs {
			filtered[i] = s.bandPass(alignShort, alignLong)
		}
		profile, b := through(slabs), choose(filtered)
		edge, ok := land(profile)
		if !ok {
			t.Fatal("no land")
		}
		p, _ := fit(profile, edge.lo, edge.hi, edge.lo, edge.hi, fitRounds)
		in := newLine(edge.hi - edge.lo)
		for i := range in.z {
			if in.ok[i] = profile.ok[edge.lo+i]; in.ok[i] {
				in.z[i] = profile.z[edge.lo+i] - p.at(edge.lo+i)
			}
		}
		for k := range f.bands {
			f.bands[k] += rmsOf(in.bandPass(gaussian(cutoff*bandEdges[k]), gaussian(cutoff*bandEdges[k+1]))) / n
		}
		difference := slabs[b.first+b.slabs/2].bandPass(markShort, markLong)
		whole := profile.bandPass(markShort, markLong)
		for i := range difference.z {
			difference.z[i] -= whole.z[i]
			difference.ok[i] = difference.ok[i] && whole.ok[i] && i > edge.lo+50 && i < edge.hi-50
		}
		noise = append(noise, rmsOf(difference))
		f.rms = append(f.rms, mustLand(t, s).RMS())
		f.width += float64(edge.hi-edge.lo) * workPitch / n
		f.missing += float64(s.Missing()) / float64(len(s.Z)) / n
		f.agreement += b.agreement / n
	}
	sort.Float64s(f.rms)
	f.slabNoise = median(noise)
	return f
}

func rmsOf(l line) float64 {
	sum, n := 0.0, 0
	for i, z := range l.z {
		if l.ok[i] {
			sum += z * z
			n++
		}
	}
	return math.Sqrt(sum / float64(max(n, 1)))
}

// wanted are the figures of the 20 real scans (Hamby set 44), which
// TestRealScansHaveTheseFigures measures where they are.
var wanted = figures{bands: []float64{0.128, 0.224, 0.326, 0.219, 0.424}, rms: []float64{0.142, 0.389, 0.692}, width: 2000, missing: 0.059, agreement: 0.97, slabNoise: 0.107}

func TestRealScansHaveTheseFigures(t *testing.T) {
	var scans []*x3p.Scan
	for _, l := range realLands(t) {
		scans = append(scans, l.scan)
	}
	if len(scans) == 0 {
		t.Log("no real scans here; their figures stand in the source")
		return
	}
	f := measure(t, scans)
	t.Logf("%+v", f)
	for k, v := range f.bands {
		if math.Abs(v-wanted.bands[k]) > 0.01 {
			t.Errorf("band %d: %.3f µm, stated %.3f", k, v, wanted.bands[k])
		}
	}
	if math.Abs(f.width-wanted.width) > 15 || math.Abs(f.missing-wanted.missing) > 0.01 || math.Abs(f.agreement-wanted.agreement) > 0.01 ||
		math.Abs(f.slabNoise-wanted.slabNoise) > 0.01 || f.rms[0] != wanted.rms[0] || f.rms[19] != wanted.rms[2] {
		t.Errorf("measured %+v, stated %+v", f, wanted)
	}
}

// The generator's lands look like real ones in what the signature reads.
func TestGeneratedScansHaveRealFigures(t *testing.T) {
	var scans []*x3p.Scan
	for k := range uint64(12) {
		scans = append(scans, synth.NewBarrel(20+k, synth.Rifling{}).FireLand(1, int(k)%6, synth.LandShot{}))
	}
	f := measure(t, scans)
	t.Logf("%+v", f)
	for k, v := range f.bands {
		if ratio := v / wanted.bands[k]; ratio < 0.65 || ratio > 1.5 {
			t.Errorf("band %d: %.3f µm, real %.3f", k, v, wanted.bands[k])
		}
	}
	if mid := median(slices.Clone(f.rms)); mid < 0.25 || mid > 0.55 || f.rms[0] < 0.08 || f.rms[11] > 1.3 {
		t.Errorf("RMS %.3f, real from 0.14 to 0.69", f.rms)
	}
	if f.width < 1950 || f.width > 2050 || f.missing < 0.005 || f.missing > 0.09 || f.agreement < 0.9 {
		t.Errorf("width %.0f µm, %.1f %% missing, agreement %.2f", f.width, 100*f.missing, f.agreement)
	}
	if f.slabNoise < 0.02 || f.slabNoise > 0.25 {
		t.Errorf("cross-sections differ by %.3f µm, real %.3f", f.slabNoise, wanted.slabNoise)
	}
}

// Generated lands: mates of one barrel against all others, above the gate.
// Nothing was fitted on these; nothing here says how real marks do.
func TestGeneratedLands(t *testing.T) {
	var same, different []float64
	bullets := 0
	var before *Bullet
	for barrel := range uint64(8) {
		a, first := fired(t, 300+barrel, 1, strip)
		b, second := fired(t, 300+barrel, 2, strip)
		for i := range 6 {
			for j := range 6 {
				if mates := (i+first)%6 == (j+second)%6; a.usable(i) && b.usable(j) {
					if z := CompareLands(a.Land(i), b.Land(j)).Z; mates {
						same = append(same, z)
					} else {
						different = append(different, z)
					}
				}
				if before != nil && a.usable(i) && before.usable(j) {
					different = append(different, CompareLands(a.Land(i), before.Land(j)).Z)
				}
			}
		}
		before = a
		// Where the gate leaves fewer than three lands at the true phase, no phase
		// may be claimed.
		if c := Compare(NewTemplate(a), NewTemplate(b)); c.Conclusive {
			bullets++
			if want := (first - second + 6) % 6; c.Phase != want {
				t.Errorf("barrel %d: phase %d, want %d: %+v", barrel, c.Phase, want, c)
			}
		}
	}
	auc, low := areaUnder(same, different)
	t.Logf("%d same, %d different land pairs: AUC %.4f (from %.4f), least same %.3f, largest different %.3f; %d of 8 pairs of bullets conclusive",
		len(same), len(different), auc, low, slices.Min(same), slices.Max(different), bullets)
	if auc < 0.99 || bullets < 6 {
		t.Errorf("AUC %.4f, %d pairs of bullets conclusive", auc, bullets)
	}
}

// Consecutively made barrels of one tool: the more carries over, the more their
// bullets agree. A score cannot tell subclass marks from individual ones.
func TestSubclassRaisesScores(t *testing.T) {
	score := func(carry float64) float64 {
		bullets := make([]*Template, 2)
		for k := range bullets {
			barrel := synth.NewBarrel(uint64(400+k), synth.Rifling{Tool: 1, Carry: carry, Strength: 1})
			var lands []*Land
			for i := range 6 {
				lands = append(lands, mustLand(t, barrel.FireLand(1, i, strip)))
			}
			bullets[k] = NewTemplate(mustBullet(t, lands...))
		}
		return Compare(bullets[0], bullets[1]).Score
	}
	none, half, most := score(0), score(0.5), score(0.9)
	t.Logf("score of different barrels: %.3f, with half of the power in common %.3f, with nine tenths %.3f", none, half, most)
	if none > 0.45 || half < none+0.05 || most < half+0.1 {
		t.Errorf("no carry-over %.3f, half %.3f, nine tenths %.3f", none, half, most)
	}
}
