package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"proofmark/correlate"
	"proofmark/node/ballistics"
	"proofmark/protocol"
)

// printCandidate prints all that one person may know of a candidate.
func printCandidate(w io.Writer, v *ballistics.CandidateView, me string) {
	score, pose := foundWords(v)
	told := append([]string{"Pair", v.Pair, "Region", string(v.ROI), "State", stateWords(v), "Lead", v.Lead, "Score", score}, lrFacts(v.LikelihoodRatio)...)
	facts(w, append(told, "Rank", fmt.Sprintf("%d in the list of %s, %d in the list of %s", v.Rank, sideName(&v.Own), v.RankRev, sideName(&v.Other)), "Pose", pose,
		"Handling", codes(v.Handling), "Found", stamp(v.Found), "First viewed", stamp(v.Viewed))...)
	printLimits(w, v.LikelihoodRatio)
	fmt.Fprintln(w)
	printSides(w, &v.Own, &v.Other)
	fmt.Fprintln(w)
	printFound(w, v)
	fmt.Fprintln(w)
	rows := make([][]string, len(v.Reviews))
	for i, r := range v.Reviews {
		rows[i] = []string{r.Round, string(r.Verdict), r.By, stamp(r.At), orDash(r.Note)}
	}
	empty := "Nobody has reviewed it yet."
	if v.Hidden > 0 {
		empty = fmt.Sprintf("Hidden from you until it is decided: %s by others. Your review is blind.", count(v.Hidden, "review"))
	}
	table(w, empty, []string{"REVIEW", "VERDICT", "BY", "TIME", "NOTE"}, rows)
	if v.Hidden > 0 && len(rows) > 0 {
		fmt.Fprintf(w, "%s by others hidden from you until it is decided.\n", count(v.Hidden, "review"))
	}
	fmt.Fprintf(w, "\nNext:  %s\n", nextForCandidate(v, me))
}

// foundWords say what the comparison found, and how the two exhibits lie on each other.
func foundWords(v *ballistics.CandidateView) (score, pose string) {
	switch c, b := v.Comparison, v.Bullets; {
	case c != nil:
		return fmt.Sprintf("%.3f (correlation %.2f over %.1f mm²), %s", c.Score, c.R, c.OverlapMM2, c.Algorithm),
			fmt.Sprintf("turned %.1f°, shifted %.0f µm and %.0f µm", c.Pose.Rotation, c.Pose.ShiftX, c.Pose.ShiftY)
	case b != nil:
		score = fmt.Sprintf("%.3f (mean of %d lands, contrast %.2f with the second phase), %s", b.Score, b.Counted, b.Contrast, b.Algorithm)
		for _, r := range v.Inconclusive() {
			score += "; " + r
		}
		pose = fmt.Sprintf("land 1 of the first lies on land %d of the second", b.Phase+1)
		if b.Mirrored {
			pose += ", the scans of one are mirror images of the other's"
		}
		if b.Descending {
			pose += ", its lands are numbered the other way around"
		}
		return score, pose
	case v.Shear != nil:
		pose = fmt.Sprintf("the second mark lies %.0f µm across from the first", v.Shear.Lag)
		if v.Shear.Reversed {
			pose += ", read from its other end"
		}
		return fmt.Sprintf("%.3f (correlation %.2f over %.0f µm), %s", v.Score, v.Shear.R, v.Shear.Overlap, v.Algorithm), pose
	}
	return fmt.Sprintf("%.3f, %s", v.Score, v.Algorithm), ""
}

// printFound shows where two exhibits agree: the cells of areal marks, the lands of bullets.
func printFound(w io.Writer, v *ballistics.CandidateView) {
	first := &v.Own // told from the side of the pair's first signature
	if v.A != v.Own.Signature {
		first = &v.Other
	}
	if c := v.Comparison; c != nil {
		fmt.Fprintf(w, "%d of %d cells congruent, as they lie on %s (# congruent, . not):\n", c.CongruentCells, c.Cells, printable(sideName(first)))
		for _, line := range cellMap(c.CellMap) {
			fmt.Fprintln(w, "  "+line)
		}
		return
	}
	if v.Bullets == nil {
		return
	}
	fmt.Fprintf(w, "The lands of %s on those of the other bullet:\n", printable(sideName(first)))
	rows := [][]string{}
	for _, l := range v.Bullets.Lands {
		counted := "counted"
		if !l.Counted {
			counted = "below the quality gate: not counted"
		}
		rows = append(rows, []string{fmt.Sprint(l.A), fmt.Sprint(l.B), fmt.Sprintf("%.2f", l.Z), fmt.Sprintf("%.2f", l.R), fmt.Sprintf("%.0f µm", l.Overlap), counted})
	}
	table(w, "", []string{"LAND", "ON", "Z", "CORRELATION", "OVERLAP", ""}, rows)
}

// sideName is what people call one side of a pair.
func sideName(s *ballistics.Side) string {
	if s.Exhibit == "" {
		return "the exhibit of " + string(s.Country)
	}
	return s.Exhibit + " (" + string(s.Country) + ")"
}

