package calibrate

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"proofmark/correlate"
)

// simulated draws scores from two normal distributions of equal spread, where
// the true log likelihood ratio is linear in the score, for a number of
// firearms with some marks each; the cell share is noise that knows nothing.
func simulated(seed uint64, sources, marks int, gap, spread, perSource float64) []Pair {
	rng := rand.New(rand.NewPCG(seed, 1))
	var out []Pair
	for a := range sources {
		own := rng.NormFloat64() * perSource
		for i := range marks {
			for range i {
				out = append(out, Pair{Features{0.1 + gap + own + spread*rng.NormFloat64(), rng.Float64()}, fmt.Sprint(a), fmt.Sprint(a)})
			}
		}
		for b := range a {
			for range marks * marks {
				out = append(out, Pair{Features{0.1 + spread*rng.NormFloat64(), rng.Float64()}, fmt.Sprint(a), fmt.Sprint(b)})
			}
		}
	}
	return out
}

func about() Model {
	return Model{Region: "breech-face", Algorithm: "a/1", Population: Population{
		Name: "simulated", Version: "1", Scans: 200, Classes: []Class{{"Ruger", "9x19"}}, Limits: []string{"simulated"},
	}}
}

func TestFitRecoversTheTrueRatio(t *testing.T) {
	const gap, spread = 0.2, 0.08
	m, err := Fit(simulated(3, 40, 5, gap, spread, 0), about())
	if err != nil {
		t.Fatal(err)
	}
	// Two normals of means μ, μ+gap: ln LR = gap/σ²·(S − μ − gap/2).
	slope := gap / (spread * spread) / math.Ln10
	if math.Abs(m.ScoreWeight/slope-1) > 0.1 {
		t.Errorf("weight of the score %.2f, want %.2f", m.ScoreWeight, slope)
	}
	even := -m.Intercept / m.ScoreWeight
	if want := 0.1 + gap/2; math.Abs(even-want) > 0.02 {
		t.Errorf("even at S = %.3f, want %.3f", even, want)
	}
	if m.CellWeight > 0.2 {
		t.Errorf("weight %.2f for a cell share that knows nothing", m.CellWeight)
	}
	if m.Population.Sources != 40 || m.Population.SamePairs != 400 || m.Population.DifferentPairs != 780*25 {
		t.Errorf("%+v", m.Population)
	}
}

// Separated classes have no finite maximum of the likelihood: the prior holds it.
func TestSeparatedClassesStayFinite(t *testing.T) {
	m, err := Fit(simulated(4, 10, 3, 0.5, 0.01, 0), about())
	if err != nil {
		t.Fatal(err)
	}
	if high, low := m.Log10LR(Features{1, 1}), m.Log10LR(Features{0, 0}); high != m.MaxLog10LR || low != m.MinLog10LR {
		t.Errorf("ends %g and %g beside bounds %g and %g", low, high, m.MinLog10LR, m.MaxLog10LR)
	}
	if m.MaxLog10LR > math.Log10(float64(m.Population.DifferentPairs)/3) || m.MinLog10LR < -math.Log10(float64(m.Population.SamePairs)/3) {
		t.Errorf("bounds %g and %g claim more than n/3", m.MinLog10LR, m.MaxLog10LR)
	}
}

// More agreement never speaks against a common source, whatever the sample says.
func TestRatioNeverFallsWithAgreement(t *testing.T) {
	for seed := range uint64(20) {
		pairs := simulated(seed, 8, 3, 0.1, 0.08, 0)
		for i := range pairs {
			if pairs[i].Same() {
				pairs[i].CellShare *= 0.5 // against the truth
			}
		}
		m, err := Fit(pairs, about())
		if err != nil {
			t.Fatal(err)
		}
		for s := -1.0; s < 1; s += 0.05 {
			if m.Log10LR(Features{s + 0.05, 0.3}) < m.Log10LR(Features{s, 0.3}) || m.Log10LR(Features{s, 0.9}) < m.Log10LR(Features{s, 0.1}) {
				t.Fatalf("seed %d: the ratio falls at S = %.2f: %+v", seed, s, m)
			}
		}
	}
}

// Firearms that differ among themselves make their pairs worth less.
func TestDependentPairsSupportLess(t *testing.T) {
	alike := effective(simulated(5, 20, 6, 0.3, 0.05, 0), true)
	apart := effective(simulated(5, 20, 6, 0.3, 0.05, 0.1), true)
	if alike < 100 || alike > 300 {
		t.Errorf("300 independent pairs count as %.0f", alike)
	}
	if apart > 50 {
		t.Errorf("300 pairs of 20 firearms that differ much count as %.0f", apart)
	}
}

