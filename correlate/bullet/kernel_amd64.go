package bullet

import "golang.org/x/sys/cpu"

// platformKernels lists the kernels in assembly that processor and system allow.
func platformKernels() []kernel {
	var out []kernel
	if x := &cpu.X86; x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VPOPCNTDQ && x.HasAVX2 {
		out = append(out, kernelAVX512)
	}
	if cpu.X86.HasAVX2 {
		out = append(out, kernelAVX2)
	}
	return out
}

func (k kernel) dots(out *[dotLags]int32, a, b *heights, d, fours int) {
	switch k {
	case kernelAVX512, kernelAVX2:
		dotsAVX2(out, &a.v[margin], &b.v[margin+d], (a.n+15)/16, fours)
	default:
		dotsPlain(out, a, b, d, fours)
	}
}

func (k kernel) best(p *probe, g *ternary) float64 {
	switch k {
	case kernelAVX512:
		return bestAVX512(p, g, &inverseRoot)
	case kernelAVX2:
		return bestAVX2(p, g, &inverseRoot)
	default:
		return bestPlain(p, g)
	}
}

//go:noescape
func dotsAVX2(out *[dotLags]int32, a, b *int16, sixteens, fours int)

//go:noescape
func bestAVX2(p *probe, other *ternary, inverseRoot *[MaxSamples + 1]float64) float64

//go:noescape
func bestAVX512(p *probe, other *ternary, inverseRoot *[MaxSamples + 1]float64) float64
