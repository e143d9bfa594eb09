package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"proofmark/correlate/x3p"
)

// x3pCmd holds what can be done with scan files alone: no node has to run, and nobody has to be logged in.
type x3pCmd struct {
	Info    x3pInfoCmd    `cmd:"" help:"Show what scans hold: size, spacing, heights, instrument, dates, warnings."`
	Check   x3pCheckCmd   `cmd:"" help:"Say what is wrong with scan files against the standard, and what a peer would refuse."`
	Render  x3pRenderCmd  `cmd:"" help:"Draw a scan as a relief under a light, with scale bar and legend (PNG)."`
	Convert x3pConvertCmd `cmd:"" help:"Write a scan again in the strict form of the standard; cut, mask, turn, resample it, or correct its units, where told to."`
}

// readScan returns the bytes of a scan file.
func readScan(path string) ([]byte, error) {
	return readFile("scan", path, x3p.DefaultLimits().MaxFile)
}

// micro is a length in µm without the rounding of its conversion.
func micro(metres float64) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(1e6*metres, 'g', 12, 64), 64)
	if err != nil {
		return 1e6 * metres
	}
	return v
}

// figure writes a number with a few digits, as people do.
func figure(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }

// extent is a size in µm, or mm where it is large.
func extent(x, y float64) string {
	if unit := 1e-3; math.Max(x, y) >= unit {
		return figure(x/unit) + " × " + figure(y/unit) + " mm"
	}
	return figure(1e6*x) + " × " + figure(1e6*y) + " µm"
}

// list prints several results as an array with --json, otherwise one after the other.
func list[T any](a *app, all []T, text func(w io.Writer, v T)) error {
	if a.JSON {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	for i, v := range all {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		text(a.out, v)
	}
	return nil
}

// lines prints texts under a heading, if there are any.
func lines(w io.Writer, heading string, texts []string) {
	if len(texts) == 0 {
		return
	}
	fmt.Fprintln(w, heading)
	for _, t := range texts {
		fmt.Fprintf(w, "  %s\n", printable(t))
	}
}

var errScans = errors.New("not every scan is in order")

// verdict is the error for n of all files, nil for none of them.
func verdict(n, all int, what string) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errScans, strings.TrimSpace(fmt.Sprintf("%d of %s %s", n, count(all, "file"), what)))
}
