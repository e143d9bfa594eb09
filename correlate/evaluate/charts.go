package evaluate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"proofmark/correlate"
	"proofmark/correlate/evaluate/plot"
)

// Picture is one plot of a report.
type Picture struct {
	Name    string // of its file
	Caption string
	SVG     []byte
}

// Pictures draws every plot that the measured figures allow.
func (e *Evaluation) Pictures() []Picture {
	region := string(e.ROI)
	if len(e.Regions) > 0 {
		region = "regions fused"
	}
	subject := fmt.Sprintf("%s, %d same and %d different pairs of %d firearms; %d of %d scans rejected", region, e.SamePairs, e.DifferentPairs, e.Sources, e.Rejected, e.Scans)
	if e.Sector != nil {
		subject += fmt.Sprintf("; queries of %g %%", *e.Sector)
	}
	var out []Picture
	add := func(name, caption string, c plot.Chart) {
		c.Subtitle = subject
		out = append(out, Picture{name + ".svg", caption, c.SVG()})
	}
	if len(e.Pairs) > 0 {
		add("margins", "How far apart the scores of the two kinds of pair lie.", e.marginChart())
	}
	if e.roc != nil {
		add("roc", "Share of same-source pairs found against share of different-source pairs falsely called same.", e.rocChart())
		add("det", "Misses against false alarms on normal-deviate axes; rates of zero lie on the frame.", e.detChart())
	}
	if len(e.queries) > 0 {
		add("hits", "Share of queries with a mate among their first k candidates.", e.hitChart())
		add("rank-size", "Chance that a mate is first, by the number of non-mates in the gallery (drawn from those compared).", e.sizeChart())
	}
	if len(e.Growth) > 1 {
		add("growth", "Mates first and on the short list as distractors are added: measured in galleries of each size.", e.growthChart())
	}
	if len(e.ByPartialArea) > 1 {
		add("partial-area", "AUC by the share of the mark that the query shows: the median over seeds, the least and the largest dashed.", e.partialChart())
	}
	if e.Cllr != nil {
		add("tippett", "Share of pairs whose likelihood ratio is at least as large; the dashed lines are the bounds the population supports.", e.tippettChart())
		add("ece", "Cost of the likelihood ratios in bits at every prior: between the best calibrated ones and no ratio at all. Above the dashed line they mislead.", e.entropyChart())
	}
	return out
}

const (
	sameColour      = plot.Blue
	differentColour = plot.Orange
)

func (e *Evaluation) marginChart() plot.Chart {
	same, different := scores(e.Pairs)
	lowest, highest := 0.0, e.Pairs[0].Score
	for _, p := range e.Pairs {
		lowest, highest = min(lowest, p.Score), max(highest, p.Score)
	}
	label := "score S"
	if e.Bullets != nil {
		label = "score z of two lands"
	} else if len(e.Regions) > 0 {
		label = "fused score"
	} else if e.ROI == correlate.ApertureShear {
		label = "score z of two marks"
	}
	bin := math.Pow(10, math.Floor(math.Log10(max(highest-lowest, 0.1)))) / 50
	for (highest-lowest)/bin > 100 {
		bin *= 2
	}
	from := math.Floor(lowest/bin) * bin
	n := int(math.Ceil((highest+2*bin-from)/bin - 1e-9))
	c := plot.Chart{
		Title: "Scores",
		X:     plot.Axis{Label: label, Min: from, Max: from + float64(n)*bin},
		Y:     plot.Axis{Label: "pairs of the kind, %", Min: 0, Max: 1},
	}
	if e.Gap != nil {
		c.Title = "Scores: gap " + signed(*e.Gap)
	}
	add := func(name, colour string, v []float64) {
		if len(v) == 0 {
			return
		}
		var x []float64
		y := make([]float64, n+1)
		for i := range n + 1 {
			x = append(x, from+float64(i)*bin)
		}
		for _, s := range v {
			y[min(max(int((s-from)/bin), 0), n-1)] += 100 / float64(len(v))
		}
		c.Y.Max = max(c.Y.Max, 1.1*slices.Max(y))
		c.Series = append(c.Series, plot.Series{Name: name, Style: plot.Bars, X: x, Y: y, Colour: colour})
	}
	add("different source", differentColour, different)
	add("same source", sameColour, same)
	if e.DifferentMax != nil {
		c.Series = append(c.Series, plot.Series{Name: fmt.Sprintf("largest different %.3f", *e.DifferentMax), Style: plot.Mark, X: []float64{*e.DifferentMax}, Colour: differentColour})
	}
	if e.SameMin != nil {
		c.Series = append(c.Series, plot.Series{Name: fmt.Sprintf("least same %.3f", *e.SameMin), Style: plot.Mark, X: []float64{*e.SameMin}, Colour: sameColour})
	}
	return c
}