func TestBound(t *testing.T) {
	for n, want := range map[float64]float64{0: 0, 3: 0, 30: 1, 300: 2, 1e9: Ceiling} {
		if got := bound(n); math.Abs(got-want) > 1e-12 {
			t.Errorf("%g pairs support %g, want %g", n, got, want)
		}
	}
	if bound(math.NaN()) != 0 {
		t.Error("no number supports a claim")
	}
}

func TestTooFewPairsAreRefused(t *testing.T) {
	for name, pairs := range map[string][]Pair{
		"none":           nil,
		"two firearms":   simulated(1, 2, 9, 0.3, 0.05, 0),
		"one mark each":  simulated(1, 30, 1, 0.3, 0.05, 0),
		"few same pairs": simulated(1, 5, 2, 0.3, 0.05, 0),
	} {
		if _, err := Fit(pairs, about()); !errors.Is(err, ErrTooFew) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := simulated(1, 8, 4, 0.3, 0.05, 0)
	bad[3].Score = math.NaN()
	if _, err := Fit(bad, about()); err == nil {
		t.Error("a score that is no number was fitted")
	}
}

// A pair's ratio must not know the truth of its own firearms: turning the
// scores of one firearm upside down changes no ratio of its pairs' model.
func TestCrossValidationLeavesTheFirearmsOut(t *testing.T) {
	pairs := simulated(6, 8, 4, 0.2, 0.08, 0)
	before, folds, err := CrossValidate(pairs)
	if err != nil || folds != 8 {
		t.Fatalf("%d folds, %v", folds, err)
	}
	at := -1
	for i, p := range pairs {
		if p.SourceA == "3" && p.SourceB == "1" {
			at = i
		}
	}
	for i, p := range pairs {
		if (p.SourceA == "3" || p.SourceB == "3" || p.SourceA == "1" || p.SourceB == "1") && i != at {
			pairs[i].Score = 0.9 - pairs[i].Score
		}
	}
	after, _, err := CrossValidate(pairs)
	if err != nil {
		t.Fatal(err)
	}
	if before[at] != after[at] {
		t.Errorf("the ratio went from %g to %g with scores of its own firearms", before[at], after[at])
	}
	if _, _, err := CrossValidate(simulated(6, 3, 4, 0.2, 0.08, 0)); !errors.Is(err, ErrTooFew) {
		t.Errorf("three firearms: %v", err)
	}
	many, folds, err := CrossValidate(simulated(7, 25, 3, 0.2, 0.08, 0))
	if err != nil || folds != maxFolds || len(many) == 0 {
		t.Errorf("25 firearms: %d folds, %v", folds, err)
	}
}

func TestUnknownClassesGetNoNumber(t *testing.T) {
	m, err := Fit(simulated(3, 20, 4, 0.3, 0.05, 0), about())
	if err != nil {
		t.Fatal(err)
	}
	ruger, open := Class{"RUGER", "9x19"}, Class{"", "unknown"}
	for _, c := range []struct {
		name, algorithm, reason string
		a, b                    Class
		f                       Features
	}{
		{"both known", "a/1", "", ruger, ruger, Features{0.5, 0.8}},
		{"one known", "a/1", "", open, ruger, Features{0.5, 0.8}},
		{"each a half", "a/1", "", Class{Make: "Ruger"}, Class{Calibre: "9x19"}, Features{0.5, 0.8}},
		{"other make", "a/1", "not calibrated for Glock 9x19: the population holds Ruger 9x19", Class{"Glock", "9x19"}, ruger, Features{0.5, 0.8}},
		{"other calibre", "a/1", "not calibrated for Ruger .45 ACP", ruger, Class{"Ruger", ".45 ACP"}, Features{0.5, 0.8}},
		{"make unknown", "a/1", "not calibrated: the make of neither", Class{"unknown", "9x19"}, Class{"", "9x19"}, Features{0.5, 0.8}},
		{"calibre unknown", "a/1", "not calibrated: the calibre of neither", Class{Make: "Ruger"}, open, Features{0.5, 0.8}},
		{"other algorithm", "a/2", "not calibrated for algorithm a/2", ruger, ruger, Features{0.5, 0.8}},
		{"no score", "a/1", "not calibrated: score NaN", ruger, ruger, Features{math.NaN(), 0}},
	} {
		e := m.Evaluate(c.f, c.algorithm, c.a, c.b)
		if e.Calibrated != (c.reason == "") || !strings.HasPrefix(e.Reason, c.reason) || e.Population != "simulated" || e.Version != "1" || len(e.Limits) != 1 {
			t.Errorf("%s: %+v, want reason %q", c.name, e, c.reason)
		}
		if !e.Calibrated && e.Log10LR != 0 {
			t.Errorf("%s: a ratio of 10^%g without a calibration", c.name, e.Log10LR)
		}
	}
	if e := m.Evaluate(Features{1, 1}, "a/1", ruger, ruger); !e.AtBound || e.Log10LR != m.MaxLog10LR {
		t.Errorf("the highest score: %+v", e)
	}
}

func TestFeatures(t *testing.T) {
	for _, c := range []struct {
		cells, congruent int
		want             float64
	}{{0, 0, 0}, {2, 2, 1.0 / 3}, {6, 6, 1}, {20, 15, 0.75}} {
		f := FeaturesOf(correlate.Comparison{Score: 0.4, Cells: c.cells, CongruentCells: c.congruent})
		if f.Score != 0.4 || f.CellShare != c.want {
			t.Errorf("%d of %d cells: %+v", c.congruent, c.cells, f)
		}
	}
}

// The model of the program must be of the algorithm of the program: after a
// change of it, fit the default anew as docs/accuracy.md says.
func TestDefaultModelFitsTheProgram(t *testing.T) {
	m := Default()
	if m.Algorithm != correlate.Algorithm || m.Region != string(correlate.BreechFace) {
		t.Errorf("the default is of %s, the program is %s: fit it anew", m.Algorithm, correlate.Algorithm)
	}
	if lr := m.Log10LR(Features{0.6, 0.8}); lr < 1 {
		t.Errorf("a clear agreement weighs 10^%g", lr)
	}
	if lr := m.Log10LR(Features{0.1, 0}); lr > -0.5 {
		t.Errorf("chance agreement weighs 10^%g", lr)
	}
}

func TestModelFile(t *testing.T) {
	good, err := Default().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Parse(good); err != nil || m.Population.Name != Default().Population.Name {
		t.Fatalf("%+v, %v", m, err)
	}
	for name, change := range map[string]func(map[string]any, map[string]any){
		"unknown field":     func(m, _ map[string]any) { m["bonus"] = 1 },
		"newer format":      func(m, _ map[string]any) { m["format"] = 2 },
		"falling weight":    func(m, _ map[string]any) { m["score_weight"] = -1 },
		"claim too strong":  func(m, _ map[string]any) { m["max_log10_lr"] = 2.9 },
		"denial too strong": func(m, _ map[string]any) { m["min_log10_lr"] = -2 },
		"crossed bounds":    func(m, _ map[string]any) { m["min_log10_lr"] = 1 },
		"no name":           func(_, p map[string]any) { p["name"] = " " },
		"name of two lines": func(_, p map[string]any) { p["name"] = "a\nb" },
		"long name":         func(_, p map[string]any) { p["name"] = strings.Repeat("x", maxText+1) },
		"no classes":        func(_, p map[string]any) { p["classes"] = []any{} },
		"empty make":        func(_, p map[string]any) { p["classes"] = []any{map[string]any{"make": "", "calibre": "9x19"}} },
		"no limits":         func(_, p map[string]any) { delete(p, "limits") },
		"two firearms":      func(_, p map[string]any) { p["sources"] = 2 },
		"scans missing":     func(_, p map[string]any) { p["scans"] = 9 },
	} {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		change(m, m["population"].(map[string]any))
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(b); !errors.Is(err, ErrBadModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("model"), "two models": append(append([]byte{}, good...), good...), "large": make([]byte, MaxModelSize+1),
	} {
		if _, err := Parse(b); !errors.Is(err, ErrBadModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, err := Default().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":1,"max_log10_lr":1e400}`))
	f.Add([]byte(`{"format":1,"population":{"classes":[{}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrBadModel) {
				t.Fatalf("an error without its sentinel: %v", err)
			}
			return
		}
		if lr := m.Log10LR(Features{1, 1}); !(math.Abs(lr) <= Ceiling) {
			t.Fatalf("a ratio of 10^%g", lr)
		}
		if _, err := m.Marshal(); err != nil {
			t.Fatalf("a model that was read cannot be written: %v", err)
		}
	})
}
