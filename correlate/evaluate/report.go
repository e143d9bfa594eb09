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

// known prints a figure, or says that there is none.
func known[T any](v *T, print func(T) string) string {
	if v == nil {
		return "not measurable on this set"
	}
	return print(*v)
}

func score(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', 3, 64), "-", "−", 1)
}

// sections of the report: each is as long as the set allows.
func (e *Evaluation) sections() []section {
	f := &e.Figures
	out := []section{e.setSection()}
	if f.Rejected > 0 {
		r := section{title: "Rejected"}
		for _, x := range f.Rejections {
			r.facts = append(r.facts, [2]string{x.Scan, strings.Join(x.Reasons, "; ")})
		}
		out = append(out, r)
	}
	out = append(out, section{"Telling same from different", separationFacts(f)})
	out = append(out, e.partSections()...)
	if f.Bullets != nil {
		out = append(out, bulletSections(f.Bullets)...)
	}
	out = append(out, e.searchSections()...)
	if f.Calibration != nil {
		out = append(out, evidenceSection(f))
	}
	return append(out, costSection(f))
}

func (e *Evaluation) setSection() section {
	f := &e.Figures
	what := "whole marks, each pair once"
	if f.Sector != nil {
		what = fmt.Sprintf("partial marks of %g %% against whole marks, in both directions of a pair", *f.Sector)
		if f.Fragment {
			what = fmt.Sprintf("fragments of %g %% of a scan against whole marks, in both directions of a pair", *f.Sector)
		}
	}
	region := string(f.ROI)
	if len(f.Regions) > 0 {
		region = "fused of"
		for _, r := range f.Regions {
			region += " " + string(r.ROI)
		}
	}
	rejected := fmt.Sprintf("%d (%s)", f.Rejected, percent(float64(f.Rejected)/float64(max(f.Scans, 1))))
	if f.Missing > 0 {
		rejected += fmt.Sprintf(", %d of them not in the folder", f.Missing)
	}
	return section{"Set", [][2]string{
		{"region, algorithm", region + ", " + f.Algorithm},
		{"scans of exhibits of firearms", fmt.Sprintf("%d of %d of %d", f.Scans, f.Exhibits, f.Sources)},
		{"rejected by quality", rejected},
		{"compared", what},
		{"pairs, same and different source", fmt.Sprintf("%d and %d", f.SamePairs, f.DifferentPairs)},
		{"seed", strconv.FormatUint(f.Seed, 10)},
	}}
}

func separationFacts(f *Figures) [][2]string {
	area := "not measurable on this set"
	if f.AUC != nil {
		area = places(*f.AUC, 5)
		if f.AUCLow != nil {
			area = fmt.Sprintf("%s (%s to %s)", area, places(*f.AUCLow, 4), places(*f.AUCHigh, 4))
		}
	}
	return [][2]string{
		{"AUC (95 % interval over firearms)", area},
		{"equal error rate", known(f.EER, percent)},
		{"found at no false alarm", known(f.TPRAtFPR0, percent)},
		{"missed at no false alarm", known(f.MissAtFPR0, percent)},
		{"least same-source score", strings.TrimSpace(known(f.SameMin, score) + "  " + f.SameMinPair)},
		{"largest different-source score", strings.TrimSpace(known(f.DifferentMax, score) + "  " + f.DifferentPair)},
		{"gap between them", known(f.Gap, signed)},
	}
}

// brief is a part's figures in one line.
func brief(s Separation) string {
	text := fmt.Sprintf("%d and %d pairs", s.SamePairs, s.DifferentPairs)
	if s.AUC != nil {
		text = fmt.Sprintf("AUC %s, EER %s, missed at no false alarm %s, %s", places(*s.AUC, 5), percent(*s.EER), percent(*s.MissAtFPR0), text)
	}
	if s.SameMin != nil {
		text += ", least same " + score(*s.SameMin)
	}
	if s.DifferentMax != nil {
		text += ", largest different " + score(*s.DifferentMax)
	}
	return text
}

