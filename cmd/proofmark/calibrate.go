package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
	"proofmark/correlate/evaluate"
)

type calibrateCmd struct {
	Folder  string   `arg:"" help:"Folder with the scans that the table names." type:"existingdir" name:"dir"`
	Truth   string   `help:"Table of labels (CSV: scan,source and, where they differ, make,calibre); looked for in DIR where the path is not found." default:"truth.csv" placeholder:"FILE"`
	Name    string   `required:"" help:"Name of the reference population: it stands beside every likelihood ratio." placeholder:"TEXT"`
	Version string   `help:"Version of the population: raise it when scans are added." default:"1" placeholder:"TEXT"`
	Make    string   `help:"Make of all firearms, where the table has no column make." placeholder:"TEXT"`
	Calibre string   `help:"Calibre of all firearms, where the table has no column calibre." placeholder:"TEXT"`
	Limit   []string `help:"What the population does not cover, in words; may be repeated." sep:"none" placeholder:"TEXT"`
	ROI     string   `help:"Region that the scans show: breech-face or firing-pin." default:"breech-face" name:"roi"`
	Out     string   `required:"" help:"Model file to make (JSON); it is never overwritten." type:"path" placeholder:"FILE"`
}

func (c *calibrateCmd) Run(a *app) error {
	if _, err := os.Lstat(c.Out); err == nil { // before the work, not after it
		return fmt.Errorf("%s exists and is never overwritten: choose another name", c.Out)
	}
	roi, err := correlate.ParseROI(c.ROI)
	if err != nil {
		return fmt.Errorf("--roi: %w", err)
	}
	set, err := readTruth(c.Truth, c.Folder)
	if err != nil {
		return err
	}
	for i := range set {
		if set[i].Make == "" {
			set[i].Make = c.Make
		}
		if set[i].Calibre == "" {
			set[i].Calibre = c.Calibre
		}
		if strings.TrimSpace(set[i].Make) == "" || strings.TrimSpace(set[i].Calibre) == "" {
			return fmt.Errorf("scan %s has no make or no calibre: give the table these columns, or --make and --calibre; a population speaks only for the classes it names", set[i].Scan)
		}
	}
	m, e, err := evaluate.Calibrate(a.ctx, os.DirFS(c.Folder), set, evaluate.Options{ROI: roi, Seed: 1, Progress: progress(a)}, c.Name, c.Version, c.Limit)
	if errors.Is(err, calibrate.ErrTooFew) {
		return fmt.Errorf("%w; until then the node says \"not calibrated\" instead of a number", err)
	}
	if err != nil {
		return err
	}
	b, err := m.Marshal()
	if err != nil {
		return err
	}
	if err := createFiles(newFile{c.Out, b, 0o644}); err != nil {
		return err
	}
	return a.show(m, func(w io.Writer) {
		p := m.Population
		fmt.Fprintf(w, "%s holds the calibration %q, version %s.\n", c.Out, printable(p.Name), printable(p.Version))
		classes := make([]string, len(p.Classes))
		for i, k := range p.Classes {
			classes[i] = k.String()
		}
		facts(w,
			"population", fmt.Sprintf("%d scans of %d firearms, %d same-source and %d different-source pairs", p.Scans, p.Sources, p.SamePairs, p.DifferentPairs),
			"speaks for", strings.Join(classes, ", "),
			"log10 LR", fmt.Sprintf("%.3f %+.3f·S %+.3f·(congruent cells / max(cells, 6))", m.Intercept, m.ScoreWeight, m.CellWeight),
			"within", fmt.Sprintf("%+.2f to %+.2f: what these pairs support", m.MinLog10LR, m.MaxLog10LR),
			"Cllr on firearms left out", fmt.Sprintf("%.4f bits, at best %.4f", *e.Cllr, *e.CllrMin),
		)
		fmt.Fprintf(w, "\nNext:  proofmark evaluate --calibration %s --truth FILE DIR   on other firearms than these\n", argument(c.Out))
	})
}
