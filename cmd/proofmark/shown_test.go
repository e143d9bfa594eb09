package main

import (
	"bytes"
	"strings"
	"testing"

	"proofmark/node/accounting"
	"proofmark/node/control"
)

func TestPicturesAreNamedForWhatTheyAre(t *testing.T) {
	for path, good := range map[string]bool{"": true, "pair.svg": true, "a/PAIR.SVG": true, "pair.png": false, "pair": false, "pair.svg.jpg": false} {
		if err := checkPicture(path); (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// That nobody received an exhibit is an answer; that nobody knows its number is another one.
func TestTrailOfWhatIsUnknown(t *testing.T) {
	for _, c := range []struct {
		trail accounting.Trail
		want  string
	}{
		{accounting.Trail{Ref: "LIS-E-11"}, "unknown to this node"},
		{accounting.Trail{Ref: "LIS-E-1", Exhibit: "x", Number: "LIS-E-1"}, "No other country ever received"},
		{accounting.Trail{Ref: "gone", Erased: []accounting.TrailErased{{Country: "ES"}}}, "Retention erased"},
	} {
		var out bytes.Buffer
		if printTrail(&out, &c.trail); !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %s", c.trail.Ref, out.String())
		}
	}
}

// Who runs the copy that was put back is told what to do with it, and not to call himself.
func TestDoctorOnTheOwnLog(t *testing.T) {
	s := control.Status{Country: "PT"}
	s.Witness.Alarms = []string{"the audit log of PT was put back: it had signed 288 entries, and then signed that its newest state has 285", "the audit log of ES has two histories"}
	found := witnessFindings(s)
	if len(found) != 2 || !strings.Contains(found[0].Do, "proofmark restore") || strings.Contains(found[0].Do, "call that bureau") || !strings.Contains(found[1].Do, "call that bureau") {
		t.Errorf("%+v", found)
	}
}
