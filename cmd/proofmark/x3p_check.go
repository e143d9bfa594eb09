package main

import (
	"fmt"
	"io"

	"proofmark/correlate/x3p"
)

type x3pCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Scan files (X3P, ISO 25178-72)." type:"path"`
}

// scanCheck is what check says about a file.
type scanCheck struct {
	File     string        `json:"file"`
	Conforms bool          `json:"conforms"` // to the standard
	Refused  bool          `json:"refused"`  // by a peer
	Surface  bool          `json:"surface"`  // it can be read
	Findings []scanFinding `json:"findings"`
}

type scanFinding struct {
	Part     string `json:"part,omitempty"`
	Problem  string `json:"problem"`
	Standard bool   `json:"standard"` // it departs from the standard
	Refused  bool   `json:"refused"`  // a peer refuses the file for it
}

func (c *x3pCheckCmd) Run(a *app) error {
	all := make([]scanCheck, len(c.Files))
	refused := 0
	for i, path := range c.Files {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		all[i] = checkScan(path)
		if all[i].Refused {
			refused++
		}
	}
	if err := list(a, all, printCheck); err != nil {
		return err
	}
	return verdict(refused, len(all), "would be refused")
}

func checkScan(path string) scanCheck {
	c := scanCheck{File: path, Findings: []scanFinding{}}
	b, err := readScan(path)
	if err != nil {
		c.Refused = true
		c.Findings = append(c.Findings, scanFinding{Problem: err.Error(), Refused: true})
		return c
	}
	r := x3p.CheckBytes(b, x3p.Limits{})
	c.Conforms, c.Refused, c.Surface = r.Conforms(), r.Refused(), r.Scan != nil
	for _, f := range r.Findings {
		c.Findings = append(c.Findings, scanFinding{f.Part, f.Problem, f.Standard, f.Refused})
	}
	return c
}

func printCheck(w io.Writer, c scanCheck) {
	fmt.Fprintln(w, printable(c.File))
	var refused, departs, remarks []string
	for _, f := range c.Findings {
		text := x3p.Finding{Part: f.Part, Problem: f.Problem}.String()
		switch {
		case f.Refused:
			refused = append(refused, text)
		case f.Standard:
			departs = append(departs, text)
		default:
			remarks = append(remarks, text)
		}
	}
	switch {
	case c.Refused:
		lines(w, "A peer refuses it:", refused)
	default:
		fmt.Fprintln(w, "A peer accepts it.")
	}
	lines(w, "It departs from the standard, and is read all the same:", departs)
	lines(w, "Worth knowing:", remarks)
	switch {
	case c.Conforms && c.Surface:
		fmt.Fprintln(w, "It conforms to the standard.")
	case c.Surface:
		fmt.Fprintf(w, "Next:  proofmark x3p convert %s OUT.x3p  writes it in the strict form.\n", argument(c.File))
	}
}