func (e *Evaluation) rocChart() plot.Chart {
	var x, y []float64
	for _, p := range e.roc {
		x, y = append(x, 100*p.FalsePositive), append(y, 100*p.TruePositive)
	}
	title := fmt.Sprintf("ROC: AUC %s (95 %% %s to %s)", places(*e.AUC, 4), places(*e.AUCLow, 4), places(*e.AUCHigh, 4))
	if *e.AUC == 1 {
		title = "ROC: AUC 1, no error seen"
	}
	return plot.Chart{
		Title: title,
		X:     plot.Axis{Label: "false alarms, % of different-source pairs", Min: -1, Max: 101, Ticks: hundreds()},
		Y:     plot.Axis{Label: "found, % of same-source pairs", Min: -1, Max: 101, Ticks: hundreds()},
		Series: []plot.Series{
			{Name: "measured", X: x, Y: y, Colour: sameColour},
			{Name: "chance", X: []float64{0, 100}, Y: []float64{0, 100}, Colour: plot.Grey, Dashed: true},
		},
	}
}

// signed writes a number with its sign, the minus as long as the plus.
func signed(v float64) string { return strings.Replace(fmt.Sprintf("%+.3f", v), "-", "−", 1) }

func hundreds() (out []plot.Tick) {
	for v := 0; v <= 100; v += 20 {
		out = append(out, plot.Tick{At: float64(v), Label: strconv.Itoa(v)})
	}
	return out
}

// probit is the normal deviate of a rate, kept inside the DET plot's frame.
func probit(rate float64) float64 {
	return min(max(distuv.UnitNormal.Quantile(min(max(rate, 1e-9), 1-1e-9)), probitLow), probitHigh)
}

var probitLow, probitHigh = distuv.UnitNormal.Quantile(0.0005), distuv.UnitNormal.Quantile(0.6)

func (e *Evaluation) detChart() plot.Chart {
	var ticks []plot.Tick
	for _, v := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40} {
		ticks = append(ticks, plot.Tick{At: distuv.UnitNormal.Quantile(v / 100), Label: strconv.FormatFloat(v, 'f', -1, 64)})
	}
	var x, y []float64
	for _, p := range e.roc {
		x, y = append(x, probit(p.FalsePositive)), append(y, probit(1-p.TruePositive))
	}
	title := fmt.Sprintf("DET: equal error rate %s", percent(*e.EER))
	if *e.AUC == 1 {
		title = "DET: no error seen, the curve lies on the frame"
	}
	return plot.Chart{
		Title: title,
		X:     plot.Axis{Label: "false alarms, % (normal-deviate scale)", Min: probitLow, Max: probitHigh, Ticks: ticks},
		Y:     plot.Axis{Label: "misses, % (normal-deviate scale)", Min: probitLow, Max: probitHigh, Ticks: ticks},
		Series: []plot.Series{
			{Name: "measured", X: x, Y: y, Colour: sameColour},
			{Name: "misses = false alarms", X: []float64{probitLow, probitHigh}, Y: []float64{probitLow, probitHigh}, Colour: plot.Grey, Dashed: true},
		},
	}
}

func (e *Evaluation) hitChart() plot.Chart {
	last := 20
	var x, y []float64
	for k := 1; k <= last; k++ {
		x, y = append(x, float64(k)), append(y, 100*hitAt(e.queries, k))
	}
	var ticks []plot.Tick
	for _, k := range []int{1, 5, 10, 15, 20} {
		ticks = append(ticks, plot.Tick{At: float64(k), Label: strconv.Itoa(k)})
	}
	return plot.Chart{
		Title:  fmt.Sprintf("Hits: %s first among %d marks", percent(*e.Rank1), e.Gallery),
		X:      plot.Axis{Label: "candidates looked at", Min: 0.5, Max: float64(last) + 0.5, Ticks: ticks},
		Y:      plot.Axis{Label: "queries with a mate among them, %", Min: 0, Max: 105, Ticks: hundreds()},
		Series: []plot.Series{{Name: fmt.Sprintf("%d queries with a mate", len(e.queries)), Style: plot.Step, X: x, Y: y, Colour: sameColour}},
	}
}

