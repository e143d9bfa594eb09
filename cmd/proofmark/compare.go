package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/overlay"
	"proofmark/correlate/shear"
	"proofmark/correlate/x3p"
)

type compareCmd struct {
	A       string `arg:"" help:"Scan (X3P), or for bullets a folder with the scans of one bullet's lands, in the order of their names." type:"path"`
	B       string `arg:"" help:"Scan or folder to compare with it." type:"path"`
	ROI     string `help:"Region that the scans show." default:"breech-face" name:"roi"`
	All     bool   `help:"Bullets: also try mirrored scans and lands numbered the other way around."`
	Picture string `help:"Draw what was found (SVG); it is never overwritten." type:"path" placeholder:"SVG"`
}

func (c *compareCmd) Run(a *app) error {
	if err := checkPicture(c.Picture); err != nil {
		return err
	}
	roi, err := correlate.ParseROI(c.ROI)
	if err != nil {
		return fmt.Errorf("--roi: %w", err)
	}
	if err := a.carry(c.A, c.B); err != nil {
		return err
	}
	names := overlay.Labels{A: printable(filepath.Base(c.A)), B: printable(filepath.Base(c.B)), Note: strings.Join(a.says, "\n")}
	if roi == correlate.LEA {
		return c.bullets(a, names)
	}
	if roi == correlate.ApertureShear {
		return c.shear(a, names)
	}
	first, err := encodeMark(c.A, roi)
	if err != nil {
		return err
	}
	second, err := encodeMark(c.B, roi)
	if err != nil {
		return err
	}
	found := correlate.Compare(correlate.NewTemplate(first.signature), correlate.NewTemplate(second.signature))
	if c.Picture != "" {
		svg, err := overlay.Marks(first.signature, second.signature, found, names)
		if err != nil {
			return err
		}
		if err := createFiles(newFile{c.Picture, svg, 0o644}); err != nil {
			return err
		}
	}
	made := struct {
		correlate.Comparison
		A correlate.Quality `json:"quality_a"`
		B correlate.Quality `json:"quality_b"`
	}{found, first.quality, second.quality}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "Score %.3f: correlation %.3f over %.2f mm², %d of %d cells congruent.\n", found.Score, found.R, found.OverlapMM2, found.CongruentCells, found.Cells)
		fmt.Fprintf(w, "%s turned by %.1f° and shifted by %.0f and %.0f µm lies on %s.\n", names.B, found.Pose.Rotation, found.Pose.ShiftX, found.Pose.ShiftY, names.A)
		qualityLine(w, names.A, first.quality)
		qualityLine(w, names.B, second.quality)
		drawn(w, c.Picture)
	})
}

// encodedMark is a scan's signature, whatever its quality: a person who compares two
// files may see what the gate would have kept out.
type encodedMark struct {
	signature *correlate.Signature
	quality   correlate.Quality
}

func encodeMark(path string, roi correlate.ROI) (encodedMark, error) {
	s, err := decodeScan(path)
	if err != nil {
		return encodedMark{}, err
	}
	sig, q, err := correlate.Encode(s, roi)
	if err != nil {
		return encodedMark{}, fmt.Errorf("%s: %w", path, err)
	}
	return encodedMark{sig, q}, nil
}

func decodeScan(path string) (*x3p.Scan, error) {
	b, err := readScan(path)
	if err != nil {
		return nil, err
	}
	s, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func qualityLine(w io.Writer, name string, q correlate.Quality) {
	gate := ""
	if !q.Accept {
		gate = ", below the gate: a node would not take it"
	}
	reasons := ""
	if len(q.Reasons) > 0 {
		reasons = ": " + strings.Join(q.Reasons, "; ")
	}
	fmt.Fprintf(w, "%s: quality %.2f%s%s\n", name, q.Score, gate, reasons)
}

func drawn(w io.Writer, picture string) {
	if picture != "" {
		fmt.Fprintf(w, "%s is drawn.\n", printable(picture))
	}
}

func (c *compareCmd) shear(a *app, names overlay.Labels) error {
	var marks [2]*shear.Mark
	var quality [2]shear.Quality
	for i, path := range []string{c.A, c.B} {
		s, err := decodeScan(path)
		if err != nil {
			return err
		}
		if marks[i], quality[i], err = shear.Encode(s, correlate.Options{}); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	found := shear.Compare(marks[0], marks[1])
	if c.Picture != "" {
		if err := createFiles(newFile{c.Picture, overlay.Shear(marks[0], marks[1], found, names), 0o644}); err != nil {
			return err
		}
	}
	made := struct {
		shear.Comparison
		A shear.Quality `json:"quality_a"`
		B shear.Quality `json:"quality_b"`
	}{found, quality[0], quality[1]}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "Score %.3f: correlation %.2f over %.0f µm, lag %.0f µm.\n", found.Score, found.R, found.Overlap, found.Lag)
		for i, name := range []string{names.A, names.B} {
			fmt.Fprintf(w, "%s: quality %.2f, %.2f µm RMS over %.0f µm\n", name, quality[i].Score, quality[i].RMS, quality[i].Width)
			lines(w, "", quality[i].Reasons)
		}
		lines(w, "Not compared:", found.Reasons)
		drawn(w, c.Picture)
	})
}

func (c *compareCmd) bullets(a *app, names overlay.Labels) error {
	first, err := encodeBullet(c.A)
	if err != nil {
		return err
	}
	second, err := encodeBullet(c.B)
	if err != nil {
		return err
	}
	compare := bullet.Compare
	if c.All {
		compare = bullet.CompareAll
	}
	found := compare(bullet.NewTemplate(first), bullet.NewTemplate(second))
	if c.Picture != "" {
		if err := createFiles(newFile{c.Picture, overlay.Bullets(first, second, found, names), 0o644}); err != nil {
			return err
		}
	}
	return a.show(found, func(w io.Writer) {
		fmt.Fprintf(w, "Score %.3f at phase %d, contrast %.3f to the next, %d lands counted.\n", found.Score, found.Phase, found.Contrast, found.Counted)
		for _, l := range found.Lands {
			note := ""
			if !l.Counted {
				note = "  below the quality gate, not counted"
			}
			fmt.Fprintf(w, "  land %d on %d: z %5.2f, r %5.2f, lag %4.0f µm%s\n", l.A, l.B, l.Z, l.R, l.Lag, note)
		}
		lines(w, "Inconclusive:", found.Reasons)
		drawn(w, c.Picture)
	})
}

// encodeBullet reads the lands of one bullet from a folder.
func encodeBullet(folder string) (*bullet.Bullet, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: for bullets, name a folder that holds the scans of one bullet's lands", err)
	}
	var lands []*bullet.Land
	for _, e := range entries {
		if e.IsDir() || !strings.EqualFold(filepath.Ext(e.Name()), ".x3p") {
			continue
		}
		if len(lands) == bullet.MaxLands {
			return nil, fmt.Errorf("%s holds more than %d scans: one folder holds the lands of one bullet", folder, bullet.MaxLands)
		}
		s, err := decodeScan(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		l, _, err := bullet.EncodeLand(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(folder, e.Name()), err)
		}
		lands = append(lands, l)
	}
	if len(lands) == 0 {
		return nil, fmt.Errorf("%s: %w", folder, errNoLands)
	}
	return bullet.NewBullet(slices.Clip(lands))
}

var errNoLands = errors.New("no scan (.x3p) is in this folder")
