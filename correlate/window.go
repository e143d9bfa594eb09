package correlate

import (
	"math"
	"math/bits"
)

// The coarse stage of partial marks. On rings around an origin a partial mark has
// few samples, and its origin may be far off: so the signs are laid on a square
// grid, the smaller mark's turned to all 192 rotations, and every displacement of
// a window around the expected origin is tried. Rows of the grid are words, so
// that the kernels that count agreement on rings count it here too.
const (
	gridStep = 3                                        // raster points between samples, 47 µm
	gridUnit = 16 * gridStep                            // the same in 1/16 raster points
	gridSide = (rasterSide + gridStep - 1) / gridStep   // samples across the query
	gridHome = gridSide / 2                             // the sample on the frame's origin
	gridPad  = ringWords - 1                            // empty rows behind the last: kernels count three at once
	gridSpan = (gridSide + 64 + lanes - 1) / lanes      // groups of windows, the first begins 64 samples to the left
	gridWord = 64 / lanes                               // groups between one word and the next
	gridMost = (rasterSide*99/70)/gridStep + 2*gridStep // samples across a turned mark at most
)

// turnedSigns holds the signs of a mark on the grid at each rotation.
type turnedSigns struct {
	maps [turns]signMap
	rows [][2]uint64 // [sign, mask]
}

// signMap is the smallest box that holds a turned mark: rows of one or more words,
// stored word by word, each with gridPad empty rows behind.
type signMap struct {
	x, y  int32 // the box's first sample, counted from the origin
	rows  int32
	words int32
	at    int32 // the first row
}

// turned are the template's signs at all rotations, made on first need.
func (t *Template) turned() *turnedSigns {
	t.turning.once.Do(func() { t.turning.signs = newTurnedSigns(t.signRaster(), t.sig.box()) })
	return t.turning.signs
}

func newTurnedSigns(signs *raster, b box) *turnedSigns {
	const words = (gridMost + 63) / 64
	var canvas [gridMost][words][2]uint64
	out := new(turnedSigns)
	for turn := range turns {
		sin, cos := turnTable[turn*turnFine][0], turnTable[turn*turnFine][1]
		x0, y0, x1, y1 := turnedBox(b, sin, cos)
		clear(canvas[:])
		var any [words]uint64
		first, last := -1, -1
		for y := y0; y <= y1; y++ {
			row := &canvas[y-y0]
			// Turned back, with half a point more so that >> 14 rounds.
			fx := gridStep*(cos*x0+sin*y) + rasterSide<<13 + 1<<13
			fy := gridStep*(cos*y-sin*x0) + rasterSide<<13 + 1<<13
			for k := int32(0); k <= x1-x0; k++ {
				px, py := uint32(fx>>14), uint32(fy>>14)
				fx += gridStep * cos
				fy -= gridStep * sin
				// A negative coordinate is a huge one here.
				if px >= rasterSide || py >= rasterSide {
					continue
				}
				v := uint64(signs[py*rasterSide+px])
				row[k>>6][0] |= v >> 1 & 1 << (k & 63)
				row[k>>6][1] |= v & 1 << (k & 63)
			}
			held := uint64(0)
			for w := range row {
				any[w] |= row[w][1]
				held |= row[w][1]
			}
			if held != 0 {
				if last = int(y - y0); first < 0 {
					first = last
				}
			}
		}
		if first < 0 {
			continue
		}
		left, right := 0, 0
		for w := words - 1; w >= 0; w-- {
			if any[w] != 0 {
				left = 64*w + bits.TrailingZeros64(any[w])
				right = max(right, 64*w+63-bits.LeadingZeros64(any[w]))
			}
		}
		m := signMap{x: x0 + int32(left), y: y0 + int32(first), rows: int32(last - first + 1), words: int32((right-left)/64 + 1), at: int32(len(out.rows))}
		for w := range int(m.words) {
			for y := first; y <= last; y++ {
				row := &canvas[y]
				out.rows = append(out.rows, [2]uint64{wordAt(row[:], left+64*w, 0), wordAt(row[:], left+64*w, 1)})
			}
			out.rows = append(out.rows, make([][2]uint64, gridPad)...)
		}
		out.maps[turn] = m
	}
	return out
}

// wordAt reads 64 bits of a row of words from a bit on.
func wordAt(row [][2]uint64, at, plane int) uint64 {
	w, off := at>>6, uint(at&63)
	v := uint64(0)
	if w < len(row) {
		v = row[w][plane] >> off
	}
	if off > 0 && w+1 < len(row) {
		v |= row[w+1][plane] << (64 - off)
	}
	return v
}

// turnedBox bounds a turned box of signature pixels in samples from the origin.
func turnedBox(b box, sin, cos int32) (x0, y0, x1, y1 int32) {
	x0, y0, x1, y1 = math.MaxInt32, math.MaxInt32, math.MinInt32, math.MinInt32
	for _, px := range [2]int{2*b.x0 - side - 1, 2*b.x1 - side + 1} {
		for _, py := range [2]int{2*b.y0 - side - 1, 2*b.y1 - side + 1} {
			x := (cos*int32(px) - sin*int32(py)) >> 14 / gridStep
			y := (sin*int32(px) + cos*int32(py)) >> 14 / gridStep
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
		}
	}
	return x0 - 1, y0 - 1, x1 + 1, y1 + 1
}

// windows holds a query's grid as the kernels read it: for each group of eight
// neighbouring displacements along x, row by row, eight words of signs and eight
// of masks, each the 64 samples from its displacement on.
type windows [gridSpan][gridSide + gridPad][2][lanes]uint64

