package extract

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// maxLine bounds one row: an entry's body is far smaller.
const maxLine = 8 << 20

// Report says what a checked extract is.
type Report struct {
	Checkpoint string          `json:"checkpoint"` // signed note; its signatures are the caller's to verify
	Query      json.RawMessage `json:"query,omitempty"`
	Rows       int64           `json:"rows"`
	Erased     int64           `json:"erased"` // rows of which retention left the header
	Size       int64           `json:"size"`   // entries of the log
	Root       tlog.Hash       `json:"root"`
}

// Check reads an extract to its end in bounded memory: every row has the hash that the tree holds at its place, every readable cell says what the row's
// entry says, and all together give a tree of Size and Root. Whether the checkpoint names these and who signed it, the caller asks with Head. A file that
// is none, or was changed, is ErrExtract with the line.
func Check(r io.Reader) (*Report, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	first, err := in.Peek(1)
	if err != nil {
		return nil, wrong("the file is empty")
	}
	c := &checker{lines: bufio.NewScanner(in), asCSV: first[0] != '{'}
	c.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for !c.ended && c.lines.Scan() {
		if c.at++; c.asCSV {
			err = c.record(c.lines.Bytes())
		} else {
			err = c.line(c.lines.Bytes())
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", c.at, err)
		}
	}
	switch err := c.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: %w", c.at+1, wrong("longer than %d bytes", maxLine))
	case err != nil:
		return nil, fmt.Errorf("read the extract: %w", err)
	case !c.ended:
		return nil, wrong("it ends with line %d, before its last row: it was cut", c.at)
	case c.lines.Scan():
		return nil, fmt.Errorf("line %d: %w", c.at+1, wrong("something follows the end"))
	}
	c.report.Size, c.report.Root = c.tree.size, c.tree.root()
	return &c.report, nil
}

type checker struct {
	lines  *bufio.Scanner
	asCSV  bool
	at     int64
	tree   roots
	ended  bool
	report Report
}

func (c *checker) line(b []byte) error {
	if c.at == 1 {
		var head jsonHead
		if err := decode(b, &head); err != nil || head.Format != Format {
			return wrong("the first line does not say %q", Format)
		}
		c.report.Checkpoint, c.report.Query = head.Checkpoint, head.Query
		return nil
	}
	if bytes.HasPrefix(b, []byte(`{"end":`)) {
		var end jsonEnd
		if err := decode(b, &end); err != nil {
			return err
		}
		return c.end(end.Rows, end.Rest)
	}
	var r jsonRow
	if err := decode(b, &r); err != nil {
		return err
	}
	at := row{r.Entry, r.Before, protocol.AuditLeaf{Header: r.Header, Salt: r.Salt, Body: r.Body, BodyHash: r.BodyHash}}
	if err := c.row(at); err != nil {
		return err
	}
	e, err := at.leaf.Entry()
	if err != nil {
		return wrong("entry %d: %v", r.Entry, err)
	}
	if want := says(&e); !slices.Equal(want, r.Says) {
		return wrong("entry %d: its handling is put into the words %.80q, the entry that the log holds says %.80q", r.Entry, r.Says, want)
	}
	return nil
}

func decode(b []byte, v any) error {
	if err := protocol.CheckJSON(b, maxLine, protocol.MaxDepth); err != nil {
		return wrong("%v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return wrong("%v", err)
	}
	if again, err := json.Marshal(v); err != nil || !bytes.Equal(again, b) { // base64 has bits that stand for nothing
		return wrong("it is not in the form in which it was written")
	}
	return nil
}

func (c *checker) record(b []byte) error {
	cells, err := csv.NewReader(bytes.NewReader(b)).Read()
	if err != nil {
		return wrong("%v", err)
	}
	head := append(slices.Clone(Columns), proving...)
	if c.at == 1 {
		if !slices.Equal(cells, head) {
			return wrong("the first line does not have the columns of %s", Format)
		}
		return nil
	}
	if len(cells) != len(head) {
		return wrong("%d cells, want %d", len(cells), len(head))
	}
	proof := cells[len(Columns):]
	if cells[0] == "end" {
		rows, err := strconv.ParseInt(cells[1], 10, 64)
		if err == nil {
			err = json.Unmarshal([]byte(proof[0]), &c.report.Checkpoint)
		}
		if err != nil {
			return wrong("the last line: %v", err)
		}
		return c.end(rows, proof[4])
	}
	index, err := strconv.ParseInt(cells[0], 10, 64)
	if err != nil {
		return wrong("%.20q is no number of an entry", cells[0])
	}
	r := row{index: index, gap: proof[4], leaf: protocol.AuditLeaf{Header: json.RawMessage(proof[0])}}
	if proof[2] != "" {
		r.leaf.Body = json.RawMessage(proof[2])
	}
	for _, part := range []struct {
		to   *[]byte
		cell string
	}{{&r.leaf.Salt, proof[1]}, {&r.leaf.BodyHash, proof[3]}} {
		b, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(part.cell, "'"))
		if err != nil {
			return wrong("%.60q is no base64", part.cell)
		}
		if len(b) > 0 {
			*part.to = b
		}
	}
	if err := c.row(r); err != nil {
		return err
	}
	want, err := r.readable()
	if err != nil {
		return wrong("%v", err)
	}
	for i, cell := range want {
		if cells[i] != cell {
			return wrong("entry %d: the column %s says %.80q, the entry that the log holds says %.80q", index, Columns[i], cells[i], cell)
		}
	}
	return nil
}

// row puts an entry and what lies before it into the tree.
func (c *checker) row(r row) error {
	switch {
	case len(r.leaf.BodyHash) != tlog.HashSize:
		return wrong("entry %d: a body's hash has %d bytes", r.index, len(r.leaf.BodyHash))
	case r.leaf.Body != nil && len(r.leaf.Salt) != protocol.AuditSaltSize:
		return wrong("entry %d: a salt has %d bytes", r.index, len(r.leaf.Salt))
	case r.leaf.Body == nil && r.leaf.Salt != nil:
		return wrong("entry %d: a salt without a body", r.index)
	}
	if err := r.leaf.Check(); err != nil {
		return wrong("entry %d: %v", r.index, err)
	}
	if _, err := r.leaf.Entry(); err != nil {
		return wrong("entry %d: %v", r.index, err)
	}
	if err := c.gap(r.gap); err != nil {
		return err
	}
	if c.tree.size != r.index {
		return wrong("the row is entry %d by its number and %d by its place: a row before it is missing, added or moved", r.index, c.tree.size)
	}
	c.report.Rows++
	if r.leaf.Body == nil {
		c.report.Erased++
	}
	return c.tree.add(part{0, tlog.RecordHash(r.leaf.Content())})
}

func (c *checker) gap(text string) error {
	parts, err := readParts(text)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := c.tree.add(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) end(rows int64, rest string) error {
	if rows != c.report.Rows {
		return wrong("it has %d rows, its end says %d", c.report.Rows, rows)
	}
	c.ended = true
	return c.gap(rest)
}
