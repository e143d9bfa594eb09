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

func (k kernel) fewest(p *probe, shifts int, limit uint64) uint32 {
	switch k {
	case kernelAVX512:
		return fewestAVX512(p, shifts, limit)
	case kernelAVX2:
		return fewestAVX2(p, shifts, limit)
	default:
		return fewestPlain(p, shifts, limit)
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
func fewestAVX512(p *probe, shifts int, limit uint64) uint32

//go:noescape
func tallyAVX512(acc *[2 * lanes]uint64, query, ref *uint64, rings int)

//go:noescape
func agreeAVX512(sums *[4]int32, query *raster, marks *mark, n int, at *placing)

//go:noescape
func fewestAVX2(p *probe, shifts int, limit uint64) uint32

//go:noescape
func tallyAVX2(acc *[2 * lanes]uint64, query, ref *uint64, rings int)
