package evaluate

import (
	"fmt"
	"strconv"
	"strings"
)

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
