package shear

import (
	"fmt"
	"math"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/x3p"
)

// Quality says how much a comparison with a mark can be worth, and why.
type Quality struct {
	Score      float64 `json:"score"`       // 0 to 1
	RMS        float64 `json:"rms"`         // µm, between 20 and 120 µm wavelength
	Width      float64 `json:"width"`       // µm across the striae
	AreaMM2    float64 `json:"area_mm2"`    // of the facet
	ValidShare float64 `json:"valid_share"` // of the samples between the ends
	Direction  float64 `json:"direction"`   // degrees from x towards y, across the striae, 0 to 180
	Coherence  float64 `json:"coherence"`   // 0 to 1, how uniform the direction is
	Agreement  float64 `json:"agreement"`   // correlation of every other strip of 25 µm along the striae with the rest
	Drawn      bool    `json:"drawn"`       // the region is a drawn mask's
	// CentreX and CentreY are the facet's middle, µm from the scan's first corner.
	CentreX float64  `json:"centre_x"`
	CentreY float64  `json:"centre_y"`
	Reasons []string `json:"reasons,omitempty"`
	Accept  bool     `json:"accept"`

	samples, known int // between the ends, and of these not missing
}

// Limits of the quality. Where they lie on real marks is not known: the set of
// development has none.
const (
	goodRMS        = 0.40 // µm
	goodWidth      = 600.0
	goodShare      = 0.9
	goodAgreement  = 0.6
	leastAgreement = 0.25
	leastCoherence = 0.30
	fullFacet      = 0.2 // mm², from which a larger facet is no better
	coarsest       = 7.0 // µm of spacing: the shortest wavelength kept is 20 µm
)

// Encode turns a scan of aperture shear into its signature. The scan is raw: a
// primer with aperture and facet, or the facet alone. A mask that a person drew
// around the striae (o.Mask) wins over what is found; o.Sector has no meaning
// here and is refused. The scan is not changed. Errors: ErrNoStriae,
// correlate.ErrNoMark, or what is wrong with scan, mask or units. A signature comes
// with its quality even where Accept is false.
func Encode(scan *x3p.Scan, o correlate.Options) (*Mark, Quality, error) {
	m, q, err := encode(scan, o)
	if err != nil {
		return nil, Quality{}, fmt.Errorf("encode aperture shear: %w", err)
	}
	return m, q, nil
}

