package render

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// legend is what the page says below the surface.
type legend struct {
	title, facts   string
	metresPerPixel float64
	colour         bool
	low, high      float64 // metres
	missing        float64 // share of the points
	light          vector
	azimuth        float64
	altitude       float64
}

const (
	textSize   = 14 // pixels
	lineHeight = 20
	rowHeight  = 52 // of the row of symbols
	gap        = 28 // between symbols
	titleMax   = 120
)

// typeface is parsed once; a face is not safe for concurrent use, so every page
// makes its own.
var typeface = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(goregular.TTF)
	if err != nil {
		panic(err) // the font is part of the program
	}
	return f
})

func newFace() font.Face {
	f, err := opentype.NewFace(typeface(), &opentype.FaceOptions{Size: textSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // the font is part of the program
	}
	return f
}

// symbol is one drawn part of the legend.
type symbol struct {
	width int
	draw  func(p *pen, at image.Point)
}

// rows is a legend laid out for a width.
type rows struct {
	face    font.Face
	symbols [][]symbol
	lines   []string
	strong  int // of the lines, how many are the title's
	height  int
}

func (l legend) layout(width int) rows {
	r := rows{face: newFace()}
	left := 0
	for _, s := range l.symbols(r.face, width) {
		if len(r.symbols) == 0 || left+gap+s.width > width {
			r.symbols, left = append(r.symbols, nil), -gap
		}
		last := len(r.symbols) - 1
		r.symbols[last] = append(r.symbols[last], s)
		left += gap + s.width
	}
	if l.title != "" {
		title := []rune(l.title)
		if len(title) > titleMax {
			title = append(title[:titleMax], '…')
		}
		r.lines = wrap(r.face, string(title), width)
		r.strong = len(r.lines)
	}
	r.lines = append(r.lines, wrap(r.face, l.facts, width)...)
	r.height = 14 + rowHeight*len(r.symbols) + lineHeight*len(r.lines)
	return r
}

func (r rows) draw(out *image.RGBA, at image.Point) {
	p := &pen{out: out, face: r.face}
	at.Y += 14
	for _, row := range r.symbols {
		x := at.X
		for _, s := range row {
			s.draw(p, image.Pt(x, at.Y))
			x += s.width + gap
		}
		at.Y += rowHeight
	}
	for i, line := range r.lines {
		c := color.RGBA(faint)
		if i < r.strong {
			c = ink
		}
		p.text(at.X, at.Y+textSize, line, c)
		at.Y += lineHeight
	}
}

// symbols are scale bar, colour scale, mark of missing points and light.
func (l legend) symbols(face font.Face, width int) []symbol {
	measure := func(s string) int { return font.MeasureString(face, s).Ceil() }
	length, pixels := barLength(l.metresPerPixel, min(200, width/3))
	label := quantity(length)
	list := []symbol{{max(pixels, measure(label)), func(p *pen, at image.Point) {
		p.bar(at.X, at.Y+8, pixels)
		p.text(at.X+max(0, (pixels-measure(label))/2), at.Y+34, label, ink)
	}}}
	if l.colour {
		low, high := heights(l.low, l.high)
		const long = 180
		list = append(list, symbol{long, func(p *pen, at image.Point) {
			for x := range long {
				p.fill(image.Rect(at.X+x, at.Y+4, at.X+x+1, at.Y+16), lit(heightColour(float64(x)/(long-1)), 1))
			}
			p.text(at.X, at.Y+34, low, ink)
			p.text(at.X+long-measure(high), at.Y+34, high, ink)
		}})
	}
	from := fmt.Sprintf("light %g°, %g° high", l.azimuth, l.altitude)
	const ball = 30
	list = append(list, symbol{ball + 10 + measure(from), func(p *pen, at image.Point) {
		p.ball(at.X, at.Y, ball, l.light)
		p.text(at.X+ball+10, at.Y+20, from, ink)
	}})
	if l.missing > 0 {
		text := "no data, " + percent(l.missing)
		list = append(list, symbol{ball + 10 + measure(text), func(p *pen, at image.Point) {
			p.swatch(at.X, at.Y+4, ball, 22)
			p.text(at.X+ball+10, at.Y+20, text, ink)
		}})
	}
	return list
}

// describe says what is drawn.
func describe(s *x3p.Scan, form edit.Form, steep float64) string {
	at := quantity(s.IncX)
	if y := quantity(s.IncY); y != at {
		at += " and " + y
	}
	width, height := float64(s.SizeX)*s.IncX, float64(s.SizeY)*s.IncY
	u := unitOf(max(width, height))
	text := fmt.Sprintf("%s × %s %s: %d × %d points at %s", number(width/u.metre, 4), number(height/u.metre, 4), u.name, s.SizeX, s.SizeY, at)
	switch form {
	case edit.Plane:
		text += " · tilt taken off"
	case edit.Curve:
		text += " · tilt and curvature taken off"
	}
	return text + " · slopes × " + number(steep, 2)
}

// barLength is the longest of 1, 2 or 5 times a power of ten metres that fits.
func barLength(metresPerPixel float64, most int) (metres float64, pixels int) {
	room := metresPerPixel * float64(most)
	power := math.Pow(10, math.Floor(math.Log10(room)))
	for _, digit := range []float64{5, 2, 1} {
		if digit*power <= room {
			return digit * power, max(1, int(math.Round(digit*power/metresPerPixel)))
		}
	}
	return power / 2, max(1, int(math.Round(power/2/metresPerPixel))) // rounding of the logarithm
}

type unit struct {
	name  string
	metre float64
}

var units = []unit{{"m", 1}, {"mm", 1e-3}, {"µm", 1e-6}, {"nm", 1e-9}}

// unitOf is the largest unit of which a length is one or more.
func unitOf(metres float64) unit {
	for _, u := range units {
		if math.Abs(metres) >= 0.9999*u.metre {
			return u
		}
	}
	return units[len(units)-1]
}

// quantity writes a length with the unit that suits it, to five digits.
func quantity(metres float64) string {
	u := unitOf(metres)
	return number(metres/u.metre, 5) + " " + u.name
}

// heights writes the two ends of a scale in one unit.
func heights(low, high float64) (string, string) {
	u := unitOf(high - low)
	return number(low/u.metre, 3) + " " + u.name, number(high/u.metre, 3) + " " + u.name
}

// number writes digits significant digits, never with an exponent where people
// would not, and a true minus sign.
func number(v float64, digits int) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		rounded = v
	}
	format := byte('f')
	if a := math.Abs(rounded); a >= 1e6 || a > 0 && a < 1e-4 {
		format = 'g'
	}
	return strings.Replace(strconv.FormatFloat(rounded, format, -1, 64), "-", "−", 1)
}

func percent(share float64) string {
	if share < 0.0005 {
		return "under 0.1 %"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
}

// wrap breaks a text at its spaces into lines of a width in pixels.
func wrap(face font.Face, text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		longer := strings.TrimPrefix(line+" "+word, " ")
		if line != "" && font.MeasureString(face, longer) > fixed.I(width) {
			lines = append(lines, line)
			longer = word
		}
		line = longer
	}
	return append(lines, line)
}
