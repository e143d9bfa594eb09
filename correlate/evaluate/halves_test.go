package evaluate

import (
	"fmt"
	"testing"

	"proofmark/correlate/calibrate"
)

// pairsOf makes pairs of n firearms with four marks each; score tells that of the
// k-th pair of two firearms.
func pairsOf(n int, score func(a, b, k int) float64) (out []Pair) {
	for a := range n {
		for b := range a + 1 {
			for k := range 6 {
				x := Pair{Mates: a == b}
				x.SourceA, x.SourceB = fmt.Sprint("gun ", a), fmt.Sprint("gun ", b)
				x.Features = calibrate.Features{Score: score(a, b, k), CellShare: 0.5}
				out = append(out, x)
			}
		}
	}
	return out
}

func TestDivisionsIntoHalves(t *testing.T) {
	for n, want := range map[int]int{1: 0, 2: 1, 4: 3, 5: 10, 10: 126, 11: maxDivisions} {
		all := divisionsOf(n, 1)
		if len(all) != want {
			t.Errorf("%d firearms: %d divisions, want %d", n, len(all), want)
		}
		for _, d := range all {
			first := 0
			for _, in := range d {
				if in {
					first++
				}
			}
			if len(d) != n || first != n/2 {
				t.Fatalf("%d firearms: %v", n, d)
			}
		}
	}
}

// A firearm whose mates score low is missed by thresholds of the others, and where it
// was fitted on the threshold gives way.
func TestHalvesMissWhatTheyHaveNotSeen(t *testing.T) {
	apart := func(a, b, k int) float64 {
		switch {
		case a == b && a == 0:
			return 0.30 + 0.001*float64(k)
		case a == b:
			return 0.70 + 0.01*float64(k) + 0.001*float64(a)
		}
		return 0.01 * float64(k+(a+b)%3)
	}
	h, err := halve(pairsOf(10, apart), 1)
	if err != nil || h == nil {
		t.Fatalf("%+v, %v", h, err)
	}
	if h.Divisions != 126 || h.Tests != 252 || h.Fitted != 5 {
		t.Errorf("%+v", h)
	}
	// It is kept back in half of the tests, where it is one of five firearms.
	if h.Misses != 0.1 || h.MissesWorst != 0.2 || h.Alarms != 0 || h.AlarmsWorst != 0 {
		t.Errorf("missed %g (worst %g), false alarms %g (worst %g)", h.Misses, h.MissesWorst, h.Alarms, h.AlarmsWorst)
	}
	if !(h.ThresholdLow < 0.3 && h.ThresholdHigh > 0.31) || !(h.Cllr > 0 && h.Cllr < h.CllrWorst) || h.CllrMinMean > h.Cllr {
		t.Errorf("%+v", h)
	}
	again, err := halve(pairsOf(10, apart), 1)
	if err != nil || *again != *h {
		t.Errorf("the same pairs give %+v, then %+v; %v", h, again, err)
	}
}

func mate(same bool) float64 {
	if same {
		return 1
	}
	return 0
}

func TestHalvesOfTooFewFirearms(t *testing.T) {
	h, err := halve(pairsOf(5, func(a, b, k int) float64 { return mate(a == b) }), 1)
	if h != nil || err != nil {
		t.Errorf("two firearms are fitted on: %+v, %v", h, err)
	}
	overlapping := pairsOf(6, func(a, b, k int) float64 { return 0.1*mate(a == b) + 0.05*float64(k) })
	if s := thresholdOf(overlapping); !(s > 0.05 && s < 0.35) {
		t.Errorf("threshold of overlapping classes %g", s)
	}
}
