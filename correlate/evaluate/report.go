package evaluate

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// section of a report: facts as pairs of name and value.
type section struct {
	title string
	facts [][2]string
}

func (e *Evaluation) sections() []section {
	f := e.Figures
	what := "whole marks, each pair once"
	if f.Sector > 0 {
		what = fmt.Sprintf("queries cut to a sector of %g %% against whole marks", f.Sector)
	}
	out := []section{{"Set", [][2]string{
		{"region, algorithm", string(f.ROI) + ", " + f.Algorithm},
		{"scans of firearms", fmt.Sprintf("%d of %d", f.Scans, f.Sources)},
		{"rejected by quality", fmt.Sprintf("%d (%s)", f.Rejected, percent(float64(f.Rejected)/float64(f.Scans)))},
		{"compared", what},
		{"pairs, same and different source", fmt.Sprintf("%d and %d", f.SamePairs, f.DifferentPairs)},
		{"seed", strconv.FormatUint(f.Seed, 10)},
	}}}
	if f.Sector > 0 {
		out[0].facts = append(out[0].facts, [2]string{"centre of the cut from the whole's", fmt.Sprintf("%.0f µm in the median, %.0f µm at most", f.CutCentreMedian, f.CutCentreMax)})
	}
	if f.Rejected > 0 {
		var r section
		r.title = "Rejected"
		for _, x := range f.Rejections {
			r.facts = append(r.facts, [2]string{x.Scan, strings.Join(x.Reasons, "; ")})
		}
		out = append(out, r)
	}
	out = append(out, section{"Telling same from different", [][2]string{
		{"AUC (95 % interval over firearms)", fmt.Sprintf("%s (%s to %s)", places(f.AUC, 5), places(f.AUCLow, 4), places(f.AUCHigh, 4))},
		{"equal error rate", percent(f.EER)},
		{"found at no false alarm", percent(f.TPRAtFPR0)},
		{"least same-source score", fmt.Sprintf("%.3f  %s", f.SameMin, f.SameMinPair)},
		{"largest different-source score", fmt.Sprintf("%.3f  %s", f.DifferentMax, f.DifferentPair)},
		{"gap between them", signed(f.Gap)},
	}})
	if len(f.Groups) > 0 {
		g := section{title: "By part"}
		for _, x := range f.Groups {
			g.facts = append(g.facts, [2]string{x.Name, fmt.Sprintf("AUC %s, %d and %d pairs, least same %.3f, largest different %.3f", places(x.AUC, 5), x.SamePairs, x.DifferentPairs, x.SameMin, x.DifferentMax)})
		}
		out = append(out, g)
	}
	if b := f.Bullets; b != nil {
		s := section{"Whole bullets", [][2]string{
			{"bullets, comparable", fmt.Sprintf("%d, %d with three lands or more above the gate", b.Bullets, b.Comparable)},
			{"pairs, same and different source", fmt.Sprintf("%d and %d, %d inconclusive", b.SamePairs, b.DifferentPairs, b.Inconclusive)},
		}}
		if b.AUC != nil {
			s.facts = append(s.facts, [2]string{"AUC", places(*b.AUC, 5)}, [2]string{"least same, largest different", fmt.Sprintf("%.3f, %.3f", *b.SameMin, *b.DifferentMax)})
		}
		for _, x := range b.Pairs[:min(len(b.Pairs), 20)] {
			s.facts = append(s.facts, [2]string{x.A + " / " + x.B, fmt.Sprintf("score %.3f over %d lands, phase %d, contrast %.3f", x.Score, x.Counted, x.Phase, x.Contrast)})
		}
		out = append(out, s)
	}
	search := section{"Finding the mate", [][2]string{
		{"queries in a gallery of", fmt.Sprintf("%d in %d", f.Queries, f.Gallery)},
		{"mate first", percent(f.Rank1)},
		{"mate in the first 5, 10, 20", fmt.Sprintf("%s, %s, %s", percent(f.HitAt["5"]), percent(f.Top10), percent(f.HitAt["20"]))},
		{"worst rank of any mate", strconv.Itoa(f.WorstRank)},
	}}
	if p := f.Padded; p != nil {
		search.facts = append(search.facts, [2]string{"distractors", fmt.Sprintf("%d, the best of them scores %.3f", p.Distractors, p.DistractorMax)})
		if p.SearchMS > 0 {
			search.facts = append(search.facts, [2]string{"search per query, all cores", fmt.Sprintf("%.0f ms", p.SearchMS)})
		}
	}
	if f.ShortlistRecall != nil {
		search.facts = append(search.facts, [2]string{"mates the short list passed on", percent(*f.ShortlistRecall)})
	}
	out = append(out, search)
	if c := f.Calibration; c != nil {
		w := section{"Worth as evidence", [][2]string{{"reference population", strings.TrimSpace(c.Population + " " + c.Version)}}}
		if c.CrossFolds > 0 {
			w.facts = append(w.facts, [2]string{"groups of firearms left out in turn", strconv.Itoa(c.CrossFolds)})
		}
		w.facts = append(w.facts, [2]string{"log10 LR lies within", fmt.Sprintf("%+.2f to %+.2f", c.MinLog10LR, c.MaxLog10LR)})
		if f.Cllr != nil {
			w.facts = append(w.facts, [2]string{"Cllr, and at best (PAV)", fmt.Sprintf("%.4f, %.4f bits", *f.Cllr, *f.CllrMin)})
		}
		if c.NotCalibrated > 0 {
			w.facts = append(w.facts, [2]string{"pairs not calibrated", strconv.Itoa(c.NotCalibrated)})
		}
		for _, l := range c.Limits {
			w.facts = append(w.facts, [2]string{"limit", l})
		}
		out = append(out, w)
	}
	cost := section{"Cost", [][2]string{{"signature, mean and largest", fmt.Sprintf("%.0f and %d bytes", f.BytesMean, f.BytesMax)}}}
	if f.EncodeMS > 0 {
		cost.facts = append(cost.facts, [2]string{"encode, one core", fmt.Sprintf("%.1f ms", f.EncodeMS)}, [2]string{"compare at all poses, one core", fmt.Sprintf("%.0f µs", f.CompareUS)})
	}
	return append(out, cost)
}

