package overlay

import (
	"fmt"
	"math"
	"strings"

	"proofmark/correlate/bullet"
)

// Rows of the picture of two bullets, in its pixels.
const (
	bulletsWidth = 1280.0
	rowTop       = 100.0
	rowHeight    = 92.0
	plotLeft     = 168.0
	plotWidth    = 900.0
	halfRange    = 1100.0 // µm shown on either side of the first land's middle
	samplesHigh  = 7.0    // the largest height of a sample
)

// Bullets draws the lands of two bullets over each other, one row for each pair that
// the best phase brings together, the second profile moved by the lag at which the
// two agree best.
func Bullets(a, b *bullet.Bullet, c bullet.Comparison, names Labels) []byte {
	p := newPage(bulletsWidth, rowTop+float64(max(len(c.Lands), 1))*rowHeight+70+noteHeight(names), fmt.Sprintf("%s compared with %s: score %.3f", names.A, names.B, c.Score))
	p.text(marksMargin, 38, 22, "start", ink, "600", "Score "+number(c.Score, 3))
	word := "conclusive"
	if !c.Conclusive {
		word = "inconclusive"
	}
	p.text(marksMargin, 64, 14, "start", quiet, "400", fmt.Sprintf("phase %d  ·  contrast to the next phase %s (%s)  ·  %d lands counted%s  ·  %s",
		c.Phase, number(c.Contrast, 3), word, c.Counted, arrangement(c), bullet.Algorithm))
	p.profileNames(names)
	if len(c.Lands) == 0 {
		p.text(marksMargin, rowTop+40, 14, "start", ink, "400", "No phase brings three lands above the quality gate together: nothing was compared.")
	}
	for i, l := range c.Lands {
		p.landRow(rowTop+float64(i)*rowHeight, a.Land(l.A-1), b.Land(l.B-1), l, c)
	}
	y := rowTop + float64(len(c.Lands))*rowHeight + 22
	p.profileScale(y, "z = artanh(r)·√(overlap / 1,500 µm)")
	p.note(names)
	return p.end()
}

func arrangement(a bullet.Comparison) string {
	var out []string
	if a.Stretch != 0 {
		out = append(out, fmt.Sprintf("  ·  the second one's scans are %s %% too wide", number(a.Stretch, 1)))
	}
	if a.Mirrored {
		out = append(out, "  ·  the second one was recorded mirrored")
	}
	if a.Descending {
		out = append(out, "  ·  its lands are numbered the other way around")
	}
	return strings.Join(out, "")
}

func (p *page) landRow(y float64, a, b *bullet.Land, l bullet.LandPair, c bullet.Comparison) {
	middle := y + rowHeight/2
	weight, colour := "600", ink
	if !l.Counted {
		weight, colour = "400", quiet
	}
	p.text(marksMargin, middle, 14, "start", colour, weight, fmt.Sprintf("land %d on %d", l.A, l.B))
	if !l.Counted {
		p.text(marksMargin, middle+18, 12, "start", quiet, "400", "below the gate")
	}
	p.put(`<path d="M%g %.1fh%g" stroke="%s"/>`, plotLeft, middle, plotWidth, rule)
	if c.Mirrored {
		b = b.Mirrored()
	}
	opacity := 1.0
	if !l.Counted {
		opacity = 0.45
	}
	p.profile(middle, samplesOf(b.Samples()), bullet.SamplePitch/(1+c.Stretch/100), -l.Lag, second, opacity)
	p.profile(middle, samplesOf(a.Samples()), bullet.SamplePitch, 0, first, opacity)
	x := plotLeft + plotWidth + 20
	p.text(x, middle-6, 14, "start", colour, weight, fmt.Sprintf("z %s", number(l.Z, 2)))
	p.text(x, middle+13, 12, "start", quiet, "400", fmt.Sprintf("r %s, lag %s µm", number(l.R, 2), number(l.Lag, 0)))
}

// profileNames tells the colours of the two sides.
func (p *page) profileNames(names Labels) {
	p.put(`<rect x="%g" y="76" width="16" height="3" fill="%s"/>`, marksMargin, first)
	p.text(marksMargin+24, 82, 13, "start", ink, "400", shorten(names.A, 60))
	p.put(`<rect x="%g" y="76" width="16" height="3" fill="%s"/>`, marksMargin+480, second)
	p.text(marksMargin+504, 82, 13, "start", ink, "400", shorten(names.B, 60))
}

// profileScale draws the scale bar and says what the figures are.
func (p *page) profileScale(y float64, formula string) {
	scale := plotWidth / (2 * halfRange)
	p.put(`<path d="M%.1f %.1fh%.1f" stroke="%s" stroke-width="3"/>`, plotLeft, y, 250*scale, ink)
	p.text(plotLeft+250*scale+10, y+5, 13, "start", ink, "400", "250 µm")
	p.text(marksMargin, y+36, 12, "start", quiet, "400",
		"Drawn from the signatures, not from the scans: heights across the striae in fifteen steps, form taken off. "+formula+". A score ranks; people compare the evidence.")
}

// profile draws samples at a pitch in µm, their middle moved by so many µm; gaps stay gaps.
func (p *page) profile(y float64, samples []float64, pitch, moved float64, colour string, opacity float64) {
	scale := plotWidth / (2 * halfRange)
	var path strings.Builder
	pen := "M"
	for i, v := range samples {
		x := (float64(i)+0.5-float64(len(samples))/2)*pitch + moved
		if math.IsNaN(v) || x < -halfRange || x > halfRange {
			pen = "M"
			continue
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, plotLeft+(x+halfRange)*scale, y-v/samplesHigh*(rowHeight/2-6))
		pen = "L"
	}
	if path.Len() > 0 {
		p.put(`<path d="%s" fill="none" stroke="%s" stroke-width="1.4" stroke-linejoin="round" stroke-opacity="%g"/>`, path.String(), colour, opacity)
	}
}

// samplesOf joins what a signature tells of its samples; NaN where nothing is known.
func samplesOf(q []int, known []bool) []float64 {
	out := make([]float64, len(q))
	for i, v := range q {
		out[i] = float64(v)
		if !known[i] {
			out[i] = math.NaN()
		}
	}
	return out
}
