package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	proofs "proofmark/crypto/proof"
	"proofmark/node/accounting"
	"proofmark/node/control"
	"proofmark/node/durable"
)

// Files of a report's folder. The first two are the proof, the others are for reading.
const (
	reportFile  = "report.jws"
	leavesFile  = "leaves.zst"
	reportText  = "report.md"
	reportPage  = "report.html"
	reportTable = "counts.csv"
)

type auditReportCmd struct {
	From       string `required:"" help:"First day, in UTC." placeholder:"2026-01-01"`
	To         string `required:"" help:"The day after the last one." placeholder:"2026-04-01"`
	Out        string `required:"" help:"Folder to make." type:"path" placeholder:"FOLDER"`
	RoundBelow int64  `help:"In what is for reading, write smaller numbers as fewer than this one; the proof has all of them." default:"0" placeholder:"5"`
}

func (c *auditReportCmd) Run(a *app) (err error) {
	client, err := a.dial()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Out); err == nil {
		return taken(c.Out, os.ErrExist)
	}
	folder, err := durable.BeginFolder(c.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Discard()) }()
	leaves, err := os.OpenFile(filepath.Join(folder.Path, leavesFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	made, err := control.Download[*accounting.Reported](a.ctx, client, "audit.report", accounting.ReportRequest{From: c.From, To: c.To}, leaves)
	if err = errors.Join(a.explain(err), leaves.Close()); err != nil {
		return err
	}
	r, err := proofs.ReadReport(made.Report)
	if err != nil {
		return err
	}
	table, err := reportCSV(r, c.RoundBelow)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{reportFile: []byte(made.Report + "\n"), reportText: reportMarkdown(r, c.RoundBelow), reportPage: reportHTML(r, c.RoundBelow), reportTable: table} {
		if err := os.WriteFile(filepath.Join(folder.Path, name), content, 0o600); err != nil {
			return err
		}
	}
	if err := folder.Commit(); err != nil {
		return taken(c.Out, err)
	}
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds the report of %s on %s: %s. %s and %s are the proof, %s, %s and %s are for reading.\n", printable(c.Out), r.Country, days(r), entriesOf(r),
			reportFile, leavesFile, reportPage, reportText, reportTable)
		fmt.Fprintf(w, "Whoever has the roster checks it without this node:  proofmark audit check-report %s --roster FILE\n", argument(c.Out))
	})
}

type auditCheckReportCmd struct {
	Folder string `arg:"" help:"Folder that audit report made." type:"path"`
	trustFlags
}

func (c *auditCheckReportCmd) Run(a *app) error {
	t, err := c.trust()
	if err != nil {
		return err
	}
	signed, err := readFile("report", filepath.Join(c.Folder, reportFile), proofs.MaxReport)
	if err != nil {
		return err
	}
	r, err := t.OpenReport(string(signed))
	if err != nil {
		return fmt.Errorf("%s PROVES NOTHING: %w", c.Folder, err)
	}
	leaves, err := os.Open(filepath.Join(c.Folder, leavesFile))
	if err != nil {
		return fmt.Errorf("leaves of the report: %w", err)
	}
	defer leaves.Close()
	f, err := proofs.CheckReport(r, leaves, t)
	if err != nil {
		return fmt.Errorf("%s PROVES NOTHING: %w", c.Folder, err)
	}
	return a.show(f, func(w io.Writer) {
		fmt.Fprintf(w, "The report of %s on %s, %s.\n\n", r.Country, days(r), entriesOf(r))
		table(w, "Nothing happened.", []string{"WITH", "TYPE", "ACTION", "DECISION", "GROUND", "ENTRIES"}, reportRows(r, 0))
		printProved(w, f.Proved, f.NotProved)
	})
}

func days(r *proofs.Report) string { return r.From + " to before " + r.To }

func counted(r *proofs.Report) (n int64) {
	for _, c := range r.Counts {
		n += c.Entries
	}
	return n
}

func entriesOf(r *proofs.Report) string {
	if n := counted(r); n != 1 {
		return fmt.Sprintf("%d entries", n)
	}
	return "1 entry"
}

// rounded writes a number, a small one as fewer than the bound.
func rounded(n, below int64) string {
	if n < below && n > 0 {
		return fmt.Sprintf("<%d", below)
	}
	return strconv.FormatInt(n, 10)
}

func reportRows(r *proofs.Report, below int64) [][]string {
	rows := make([][]string, len(r.Counts))
	for i, c := range r.Counts {
		rows[i] = []string{orDash(c.Counterpart), orDash(c.Type), string(c.Action), c.Decision, orDash(c.Ground), rounded(c.Entries, below)}
	}
	return rows
}

// reportCSV guards cells that a spreadsheet would take for a formula.
func reportCSV(r *proofs.Report, below int64) ([]byte, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	rows := append([][]string{{"with", "type", "action", "decision", "ground", "entries"}}, reportRows(r, below)...)
	for _, row := range rows {
		for i, cell := range row {
			if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r") {
				row[i] = "'" + cell
			}
		}
		if err := w.Write(row); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return []byte(b.String()), w.Error()
}

func reportMarkdown(r *proofs.Report, below int64) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# What %s has exchanged, %s\n\n%d entries of its audit log, made on %s. Signed figures and their proof: %s, %s.\n\n", r.Country, days(r), counted(r),
		r.Made.UTC().Format("2006-01-02"), reportFile, leavesFile)
	b.WriteString("| With | Type | Action | Decision | Ground | Entries |\n|---|---|---|---|---|---:|\n")
	for _, row := range reportRows(r, below) {
		for i := range row {
			row[i] = strings.ReplaceAll(printable(row[i]), "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return []byte(b.String())
}
