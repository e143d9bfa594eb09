package correlate

import "fmt"

// FiringPinAlgorithm names the version of the way of a firing-pin impression.
// From the levelled surface on it is [Algorithm]'s with all lengths at 2/5.
const FiringPinAlgorithm = "proofmark-fp/1"

// region is a kind of mark that this package encodes. All of them share one way
// from surface to score, whose lengths are written in µm of a breech face; a
// smaller region is read through a magnifying glass.
type region struct {
	roi       ROI
	algorithm string
	unit      float64 // µm of the exhibit in one µm of the frame
	limits    gate
	origins   [centreMask + 1]string // what each kind of origin says against the mark
}

// regions by their code in the header.
var regions = [...]*region{
	roiCodeBreechFace: {BreechFace, Algorithm, 1, gate{
		goodRMS: 0.40, leastRMS: 0.05, goodArea: 2.0, leastArea: 0.2, goodShare: 0.60, acceptScore: 0.10,
	}, [...]string{
		centreArc:  "partial mark: centred on an arc of the aperture",
		centreHole: "aperture is not round: centred on the hole",
		centreMask: "no aperture found",
	}},
	// No real impression was at hand for these: areas are the breech face's on the
	// smaller scale, heights those at which the generator's marks stand clear of an
	// instrument's noise.
	roiCodeFiringPin: {FiringPin, FiringPinAlgorithm, 0.4, gate{
		goodRMS: 0.25, leastRMS: 0.05, goodArea: 0.32, leastArea: 0.032, goodShare: 0.60, acceptScore: 0.10,
		leastUnround: 0.15,
	}, [...]string{
		centreArc:  "partial impression: centred on an arc of its outline",
		centreHole: "outline is not round: centred on its middle",
		centreMask: "no outline found: centred on what is there",
	}},
}

const (
	roiCodeBreechFace = 1
	roiCodeFiringPin  = 2
)

// codeOf a region that this package encodes.
func codeOf(roi ROI) (uint8, error) {
	for code, r := range regions {
		if r != nil && r.roi == roi {
			return uint8(code), nil
		}
	}
	if _, err := ParseROI(string(roi)); err != nil {
		return 0, err
	}
	switch roi {
	case LEA:
		return 0, fmt.Errorf("%w here: land engraved areas are encoded by package bullet", ErrUnsupportedROI)
	case ApertureShear:
		return 0, fmt.Errorf("%w here: aperture shear is encoded by package shear", ErrUnsupportedROI)
	}
	return 0, fmt.Errorf("%w: scan the breech face, the firing-pin impression or the aperture shear of the exhibit", ErrUnsupportedROI)
}

// AlgorithmOf names the algorithm that this package encodes a region with; false
// for a region that it does not encode.
func AlgorithmOf(roi ROI) (string, bool) {
	code, err := codeOf(roi)
	if err != nil {
		return "", false
	}
	return regions[code].algorithm, true
}

func (s *Signature) kind() *region { return regions[s.region] }

// ROI of the signature, as its header says.
func (s *Signature) ROI() ROI { return s.kind().roi }

// Algorithm that the signature belongs to.
func (s *Signature) Algorithm() string { return s.kind().algorithm }

// inFrameOf tells a comparison in µm of the exhibit.
func (c *Comparison) inFrameOf(r *region) {
	c.OverlapMM2 = float64(c.OverlapMM2 * float64(r.unit*r.unit))
	c.Pose.ShiftX, c.Pose.ShiftY = float64(c.Pose.ShiftX*r.unit), float64(c.Pose.ShiftY*r.unit)
	for i := range c.CellMap {
		e := &c.CellMap[i]
		e.X, e.Y = float64(e.X*r.unit), float64(e.Y*r.unit)
		e.ShiftX, e.ShiftY = float64(e.ShiftX*r.unit), float64(e.ShiftY*r.unit)
	}
}

// reach of a comparison with this signature. How well impressions of one pin agree
// in their outlines is not known from real ones: they are given more room.
func (s *Signature) reach() reach {
	if s.region == roiCodeFiringPin && s.centre == centreAperture {
		return reachArc
	}
	return s.centre.reach()
}
