//go:build !amd64

package bullet

func platformKernels() []kernel { return nil }

func (kernel) dots(out *[dotLags]int32, a, b *heights, d, fours int) { dotsPlain(out, a, b, d, fours) }

func (kernel) best(p *probe, g *ternary) float64 { return bestPlain(p, g) }
