package bullet

import (
	"fmt"
	"math"

	"proofmark/correlate/x3p"
)

// Land is the signature of one land engraved area: its striae sampled every
// 6.25 µm from shoulder to shoulder. It is immutable.
type Land struct {
	rms    uint16 // nm
	q      []int8 // −7 to 7 in units of 1.5/7 RMS; missing where the mark is not there
	known  int    // samples that are not missing
	energy int    // Σ q²
}

const (
	levels       = 7
	missing      = int8(-8)
	clipSigma    = 1.5
	perSample    = 4   // points of workPitch
	leastSamples = 64  // 400 µm
	leastEnergy  = 128 // Σ q²: a land without any height has nothing to compare
)

// newLand checks samples and takes them over.
func newLand(rms uint16, q []int8) (*Land, error) {
	l := &Land{rms: rms, q: q}
	for _, v := range q {
		if v != missing {
			l.known++
			l.energy += int(v) * int(v)
		}
	}
	switch {
	case len(q) > MaxSamples:
		return nil, fmt.Errorf("%d samples, at most %d", len(q), MaxSamples)
	case l.known < leastSamples:
		return nil, fmt.Errorf("%d samples that are not missing, at least %d", l.known, leastSamples)
	case q[0] == missing || q[len(q)-1] == missing:
		return nil, fmt.Errorf("missing samples at an end")
	case l.energy < leastEnergy:
		return nil, fmt.Errorf("no striae in the samples")
	}
	return l, nil
}

// RMS of the striae in µm between 20 and 120 µm wavelength.
func (l *Land) RMS() float64 { return float64(l.rms) / 1000 }

// Width of the land in µm.
func (l *Land) Width() float64 { return float64(len(l.q)) * SamplePitch }

// Passes tells whether the land may be compared at all.
func (l *Land) Passes() bool { return int(l.rms) >= minRMSnm }

const minRMSnm = MinRMS * 1000

// Samples are the heights from −7 to 7, in 1.5/7 of the RMS; known is false
// where the mark is missing.
func (l *Land) Samples() (q []int, known []bool) {
	q, known = make([]int, len(l.q)), make([]bool, len(l.q))
	for i, v := range l.q {
		if v != missing {
			q[i], known[i] = int(v), true
		}
	}
	return q, known
}

// Mirrored is the land as a scan that runs the other way would show it.
func (l *Land) Mirrored() *Land {
	m := *l
	m.q = make([]int8, len(l.q))
	for i, v := range l.q {
		m.q[len(l.q)-1-i] = v
	}
	return &m
}

// Quality says how much a comparison with a land can be worth, and why.
type Quality struct {
	RMS        float64 `json:"rms"`         // µm, between 20 and 120 µm wavelength
	Width      float64 `json:"width"`       // µm from shoulder to shoulder
	Agreement  float64 `json:"agreement"`   // mean correlation of the cross-sections that were taken, part by part
	ValidShare float64 `json:"valid_share"` // of the samples between the shoulders
	BandFrom   float64 `json:"band_from"`   // µm from the scan's first row (column where transposed)
	BandTo     float64 `json:"band_to"`
	Slant      float64 `json:"slant"` // of the striae, µm across per mm along
	// Transposed: the scan's columns, not its rows, run across the striae. A
	// transposition mirrors, so compare such a scan with others in every arrangement.
	Transposed bool     `json:"transposed"`
	Reasons    []string `json:"reasons,omitempty"`
	Accept     bool     `json:"accept"` // RMS ≥ 0.25 µm; a land that is not accepted is never compared
}

const (
	goodAgreement = 0.4
	goodShare     = 0.9
)

// EncodeLand turns a scan of one land engraved area into its signature. The scan
// is raw, its long side across the striae, rows or columns; it is not changed.
// Errors: ErrNotALand or what is wrong with the scan's units. A signature comes
// with its quality even where Accept is false.
func EncodeLand(scan *x3p.Scan) (*Land, Quality, error) {
	l, q, err := encodeLand(scan)
	if err != nil {
		return nil, Quality{}, fmt.Errorf("encode land: %w", err)
	}
	return l, q, nil
}

