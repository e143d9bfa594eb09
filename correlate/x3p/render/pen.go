package render

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
)

// pen draws the symbols of a legend.
type pen struct {
	out  *image.RGBA
	face font.Face
}

func (p *pen) fill(r image.Rectangle, c color.RGBA) {
	draw.Draw(p.out, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// text writes a line with its baseline at y.
func (p *pen) text(x, y int, s string, c color.RGBA) {
	d := font.Drawer{Dst: p.out, Src: image.NewUniform(c), Face: p.face, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// bar is a scale bar from the left edge of its first tick to the right edge of
// its last.
func (p *pen) bar(x, y, width int) {
	p.fill(image.Rect(x, y, x+width, y+4), ink)
	p.fill(image.Rect(x, y-4, x+2, y+8), ink)
	p.fill(image.Rect(x+max(0, width-2), y-4, x+width, y+8), ink)
}

// swatch shows the mark of missing points.
func (p *pen) swatch(x, y, w, h int) {
	p.fill(image.Rect(x-1, y-1, x+w+1, y+h+1), faint)
	for dy := range h {
		for dx := range w {
			p.out.SetRGBA(x+dx, y+dy, noData(dx, dy))
		}
	}
}

// ball is a sphere under the light of the picture, smoothed at its rim.
func (p *pen) ball(x, y, size int, light vector) {
	radius := float64(size) / 2
	for dy := range size {
		for dx := range size {
			u, v := (float64(dx)+0.5-radius)/radius, (float64(dy)+0.5-radius)/radius
			far := math.Hypot(u, v)
			cover := max(0, min(1, (1-far)*radius+0.5))
			if cover == 0 {
				continue
			}
			up := math.Sqrt(max(0, 1-far*far))
			c := stone(0.18 + 0.82*max(0, u*light.x+v*light.y+up*light.z))
			over := func(a uint8) uint8 { return uint8(math.Round(cover*float64(a) + (1-cover)*255)) }
			p.out.SetRGBA(x+dx, y+dy, color.RGBA{over(c.R), over(c.G), over(c.B), 0xff})
		}
	}
}