// Text prints the report for a terminal.
func (e *Evaluation) Text(w io.Writer) error {
	for _, s := range e.sections() {
		fmt.Fprintln(w, s.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, f := range s.facts {
			fmt.Fprintf(tw, "  %s\t%s\n", plain(f[0]), plain(f[1]))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "How to read this")
	for _, n := range e.Notes {
		if _, err := fmt.Fprintln(w, "  - "+plain(n)); err != nil {
			return err
		}
	}
	return nil
}

// Markdown prints the report for a page beside its pictures.
func (e *Evaluation) Markdown(w io.Writer, pictures []Picture) error {
	fmt.Fprintln(w, "# Evaluation")
	for _, s := range e.sections() {
		fmt.Fprintf(w, "\n## %s\n\n| | |\n|---|---|\n", s.title)
		for _, f := range s.facts {
			fmt.Fprintf(w, "| %s | %s |\n", cell(f[0]), cell(f[1]))
		}
	}
	fmt.Fprint(w, "\n## How to read this\n\n")
	for _, n := range e.Notes {
		fmt.Fprintln(w, "- "+cell(n))
	}
	fmt.Fprintln(w, "\n## Plots")
	var err error
	for _, p := range pictures {
		_, err = fmt.Fprintf(w, "\n![%s](%s)\n\n%s\n", p.Name, p.Name, p.Caption)
	}
	return err
}

// plain keeps a foreign name from steering the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '·'
		}
		return r
	}, s)
}

var cellEscapes = strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "`", "\\`", "[", `\[`, "_", `\_`)

// cell keeps a foreign name from becoming markup.
func cell(s string) string { return cellEscapes.Replace(plain(s)) }

// places prints a share without rounding what is not 1 to 1.
func places(v float64, n int) string {
	s := strconv.FormatFloat(v, 'f', n, 64)
	for v != 1 && s[0] == '1' && n < 12 {
		n++
		s = strconv.FormatFloat(v, 'f', n, 64)
	}
	return s
}
