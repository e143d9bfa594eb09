package main

import (
	"bytes"
	"fmt"
	"io"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

type practiceCmd struct {
	Scan practiceScanCmd `cmd:"" help:"Generate the scan of a breech face that never existed: equal numbers give equal files."`
}

type practiceScanCmd struct {
	Maker   uint64  `help:"Number of the maker: its firearms share the kind of machining." default:"1"`
	Firearm uint64  `required:"" help:"Number of the firearm: scans of the same one are mates."`
	Shot    uint64  `required:"" help:"Number of the shot: each is turned, shifted and struck in its own way."`
	Contact float64 `help:"Share of the face that touched, above 0 and up to 1; as it is typical, if left out." placeholder:"SHARE"`
	Out     string  `required:"" help:"Scan file to make (X3P); it is never overwritten." type:"path" placeholder:"FILE"`
}

func (c *practiceScanCmd) Run(a *app) error {
	if !(c.Contact >= 0 && c.Contact <= 1) { // also refuses NaN
		return fmt.Errorf("--contact: %v is no share of a face: give a number above 0 and up to 1", c.Contact)
	}
	scan := synth.NewMaker(c.Maker).Firearm(c.Firearm).Fire(c.Shot, synth.Shot{Contact: c.Contact})
	var b bytes.Buffer
	if err := x3p.Write(&b, scan); err != nil {
		return fmt.Errorf("practice scan: %w", err)
	}
	if err := createFiles(newFile{c.Out, b.Bytes(), 0o644}); err != nil {
		return err
	}
	made := struct {
		File      string `json:"file"`
		Bytes     int    `json:"bytes"`
		Generated bool   `json:"generated"`
		Maker     uint64 `json:"maker"`
		Firearm   uint64 `json:"firearm"`
		Shot      uint64 `json:"shot"`
	}{c.Out, b.Len(), true, c.Maker, c.Firearm, c.Shot}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s is generated, not measured: shot %d of the simulated firearm %d (maker %d). Its comment says so too.\n", c.Out, c.Shot, c.Firearm, c.Maker)
		fmt.Fprintln(w, "It is for practice alone: never enter it at a node that works on real cases.")
		fmt.Fprintf(w, "\nNext:  proofmark acquire --exhibit NUMBER --roi breech-face %s\n", argument(c.Out))
	})
}
