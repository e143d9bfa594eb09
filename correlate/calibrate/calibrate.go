// Package calibrate turns the agreement of two marks into a likelihood ratio
// with the name of the reference population behind it. It owns the model, its
// fit, its bounds and its file; it refuses to know scans, and it refuses to give
// a number for a make, calibre or algorithm that its population does not hold.
//
// The likelihood ratio says how much more probable an agreement is if one
// firearm made both marks than if two firearms of the population did. It is no
// probability that they share a source, and it never replaces the microscope.
package calibrate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"proofmark/correlate"
)

// Errors on which callers decide.
var (
	// ErrTooFew: the labelled pairs do not support a model.
	ErrTooFew = errors.New("too few labelled pairs for a calibration")
	// ErrBadModel: the bytes are not a valid model file.
	ErrBadModel = errors.New("not a valid calibration model")
)

// leastCells keeps two agreeing cells of two from counting as much as thirty of
// thirty: the share of congruent cells is taken over at least so many.
const leastCells = 6

// Features are what the model looks at. The number of congruent cells itself is
// not among them: it grows with the area and would make a claim of a large mark.
type Features struct {
	Score     float64 // S of correlate.Comparison, −1 to 1
	CellShare float64 // congruent cells / max(cells, 6), 0 to 1
}

// FeaturesOf a comparison.
func FeaturesOf(c correlate.Comparison) Features {
	return Features{c.Score, float64(c.CongruentCells) / float64(max(c.Cells, leastCells))}
}

// Pair is one comparison whose truth is known: the firearms of its two marks.
type Pair struct {
	Features
	SourceA, SourceB string
}

// Same tells whether one firearm made both marks.
func (p Pair) Same() bool { return p.SourceA == p.SourceB }

// Class is what decides whether a population speaks for an exhibit.
type Class struct {
	Make    string `json:"make"`
	Calibre string `json:"calibre"`
}

func (c Class) String() string {
	parts := slices.DeleteFunc([]string{c.Make, c.Calibre}, func(s string) bool { return s == "" })
	return strings.Join(parts, " ")
}

// Evidence is what a model says of one comparison: a likelihood ratio, or why
// there is none.
type Evidence struct {
	Calibrated bool     `json:"calibrated"`
	Log10LR    float64  `json:"log10_lr"`         // 0 where not calibrated: it says nothing
	AtBound    bool     `json:"at_bound"`         // the population supports no stronger claim
	Reason     string   `json:"reason,omitempty"` // why not calibrated
	Population string   `json:"population"`
	Version    string   `json:"version"`
	Limits     []string `json:"limits,omitempty"`
}

// Evaluate gives the likelihood ratio of a comparison that the named algorithm
// made between two exhibits. A field of a class that is empty or "unknown" is
// taken from the other exhibit, since the question is whether both come from one
// firearm; where neither is known, the population cannot be said to fit.
func (m *Model) Evaluate(f Features, algorithm string, a, b Class) Evidence {
	e := Evidence{Population: m.Population.Name, Version: m.Population.Version, Limits: m.Population.Limits}
	if e.Reason = m.unfit(algorithm, a, b); e.Reason != "" {
		return e
	}
	if !(math.Abs(f.Score) <= 1) || !(f.CellShare >= 0 && f.CellShare <= 1) { // also refuses NaN
		e.Reason = fmt.Sprintf("not calibrated: score %g and cell share %g are outside what a comparison gives", f.Score, f.CellShare)
		return e
	}
	e.Calibrated = true
	e.Log10LR = m.Log10LR(f)
	e.AtBound = e.Log10LR >= m.MaxLog10LR || e.Log10LR <= m.MinLog10LR
	return e
}

// unfit says why the population does not speak for these exhibits, or nothing.
func (m *Model) unfit(algorithm string, a, b Class) string {
	if algorithm != m.Algorithm {
		return fmt.Sprintf("not calibrated for algorithm %s: the model was fitted on %s", algorithm, m.Algorithm)
	}
	for _, e := range [2]Class{joined(a, b), joined(b, a)} {
		switch {
		case e.Make == "":
			return fmt.Sprintf("not calibrated: the make of neither exhibit is known, the population holds %s", m.Population.held())
		case e.Calibre == "":
			return fmt.Sprintf("not calibrated: the calibre of neither exhibit is known, the population holds %s", m.Population.held())
		case !m.Population.holds(e):
			return fmt.Sprintf("not calibrated for %s: the population holds %s", e, m.Population.held())
		}
	}
	return ""
}

// joined is a's class with what is unknown in it taken from b.
func joined(a, b Class) Class {
	pick := func(x, y string) string {
		for _, s := range [2]string{strings.TrimSpace(x), strings.TrimSpace(y)} {
			if s != "" && !strings.EqualFold(s, "unknown") {
				return s
			}
		}
		return ""
	}
	return Class{pick(a.Make, b.Make), pick(a.Calibre, b.Calibre)}
}

// Log10LR of features, within the model's bounds, whatever the class. Products
// are rounded explicitly: two countries with one model find the same bits.
func (m *Model) Log10LR(f Features) float64 {
	lr := m.Intercept + float64(m.ScoreWeight*f.Score) + float64(m.CellWeight*f.CellShare)
	return min(max(lr, m.MinLog10LR), m.MaxLog10LR)
}
