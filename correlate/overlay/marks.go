package overlay

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"

	"proofmark/correlate"
)

// Panels of the picture of two marks, in its pixels.
const (
	marksWidth  = 1280.0
	panelSide   = 396.0
	panelTop    = 96.0
	panelGap    = 22.0
	marksMargin = 24.0
	raster      = 2 * correlate.SignatureSide // points along a panel's side
)

// Marks draws two areal marks side by side, the second one turned and shifted onto
// the first, and both laid over each other: dark blue where they agree, orange where
// one is high and the other low. Cells are outlined where they were compared,
// congruent ones in full.
func Marks(a, b *correlate.Signature, c correlate.Comparison, names Labels) ([]byte, error) {
	if a.ROI() != b.ROI() {
		return nil, fmt.Errorf("draw %s over %s: marks of different regions are not compared", a.ROI(), b.ROI())
	}
	own, other := heightsOf(a), heightsOf(b)
	pitch := a.Pitch()
	window := windowOf(own, other, pitch, c, a.CellSide())
	own, other = own.seen(window, pitch, correlate.Pose{}), other.seen(window, pitch, c.Pose)

	p := newPage(marksWidth, panelTop+panelSide+92+noteHeight(names), fmt.Sprintf("%s compared with %s: score %.3f", names.A, names.B, c.Score))
	p.text(marksMargin, 38, 22, "start", ink, "600", fmt.Sprintf("Score %s", number(c.Score, 3)))
	p.text(marksMargin, 64, 14, "start", quiet, "400", fmt.Sprintf(
		"correlation %s over %s mm²  ·  %d of %d cells congruent  ·  the second mark turned by %s°, shifted by %s and %s µm  ·  %s",
		number(c.R, 3), number(c.OverlapMM2, 2), c.CongruentCells, c.Cells, number(c.Pose.Rotation, 1), number(c.Pose.ShiftX, 0), number(c.Pose.ShiftY, 0), c.Algorithm))

	place := func(i int) float64 { return marksMargin + float64(i)*(panelSide+panelGap) }
	for i, view := range []struct {
		name, colour string
		picture      image.Image
	}{{names.A, first, own.relief()}, {names.B, second, other.relief()}, {"both", ink, agreement(own, other)}} {
		uri, err := dataURI(view.picture)
		if err != nil {
			return nil, err
		}
		x := place(i)
		p.text(x, panelTop-8, 14, "start", view.colour, "600", shorten(view.name, 48))
		p.put(`<image x="%g" y="%g" width="%g" height="%g" preserveAspectRatio="none" href="%s"/>`, x, panelTop, panelSide, panelSide, uri)
		p.put(`<rect x="%g" y="%g" width="%g" height="%g" fill="none" stroke="%s"/>`, x, panelTop, panelSide, panelSide, rule)
	}
	scale := panelSide / window.side // pixels per µm
	grid := gridAngle(c, pitch, a.CellSide())
	for i := range 3 {
		p.put(`<svg x="%g" y="%g" width="%g" height="%g">`, place(i), panelTop, panelSide, panelSide) // clips
		for _, cell := range c.CellMap {
			x, y, degrees := cell.X, cell.Y, 0.0
			if i == 1 { // where the second mark's patch lay before its own small step
				x, y, degrees = x-cell.ShiftX, y-cell.ShiftY, -cell.Rotation
			}
			half := a.CellSide() / 2 * scale * 0.94
			cx, cy := (x-window.x)*scale, (y-window.y)*scale
			stroke := fmt.Sprintf(`stroke="%s" stroke-width="1.8"`, first)
			if !cell.Congruent {
				stroke = fmt.Sprintf(`stroke="%s" stroke-width="1.2" stroke-dasharray="3 4"`, second)
			}
			p.put(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3" fill="none" %s transform="rotate(%.1f %.1f %.1f)"/>`,
				cx-half, cy-half, 2*half, 2*half, stroke, degrees+grid, cx, cy)
		}
		p.put(`</svg>`)
	}
	p.marksLegend(panelTop+panelSide+30, scale, c)
	p.note(names)
	return p.end(), nil
}

// gridAngle is how far the cells' grid is turned in the first mark's frame. Cells lie
// on the grid of the mark whose points were sampled, which may be either.
func gridAngle(c correlate.Comparison, pitch, side float64) float64 {
	corner := correlate.SignatureSide * pitch / 2
	for _, cell := range c.CellMap {
		x, y := (cell.X+corner)/side-0.5, (cell.Y+corner)/side-0.5
		if math.Abs(x-math.Round(x)) > 0.02 || math.Abs(y-math.Round(y)) > 0.02 {
			return c.Pose.Rotation
		}
	}
	return 0
}

func (p *page) marksLegend(y, scale float64, c correlate.Comparison) {
	x := marksMargin
	bar := 500.0
	if bar*scale > panelSide/2 {
		bar = 200
	}
	p.put(`<path d="M%.1f %.1fh%.1f" stroke="%s" stroke-width="3"/>`, x, y, bar*scale, ink)
	p.text(x+bar*scale+10, y+5, 13, "start", ink, "400", fmt.Sprintf("%g µm", bar))
	key := func(x float64, style, words string) {
		p.put(`<rect x="%.1f" y="%.1f" width="14" height="14" rx="3" %s/>`, x, y-8, style)
		p.text(x+22, y+5, 13, "start", ink, "400", words)
	}
	key(marksMargin+panelSide+panelGap, fmt.Sprintf(`fill="none" stroke="%s" stroke-width="1.8"`, first), fmt.Sprintf("congruent cell (%d)", c.CongruentCells))
	key(marksMargin+panelSide+panelGap+170, fmt.Sprintf(`fill="none" stroke="%s" stroke-width="1.2" stroke-dasharray="3 4"`, second), fmt.Sprintf("cell that is not (%d)", c.Cells-c.CongruentCells))
	key(marksMargin+2*(panelSide+panelGap), fmt.Sprintf(`fill="%s"`, first), "agree")
	key(marksMargin+2*(panelSide+panelGap)+84, fmt.Sprintf(`fill="%s"`, second), "one high, one low")
	key(marksMargin+2*(panelSide+panelGap)+236, `fill="#eceff2"`, "one side only")
	p.text(marksMargin, y+40, 12, "start", quiet, "400",
		"Drawn from the signatures, not from the scans: heights in six steps, form and waviness taken off, contrast made even. A score ranks; people compare the evidence.")
}

