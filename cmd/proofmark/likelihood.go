package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"proofmark/protocol"
)

// lrShort is a likelihood ratio in a column of a list.
func lrShort(lr *protocol.LikelihoodRatio) string {
	if lr == nil || !lr.Calibrated {
		return "not calibrated"
	}
	return fmt.Sprintf("%+.2f", lr.Log10LR)
}

// lrWords say what a likelihood ratio says, and that it is one.
func lrWords(lr *protocol.LikelihoodRatio) string {
	if lr == nil {
		return ""
	}
	if !lr.Calibrated {
		return lr.Reason
	}
	one, two := "one firearm", "two firearms of the population"
	if lr.Log10LR < 0 {
		one, two = "two firearms of the population", "one firearm"
	}
	out := fmt.Sprintf("log10 LR %+.2f: such an agreement is %s times as probable if %s made both marks than if %s did", lr.Log10LR, times(math.Abs(lr.Log10LR)), one, two)
	if lr.AtBound {
		out += "; the population supports no stronger claim"
	}
	return out
}

// times writes 10 to the power of l with the two digits that a likelihood ratio is good for.
func times(l float64) string {
	v := math.Pow(10, l)
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	step := math.Pow(10, math.Floor(l)-1)
	return fmt.Sprintf("%.0f", math.Round(v/step)*step)
}

// lrFacts are the lines that tell a likelihood ratio with what it rests on, as facts takes them.
func lrFacts(lr *protocol.LikelihoodRatio) []string {
	if lr == nil {
		return nil
	}
	out := []string{"Likelihood ratio", lrWords(lr)}
	if lr.Population != "" {
		model := lr.Model
		if len(model) == 64 {
			model = "model " + model[:12]
		}
		out = append(out, "Population", strings.TrimSpace(fmt.Sprintf("%s, version %s (%s)", lr.Population, lr.Version, orDash(model))))
	}
	return out
}

// printLimits prints what a reference population does not cover: a number is not told without them.
func printLimits(w io.Writer, lr *protocol.LikelihoodRatio) {
	if lr == nil || !lr.Calibrated {
		return
	}
	fmt.Fprintln(w, "A likelihood ratio is no probability that one firearm made both, and its population has limits:")
	for _, l := range lr.Limits {
		fmt.Fprintf(w, "  – %s\n", printable(l))
	}
}
