// Package shear turns scans of aperture shear — the striae that the edge of the
// firing-pin aperture draws over a primer as the barrel unlocks — into a compact
// signature and compares such marks. It is pure computation: it refuses to know
// where scans come from, who owns a signature or what a candidate leads to.
//
// The way of a mark:
//
//	scan → what lies beside the aperture (correlate.BesideAperture), of it the facet
//	       that is striated (striated.go), or what a person drew
//	     → direction of the striae (direction.go)
//	     → cross-section, the median along them (section.go)
//	     → 4 bit per 6.25 µm, as a bullet's lands (signature.go)
//
// and of a comparison: all lags at which enough of both marks overlaps, read both
// ways, because a mark alone does not tell which end of its cross-section is the
// first (compare.go); a gallery is searched linearly (gallery.go).
//
// Lengths are micrometres unless a name says otherwise. Everything from scan to
// score gives the same bits on every architecture, as in package correlate.
package shear

import "errors"

// Algorithm names the version of the whole way from scan to score. Scores of
// different versions are not comparable.
const Algorithm = "proofmark-as/1"

const (
	// SamplePitch is the distance of a mark's samples in µm.
	SamplePitch = 6.25
	// MaxSamples of a mark: 2 mm.
	MaxSamples = 320
	// MinSamples of a mark that are not missing: 300 µm.
	MinSamples = 48
	// MinRMS is the quality gate in µm: a mark with weaker striae is never compared.
	MinRMS = 0.15
)

// Errors on which callers decide.
var (
	// ErrNoStriae: no facet of the scan bears striae of one direction.
	ErrNoStriae = errors.New("no aperture shear found in the scan")
	// ErrBadSignature: bytes are not a signature in canonical form.
	ErrBadSignature = errors.New("not a valid aperture-shear signature")
	// ErrBelowGate: the striae are too weak to be compared with any.
	ErrBelowGate = errors.New("the striae are below the quality gate")
)
