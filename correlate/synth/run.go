package synth

import "math"

// Tool is the tool that cuts one breech face after another.
type Tool struct {
	// Share, 0 to 1, is the share of the power of a face's marks that the tool left
	// (subclass marks); the rest is the face's own.
	Share float64
	// Carry, −1 to 1, is the correlation of what the tool leaves on one face with
	// what it leaves on the next: it wears and is dressed.
	Carry float64
}

// Run returns n firearms whose breech faces one tool cut in turn. Before metal
// folds, the heights of faces k apart correlate at Share·Carry^k; on faces as
// they are, somewhat less (docs/generator.md). Feed marks, firing pins and
// aperture edges are each firearm's own. It takes 3 MB for each.
func (m *Maker) Run(seed uint64, n int, t Tool) []*Firearm {
	share := min(max(t.Share, 0), 1)
	carry := min(max(t.Carry, -1), 1)
	tool := newToolMarks(stream("tool", m.seed, seed, 0), m)
	run := make([]*Firearm, n)
	for i := range run {
		if i > 0 {
			tool.mix(carry, newToolMarks(stream("tool", m.seed, seed, uint64(i)), m), math.Sqrt(1-carry*carry))
		}
		own := stream("slide", m.seed, seed, uint64(i)).Uint64()
		marks := newToolMarks(stream("firearm", m.seed, own), m)
		marks.mix(math.Sqrt(1-share), tool, math.Sqrt(share))
		run[i] = m.assemble(own, marks)
	}
	return run
}
