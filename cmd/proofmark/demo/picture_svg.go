package demo

import (
	"encoding/base64"
	"fmt"
	"html"
	"math"
	"strings"

	"proofmark/correlate"
	"proofmark/protocol"
)

// drawing is what the picture of a day shows.
type drawing struct {
	bureaus  [3]drawnBureau // PT, ES, FR: left, middle, right
	exhibits int
	bytes    int   // of a signature, mean
	scan     int64 // bytes of a scan, mean
	lead     string
	hit      string
	taken    string // state of the second lead, FR to PT
	trace    string
	found    correlate.Comparison
	rank     [2]int // of each side in the list of the other
	faces    [2]drawnFace
	view     view
}

type drawnBureau struct {
	country  protocol.Country
	name     string
	exhibits int
	bytes    int // of its signatures, mean
	log      Log
}

// drawnFace is one breech face of the pair. Cells lie on it as the comparison told, the second face's beside them by their own shifts.
type drawnFace struct {
	title string
	lines []string
	jpeg  []byte
	first bool // the comparison's first mark, in whose frame all is drawn
}

// Sizes in the picture's units, of which it is 900 wide.
const (
	paperWide = 900
	paperHigh = 922
	boxTop    = 142
	boxHigh   = 126
	boxWide   = 190
	plateTop  = 354
	plateSide = 424
)

var (
	boxLeft   = [3]float64{16, 355, 694}
	plateLeft = [2]float64{16, 460}
)

// The sheet is opaque, with colours of its own for either background, so that it can be read on any page.
const style = `
text{font-family:Helvetica,Arial,"Liberation Sans",sans-serif;fill:#1d2733}
.sheet{fill:#fff;stroke:#d5dbe2}.box{fill:#f3f6f9;stroke:#5b6b7c;stroke-width:1.3}
.title{font-size:19px;font-weight:700}.code{font-size:21px;font-weight:700}.name{font-size:15px}.note{font-size:13px;fill:#4b5968}.big{font-size:16px;font-weight:700}
.sig{stroke:#1f6feb}.tsig{fill:#1a5fc9}.lead{stroke:#c2500a}.tlead{fill:#b04604}.trace{stroke:#7a3fbf}.ttrace{fill:#6d34b0}
.way{fill:none;stroke-width:2}.label{font-size:13px;text-anchor:middle}
.plate{fill:#15181d}.on{fill:#f4efe4;text-anchor:middle;font-size:13.5px}.ont{fill:#fff;text-anchor:middle;font-size:26px;font-weight:700}
.cell{fill:none;stroke:#35e0d0;stroke-width:1.8}.off{fill:none;stroke:#f2f2f2;stroke-opacity:.75;stroke-width:1.2;stroke-dasharray:3 3}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.sheet{fill:#0f141a;stroke:#2b3440}.box{fill:#19212a;stroke:#8494a5}.note{fill:#a9b6c4}
.sig{stroke:#58a6ff}.tsig{fill:#79b8ff}.lead{stroke:#f0883e}.tlead{fill:#ffa657}.trace{stroke:#bc8cff}.ttrace{fill:#cba6ff}.on{fill:#f4efe4}.ont{fill:#fff}}
`

