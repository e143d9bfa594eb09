package correlate

// picture holds the adaptive models of a signature's picture. The same walk
// codes and decodes: code asks for each bit in turn, handing over the bit it
// would write, and stores what comes back.
type picture struct {
	mask []model
	sign []model
	step []model // one more step away from zero? by prediction, sign, step
}

// Contexts: the mask looks at ten neighbours as JBIG does; sign and magnitude
// at a prediction from the neighbours already coded, in bins of binWidth.
const (
	maskContexts = 1 << 10
	predBins     = 25
	binWidth     = 67
)

func newPicture() *picture {
	return &picture{newModels(maskContexts), newModels(predBins), newModels(2 * predBins * (maxSteps - 1))}
}

func (p *picture) code(s *Signature, bit func(m *model, bit int) int) {
	x0, y0 := int(s.x0), int(s.y0)
	w, h := int(s.w), int(s.h)
	// Pixels outside the box are missing: a frame of two keeps the walk simple.
	const pad = 2
	stride := w + 2*pad
	v := make([]int8, stride*(h+pad))
	values := &quantisers[s.steps].values
	top := int8(s.steps)
	for y := range h {
		for x := range w {
			i := (y+pad)*stride + x + pad
			pixel := s.pixels[(y0+y)*side+x0+x]
			if bit(&p.mask[maskContext(v, i, stride)], b2i(pixel != 0)) == 0 {
				s.pixels[(y0+y)*side+x0+x] = 0
				continue
			}
			c := predict(v, i, stride, values)
			negative := bit(&p.sign[c], b2i(pixel < 0))
			size := max(pixel, -pixel)
			step := int8(1)
			for step < top {
				m := &p.step[(2*c+negative)*(maxSteps-1)+int(step)-1]
				if bit(m, b2i(size > step)) == 0 {
					break
				}
				step++
			}
			if negative != 0 {
				step = -step
			}
			v[i] = step
			s.pixels[(y0+y)*side+x0+x] = step
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

// predict bins a weighted sum of the neighbours already coded. The weights are
// those of a band-passed surface (80–250 µm) at 31.25 µm, rounded.
func predict(v []int8, i, stride int, values *[2*maxSteps + 1]int8) int {
	at := func(j int) int { return int(values[v[j]+maxSteps]) }
	p := 7*at(i-1) - 3*at(i-2) + 7*at(i-stride) - 3*at(i-2*stride) - 3*at(i-stride-1) + 2*at(i-stride+1)
	// The middle bin is centred on zero.
	return min(max(p+predBins*binWidth/2, 0)/binWidth, predBins-1)
}
