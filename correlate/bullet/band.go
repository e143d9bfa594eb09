package bullet

// The band along the bullet whose striae agree best with each other over the whole
// width shows where the shoulders are.
const (
	bandSlabs   = 12 // 150 µm
	bandStep    = 2  // slabs apart that are compared: neighbours share noise
	bandLag     = 12 // points, ±19 µm
	alignLeast  = 0.5
	leastCommon = 200 // points
)

// band is where on the bullet a profile was taken, and how well striae run through.
type band struct {
	first, slabs int     // of the scan's slabs
	agreement    float64 // mean correlation of slabs two apart
}

// through finds the band and returns the median profile of its aligned slabs.
func through(slabs []line) line {
	filtered := make([]line, len(slabs))
	for i, s := range slabs {
		filtered[i] = s.bandPass(alignShort, alignLong)
	}
	b := choose(filtered)
	middle := b.first + b.slabs/2
	var aligned []line
	for i := b.first; i < b.first+b.slabs; i++ {
		lag, c := 0, 1.0
		if i != middle {
			lag, c = bestLag(filtered[middle], filtered[i])
		}
		if c > alignLeast {
			aligned = append(aligned, slabs[i].onto(slabs[middle], lag))
		}
	}
	return columnMedian(aligned)
}

func choose(filtered []line) band {
	pairs := make([]float64, max(len(filtered)-bandStep, 0))
	for i := range pairs {
		_, pairs[i] = bestLag(filtered[i], filtered[i+bandStep])
	}
	b := band{slabs: min(bandSlabs, len(filtered)), agreement: -2}
	for first := 0; first+b.slabs <= len(filtered); first++ {
		sum, n := 0.0, 0
		for i := first; i+bandStep < first+b.slabs; i++ {
			sum += pairs[i]
			n++
		}
		mean := sum / float64(max(n, 1))
		if mean > b.agreement {
			b.first, b.agreement = first, mean
		}
	}
	return b
}

// bestLag of b against a over the central 60 %: the shoulders would dominate.
func bestLag(a, b line) (lag int, c float64) {
	lo, hi := len(a.z)/5, len(a.z)-len(a.z)/5
	c = -2
	for l := -bandLag; l <= bandLag; l++ {
		if r := ncc(a, b, l, lo, hi, leastCommon); r > c {
			lag, c = l, r
		}
	}
	return lag, c
}

// onto shifts a slab by its lag and takes off its offset to the middle slab.
func (l line) onto(middle line, lag int) line {
	n := len(l.z)
	out := newLine(n)
	var differences []float64
	for i := range n {
		if j := i + lag; j >= 0 && j < n && l.ok[j] {
			out.z[i], out.ok[i] = l.z[j], true
			if middle.ok[i] && i >= n/5 && i < n-n/5 {
				differences = append(differences, l.z[j]-middle.z[i])
			}
		}
	}
	offset := median(differences)
	for i := range out.z {
		if out.ok[i] {
			out.z[i] -= offset
		}
	}
	return out
}

// columnMedian of aligned slabs; half of them must have the point.
func columnMedian(slabs []line) line {
	if len(slabs) == 0 {
		return line{}
	}
	out := newLine(len(slabs[0].z))
	column := make([]float64, 0, len(slabs))
	for i := range out.z {
		column = column[:0]
		for _, s := range slabs {
			if s.ok[i] {
				column = append(column, s.z[i])
			}
		}
		if out.ok[i] = 2*len(column) >= len(slabs); out.ok[i] {
			out.z[i] = median(column)
		}
	}
	return out
}
