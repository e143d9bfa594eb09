//go:build !amd64

package correlate

func platformKernels() []kernel { return nil }

func (kernel) vote(v *votes, column *uint64, spots *[scanSpots]uint16) { votePlain(v, column, spots) }

func (kernel) tally(acc *tallies, query, ref *uint64, rings, used int) {
	tallyPlain(acc, query, ref, rings, used)
}

func (kernel) agree(sums *[4]int32, query *raster, marks *mark, n int, at *placing) {
	agreePlain(sums, query, marks, n, at)
}