// partSections split the pairs: by region, by label, by partial area.
func (e *Evaluation) partSections() []section {
	f := &e.Figures
	var out []section
	if len(f.Regions) > 0 {
		s := section{title: "By region"}
		for _, r := range f.Regions {
			s.facts = append(s.facts, [2]string{string(r.ROI), fmt.Sprintf("%s; %d of %d scans rejected; mate first %s", brief(r.Separation), r.Rejected, r.Scans, known(r.Rank1, percent))})
		}
		out = append(out, s)
	}
	if len(f.Groups) > 0 {
		s := section{title: "By part"}
		for _, x := range f.Groups {
			s.facts = append(s.facts, [2]string{x.Name, brief(x.Separation)})
		}
		out = append(out, s)
	}
	if len(f.ByPartialArea) > 0 {
		s := section{title: "By partial area, over all seeds"}
		for _, x := range f.ByPartialArea {
			kind := "partial mark"
			if x.Fragment {
				kind = "fragment"
			}
			s.facts = append(s.facts, [2]string{fmt.Sprintf("%s of %g %%, %s", kind, x.Share, counted(x.Seeds, "seed")),
				fmt.Sprintf("AUC %s, EER %s, mate first %s, %s mm² in the median", x.AUC.text(func(v float64) string { return places(v, 4) }), x.EER.text(percent), x.Rank1.text(percent), x.Area.text(func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }))})
		}
		for _, c := range f.Cuts {
			kind := "partial mark"
			if c.Fragment {
				kind = "fragment"
			}
			s.facts = append(s.facts, [2]string{fmt.Sprintf("%s of %g %%, seed %d", kind, c.Share, c.Seed),
				fmt.Sprintf("%s; %d below the gate, %d lost; origin off by %s µm in the median, %s at most", brief(c.Separation), c.Below, c.Lost, known(c.OriginMedian, whole), known(c.OriginMax, whole))})
		}
		out = append(out, s)
	}
	return out
}

