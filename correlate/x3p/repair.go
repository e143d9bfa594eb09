package x3p

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Check says all that keeps m from being written as Record2: the schema wants
// both dates as xsd:dateTime and one of three probing types. Empty metadata are
// in order, Record2 is optional.
func (m Meta) Check() error {
	if m == (Meta{}) {
		return nil
	}
	var wrong []error
	for _, d := range []struct{ name, text string }{{"date", m.Date}, {"calibration date", m.CalibrationDate}} {
		if problem := dateTime(d.text); problem != "" {
			wrong = append(wrong, fmt.Errorf("meta: %s %s", d.name, problem))
		}
	}
	switch m.ProbingType {
	case "Contacting", "NonContacting", "Software":
	default:
		wrong = append(wrong, fmt.Errorf("meta: probing type %.40q is none of Contacting, NonContacting, Software", m.ProbingType))
	}
	return errors.Join(wrong...)
}

// Repair rewrites the dates and the probing type in the form of the schema where
// they say the same in another form, and tells what it did. It never guesses: a
// date whose order of day and month is open, or a probing type in other words,
// stays as it is for Check to name.
func (m Meta) Repair() (Meta, []string) {
	var done []string
	for _, d := range []struct {
		name string
		text *string
	}{{"date", &m.Date}, {"calibration date", &m.CalibrationDate}} {
		if better, note := repairDate(*d.text); better != *d.text {
			done = append(done, fmt.Sprintf("%s %.40q is written %s%s", d.name, *d.text, better, note))
			*d.text = better
		}
	}
	plain := strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(m.ProbingType))
	for _, known := range []string{"Contacting", "NonContacting", "Software"} {
		if plain == strings.ToLower(known) && m.ProbingType != known {
			done = append(done, fmt.Sprintf("probing type %.40q is written %s", m.ProbingType, known))
			m.ProbingType = known
		}
	}
	return m, done
}

// repairDate knows forms that begin with the year and can be read in one way.
func repairDate(text string) (better, note string) {
	if dateTime(text) == "" {
		return text, ""
	}
	const seconds = "2006-01-02T15:04:05"
	for _, f := range []struct{ layout, better, note string }{
		{"2006-01-02 15:04:05", seconds, ""},
		{"2006/01/02 15:04:05", seconds, ""},
		{"2006-01-02T15:04", seconds, ", seconds unknown"},
		{"2006-01-02 15:04", seconds, ", seconds unknown"},
		{"2006-01-02 15:04:05Z07:00", time.RFC3339, ""},
		{"2006-01-02T15:04:05-0700", time.RFC3339, ""},
		{"2006-01-02T15:04Z07:00", time.RFC3339, ", seconds unknown"},
		{"2006-01-02", seconds, ", the time of day unknown"},
		{"2006/01/02", seconds, ", the time of day unknown"},
	} {
		if t, err := time.Parse(f.layout, text); err == nil {
			if better := t.Format(f.better); dateTime(better) == "" {
				return better, f.note
			}
		}
	}
	return text, ""
}
