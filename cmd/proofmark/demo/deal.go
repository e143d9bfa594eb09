package demo

import (
	"fmt"

	"proofmark/protocol"
)

// lot is one exhibit of the day: which bureau has it, and what is known of it to whom. Only scoring reads source.
type lot struct {
	scan
	country protocol.Country
	caseRef string
	number  string // exhibit number
	origin  string // protocol.Evidence or protocol.TestFire

	signature string // id of its signature document, once acquired
	bytes     int    // of the signature
	refused   string // why its scan was refused; empty if it was not
}

// deal gives the scans to the countries in turn. Scans are sorted by name, so those of one firearm stand together and fall to different
// countries; the sources themselves are not looked at.
func deal(scans []scan, countries []protocol.Country, cases map[protocol.Country][]string) []*lot {
	lots := make([]*lot, len(scans))
	for i, s := range scans {
		c := countries[i%len(countries)]
		nth := i / len(countries)
		list := cases[c]
		ref := list[nth%len(list)]
		lots[i] = &lot{scan: s, country: c, caseRef: ref, number: fmt.Sprintf("%s/C%02d", ref, nth/len(list)+1), origin: protocol.Evidence}
	}
	return lots
}

// stageTestFire makes one exhibit of the holder a test fire: of a firearm that also left evidence in the other country. It is the only test fire,
// so no pair of the day is one that software leaves out by default. Whoever fired it in the laboratory knows the firearm; the nodes do not.
func stageTestFire(lots []*lot, holder, other protocol.Country, caseRef string) (*lot, error) {
	for _, t := range lots {
		if t.country != holder {
			continue
		}
		for _, e := range lots {
			if e.country == other && e.source == t.source {
				t.origin, t.caseRef, t.number = protocol.TestFire, caseRef, caseRef+"/T01"
				return t, nil
			}
		}
	}
	return nil, fmt.Errorf("no firearm left scans in both %s and %s as they are dealt: the demo needs one to tell its story; use other scans", holder, other)
}
