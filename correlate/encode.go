package correlate

import (
	"fmt"
	"math"
	"sort"

	"proofmark/correlate/x3p"
)

// Quality says how much a comparison with this scan can be worth, and why.
type Quality struct {
	Score      float64  `json:"score"`       // 0 to 1
	ValidShare float64  `json:"valid_share"` // of the ring between the aperture and the face's edge, or of the impression's disc
	RMS        float64  `json:"rms"`         // µm, of the marks in the region's band, see Signature.RMS
	AreaMM2    float64  `json:"area_mm2"`    // of the signature's valid pixels
	Reasons    []string `json:"reasons,omitempty"`
	Accept     bool     `json:"accept"`
	// OriginX and OriginY are where the comparison frame's origin lies, in µm from
	// the scan's first corner (half a spacing before the first point's centre).
	OriginX float64 `json:"origin_x"`
	OriginY float64 `json:"origin_y"`
}

// gate holds the limits of the quality gate of a region. Fadul's 40 breech faces
// have 0.47–1.03 µm RMS and 2.3–4.6 mm², and a tenth of one, 0.23–0.46 mm², still
// finds its mates (docs/accuracy.md); below the gate a comparison is noise against
// noise.
type gate struct {
	goodRMS, leastRMS   float64 // µm
	goodArea, leastArea float64 // mm²
	goodShare           float64
	acceptScore         float64
	// leastUnround is the valid share below which a mark with no round outline is a
	// pin's edge or groove that follows no form: what is left shows its class.
	leastUnround float64
}

const noCentre = 0.7 // factor on the score where no aperture or outline was found

// Encode turns a scan into a signature: resample, find the region, centre it,
// filter, quantise. A breech face is centred on the firing-pin aperture, a
// firing-pin impression on its outline. The scan may be raw or already cropped
// and filtered; it is not changed. Errors: ErrUnsupportedROI, ErrNoMark, or what
// is wrong with the scan's units. A signature comes with its quality even where
// Accept is false: the caller decides whether a person may overrule the gate.
func Encode(scan *x3p.Scan, roi ROI) (*Signature, Quality, error) {
	return EncodeWith(scan, roi, Options{})
}

// EncodeWith is [Encode] with options. A mask that does not fit the scan and a
// sector of nothing are errors too.
func EncodeWith(scan *x3p.Scan, roi ROI, o Options) (*Signature, Quality, error) {
	code, err := codeOf(roi)
	if err != nil {
		return nil, Quality{}, fmt.Errorf("encode %s: %w", roi, err)
	}
	if scan == nil {
		return nil, Quality{}, fmt.Errorf("encode %s: no scan", roi)
	}
	if err := scan.CheckUnits(); err != nil {
		return nil, Quality{}, fmt.Errorf("encode %s: %w", roi, err)
	}
	find := o.region
	if roi == FiringPin {
		find = o.pin
	}
	f, err := find(scan)
	if err != nil {
		return nil, Quality{}, fmt.Errorf("encode %s: %w", roi, err)
	}
	m := bandPass(f.surface)
	sig := quantise(m, f.centre, code, maxSteps)
	if len(sig.encode()) > MaxSignatureSize {
		sig = quantise(m, f.centre, code, maxSteps-1)
	}
	if sig.valid < minPixels {
		return nil, Quality{}, fmt.Errorf("encode %s: %w: nothing is left within %.1f mm of the centre", roi, ErrNoMark, float64(halfFrame*regions[code].unit)/1000)
	}
	sig.rms = uint16(min(float64(m.rms*1000)+0.5, math.MaxUint16))
	sig.fit(m, f.centre)
	q := assess(sig, f, m.rms)
	sig.quality = uint8(float64(q.Score*255) + 0.5)
	return sig, q, nil
}

// found is a region on its way from scan to signature: the levelled surface, the
// origin on it, and what a person should know of how they were found.
type found struct {
	*surface
	centre
	cornerX, cornerY float64  // µm of the exhibit, of the surface's corner from the scan's
	remarks          []string // reasons for care
}

