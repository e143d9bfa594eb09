package main

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"path/filepath"

	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
	"proofmark/correlate/x3p/render"
)

type x3pRenderCmd struct {
	File         string  `arg:"" help:"Scan file (X3P)." type:"path"`
	Out          string  `required:"" help:"Picture to make (PNG); it is never overwritten." type:"path" placeholder:"PNG"`
	Colour       bool    `help:"Colour by height." aliases:"color"`
	Level        string  `help:"What is taken off before drawing: none, plane (tilt) or curve (tilt and curvature)." enum:"none,plane,curve" default:"plane"`
	Azimuth      float64 `help:"Where the light comes from, degrees clockwise from the top." default:"315"`
	Altitude     float64 `help:"How high the light stands, degrees; low light shows fine marks." default:"40"`
	Exaggeration float64 `help:"Factor of all slopes; chosen by the steepness of the surface, if left out." placeholder:"FACTOR"`
	Size         int     `help:"Pixels of the longer side of the surface; about one per point, if left out." placeholder:"PIXELS"`
	Title        string  `help:"First line of the legend; the name of the file, if left out."`
	Bare         bool    `help:"The surface alone without a legend, one pixel per point: what a mask can be painted on."`
}

var forms = map[string]edit.Form{"none": edit.AsMeasured, "plane": edit.Plane, "curve": edit.Curve}

func (c *x3pRenderCmd) Run(a *app) error {
	b, err := readScan(c.File)
	if err != nil {
		return err
	}
	s, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	o := render.Options{Title: c.Title, Longest: c.Size, Azimuth: c.Azimuth, Altitude: c.Altitude, Exaggeration: c.Exaggeration, Colour: c.Colour, Form: forms[c.Level], Bare: c.Bare}
	if o.Title == "" {
		o.Title = printable(filepath.Base(c.File))
	}
	picture, err := render.Image(s, o)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return fmt.Errorf("%s: %w", c.Out, err)
	}
	if err := createFiles(newFile{c.Out, out.Bytes(), 0o644}); err != nil {
		return err
	}
	made := struct {
		File     string   `json:"file"`
		Width    int      `json:"width"`
		Height   int      `json:"height"`
		Bytes    int      `json:"bytes"`
		Warnings []string `json:"warnings,omitempty"`
	}{c.Out, picture.Rect.Dx(), picture.Rect.Dy(), out.Len(), s.Warnings}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s is drawn: %d × %d pixels.\n", printable(c.Out), made.Width, made.Height)
		lines(w, "The scan file:", made.Warnings)
	})
}
