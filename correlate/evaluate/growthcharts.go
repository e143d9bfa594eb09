package evaluate

import (
	"fmt"
	"math"
	"strconv"

	"proofmark/correlate/evaluate/plot"
)

// palette of kinds of query.
var palette = []string{plot.Blue, plot.Orange, plot.Green, plot.Grey}

// decades labels the powers of ten of a logarithmic axis.
func decades() (out []plot.Tick) {
	for d := range 8 {
		out = append(out, plot.Tick{At: float64(d), Label: strconv.Itoa(int(math.Pow(10, float64(d))))})
	}
	return out
}

// growthChart shows how mates fare as the gallery grows: the share that is first
// in full lines, the share on the short list dashed.
func (e *Evaluation) growthChart() plot.Chart {
	c := plot.Chart{
		Title: "Mates as the gallery grows: first, and on the short list (dashed)",
		X:     plot.Axis{Label: "marks in the gallery (logarithmic)", Ticks: decades()},
		Y:     plot.Axis{Label: "%", Min: 0, Max: 105, Ticks: hundreds()},
	}
	kinds := map[string]int{}
	least, most := math.Inf(1), math.Inf(-1)
	for _, g := range e.Growth {
		if g.Rank1 == nil || g.ShortlistRecall == nil {
			continue
		}
		name := "whole"
		if g.Share != nil {
			name = fmt.Sprintf("%g %%", *g.Share)
		}
		if g.Fragment {
			name += " fragments"
		}
		k, ok := kinds[name]
		if !ok {
			k = len(kinds)
			kinds[name] = k
			colour := palette[k%len(palette)]
			c.Series = append(c.Series, plot.Series{Name: name, Colour: colour}, plot.Series{Colour: colour, Dashed: true})
		}
		x := math.Log10(float64(g.Gallery))
		least, most = min(least, x), max(most, x)
		first, listed := &c.Series[2*k], &c.Series[2*k+1]
		first.X, first.Y = append(first.X, x), append(first.Y, 100**g.Rank1)
		listed.X, listed.Y = append(listed.X, x), append(listed.Y, 100**g.ShortlistRecall)
	}
	if least > most {
		least, most = 0, 1
	}
	c.X.Min, c.X.Max = least-0.05, max(most, least+0.3)+0.05
	return c
}

// partialChart shows the AUC over the share of the mark.
func (e *Evaluation) partialChart() plot.Chart {
	c := plot.Chart{
		Title: "Partial queries",
		X:     plot.Axis{Label: "share of the mark in the query, %", Min: 0, Max: 100},
		Y:     plot.Axis{Label: "AUC", Max: 1.005},
	}
	least := 1.0
	for k, fragment := range []bool{false, true} {
		name, colour := "partial marks", palette[k]
		if fragment {
			name = "fragments"
		}
		mid := plot.Series{Name: name, Colour: colour}
		low, high := plot.Series{Colour: colour, Dashed: true}, plot.Series{Colour: colour, Dashed: true}
		for _, p := range e.ByPartialArea {
			if p.Fragment != fragment || p.AUC == nil {
				continue
			}
			least = min(least, p.AUC.Min)
			mid.X, mid.Y = append(mid.X, p.Share), append(mid.Y, p.AUC.Median)
			low.X, low.Y = append(low.X, p.Share), append(low.Y, p.AUC.Min)
			high.X, high.Y = append(high.X, p.Share), append(high.Y, p.AUC.Max)
		}
		if len(mid.X) > 0 {
			c.Series = append(c.Series, mid, low, high)
		}
	}
	c.Y.Min = min(0.95, math.Floor(least*20)/20)
	return c
}
