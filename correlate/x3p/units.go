package x3p

import (
	"errors"
	"fmt"
	"math"
)

// Plausible bounds for topographies of toolmarks. Instruments in use resolve
// 0.6 to 8 µm laterally, and a whole cartridge head is flat within a millimetre
// or two.
const (
	minSpacing  = 0.1e-6 // metres
	maxSpacing  = 50e-6  // metres
	heightRange = 10e-3  // metres, exclusive
)

// CheckUnits reports spacings outside 0.1 to 50 µm and a height range of 10 mm
// or more, both signs of micrometres or millimetres written where the format
// means metres. The error wraps [ErrUnits] and names everything that looks
// wrong. Whoever acquires a scan calls this and refuses on error: the right
// factor is for the laboratory to say, never for software to guess.
func (s *Scan) CheckUnits() error {
	var wrong []error
	for _, axis := range []struct {
		name string
		inc  float64
	}{{"x", s.IncX}, {"y", s.IncY}} {
		if axis.inc >= minSpacing && axis.inc <= maxSpacing {
			continue
		}
		wrong = append(wrong, fmt.Errorf("%w: %s spacing is %g m, expected 0.1 to 50 µm%s",
			ErrUnits, axis.name, axis.inc, spacingHint(axis.inc)))
	}
	if lo, hi, ok := s.heights(); ok && hi-lo >= heightRange {
		wrong = append(wrong, fmt.Errorf("%w: heights span %.4g m, expected less than 10 mm%s",
			ErrUnits, hi-lo, heightHint(hi-lo)))
	}
	return errors.Join(wrong...)
}

func (s *Scan) heights() (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, z := range s.Z {
		if z < lo {
			lo = z
		}
		if z > hi {
			hi = z
		}
	}
	return lo, hi, lo <= hi
}

func spacingHint(inc float64) string {
	switch {
	case inc*1e-3 >= minSpacing && inc*1e-3 <= maxSpacing:
		return "; it would fit if the file is in millimetres"
	case inc*1e-6 >= minSpacing && inc*1e-6 <= maxSpacing:
		return "; it would fit if the file is in micrometres"
	}
	return ""
}

func heightHint(span float64) string {
	switch {
	case span*1e-3 < heightRange:
		return "; it would fit if the file is in millimetres or micrometres"
	case span*1e-6 < heightRange:
		return "; it would fit if the file is in micrometres"
	}
	return ""
}
