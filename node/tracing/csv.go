package tracing

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"proofmark/protocol"
)

// Limits on an import, checked before or while it is read.
const (
	MaxImport       = 64 << 20 // bytes of the file
	maxImportRows   = 250_000
	maxImportFields = 64               // columns
	maxImportField  = protocol.MaxText // bytes of one field
	maxRowFaults    = 1_000            // broken rows reported in full; the rest are counted
)

// RowFault says what is wrong in one row of a file.
type RowFault struct {
	Line   int    `json:"line"` // from 1, the header's line included
	Column string `json:"column,omitempty"`
	Value  string `json:"value,omitempty"` // shortened
	Reason string `json:"reason"`
}

// String writes a fault as a person reads it.
func (f RowFault) String() string {
	switch {
	case f.Column == "":
		return fmt.Sprintf("line %d: %s", f.Line, f.Reason)
	case f.Value == "":
		return fmt.Sprintf("line %d, %s: %s", f.Line, f.Column, f.Reason)
	}
	return fmt.Sprintf("line %d, %s %q: %s", f.Line, f.Column, f.Value, f.Reason)
}

// Columns lists the columns of an import of firearm records. A file needs reference, status and status_date; the others may be missing, in
// any order. Dates are YYYY-MM-DD (UTC) or RFC 3339. Texts are UTF-8. A cell of a chain_ column is a step in the chain of custody: the
// country's code, the date if it is known, the name if it is known, separated by spaces: "DE 2019-03-01 Waffen Huber".
var Columns = []string{
	"reference",   // national reference, unique
	"status",      // lost, stolen, trafficked, seized, registered or recovered
	"status_date", // since when
	"kind", "action", "make", "manufacturer", "importer", "model", "calibre",
	"serial",       // as read; ? or * for each unreadable character
	"serial_state", // CLEAR, PARTIAL, OBLITERATED, RESTORED or NOT_MARKED
	"country_of_manufacture", "year", "marks",
	"case",
	"recovery_place", "recovery_from", "recovery_to", // recovery_to may be left out for a recovery on one day
	"recovery_circumstances", "recovery_case", "recovery_received",
	"first_retail_sale", // the date of chain_first_purchaser if it is left out
	"chain_manufacturer", "chain_exporter", "chain_importer", "chain_wholesaler", "chain_retailer", "chain_first_purchaser",
}

var requiredColumns = []string{"reference", "status", "status_date"}

// importRow is a well-formed row and where it stood.
type importRow struct {
	Line    int
	Firearm NewFirearm
}

// parsed is what a file holds: its good rows, its broken ones, and how many of these are not listed.
type parsed struct {
	Rows     []importRow
	Faults   []RowFault
	Unlisted int // broken fields beyond those listed
	Repeated int // rows that say the same as an earlier one
}

func (p *parsed) fault(line int, column, value, reason string) {
	if len(p.Faults) >= maxRowFaults {
		p.Unlisted++
		return
	}
	p.Faults = append(p.Faults, RowFault{Line: line, Column: column, Value: shorten(value), Reason: reason})
}

// shorten keeps a foreign value in a report readable and free of control characters.
func shorten(v string) string {
	v = strings.Map(func(r rune) rune {
		if bounded(string(r), utf8.UTFMax) != nil || r == '\n' || r == '\t' {
			return '\ufffd'
		}
		return r
	}, v)
	if r := []rune(v); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return v
}

// parseCSV reads firearm records from CSV. An error is about the file as a whole; what is wrong in rows is in the result.
func parseCSV(data []byte, now time.Time) (*parsed, error) {
	if len(data) > MaxImport {
		return nil, fmt.Errorf("%d bytes, the limit is %d: split the file", len(data), MaxImport)
	}
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return nil, errors.New("the file is UTF-16: save it as CSV UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if line := invalidUTF8(data); line > 0 {
		return nil, fmt.Errorf("line %d is not valid UTF-8: save the file as CSV UTF-8", line)
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma = separator(data)
	r.FieldsPerRecord = -1 // counted here, so that every short row is reported
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: its first line names the columns")
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	line, _ := r.FieldPos(0)
	columns, err := parseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	return readRows(r, columns, now)
}

func readRows(r *csv.Reader, columns []string, now time.Time) (*parsed, error) {
	out := &parsed{}
	seen := map[string]seenRow{}
	for n := 1; ; n++ {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if n > maxImportRows {
			return nil, fmt.Errorf("more than %d rows: split the file", maxImportRows)
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			out.fault(broken.StartLine, "", "", fmt.Sprintf("%v at line %d, byte %d", broken.Err, broken.Line, broken.Column))
			continue
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if len(fields) != len(columns) {
			out.fault(line, "", "", fmt.Sprintf("%d fields, the header has %d", len(fields), len(columns)))
			continue
		}
		f, faults := parseRow(columns, fields, now)
		for _, x := range faults {
			out.fault(line, x.field, valueOf(columns, fields, x.field), x.err.Error())
		}
		if len(faults) > 0 {
			continue
		}
		digest, err := f.digest()
		if err != nil {
			return nil, err
		}
		if first, twice := seen[f.Reference]; twice {
			if first.digest == digest {
				out.Repeated++
			} else {
				out.fault(line, "reference", f.Reference, fmt.Sprintf("stands in line %d with other content", first.line))
			}
			continue
		}
		seen[f.Reference] = seenRow{line, digest}
		out.Rows = append(out.Rows, importRow{line, *f})
	}
}

type seenRow struct {
	line   int
	digest [sha256.Size]byte
}

// separator is ';' or ',', whichever the header has more of: spreadsheets write the one or the other by their country.
func separator(data []byte) rune {
	header, _, _ := bytes.Cut(data, []byte("\n"))
	if bytes.Count(header, []byte(";")) > bytes.Count(header, []byte(",")) {
		return ';'
	}
	return ','
}

func parseHeader(fields []string) ([]string, error) {
	if len(fields) > maxImportFields {
		return nil, fmt.Errorf("%d columns, the limit is %d", len(fields), maxImportFields)
	}
	known := map[string]bool{}
	for _, c := range Columns {
		known[c] = true
	}
	columns := make([]string, len(fields))
	place := map[string]int{}
	for i, f := range fields {
		name := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(f)))
		if !known[name] {
			return nil, fmt.Errorf("column %d, %q, is not known: the header names columns from %s", i+1, shorten(f), strings.Join(Columns, ", "))
		}
		if first, twice := place[name]; twice {
			return nil, fmt.Errorf("column %s stands twice, as number %d and %d", name, first, i+1)
		}
		place[name] = i + 1
		columns[i] = name
	}
	for _, c := range requiredColumns {
		if place[c] == 0 {
			return nil, fmt.Errorf("column %s is missing: a file needs %s", c, strings.Join(requiredColumns, ", "))
		}
	}
	return columns, nil
}