// printSides sets the facts of two sides beside each other; what is not there is a dash.
func printSides(w io.Writer, own, other *ballistics.Side) {
	rows := [][]string{}
	of := func(s *ballistics.Side, value, field string) string { return told(value, field, s.Withheld, s.Country) }
	for _, f := range []struct {
		name string
		of   func(*ballistics.Side) string
	}{
		{"Country", func(s *ballistics.Side) string { return string(s.Country) }},
		{"Exhibit", func(s *ballistics.Side) string { return of(s, s.Exhibit, "exhibit_number") }},
		{"Case", func(s *ballistics.Side) string { return of(s, s.Case, "case_reference") }},
		{"Agency", func(s *ballistics.Side) string { return of(s, s.Agency, "agency") }},
		{"Origin", func(s *ballistics.Side) string { return s.Origin }},
		{"Calibre", func(s *ballistics.Side) string { return s.Calibre }},
		{"Offence", func(s *ballistics.Side) string { return of(s, s.Offence, "offence") }},
		{"Place", func(s *ballistics.Side) string { return of(s, s.Place, "place") }},
		{"Occurred", func(s *ballistics.Side) string { return of(s, span(s.Occurred), "occurred") }},
		{"Quality", func(s *ballistics.Side) string { return fmt.Sprintf("%.2f", s.Quality) }},
		{"Held since", func(s *ballistics.Side) string { return stamp(s.Received) }},
		{"Held until", func(s *ballistics.Side) string { return day(s.Expires) }},
		{"Source withdrawn", func(s *ballistics.Side) string { return stamp(s.Withdrawn) }},
		{"Signature", func(s *ballistics.Side) string { return s.Signature }},
	} {
		if a, b := f.of(own), f.of(other); a != "" || b != "" {
			rows = append(rows, []string{f.name, orDash(a), orDash(b)})
		}
	}
	table(w, "", []string{"", "OWN", "OTHER"}, rows)
}

// nextForCandidate says what follows for a person with a candidate.
func nextForCandidate(v *ballistics.CandidateView, me string) string {
	review := "proofmark candidates review " + short(v.Pair) + " --verdict lead|inconclusive|excluded|unsuitable"
	mine := slices.ContainsFunc(v.Reviews, func(r ballistics.Review) bool { return r.By == me })
	switch {
	case v.State == "awaits-"+ballistics.Primary:
		return review + "  (a technician's)"
	case v.State == "awaits-"+ballistics.Secondary && mine:
		return "an examiner reviews it in a session of their own, without seeing your verdict"
	case v.State == "awaits-"+ballistics.Secondary:
		return review + "  (an examiner's)"
	case v.State == "awaits-"+ballistics.Third && mine:
		return "the first two reviews disagree: a third person reviews it in a session of their own"
	case v.State == "awaits-"+ballistics.Third:
		return review + "  (a third person's: the first two disagree)"
	case v.State == ballistics.SourceWithdrawn:
		return "nothing: the signature of one side was withdrawn, and no lead can come of it"
	case v.Outcome != protocol.VerdictLead:
		return fmt.Sprintf("nothing: the reviews decided %s", v.Outcome)
	case v.Lead != "":
		return "proofmark lead show " + short(v.Pair)
	case v.Own.Country == v.Other.Country:
		return "nothing to release: both exhibits are this country's own. It links the cases " + printable(v.Own.Case) + " and " + printable(v.Other.Case)
	}
	return "an examiner releases the lead to " + string(v.Other.Country) + ": proofmark lead release " + short(v.Pair)
}

// The map samples a surface twice per cell downwards and four times across, since a character is about twice as high as wide: no cell is lost, whatever
// the turn at which the grid of cells lies.
const (
	cellSide = 406.25 // µm, of correlate's congruent cells
	stepDown = cellSide / 2
	stepOver = cellSide / 4
	maxLines = 64 // of the map; a scan's face has some twenty
)

// cellMap draws congruent and other cells as text, one line for each 0.2 mm. Each point shows the nearest cell that covers it.
func cellMap(cells []correlate.Cell) []string {
	if len(cells) == 0 {
		return nil
	}
	left, right, top, bottom := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, c := range cells {
		left, right, top, bottom = min(left, c.X), max(right, c.X), min(top, c.Y), max(bottom, c.Y)
	}
	left, top = left-cellSide/2, top-cellSide/2
	lines := min(int((bottom+cellSide/2-top)/stepDown+0.5), maxLines)
	across := min(int((right+cellSide/2-left)/stepOver+0.5), 2*maxLines)
	out := make([]string, 0, lines)
	for row := range lines {
		line := make([]byte, across)
		for col := range line {
			line[col] = cellAt(cells, left+(float64(col)+0.5)*stepOver, top+(float64(row)+0.5)*stepDown)
		}
		out = append(out, strings.TrimRight(string(line), " "))
	}
	return out
}

// cellAt is the mark of the nearest cell at a point, a blank where there is none.
func cellAt(cells []correlate.Cell, x, y float64) byte {
	mark, nearest := byte(' '), 0.6*cellSide // a little more than the half: a turned grid leaves no gaps
	for _, c := range cells {
		if d := math.Hypot(c.X-x, c.Y-y); d < nearest {
			nearest, mark = d, '.'
			if c.Congruent {
				mark = '#'
			}
		}
	}
	return mark
}
