// Package bullet turns scans of a bullet's land engraved areas into a compact
// signature and compares bullets over all phases. It is pure computation: it
// refuses to know where scans come from, who owns a signature or what a
// candidate leads to, and it knows nothing of cartridge cases.
//
// The way of a land:
//
//	scan → slabs across the striae (slabs.go) → the shoulders, in the band where
//	striae run through (band.go, profile.go) → form taken off each slab, band-passed
//	(filter.go), slanted striae set upright (relief.go) → of each part of the width the
//	slabs that agree (parts.go) → 4 bit per 6.25 µm (land.go, signature.go)
//
// and of a comparison: two lands over all lags in 4 bit (heights.go, score.go) or
// coarsely in three values (ternary.go), two bullets over all phases and scales
// (phase.go, reading.go, compare.go), a gallery coarse to fine (gallery.go, scan.go,
// search.go). What costs time is counted by kernels (kernel.go).
//
// Lengths are micrometres unless a name says otherwise. x runs across the striae,
// from the first to the last column of the scan.
//
// Scan to score gives the same bits on every architecture: floating-point
// products are rounded explicitly, float64(x*y)+z, so that no compiler may fuse
// them, transcendental functions are in package exact, and after the signature all is
// integer arithmetic but for single IEEE operations and sums in a fixed order.
package bullet

import "errors"

// Algorithm names the version of the whole way from scan to score. Scores of
// different versions are not comparable.
const Algorithm = "proofmark-lea/1"

// Limits of a signature.
const (
	// MaxLands is the largest number of lands of a barrel.
	MaxLands = 8
	// SamplePitch is the distance of a land's samples in µm.
	SamplePitch = 6.25
	// MaxSamples of one land: 2 mm.
	MaxSamples = 320
	// MinRMS is the quality gate in µm: a land with weaker marks is never compared.
	MinRMS = 0.25
	// MinLands is how many lands of each bullet a phase needs to be counted.
	MinLands = 3
	// MinContrast between the best phase and the second; below it a comparison is
	// inconclusive.
	MinContrast = 0.1
	// ChanceZ is the mean Z of lands that have nothing to do with each other.
	ChanceZ = 0.25
)

// Errors on which callers decide.
var (
	// ErrNotALand: the scan cannot be one of a land engraved area.
	ErrNotALand = errors.New("not a scan of a land engraved area")
	// ErrBadSignature: bytes are not a signature in canonical form.
	ErrBadSignature = errors.New("not a valid bullet signature")
	// ErrBelowGate: too few lands pass the quality gate for any comparison.
	ErrBelowGate = errors.New("fewer than three lands pass the quality gate")
)
