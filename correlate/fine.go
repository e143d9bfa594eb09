package correlate

import (
	"cmp"
	"math"
	"slices"

	"proofmark/correlate/exact"
)

// turnTable holds sine and cosine of each turn unit, in 1/2^14.
var turnTable = func() (t [turnUnits][2]int32) {
	for i := range t {
		sin, cos := exact.SinCosDeg(float64(i) * 360 / turnUnits)
		t[i] = [2]int32{roundInt(sin * (1 << 14)), roundInt(cos * (1 << 14))}
	}
	return t
}()

// agreement holds the sums of a correlation over the overlap of two pictures.
type agreement struct {
	n          int
	aa, bb, ab int64
}

func (g *agreement) add(h agreement) {
	g.n += h.n
	g.aa += h.aa
	g.bb += h.bb
	g.ab += h.ab
}

func (g agreement) r() float64 {
	if g.aa == 0 || g.bb == 0 {
		return 0
	}
	return float64(g.ab) / math.Sqrt(float64(float64(g.aa)*float64(g.bb)))
}

// evidence is r·√n, what the fine stage climbs.
func (g agreement) evidence() float64 { return float64(g.r() * math.Sqrt(float64(g.n))) }

// placing is a pose as the kernels read it: the rows of the turn in 1/2^14, and
// the shift with half a unit more, so that >> 14 rounds to the nearest point.
type placing struct {
	x, y   [2]int16 // (cos, −sin), (sin, cos)
	tx, ty int32
}

func (p pose) placing() placing {
	sin, cos := int16(turnTable[p.turn][0]), int16(turnTable[p.turn][1])
	return placing{[2]int16{cos, -sin}, [2]int16{sin, cos},
		(p.shift.x+8*rasterSide)<<10 + 1<<13, (p.shift.y+8*rasterSide)<<10 + 1<<13}
}

// correlateAt compares marks of the reference with the query's raster at a pose.
func correlateAt(query *raster, marks []mark, p pose) agreement {
	at := p.placing()
	var sums, rest [4]int32
	const step = 16
	whole := len(marks) &^ (step - 1)
	if whole > 0 {
		fastest.agree(&sums, query, &marks[0], whole, &at)
	}
	if whole < len(marks) {
		agreePlain(&rest, query, &marks[whole], len(marks)-whole, &at)
	}
	return agreement{int(sums[0] + rest[0]), int64(sums[1] + rest[1]), int64(sums[2] + rest[2]), int64(sums[3] + rest[3])}
}

// turnedAbout turns the reference by d about one of its points (raster points from
// its origin), which stays where it is.
func (p pose) turnedAbout(at offset, d int32) pose {
	q := pose{(p.turn + d + turnUnits) % turnUnits, p.shift}
	bx, by := turned(at.x, at.y, p.turn)
	ax, ay := turned(at.x, at.y, q.turn)
	q.shift.x += bx - ax
	q.shift.y += by - ay
	return q
}

// climb improves a pose, whose evidence is known, by coordinate descent in turn (about the pivot)
// and shift, halving the steps after each round of at most sweeps.
func climb(query *Template, marks []mark, p pose, best float64, pivot offset, turnStep, shift int32, rounds, sweeps int) (pose, float64) {
	// After a step, the way back and neighbours that were tried before are met again:
	// they are no better than they were.
	var tried [12]pose
	known := 0
	note := func(p pose) {
		tried[known%len(tried)] = p
		known++
	}
	for range rounds {
		for range sweeps {
			moved := false
			for axis := range 3 {
				for sign := int32(1); sign >= -1; sign -= 2 {
					c := p
					switch axis {
					case 0:
						c = p.turnedAbout(pivot, sign*turnStep)
					case 1:
						c.shift.x += sign * shift
					case 2:
						c.shift.y += sign * shift
					}
					if slices.Contains(tried[:min(known, len(tried))], c) {
						continue
					}
					if e := evidenceAt(query, marks, c); e > best {
						note(p)
						best, p, moved = e, c, true
						break
					}
					note(c)
				}
			}
			if !moved {
				break
			}
		}
		turnStep, shift = (turnStep+1)/2, (shift+1)/2
	}
	return p, best
}

// effort says how many poses and marks a comparison looks at. The fine stage
// climbs from all coarse poses on a few marks, from the best of them on more,
// from the best on many, and takes the agreement on all.
type effort struct {
	poses   int // coarse poses that are climbed from
	few     int // marks for these
	climbed int // poses that are climbed from again
	some    int // marks for these
	many    int // marks for the best
}

// A partial mark's true pose stands out less, and only a part of its marks may
// overlap: it gets more of everything.
var (
	effortWhole   = effort{poses: 10, few: 128, climbed: 3, some: 256, many: 896}
	effortPartial = effort{poses: 128, few: 256, climbed: 20, some: 512, many: 1024}
)

const partialMarks = 1800 // pixels, 1.76 mm²

// partial tells whether so little of the face is there that the comparison takes
// the way of partial marks.
func (t *Template) partial() bool { return t.sig.valid < partialMarks }

// pivot is the point a reference is turned about while its pose is improved. A
// partial mark lies to one side of its origin: turned about that it would also
// move along, and turn and shift could only be improved together.
func (t *Template) pivot() offset {
	if t.partial() {
		return t.sig.middle()
	}
	return offset{}
}

func effortFor(ref *Template) effort {
	if ref.partial() {
		return effortPartial
	}
	return effortWhole
}

// refine finds the best pose of the reference over the query from coarse ones.
func refine(query, ref *Template, start []pose, how effort) pose {
	sample := func(n int) []mark { return ref.marks()[:min(len(ref.marks()), n)] }
	type climbed struct {
		pose
		evidence float64
	}
	pivot := ref.pivot()
	field := make([]climbed, 0, len(start))
	for _, s := range start {
		few := sample(how.few)
		p, e := climb(query, few, s, evidenceAt(query, few, s), pivot, 20, 26, 1, 1)
		field = append(field, climbed{p, e})
	}
	slices.SortStableFunc(field, func(a, b climbed) int { return cmp.Compare(b.evidence, a.evidence) })
	var best pose
	top := math.Inf(-1)
	for _, c := range field[:min(len(field), how.climbed)] {
		some := sample(how.some)
		p, _ := climb(query, some, c.pose, evidenceAt(query, some, c.pose), pivot, 12, 16, 2, 3)
		if e := evidenceAt(query, sample(how.many), p); e > top {
			best, top = p, e
		}
	}
	if len(field) == 0 {
		top = evidenceAt(query, sample(how.many), best)
	}
	best, _ = climb(query, sample(how.many), best, top, pivot, 8, 12, 2, 6)
	return best
}

// evidenceAt is the evidence of marks of the reference at a pose.
func evidenceAt(query *Template, marks []mark, p pose) float64 {
	return correlateAt(query.raster(), marks, p).evidence()
}
