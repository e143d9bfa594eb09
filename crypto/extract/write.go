package extract

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// The first and last lines of JSON lines, and a row. Header and body are the bytes that were hashed.
type (
	jsonHead struct {
		Format     string          `json:"format"`
		Checkpoint string          `json:"checkpoint"` // signed note
		Query      json.RawMessage `json:"query,omitempty"`
	}
	jsonRow struct {
		Entry    int64           `json:"entry"`
		Header   json.RawMessage `json:"header"`
		Body     json.RawMessage `json:"body,omitempty"`
		Salt     []byte          `json:"salt,omitempty"`
		BodyHash []byte          `json:"body_hash"`
		Before   string          `json:"before,omitempty"`
		Says     []string        `json:"handling_says,omitempty"` // what the entry's handling codes mean; a reader checks it like a readable cell
	}
	jsonEnd struct {
		End  bool   `json:"end"`
		Rows int64  `json:"rows"`
		Rest string `json:"rest,omitempty"`
	}
)

// Writer writes an extract row by row.
type Writer struct {
	w      io.Writer
	csv    *csv.Writer // nil for JSON lines
	hashes tlog.HashReader
	size   int64
	next   int64
	rows   int64
	note   string

	handling protocol.Handling
}

// NewWriter begins an extract of a log with the given checkpoint, of size entries, whose hashes are at hand. query says in JSON what was chosen. asCSV
// makes a table for spreadsheets, otherwise JSON lines.
func NewWriter(w io.Writer, checkpoint []byte, size int64, hashes tlog.HashReader, query json.RawMessage, asCSV bool) (*Writer, error) {
	x := &Writer{w: w, hashes: hashes, size: size, note: string(checkpoint)}
	if !asCSV {
		return x, x.line(jsonHead{Format, x.note, query})
	}
	x.csv = csv.NewWriter(w)
	return x, x.record(append(slices.Clone(Columns), proving...))
}

// Add writes an entry; indexes ascend.
func (x *Writer) Add(index int64, leaf protocol.AuditLeaf) error {
	if index < x.next || index >= x.size {
		return fmt.Errorf("extract: entry %d does not come after %d in a log of %d", index, x.next-1, x.size)
	}
	gap, err := cover(x.next, index, x.hashes)
	if err != nil {
		return fmt.Errorf("extract: entry %d: %w", index, err)
	}
	x.next, x.rows = index+1, x.rows+1
	r := row{index, spell(gap), leaf}
	e, err := leaf.Entry()
	if err != nil {
		return fmt.Errorf("extract: entry %d: %w", index, err)
	}
	x.handling = protocol.UnionHandling(x.handling, protocol.MarkedBy("", e.Handling...))
	if x.csv == nil {
		return x.line(jsonRow{r.index, leaf.Header, leaf.Body, leaf.Salt, leaf.BodyHash, r.gap, says(&e)})
	}
	cells, err := r.cells()
	if err != nil {
		return fmt.Errorf("extract: entry %d: %w", index, err)
	}
	return x.record(cells)
}

// says are the sentences of an entry's handling codes. The log is told the codes without their owners.
func says(e *protocol.AuditEntry) []string { return protocol.MarkedBy("", e.Handling...).Sentences() }

// Handling unites the codes of the entries so far.
func (x *Writer) Handling() protocol.Handling { return x.handling }

// Rows is the number of entries so far.
func (x *Writer) Rows() int64 { return x.rows }

// Close ends the extract with the hashes of what lies behind the last row.
func (x *Writer) Close() error {
	rest, err := cover(x.next, x.size, x.hashes)
	if err != nil {
		return fmt.Errorf("extract: %w", err)
	}
	if x.csv == nil {
		return x.line(jsonEnd{true, x.rows, spell(rest)})
	}
	cells := make([]string, len(Columns)+len(proving))
	quoted, err := json.Marshal(x.note) // a record is one line
	if err != nil {
		return err
	}
	cells[0], cells[1], cells[len(Columns)], cells[len(cells)-1] = "end", strconv.FormatInt(x.rows, 10), string(quoted), spell(rest)
	return x.record(cells)
}

func (x *Writer) line(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = x.w.Write(append(b, '\n'))
	}
	return err
}

func (x *Writer) record(cells []string) error {
	if err := x.csv.Write(cells); err != nil {
		return err
	}
	x.csv.Flush()
	return x.csv.Error()
}

// cells writes a row for a spreadsheet.
func (r *row) cells() ([]string, error) {
	readable, err := r.readable()
	if err != nil {
		return nil, err
	}
	b64 := base64.StdEncoding.EncodeToString
	return append(readable, string(r.leaf.Header), guard(b64(r.leaf.Salt)), string(r.leaf.Body), guard(b64(r.leaf.BodyHash)), r.gap), nil
}

// readable are the cells that Columns name.
func (r *row) readable() ([]string, error) {
	e, err := r.leaf.Entry()
	if err != nil {
		return nil, err
	}
	at, seq := "erased", ""
	if r.leaf.Body != nil {
		at = e.Time.UTC().Format(time.RFC3339Nano)
	}
	if e.MessageSeq > 0 {
		seq = strconv.FormatUint(e.MessageSeq, 10)
	}
	var details []string
	for _, key := range slices.Sorted(maps.Keys(e.Details)) {
		details = append(details, key+"="+e.Details[key])
	}
	cells := []string{strconv.FormatInt(r.index, 10), at, e.Day, e.Actor, string(e.Action), e.Decision, e.Ground, e.Counterpart, e.Type, e.Kind, e.Object, e.Case, e.Event, e.Purpose,
		e.Justification, strings.Join(e.Policies, "; "), e.PolicyVer, strings.Join(e.Handling, " "), strings.Join(says(&e), " "), strings.Join(e.Withheld, " "), strings.Join(e.Documents, " "), e.Channel, seq,
		strings.Join(details, "; ")}
	for i := range cells {
		cells[i] = guard(cells[i])
	}
	return cells, nil
}

// guard keeps a cell from being read as a formula, and in one line: spreadsheets take for a formula what begins with one of these signs, also behind
// spaces, and in the full-width forms of East Asian keyboards.
func guard(cell string) string {
	cell = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return '·'
		}
		return r
	}, cell)
	if start := strings.TrimSpace(cell); start != "" && strings.ContainsRune("=+-@|%＝＋－＠'", []rune(start)[0]) {
		return "'" + cell
	}
	return cell
}