func newWindows(signs *raster) *windows {
	out := new(windows)
	for y := range gridSide {
		// 64 empty samples on the left, then the row.
		var row [4][2]uint64
		py := rasterSide/2 + gridStep*(y-gridHome)
		if py < 0 || py >= rasterSide {
			continue
		}
		for x := range gridSide {
			px := rasterSide/2 + gridStep*(x-gridHome)
			if px < 0 || px >= rasterSide {
				continue
			}
			v := uint64(signs[py*rasterSide+px])
			row[1+x>>6][0] |= v >> 1 & 1 << (x & 63)
			row[1+x>>6][1] |= v & 1 << (x & 63)
		}
		for g := range out {
			for lane := range lanes {
				w, off := (g*lanes+lane)>>6, uint(g*lanes+lane)&63
				for plane := range 2 {
					// A shift by 64 leaves nothing, as it should.
					out[g][y][plane][lane] = row[w][plane]>>off | row[w+1][plane]<<(64-off)
				}
			}
		}
	}
	return out
}

func (w window) width() int { return 2*w.radius + 1 }

// middle is the window's centre at a rotation, in samples.
func (w window) middle(turn int) (x, y int32) {
	sin, cos := turnTable[turn*turnFine][0], turnTable[turn*turnFine][1]
	// The products stay below 2^31 for displacements of up to 4 mm.
	rx := (cos*w.ref.x - sin*w.ref.y) >> 14
	ry := (sin*w.ref.x + cos*w.ref.y) >> 14
	return toSample(w.query.x - rx), toSample(w.query.y - ry)
}

// toSample rounds 1/16 raster points to whole samples.
func toSample(v int32) int32 {
	if v < 0 {
		return -((-v + gridUnit/2) / gridUnit)
	}
	return (v + gridUnit/2) / gridUnit
}

// leastSamples must overlap for a score: 0.1 mm². A smaller overlap agrees with
// anything somewhere.
const leastSamples = 45

// sweep scores the window's displacements at every rotation: turn by turn, row by
// row; what lies outside of the window's circle stays 0.
func (w window) sweep(k kernel, query *windows, ref *turnedSigns, scores []float32) {
	width := w.width()
	clear(scores[:turns*width*width])
	var sum, acc tallies
	for turn := range turns {
		m := &ref.maps[turn]
		if m.rows == 0 {
			continue
		}
		mx, my := w.middle(turn)
		left := gridHome + int(m.x) + int(mx) - w.radius + 64 // of the first displacement, in the windows' count
		for dy := -w.radius; dy <= w.radius; dy++ {
			start := gridHome + int(m.y) + int(my) + dy
			skip := max(0, -start)
			rows := min(int(m.rows), gridSide-start) - skip
			if rows <= 0 {
				continue
			}
			half := int(math.Sqrt(float64(w.radius*w.radius - dy*dy)))
			from, to := left+w.radius-half, left+w.radius+half
			line := scores[(turn*width+dy+w.radius)*width:][:width]
			for g := from >> 3; g <= to>>3; g++ {
				used := min(lanes, to+1-g*lanes)
				clear(sum[:])
				for word := range int(m.words) {
					at := g + word*gridWord
					if at < 0 || at >= gridSpan {
						continue
					}
					row := int(m.at) + word*(int(m.rows)+gridPad) + skip
					k.tally(&acc, &query[at][start+skip][0][0], &ref.rows[row][0], (rows+gridPad)/ringWords, used)
					for i, v := range acc {
						sum[i] += v
					}
				}
				for at := max(from, g*lanes); at < g*lanes+used; at++ {
					lane := at - g*lanes
					if n := int32(sum[lane]); n >= leastSamples {
						line[at-left] = tally{n, int32(sum[lanes+lane])}.score()
					}
				}
			}
		}
	}
}

// best picks the poses with the highest scores, suppressing around each what puts
// the reference's middle within one sample of the same place at up to two
// rotations beside. It clears what it suppresses.
func (w window) best(scores []float32, keep int) []pose {
	width := w.width()
	cells := width * width
	var top [turns]int // the best of each rotation
	refresh := func(turn int) {
		at := turn * cells
		for i, v := range scores[turn*cells : (turn+1)*cells] {
			if v > scores[at] {
				at = turn*cells + i
			}
		}
		top[turn] = at
	}
	for turn := range turns {
		refresh(turn)
	}
	out := make([]pose, 0, keep)
	for len(out) < keep {
		best := 0
		for turn := range turns {
			if scores[top[turn]] > scores[top[best]] {
				best = turn
			}
		}
		if scores[top[best]] <= 0 {
			break
		}
		mx, my := w.middle(best)
		x := int32(top[best]%cells%width-w.radius) + mx
		y := int32(top[best]%cells/width-w.radius) + my
		out = append(out, pose{int32(best * turnFine), offset{x * gridUnit, y * gridUnit}})
		for d := int32(-2); d <= 2; d++ {
			p := out[len(out)-1].turnedAbout(w.pivot, d*turnFine)
			turn := int(p.turn / turnFine)
			mx, my := w.middle(turn)
			x, y := int(toSample(p.shift.x)-mx)+w.radius, int(toSample(p.shift.y)-my)+w.radius
			for cy := y - 1; cy <= y+1; cy++ {
				for cx := x - 1; cx <= x+1; cx++ {
					if cx >= 0 && cx < width && cy >= 0 && cy < width {
						scores[turn*cells+cy*width+cx] = 0
					}
				}
			}
			refresh(turn)
		}
	}
	return out
}
