// Package plot draws line charts and histograms as SVG for reports. It owns
// axes, ticks, lines and legends; it refuses to know what the numbers mean.
package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Colours that stay apart for colour-blind readers and in grey print.
const (
	Blue   = "#1c5d99"
	Orange = "#cf5c0b"
	Green  = "#2a7f5f"
	Grey   = "#6b7280"
)

// Style of a series.
type Style int

// Styles.
const (
	Line  Style = iota
	Step        // the value holds from its x to the next
	Bars        // from the x to the next x; the last y is not drawn
	Mark        // a vertical line over the whole chart at each x, labelled
	Strip       // a short tick on the lower edge at each x
)

// Series is one curve, with its points in data units.
type Series struct {
	Name   string // in the legend; empty is left out
	Style  Style
	X, Y   []float64
	Colour string
	Dashed bool
}

// Tick is a labelled place on an axis.
type Tick struct {
	At    float64
	Label string
}

// Axis of a chart: its range in data units, which is cut at the frame.
type Axis struct {
	Label    string
	Min, Max float64
	Ticks    []Tick // nil chooses round numbers
}

// Chart is one figure.
type Chart struct {
	Title, Subtitle string
	X, Y            Axis
	Series          []Series
}

// The page, in pixels.
const (
	width, height            = 760.0, 500.0
	left, right, top, bottom = 78.0, 26.0, 100.0, 62.0
)

// SVG draws the chart. Equal charts give equal bytes.
func (c Chart) SVG() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" font-family="system-ui,'Segoe UI','DejaVu Sans',sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", escape(c.Title))
	text(&b, left, 28, "start", `font-size="18" font-weight="600" fill="#111827"`, c.Title)
	text(&b, left, 48, "start", `fill="#4b5563"`, c.Subtitle)
	c.grid(&b)
	fmt.Fprintf(&b, `<clipPath id="f"><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"/></clipPath>`+"\n", left, top, width-left-right, height-top-bottom)
	b.WriteString(`<g clip-path="url(#f)" fill="none" stroke-linejoin="round">` + "\n")
	for _, s := range c.Series {
		c.draw(&b, s)
	}
	b.WriteString("</g>\n")
	fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="none" stroke="#374151"/>`+"\n", left, top, width-left-right, height-top-bottom)
	c.marks(&b)
	c.legend(&b)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (c Chart) px(x float64) float64 {
	return left + (x-c.X.Min)/(c.X.Max-c.X.Min)*(width-left-right)
}

func (c Chart) py(y float64) float64 {
	return height - bottom - (y-c.Y.Min)/(c.Y.Max-c.Y.Min)*(height-top-bottom)
}

// grid draws ticks with faint lines, and the axes' labels.
func (c Chart) grid(b *bytes.Buffer) {
	for _, t := range c.X.ticks(8) {
		x := c.px(t.At)
		fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="#e5e7eb"/><path d="M%.1f %.1fv5" stroke="#374151"/>`+"\n", x, top, height-bottom, x, height-bottom)
		text(b, x, height-bottom+20, "middle", `fill="#374151"`, t.Label)
	}
	for _, t := range c.Y.ticks(6) {
		y := c.py(t.At)
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="#e5e7eb"/><path d="M%.1f %.1fh-5" stroke="#374151"/>`+"\n", left, y, width-right, left, y)
		text(b, left-9, y+4.5, "end", `fill="#374151"`, t.Label)
	}
	text(b, (left+width-right)/2, height-16, "middle", `fill="#111827"`, c.X.Label)
	fmt.Fprintf(b, `<text transform="translate(20 %.1f) rotate(-90)" text-anchor="middle" fill="#111827">%s</text>`+"\n", (top+height-bottom)/2, escape(c.Y.Label))
}

// draw puts one series inside the frame.
func (c Chart) draw(b *bytes.Buffer, s Series) {
	dash := ""
	if s.Dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	var d strings.Builder
	switch s.Style {
	case Mark:
		return // drawn over the frame
	case Strip:
		for _, x := range s.X {
			fmt.Fprintf(&d, "M%.1f %.1fv-9", c.px(x), height-bottom)
		}
	case Bars:
		for i := 0; i+1 < len(s.X); i++ {
			if s.Y[i] > 0 {
				fmt.Fprintf(&d, "M%.1f %.1fV%.1fH%.1fV%.1fZ", c.px(s.X[i]), c.py(0), c.inY(s.Y[i]), c.px(s.X[i+1]), c.py(0))
			}
		}
		fmt.Fprintf(b, `<path d="%s" fill="%s" fill-opacity="0.45" stroke="%s"/>`+"\n", d.String(), s.Colour, s.Colour)
		return
	default:
		for i := range s.X {
			x, y := c.inX(s.X[i]), c.inY(s.Y[i])
			switch {
			case i == 0:
				fmt.Fprintf(&d, "M%.1f %.1f", x, y)
			case s.Style == Step:
				fmt.Fprintf(&d, "H%.1fV%.1f", x, y)
			default:
				fmt.Fprintf(&d, "L%.1f %.1f", x, y)
			}
		}
	}
	if d.Len() > 0 {
		fmt.Fprintf(b, `<path d="%s" stroke="%s" stroke-width="2"%s/>`+"\n", d.String(), s.Colour, dash)
	}
}

// inX and inY keep an infinite or far value where the frame cuts it off.
func (c Chart) inX(x float64) float64 { return min(max(c.px(x), -width), 2*width) }
func (c Chart) inY(y float64) float64 { return min(max(c.py(y), -height), 2*height) }

// marks draws the vertical lines, their labels beside the upper edge, each on a
// line of its own.
func (c Chart) marks(b *bytes.Buffer) {
	line := 0
	for _, s := range c.Series {
		if s.Style != Mark {
			continue
		}
		for _, v := range s.X {
			x := c.px(v)
			if x < left || x > width-right {
				continue
			}
			fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="%s" stroke-width="1.5" stroke-dasharray="3 3"/>`+"\n", x, top, height-bottom, s.Colour)
			side, shift := "start", 6.0
			if x > (left+width-right)/2+120 {
				side, shift = "end", -6
			}
			text(b, x+shift, top+18+17*float64(line), side, fmt.Sprintf(`fill="%s" stroke="#ffffff" stroke-width="4" paint-order="stroke"`, s.Colour), s.Name)
			line++
		}
	}
}

