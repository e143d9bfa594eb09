// Package correlate turns a scan of a toolmark into a compact signature and
// ranks signatures against each other. It is pure computation: it refuses to
// know where scans come from, who owns a signature or what a candidate leads to.
//
// The way of a breech face:
//
//	scan → surface (surface.go) → face and aperture (segment.go, centre.go)
//	     → band-passed, locally normalised marks (filter.go, waviness.go)
//	     → six-level picture in at most 2,500 bytes (signature.go, picture.go, coder.go)
//	     → template (template.go, polar.go)
//	     → comparison: all poses coarsely (coarse.go; of partial marks window.go
//	       around the origin of origin.go), the best ones finely
//	       (fine.go), congruent cells (cells.go)
//
// Lengths are micrometres and angles degrees unless a name says otherwise; X
// grows to the right and Y downwards, as the scan's rows do.
//
// Everything from scan to score is made to give the same bits on every
// architecture: floating-point products are rounded explicitly, float64(x*y)+z,
// so that no compiler may fuse them, the few transcendental functions needed
// are in package exact, and everything after the signature is integer arithmetic but
// for single IEEE divisions and square roots.
package correlate

import (
	"errors"
	"fmt"
)

// Algorithm names the version of the whole way from scan to score. It stands in
// every signature's documents and in every candidate; scores of different
// versions are not comparable.
const Algorithm = "proofmark-bf/1"

// ROI is a region of interest on a cartridge case or bullet.
type ROI string

// The regions of interest that exhibits are acquired by.
const (
	BreechFace    ROI = "breech-face"
	FiringPin     ROI = "firing-pin"
	ApertureShear ROI = "aperture-shear"
	EjectorMark   ROI = "ejector-mark"
	LEA           ROI = "lea" // land engraved areas of a bullet
)

// Errors on which callers decide.
var (
	// ErrUnsupportedROI: the region is known but this package cannot encode it.
	ErrUnsupportedROI = errors.New("region of interest cannot be encoded")
	// ErrUnknownROI: the text names no region of interest.
	ErrUnknownROI = errors.New("unknown region of interest")
	// ErrNoMark: the scan holds no surface that could be the region.
	ErrNoMark = errors.New("no mark found in the scan")
	// ErrBadSignature: bytes are not a signature in canonical form.
	ErrBadSignature = errors.New("not a valid signature")
)

// ParseROI reads a region's name as it is written on the wire and on the command line.
func ParseROI(s string) (ROI, error) {
	switch r := ROI(s); r {
	case BreechFace, FiringPin, ApertureShear, EjectorMark, LEA:
		return r, nil
	}
	return "", fmt.Errorf("%w %q: use breech-face, firing-pin, aperture-shear, ejector-mark or lea", ErrUnknownROI, s)
}
