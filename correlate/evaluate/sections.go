package evaluate

import (
	"fmt"
	"strconv"
	"strings"
)

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
	if h := f.Halves; h != nil {
		w.facts = append(w.facts,
			[2]string{"fitted on half of the firearms, tested on the other", fmt.Sprintf("%d tests, %d firearms to fit on: missed %s (worst test %s), false alarms %s (%s)",
				h.Tests, h.Fitted, percent(h.Misses), percent(h.MissesWorst), percent(h.Alarms), percent(h.AlarmsWorst))},
			[2]string{"Cllr of kept-back halves, mean and worst", fmt.Sprintf("%.4f, %.4f bits", h.Cllr, h.CllrWorst)})
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
