package correlate

import (
	"crypto/sha256"
	"sync"

	"proofmark/correlate/exact"
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

// Template is a signature made ready for comparison. To its callers it is
// immutable and safe for concurrent use. What a comparison needs is made when it
// is first needed and kept: up to about 250 kB. A [Gallery] keeps less.
type Template struct {
	sig    *Signature
	packed []byte            // the signature's canonical bytes
	digest [sha256.Size]byte // of packed: orders a pair

	codes struct { // both sides of the coarse stage
		once  sync.Once
		polar *polarCode
		spots spotCode
	}
	reference struct { // the side whose points are sampled
		once  sync.Once
		marks []mark // in shuffled order: a prefix is a sample
		cells [cellsPerSide * cellsPerSide][]mark
	}
	heights struct { // the side that is looked up
		once   sync.Once
		raster *raster
	}
	signs struct {
		once   sync.Once
		raster *raster
	}
	turning struct { // a partial mark at all rotations
		once  sync.Once
		signs *turnedSigns
	}
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
	return &Template{sig: s, packed: packed, digest: sha256.Sum256(packed)}
}

// values are the signature's heights in 1/55 RMS.
func (s *Signature) values() *[side * side]int8 {
	out := new([side * side]int8)
	table := &quantisers[s.steps].values
	for i, v := range s.pixels {
		out[i] = table[v+maxSteps] // 0 for missing
	}
	return out
}

// polar is the template's polar code.
func (t *Template) polar() *polarCode {
	t.makeCodes()
	return t.codes.polar
}

func (t *Template) makeCodes() {
	t.codes.once.Do(func() {
		if t.codes.polar == nil { // a gallery knows it already
			t.codes.polar, t.codes.spots = codesOf(t.signRaster())
		}
	})
}

// signRaster holds in bit 0 whether a point is clearly up or down, in bit 1
// whether up, in bits 2 to 7 how far, in 2/55 RMS.
func (t *Template) signRaster() *raster {
	t.signs.once.Do(func() {
		t.signs.raster = new(raster)
		signRaster(t.signs.raster, t.sig.values(), t.sig.box())
	})
	return t.signs.raster
}

// raster is the picture at half its spacing.
func (t *Template) raster() *raster {
	t.heights.once.Do(func() {
		t.heights.raster = new(raster)
		interpolate(t.heights.raster, t.sig.values(), t.sig.box())
	})
	return t.heights.raster
}

// marks are the valid pixels in shuffled order.
func (t *Template) marks() []mark {
	t.makeMarks()
	return t.reference.marks
}

// cells are the valid pixels of each cell.
func (t *Template) cells() *[cellsPerSide * cellsPerSide][]mark {
	t.makeMarks()
	return &t.reference.cells
}

func (t *Template) makeMarks() {
	t.reference.once.Do(func() {
		f := &t.reference
		f.marks = make([]mark, 0, t.sig.valid)
		for i, v := range t.sig.values() {
			if v != missing {
				f.marks = append(f.marks, mark{x: int16(2*(i%side) + 1 - side), y: int16(2*(i/side) + 1 - side), v: int16(v)})
			}
		}
		cellOf := func(m mark) int {
			return (int(m.y)+side)/2/cellPixels*cellsPerSide + (int(m.x)+side)/2/cellPixels
		}
		var count [cellsPerSide * cellsPerSide]int
		for _, m := range f.marks {
			count[cellOf(m)]++
		}
		room := make([]mark, len(f.marks))
		for c, n := range count {
			f.cells[c], room = room[:0:n], room[n:]
		}
		for _, m := range f.marks {
			c := cellOf(m)
			f.cells[c] = append(f.cells[c], m)
		}
		rng := exact.Sequence(3)
		for i := len(f.marks) - 1; i > 0; i-- {
			j := rng.Below(i + 1)
			f.marks[i], f.marks[j] = f.marks[j], f.marks[i]
		}
	})
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

// signDead is the height in 1/55 RMS below which a sign is too unsure for the coarse
// stage.
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

// signRaster marks where the low-passed picture is up or down, see Template.signRaster.
func signRaster(dst *raster, values *[side * side]int8, b box) {
	smoothRaster(dst, values, b)
	for i, v := range dst {
		bits := int8(max(v, -v) >> 1 << 2)
		if v >= signDead || v <= -signDead { // not so where missing
			bits |= 1
		}
		if v >= signDead {
			bits |= 2
		}
		dst[i] = bits
	}
}
