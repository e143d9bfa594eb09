package ballistics

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/calibrate"
	"proofmark/node/index"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// model is a bureau's own calibration for some makes and calibres, given in turn.
func model(t *testing.T, file string, region correlate.ROI, algorithm string, classes ...string) Calibration {
	t.Helper()
	m := calibrate.Model{Format: 1, Region: string(region), Algorithm: algorithm, Intercept: -3, ScoreWeight: 6, CellWeight: 3, MaxLog10LR: 1.5, MinLog10LR: -0.8,
		Population: calibrate.Population{Name: "service pistols", Version: "3", Scans: 40, Sources: 10, SamePairs: 63, DifferentPairs: 717, Limits: []string{"one instrument"}}}
	for i := 0; i < len(classes); i += 2 {
		m.Population.Classes = append(m.Population.Classes, calibrate.Class{Make: classes[i], Calibre: classes[i+1]})
	}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c, err := ReadCalibration(file, b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func faceOf(maker, calibre string) *Signature {
	return &Signature{ROI: correlate.BreechFace, Make: maker, Class: correlate.Class{Calibre: calibre}}
}

func TestEvidence(t *testing.T) {
	glock := model(t, "glock.json", correlate.BreechFace, correlate.Algorithm, "Glock", "9x19")
	pins := model(t, "pins.json", correlate.FiringPin, correlate.FiringPinAlgorithm, "Ruger", "9x19")
	models, err := NewCalibrations([]Calibration{pins, glock})
	if err != nil || len(models) != 3 || models[0].File != "glock.json" || models[2].File != "" {
		t.Fatalf("%+v, %v", models, err)
	}
	strong := index.Finding{Score: 0.7, Algorithm: correlate.Algorithm, Comparison: &correlate.Comparison{Score: 0.7, CongruentCells: 20, Cells: 24, Algorithm: correlate.Algorithm}}
	weak := index.Finding{Score: 0.05, Algorithm: correlate.Algorithm, Comparison: &correlate.Comparison{Score: 0.05, Cells: 24, Algorithm: correlate.Algorithm}}
	tomorrow := strong
	tomorrow.Algorithm = "proofmark-bf/99"
	bullets := index.Finding{Score: 1.6, Algorithm: bullet.Algorithm, Bullets: &bullet.Comparison{Score: 1.6, Counted: 6, Conclusive: true}}
	lands := &Signature{ROI: correlate.LEA, Class: correlate.Class{Calibre: "9x19"}, Make: "Ruger"}
	for _, c := range []struct {
		name       string
		a, b       *Signature
		f          index.Finding
		population string
		says       string // in the reason; empty: calibrated
	}{
		{"a test fire and evidence", faceOf("Ruger", "9x19"), faceOf("", "9x19"), strong, "Ruger slides of Fadul et al. 2011", ""},
		{"in other words", faceOf("Sturm, Ruger & Co.", "9 mm Luger"), faceOf("", "9 mm Parabellum"), strong, "Ruger slides of Fadul et al. 2011", ""},
		{"weak agreement", faceOf("Ruger", "9x19"), faceOf("", "9x19"), weak, "Ruger slides of Fadul et al. 2011", ""},
		{"a bare bore on one side", faceOf("Ruger", "9x19"), faceOf("", "9 mm"), strong, "Ruger slides of Fadul et al. 2011", ""},
		{"the bureau's own model", faceOf("", "9x19"), faceOf("GLOCK", "9 mm Luger"), strong, "service pistols", ""},
		{"a bare bore on both sides", faceOf("Ruger", "9 mm"), faceOf("", "9 mm"), strong, "", "the calibre of neither exhibit is known"},
		{"evidence on both sides", faceOf("", "9x19"), faceOf("", "9x19"), strong, "", "the make of neither exhibit is known"},
		{"another make", faceOf("Zastava", "9x19"), faceOf("", "9x19"), strong, "", "not calibrated for Zastava 9x19"},
		{"another calibre", faceOf("Ruger", ".45 ACP"), faceOf("", ".45 ACP"), strong, "", "not calibrated for Ruger .45 ACP"},
		{"another algorithm", faceOf("Ruger", "9x19"), faceOf("", "9x19"), tomorrow, "", "no model was fitted for the breech-face by proofmark-bf/99"},
		{"bullets", lands, lands, bullets, "", "no set of bullets with known barrels"},
	} {
		for range 2 {
			lr := models.Evidence(c.a, c.b, &c.f)
			if err := lr.Check(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if lr.Calibrated != (c.says == "") || !strings.Contains(lr.Reason, c.says) || lr.Calibrated && (lr.Population != c.population || len(lr.Model) != 64 || len(lr.Limits) == 0 || lr.Version == "") {
				t.Errorf("%s: %+v", c.name, lr)
			}
			if !lr.Calibrated && (lr.Log10LR != 0 || lr.AtBound) {
				t.Errorf("%s: a number without a calibration: %+v", c.name, lr)
			}
			c.a, c.b = c.b, c.a // exchanging the exhibits changes nothing
		}
	}
	if up, down := models.Evidence(faceOf("Ruger", "9x19"), faceOf("", ""), &strong), models.Evidence(faceOf("Ruger", "9x19"), faceOf("", ""), &weak); !(up.Log10LR > 1 && down.Log10LR < 0) {
		t.Errorf("strong agreement gives %+.2f, weak %+.2f", up.Log10LR, down.Log10LR)
	}
}

func TestCalibrationsThatSpeakForTheSameExhibitsAreRefused(t *testing.T) {
	a := model(t, "a.json", correlate.BreechFace, correlate.Algorithm, "Glock", "9x19", "Ruger", "9x19")
	for name, c := range map[string]struct {
		other Calibration
		clash bool
	}{
		"another make":       {model(t, "b.json", correlate.BreechFace, correlate.Algorithm, "Zastava", "9x19"), false},
		"another calibre":    {model(t, "b.json", correlate.BreechFace, correlate.Algorithm, "Glock", ".45 ACP"), false},
		"another region":     {model(t, "b.json", correlate.FiringPin, correlate.FiringPinAlgorithm, "Glock", "9x19"), false},
		"another algorithm":  {model(t, "b.json", correlate.BreechFace, "proofmark-bf/99", "Glock", "9x19"), false},
		"the same":           {model(t, "b.json", correlate.BreechFace, correlate.Algorithm, "Glock", "9x19"), true},
		"the same, reworded": {model(t, "b.json", correlate.BreechFace, correlate.Algorithm, "Walther", "9x19", "Sturm Ruger", "9 mm Luger"), true},
	} {
		_, err := NewCalibrations([]Calibration{c.other, a})
		if (err != nil) != c.clash || c.clash && (!strings.Contains(err.Error(), "a.json and b.json both speak for the breech-face of") || !strings.Contains(err.Error(), "keep one")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What others write into their records must not keep a lead from being written.
func TestReasonsFitIntoADocument(t *testing.T) {
	models := DefaultCalibrations()
	f := index.Finding{Algorithm: correlate.Algorithm, Comparison: &correlate.Comparison{Algorithm: correlate.Algorithm}}
	for _, maker := range []string{strings.Repeat("é", 2000), "two\nlines\tand\u2028more", strings.Repeat("x \n", 900)} {
		lr := models.Evidence(faceOf(maker, "9x19"), faceOf("", ""), &f)
		if err := lr.Check(); err != nil || lr.Calibrated || lr.Reason == "" || len(lr.Reason) > maxReason || !utf8.ValidString(lr.Reason) {
			t.Errorf("%q: %v", lr.Reason, err)
		}
	}
}

// TestCandidatesAndLeadsCarryTheLikelihoodRatio: of a test fire whose make its owner knows and discloses to nobody, its owner's own candidate has a number
// and the other side's does not; the lead says what the sender computed.
func TestCandidatesAndLeadsCarryTheLikelihoodRatio(t *testing.T) {
	pt, es, pair := testFireFound(t)
	own, err := es.Candidate(t.Context(), exam1, pair)
	if err != nil {
		t.Fatal(err)
	}
	lr := own.LikelihoodRatio
	if lr == nil || !lr.Calibrated || lr.Log10LR <= 0 || lr.Population != calibrate.Default().Population.Name || lr.Version == "" {
		t.Errorf("ES computed %+v", lr)
	}
	theirs, err := pt.Candidate(t.Context(), exam1, pair)
	if err != nil {
		t.Fatal(err)
	}
	if l := theirs.LikelihoodRatio; l == nil || l.Calibrated || !strings.Contains(l.Reason, "the make of neither exhibit is known") {
		t.Errorf("PT, which was not told of the firearm, computed %+v", l)
	}
	es.UseCalibrations(nil) // models that change later change nothing that was found before
	if again, err := es.Candidate(t.Context(), exam1, pair); err != nil || !reflect.DeepEqual(again.LikelihoodRatio, lr) {
		t.Errorf("%+v, %v", again.LikelihoodRatio, err)
	}
	es.decideLead(pair)
	if _, err := es.ReleaseLead(t.Context(), exam1, "", pair, ""); err != nil {
		t.Fatal(err)
	}
	carry(t, es, pt)
	if got := pt.lead(pair).Received.Body.LikelihoodRatio; !reflect.DeepEqual(got, lr) {
		t.Errorf("the lead says %+v, its sender computed %+v", got, lr)
	}
}

// testFireFound is a pair of evidence at PT and a test fire of a recovered Ruger at ES.
func testFireFound(t *testing.T) (pt, es *lab, pair string) {
	t.Helper()
	both := labs(t, "PT", "ES")
	pt, es = both[0], both[1]
	pt.crime("PT-1")
	es.crime("ES-1")
	pt.exhibit("P1", "PT-1")
	at := start.Add(-24 * time.Hour)
	_, err := es.tracing.AddFirearm(t.Context(), ncb, "", tracing.NewFirearm{Reference: "ES-7", Status: "recovered", StatusDate: at,
		FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Make: "Sturm Ruger", Model: "P95", Calibre: "9 mm Luger", Serial: "1"},
		Recovery:           &tracing.Recovery{Place: "Badajoz", Occurred: protocol.Interval{From: at, To: at}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := es.AddExhibit(t.Context(), tech, "", NewExhibit{Number: "T1", Case: "ES-1", Origin: protocol.TestFire, Firearm: "ES-7", Calibre: "9x19"}); err != nil {
		t.Fatal(err)
	}
	a, b := pt.acquire("P1", shot(t, 5, 1)), es.acquire("T1", shot(t, 5, 2))
	carry(t, pt, es)
	carry(t, es, pt)
	pt.settle()
	es.settle()
	return pt, es, protocol.PairID(a.Signature, b.Signature)
}
