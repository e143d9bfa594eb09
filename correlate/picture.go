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
		near := maskWindow(v, (y+pad)*stride+pad, stride)
		for x := range w {
			i := (y+pad)*stride + x + pad
			pixel := s.pixels[(y0+y)*side+x0+x]
			if bit(&p.mask[near.next(v, i, stride)], b2i(pixel != 0)) == 0 {
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

// neighbours holds which of a pixel's ten neighbours above and to the left are
// valid, as it is carried along a row.
type neighbours struct{ above2, above1 int } // the window's bits, leftmost first

// maskWindow is the window before the first pixel of a row.
func maskWindow(v []int8, i, stride int) neighbours {
	at := func(j int) int { return b2i(v[j] != 0) }
	return neighbours{
		above2: at(i - 2*stride),
		above1: at(i-stride)<<1 | at(i-stride+1),
	}
}

// next moves the window to pixel i and packs it: the two to the left, the row
// above from two to the left to two to the right, the row above that from one to
// the left to one to the right.
func (n *neighbours) next(v []int8, i, stride int) int {
	n.above1 = (n.above1<<1 | b2i(v[i-stride+2] != 0)) & 31
	n.above2 = (n.above2<<1 | b2i(v[i-2*stride+1] != 0)) & 7
	return b2i(v[i-1] != 0)<<9 | b2i(v[i-2] != 0)<<8 | n.above1<<3 | n.above2
}

// predict bins a weighted sum of the neighbours already coded. The weights are
// those of a band-passed surface (80–250 µm) at 31.25 µm, rounded.
func predict(v []int8, i, stride int, values *[2*maxSteps + 1]int8) int {
	at := func(j int) int { return int(values[v[j]+maxSteps]) }
	p := 7*at(i-1) - 3*at(i-2) + 7*at(i-stride) - 3*at(i-2*stride) - 3*at(i-stride-1) + 2*at(i-stride+1)
	// The middle bin is centred on zero.
	return min(max(p+predBins*binWidth/2, 0)/binWidth, predBins-1)
}
