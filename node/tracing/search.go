package tracing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"proofmark/protocol"
)

// Rung is a step of the search ladder; a lower one is the surer find.
type Rung int

// The rungs.
const (
	SameSerial Rung = 1 + iota // the canonical serial and the make are the same
	LookAlike                  // the serial is the same once look-alike characters are folded
	NearSerial                 // one edit apart, or the same in every readable character
	MakeFamily                 // one of the above, with another make of the same family
)

// String says what a rung means.
func (r Rung) String() string {
	switch r {
	case SameSerial:
		return "same serial and make"
	case LookAlike:
		return "same serial with look-alike characters"
	case NearSerial:
		return "serial one edit or unreadable characters apart"
	case MakeFamily:
		return "serial with a related make"
	}
	return fmt.Sprintf("rung %d", int(r))
}

// climb compares a description that is sought with one on record and returns the rung where they meet and why; 0 if they do not. A make that
// either side does not name is not compared: the finding says so.
func climb(sought, record protocol.FirearmDescription) (Rung, string) {
	a, errA := ParseSerial(sought.Serial, sought.SerialState)
	b, errB := ParseSerial(record.Serial, record.SerialState)
	if errA != nil || errB != nil || a.Canonical == "" || b.Canonical == "" {
		return 0, ""
	}
	rung, serial := compareSerials(a, b)
	if rung == 0 {
		return 0, ""
	}
	related, makes := compareMakes(sought, record)
	switch {
	case makes == "":
		return 0, ""
	case related:
		rung = MakeFamily
	}
	return rung, serial + "; " + makes
}

func compareSerials(a, b Serial) (Rung, string) {
	switch {
	case a.Canonical == b.Canonical && !strings.ContainsRune(a.Canonical, Unreadable):
		return SameSerial, "same serial number " + a.Canonical
	case a.Folded == b.Folded && !strings.ContainsRune(a.Folded, Unreadable):
		return LookAlike, fmt.Sprintf("serial numbers %s and %s differ only in look-alike characters", a.Canonical, b.Canonical)
	case strings.ContainsRune(a.Folded+b.Folded, Unreadable):
		if run := readableRun(a.Folded, b.Folded); run >= minReadableRun && Matches(a.Folded, b.Folded) {
			return NearSerial, fmt.Sprintf("serial numbers %s and %s agree in every character that is readable in both, %d of them in a row", a.Canonical, b.Canonical, run)
		}
	case min(utf8.RuneCountInString(a.Folded), utf8.RuneCountInString(b.Folded)) >= minOneEdit && OneEdit(a.Folded, b.Folded):
		return NearSerial, fmt.Sprintf("serial numbers %s and %s are one character apart", a.Canonical, b.Canonical)
	}
	return 0, ""
}

// readableRun is the longest run of places that are readable in both of two serials of one length.
func readableRun(a, b string) int {
	x, y := []rune(a), []rune(b)
	longest, run := 0, 0
	for i := range min(len(x), len(y)) {
		run++
		if x[i] == Unreadable || y[i] == Unreadable {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// compareMakes says how two firearms' makes agree: why is "" if they do not, and related where they are different makes of one family or
// stand in different roles on the same firearm.
func compareMakes(sought, record protocol.FirearmDescription) (related bool, why string) {
	a, b := cmp.Or(sought.Make, sought.Manufacturer), cmp.Or(record.Make, record.Manufacturer)
	switch {
	case a == "":
		return false, "no make was named, so it was not compared"
	case b == "":
		return false, "the record names no make, so it was not compared"
	case SameMake(a, b):
		return false, "same make " + b
	}
	for _, role := range []struct{ name, mark string }{{"make", record.Make}, {"manufacturer", record.Manufacturer}, {"importer", record.Importer}} {
		for _, mark := range []string{sought.Make, sought.Manufacturer, sought.Importer} {
			if SameMake(mark, role.mark) {
				return true, fmt.Sprintf("%s is the record's %s, its make is %s", mark, role.name, b)
			}
		}
	}
	if f := SharedMakeFamily(a, b); f != "" {
		return true, fmt.Sprintf("%s and %s are of one family: %s", a, b, f)
	}
	return false, ""
}

// remarks says what else speaks for caution with a find: none of it excludes a record, for descriptions are often wrong.
func remarks(sought, record protocol.FirearmDescription) []string {
	var out []string
	switch {
	case Excludes(sought.Calibre, record.Calibre) && DimensionallyClose(sought.Calibre, record.Calibre):
		out = append(out, fmt.Sprintf("calibres %s and %s are close in dimensions but not identical", sought.Calibre, record.Calibre))
	case Excludes(sought.Calibre, record.Calibre):
		out = append(out, fmt.Sprintf("calibre differs: %s was sought, the record has %s", sought.Calibre, record.Calibre))
	}
	for _, f := range []struct{ name, sought, record string }{{"model", sought.Model, record.Model}, {"kind", sought.Kind, record.Kind},
		{"country of manufacture", sought.CountryOfManufacture, record.CountryOfManufacture}} {
		if f.sought != "" && f.record != "" && Canonical(f.sought) != Canonical(f.record) {
			out = append(out, fmt.Sprintf("%s differs: %s was sought, the record has %s", f.name, f.sought, f.record))
		}
	}
	return out
}

// Names of the indexes that find candidates for the ladder without reading every record.
const (
	folded      = "serial"
	deletion    = "serial-deletion"
	gram        = "serial-gram"
	partialGram = "serial-partial-gram"
)

// probe is one look-up in an index.
type probe struct{ index, value string }

// probes lists the look-ups that together find every record the ladder could reach for a folded serial, the surest first. A serial with
// unreadable characters needs some readable ones in a row; without them there are no probes.
func probes(serial string) []probe {
	var out []probe
	add := func(index string, values []string) {
		for _, v := range values {
			out = append(out, probe{index, v})
		}
	}
	if strings.ContainsRune(serial, Unreadable) {
		g := grams(serial)
		add(gram, g[max(0, len(g)-1):]) // a record that is readable throughout has them all; numbers count on the right, so the last tells most apart
		add(partialGram, g)
		return out
	}
	add(folded, some(serial))
	add(deletion, deletions(serial))
	add(partialGram, grams(serial))
	return out
}

// deletions are a folded serial and all that is left of it after one deletion: two serials one edit apart share at least one of them.
func deletions(serial string) []string {
	r := []rune(serial)
	if len(r) < minOneEdit || slices.Contains(r, Unreadable) {
		return nil
	}
	out := []string{serial}
	for i := range r {
		if i > 0 && r[i] == r[i-1] {
			continue // deleting either of a pair leaves the same
		}
		out = append(out, string(r[:i])+string(r[i+1:]))
	}
	return out
}

// grams are the readable runs of three characters of a folded serial with its length and their place: serials that match in their readable
// characters have the same run at the same place.
func grams(serial string) []string {
	r := []rune(serial)
	var out []string
	for i := 0; i+minReadableRun <= len(r); i++ {
		if run := r[i : i+minReadableRun]; !slices.Contains(run, Unreadable) {
			out = append(out, fmt.Sprintf("%d/%d/%s", len(r), i, string(run)))
		}
	}
	return out
}
