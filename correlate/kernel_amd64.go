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

func (k kernel) vote(v *votes, column *uint64, spots *[scanSpots]uint16) {
	switch k {
	case kernelAVX512:
		voteAVX512(v, column, spots)
	case kernelAVX2:
		voteAVX2(v, column, spots)
	default:
		votePlain(v, column, spots)
	}
}

func (k kernel) tally(acc *tallies, query, ref *uint64, rings, used int) {
	switch k {
	case kernelAVX512:
		tallyAVX512(acc, query, ref, rings)
	case kernelAVX2:
		tallyAVX2(acc, query, ref, rings)
	default:
		tallyPlain(acc, query, ref, rings, used)
	}
}

func (k kernel) agree(sums *[4]int32, query *raster, marks *mark, n int, at *placing) {
	switch k {
	case kernelAVX512:
		agreeAVX512(sums, query, marks, n, at)
	case kernelAVX2:
		agreeAVX2(sums, query, marks, n, at)
	default:
		agreePlain(sums, query, marks, n, at)
	}
}

//go:noescape
func voteAVX512(v *votes, column *uint64, spots *[scanSpots]uint16)

//go:noescape
func tallyAVX512(acc *tallies, query, ref *uint64, rings int)

//go:noescape
func agreeAVX512(sums *[4]int32, query *raster, marks *mark, n int, at *placing)

//go:noescape
func voteAVX2(v *votes, column *uint64, spots *[scanSpots]uint16)

//go:noescape
func tallyAVX2(acc *tallies, query, ref *uint64, rings int)

//go:noescape
func agreeAVX2(sums *[4]int32, query *raster, marks *mark, n int, at *placing)