// field is a mark's heights on some square grid; NaN where nothing was measured.
type field struct {
	n int
	v []float64 // in steps of the quantiser
}

func heightsOf(s *correlate.Signature) *field {
	pixels := s.Pixels()
	f := &field{correlate.SignatureSide, make([]float64, len(pixels))}
	for i, v := range pixels {
		f.v[i] = float64(v)
		if v == 0 {
			f.v[i] = math.NaN()
		}
	}
	return f
}

// at interpolates bilinearly at pixel coordinates; NaN where half the weight is missing.
func (f *field) at(x, y float64) float64 {
	x, y = x-0.5, y-0.5
	ix, iy := int(math.Floor(x)), int(math.Floor(y))
	sum, weight := 0.0, 0.0
	for dy := range 2 {
		for dx := range 2 {
			px, py := ix+dx, iy+dy
			if px < 0 || py < 0 || px >= f.n || py >= f.n || math.IsNaN(f.v[py*f.n+px]) {
				continue
			}
			w := (1 - math.Abs(x-float64(px))) * (1 - math.Abs(y-float64(py)))
			sum += w * f.v[py*f.n+px]
			weight += w
		}
	}
	if weight < 0.5 {
		return math.NaN()
	}
	return sum / weight
}

// window is the square of the first mark's frame that is shown, in µm.
type window struct{ x, y, side float64 }

// windowOf holds both marks and all cells, with a small margin.
func windowOf(a, b *field, pitch float64, c correlate.Comparison, cellSide float64) window {
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	hold := func(x, y, around float64) {
		x0, y0, x1, y1 = min(x0, x-around), min(y0, y-around), max(x1, x+around), max(y1, y+around)
	}
	for i, f := range []*field{a, b} {
		for k, v := range f.v {
			if math.IsNaN(v) {
				continue
			}
			x, y := (float64(k%f.n)+0.5-float64(f.n)/2)*pitch, (float64(k/f.n)+0.5-float64(f.n)/2)*pitch
			if i == 1 {
				x, y = turn(x, y, c.Pose.Rotation)
				x, y = x+c.Pose.ShiftX, y+c.Pose.ShiftY
			}
			hold(x, y, 2*pitch)
		}
	}
	for _, cell := range c.CellMap {
		hold(cell.X, cell.Y, cellSide*0.6)
	}
	side := max(x1-x0, y1-y0)
	return window{(x0+x1)/2 - side/2, (y0+y1)/2 - side/2, side}
}

// seen is the mark brought by pose into the first mark's frame, sampled over the window.
func (f *field) seen(w window, pitch float64, pose correlate.Pose) *field {
	out := &field{raster, make([]float64, raster*raster)}
	for i := range out.v {
		x := w.x + (float64(i%raster)+0.5)*w.side/raster
		y := w.y + (float64(i/raster)+0.5)*w.side/raster
		x, y = turn(x-pose.ShiftX, y-pose.ShiftY, -pose.Rotation)
		out.v[i] = f.at(x/pitch+float64(f.n)/2, y/pitch+float64(f.n)/2)
	}
	return out
}

// relief is the mark in grey, lit from the upper left.
func (f *field) relief() image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, f.n, f.n))
	for i, v := range f.v {
		if math.IsNaN(v) {
			continue
		}
		slope := 0.0
		if x, y := i%f.n, i/f.n; x > 0 && y > 0 {
			if w := f.v[i-f.n-1]; !math.IsNaN(w) {
				slope = v - w
			}
		}
		g := uint8(max(28, min(244, 140+18*v+34*slope)))
		img.SetNRGBA(i%f.n, i/f.n, color.NRGBA{g, g, g, 255})
	}
	return img
}

// agreement colours the product of two marks' heights.
func agreement(a, b *field) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, a.n, a.n))
	for i, v := range a.v {
		w := b.v[i]
		c := color.NRGBA{0xec, 0xef, 0xf2, 255}
		switch {
		case math.IsNaN(v) && math.IsNaN(w):
			continue
		case math.IsNaN(v) || math.IsNaN(w):
		case v*w >= 0:
			c = blend(0x1c, 0x5d, 0x99, math.Sqrt(v*w)/2.2)
		default:
			c = blend(0xcf, 0x5c, 0x0b, math.Sqrt(-v*w)/2.2)
		}
		img.SetNRGBA(i%a.n, i/a.n, c)
	}
	return img
}

// blend goes from white to a colour.
func blend(r, g, b uint8, share float64) color.NRGBA {
	share = min(share, 1)
	mix := func(v uint8) uint8 { return uint8(math.Round(255 - share*(255-float64(v)))) }
	return color.NRGBA{mix(r), mix(g), mix(b), 255}
}

func dataURI(img image.Image) (string, error) {
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img); err != nil {
		return "", fmt.Errorf("draw a mark: %w", err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