// legend names the series in a row between subtitle and frame.
func (c Chart) legend(b *bytes.Buffer) {
	x := left
	const y = 78.0
	for _, s := range c.Series {
		if s.Name == "" || s.Style == Mark {
			continue
		}
		if s.Style == Bars {
			fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="22" height="10" fill="%s" fill-opacity="0.45" stroke="%s"/>`+"\n", x, y-9, s.Colour, s.Colour)
		} else {
			dash := ""
			if s.Dashed {
				dash = ` stroke-dasharray="6 4"`
			}
			fmt.Fprintf(b, `<path d="M%.1f %.1fh22" stroke="%s" stroke-width="2.5"%s/>`+"\n", x, y-4, s.Colour, dash)
		}
		text(b, x+29, y, "start", `fill="#111827"`, s.Name)
		x += 29 + 7.2*float64(len([]rune(s.Name))) + 24
	}
}

// ticks are the given ones inside the range, or about n round numbers.
func (a Axis) ticks(n int) []Tick {
	var out []Tick
	if a.Ticks != nil {
		for _, t := range a.Ticks {
			if t.At >= a.Min && t.At <= a.Max {
				out = append(out, t)
			}
		}
		return out
	}
	raw := (a.Max - a.Min) / float64(n)
	if !(raw > 0) || math.IsInf(raw, 0) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*step >= raw*(1-1e-9) {
			step *= m
			break
		}
	}
	digits := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	for i := math.Ceil(a.Min/step - 1e-9); i*step <= a.Max+step*1e-9; i++ {
		out = append(out, Tick{i * step, strings.Replace(strconv.FormatFloat(i*step+0, 'f', digits, 64), "-", "−", 1)})
	}
	return out
}

func text(b *bytes.Buffer, x, y float64, anchor, style, s string) {
	if s != "" {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, escape(s))
	}
}

func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}