func (e *Evaluation) sizeChart() plot.Chart {
	var x, y []float64
	most := 1
	for _, q := range e.queries {
		most = max(most, q.rest)
	}
	for i := 0.0; ; i++ {
		size := int(math.Round(math.Pow(10, i/10)))
		p, ok := firstBySize(e.queries, size)
		if !ok {
			break
		}
		x, y = append(x, math.Log10(float64(size))), append(y, 100*p)
	}
	var ticks []plot.Tick
	for d := range 8 {
		for _, m := range []int{1, 2, 5} {
			v := float64(m) * math.Pow(10, float64(d))
			if d < 3 || m == 1 {
				ticks = append(ticks, plot.Tick{At: math.Log10(v), Label: strconv.Itoa(int(v))})
			}
		}
	}
	return plot.Chart{
		Title:  "Rank by gallery size",
		X:      plot.Axis{Label: "non-mates in the gallery (logarithmic)", Min: 0, Max: max(math.Log10(float64(most)), 0.3) * 1.02, Ticks: ticks},
		Y:      plot.Axis{Label: "chance that a mate is first, %", Min: 0, Max: 105, Ticks: hundreds()},
		Series: []plot.Series{{Name: "mean over queries", X: x, Y: y, Colour: sameColour}},
	}
}

func (e *Evaluation) tippettChart() plot.Chart {
	c := plot.Chart{
		Title: fmt.Sprintf("Tippett: Cllr %.3f, at best %.3f", *e.Cllr, *e.CllrMin),
		X:     plot.Axis{Label: "log10 likelihood ratio", Min: e.Calibration.MinLog10LR - 0.5, Max: e.Calibration.MaxLog10LR + 0.5},
		Y:     plot.Axis{Label: "pairs with at least this ratio, %", Min: 0, Max: 105, Ticks: hundreds()},
	}
	for _, k := range []struct {
		name, colour string
		v            []float64
	}{{"same source", sameColour, e.evidence.same}, {"different source", differentColour, e.evidence.different}} {
		x, share := exceeding(k.v)
		px, py := []float64{c.X.Min}, []float64{100}
		for i := range x {
			// The share falls behind each value: hold it up to there.
			px, py = append(px, x[i], x[i]), append(py, 100*share[i], 100*(share[i]-1/float64(len(x))))
		}
		c.Series = append(c.Series, plot.Series{Name: k.name, X: append(px, c.X.Max), Y: append(py, 0), Colour: k.colour})
	}
	low, high := e.Calibration.MinLog10LR, e.Calibration.MaxLog10LR
	c.Series = append(c.Series,
		plot.Series{Name: "bounds", X: []float64{low, low}, Y: []float64{0, 105}, Colour: plot.Grey, Dashed: true},
		plot.Series{X: []float64{high, high}, Y: []float64{0, 105}, Colour: plot.Grey, Dashed: true})
	return c
}

func (e *Evaluation) entropyChart() plot.Chart {
	var x, given, best, neutral []float64
	top := 0.0
	for _, p := range entropyCurve(e.evidence.same, e.evidence.different) {
		x, given, best, neutral = append(x, p.prior), append(given, p.given), append(best, p.best), append(neutral, p.neutral)
		top = max(top, p.neutral, min(p.given, 1.5))
	}
	return plot.Chart{
		Title: fmt.Sprintf("ECE: Cllr %.3f at even odds", *e.Cllr),
		X:     plot.Axis{Label: "log10 of the prior odds", Min: -3, Max: 3},
		Y:     plot.Axis{Label: "empirical cross-entropy, bits", Min: -0.02 * top, Max: top * 1.08},
		Series: []plot.Series{
			{Name: "likelihood ratios", X: x, Y: given, Colour: sameColour},
			{Name: "calibrated best (PAV)", X: x, Y: best, Colour: plot.Green},
			{Name: "no ratio at all", X: x, Y: neutral, Colour: plot.Grey, Dashed: true},
		},
	}
}
