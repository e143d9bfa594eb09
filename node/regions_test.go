package node

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"proofmark/correlate/bullet"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/protocol"
)

// bulletOf prepares a bullet as an exhibit and acquires all of its lands in one command.
func (b *bureau) bulletOf(number string, barrel *synth.Barrel, shot uint64) *ballistics.Acquisition {
	b.t.Helper()
	tech := b.people["tech"]
	call[*ballistics.Exhibit](b.t, tech, "exhibit.add", ballistics.NewExhibit{Number: number, Case: b.country + "-1", Kind: protocol.Bullet, Origin: protocol.Evidence, Calibre: "9 mm Luger"})
	scans, _ := barrel.FireBullet(shot, synth.LandShot{Rows: 64})
	n := ballistics.NewAcquisition{Exhibit: number, ROI: "lea"}
	var files [][]byte
	for i, s := range scans {
		var w bytes.Buffer
		if err := x3p.Write(&w, s); err != nil {
			b.t.Fatal(err)
		}
		files = append(files, w.Bytes())
		n.Scans = append(n.Scans, ballistics.File{Name: fmt.Sprintf("land-%d.x3p", i+1), Size: int64(w.Len())})
	}
	a, err := control.Upload[*ballistics.Acquisition](b.t.Context(), tech, "acquire", "", n, files...)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// openCase makes the bureau's case, which enrol needs too.
func (b *bureau) openCase() {
	tech := b.people["tech"]
	call[*ballistics.Case](b.t, tech, "case.add", ballistics.NewCase{Reference: b.country + "-1", Agency: "Judicial Police"})
	when := time.Now().Add(-48 * time.Hour)
	call[*ballistics.Incident](b.t, tech, "incident.add", ballistics.NewIncident{Case: b.country + "-1", Occurred: protocol.Interval{From: when, To: when.Add(time.Hour)},
		Place: "Secret Street 7", Offence: "homicide"})
}

func barrel(seed uint64) *synth.Barrel { return synth.NewBarrel(seed, synth.Rifling{Strength: 3}) }

// TestOtherRegionsFindTheirMatesAbroad: a bullet and a firing-pin impression cross a border over real hosts, stores and command sockets, and each finds
// its mate on the other side, first of its list, with one identity and one score on both sides.
func TestOtherRegionsFindTheirMatesAbroad(t *testing.T) {
	pt, es := newBureau(t, "PT"), newBureau(t, "ES")
	for _, b := range []*bureau{pt, es} {
		b.start()
		b.login(roles)
		b.openCase()
	}
	federate(t, pt, es)

	whole := synth.Shot{Whole: true, Instrument: synth.FocusVariation()}
	whole.Instrument.Pitch = 6.25e-6
	class, err := synth.ClassNamed("pistol-milled")
	if err != nil {
		t.Fatal(err)
	}
	gun := class.Maker(1).Firearm(3)
	es.bulletOf("ES-B0", barrel(5), 1)
	es.bulletOf("ES-B9", synth.NewBarrel(6, synth.Rifling{Strength: 3, Lands: 5}), 1) // another class: never compared
	for _, c := range []struct {
		name   string
		pt, es *ballistics.Acquisition
	}{
		{"bullet", pt.bulletOf("PT-B1", barrel(3), 1), es.bulletOf("ES-B1", barrel(3), 2)},
		{"firing pin", pt.enrolRegion("PT-C1", "firing-pin", gun.Fire(1, whole)), es.enrolRegion("ES-C1", "firing-pin", gun.Fire(2, whole))},
	} {
		pair := protocol.PairID(c.pt.Signature, c.es.Signature)
		var found [2]*ballistics.CandidateView
		for i, side := range []*bureau{pt, es} {
			own := []*ballistics.Acquisition{c.pt, c.es}[i]
			eventually(t, "the "+c.name+"'s candidate at "+side.country, func() bool {
				list := side.candidates(own.Signature)
				if len(list) == 0 || list[0].Pair != pair {
					return false
				}
				found[i] = list[0]
				return true
			})
		}
		a, b := found[0], found[1]
		if a.Score != b.Score || a.Algorithm != c.pt.Algorithm || a.ROI != c.pt.ROI || a.Other.Country != "ES" || b.Other.Country != "PT" {
			t.Errorf("%s: PT found %.4f by %s, ES %.4f by %s", c.name, a.Score, a.Algorithm, b.Score, b.Algorithm)
		}
		if lr := a.LikelihoodRatio; lr == nil || lr.Calibrated || !strings.HasPrefix(lr.Reason, "not calibrated") {
			t.Errorf("%s: likelihood ratio %+v", c.name, lr)
		}
		if c.name == "firing pin" {
			if a.Comparison == nil || a.Score < 0.4 {
				t.Errorf("mates' firing pins: %+v", a.Finding)
			}
			continue
		}
		if a.Bullets == nil || !a.Bullets.Conclusive || a.Bullets.Counted < bullet.MinLands || a.Bullets.Phase != b.Bullets.Phase || len(a.Bullets.Lands) != 6 {
			t.Errorf("mates' bullets: %+v", a.Finding)
		}
		if list := pt.candidates(c.pt.Signature); len(list) != 2 || list[1].Score > a.Score/2 {
			t.Errorf("the list has %d candidates, want the mate and one other of six lands", len(list))
		}
	}

	// A restart keeps what can be searched: a third bullet of the barrel finds both.
	pt.halt()
	pt.start()
	pt.people["tech"] = pt.session(control.LoginRequest{Name: "tech", Secret: testSecret + " tech"})
	third := pt.bulletOf("PT-B3", barrel(3), 3)
	eventually(t, "the third bullet's candidates", func() bool {
		list := pt.candidates(third.Signature)
		return len(list) >= 2 && list[1].Score > 0.5
	})
}

// enrolRegion is enrol for another region.
func (b *bureau) enrolRegion(number, roi string, scan *x3p.Scan) *ballistics.Acquisition {
	b.t.Helper()
	file := b.prepare(number, scan)
	a, err := control.Upload[*ballistics.Acquisition](b.t.Context(), b.people["tech"], "acquire", "",
		ballistics.NewAcquisition{Exhibit: number, ROI: roi, Scans: []ballistics.File{{Name: number + ".x3p", Size: int64(len(file))}}}, file)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}
