package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/ballistics"
)

// fused shows the ranked list of one exhibit: first over all its regions, one line for each other exhibit, then region by region.
func (c *candidatesListCmd) fused(a *app) error {
	f, err := ask[ballistics.Fused](a, "candidates.fused", ballistics.CandidateFilter{Exhibit: c.Exhibit, Limit: c.Limit})
	if err != nil {
		return err
	}
	return a.show(f, func(w io.Writer) { printFused(w, &f) })
}

func printFused(w io.Writer, f *ballistics.Fused) {
	rows := make([][]string, len(f.Fused))
	for i, e := range f.Fused {
		rows[i] = fusedRow(e)
	}
	table(w, noCandidates, []string{"PAIR", "FUSED", "WEIGHT", "REGIONS: RANK (SCORE)", "SUPPORT", "OTHER", "EXHIBIT", "CASE", "CALIBRE", "PLACE", "STATE"}, rows)
	if len(rows) == 0 {
		return
	}
	if len(f.Firearm) > 0 {
		fmt.Fprintf(w, "\nKnown to be of the same firearm, and asked with it: %s.\n", printable(strings.Join(f.Firearm, ", ")))
	}
	fmt.Fprintln(w, "\nBy region:")
	list := make([]ballistics.CandidateView, len(f.Candidates))
	for i, v := range f.Candidates {
		list[i] = *v
	}
	candidateTable(w, noCandidates, list)
	fmt.Fprintln(w, "\nWEIGHT orders the list and is no likelihood ratio: decades of improbability by chance, joined over the regions.")
	fmt.Fprintln(w, "A candidate is no match: people decide.  proofmark candidates show PAIR")
}

func fusedRow(e *ballistics.FusedExhibit) []string {
	var regions []string
	for _, r := range e.Regions {
		rank := "–" // beyond the region's list, compared for this one
		if r.Rank > 0 {
			rank = fmt.Sprint(r.Rank)
		}
		regions = append(regions, fmt.Sprintf("%s %s (%.3f)", r.ROI, rank, r.Score))
	}
	support := "–"
	if len(e.From) > 0 {
		support = fmt.Sprintf("%.2f of %s", e.Support, count(len(e.From), "pair"))
	}
	pair, state := e.BestPair(), "–"
	if pair != "" {
		state = fusedState(e.Pairs[pair])
		pair = short(pair)
	}
	return []string{orDash(pair), fmt.Sprint(e.Rank), fmt.Sprintf("%.2f", e.Weight), orDash(strings.Join(regions, ", ")), support, string(e.Other.Country), sideCell(&e.Other, "exhibit_number"),
		sideCell(&e.Other, "case_reference"), e.Other.Calibre, sideCell(&e.Other, "place"), orDash(state)}
}

// fusedState says which review a pair awaits, or what was decided.
func fusedState(state string) string {
	if round, awaits := strings.CutPrefix(state, "awaits-"); awaits {
		return "awaits " + round + " review"
	}
	return strings.ReplaceAll(state, "-", " ") // source-withdrawn
}
