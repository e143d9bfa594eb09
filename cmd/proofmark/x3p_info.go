package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"proofmark/correlate/x3p"
)

type x3pInfoCmd struct {
	Files []string `arg:"" name:"file" help:"Scan files (X3P, ISO 25178-72)." type:"path"`
}

// scanInfo is what info says about a file; lengths in µm.
type scanInfo struct {
	File           string    `json:"file"`
	Bytes          int       `json:"bytes"`
	Error          string    `json:"error,omitempty"` // nothing else stands where the file cannot be read
	SizeX          int       `json:"size_x,omitempty"`
	SizeY          int       `json:"size_y,omitempty"`
	SpacingX       float64   `json:"spacing_x_um,omitempty"`
	SpacingY       float64   `json:"spacing_y_um,omitempty"`
	Width          float64   `json:"width_um,omitempty"`
	Height         float64   `json:"height_um,omitempty"`
	Missing        int       `json:"missing"`
	MissingPercent float64   `json:"missing_percent"`
	Heights        *zSummary `json:"z_um,omitempty"` // none where every point is missing
	Mask           []string  `json:"mask,omitempty"` // labels of the file's own mask; empty strings are never among them
	HasMask        bool      `json:"has_mask"`
	Date           string    `json:"date,omitempty"`
	Calibration    string    `json:"calibration_date,omitempty"`
	Creator        string    `json:"creator,omitempty"`
	Manufacturer   string    `json:"manufacturer,omitempty"`
	Model          string    `json:"model,omitempty"`
	Serial         string    `json:"serial,omitempty"`
	Version        string    `json:"version,omitempty"`
	ProbingType    string    `json:"probing_type,omitempty"`
	ProbingID      string    `json:"probing_id,omitempty"`
	Comment        string    `json:"comment,omitempty"`
	Warnings       []string  `json:"warnings,omitempty"`
}

// zSummary are heights in µm: the extremes, and the range without one in a hundred at each end.
type zSummary struct {
	Min    float64 `json:"min"`
	P1     float64 `json:"p1"`
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

func (c *x3pInfoCmd) Run(a *app) error {
	all := make([]scanInfo, len(c.Files))
	unread := 0
	for i, path := range c.Files {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		info, err := describeScan(path)
		if err != nil {
			info.Error = err.Error()
			unread++
		}
		all[i] = info
	}
	if err := list(a, all, printInfo); err != nil {
		return err
	}
	return verdict(unread, len(all), "cannot be read as a surface: proofmark x3p check says more")
}

func describeScan(path string) (scanInfo, error) {
	info := scanInfo{File: path}
	b, err := readScan(path)
	if err != nil {
		return info, err
	}
	info.Bytes = len(b)
	s, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		return info, err
	}
	info.SizeX, info.SizeY, info.SpacingX, info.SpacingY = s.SizeX, s.SizeY, micro(s.IncX), micro(s.IncY)
	info.Width, info.Height = micro(float64(s.SizeX)*s.IncX), micro(float64(s.SizeY)*s.IncY)
	info.Missing = s.Missing()
	info.MissingPercent = math.Round(1e4*float64(info.Missing)/float64(len(s.Z))) / 100
	info.Heights = summarise(s.Z)
	m := s.Meta
	info.Date, info.Calibration, info.Creator, info.Comment = m.Date, m.CalibrationDate, m.Creator, m.Comment
	info.Manufacturer, info.Model, info.Serial, info.Version = m.Manufacturer, m.Model, m.Serial, m.Version
	info.ProbingType, info.ProbingID, info.Warnings = m.ProbingType, m.ProbingID, s.Warnings
	mask, err := x3p.ReadMask(bytes.NewReader(b), int64(len(b)), s.SizeX, s.SizeY, x3p.Limits{})
	switch {
	case err == nil:
		info.HasMask = true
		for _, l := range mask.Labels {
			info.Mask = append(info.Mask, l.Text)
		}
	case !errors.Is(err, x3p.ErrNoMask):
		info.Warnings = append(info.Warnings, err.Error())
	}
	return info, nil
}

func summarise(heights []float64) *zSummary {
	var z []float64
	for _, h := range heights {
		if !math.IsNaN(h) {
			z = append(z, h)
		}
	}
	if len(z) == 0 {
		return nil
	}
	slices.Sort(z)
	at := func(share float64) float64 { return micro(z[int(math.Round(share*float64(len(z)-1)))]) }
	return &zSummary{at(0), at(0.01), at(0.5), at(0.99), at(1)}
}

func printInfo(w io.Writer, i scanInfo) {
	fmt.Fprintln(w, printable(i.File))
	if i.Error != "" {
		fmt.Fprintf(w, "  %s\n", printable(i.Error))
		return
	}
	spacing := figure(i.SpacingX) + " µm"
	if x, y := figure(i.SpacingX), figure(i.SpacingY); x != y {
		spacing = x + " × " + y + " µm"
	}
	heights := "none"
	if z := i.Heights; z != nil {
		heights = fmt.Sprintf("%s to %s µm; 98 %% of them between %s and %s", figure(z.Min), figure(z.Max), figure(z.P1), figure(z.P99))
	}
	mask := ""
	if i.HasMask {
		mask = "of its own"
		if len(i.Mask) > 0 {
			mask += ": " + strings.Join(i.Mask, ", ")
		}
	}
	facts(w,
		"  Points", fmt.Sprintf("%d × %d at %s, %s", i.SizeX, i.SizeY, spacing, extent(1e-6*i.Width, 1e-6*i.Height)),
		"  Heights", heights,
		"  Missing", fmt.Sprintf("%.1f %% (%d points)", i.MissingPercent, i.Missing),
		"  Mask", mask,
		"  Instrument", joined(" ", i.Manufacturer, i.Model),
		"  Serial", i.Serial,
		"  Version", i.Version,
		"  Probing", joined(", ", i.ProbingType, i.ProbingID),
		"  Measured", i.Date,
		"  Calibrated", i.Calibration,
		"  Creator", i.Creator,
		"  Comment", i.Comment,
		"  File", fmt.Sprintf("%d bytes", i.Bytes))
	lines(w, "  Warnings", i.Warnings)
}

// joined leaves out what is empty.
func joined(between string, texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), between)
}