func valueOf(columns, fields []string, column string) string {
	for i, c := range columns {
		if c == column {
			return fields[i]
		}
	}
	return ""
}

// parseRow reads one row and reports everything that is wrong with it.
func parseRow(columns, fields []string, now time.Time) (*NewFirearm, []fieldError) {
	var faults []fieldError
	cells := map[string]string{}
	for i, c := range columns {
		if len(fields[i]) > maxImportField {
			faults = append(faults, fieldError{c, fmt.Errorf("%d bytes, the limit is %d", len(fields[i]), maxImportField)})
			continue
		}
		cells[c] = strings.Clone(strings.TrimSpace(fields[i]))
	}
	if len(faults) > 0 {
		return nil, faults
	}
	date := func(column string) time.Time {
		t, err := parseDate(cells[column])
		if err != nil {
			faults = append(faults, fieldError{column, err})
		}
		return t
	}
	f := &NewFirearm{
		Reference: cells["reference"], Status: strings.ToLower(cells["status"]), StatusDate: date("status_date"), Case: cells["case"],
		FirstRetailSale: date("first_retail_sale"),
		FirearmDescription: protocol.FirearmDescription{Kind: cells["kind"], Action: cells["action"], Make: cells["make"],
			Manufacturer: cells["manufacturer"], Importer: cells["importer"], Model: cells["model"], Calibre: cells["calibre"],
			Serial: cells["serial"], SerialState: strings.ToUpper(cells["serial_state"]),
			CountryOfManufacture: cells["country_of_manufacture"], Marks: cells["marks"]},
	}
	if y := cells["year"]; y != "" {
		var err error
		if f.Year, err = strconv.Atoi(y); err != nil || f.Year < 1 {
			faults = append(faults, fieldError{"year", errors.New("not a year such as 1998")})
		}
	}
	for _, c := range columns {
		if strings.HasPrefix(c, "recovery_") && cells[c] != "" {
			f.Recovery = &Recovery{Place: cells["recovery_place"], Circumstances: cells["recovery_circumstances"], Case: cells["recovery_case"],
				Received: date("recovery_received"), Occurred: protocol.Interval{From: date("recovery_from"), To: date("recovery_to")}}
			if cells["recovery_to"] == "" && !f.Recovery.Occurred.From.IsZero() {
				f.Recovery.Occurred.To = endOfDay(f.Recovery.Occurred.From)
			}
			break
		}
	}
	for _, role := range protocol.CustodyRoles {
		column := "chain_" + strings.ReplaceAll(role, "-", "_")
		if cells[column] == "" {
			continue
		}
		step, err := parseStep(role, cells[column])
		if err != nil {
			faults = append(faults, fieldError{column, err})
			continue
		}
		f.Custody = append(f.Custody, step)
	}
	if len(faults) == 0 { // a rule about a field that could not be read would only say it again
		f.complete()
		for _, c := range f.checks(now) {
			if c.err != nil {
				faults = append(faults, c)
			}
		}
	}
	return f, faults
}

// parseStep reads a step in the chain of custody: "DE 2019-03-01 Waffen Huber".
func parseStep(role, cell string) (protocol.CustodyStep, error) {
	words := strings.Fields(cell)
	step := protocol.CustodyStep{Role: role, Country: words[0]}
	if _, err := protocol.ParseCountry(step.Country); err != nil {
		return step, fmt.Errorf("begins with a country, then the date, then the name: %w", err)
	}
	words = words[1:]
	if len(words) > 0 && words[0][0] >= '0' && words[0][0] <= '9' {
		var err error
		if step.Date, err = parseDate(words[0]); err != nil {
			return step, err
		}
		words = words[1:]
	}
	step.Name = strings.Join(words, " ")
	return step, nil
}

func parseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("not a date such as 2024-05-31")
}

func endOfDay(t time.Time) time.Time {
	return t.Truncate(24 * time.Hour).Add(24*time.Hour - time.Second)
}

// invalidUTF8 returns the line of the first byte that is not UTF-8, 0 if there is none.
func invalidUTF8(data []byte) int {
	for line := 1; len(data) > 0; line++ {
		text, rest, _ := bytes.Cut(data, []byte("\n"))
		if !utf8.Valid(text) {
			return line
		}
		data = rest
	}
	return 0
}
