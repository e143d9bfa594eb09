package correlate

import (
	"crypto/sha256"
	"sync"
)

// The raster: the signature's picture interpolated to half its spacing, for
// nearest look-up at any pose.
const (
	rasterSide  = 2 * side
	rasterPitch = pixelPitch / 2 // µm
	missing     = 0
)

// raster holds heights in 1/55 RMS. 0 is missing; a height that rounds to 0 is
// kept as 1.
// The points beyond the last serve kernels that read four at once.
type raster [rasterSide*rasterSide + 4]int8

// mark is one valid pixel of a signature: its centre in raster points from the
// frame's origin and its height in 1/55 RMS.
type mark struct {
	x, y int16
	v    int16
	_    int16 // for the kernels
}

// Template is a signature made ready for comparison. It is immutable and safe
// for concurrent use, and takes about 250 kB; a [Gallery] keeps less.
type Template struct {
	sig    *Signature
	packed []byte            // the signature's canonical bytes
	digest [sha256.Size]byte // of packed: orders a pair
	code   *polarCode

	raster raster
	signs  raster // bit 0 clearly up or down, bit 1 up
	marks  []mark // in shuffled order: a prefix is a sample
	cells  [cellsPerSide * cellsPerSide][]mark

	shifted [reaches]struct {
		once  sync.Once
		codes *shiftedCodes
	}
}

// NewTemplate prepares a signature for comparison.
func NewTemplate(s *Signature) *Template {
	return newTemplate(s, s.encode())
}

// newTemplate prepares a signature whose canonical bytes are known.
func newTemplate(s *Signature, packed []byte) *Template {
	t := &Template{sig: s, packed: packed, digest: sha256.Sum256(packed)}
	var values [side * side]int8
	for i, v := range s.pixels {
		if v != 0 {
			values[i] = int8(s.value(i))
		}
	}
	b := s.box()
	interpolate(&t.raster, &values, b)
	signRaster(&t.signs, &values, b)
	t.code = new(polarCode)
	for r := range rings {
		t.code.sign[r], t.code.mask[r] = sampleRing(&t.signs, offset{}, r)
	}
	t.marks = make([]mark, 0, s.valid)
	for i, v := range &values {
		if v == missing {
			continue
		}
		m := mark{x: int16(2*(i%side) + 1 - side), y: int16(2*(i/side) + 1 - side), v: int16(v)}
		t.marks = append(t.marks, m)
		c := i/side/cellPixels*cellsPerSide + i%side/cellPixels
		t.cells[c] = append(t.cells[c], m)
	}
	rng := sequence(3)
	for i := len(t.marks) - 1; i > 0; i-- {
		j := rng.below(i + 1)
		t.marks[i], t.marks[j] = t.marks[j], t.marks[i]
	}
	return t
}

// Signature the template was made from.
func (t *Template) Signature() *Signature { return t.sig }

// interpolate doubles the resolution bilinearly. Raster point (2i+1, 2j+1) is the
// centre of signature pixel (i, j), the points between are means of two or four
// neighbours, missing where fewer than two of these are valid.
// Only the box is read and written; dst is zero before.
func interpolate(dst *raster, src *[side * side]int8, b box) {
	for y := 2 * b.y0; y < min(2*b.y1+1, rasterSide); y++ {
		// Beside the box and the grid all is missing, so a neighbour is as good.
		y0, y1 := max((y-1)>>1, 0), y>>1
		for x := 2 * b.x0; x < min(2*b.x1+1, rasterSide); x++ {
			x0, x1 := max((x-1)>>1, 0), x>>1
			p, q := int32(src[y0*side+x0]), int32(src[y0*side+x1])
			r, s := int32(src[y1*side+x0]), int32(src[y1*side+x1])
			num := p + q + r + s
			den := present1(p) + present1(q) + present1(r) + present1(s)
			// On pixel centres and edge midpoints a pixel is counted two or four
			// times over, which leaves its mean as it is.
			if den >= 2 {
				dst[y*rasterSide+x] = present(roundDiv(num, den))
			}
		}
	}
}

// present keeps a height apart from missing.
func present(v int32) int8 {
	if v == missing {
		return 1
	}
	return int8(v)
}

// present1 is 1 for a height and 0 for missing, without a branch.
func present1(v int32) int32 { return int32(uint32(v|-v) >> 31) }

// box is a half-open range of signature pixels.
type box struct{ x0, y0, x1, y1 int }

func (s *Signature) box() box {
	return box{int(s.x0), int(s.y0), int(s.x0) + int(s.w), int(s.y0) + int(s.h)}
}

func roundDiv(num, den int32) int32 {
	if num < 0 {
		return -((-num + den/2) / den)
	}
	return (num + den/2) / den
}

// signKernel is half a Gaussian of σ = 0.1874 × 140 µm at 31.25 µm, in 1/64.
var signKernel = [3]int32{30, 15, 2}

// signDead is the height in 1/55 RMS below which a sign is too unsure.
const signDead = 3

// smoothRaster low-passes the picture to waves above about 140 µm.
func smoothRaster(dst *raster, values *[side * side]int8, b box) {
	var rows, weights [side * side]int32
	var smooth [side * side]int8
	for y := b.y0; y < b.y1; y++ {
		for x := b.x0; x < b.x1; x++ {
			n, w := int32(0), int32(0)
			for d := max(-2, -x); d <= min(2, side-1-x); d++ {
				if v := values[y*side+x+d]; v != missing {
					k := signKernel[max(d, -d)]
					n += k * int32(v)
					w += k
				}
			}
			rows[y*side+x], weights[y*side+x] = n, w
		}
	}
	for y := b.y0; y < b.y1; y++ {
		for x := b.x0; x < b.x1; x++ {
			i := y*side + x
			if values[i] == missing {
				continue
			}
			n, w := int32(0), int32(0)
			for d := max(-2, -y); d <= min(2, side-1-y); d++ {
				k := signKernel[max(d, -d)]
				n += k * rows[i+d*side]
				w += k * weights[i+d*side]
			}
			smooth[i] = present(roundDiv(n, w))
		}
	}
	interpolate(dst, &smooth, b)
}

// signRaster marks where the low-passed picture is clearly up or down.
func signRaster(dst *raster, values *[side * side]int8, b box) {
	smoothRaster(dst, values, b)
	for i, v := range dst {
		switch {
		case v > -signDead && v < signDead: // missing ones too
			dst[i] = 0
		case v > 0:
			dst[i] = 3
		default:
			dst[i] = 1
		}
	}
}
