package evaluate

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// section of a report: facts as pairs of name and value.
type section struct {
	title string
	facts [][2]string
}

// Text prints the report for a terminal.
func (e *Evaluation) Text(w io.Writer) error {
	for _, s := range e.sections() {
		fmt.Fprintln(w, s.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, f := range s.facts {
			fmt.Fprintf(tw, "  %s\t%s\n", plain(f[0]), plain(f[1]))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "How to read this")
	for _, n := range e.Notes {
		if _, err := fmt.Fprintln(w, "  - "+plain(n)); err != nil {
			return err
		}
	}
	return nil
}

// Markdown prints the report for a page beside its pictures.
func (e *Evaluation) Markdown(w io.Writer, pictures []Picture) error {
	fmt.Fprintln(w, "# Evaluation")
	for _, s := range e.sections() {
		fmt.Fprintf(w, "\n## %s\n\n| | |\n|---|---|\n", s.title)
		for _, f := range s.facts {
			fmt.Fprintf(w, "| %s | %s |\n", cell(f[0]), cell(f[1]))
		}
	}
	fmt.Fprint(w, "\n## How to read this\n\n")
	for _, n := range e.Notes {
		fmt.Fprintln(w, "- "+cell(n))
	}
	fmt.Fprintln(w, "\n## Plots")
	var err error
	for _, p := range pictures {
		_, err = fmt.Fprintf(w, "\n![%s](%s)\n\n%s\n", p.Name, p.Name, p.Caption)
	}
	return err
}

// plain keeps a foreign name from steering the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '·'
		}
		return r
	}, s)
}

var cellEscapes = strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "`", "\\`", "[", `\[`, "_", `\_`)

// cell keeps a foreign name from becoming markup.
func cell(s string) string { return cellEscapes.Replace(plain(s)) }

// places prints a share without rounding what is not 1 to 1.
func places(v float64, n int) string {
	s := strconv.FormatFloat(v, 'f', n, 64)
	for v != 1 && s[0] == '1' && n < 12 {
		n++
		s = strconv.FormatFloat(v, 'f', n, 64)
	}
	return s
}
