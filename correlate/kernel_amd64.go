package correlate

import "golang.org/x/sys/cpu"

// platformKernels lists the kernels in assembly that processor and system allow.
func platformKernels() []kernel {
	var out []kernel
	if x := &cpu.X86; x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VPOPCNTDQ {
		out = append(out, kernelAVX512)
	}
	if cpu.X86.HasAVX2 {
		out = append(out, kernelAVX2)
	}
	return out
}

func (k kernel) fewest4(p *probe, shifts int) uint64 {
	switch k {
	case kernelAVX512:
		return fewest4AVX512(p, shifts)
	case kernelAVX2:
		return fewest4AVX2(p, shifts)
	default:
		return fewest4Plain(p, shifts)
	}
}

func (k kernel) fewest8(p *probe, shifts int) uint64 {
	switch k {
	case kernelAVX512:
		return fewest8AVX512(p, shifts)
	case kernelAVX2:
		return fewest8AVX2(p, shifts)
	default:
		return fewest8Plain(p, shifts)
	}
}

func (k kernel) tally(acc *[2 * lanes]uint64, query, ref *uint64, rings int) {
	switch k {
	case kernelAVX512:
		tallyAVX512(acc, query, ref, rings)
	case kernelAVX2:
		tallyAVX2(acc, query, ref, rings)
	default:
		tallyPlain(acc, query, ref, rings)
	}
}

func (k kernel) agree(sums *[4]int32, query *raster, marks *mark, n int, at *placing) {
	switch k {
	case kernelAVX512:
		agreeAVX512(sums, query, marks, n, at)
	default:
		agreePlain(sums, query, marks, n, at)
	}
}

//go:noescape
func fewest4AVX512(p *probe, shifts int) uint64

//go:noescape
func fewest8AVX512(p *probe, shifts int) uint64

//go:noescape
func tallyAVX512(acc *[2 * lanes]uint64, query, ref *uint64, rings int)

//go:noescape
func agreeAVX512(sums *[4]int32, query *raster, marks *mark, n int, at *placing)

//go:noescape
func fewest4AVX2(p *probe, shifts int) uint64

//go:noescape
func fewest8AVX2(p *probe, shifts int) uint64

//go:noescape
func tallyAVX2(acc *[2 * lanes]uint64, query, ref *uint64, rings int)
