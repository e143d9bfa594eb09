//go:build !amd64

package correlate

func platformKernels() []kernel { return nil }

func (kernel) fewest4(p *probe, shifts int) uint64 { return fewest4Plain(p, shifts) }

func (kernel) fewest8(p *probe, shifts int) uint64 { return fewest8Plain(p, shifts) }

func (kernel) tally(acc *[2 * lanes]uint64, query, ref *uint64, rings int) {
	tallyPlain(acc, query, ref, rings)
}

func (kernel) agree(sums *[4]int32, query *raster, marks *mark, n int, at *placing) {
	agreePlain(sums, query, marks, n, at)
}
