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
}

// ReadTruth reads a table with a line of headings: scan,source and, for bullets,
// bullet,land too; make, calibre and ammunition may stand beside them, other
// columns are passed over. Errors wrap ErrBadTruth and name the line.
func ReadTruth(r io.Reader) ([]Labelled, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxTruthSize+1))
	if err != nil {
		return nil, fmt.Errorf("read truth table: %w", err)
	}
	if len(b) > maxTruthSize {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBadTruth, maxTruthSize)
	}
	rows := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	rows.ReuseRecord = true
	heading, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: no line of headings (%w): it begins with scan,source", ErrBadTruth, err)
	}
	at := map[string]int{}
	for i, h := range heading {
		h = strings.ToLower(strings.TrimSpace(h))
		if _, twice := at[h]; twice {
			return nil, fmt.Errorf("%w: column %q stands there twice", ErrBadTruth, h)
		}
		at[h] = i
	}
	for _, c := range columns {
		if _, ok := at[c.name]; !ok && c.required {
			return nil, fmt.Errorf("%w: the headings have no column %q: scan,source are needed, for bullets scan,source,bullet,land", ErrBadTruth, c.name)
		}
	}
	var out []Labelled
	seen := map[string]bool{}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadTruth, err)
		}
		line, _ := rows.FieldPos(0)
		var l Labelled
		for _, c := range columns {
			i, ok := at[c.name]
			if !ok {
				continue
			}
			v := strings.TrimSpace(row[i])
			switch {
			case v == "" && c.required:
				return nil, fmt.Errorf("%w: line %d: %s is empty", ErrBadTruth, line, c.name)
			case len(v) > maxLabel:
				return nil, fmt.Errorf("%w: line %d: %s has more than %d bytes", ErrBadTruth, line, c.name, maxLabel)
			}
			*c.field(&l) = strings.Clone(v)
		}
		switch {
		case !fs.ValidPath(l.Scan):
			return nil, fmt.Errorf("%w: line %d: %q is no path inside the folder", ErrBadTruth, line, l.Scan)
		case seen[l.Scan]:
			return nil, fmt.Errorf("%w: line %d: scan %q stands there twice", ErrBadTruth, line, l.Scan)
		case len(out) == maxScans:
			return nil, fmt.Errorf("%w: more than %d scans: split the set", ErrBadTruth, maxScans)
		}
		seen[l.Scan] = true
		out = append(out, l)
	}
	if len(out) < 2 {
		return nil, fmt.Errorf("%w: %d scans, a comparison needs two", ErrBadTruth, len(out))
	}
	return out, nil
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
