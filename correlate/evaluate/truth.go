package evaluate

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"proofmark/correlate"
)

// Limits of a truth table.
const (
	maxTruthSize = 16 << 20 // bytes
	maxScans     = 5_000    // each pair is compared: 12.5 million of them
	maxLabel     = 200      // bytes of one field
)

// ErrBadTruth: the table of labels cannot be used.
var ErrBadTruth = errors.New("not a usable truth table")

// Labelled is one scan of a truth table.
type Labelled struct {
	Scan       string // path inside the folder
	Source     string // the firearm
	Bullet     string // bullets only
	Land       string // bullets only: the land as it was numbered, which need not be the barrel's
	Make       string // optional columns; empty where the table has none
	Calibre    string
	Ammunition string
	Exhibit    string // the item that several regions were scanned of; empty is an item of its own
	Region     string // the region that the scan shows, where it is not the evaluation's
}

// columns of a truth table: where the value goes, and whether cartridge cases
// or bullets must have it.
var columns = []struct {
	name     string
	required bool
	field    func(*Labelled) *string
}{
	{"scan", true, func(l *Labelled) *string { return &l.Scan }},
	{"source", true, func(l *Labelled) *string { return &l.Source }},
	{"bullet", false, func(l *Labelled) *string { return &l.Bullet }},
	{"land", false, func(l *Labelled) *string { return &l.Land }},
	{"make", false, func(l *Labelled) *string { return &l.Make }},
	{"calibre", false, func(l *Labelled) *string { return &l.Calibre }},
	{"ammunition", false, func(l *Labelled) *string { return &l.Ammunition }},
	{"exhibit", false, func(l *Labelled) *string { return &l.Exhibit }},
	{"region", false, func(l *Labelled) *string { return &l.Region }},
}

// ReadTruth reads a table with a line of headings: scan,source and, for bullets,
// bullet,land too; make, calibre, ammunition, exhibit and region may stand beside
// them, other columns are passed over. Fields are separated by commas, semicolons
// or tabs; a byte order mark, CRLF and empty lines do no harm. A line that stands
// there twice counts once. Errors wrap ErrBadTruth and name the line.
func ReadTruth(r io.Reader) ([]Labelled, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTruthSize+1))
	if err != nil {
		return nil, fmt.Errorf("read truth table: %w", err)
	}
	if len(b) > maxTruthSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBadTruth, maxTruthSize)
	}
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		return nil, fmt.Errorf("%w: it is UTF-16: save it as CSV in UTF-8", ErrBadTruth)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	rows := csv.NewReader(bytes.NewReader(b))
	rows.Comma = separator(b)
	rows.ReuseRecord = true
	rows.FieldsPerRecord = -1
	heading, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: no line of headings (%w): it begins with scan,source", ErrBadTruth, err)
	}
	at := map[string]int{}
	for i, h := range heading {
		h = strings.ToLower(strings.TrimSpace(h))
		if _, twice := at[h]; twice && h != "" {
			return nil, fmt.Errorf("%w: column %q stands there twice", ErrBadTruth, h)
		}
		at[h] = i
	}
	for _, c := range columns {
		if _, ok := at[c.name]; !ok && c.required {
			return nil, fmt.Errorf("%w: the headings have no column %q: scan,source are needed, for bullets scan,source,bullet,land", ErrBadTruth, c.name)
		}
	}
	t := table{at: at, fields: len(heading), seen: map[[2]string]int{}}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadTruth, err)
		}
		line, _ := rows.FieldPos(0)
		if err := t.add(line, row); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrBadTruth, line, err)
		}
	}
	if len(t.rows) == 0 {
		return nil, fmt.Errorf("%w: it names no scan", ErrBadTruth)
	}
	return t.rows, nil
}

// separator is the one of comma, semicolon and tab that the headings hold most of.
func separator(b []byte) rune {
	heading, _, _ := bytes.Cut(b, []byte("\n"))
	best, most := ',', 0
	for _, c := range ",;\t" {
		if n := bytes.Count(heading, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// table is a truth table on its way in.
type table struct {
	at     map[string]int
	fields int
	rows   []Labelled
	lines  []int
	seen   map[[2]string]int // of rows, by scan and region
}

// add takes one line in.
func (t *table) add(line int, row []string) error {
	if !slices.ContainsFunc(row, func(s string) bool { return strings.TrimSpace(s) != "" }) {
		return nil // a spreadsheet's empty line
	}
	if len(row) > t.fields {
		return fmt.Errorf("%d fields under %d headings: put names that hold the separator in quotes", len(row), t.fields)
	}
	var l Labelled
	for _, c := range columns {
		i, ok := t.at[c.name]
		v := ""
		if ok && i < len(row) {
			v = strings.TrimSpace(row[i])
		}
		switch {
		case v == "" && c.required:
			return fmt.Errorf("%s is empty", c.name)
		case len(v) > maxLabel:
			return fmt.Errorf("%s has more than %d bytes", c.name, maxLabel)
		case !utf8.ValidString(v):
			return fmt.Errorf("%s is not UTF-8: save the table as CSV in UTF-8", c.name)
		}
		*c.field(&l) = strings.Clone(v)
	}
	if strings.HasPrefix(l.Scan, "./") || strings.HasPrefix(l.Scan, `.\`) {
		l.Scan = l.Scan[2:]
	}
	if !fs.ValidPath(l.Scan) || l.Scan == "." {
		return fmt.Errorf("%q is no path inside the folder", l.Scan)
	}
	if l.Region != "" {
		roi, err := correlate.ParseROI(strings.ToLower(l.Region))
		if err != nil {
			return err
		}
		l.Region = string(roi)
	}
	key := [2]string{l.Scan, l.Region}
	if i, ok := t.seen[key]; ok {
		if t.rows[i] == l {
			return nil
		}
		return fmt.Errorf("scan %q stands on line %d with other labels: keep the right one", l.Scan, t.lines[i])
	}
	if len(t.rows) == maxScans {
		return fmt.Errorf("more than %d scans: split the set", maxScans)
	}
	t.seen[key] = len(t.rows)
	t.rows, t.lines = append(t.rows, l), append(t.lines, line)
	return nil
}

// Sources lists the firearms of a table, sorted.
func Sources(set []Labelled) []string {
	var out []string
	for _, l := range set {
		out = append(out, l.Source)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
