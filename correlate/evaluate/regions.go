package evaluate

import (
	"slices"

	"proofmark/correlate"
)

// regionsOf lists the regions of a table in the order of their first row; rows
// without one are of the evaluation's.
func regionsOf(set []Labelled, usual correlate.ROI) []correlate.ROI {
	var out []correlate.ROI
	for _, l := range set {
		r := usual
		if l.Region != "" {
			r = correlate.ROI(l.Region)
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