// svg writes the picture.
func (d *drawing) svg() []byte {
	p := &pen{}
	p.put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`, paperWide, paperHigh, paperWide, paperHigh,
		html.EscapeString(d.inWords()))
	p.put(`<style>%s</style><defs>`, style)
	for _, kind := range []string{"sig", "lead", "trace"} { // an arrow's head has its line's colour
		p.put(`<marker id="%s" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path class="%s" d="M1 1L9 5L1 9" fill="none" stroke-width="2"/></marker>`, kind, kind)
	}
	p.put(`</defs><rect class="sheet" x=".5" y=".5" width="%d" height="%d" rx="10"/>`, paperWide-1, paperHigh-1)
	p.text(16, 34, "title", "A federation at work: %d exhibits in three bureaus, compared across borders", d.exhibits)
	d.drawLinks(p)
	for i, b := range d.bureaus {
		x := boxLeft[i]
		p.put(`<rect class="box" x="%g" y="%d" width="%d" height="%d" rx="7"/>`, x, boxTop, boxWide, boxHigh)
		p.text(x+14, boxTop+32, "code", "%s", b.country)
		p.text(x+52, boxTop+32, "name", "%s", b.name)
		p.text(x+14, boxTop+58, "note", "%d exhibits", b.exhibits)
		p.text(x+14, boxTop+80, "note", "scans stay here")
		state := "NOT verified"
		if b.log.Verified {
			state = "verified"
		}
		p.text(x+14, boxTop+102, "note", "log of %d entries, %s", b.log.Entries, state)
	}
	for i := range d.faces {
		d.drawFace(p, i)
	}
	d.drawResult(p)
	p.put(`</svg>` + "\n")
	return []byte(p.String())
}

// inWords says what the picture shows, for those who cannot see it.
func (d *drawing) inWords() string {
	return fmt.Sprintf("Three bureaus exchange signatures of about %d bytes; two breech faces, from PT and ES, became a hit: score %.2f, %d of %d cells congruent",
		d.bytes, d.found.Score, d.found.CongruentCells, d.found.Cells)
}

// drawLinks draws what crossed between the bureaus.
func (d *drawing) drawLinks(p *pen) {
	a, b, c := d.bureaus[0], d.bureaus[1], d.bureaus[2]
	from, to := boxLeft[0]+boxWide+7, boxLeft[1]-7
	signatures := func(b drawnBureau) string { return count(b.exhibits, "signature") }
	each := func(b drawnBureau) string { return grouped(b.bytes) + " bytes each" }
	p.way("sig", from, boxTop+24, to, boxTop+24, signatures(a), each(a))
	p.way("sig", to, boxTop+68, from, boxTop+68, signatures(b), each(b))
	p.way("lead", from, boxTop+112, to, boxTop+112, d.leadWords(), "")
	from, to = boxLeft[1]+boxWide+7, boxLeft[2]-7
	p.way("sig", from, boxTop+24, to, boxTop+24, signatures(b), each(b))
	p.way("sig", to, boxTop+68, from, boxTop+68, signatures(c), each(c))
	p.way("trace", from, boxTop+112, to, boxTop+112, "trace, "+strings.ToLower(d.trace), "")

	// PT and FR, around ES.
	left, right := boxLeft[0]+boxWide/2, boxLeft[2]+boxWide/2
	over := func(kind string, y, x0, x1 float64) {
		turn := math.Copysign(10, x1-x0)
		p.put(`<path class="way %s" marker-end="url(#%s)" d="M%g %dV%gQ%g %g %g %gH%gQ%g %g %g %gV%d"/>`, kind, kind, x0, boxTop, y+10, x0, y, x0+turn, y, x1-turn, x1, y, x1, y+10, boxTop-4)
	}
	over("sig", 66, left, right)
	over("sig", 90, right-22, left+22)
	over("lead", 114, right-44, left+44)
	middle := (left + right) / 2
	p.text(middle, 60, "label tsig", "%s, %s", signatures(a), each(a))
	p.text(middle, 84, "label tsig", "%s, %s", signatures(c), each(c))
	p.text(middle, 108, "label tlead", "a lead, %s by its sender", d.taken)
	p.text(16, boxTop+boxHigh+24, "note", "What crosses: signatures, with calibre, offence and date. Agency, place and case follow only in a lead, after two reviews.")
	p.text(16, boxTop+boxHigh+43, "note", "What stays: the scans, of about %s kB each.", grouped(int(d.scan/1000)))
	p.text(16, plateTop-14, "big", "The pair that became a hit, in the pose that the comparison found")
}

// leadWords is the way of the pair's lead.
func (d *drawing) leadWords() string {
	if d.hit == "hit" {
		return "lead, then hit"
	}
	return "lead " + d.lead
}

// drawFace draws a face on its plate, with the cells over it and its names in the aperture, where there is no surface.
func (d *drawing) drawFace(p *pen, i int) {
	f, x0 := &d.faces[i], plateLeft[i]
	scale := plateSide / (2 * d.view.half)
	at := func(x, y float64) (float64, float64) {
		return x0 + (x-d.view.x+d.view.half)*scale, plateTop + (y-d.view.y+d.view.half)*scale
	}
	p.put(`<clipPath id="c%d"><rect x="%g" y="%d" width="%d" height="%d" rx="8"/></clipPath><g clip-path="url(#c%d)">`, i, x0, plateTop, plateSide, plateSide, i)
	p.put(`<rect class="plate" x="%g" y="%d" width="%d" height="%d"/>`, x0, plateTop, plateSide, plateSide)
	p.put(`<image x="%g" y="%d" width="%d" height="%d" href="data:image/jpeg;base64,%s"/>`, x0, plateTop, plateSide, plateSide, base64.StdEncoding.EncodeToString(f.jpeg))
	turn := gridTurn(d.found.CellMap, d.found.Pose.Rotation)
	for _, congruent := range []bool{false, true} { // the congruent ones above
		for _, c := range d.found.CellMap {
			if c.Congruent != congruent {
				continue
			}
			class, x, y, own := "off", c.X, c.Y, 0.0
			if congruent {
				class = "cell"
			}
			if !f.first {
				x, y, own = x+c.ShiftX, y+c.ShiftY, c.Rotation
			}
			px, py := at(x, y)
			s := 0.88 * cellSide * scale // a gap between neighbours
			p.put(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" transform="translate(%.1f %.1f) rotate(%.1f)"/>`, class, -s/2, -s/2, s, s, px, py, turn+own)
		}
	}
	p.put(`</g>`)
	cx, cy := at(0, 0)
	p.text(cx, cy-14*float64(len(f.lines))/2-4, "ont", "%s", f.title)
	for k, l := range f.lines {
		p.text(cx, cy-14*float64(len(f.lines))/2+20+20*float64(k), "on", "%s", l)
	}
}

