package main

import (
	"fmt"
	"io"
	"path/filepath"

	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/node/control"
)

type acquireCmd struct {
	Exhibit     string `required:"" help:"Exhibit number or id."`
	ROI         string `name:"roi" required:"" help:"Region of interest: breech-face." placeholder:"REGION"`
	Instrument  string `help:"Instrument, where the file does not name it."`
	Replica     bool   `help:"The scan is of a replica (a resin double cast)."`
	Certificate string `help:"Certificate of the replica." placeholder:"NUMBER"`
	Scan        string `arg:"" help:"Scan file (X3P, ISO 25178-72)." type:"path"`
}

func (c *acquireCmd) Run(a *app) error {
	file, err := readFile("scan", c.Scan, min(x3p.DefaultLimits().MaxFile, control.MaxUpload))
	if err != nil {
		return err
	}
	acq, err := upload[ballistics.Acquisition](a, "acquire", ballistics.NewAcquisition{Exhibit: c.Exhibit, ROI: c.ROI, File: filepath.Base(c.Scan),
		Instrument: c.Instrument, Replica: c.Replica, Certificate: c.Certificate}, file)
	if err != nil {
		return err
	}
	return a.show(acq, func(w io.Writer) {
		fmt.Fprintf(w, "The %s of exhibit %s is acquired: %d bytes of scan, %d bytes of signature, quality %.2f of 1.\n", acq.ROI, printable(acq.Number), acq.ScanBytes,
			acq.Bytes, acq.Quality.Score)
		for _, reason := range acq.Quality.Reasons {
			fmt.Fprintf(w, "Quality: %s\n", printable(reason))
		}
		for _, warning := range acq.Warnings {
			fmt.Fprintf(w, "File: %s\n", printable(warning))
		}
		fmt.Fprintln(w, "The signature goes to each member that the sharing policy permits, and is compared with all that this node holds; the scan stays here.")
		fmt.Fprintf(w, "\nNext:  proofmark candidates list --exhibit %s\n", argument(acq.Number))
	})
}
