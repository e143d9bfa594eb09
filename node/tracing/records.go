package tracing

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"proofmark/protocol"
	"proofmark/store"
)

// FirearmStatuses lists why a firearm is on record.
var FirearmStatuses = []string{"lost", "stolen", "trafficked", "seized", "registered", "recovered"}

// maxReference bounds a national reference, in bytes; the wire has the same limit.
const maxReference = 128

// Recovery is how a firearm came into the hands of the police. Its three stamps measure the time from event to receipt to entry.
type Recovery struct {
	Place         string            `json:"place"`
	Occurred      protocol.Interval `json:"occurred"`
	Circumstances string            `json:"circumstances,omitempty"`
	Case          string            `json:"case,omitempty"`
	Received      time.Time         `json:"received,omitzero"` // the exhibit reached the bureau or laboratory
	Entered       time.Time         `json:"entered,omitzero"`  // the record was made; set by the node
}

// NewFirearm is what a person or a file says of a firearm.
type NewFirearm struct {
	Reference  string    `json:"reference"` // national reference, unique in the country
	Status     string    `json:"status"`
	StatusDate time.Time `json:"status_date"`
	protocol.FirearmDescription
	Case            string                 `json:"case,omitempty"`
	Recovery        *Recovery              `json:"recovery,omitempty"`
	Custody         []protocol.CustodyStep `json:"custody,omitempty"` // in the order of the legal chain
	FirstRetailSale time.Time              `json:"first_retail_sale,omitzero"`
}

// Firearm is a country's own record of a firearm.
type Firearm struct {
	ID string `json:"id"`
	NewFirearm
	SerialCanonical string    `json:"serial_canonical,omitempty"`
	SerialFolded    string    `json:"serial_folded,omitempty"`
	Created         time.Time `json:"created"`
	By              string    `json:"by"`
	Import          string    `json:"import,omitempty"` // id of the import that brought it
}

// Check reports the first field that breaks a rule, by its column's name.
func (f *NewFirearm) Check(now time.Time) error {
	for _, c := range f.checks(now) {
		if c.err != nil {
			return fmt.Errorf("%s: %w", c.field, c.err)
		}
	}
	return nil
}

type fieldError struct {
	field string
	err   error
}

// checks runs every rule, each under the name of the field it is about, so that an import can report all that is wrong with a row.
func (f *NewFirearm) checks(now time.Time) []fieldError {
	_, serial := ParseSerial(f.Serial, f.SerialState)
	out := []fieldError{
		{"reference", checkReference(f.Reference)},
		{"status", oneOf(f.Status, FirearmStatuses)},
		{"status_date", past(f.StatusDate, now, true)},
		{"serial", serial},
		{"case", line(f.Case, maxReference)},
		{"first_retail_sale", past(f.FirstRetailSale, now, false)},
	}
	d := f.FirearmDescription
	if d.Check() != nil {
		out = append(out, descriptionFaults(d)...)
	}
	if d.Make == "" && d.Manufacturer == "" && d.Kind == "" {
		out = append(out, fieldError{"make", errors.New("missing: a firearm needs at least its make, its manufacturer or its kind")})
	}
	if f.Serial == "" && f.SerialState == "" {
		out = append(out, fieldError{"serial", errors.New("missing: give it as read, or give serial_state OBLITERATED or NOT_MARKED")})
	}
	if r := f.Recovery; r != nil {
		out = append(out,
			fieldError{"recovery_place", needed(r.Place, 256)},
			fieldError{"recovery_from", r.Occurred.Check()},
			fieldError{"recovery_to", past(r.Occurred.To, now, false)},
			fieldError{"recovery_circumstances", bounded(r.Circumstances, protocol.MaxText)},
			fieldError{"recovery_case", line(r.Case, maxReference)},
			fieldError{"recovery_received", past(r.Received, now, false)})
	}
	if len(f.Custody) > 64 {
		out = append(out, fieldError{"custody", fmt.Errorf("%d steps, the limit is 64", len(f.Custody))})
	}
	for _, s := range f.Custody {
		out = append(out, fieldError{"chain_" + strings.ReplaceAll(s.Role, "-", "_"), checkStep(s, now)})
	}
	return out
}

// descriptionFaults asks about one field at a time, for the check of a whole description stops at the first fault, and in no fixed order.
func descriptionFaults(d protocol.FirearmDescription) (out []fieldError) {
	for _, c := range []struct {
		field string
		one   protocol.FirearmDescription
	}{
		{"kind", protocol.FirearmDescription{Kind: d.Kind}}, {"action", protocol.FirearmDescription{Action: d.Action}},
		{"make", protocol.FirearmDescription{Make: d.Make}}, {"manufacturer", protocol.FirearmDescription{Manufacturer: d.Manufacturer}},
		{"importer", protocol.FirearmDescription{Importer: d.Importer}}, {"model", protocol.FirearmDescription{Model: d.Model}},
		{"calibre", protocol.FirearmDescription{Calibre: d.Calibre}}, {"serial", protocol.FirearmDescription{Serial: d.Serial}},
		{"country_of_manufacture", protocol.FirearmDescription{CountryOfManufacture: d.CountryOfManufacture}},
		{"year", protocol.FirearmDescription{Year: d.Year}}, {"marks", protocol.FirearmDescription{Marks: d.Marks}},
	} {
		if err := c.one.Check(); err != nil {
			out = append(out, fieldError{c.field, errors.New(strings.TrimPrefix(err.Error(), c.field+": "))})
		}
	}
	return out
}

