package overlay

import (
	"fmt"
	"slices"

	"proofmark/correlate/shear"
)

// Shear draws two profiles of aperture shear over each other, the second moved by the
// lag at which the two agree best, and read from its other end where it agrees so.
func Shear(a, b *shear.Mark, c shear.Comparison, names Labels) []byte {
	p := newPage(bulletsWidth, rowTop+2*rowHeight+70+noteHeight(names), fmt.Sprintf("%s compared with %s: score %.3f", names.A, names.B, c.Score))
	p.text(marksMargin, 38, 22, "start", ink, "600", "Score "+number(c.Score, 3))
	reversed := ""
	if c.Reversed {
		reversed = "  ·  the second one read from its other end"
	}
	p.text(marksMargin, 64, 14, "start", quiet, "400", fmt.Sprintf("correlation %s over %s µm  ·  lag %s µm%s  ·  %s",
		number(c.R, 3), number(c.Overlap, 0), number(c.Lag, 0), reversed, c.Algorithm))
	p.profileNames(names)
	other := samplesOf(b.Samples())
	moved := -c.Lag
	if c.Reversed { // x of the first lies at Lag − x of the second
		slices.Reverse(other)
		moved = c.Lag
	}
	middle := rowTop + rowHeight
	p.put(`<path d="M%g %.1fh%g" stroke="%s"/>`, plotLeft, middle, plotWidth, rule)
	p.profile(middle, other, shear.SamplePitch, moved, second, 1)
	p.profile(middle, samplesOf(a.Samples()), shear.SamplePitch, 0, first, 1)
	p.profileScale(rowTop+2*rowHeight+22, "score = artanh(r)·√(overlap / 1,000 µm)")
	p.note(names)
	return p.end()
}
