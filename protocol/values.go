package protocol

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Caveat stands on every lead, on every screen and export that shows one.
const Caveat = "Investigative lead, unconfirmed. Microscopic comparison is required before reliance in court, for arrest or for charging."

// Origins of an exhibit.
const (
	Evidence = "evidence"  // recovered at a scene; belongs to an incident
	TestFire = "test-fire" // fired by a laboratory from a recovered firearm
)

// Kinds of exhibit.
const (
	CartridgeCase = "cartridge-case"
	Bullet        = "bullet"
)

// Unknown never excludes a candidate.
const Unknown = "unknown"

// Values of the class characteristics and closed lists, in the words of the field.
var (
	Origins           = []string{Evidence, TestFire}
	Kinds             = []string{CartridgeCase, Bullet}
	FiringPinShapes   = []string{"circular", "rectangular", "elliptical", "rim", "other", Unknown}
	BreechFacePattern = []string{"parallel", "arched", "circular", "cross-hatch", "granular", "smooth", Unknown}
	SerialStates      = []string{"CLEAR", "PARTIAL", "OBLITERATED", "RESTORED", "NOT_MARKED"}
	Priorities        = []string{"routine", "urgent"}
)

// Verdict is a reviewer's finding on a candidate.
type Verdict string

// The verdicts.
const (
	VerdictLead         Verdict = "lead"
	VerdictInconclusive Verdict = "inconclusive"
	VerdictExcluded     Verdict = "excluded"
	VerdictUnsuitable   Verdict = "unsuitable"
)

// Verdicts lists what a reviewer may find.
var Verdicts = []Verdict{VerdictLead, VerdictInconclusive, VerdictExcluded, VerdictUnsuitable}

// Identification is the one conclusion that makes a hit.
const Identification = "identification"

// Conclusions lists what an examiner may conclude at the microscope (the range of conclusions of the Association of Firearm and Tool Mark Examiners).
var Conclusions = []string{Identification, "inconclusive", "elimination", "unsuitable"}

// FeedbackCodes lists what may come of a lead.
var FeedbackCodes = []string{"USEFUL_NEW_SUSPECT", "USEFUL_LINK", "ALREADY_KNOWN", "NO_ACTION", "ARREST", "CHARGE", "CONVICTION",
	"GUN_RECOVERED", "REJECTED_AT_MICROSCOPE"}

// TraceReasons lists why a trace ended or stays incomplete.
var TraceReasons = []string{"SERIAL_INVALID", "SERIAL_OBLITERATED", "INSUFFICIENT_DESCRIPTION", "MISIDENTIFIED_MAKE", "RECORDS_EXPIRED", "RECORDS_LOST",
	"PRE_RECORD_MANUFACTURE", "OUT_OF_BUSINESS", "EXPORTED_TO", "STATE_STOCK", "STOLEN_BEFORE_SALE", "NO_RECORD", "ANTIQUE"}

// TraceOutcomes lists how an answer can end a trace.
var TraceOutcomes = []string{"COMPLETED", "PARTIAL", "UNSUCCESSFUL"}

// Interval is a span of time; an unknown moment is an interval, never a placeholder date.
type Interval struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Check refuses an empty or reversed interval.
func (i Interval) Check() error {
	if i.From.IsZero() || i.To.IsZero() {
		return fmt.Errorf("both ends are needed; an unknown date is an interval")
	}
	if i.To.Before(i.From) {
		return fmt.Errorf("ends (%s) before it begins (%s)", i.To.Format(time.RFC3339), i.From.Format(time.RFC3339))
	}
	return nil
}

