package tracing

import (
	"strings"
	"time"
	"unicode"

	"proofmark/protocol"
)

// missing lists what a description lacks to be traced at all. Most traces that fail do so here, so it is asked before anything is sent.
func missing(f protocol.FirearmDescription) []string {
	var out []string
	if f.Kind == "" {
		out = append(out, "kind (pistol, revolver, rifle, …)")
	}
	if f.Make == "" && f.Manufacturer == "" && f.SerialState != NotMarked {
		out = append(out, "make, or manufacturer if only that is marked")
	}
	if f.Calibre == "" {
		out = append(out, "calibre")
	}
	switch s, err := ParseSerial(f.Serial, f.SerialState); {
	case err != nil:
		out = append(out, "a serial number that can be read: "+err.Error())
	case s.Canonical == "" && s.State == "":
		out = append(out, "serial number as read, or serial state OBLITERATED or NOT_MARKED")
	case s.Canonical == "" && f.Marks == "":
		out = append(out, "marks: without a serial number they are all there is to go by")
	}
	return out
}

// designs are names of models that people give as a make (domain handbook, typical confusions).
var designs = []string{"1911", "HI POWER", "HIPOWER", "PPK", "AK47", "AKM", "AR15", "M16", "PARABELLUM", "TOKAREV", "MAKAROV"}

// advice says what would make an answer likelier, without being needed.
func advice(f protocol.FirearmDescription, recovered *protocol.Interval) []string {
	var out []string
	plain := " " + spellMake(f.Make) + " "
	for _, d := range designs {
		if strings.Contains(plain, d) {
			out = append(out, "make \""+f.Make+"\" names a design, which many makers built: give the maker that is marked on the frame, and the design as the model")
			break
		}
	}
	if f.Model == "" {
		out = append(out, "model is not given: makers use serial numbers again in each model")
	}
	if f.CountryOfManufacture == "" {
		out = append(out, "country of manufacture is not given: proof and import marks on the frame and barrel show it")
	}
	if s, err := ParseSerial(f.Serial, f.SerialState); err == nil {
		switch {
		case s.State == Partial && len(probes(s.Folded)) == 0:
			out = append(out, "too few characters of the serial number are readable in a row to search by it: try to have it restored")
		case s.State == Obliterated:
			out = append(out, "the serial number is obliterated: a laboratory may restore it")
		case !strings.ContainsFunc(s.Canonical, unicode.IsDigit) && s.Canonical != "":
			out = append(out, "the serial number has no digit: a model or proof mark may have been read in its place")
		}
	}
	if recovered == nil {
		out = append(out, "the date of recovery is not given: without it there is no time to crime")
	}
	if f.Year != 0 && f.Year < 1900 {
		out = append(out, "made before 1900, it is an antique: records seldom reach back that far")
	}
	return out
}

// timeToCrime is the number of days from the first retail sale to the recovery, counted from the beginning of its interval; nil where one
// of them is not known or they contradict each other.
func timeToCrime(recovered *protocol.Interval, firstSale time.Time) *int {
	if recovered == nil || recovered.From.IsZero() || firstSale.IsZero() {
		return nil
	}
	days := int(recovered.From.UTC().Truncate(24*time.Hour).Sub(firstSale.UTC().Truncate(24*time.Hour)) / (24 * time.Hour))
	if days < 0 {
		return nil
	}
	return &days
}

// diversion says where the legal chain of a record ends: its last step, and what happened to the firearm after it as far as the record
// knows. "" if the record has no chain.
func diversion(f *Firearm) string {
	if len(f.Custody) == 0 {
		return ""
	}
	last := f.Custody[len(f.Custody)-1]
	text := "the legal chain ends with the " + strings.ReplaceAll(last.Role, "-", " ") + " in " + last.Country
	if !last.Date.IsZero() {
		text += " on " + last.Date.Format(time.DateOnly)
	}
	switch f.Status {
	case "lost", "stolen", "trafficked":
		text += "; reported " + f.Status + " on " + f.StatusDate.Format(time.DateOnly)
	}
	return text
}

// forAnswer is the chain of custody as it leaves the country: the first purchaser's name only where the answering person says so.
func forAnswer(chain []protocol.CustodyStep, withPurchaser bool) []protocol.CustodyStep {
	out := make([]protocol.CustodyStep, len(chain))
	for i, s := range chain {
		if s.Role == "first-purchaser" && !withPurchaser {
			s.Name = ""
		}
		out[i] = s
	}
	return out
}
