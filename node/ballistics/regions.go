package ballistics

import (
	"errors"
	"fmt"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/shear"
	"proofmark/node/index"
	"proofmark/protocol"
)

// method is how the signatures of one region are made.
type method struct {
	kind      string // of the exhibits that have the region
	algorithm string
	encode    func(*NewAcquisition, correlate.ROI) (*encoded, error) // nil: there is no way yet
}

// methods of the regions that exhibits are acquired by.
var methods = map[correlate.ROI]method{
	correlate.BreechFace:    {protocol.CartridgeCase, correlate.Algorithm, encodeAreal},
	correlate.FiringPin:     {protocol.CartridgeCase, correlate.FiringPinAlgorithm, encodeAreal},
	correlate.ApertureShear: {protocol.CartridgeCase, shear.Algorithm, encodeShear},
	correlate.EjectorMark:   {kind: protocol.CartridgeCase},
	correlate.LEA:           {protocol.Bullet, bullet.Algorithm, encodeLands},
}

// hasRegion tells whether a kind of exhibit has a region.
func hasRegion(kind string, roi correlate.ROI) bool { return methods[roi].kind == kind }

// judge validates the bytes of a signature by its region and algorithm. notCompared says why one that is in order is kept without being compared; an
// error, why it cannot be what it says it is.
func judge(roi correlate.ROI, kind, algorithm string, b []byte) (notCompared string, err error) {
	if !hasRegion(kind, roi) {
		return "", fmt.Errorf("a %s has no %s", kind, roi)
	}
	switch err := index.Check(roi, algorithm, b); {
	case errors.Is(err, index.ErrNotComparable):
		return unknownHere(roi, algorithm)
	case err != nil:
		return "", err
	}
	return tooWeak(roi, b)
}

// unknownHere tells an algorithm that this node does not know from one that it knows to be another region's.
func unknownHere(roi correlate.ROI, algorithm string) (string, error) {
	for _, other := range []correlate.ROI{correlate.BreechFace, correlate.FiringPin, correlate.ApertureShear, correlate.LEA} {
		if index.Comparable(other, algorithm) {
			return "", fmt.Errorf("the algorithm %s is for the %s and cannot describe the %s", algorithm, other, roi)
		}
	}
	return fmt.Sprintf("this node does not know the algorithm %.64s", algorithm), nil
}

// tooWeak says why no comparison could be made with a signature of marks below the quality gate.
func tooWeak(roi correlate.ROI, b []byte) (string, error) {
	switch roi {
	case correlate.LEA:
		s, err := bullet.Decode(b)
		if err != nil {
			return "", err
		}
		if n := s.Passing(); n < bullet.MinLands {
			return fmt.Sprintf("%d of its lands pass the quality gate, at least %d must", n, bullet.MinLands), nil
		}
	case correlate.ApertureShear:
		s, err := shear.Decode(b)
		if err != nil {
			return "", err
		}
		if !s.Passes() {
			return fmt.Sprintf("its striae of %.2f µm RMS are below the quality gate of %.2f", s.RMS(), shear.MinRMS), nil
		}
	}
	return "", nil
}