// FirearmDescription describes a firearm on the wire. Brand, maker and importer are different facts.
type FirearmDescription struct {
	Kind                 string `json:"kind,omitempty"` // pistol, revolver, rifle, …
	Action               string `json:"action,omitempty"`
	Make                 string `json:"make,omitempty"`
	Manufacturer         string `json:"manufacturer,omitempty"`
	Importer             string `json:"importer,omitempty"`
	Model                string `json:"model,omitempty"`
	Calibre              string `json:"calibre,omitempty"`
	Serial               string `json:"serial,omitempty"` // as read
	SerialState          string `json:"serial_state,omitempty"`
	CountryOfManufacture string `json:"country_of_manufacture,omitempty"`
	Year                 int    `json:"year,omitempty"`
	Marks                string `json:"marks,omitempty"`
}

// Check bounds every field and refuses values outside the closed lists.
func (f FirearmDescription) Check() error {
	if err := first(
		checkText("kind", f.Kind, 256),
		checkText("action", f.Action, 256),
		checkText("make", f.Make, 256),
		checkText("manufacturer", f.Manufacturer, 256),
		checkText("importer", f.Importer, 256),
		checkText("model", f.Model, 256),
		checkText("calibre", f.Calibre, 256),
		checkText("serial", f.Serial, 256),
		checkText("marks", f.Marks, 256),
	); err != nil {
		return err
	}
	if err := oneOf("serial_state", f.SerialState, SerialStates, true); err != nil {
		return err
	}
	if f.CountryOfManufacture != "" {
		if _, err := ParseCountry(f.CountryOfManufacture); err != nil {
			return fmt.Errorf("country_of_manufacture: %w", err)
		}
	}
	if f.Year != 0 && (f.Year < 1500 || f.Year > 2200) {
		return fmt.Errorf("year: %d is not a year of manufacture", f.Year)
	}
	return nil
}

// CheckNumber bounds a number that people say to each other, such as PT-L-2026-000001, and refuses one of another country or series: nobody's numbers
// can be taken for another's.
func CheckNumber(number string, of Country, series string) error {
	if err := needLine("number", number, 64); err != nil {
		return err
	}
	if prefix := string(of) + "-" + series + "-"; !strings.HasPrefix(number, prefix) || len(number) == len(prefix) {
		return fmt.Errorf("number: %.64q is not one of %s, which begin with %s", number, of, prefix)
	}
	return nil
}

func oneOf[S ~string](name string, v S, allowed []S, optional bool) error {
	if optional && v == "" || slices.Contains(allowed, v) {
		return nil
	}
	list := make([]string, len(allowed))
	for i, a := range allowed {
		list[i] = string(a)
	}
	return fmt.Errorf("%s: %.40q is not one of %s", name, v, strings.Join(list, ", "))
}

// checkText bounds a text of paragraphs and refuses control characters other than line ends and tabs.
func checkText(name, v string, limit int) error {
	if len(v) > limit {
		return fmt.Errorf("%s: %d bytes, the limit is %d", name, len(v), limit)
	}
	if !utf8.ValidString(v) {
		return fmt.Errorf("%s: not valid UTF-8", name)
	}
	for _, r := range v {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return fmt.Errorf("%s: contains the control character %U", name, r)
		}
	}
	return nil
}

func needText(name, v string, limit int) error {
	if strings.TrimSpace(v) == "" {
		return fmt.Errorf("%s: missing", name)
	}
	return checkText(name, v, limit)
}

// checkLine is checkText for what stands on one line: a line end could forge another one on a terminal or in a report.
func checkLine(name, v string, limit int) error {
	if i := strings.IndexAny(v, "\n\t\u2028\u2029"); i >= 0 {
		return fmt.Errorf("%s: contains a line end or a tab at byte %d, and stands on one line", name, i)
	}
	return checkText(name, v, limit)
}

func needLine(name, v string, limit int) error {
	if strings.TrimSpace(v) == "" {
		return fmt.Errorf("%s: missing", name)
	}
	return checkLine(name, v, limit)
}

// lineIfAny is needLine for what may be withheld: absent it is missing to nobody, blank it would look like a value.
func lineIfAny(name, v string, limit int) error {
	if v == "" {
		return nil
	}
	return needLine(name, v, limit)
}

// samePerson compares service names as people read them.
func samePerson(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// first returns the first error: a body's checks read as a list.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func field(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
