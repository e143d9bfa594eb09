// Package overlay draws what a comparison found, from the two signatures alone: an
// examiner who holds no more of a foreign exhibit than its signature sees where it
// agrees with his own and where it does not. It is a pure function of signatures and
// comparison; it refuses to judge them.
//
// Pictures are SVG documents without scripts, fonts or references to anything
// outside; equal comparisons give equal bytes.
package overlay

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Labels name the two sides of a comparison.
type Labels struct {
	A, B string
	Note string // under the picture, in lines: what binds whoever looks at it
}

// Colours stay apart for colour-blind readers and in grey print.
const (
	ink    = "#1f2937"
	quiet  = "#6b7280"
	rule   = "#d7dbe0"
	first  = "#1c5d99" // the first side, and agreement
	second = "#cf5c0b" // the second side, and disagreement
	paper  = "#ffffff"
)

// page is an SVG document that grows.
type page struct {
	bytes.Buffer
	width, height float64
}

// newPage begins a document; title is read out by screen readers.
func newPage(width, height float64, title string) *page {
	p := &page{width: width, height: height}
	p.put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif">`,
		width, height, width, height)
	p.put(`<title>%s</title>`, escape(title))
	p.put(`<rect width="%g" height="%g" fill="%s"/>`, width, height, paper)
	return p
}

func (p *page) put(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

func (p *page) text(x, y, size float64, anchor, colour, weight, s string) {
	p.put(`<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" fill="%s" font-weight="%s">%s</text>`, x, y, size, anchor, colour, weight, escape(s))
}

// noteHeight is the room that the note takes.
func noteHeight(names Labels) float64 {
	if names.Note == "" {
		return 0
	}
	return 10 + noteLine*float64(1+strings.Count(names.Note, "\n"))
}

// noteLine is the distance of two lines of the note.
const noteLine = 16

func (p *page) note(names Labels) {
	if names.Note == "" {
		return
	}
	lines := strings.Split(names.Note, "\n")
	for i, line := range lines {
		p.text(marksMargin, p.height-14-noteLine*float64(len(lines)-1-i), 12, "start", ink, "600", shorten(line, 190))
	}
}

func (p *page) end() []byte {
	p.put(`</svg>`)
	return p.Bytes()
}

// escape makes a text that came from anywhere safe inside an element; characters that
// XML cannot hold are replaced.
func escape(s string) string {
	var b bytes.Buffer
	if xml.EscapeText(&b, []byte(s)) != nil { // a Buffer does not fail
		return ""
	}
	return b.String()
}

// number writes a figure with fixed decimals and a true minus.
func number(v float64, decimals int) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return strings.Replace(s, "-", "−", 1)
}

// shorten keeps a label within its panel.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

// turn rotates a point by degrees, positive from x towards y (clockwise on a screen).
func turn(x, y, degrees float64) (float64, float64) {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return cos*x - sin*y, sin*x + cos*y
}
