package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
	"proofmark/correlate/evaluate"
	"proofmark/node/durable"
)

type evaluateCmd struct {
	Folder      string    `arg:"" help:"Folder with the scans that the table names." type:"existingdir" name:"dir"`
	Truth       string    `help:"Table of labels (CSV: scan,source; for bullets scan,source,bullet,land too); looked for in DIR where the path is not found." default:"truth.csv" placeholder:"FILE"`
	ROI         string    `help:"Region that the scans show: breech-face, firing-pin, aperture-shear or lea. A column region in the table wins." default:"breech-face" name:"roi"`
	Sector      []float64 `help:"Cut the queries' marks to a sector of this percentage of their points, in a random direction, the origin found on the whole scan; several percentages are parted by commas." placeholder:"PERCENT"`
	Fragment    bool      `help:"With --sector: cut the scans themselves and encode what is left anew; partial marks are measured beside it."`
	Seeds       int       `help:"With --sector: directions that each scan is cut in, from --seed on; the spread over them is told." default:"1" placeholder:"N"`
	Distractors int       `help:"Pad the gallery with so many mixtures of the set's marks, 1,000,000 at most; sizes from 10,000 on are measured on the way." placeholder:"N"`
	Calibration string    `help:"Weigh the scores with this model; without it, one is fitted and tested on different firearms of the set." type:"path" placeholder:"FILE"`
	Plots       string    `help:"Write report.md and the plots (SVG) into this folder; files of an earlier run are replaced." type:"path" placeholder:"DIR"`
	Seed        uint64    `help:"Seed of all that is drawn: equal seeds give equal figures." default:"1"`
}

func (c *evaluateCmd) Run(a *app) error {
	set, err := readTruth(c.Truth, c.Folder)
	if err != nil {
		return err
	}
	roi, err := correlate.ParseROI(c.ROI)
	if err != nil {
		return fmt.Errorf("--roi: %w", err)
	}
	o := evaluate.Options{ROI: roi, Sectors: c.Sector, Fragment: c.Fragment, Seeds: c.Seeds, Distractors: c.Distractors, Seed: c.Seed, Now: wallClock, Progress: progress(a)}
	if c.Calibration != "" {
		b, err := readFile("calibration", c.Calibration, calibrate.MaxModelSize)
		if err != nil {
			return err
		}
		if o.Model, err = calibrate.Parse(b); err != nil {
			return fmt.Errorf("--calibration %s: %w", c.Calibration, err)
		}
	}
	e, err := evaluate.Run(a.ctx, os.DirFS(c.Folder), set, o)
	if err != nil {
		return err
	}
	if c.Plots != "" {
		if err := writeReport(c.Plots, e); err != nil {
			return fmt.Errorf("--plots: %w", err)
		}
	}
	var text bytes.Buffer
	if err := e.Text(&text); err != nil {
		return err
	}
	return a.show(e.Figures, func(w io.Writer) {
		w.Write(text.Bytes())
		if c.Plots != "" {
			fmt.Fprintf(w, "\nThe report with its plots is %s.\n", filepath.Join(c.Plots, "report.md"))
		}
	})
}

// readTruth reads a table where it was named, or else inside the folder.
func readTruth(path, folder string) ([]evaluate.Labelled, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !filepath.IsAbs(path) {
		f, err = os.Open(filepath.Join(folder, path))
	}
	if err != nil {
		return nil, fmt.Errorf("--truth: %w: name the table of labels, a CSV file with the columns scan,source", err)
	}
	defer f.Close()
	set, err := evaluate.ReadTruth(f)
	if err != nil {
		return nil, fmt.Errorf("--truth %s: %w", path, err)
	}
	return set, nil
}

func writeReport(folder string, e *evaluate.Evaluation) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	pictures := e.Pictures()
	for _, p := range pictures {
		if err := durable.Replace(filepath.Join(folder, p.Name), p.SVG, 0o644); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := e.Markdown(&b, pictures); err != nil {
		return err
	}
	return durable.Replace(filepath.Join(folder, "report.md"), b.Bytes(), 0o644)
}

// progress tells on a terminal how far a long work is and when it may end, and
// is silent elsewhere.
func progress(a *app) func(stage string, done, total int) {
	f, ok := a.err.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	var last, began time.Time
	stage := ""
	return func(name string, done, total int) {
		now := wallClock()
		if name != stage {
			stage, began = name, now
		}
		if done < total && now.Sub(last) < 100*time.Millisecond {
			return
		}
		last = now
		fmt.Fprintf(f, "\r\x1b[K%s: %d of %d%s", name, done, total, timeLeft(now.Sub(began), done, total))
		if done == total {
			fmt.Fprint(f, "\r\x1b[K")
		}
	}
}

// timeLeft tells how long the rest takes at the pace so far, once there is one.
func timeLeft(spent time.Duration, done, total int) string {
	if spent < 2*time.Second || done == 0 || done >= total {
		return ""
	}
	left := time.Duration(float64(spent) / float64(done) * float64(total-done))
	switch {
	case left < time.Minute:
		return fmt.Sprintf(", about %d s left", int(left.Seconds())+1)
	case left < time.Hour:
		return fmt.Sprintf(", about %d min left", int(left.Minutes())+1)
	}
	return fmt.Sprintf(", about %d h %d min left", int(left.Hours()), int(left.Minutes())%60)
}