func whole(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

// text prints a spread as "least to largest (median)", or one number where all
// are equal.
func (s *Spread) text(print func(float64) string) string {
	switch {
	case s == nil:
		return "not measurable"
	case s.Min == s.Max:
		return print(s.Min)
	}
	return fmt.Sprintf("%s to %s (median %s)", print(s.Min), print(s.Max), print(s.Median))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func bulletSections(b *BulletFigures) []section {
	s := section{"Whole bullets", [][2]string{
		{"bullets, comparable", fmt.Sprintf("%d, %d with three lands or more above the gate", b.Bullets, b.Comparable)},
		{"pairs, same and different source", fmt.Sprintf("%d and %d, %d inconclusive", b.SamePairs, b.DifferentPairs, b.Inconclusive)},
		{"AUC", known(b.AUC, func(v float64) string { return places(v, 5) })},
		{"least same, largest different, gap", known(b.SameMin, score) + ", " + known(b.DifferentMax, score) + ", " + known(b.Gap, signed)},
	}}
	for _, x := range b.Pairs[:min(len(b.Pairs), 20)] {
		s.facts = append(s.facts, [2]string{x.A + " / " + x.B, fmt.Sprintf("score %.3f over %d lands, phase %d, contrast %.3f", x.Score, x.Counted, x.Phase, x.Contrast)})
	}
	out := []section{s}
	if len(b.Growth) > 0 {
		g := section{title: "Bullets by gallery size"}
		for _, x := range b.Growth {
			text := fmt.Sprintf("mate first %s of %s, worst rank %s", known(x.Rank1, percent), counted(x.Queries, "query"), known(x.WorstRank, strconv.Itoa))
			if x.DistractorMax != nil {
				text += fmt.Sprintf(", best distractor %.3f (%d generated, %d recombined)", *x.DistractorMax, x.Generated, x.Recombined)
			}
			g.facts = append(g.facts, [2]string{fmt.Sprintf("%d bullets", x.Gallery), text})
		}
		out = append(out, g)
	}
	return out
}

func (e *Evaluation) searchSections() []section {
	f := &e.Figures
	s := section{"Finding the mate", [][2]string{
		{"queries in a gallery of", fmt.Sprintf("%d in %d", f.Queries, f.Gallery)},
		{"mate first", known(f.Rank1, percent)},
		{"mate in the first 5, 10, 20", "not measurable on this set"},
		{"worst rank of any mate", known(f.WorstRank, strconv.Itoa)},
		{"mate above the best other, least and median", known(f.MarginMin, signed) + ", " + known(f.MarginMedian, signed)},
		{"mate first, rejected scans counted as misses", known(f.Rank1OfAll, percent)},
		{"mates on the short list", known(f.ShortlistRecall, percent) + fmt.Sprintf(" (chosen from %d)", f.ShortlistOf)},
	}}
	if f.HitAt != nil {
		s.facts[2][1] = fmt.Sprintf("%s, %s, %s", percent(f.HitAt["5"]), percent(f.HitAt["10"]), percent(f.HitAt["20"]))
	}
	for _, p := range f.ByGallerySize {
		s.facts = append(s.facts, [2]string{fmt.Sprintf("mate first among %d others", p.NonMates), percent(p.Rank1)})
	}
	out := []section{s}
	if len(f.Growth) > 0 {
		g := section{title: "By gallery size, with distractors"}
		for _, x := range f.Growth {
			name := fmt.Sprintf("%d marks, whole queries", x.Gallery)
			if x.Share != nil {
				name = fmt.Sprintf("%d marks, queries of %g %%", x.Gallery, *x.Share)
				if x.Fragment {
					name += " (fragments)"
				}
			}
			worst := known(x.WorstRank, strconv.Itoa)
			if x.WorstIsAtLeast {
				worst += " or more"
			}
			text := fmt.Sprintf("mate first %s of %s, worst rank %s, on the short list %s", known(x.Rank1, percent), counted(x.Queries, "query"), worst, known(x.ShortlistRecall, percent))
			if x.DistractorMax != nil {
				text += ", best distractor " + score(*x.DistractorMax)
			}
			if x.SearchMS != nil {
				text += fmt.Sprintf(", %.0f ms a search on all cores", *x.SearchMS)
			}
			if x.CoarseUS != nil {
				text += fmt.Sprintf(", %.2f µs a signature in the coarse scan", *x.CoarseUS)
			}
			if x.BytesPerEntry != nil {
				text += fmt.Sprintf(", %.0f bytes of memory a signature", *x.BytesPerEntry)
			}
			g.facts = append(g.facts, [2]string{name, text})
		}
		out = append(out, g)
	}
	return out
}

func evidenceSection(f *Figures) section {
	c := f.Calibration
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
	return w
}

func costSection(f *Figures) section {
	s := section{"Cost", [][2]string{
		{"signature, mean and largest", known(f.BytesMean, whole) + " and " + known(f.BytesMax, strconv.Itoa) + " bytes"},
	}}
	if f.EncodeMS != nil {
		s.facts = append(s.facts, [2]string{"encode, one core", fmt.Sprintf("%.1f ms", *f.EncodeMS)})
	}
	if f.CompareUS != nil {
		s.facts = append(s.facts, [2]string{"compare at all poses, one core", fmt.Sprintf("%.0f µs", *f.CompareUS)})
	}
	if f.CoarseUS != nil {
		s.facts = append(s.facts, [2]string{"coarse score of a signature, one core", fmt.Sprintf("%.2f µs", *f.CoarseUS)})
	}
	if c := f.Coarse; c != nil {
		s.facts = append(s.facts,
			[2]string{"words compared for it, at least", fmt.Sprintf("%.0f of 64 bits, by the kernel %s", c.Words, c.Kernel)},
			[2]string{"physical limit: those words counted one by one", fmt.Sprintf("%.2f µs at %.0f words/µs; the scan takes %.2f of that", c.LimitUS, c.WordsPerUS, *f.CoarseUS/c.LimitUS)})
	}
	return s
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
