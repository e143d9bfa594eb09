package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Obligations are the restrictions under which a permitted act may be done.
type Obligations struct {
	Handling  []string      // handling codes, H0 to H3, sorted
	RetainFor time.Duration // how long the receiver may keep it; 0: none stated
	Redact    []string      // names of the fields to withhold, sorted
	Approval  string        // TwoPerson, or "" for none

	// Justification: the person who acts has to say why, Required or "" for no. It binds people, not exchanges.
	Justification string

	// Operations for which alone it is permitted, sorted, and their end, when the receiver's copy ends too; zero: for none.
	Operations []string
	Until      time.Time
}

// Required is the one value of @justification.
const Required = "required"

// TwoPerson holds a document until two different people have approved it.
const TwoPerson = "two-person"

// handlingCodes are the codes of the domain: H0 crime prevention and fighting
// only, H1 not in court without permission, H2 no onward transfer without
// permission, H3 other restriction.
var handlingCodes = []string{"H0", "H1", "H2", "H3"}

// redactable maps what @redact may name to the disclosure that is withheld. A
// name outside of it is refused on load: a misspelt field would be disclosed.
var redactable = map[string]string{
	"case_reference":   "case_reference",
	"agency":           "agency",
	"place":            "place",
	"location":         "place",
	"occurred":         "occurred",
	"offence":          "offence",
	"exhibit_number":   "exhibit_number",
	"narrative":        "narrative",
	"firearm":          "firearm",
	"likelihood_ratio": "likelihood_ratio",
	"officer":          "officer",
	"possessor":        "possessor",
	"note":             "note",
}

// Withholdable lists what @redact withholds, each thing by its one name, sorted.
func Withholdable() []string {
	return slices.Compact(slices.Sorted(maps.Values(redactable)))
}

// obligationsOf reads the annotations of one policy, key to text.
func obligationsOf(annotations map[string]string) (Obligations, error) {
	var o Obligations
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		text := annotations[key]
		var err error
		switch key {
		case "id":
			if !validID(text) {
				err = fmt.Errorf("use up to 64 letters, digits, dots, dashes and underscores")
			}
		case "handling":
			o.Handling, err = words(text, func(w string) (string, bool) { return w, slices.Contains(handlingCodes, w) }, strings.Join(handlingCodes, ", "))
		case "redact":
			o.Redact, err = words(text, func(w string) (string, bool) { f, ok := redactable[w]; return f, ok }, strings.Join(slices.Sorted(maps.Keys(redactable)), ", "))
		case "retain":
			o.RetainFor, err = parseDuration(text)
		case "approval":
			if o.Approval = text; text != TwoPerson {
				err = fmt.Errorf("the one known kind of approval is %q", TwoPerson)
			}
		case "justification":
			if o.Justification = text; text != Required {
				err = fmt.Errorf("the one known value is %q", Required)
			}
		default:
			return Obligations{}, fmt.Errorf("unknown annotation @%s; known are @id, @handling, @retain, @redact, @approval, @justification", key)
		}
		if err != nil {
			return Obligations{}, fmt.Errorf("annotation @%s(%q): %w", key, shorten(text), err)
		}
	}
	return o, nil
}

func (o Obligations) empty() bool {
	return len(o.Handling) == 0 && o.RetainFor == 0 && len(o.Redact) == 0 && o.Approval == "" && o.Justification == ""
}

func validID(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c >= 0x80 || !isWord(c) && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// words reads a list separated by spaces; resolve gives each word's canonical
// name. The answer is sorted and without repetition.
func words(text string, resolve func(string) (string, bool), known string) ([]string, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return nil, fmt.Errorf("it names nothing; known are %s", known)
	}
	out := make([]string, 0, len(fields))
	for _, field := range fields {
		name, ok := resolve(field)
		if !ok {
			return nil, fmt.Errorf("%q is not known; known are %s", shorten(field), known)
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

const (
	day = 24 * time.Hour
	// maxRetention bounds a retention so that it fits time.Duration (292 years).
	maxRetention = 100 * 365 * day
)

// parseDuration reads the calendar part of an ISO 8601 duration: P, then years,
// months, weeks and days in this order, each at most once, at least one. A
// retention has no anchor date, so a year counts 365 days, a month 30 and a week
// 7; times of day are refused.
func parseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("write a duration such as P365D, P8W, P6M or P5Y")
	rest, ok := strings.CutPrefix(text, "P")
	if !ok || rest == "" {
		return 0, bad
	}
	units := []struct {
		sign byte
		days int64
	}{{'Y', 365}, {'M', 30}, {'W', 7}, {'D', 1}}
	var days int64
	for rest != "" {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 6 || digits == len(rest) {
			return 0, bad
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, bad
		}
		for len(units) > 0 && units[0].sign != rest[digits] {
			units = units[1:]
		}
		if len(units) == 0 {
			return 0, bad
		}
		days += n * units[0].days
		units = units[1:]
		rest = rest[digits+1:]
	}
	if days == 0 {
		return 0, fmt.Errorf("nothing can be kept for no time; forbid it instead")
	}
	if days > int64(maxRetention/day) {
		return 0, fmt.Errorf("longer than 100 years")
	}
	return time.Duration(days) * day, nil
}

// combine unites the restrictions of several deciding policies: every code,
// every withheld field and every approval that any of them asks for, and the
// shortest retention. Sources names for each restriction the policies that
// imposed it, as "handling:H2", "redact:agency", "retain:P365D",
// "approval:two-person" or "justification:required".
func combine(deciding []*rule) (Obligations, map[string][]Ref) {
	var all Obligations
	sources := make(map[string][]Ref)
	for _, r := range deciding {
		o := r.obligations
		for _, code := range o.Handling {
			all.Handling = append(all.Handling, code)
			sources["handling:"+code] = append(sources["handling:"+code], r.ref)
		}
		for _, field := range o.Redact {
			all.Redact = append(all.Redact, field)
			sources["redact:"+field] = append(sources["redact:"+field], r.ref)
		}
		if o.Approval != "" {
			all.Approval = o.Approval
			sources["approval:"+o.Approval] = append(sources["approval:"+o.Approval], r.ref)
		}
		if o.Justification != "" {
			all.Justification = o.Justification
			sources["justification:"+o.Justification] = append(sources["justification:"+o.Justification], r.ref)
		}
		if o.RetainFor > 0 && (all.RetainFor == 0 || o.RetainFor < all.RetainFor) {
			all.RetainFor = o.RetainFor
		}
	}
	for _, r := range deciding {
		if all.RetainFor > 0 && r.obligations.RetainFor == all.RetainFor {
			key := fmt.Sprintf("retain:P%dD", all.RetainFor/day)
			sources[key] = append(sources[key], r.ref)
		}
	}
	slices.Sort(all.Handling)
	all.Handling = slices.Compact(all.Handling)
	slices.Sort(all.Redact)
	all.Redact = slices.Compact(all.Redact)
	return all, sources
}
