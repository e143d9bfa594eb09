package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"proofmark/correlate/x3p"
)

type x3pConvertCmd struct {
	In           string    `arg:"" help:"Scan file (X3P)." type:"path"`
	Out          string    `arg:"" help:"Scan file to make; it is never overwritten." type:"path"`
	Units        string    `help:"The numbers of the file are not metres but um or mm: spacings and heights." placeholder:"um|mm"`
	SpacingUnits string    `help:"The same, of the spacings alone." placeholder:"um|mm"`
	HeightUnits  string    `help:"The same, of the heights alone." placeholder:"um|mm"`
	Mask         string    `help:"Keep what a mask keeps: own for the file's own one, or a PNG of one pixel per point." placeholder:"own|PNG"`
	Keep         []string  `help:"What of the mask is kept: #rrggbb or a label of the file's own mask. Otherwise the background of the file's own mask, and what is light in a PNG." placeholder:"COLOUR"`
	Crop         []float64 `help:"Cut out a rectangle (left, top, right, bottom) or a circle (centre x, centre y, radius); µm from the upper left." placeholder:"µm,…"`
	Rotate       *float64  `help:"Turn counter-clockwise, as the scan is drawn." placeholder:"DEGREES"`
	Resample     *float64  `help:"Change the spacing of both axes." placeholder:"µm"`
	Date         string    `help:"Date and time of the measurement, where the file has none that fits the standard."`
	Calibrated   string    `help:"Date and time of the calibration, likewise."`
	Probing      string    `help:"Contacting, NonContacting or Software, likewise."`
}

// converted is what convert says about the file it made.
type converted struct {
	File     string   `json:"file"`
	Bytes    int      `json:"bytes"`
	SizeX    int      `json:"size_x"`
	SizeY    int      `json:"size_y"`
	SpacingX float64  `json:"spacing_x_um"`
	SpacingY float64  `json:"spacing_y_um"`
	Missing  int      `json:"missing"`
	Steps    []string `json:"steps"`    // what was done to the surface, in this order
	Repaired []string `json:"repaired"` // departures from the standard that are gone
	LeftOut  []string `json:"left_out"` // what the file held and the new one does not
	Warnings []string `json:"warnings"` // what a repair cannot put right
}

func (c *x3pConvertCmd) Run(a *app) error {
	b, err := readScan(c.In)
	if err != nil {
		return err
	}
	before := x3p.CheckBytes(b, x3p.Limits{})
	if before.Scan == nil {
		_, err := x3p.Decode(b, x3p.Options{})
		return fmt.Errorf("%s: %w", c.In, errors.Join(err, errors.New("no repair can make a surface of it; proofmark x3p check says all that is wrong")))
	}
	made := converted{File: c.Out, Steps: []string{}, Repaired: []string{}, LeftOut: []string{}, Warnings: []string{}}
	s, err := c.edit(before.Scan, b, &made)
	if err != nil {
		return fmt.Errorf("%s: %w", c.In, err)
	}
	if err := c.settleMeta(s, &made); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := x3p.Write(&out, s); err != nil {
		return fmt.Errorf("%s: %w", c.Out, err)
	}
	after := x3p.CheckBytes(out.Bytes(), x3p.Limits{})
	if _, err := x3p.ReadMask(bytes.NewReader(b), int64(len(b)), before.Scan.SizeX, before.Scan.SizeY, x3p.Limits{}); !errors.Is(err, x3p.ErrNoMask) {
		made.LeftOut = append(made.LeftOut, "the file's own mask, which is no part of the standard")
	}
	for _, f := range before.Findings {
		if !f.Standard && !f.Refused {
			made.LeftOut = append(made.LeftOut, f.String())
		}
		if f.Standard {
			made.Repaired = append(made.Repaired, f.String())
		}
		if f.Standard && f.Refused {
			made.Warnings = append(made.Warnings, f.String()+": the new file's checksums are of what was read, whether that is what was measured or not; compare it with the source")
		}
	}
	for _, f := range after.Findings {
		made.Warnings = append(made.Warnings, f.String())
	}
	if after.Scan == nil { // for example a spacing that fits no reader
		return fmt.Errorf("%s is not made: it could not be read again: %s", c.Out, strings.Join(made.Warnings, "; "))
	}
	if err := createFiles(newFile{c.Out, out.Bytes(), 0o644}); err != nil {
		return err
	}
	made.Bytes, made.SizeX, made.SizeY, made.SpacingX, made.SpacingY, made.Missing = out.Len(), s.SizeX, s.SizeY, micro(s.IncX), micro(s.IncY), s.Missing()
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s is written in the strict form: %d × %d points, %s.\n", printable(c.Out), s.SizeX, s.SizeY, extent(float64(s.SizeX)*s.IncX, float64(s.SizeY)*s.IncY))
		lines(w, "Done to the surface:", made.Steps)
		lines(w, "Repaired:", made.Repaired)
		lines(w, "Left out:", made.LeftOut)
		lines(w, "Take care:", made.Warnings)
	})
}

// settleMeta brings Record2 into the form of the standard, or leaves it out and says what is lost: the standard has no record with a gap in it, and a
// made-up date would be worse than none.
func (c *x3pConvertCmd) settleMeta(s *x3p.Scan, made *converted) error {
	for _, given := range []struct {
		flag, value string
		text        *string
	}{{"--date", c.Date, &s.Meta.Date}, {"--calibrated", c.Calibrated, &s.Meta.CalibrationDate}, {"--probing", c.Probing, &s.Meta.ProbingType}} {
		if given.value == "" {
			continue
		}
		if *given.text != "" && *given.text != given.value {
			made.LeftOut = append(made.LeftOut, fmt.Sprintf("%q, for which %s was given", *given.text, given.flag))
		}
		*given.text = given.value
	}
	meta, done := s.Meta.Repair()
	made.Repaired = append(made.Repaired, done...)
	if err := meta.Check(); err != nil {
		if c.Date != "" || c.Calibrated != "" || c.Probing != "" { // a person wants the record kept
			return fmt.Errorf("%w\ngive what is missing with --date, --calibrated and --probing", err)
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			made.Warnings = append(made.Warnings, line)
		}
		made.Warnings = append(made.Warnings, "so the record of instrument and dates had to be left out: give what the laboratory knows with --date, --calibrated and --probing to keep it")
		for _, f := range []struct{ name, text string }{{"date", meta.Date}, {"creator", meta.Creator}, {"manufacturer", meta.Manufacturer}, {"model", meta.Model},
			{"serial", meta.Serial}, {"version", meta.Version}, {"calibration date", meta.CalibrationDate}, {"probing type", meta.ProbingType}, {"probing", meta.ProbingID}, {"comment", meta.Comment}} {
			if f.text != "" {
				made.LeftOut = append(made.LeftOut, f.name+": "+f.text)
			}
		}
		meta = x3p.Meta{}
	}
	if meta != (x3p.Meta{}) && len(made.Steps) > 0 {
		// Whoever opens the file later has to know that it is not the instrument's.
		meta.Comment = strings.TrimSpace(meta.Comment + " [proofmark x3p convert: " + strings.Join(made.Steps, "; ") + "]")
	}
	s.Meta = meta
	return nil
}
