package x3p

import (
	"strings"
	"testing"
)

func TestRepairMeta(t *testing.T) {
	for text, want := range map[string]string{
		"2011-01-24T13:00:00":       "2011-01-24T13:00:00",
		"2011-01-24T13:00:00.5Z":    "2011-01-24T13:00:00.5Z",
		"2011-01-24 13:00:00":       "2011-01-24T13:00:00",
		"2011/01/24 13:00:00":       "2011-01-24T13:00:00",
		"2011-01-24T13:00":          "2011-01-24T13:00:00",
		"2011-01-24 13:00:00+02:00": "2011-01-24T13:00:00+02:00",
		"2011-01-24T13:00:00+0200":  "2011-01-24T13:00:00+02:00",
		"2011-01-24":                "2011-01-24T00:00:00",
		"2011-02-30":                "2011-02-30", // there is no such day
		"01/02/2011":                "01/02/2011", // January or February?
		"2011-01-24T13:00:00,5":     "2011-01-24T13:00:00,5",
		"N/A":                       "N/A",
		"":                          "",
	} {
		m, done := Meta{Date: text}.Repair()
		if m.Date != want || (len(done) > 0) != (text != want) {
			t.Errorf("%q became %q, want %q; %q", text, m.Date, want, done)
		}
	}
	for text, want := range map[string]string{"NonContacting": "NonContacting", "non-contacting": "NonContacting", "Non Contacting": "NonContacting", "SOFTWARE": "Software", "optical": "optical", "": ""} {
		if m, _ := (Meta{ProbingType: text}).Repair(); m.ProbingType != want {
			t.Errorf("%q became %q, want %q", text, m.ProbingType, want)
		}
	}
	m := surface(1, 1).Meta
	if got, done := m.Repair(); got != m || done != nil || m.Check() != nil {
		t.Errorf("%+v was repaired: %q, %v", m, done, m.Check())
	}
	err := Meta{Creator: "x"}.Check()
	for _, part := range []string{"meta: date", "meta: calibration date", "meta: probing type"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
}
