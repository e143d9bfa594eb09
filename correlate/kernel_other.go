//go:build !amd64

package correlate

func platformKernels() []kernel { return nil }

func (kernel) vote(v *votes, column *uint64, spots *[scanSpots]uint16) { votePlain(v, column, spots) }

func (kernel) tally(acc *[2 * lanes]uint64, query, ref *uint64, rings int) {
	tallyPlain(acc, query, ref, rings)
}

func (kernel) agree(sums *[4]int32, query *raster, marks *mark, n int, at *placing) {
	agreePlain(sums, query, marks, n, at)
}
