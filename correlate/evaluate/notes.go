package evaluate

import (
	"fmt"
	"math"
	"strings"
)

// remark adds what a reader must know to read the figures.
func (e *Evaluation) remark(o Options) {
	note := func(format string, args ...any) { e.Notes = append(e.Notes, fmt.Sprintf(format, args...)) }
	note("The pairs come from %d firearms: pairs that share one are not independent.", e.Sources)
	switch {
	case e.AUC == nil:
		note("There are %d same-source and %d different-source pairs of accepted marks: rates, intervals and likelihood ratios need both kinds, so they are not measurable on this set (null).", e.SamePairs, e.DifferentPairs)
	case *e.AUC < 1:
		note("The AUC's interval draws whole firearms with replacement.")
	default:
		k := firearmsWithMates(e.Pairs)
		note("No error was seen. That says: misses below %s and false alarms below %s at 95 %%, 3/n, if the pairs were independent; they are not, so less than that. The AUC's interval counts firearms with mates instead of pairs, %d: its lower end is 0.05^(1/%d).",
			percent(min(3/float64(e.SamePairs), 1)), percent(min(3/float64(e.DifferentPairs), 1)), k, k)
	}
	if e.Sector != nil {
		e.remarkCuts(note)
	}
	if o.Distractors > 0 && len(e.Growth) > 0 {
		note("The distractors are mixtures of two warped, mirrored marks of this set, each with a picture of its own. They prove that search, short list and ranking hold among so many surfaces with these statistics; they prove nothing about other firearms of one maker, whose class and subclass marks they do not carry, nor about other instruments.")
		note("Rank 1, hits, margins and rank by gallery size are those of the largest gallery; AUC, scores and likelihood ratios are of the set's own pairs.")
	}
	if o.Distractors > 0 && e.Bullets != nil {
		note("The distractor bullets are %d fired from simulated barrels, one each, and others put together of lands of many of those and of this set's lands in mirror image. They prove that the search ranks a mate above so many chance combinations; they prove nothing about barrels made one after the other.", min(o.Distractors, generatedBullets))
	}
	if e.ShortlistRecall != nil && e.Bullets == nil {
		if e.ShortlistOf <= leastShort {
			note("The gallery is so small that all of it is compared finely: a short list recall of 100 %% says nothing here. Add distractors.")
		} else {
			note("Short list recall: of all mates of the queries, the share that the coarse stages passed on to the fine comparison.")
		}
	}
	if e.Coarse != nil {
		note("The coarse scan compares at least %.0f words of 64 bits for each signature. The physical limit beside it counts the same number of words one by one in plain Go, from the nearest cache, and does nothing else; both are the best of %d runs in this run. A kernel that counts several words at once may pass it.", e.Coarse.Words, scanRuns)
	}
	if e.Missing > 0 {
		note("%d of the table's scans are not in the folder. They count as rejected.", e.Missing)
	}
	var weak []string
	for _, r := range e.Rejections {
		weak = append(weak, r.Scan)
	}
	if len(weak) > 0 {
		more := ""
		if n := len(weak) - 20; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		note("Not compared: %s%s. All rates are of what passed the gate; read them beside the %d of %d that did not.", strings.Join(weak[:min(len(weak), 20)], ", "), more, e.Rejected, e.Scans)
	}
}

// leastShort is the number of entries that a search always compares finely.
const leastShort = 200

// remarkCuts says what was cut, and what the two ways of cutting ask.
func (e *Evaluation) remarkCuts(note func(string, ...any)) {
	note("Two settings of a partial query. A *partial mark* is what casework mostly has: the scan shows the whole primer with its aperture, and only a part of it carries marks; here the origin is found on the whole scan, and the marks are then cut to a sector of %g %% of the measured points. A *fragment* is harder: the scan itself is cut and encoded anew, so that origin and outline are found again from what is left.", *e.Sector)
	if e.Fragment {
		note("The figures above are of fragments; those of partial marks stand beside them in the table by partial area.")
	} else {
		note("The figures are of partial marks; --fragment measures both.")
	}
	below, lost := 0, 0
	if len(e.Cuts) > 0 {
		below, lost = e.Cuts[0].Below, e.Cuts[0].Lost
	}
	note("Each query is cut in a random, seeded direction and compared with all other marks, which stay whole; both directions of a pair count. %d cut queries were below the quality gate and compared all the same; of %d nothing could be encoded, and they are in no figure. Where there are several seeds, the figures above are those of the first.", below, lost)
}

func percent(v float64) string {
	switch v = 100 * v; {
	case v != 0 && math.Abs(v) < 0.1:
		return fmt.Sprintf("%.2g %%", v)
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f %%", v)
	}
	return fmt.Sprintf("%.1f %%", v)
}
