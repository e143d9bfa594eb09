package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"proofmark/cmd/proofmark/demo"
)

type demoCmd struct {
	Once  bool   `help:"Play to the end and stop, instead of leaving the federation running."`
	Scans string `help:"Folder with X3P scans and their truth.csv (scan,source); ../shared/scans/fadul where it is there, otherwise simulated scans." type:"path" placeholder:"DIR"`
	Dir   string `help:"Keep everything in this new folder; the default is a temporary one, removed at the end of --once." type:"path" placeholder:"DIR"`
	Seed  uint64 `help:"Seed of the simulated scans." default:"1"`

	Picture string `help:"Draw the day in this file (SVG); of simulated scans only." type:"path" placeholder:"FILE"`
}

func (c *demoCmd) Run(a *app) error {
	if err := checkPicture(c.Picture); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("the demo starts this program again as daemon: %w", err)
	}
	if c.Scans == "" && c.Picture == "" {
		if st, err := os.Stat(demo.DefaultScans); err == nil && st.IsDir() {
			c.Scans = demo.DefaultScans
		}
	}
	o := demo.Options{Program: program, Dir: c.Dir, Scans: c.Scans, Seed: c.Seed, Once: c.Once, Picture: c.Picture, Out: a.out, Now: wallClock, Cost: argonCost}
	if a.JSON {
		o.Out = a.err
	}
	if f, ok := o.Out.(*os.File); ok {
		o.Terminal = term.IsTerminal(int(f.Fd()))
	}
	result, err := demo.Run(a.ctx, o)
	if a.JSON {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		err = errors.Join(err, enc.Encode(result))
	}
	return err
}