func encodeLand(scan *x3p.Scan) (*Land, Quality, error) {
	var q Quality
	if scan == nil {
		return nil, q, fmt.Errorf("%w: no scan", ErrNotALand)
	}
	if err := scan.CheckUnits(); err != nil {
		return nil, q, err
	}
	v, err := lay(scan)
	if err != nil {
		return nil, q, err
	}
	slabs := v.slabs()
	edge, ok := land(through(slabs))
	if !ok {
		return nil, q, fmt.Errorf("%w: no cross-section of %d µm was measured", ErrNotALand, int(leastPoints*workPitch))
	}
	r := newRelief(slabs, edge)
	slant := r.slant()
	r.straighten(slant)
	profile, parts, agreement := r.combined()
	rms, samples := quantise(profile)
	if len(samples) == 0 {
		return nil, q, fmt.Errorf("%w: no striae between the shoulders", ErrNotALand)
	}
	l, err := newLand(uint16(min(float64(rms*1000)+0.5, math.MaxUint16)), samples)
	if err != nil {
		return nil, q, fmt.Errorf("%w: %v", ErrNotALand, err)
	}
	slab := max(slabHeight, v.py) // µm
	from, to := extent(parts)
	q = Quality{
		RMS: rms, Width: float64(float64(edge.hi-edge.lo) * workPitch), Agreement: agreement,
		ValidShare: float64(l.known) / float64(len(l.q)), Transposed: v.transposed,
		BandFrom: float64(float64(from) * slab), BandTo: float64(float64(to) * slab),
		Slant:  float64(1000*float64(slant*workPitch)) / slab,
		Accept: l.Passes(),
	}
	q.explain(edge)
	return l, q, nil
}

func (q *Quality) explain(edge limits) {
	say := func(format string, args ...any) { q.Reasons = append(q.Reasons, fmt.Sprintf(format, args...)) }
	if !q.Accept {
		say("weak marks: %.2f µm RMS, at least %.2f are needed", q.RMS, MinRMS)
	}
	if q.Agreement < goodAgreement {
		say("striae do not run through: cross-sections agree at %.2f", q.Agreement)
	}
	if q.ValidShare < goodShare {
		say("%.0f %% valid", 100*q.ValidShare)
	}
	switch {
	case edge.fallback:
		say("no plausible shoulders: the central two thirds were taken")
	case !edge.foundLo && !edge.foundHi:
		say("no shoulders found: the whole width was taken")
	case !edge.foundLo:
		say("no shoulder found on the first side")
	case !edge.foundHi:
		say("no shoulder found on the last side")
	}
	if q.Transposed {
		say("columns run across the striae: transposed, which mirrors")
	}
}

// quantise averages marks to samples around the middle of the land, clips them
// at 1.5 robust standard deviations, and returns their RMS in µm and the levels.
func quantise(m line) (float64, []int8) {
	n := min(len(m.z)/perSample, MaxSamples)
	start := (len(m.z) - n*perSample) / 2
	v := newLine(n)
	var sizes []float64
	for i := range n {
		sum, count := 0.0, 0
		for j := start + i*perSample; j < start+(i+1)*perSample; j++ {
			if m.ok[j] {
				sum += m.z[j]
				count++
			}
		}
		if 2*count >= perSample {
			v.z[i], v.ok[i] = sum/float64(count), true
			sizes = append(sizes, math.Abs(v.z[i]))
		}
	}
	clip := float64(clipSigma * float64(madToSigma*median(sizes)))
	square := 0.0
	for i := range v.z {
		v.z[i] = min(max(v.z[i], -clip), clip)
		square += float64(v.z[i] * v.z[i])
	}
	rms := math.Sqrt(square / float64(max(len(sizes), 1)))
	q := make([]int8, n)
	for i := range q {
		switch {
		case !v.ok[i]:
			q[i] = missing
		case rms > 0:
			steps := float64(levels * min(max(v.z[i]/rms, -clipSigma), clipSigma) / clipSigma)
			q[i] = int8(math.Floor(steps + 0.5))
		}
	}
	for len(q) > 0 && q[0] == missing {
		q = q[1:]
	}
	for len(q) > 0 && q[len(q)-1] == missing {
		q = q[:len(q)-1]
	}
	return rms, q
}