// drawResult says what was found, below the faces.
func (d *drawing) drawResult(p *pen) {
	y := float64(plateTop + plateSide + 34)
	p.text(16, y, "big", "Score %.2f · rank %d in Lisbon's list, rank %d in Madrid's · %d of %d cells congruent · turned %.0f° to lie alike",
		d.found.Score, d.rank[0], d.rank[1], d.found.CongruentCells, d.found.Cells, math.Abs(d.found.Pose.Rotation))
	p.put(`<rect class="plate" x="16" y="%g" width="120" height="34" rx="5"/><rect class="cell" x="26" y="%g" width="18" height="18"/><rect class="off" x="88" y="%g" width="18" height="18"/>`, y+18, y+26, y+26)
	p.put(`<text x="50" y="%g" style="fill:#fff;font-size:13px">yes</text><text x="112" y="%g" style="fill:#fff;font-size:13px">no</text>`, y+39.5, y+39.5)
	p.text(150, y+31, "note", "Congruent cells: squares of 0.4 mm whose marks agree at the common pose. Software ranks; it decides nothing.")
	p.text(150, y+50, "note", "Two people reviewed, the second one blind; an examiner confirmed the hit and another one verified it.")
	p.text(16, y+80, "note", "Drawn by proofmark demo --picture from its run. The surfaces are generated; people, cases and the microscope are fictitious.")
}

// grouped writes a number with its thousands apart.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// pen writes elements.
type pen struct{ strings.Builder }

func (p *pen) put(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *pen) text(x, y float64, class, format string, args ...any) {
	p.put(`<text x="%g" y="%g" class="%s">%s</text>`, x, y, class, html.EscapeString(fmt.Sprintf(format, args...)))
}

// way draws a level arrow with its words above and below.
func (p *pen) way(kind string, x0, y0, x1, y1 float64, above, below string) {
	p.put(`<path class="way %s" marker-end="url(#%s)" d="M%g %gL%g %g"/>`, kind, kind, x0, y0, x1, y1)
	p.text((x0+x1)/2, y0-6, "label t"+kind, "%s", above)
	if below != "" {
		p.text((x0+x1)/2, y0+15, "label t"+kind, "%s", below)
	}
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