func encode(scan *x3p.Scan, o correlate.Options) (*Mark, Quality, error) {
	switch {
	case scan == nil:
		return nil, Quality{}, fmt.Errorf("no scan")
	case o.Sector != nil:
		return nil, Quality{}, fmt.Errorf("a sector of a face says nothing of striae: leave it out")
	}
	if err := scan.CheckUnits(); err != nil {
		return nil, Quality{}, err
	}
	if px, py := scan.IncX*1e6, scan.IncY*1e6; px > coarsest || py > coarsest {
		return nil, Quality{}, fmt.Errorf("spacing %.2f × %.2f µm, at most %.0f for striae: scan at higher magnification", px, py, coarsest)
	}
	var regions []region
	if o.Mask != nil {
		if o.Mask.SizeX != scan.SizeX || o.Mask.SizeY != scan.SizeY || len(o.Mask.Keep) != len(scan.Z) {
			return nil, Quality{}, fmt.Errorf("mask: %d × %d points, the scan has %d × %d", o.Mask.SizeX, o.Mask.SizeY, scan.SizeX, scan.SizeY)
		}
		regions = []region{drawnRegion(scan, o.Mask)}
	} else {
		open, err := correlate.BesideAperture(scan)
		if err != nil {
			return nil, Quality{}, err
		}
		if regions = striated(scan, open); len(regions) == 0 {
			return nil, Quality{}, fmt.Errorf("%w: no striated facet beside the aperture; draw a mask around the striae", ErrNoStriae)
		}
	}
	var mark *relief
	var q Quality
	across, most := 0, -1.0
	for _, m := range regions {
		f, err := correlate.FacetUnder(scan, m.keep)
		if err != nil {
			return nil, Quality{}, err
		}
		r := newRelief(scan, f)
		k, coherence := m.direction()
		g := r.turned(k, searchRows)
		rms, samples := bullet.Striae(g.section(all))
		if len(samples) < MinSamples && len(regions) > 1 { // the pin's flanks may be striated too
			continue
		}
		if worth := float64(float64(coherence*math.Sqrt(min(f.Area/fullFacet, 1))) * min(rms/goodRMS, 1)); worth > most {
			mark, across, most = r, k, worth
			q = Quality{AreaMM2: f.Area, Coherence: coherence, CentreX: r.cornerX + r.mx, CentreY: r.cornerY + r.my, Drawn: o.Mask != nil}
		}
	}
	if mark == nil {
		return nil, Quality{}, fmt.Errorf("%w: no striated facet beside the aperture is %.0f µm wide; draw a mask around the striae", ErrNoStriae, MinSamples*SamplePitch)
	}
	if q.Coherence < leastCoherence {
		return nil, Quality{}, fmt.Errorf("%w: the marks have no direction (coherence %.2f, at least %.2f); draw the mask around the striae alone", ErrNoStriae, q.Coherence, leastCoherence)
	}
	across = mark.refine(across)
	q.Direction = float64(across) / 2
	g := mark.turned(across, mostRows)
	rms, samples := bullet.Striae(g.section(all))
	m, err := newMark(uint16(min(float64(rms*1000)+0.5, math.MaxUint16)), samples)
	if err != nil {
		return nil, Quality{}, fmt.Errorf("%w: %v", ErrNoStriae, err)
	}
	q.RMS, q.Width, q.ValidShare = rms, m.Width(), float64(m.known)/float64(len(m.q))
	q.samples, q.known = len(m.q), m.known
	_, first := bullet.Striae(g.section(g.alternate(0)))
	_, second := bullet.Striae(g.section(g.alternate(1)))
	q.Agreement = stripsAgree(first, second)
	q.explain()
	m.quality = uint8(float64(q.Score*255) + 0.5)
	return m, q, nil
}

func (q *Quality) explain() {
	say := func(format string, args ...any) { q.Reasons = append(q.Reasons, fmt.Sprintf(format, args...)) }
	q.Score = float64(min(q.RMS/goodRMS, 1) * float64(math.Sqrt(min(q.Width/goodWidth, 1))*float64(min(max(q.Agreement, 0)/goodAgreement, 1)*min(q.ValidShare/goodShare, 1))))
	if q.ValidShare < goodShare {
		say("%.0f %% valid", 100*q.ValidShare)
	}
	if q.Width < goodWidth {
		say("narrow mark: %.0f µm across the striae", q.Width)
	}
	if q.RMS < goodRMS {
		say("weak marks: %.2f µm RMS", q.RMS)
	}
	if q.Agreement < goodAgreement {
		say("striae do not run through: strips of the facet agree at %.2f", q.Agreement)
	}
	gaps := q.known < leastOverlap(q.samples)
	if gaps {
		say("gaps: %d of %d samples are there, another mark of this width needs %d to be compared; draw the mask around one facet", q.known, q.samples, leastOverlap(q.samples))
	}
	q.Accept = q.RMS >= MinRMS && q.Agreement >= leastAgreement && !gaps
}

// stripsAgree correlates two sections that lie side by side up to a few samples.
func stripsAgree(first, second []int) float64 {
	a, b := levelsOf(first), levelsOf(second)
	best := 0.0
	for lag := -8; lag <= 8; lag++ {
		if r, n := correlation(a, b, (len(b)-len(a))/2+lag); n >= MinSamples/2 {
			best = max(best, r)
		}
	}
	return best
}

func levelsOf(samples []int) []int8 {
	q := make([]int8, len(samples))
	for i, v := range samples {
		q[i] = int8(v)
	}
	return q
}
