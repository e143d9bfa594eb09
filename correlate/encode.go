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
	ValidShare float64  `json:"valid_share"` // of the ring between the aperture and the face's edge
	RMS        float64  `json:"rms"`         // µm, of the marks between 80 and 250 µm wavelength
	AreaMM2    float64  `json:"area_mm2"`    // of the signature's valid pixels
	Reasons    []string `json:"reasons,omitempty"`
	Accept     bool     `json:"accept"`
	// OriginX and OriginY are where the comparison frame's origin lies, in µm from
	// the scan's first corner (half a spacing before the first point's centre).
	OriginX float64 `json:"origin_x"`
	OriginY float64 `json:"origin_y"`
}

// Limits of the quality gate. Fadul's 40 marks have 0.47–1.03 µm RMS and
// 2.3–4.6 mm²; below the gate a comparison is noise against noise.
const (
	goodRMS     = 0.40 // µm
	leastRMS    = 0.05 // µm
	goodArea    = 2.0  // mm²
	leastArea   = 0.4  // mm²
	goodShare   = 0.60
	noCentre    = 0.7 // factor on the score where no aperture was found
	acceptScore = 0.15
)

// Encode turns a scan into a signature: resample, find the face, centre on the
// firing-pin aperture, filter, quantise. The scan may be raw or already cropped
// and filtered; it is not changed. Errors: ErrUnsupportedROI, ErrNoMark, or what
// is wrong with the scan's units. A signature comes with its quality even where
// Accept is false: the caller decides whether a person may overrule the gate.
func Encode(scan *x3p.Scan, roi ROI) (*Signature, Quality, error) {
	return EncodeWith(scan, roi, Options{})
}

// EncodeWith is [Encode] with options. A mask that does not fit the scan and a
// sector of nothing are errors too.
func EncodeWith(scan *x3p.Scan, roi ROI, o Options) (*Signature, Quality, error) {
	if roi != BreechFace {
		if _, err := ParseROI(string(roi)); err != nil {
			return nil, Quality{}, err
		}
		return nil, Quality{}, fmt.Errorf("encode %s: %w, which encodes breech faces only", roi, ErrUnsupportedROI)
	}
	if scan == nil {
		return nil, Quality{}, fmt.Errorf("encode %s: no scan", roi)
	}
	if err := scan.CheckUnits(); err != nil {
		return nil, Quality{}, fmt.Errorf("encode %s: %w", roi, err)
	}
	s, c, err := o.region(scan)
	if err != nil {
		return nil, Quality{}, fmt.Errorf("encode %s: %w", roi, err)
	}
	m := bandPass(s)
	sig := quantise(m, c, maxSteps)
	if len(sig.encode()) > MaxSignatureSize {
		sig = quantise(m, c, maxSteps-1)
	}
	if sig.valid < minPixels {
		return nil, Quality{}, fmt.Errorf("encode %s: %w: nothing is left within %.1f mm of the centre", roi, ErrNoMark, halfFrame/1000)
	}
	sig.rms = uint16(min(float64(m.rms*1000)+0.5, math.MaxUint16))
	sig.fit(m, c)
	q := assess(sig, c, m.rms)
	sig.quality = uint8(float64(q.Score*255) + 0.5)
	return sig, q, nil
}

// assess scores a signature and gives the reasons in words.
func assess(s *Signature, c centre, rms float64) Quality {
	q := Quality{RMS: rms, AreaMM2: s.AreaMM2(), ValidShare: ringShare(s), OriginX: c.x, OriginY: c.y}
	q.Score = float64(min(rms/goodRMS, 1) * float64(math.Sqrt(min(q.AreaMM2/goodArea, 1))*math.Sqrt(min(q.ValidShare/goodShare, 1))))
	if !c.kind.round() {
		q.Score = float64(q.Score * noCentre)
	}
	if q.ValidShare < goodShare {
		q.Reasons = append(q.Reasons, fmt.Sprintf("%.0f %% valid", 100*q.ValidShare))
	}
	if q.AreaMM2 < goodArea {
		q.Reasons = append(q.Reasons, fmt.Sprintf("small mark: %.2f mm²", q.AreaMM2))
	}
	if rms < goodRMS {
		q.Reasons = append(q.Reasons, fmt.Sprintf("weak marks: %.2f µm RMS", rms))
	}
	switch c.kind {
	case centreArc:
		q.Reasons = append(q.Reasons, "partial mark: centred on an arc of the aperture")
	case centreHole:
		q.Reasons = append(q.Reasons, "aperture is not round: centred on the hole")
	case centreMask:
		q.Reasons = append(q.Reasons, "no aperture found")
	}
	q.Accept = q.Score >= acceptScore && rms >= leastRMS && q.AreaMM2 >= leastArea
	return q
}

// ringShare is the share of valid pixels in the ring between the aperture (or
// the centre) and the radius that 98 % of the valid pixels lie within.
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
