package correlate

// picture holds the adaptive models of a signature's picture. The same walk
// codes and decodes: code asks for each bit in turn, handing over the bit it
// would write, and stores what comes back.
type picture struct {
	mask   []model
	sign   []model
	weight []model
}

// Contexts: the mask looks at ten neighbours as JBIG does; sign and magnitude
// at a prediction from the neighbours already coded.
const (
	maskContexts = 1 << 10
	predBins     = 25
)

func newPicture() *picture {
	return &picture{newModels(maskContexts), newModels(predBins), newModels(2 * predBins)}
}

func (p *picture) code(s *Signature, bit func(m *model, bit int) int) {
	x0, y0 := int(s.x0), int(s.y0)
	w, h := int(s.w), int(s.h)
	// Pixels outside the box are missing: a frame of two keeps the walk simple.
	const pad = 2
	stride := w + 2*pad
	v := make([]int8, stride*(h+pad))
	for y := range h {
		for x := range w {
			i := (y+pad)*stride + x + pad
			pixel := s.pixels[(y0+y)*side+x0+x]
			if bit(&p.mask[maskContext(v, i, stride)], b2i(pixel != 0)) == 0 {
				s.pixels[(y0+y)*side+x0+x] = 0
				continue
			}
			c := predict(v, i, stride)
			negative := bit(&p.sign[c], b2i(pixel < 0))
			high := bit(&p.weight[2*c+negative], b2i(pixel == 2 || pixel == -2))
			value := int8(1 + high)
			if negative != 0 {
				value = -value
			}
			v[i] = value
			s.pixels[(y0+y)*side+x0+x] = value
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// maskContext packs which of ten neighbours above and to the left are valid.
func maskContext(v []int8, i, stride int) int {
	c := 0
	for _, j := range [10]int{
		i - 1, i - 2,
		i - stride - 2, i - stride - 1, i - stride, i - stride + 1, i - stride + 2,
		i - 2*stride - 1, i - 2*stride, i - 2*stride + 1,
	} {
		c = c<<1 | b2i(v[j] != 0)
	}
	return c
}

// level is what a pixel's code stands for, in steps of 0.151 RMS.
var level = [5]int{-highLevel, -lowLevel, 0, lowLevel, highLevel}

// predict bins a weighted sum of the neighbours already coded. The weights are
// those of a band-passed surface (80–250 µm) at 31.25 µm, rounded.
func predict(v []int8, i, stride int) int {
	at := func(j int) int { return level[v[j]+2] }
	p := 7*at(i-1) - 3*at(i-2) + 7*at(i-stride) - 3*at(i-2*stride) - 3*at(i-stride-1) + 2*at(i-stride+1)
	b := (p + 12*8 + 4) / 8
	return min(max(b, 0), predBins-1)
}
