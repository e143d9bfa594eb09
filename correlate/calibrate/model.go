package calibrate

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// formatVersion is the version of the model file that this program reads and writes.
const formatVersion = 1

// Limits of a model file.
const (
	MaxModelSize = 1 << 20 // bytes
	maxText      = 500     // bytes of any one text
	maxClasses   = 10_000
	maxLimits    = 50
)

// Ceiling bounds |log10 LR| of every model, however large its population: beyond
// it rarities that no scan shows (a mislabelled exhibit) decide.
const Ceiling = 3.0

// Model is a fitted calibration: log10 LR = Intercept + ScoreWeight·S +
// CellWeight·cell share, within MinLog10LR and MaxLog10LR.
type Model struct {
	Format      int        `json:"format"`
	Region      string     `json:"region"`
	Algorithm   string     `json:"algorithm"` // whose scores it was fitted on
	Population  Population `json:"population"`
	Intercept   float64    `json:"intercept"`
	ScoreWeight float64    `json:"score_weight"`
	CellWeight  float64    `json:"cell_weight"`
	MaxLog10LR  float64    `json:"max_log10_lr"`
	MinLog10LR  float64    `json:"min_log10_lr"`
}

// Population names the firearms and cartridges a model was fitted on.
type Population struct {
	Name           string   `json:"name"`
	Version        string   `json:"version"`
	Classes        []Class  `json:"classes"` // the makes and calibres it speaks for
	Scans          int      `json:"scans"`
	Sources        int      `json:"sources"` // firearms
	SamePairs      int      `json:"same_pairs"`
	DifferentPairs int      `json:"different_pairs"`
	Limits         []string `json:"limits"` // in words, for the person who reads the number
}

func (p Population) holds(c Class) bool {
	return slices.ContainsFunc(p.Classes, func(d Class) bool {
		return strings.EqualFold(c.Make, d.Make) && strings.EqualFold(c.Calibre, d.Calibre)
	})
}

// held names the population's classes, the first few of many.
func (p Population) held() string {
	const few = 5
	var names []string
	for _, c := range p.Classes[:min(few, len(p.Classes))] {
		names = append(names, c.String())
	}
	s := strings.Join(names, ", ")
	if n := len(p.Classes) - few; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// Marshal returns the model as the bytes of its file.
func (m *Model) Marshal() ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write calibration model: %w", err)
	}
	return append(b, '\n'), nil
}

// Parse reads a model file. The bytes may be hostile: their number is checked
// first, unknown fields are refused, and a model may not claim more than the
// pairs it names support. Errors wrap ErrBadModel.
func Parse(b []byte) (*Model, error) {
	if len(b) > MaxModelSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrBadModel, len(b), MaxModelSize)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	m := new(Model)
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadModel, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows the model at byte %d", ErrBadModel, d.InputOffset())
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// validate holds a model to what its own population supports.
func (m *Model) validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrBadModel}, args...)...)
	}
	p := &m.Population
	if m.Format != formatVersion {
		return bad("format %d, this program reads format %d", m.Format, formatVersion)
	}
	texts := []struct{ name, value string }{
		{"region", m.Region}, {"algorithm", m.Algorithm}, {"population.name", p.Name}, {"population.version", p.Version},
	}
	for i, c := range p.Classes[:min(len(p.Classes), maxClasses)] {
		texts = append(texts, struct{ name, value string }{fmt.Sprintf("population.classes[%d].make", i), c.Make},
			struct{ name, value string }{fmt.Sprintf("population.classes[%d].calibre", i), c.Calibre})
	}
	for i, l := range p.Limits[:min(len(p.Limits), maxLimits)] {
		texts = append(texts, struct{ name, value string }{fmt.Sprintf("population.limits[%d]", i), l})
	}
	for _, t := range texts {
		if strings.TrimSpace(t.value) == "" {
			return bad("%s is empty", t.name)
		}
		if len(t.value) > maxText || strings.ContainsFunc(t.value, unicode.IsControl) {
			return bad("%s must be one line of at most %d bytes", t.name, maxText)
		}
	}
	for _, v := range []struct {
		name     string
		value    float64
		low, top float64
	}{
		{"intercept", m.Intercept, -1e6, 1e6},
		{"score_weight", m.ScoreWeight, 0, 1e6},
		{"cell_weight", m.CellWeight, 0, 1e6},
		{"max_log10_lr", m.MaxLog10LR, 0, bound(float64(p.DifferentPairs))},
		{"min_log10_lr", m.MinLog10LR, -bound(float64(p.SamePairs)), 0},
	} {
		if !(v.value >= v.low && v.value <= v.top) { // also refuses NaN
			return bad("%s is %g, outside the %.3g to %.3g that %d same-source and %d different-source pairs support",
				v.name, v.value, v.low, v.top, p.SamePairs, p.DifferentPairs)
		}
	}
	switch {
	case len(p.Classes) == 0 || len(p.Classes) > maxClasses:
		return bad("population.classes has %d entries, 1 to %d are allowed", len(p.Classes), maxClasses)
	case len(p.Limits) == 0 || len(p.Limits) > maxLimits:
		return bad("population.limits has %d entries, 1 to %d are wanted: no population is without limits", len(p.Limits), maxLimits)
	case p.Sources < leastSources || p.Scans < p.Sources:
		return bad("%d scans of %d firearms: at least %d firearms are needed", p.Scans, p.Sources, leastSources)
	}
	return nil
}

//go:embed default.json
var defaultModel []byte

// Default is the model that comes with the program. It names its own small
// population, whose limits are why a bureau fits its own.
var Default = sync.OnceValue(func() *Model {
	m, err := Parse(defaultModel)
	if err != nil {
		panic("calibrate: the embedded model: " + err.Error())
	}
	return m
})

// bound is what n independent pairs support: where none of n behaves so, the
// chance of it is below 3/n at 95 % (the rule of three), and no ratio of a
// probability of at most 1 to it exceeds n/3.
func bound(n float64) float64 {
	if !(n > 3) {
		return 0
	}
	return min(math.Log10(n/3), Ceiling)
}
