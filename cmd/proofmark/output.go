package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// show prints a result: as JSON with --json, otherwise as text. What its handling codes demand ends every page, here and nowhere else.
func (a *app) show(v any, text func(w io.Writer)) error {
	if a.JSON {
		return a.showJSON(v)
	}
	out := a.out
	seen := &telling{w: out}
	a.out = seen
	defer func() { a.out = out }()
	text(seen)
	for i, line := range slices.Concat(restrictions(v), a.says) {
		if i == 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintln(a.out, printable(line))
	}
	for _, w := range a.held() {
		fmt.Fprintln(a.out)
		printHeld(a.out, w)
	}
	return a.told(seen.err)
}

// told remembers that the person has seen the outcome, unless it could not be printed: what was done is then shown by the same command typed again.
func (a *app) told(err error) error {
	if err != nil {
		return fmt.Errorf("the outcome could not be printed: %w", err)
	}
	a.shown = true
	return nil
}

// telling remembers the first error of a writer.
type telling struct {
	w   io.Writer
	err error
}

func (t *telling) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	if t.err == nil {
		t.err = err
	}
	return n, err
}

// showJSON prints a result. Where the command issued something that waits for two people, or read files whose owners restrict their use, an object says so in
// fields of its own; beside a list it is said to people.
func (a *app) showJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	held := a.held()
	body, object := bytes.CutSuffix(b, []byte("\n}"))
	add := func(name string, value any) {
		more, merr := json.MarshalIndent(value, "  ", "  ")
		err = errors.Join(err, merr)
		body = fmt.Appendf(body, ",\n  %q: %s", name, more)
	}
	if object && len(a.says) > 0 {
		add("handling_says", a.says)
	}
	if object && len(held) > 0 {
		add("waits_for_approval", held)
	}
	if b = body; object {
		b = append(b, "\n}"...)
	} else {
		for _, w := range held {
			printHeld(a.err, w)
		}
	}
	if err == nil {
		_, err = a.out.Write(append(b, '\n'))
	}
	return a.told(err)
}

// table prints rows under headings, columns aligned; empty says what to print where there are none.
func table(w io.Writer, empty string, headings []string, rows [][]string) {
	if len(rows) == 0 {
		fmt.Fprintln(w, empty)
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(headings, "\t"))
	for _, r := range rows {
		for i := range r {
			r[i] = printable(r[i])
		}
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	tw.Flush()
}

// facts prints pairs of a name and a value, leaving out empty values.
func facts(w io.Writer, pairs ...string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(tw, "%s\t%s\n", pairs[i], printable(pairs[i+1]))
		}
	}
	tw.Flush()
}

// longBytes is base64 that nobody reads, such as a signature's.
var longBytes = regexp.MustCompile(`"[A-Za-z0-9+/]{200,}={0,2}"`)

// withoutBytes shortens what nobody reads in a JSON text for a terminal; with --json it is whole.
func withoutBytes(s string) string {
	return longBytes.ReplaceAllStringFunc(s, func(b string) string {
		return fmt.Sprintf("%s…\" (%d characters of base64; whole with --json)", b[:61], len(b)-2)
	})
}

// printable keeps foreign text from steering the terminal or forging a line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '·'
		}
		return r
	}, s)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// short is the beginning of a long identity: enough to type, never ambiguous in practice; where it is, the command says so.
func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// parseTime accepts a date or a time.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-03-14 or 2026-03-14T22:30", s)
}
