package demo

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"proofmark/protocol"
)

func gunShots(guns, shots int) (out []scan) {
	for i := range guns {
		for j := range shots {
			out = append(out, scan{name: fmt.Sprintf("g%02d-%d", i, j), source: fmt.Sprintf("g%02d", i)})
		}
	}
	return out
}

func TestDealSplitsMatesAcrossBorders(t *testing.T) {
	sets := map[string][]scan{"3 shots": gunShots(12, 3), "2 shots": gunShots(7, 2), "4 shots": gunShots(5, 4)}
	if b, err := os.ReadFile("../../../" + DefaultScans + "/" + truthFile); err == nil { // the real set, where it is there
		scans, err := parseTruth(b)
		if err != nil {
			t.Fatal(err)
		}
		sets["real"] = scans
	}
	for name, scans := range sets {
		lots := deal(scans, countries, caseRefs())
		held, numbers, where := map[protocol.Country]int{}, map[string]bool{}, map[string]map[protocol.Country]bool{}
		for i, l := range lots {
			held[l.country]++
			if l.name != scans[i].name || l.origin != protocol.Evidence || !strings.HasPrefix(l.number, l.caseRef) || numbers[string(l.country)+l.number] {
				t.Errorf("%s: lot %d is %+v", name, i, l)
			}
			numbers[string(l.country)+l.number] = true
			if where[l.source] == nil {
				where[l.source] = map[protocol.Country]bool{}
			}
			where[l.source][l.country] = true
		}
		for source, in := range where {
			if len(in) < 2 {
				t.Errorf("%s: all scans of %s lie in one country", name, source)
			}
		}
		for _, c := range countries {
			if d := held[c] - len(scans)/3; d < 0 || d > 1 {
				t.Errorf("%s: %s has %d of %d", name, c, held[c], len(scans))
			}
		}
		fire, err := stageTestFire(lots, es, pt, recoveryCase)
		if err != nil {
			t.Fatal(err)
		}
		fires, mates := 0, 0
		for _, l := range lots {
			if l.origin == protocol.TestFire {
				fires++
			}
			if l.country == pt && l.source == fire.source {
				mates++
			}
		}
		if fires != 1 || mates == 0 || fire.country != es || fire.caseRef != recoveryCase {
			t.Errorf("%s: %d test fires, %d mates in PT, %+v", name, fires, mates, fire)
		}
	}
}

func TestStageTestFireWithoutPair(t *testing.T) {
	lots := deal(gunShots(9, 1), countries, caseRefs())
	if _, err := stageTestFire(lots, es, pt, recoveryCase); err == nil || !strings.Contains(err.Error(), "use other scans") {
		t.Error(err)
	}
}
