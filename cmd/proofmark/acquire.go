package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/node/control"
)

type acquireCmd struct {
	Exhibit     string   `required:"" help:"Exhibit number or id."`
	ROI         string   `name:"roi" required:"" help:"Region of interest: breech-face, firing-pin or aperture-shear of a cartridge case; lea, the land engraved areas of a bullet." placeholder:"REGION"`
	Mask        string   `help:"Picture (PNG, one pixel per point of the scan) of the region as a person drew it: light belongs to it. It wins over what the program would find." type:"path" placeholder:"FILE"`
	Instrument  string   `help:"Instrument, where the file does not name it."`
	Replica     bool     `help:"The scan is of a replica (a resin double cast)."`
	Certificate string   `help:"Certificate of the replica." placeholder:"NUMBER"`
	Scan        []string `arg:"" help:"Scan file (X3P, ISO 25178-72). Of a bullet one for each land, in their order around it; - for a land without a scan." type:"path"`
}

// noScan stands on the command line for a land of which there is no scan.
const noScan = "-"

func (c *acquireCmd) Run(a *app) error {
	n := ballistics.NewAcquisition{Exhibit: c.Exhibit, ROI: c.ROI, Instrument: c.Instrument, Replica: c.Replica, Certificate: c.Certificate}
	var files [][]byte
	left := int64(control.MaxUpload) // all files travel in one command
	read := func(what, path string) (ballistics.File, error) {
		b, err := readFile(what, path, min(x3p.DefaultLimits().MaxFile, left))
		if err != nil && left < control.MaxUpload {
			err = fmt.Errorf("%w (the files of one acquisition may have %d bytes together)", err, int64(control.MaxUpload))
		}
		if err != nil {
			return ballistics.File{}, err
		}
		left -= int64(len(b))
		files = append(files, b)
		return ballistics.File{Name: filepath.Base(path), Size: int64(len(b))}, nil
	}
	for _, path := range c.Scan {
		if path == noScan {
			n.Scans = append(n.Scans, ballistics.File{})
			continue
		}
		f, err := read("scan", path)
		if err != nil {
			return err
		}
		n.Scans = append(n.Scans, f)
	}
	if c.Mask != "" {
		f, err := read("mask", c.Mask)
		if err != nil {
			return err
		}
		n.Mask = &f
	}
	acq, err := upload[ballistics.Acquisition](a, "acquire", n, files...)
	if err != nil {
		return err
	}
	return a.show(acq, func(w io.Writer) { printAcquisition(w, &acq) })
}

func printAcquisition(w io.Writer, acq *ballistics.Acquisition) {
	region := "The " + string(acq.ROI) + " of exhibit " + printable(acq.Number) + " is"
	if acq.ROI == correlate.LEA {
		region = fmt.Sprintf("The %d land engraved areas of exhibit %s are", len(acq.Scans), printable(acq.Number))
	}
	fmt.Fprintf(w, "%s acquired: %d bytes of scan, %d bytes of signature, quality %.2f of 1.\n", region, acq.ScanBytes(), acq.Bytes, acq.Quality.Score)
	if acq.Mask != nil {
		fmt.Fprintf(w, "Mask: the region is what was drawn in %s.\n", printable(acq.Mask.File))
	}
	if acq.ROI == correlate.LEA {
		printLands(w, acq.Scans)
	} else {
		for _, reason := range acq.Quality.Reasons {
			fmt.Fprintf(w, "Quality: %s\n", printable(reason))
		}
	}
	for i := range acq.Scans {
		for _, warning := range acq.Scans[i].Warnings {
			fmt.Fprintf(w, "File %s: %s\n", printable(acq.Scans[i].File), printable(warning))
		}
	}
	fmt.Fprintln(w, "The signature goes to each member that the sharing policy permits, and is compared with all that this node holds; the scan stays here.")
	fmt.Fprintf(w, "\nNext:  proofmark candidates list --exhibit %s\n", argument(acq.Number))
}

// printLands prints what was found of each land.
func printLands(w io.Writer, scans []ballistics.Scan) {
	rows := make([][]string, len(scans))
	for i := range scans {
		s := &scans[i]
		row := []string{fmt.Sprint(i + 1), orDash(s.File), "–", "–", "below the gate", ""}
		if l := s.Land; l != nil {
			if l.Width > 0 {
				row[2], row[3] = fmt.Sprintf("%.2f µm", l.RMS), fmt.Sprintf("%.2f mm", l.Width/1000)
			}
			if l.Accept {
				row[4] = "compared"
			}
			row[5] = orDash(strings.Join(l.Reasons, "; "))
		}
		rows[i] = row
	}
	table(w, "", []string{"LAND", "FILE", "STRIAE", "WIDTH", "", "QUALITY"}, rows)
}
