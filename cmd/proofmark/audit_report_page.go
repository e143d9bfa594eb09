package main

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"slices"

	proofs "proofmark/crypto/proof"
)

// bar is one row of a chart, in parts.
type bar struct {
	name  string
	parts [2]int64 // permitted, denied
}

func (b bar) total() int64 { return b.parts[0] + b.parts[1] }

// maxBars bounds a chart; what is left is summed up in one more.
const maxBars = 24

// barsBy sums the counts up under a name, the largest first; what has no name is left out.
func barsBy(r *proofs.Report, name func(proofs.Count) string) []bar {
	sums := map[string]*bar{}
	for _, c := range r.Counts {
		n := name(c)
		if n == "" {
			continue
		}
		if sums[n] == nil {
			sums[n] = &bar{name: n}
		}
		part := 0
		if c.Decision == "deny" {
			part = 1
		}
		sums[n].parts[part] += c.Entries
	}
	out := make([]bar, 0, len(sums))
	for _, b := range sums {
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b bar) int { return cmp.Or(cmp.Compare(b.total(), a.total()), cmp.Compare(a.name, b.name)) })
	if len(out) > maxBars {
		rest := bar{name: fmt.Sprintf("%d others", len(out)-maxBars)}
		for _, b := range out[maxBars:] {
			rest.parts[0] += b.parts[0]
			rest.parts[1] += b.parts[1]
		}
		out = append(out[:maxBars], rest)
	}
	return out
}

// reportHTML is the report for people: three charts and the table, in one file that loads nothing.
func reportHTML(r *proofs.Report, below int64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>%[1]s, %[2]s</title><style>
body{font:15px/1.45 Helvetica,Arial,sans-serif;color:#222;max-width:900px;margin:2em auto;padding:0 1em}
h1{font-size:24px;margin-bottom:.2em}h2{font-size:17px;margin:1.6em 0 .3em}p{color:#555;margin:.3em 0}
table{border-collapse:collapse;width:100%%}th,td{text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid #e4e4e0}td:last-child,th:last-child{text-align:right}
</style></head><body><h1>What %[1]s has exchanged and done</h1><p>%[2]s (days in UTC); %[3]d entries of its audit log, of which this page shows numbers alone. The signed figures are in %[4]s, what proves them in %[5]s.</p>`,
		r.Country, days(r), counted(r), reportFile, leavesFile)
	if below > 0 {
		fmt.Fprintf(&b, `<p>Numbers below %[1]d are written as &lt;%[1]d, and drawn as %[1]d.</p>`, below)
	}
	for _, c := range []struct {
		title string
		by    func(proofs.Count) string
	}{
		{"With other countries", func(c proofs.Count) string { return c.Counterpart }},
		{"What was done", func(c proofs.Count) string { return string(c.Action) }},
		{"With what", func(c proofs.Count) string { return c.Type }},
		{"On which ground", func(c proofs.Count) string { return c.Ground }},
	} {
		drawBars(&b, c.title, barsBy(r, c.by), below)
	}
	b.WriteString(`<h2>Every figure</h2><table><tr><th>With<th>Type<th>Action<th>Decision<th>Ground<th>Entries</tr>`)
	for _, row := range reportRows(r, below) {
		b.WriteString("<tr>")
		for _, cell := range row {
			fmt.Fprintf(&b, "<td>%s", html.EscapeString(printable(cell)))
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</table></body></html>\n")
	return b.Bytes()
}

// drawBars draws permitted and denied entries behind one another. A number below the bound has the length of the bound.
func drawBars(b *bytes.Buffer, title string, bars []bar, below int64) {
	const left, width, row = 190, 560, 24
	fmt.Fprintf(b, "<h2>%s</h2>", title)
	if len(bars) == 0 {
		b.WriteString("<p>Nothing.</p>")
		return
	}
	drawn := func(n int64) int64 { return max(n, min(n, 1)*below) }
	longest := int64(1)
	for _, v := range bars {
		longest = max(longest, drawn(v.parts[0])+drawn(v.parts[1]))
	}
	length := func(n int64) float64 { return float64(drawn(n)) / float64(longest) * width }
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="100%%" font-family="Helvetica, Arial, sans-serif" font-size="13">`+"\n", left+width+110, len(bars)*row+30)
	for i, v := range bars {
		y, x := i*row, float64(left)
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#222">%s</text>`, left-10, y+16, html.EscapeString(printable(v.name)))
		for k, colour := range []string{"#4c7fa6", "#b5342b"} {
			w := length(v.parts[k])
			if w > 0 {
				fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="17" fill="%s"/>`, x, y+3, w, colour)
			}
			x += w
		}
		label := rounded(v.parts[0], below)
		switch {
		case v.parts[1] > 0 && v.parts[0] == 0:
			label = "denied " + rounded(v.parts[1], below)
		case v.parts[1] > 0:
			label += ", denied " + rounded(v.parts[1], below)
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#555">%s</text>`+"\n", x+6, y+16, label)
	}
	y := len(bars)*row + 20
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="12" height="12" fill="#4c7fa6"/><text x="%d" y="%d" fill="#333">permitted</text><rect x="%d" y="%d" width="12" height="12" fill="#b5342b"/><text x="%d" y="%d" fill="#333">denied</text></svg>`,
		left, y-11, left+18, y, left+100, y-11, left+118, y)
}