func checkStep(s protocol.CustodyStep, now time.Time) error {
	if err := oneOf(s.Role, protocol.CustodyRoles); err != nil {
		return err
	}
	if _, err := protocol.ParseCountry(s.Country); err != nil {
		return err
	}
	if err := line(s.Name, 256); err != nil {
		return err
	}
	return past(s.Date, now, false)
}

// trim takes off the spaces around what a person typed. A serial number as read keeps its own inside.
func (f *NewFirearm) trim() {
	for _, field := range []*string{&f.Reference, &f.Status, &f.Kind, &f.Action, &f.Make, &f.Manufacturer, &f.Importer, &f.Model, &f.Calibre, &f.Serial,
		&f.SerialState, &f.CountryOfManufacture, &f.Marks, &f.Case} {
		*field = strings.TrimSpace(*field)
	}
}

// complete fills what follows from other fields and puts every time into UTC, so that the same content always looks the same.
func (f *NewFirearm) complete() {
	if s, err := ParseSerial(f.Serial, f.SerialState); err == nil {
		f.SerialState = s.State
	}
	f.Custody = slices.Clone(f.Custody)
	for i, s := range f.Custody {
		f.Custody[i].Date = s.Date.UTC()
		if s.Role == "first-purchaser" && f.FirstRetailSale.IsZero() {
			f.FirstRetailSale = s.Date
		}
	}
	f.StatusDate, f.FirstRetailSale = f.StatusDate.UTC(), f.FirstRetailSale.UTC()
	if f.Recovery != nil {
		r := *f.Recovery
		r.Occurred = protocol.Interval{From: r.Occurred.From.UTC(), To: r.Occurred.To.UTC()}
		r.Received = r.Received.UTC()
		f.Recovery = &r
	}
}

// digest is what two records of the same reference are compared by: all that a person or a file said, nothing that the node added.
func (f NewFirearm) digest() ([sha256.Size]byte, error) {
	if f.Recovery != nil {
		r := *f.Recovery
		r.Entered = time.Time{}
		f.Recovery = &r
	}
	b, err := json.Marshal(f)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("firearm %s: %w", f.Reference, err)
	}
	return sha256.Sum256(b), nil
}

// describe puts the forms of the serial number beside it.
func (f *Firearm) describe() error {
	s, err := ParseSerial(f.Serial, f.SerialState)
	if err != nil {
		return fmt.Errorf("serial: %w", err)
	}
	f.SerialState, f.SerialCanonical, f.SerialFolded = s.State, s.Canonical, s.Folded
	return nil
}

// firearms holds a country's own firearm records.
var firearms = store.NewCollection("firearm",
	store.Index[Firearm]{Name: "reference", Keys: func(f *Firearm) []string { return []string{f.Reference} }},
	store.Index[Firearm]{Name: folded, Keys: func(f *Firearm) []string { return some(f.SerialFolded) }},
	store.Index[Firearm]{Name: deletion, Keys: func(f *Firearm) []string { return deletions(f.SerialFolded) }},
	store.Index[Firearm]{Name: gram, Keys: func(f *Firearm) []string { return grams(f.SerialFolded) }},
	store.Index[Firearm]{Name: partialGram, Keys: func(f *Firearm) []string {
		if !strings.ContainsRune(f.SerialFolded, Unreadable) {
			return nil
		}
		return grams(f.SerialFolded)
	}})

func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func needed(v string, limit int) error {
	if strings.TrimSpace(v) == "" {
		return errors.New("missing")
	}
	return line(v, limit)
}

// bounded holds every text on record to the rules of the wire: a control character could forge a line on a terminal or in a report.
func bounded(v string, limit int) error {
	switch {
	case len(v) > limit:
		return fmt.Errorf("%d bytes, the limit is %d", len(v), limit)
	case !utf8.ValidString(v):
		return errors.New("not valid UTF-8")
	}
	for _, r := range v {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return fmt.Errorf("contains the control character %U", r)
		}
	}
	return nil
}

// line is bounded for what stands on one line.
func line(v string, limit int) error {
	if strings.ContainsAny(v, "\n\t\u2028\u2029") {
		return errors.New("has a line break or a tab in it, and stands on one line")
	}
	return bounded(v, limit)
}

func oneOf(v string, allowed []string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("%.40q is not one of %s", v, strings.Join(allowed, ", "))
	}
	return nil
}

// checkReference refuses what could be taken for an internal id: commands accept either.
func checkReference(ref string) error {
	if protocol.CheckID(ref) == nil {
		return errors.New("has the form of this node's own ids; a national reference is the one that the country's registry gave")
	}
	return needed(ref, maxReference)
}

// past allows a day for time zones: a date is written without one.
func past(t, now time.Time, need bool) error {
	switch {
	case t.IsZero() && need:
		return errors.New("missing")
	case t.After(now.Add(24 * time.Hour)):
		return fmt.Errorf("%s is in the future", t.Format(time.DateOnly))
	case !t.IsZero() && t.Year() < 1500:
		return fmt.Errorf("%s is too long ago", t.Format(time.DateOnly))
	}
	return nil
}
