package main

import (
	"bytes"
	"fmt"
	"image/color"
	"strings"

	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// edit does to the surface what the flags say, in this order: units, mask, crop, rotation, spacing. A mask is of the points of the file, so it comes
// before anything that moves them.
func (c *x3pConvertCmd) edit(s *x3p.Scan, file []byte, made *converted) (*x3p.Scan, error) {
	for _, step := range []func(*x3p.Scan, []byte) (*x3p.Scan, string, error){c.correctUnits, c.applyMask, c.cut, c.turn, c.respace} {
		next, done, err := step(s, file)
		if err != nil {
			return nil, err
		}
		if done != "" {
			made.Steps = append(made.Steps, done)
		}
		s = next
	}
	return s, nil
}

// toTheMetre is how many of a unit make a metre.
func toTheMetre(flag, unit string) (float64, error) {
	switch unit {
	case "":
		return 1, nil
	case "um", "µm", "μm": // the micro sign and the Greek letter
		return 1e6, nil
	case "mm":
		return 1e3, nil
	}
	return 0, fmt.Errorf("%s: %q is neither um nor mm", flag, unit)
}

func (c *x3pConvertCmd) correctUnits(s *x3p.Scan, _ []byte) (*x3p.Scan, string, error) {
	spacing, height := c.SpacingUnits, c.HeightUnits
	if c.Units != "" {
		if spacing != "" || height != "" {
			return nil, "", fmt.Errorf("--units is of spacings and heights: give it alone, or --spacing-units and --height-units")
		}
		spacing, height = c.Units, c.Units
	}
	if spacing == "" && height == "" {
		return s, "", nil
	}
	x, err := toTheMetre("--spacing-units", spacing)
	if err != nil {
		return nil, "", err
	}
	z, err := toTheMetre("--height-units", height)
	if err != nil {
		return nil, "", err
	}
	var done []string
	if x != 1 {
		done = append(done, fmt.Sprintf("spacings from %s to metres", spacing))
	}
	if z != 1 {
		done = append(done, fmt.Sprintf("heights from %s to metres", height))
	}
	out, err := edit.InMetres(s, x, z)
	return out, strings.Join(done, ", "), err
}

func (c *x3pConvertCmd) applyMask(s *x3p.Scan, file []byte) (*x3p.Scan, string, error) {
	if c.Mask == "" {
		if len(c.Keep) > 0 {
			return nil, "", fmt.Errorf("--keep is of a mask: name it with --mask")
		}
		return s, "", nil
	}
	mask, err := c.readMask(s, file)
	if err != nil {
		return nil, "", err
	}
	before := s.Missing()
	out, err := mask.Apply(s)
	if err != nil {
		return nil, "", err
	}
	return out, fmt.Sprintf("masked, %d points taken out", out.Missing()-before), nil
}

func (c *x3pConvertCmd) readMask(s *x3p.Scan, file []byte) (edit.Mask, error) {
	if c.Mask != "own" {
		b, err := readFile("mask", c.Mask, x3p.DefaultLimits().MaxFile)
		if err != nil {
			return edit.Mask{}, err
		}
		picture, err := x3p.DecodeMask(b, s.SizeX, s.SizeY)
		if err != nil {
			return edit.Mask{}, fmt.Errorf("mask %s %w", c.Mask, err)
		}
		if len(c.Keep) == 0 {
			return edit.FromPicture(picture, edit.Light), nil
		}
		colours, err := c.keptColours(nil)
		return edit.FromPicture(picture, edit.Among(colours...)), err
	}
	own, err := x3p.ReadMask(bytes.NewReader(file), int64(len(file)), s.SizeX, s.SizeY, x3p.Limits{})
	if err != nil {
		return edit.Mask{}, err
	}
	if len(c.Keep) == 0 {
		return edit.FromPicture(own.Picture, edit.Among(own.Background)), nil
	}
	colours, err := c.keptColours(own.Labels)
	return edit.FromPicture(own.Picture, edit.Among(colours...)), err
}

func (c *x3pConvertCmd) keptColours(labels []x3p.MaskLabel) (colours []color.NRGBA, err error) {
	var known []string
	for _, l := range labels {
		known = append(known, l.Text)
	}
next:
	for _, keep := range c.Keep {
		for _, l := range labels {
			if l.Text == keep {
				colours = append(colours, l.Color)
				continue next
			}
		}
		colour, err := x3p.ParseColor(keep)
		if err != nil && len(known) > 0 {
			return nil, fmt.Errorf("--keep: %w, and the mask has no such label (it has %s)", err, strings.Join(known, ", "))
		}
		if err != nil {
			return nil, fmt.Errorf("--keep: %w", err)
		}
		colours = append(colours, colour)
	}
	return colours, nil
}

func (c *x3pConvertCmd) cut(s *x3p.Scan, _ []byte) (*x3p.Scan, string, error) {
	const um = 1e6 // to the metre
	switch v := c.Crop; len(v) {
	case 0:
		return s, "", nil
	case 3:
		out, err := edit.CropCircle(s, edit.Circle{X: v[0] / um, Y: v[1] / um, R: v[2] / um})
		return out, fmt.Sprintf("cut to the circle of %g µm about (%g, %g) µm", v[2], v[0], v[1]), err
	case 4:
		out, err := edit.Crop(s, edit.Rect{X0: v[0] / um, Y0: v[1] / um, X1: v[2] / um, Y1: v[3] / um})
		return out, fmt.Sprintf("cut to (%g, %g) to (%g, %g) µm", v[0], v[1], v[2], v[3]), err
	}
	return nil, "", fmt.Errorf("--crop: %d numbers are neither left,top,right,bottom nor x,y,radius", len(c.Crop))
}

func (c *x3pConvertCmd) turn(s *x3p.Scan, _ []byte) (*x3p.Scan, string, error) {
	if c.Rotate == nil {
		return s, "", nil
	}
	out, err := edit.Rotate(s, *c.Rotate)
	return out, fmt.Sprintf("turned by %g° counter-clockwise", *c.Rotate), err
}

func (c *x3pConvertCmd) respace(s *x3p.Scan, _ []byte) (*x3p.Scan, string, error) {
	if c.Resample == nil {
		return s, "", nil
	}
	out, err := edit.Resample(s, *c.Resample/1e6)
	return out, fmt.Sprintf("resampled to %g µm", *c.Resample), err
}
