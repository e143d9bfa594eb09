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
	rasterScale = 12             // raster value per signature level step
)

// mark is one valid pixel of a signature: its centre in raster pixels from the
// frame's origin and its height.
type mark struct {
	x, y int16
	v    int16
}

// Template is a signature made ready for comparison. It is immutable and safe
// for concurrent use.
type Template struct {
	sig    *Signature
	digest [sha256.Size]byte // of the canonical bytes: orders a pair
	code   *polarCode

	raster [rasterSide * rasterSide]int8 // missing = missingRaster
	marks  []mark                        // in shuffled order: a prefix is a sample

	cells [cellsPerSide * cellsPerSide][]mark

	prepare sync.Once
	shifted []polarCode // polar codes at the coarse shifts, made on first need
	signs   [rasterSide * rasterSide]int8
}

const missingRaster = -128

// NewTemplate prepares a signature for comparison.
func NewTemplate(s *Signature) *Template {
	t := &Template{sig: s, digest: sha256.Sum256(s.encode())}
	interpolate(&t.raster, func(i int) int { return rasterScale * level[s.pixels[i]+2] }, func(i int) bool { return s.pixels[i] != 0 })
	signRaster(&t.signs, s)
	t.code = sampleRings(&t.signs, offset{})
	t.marks = make([]mark, 0, s.valid)
	for i, v := range s.pixels {
		if v != 0 {
			m := mark{int16(2*(i%side) + 1 - side), int16(2*(i/side) + 1 - side), int16(level[v+2])}
			t.marks = append(t.marks, m)
			c := i/side/cellPixels*cellsPerSide + i%side/cellPixels
			t.cells[c] = append(t.cells[c], m)
		}
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
// neighbours. A point is missing where its nearest pixels all are.
func interpolate(dst *[rasterSide * rasterSide]int8, value func(i int) int, valid func(i int) bool) {
	for y := range rasterSide {
		y0, y1 := (y-1)>>1, y>>1
		for x := range rasterSide {
			x0, x1 := (x-1)>>1, x>>1
			num, den := 0, 0
			for _, p := range [4][2]int{{x0, y0}, {x1, y0}, {x0, y1}, {x1, y1}} {
				if p[0] < 0 || p[1] < 0 {
					continue
				}
				if i := p[1]*side + p[0]; valid(i) {
					num += value(i)
					den++
				}
			}
			i := y*rasterSide + x
			dst[i] = missingRaster
			if den > 1 || (den == 1 && x0 == x1 && y0 == y1) {
				dst[i] = int8(roundDiv(num, den))
			}
		}
	}
}

func roundDiv(num, den int) int {
	if num < 0 {
		return -((-num + den/2) / den)
	}
	return (num + den/2) / den
}

// signRaster low-passes the picture to waves above about 140 µm and marks where
// it is clearly up or down: bit 0 valid, bit 1 positive.
func signRaster(dst *[rasterSide * rasterSide]int8, s *Signature) {
	// Gaussian of σ = 0.1874 × 140 µm at 31.25 µm, in 1/64.
	kernel := [3]int{30, 15, 2}
	var rows, rowW, smooth [side * side]int
	for y := range side {
		for x := range side {
			n, w := 0, 0
			for d := -2; d <= 2; d++ {
				if x+d < 0 || x+d >= side {
					continue
				}
				if v := s.pixels[y*side+x+d]; v != 0 {
					k := kernel[max(d, -d)]
					n += k * level[v+2]
					w += k
				}
			}
			rows[y*side+x], rowW[y*side+x] = n, w
		}
	}
	for y := range side {
		for x := range side {
			i := y*side + x
			if s.pixels[i] == 0 {
				continue
			}
			n, w := 0, 0
			for d := -2; d <= 2; d++ {
				if y+d < 0 || y+d >= side {
					continue
				}
				k := kernel[max(d, -d)]
				n += k * rows[i+d*side]
				w += k * rowW[i+d*side]
			}
			smooth[i] = roundDiv(8*n, w)
		}
	}
	interpolate(dst, func(i int) int { return smooth[i] }, func(i int) bool { return s.pixels[i] != 0 })
	for i, v := range dst {
		switch {
		case v == missingRaster || (v > -signDead && v < signDead):
			dst[i] = 0
		case v > 0:
			dst[i] = 3
		default:
			dst[i] = 1
		}
	}
}

// signDead is the height, in 1/8 level steps, below which a sign is too unsure.
const signDead = 14