// assess scores a signature and gives the reasons in words.
func assess(s *Signature, f found, rms float64) Quality {
	r := s.kind()
	g := r.limits
	q := Quality{RMS: rms, AreaMM2: s.AreaMM2(), ValidShare: ringShare(s),
		OriginX: f.cornerX + float64(f.x*r.unit), OriginY: f.cornerY + float64(f.y*r.unit)}
	q.Score = float64(min(rms/g.goodRMS, 1) * float64(math.Sqrt(min(q.AreaMM2/g.goodArea, 1))*math.Sqrt(min(q.ValidShare/g.goodShare, 1))))
	if !f.kind.round() {
		q.Score = float64(q.Score * noCentre)
	}
	if q.ValidShare < g.goodShare {
		q.Reasons = append(q.Reasons, fmt.Sprintf("%.0f %% valid", 100*q.ValidShare))
	}
	if q.AreaMM2 < g.goodArea {
		q.Reasons = append(q.Reasons, fmt.Sprintf("small mark: %.2f mm²", q.AreaMM2))
	}
	if rms < g.goodRMS {
		q.Reasons = append(q.Reasons, fmt.Sprintf("weak marks: %.2f µm RMS", rms))
	}
	if text := r.origins[f.kind]; text != "" {
		q.Reasons = append(q.Reasons, text)
	}
	q.Reasons = append(q.Reasons, f.remarks...)
	q.Accept = q.Score >= g.acceptScore && rms >= g.leastRMS && q.AreaMM2 >= g.leastArea
	if !f.kind.round() && q.ValidShare < g.leastUnround {
		q.Accept = false
	}
	return q
}

// ringShare is the share of valid pixels in the ring between the aperture (or
// the centre) and the radius that 98 % of the valid pixels lie within. A
// firing-pin impression is a disc out to that radius.
func ringShare(s *Signature) float64 {
	radii := make([]int, 0, s.valid)
	square := func(i int) int {
		x, y := 2*(i%side)+1-side, 2*(i/side)+1-side
		return x*x + y*y
	}
	for i, v := range s.pixels {
		if v != 0 {
			radii = append(radii, square(i))
		}
	}
	if len(radii) == 0 {
		return 0
	}
	sort.Ints(radii)
	outer := radii[len(radii)*98/100]
	inner := 10 * float64(s.aperture) / rasterPitch
	if s.region == roiCodeFiringPin {
		inner = 0
	}
	inside, valid := 0, 0
	for i, v := range s.pixels {
		if d := square(i); d <= outer && float64(d) >= float64(inner*inner) {
			inside++
			if v != 0 {
				valid++
			}
		}
	}
	if inside == 0 {
		return 0
	}
	return float64(valid) / float64(inside)
}

// fit drops the weakest marks until the binary form keeps within
// MaxSignatureSize: where the face touched lightly there is more noise than mark.
func (s *Signature) fit(m *marks, c centre) {
	for len(s.encode()) > MaxSignatureSize {
		order := s.byPower(m, c)
		drop := max(len(order)/20, 1)
		for _, i := range order[:drop] {
			s.pixels[i] = 0
		}
		s.bound()
	}
}

// byPower lists the valid pixels, weakest local RMS first.
func (s *Signature) byPower(m *marks, c centre) []int {
	order := make([]int, 0, s.valid)
	power := make([]float64, side*side)
	for i, v := range s.pixels {
		if v == 0 {
			continue
		}
		x := int((c.x - halfFrame + float64((float64(i%side)+0.5)*pixelPitch)) / workPitch)
		y := int((c.y - halfFrame + float64((float64(i/side)+0.5)*pixelPitch)) / workPitch)
		x, y = min(max(x, 0), m.nx-1), min(max(y, 0), m.ny-1)
		power[i] = m.power[y*m.nx+x]
		order = append(order, i)
	}
	sort.SliceStable(order, func(a, b int) bool { return power[order[a]] < power[order[b]] })
	return order
}
