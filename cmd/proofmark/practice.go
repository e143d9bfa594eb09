package main

import (
	"bytes"
	"fmt"
	"io"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

type practiceCmd struct {
	Scan   practiceScanCmd   `cmd:"" help:"Generate the scan of a breech face that never existed: equal numbers give equal files."`
	Bullet practiceBulletCmd `cmd:"" help:"Generate the scans of the lands of a bullet that never existed: equal numbers give equal files."`
}

type practiceBulletCmd struct {
	Barrel   uint64  `required:"" help:"Number of the barrel: bullets of the same one are mates."`
	Shot     uint64  `required:"" help:"Number of the shot: each begins with another land and is marked in its own way."`
	Strength float64 `help:"Height of the striae: 1 is usual, at 0.1 the quality gate refuses most lands." default:"2" placeholder:"FACTOR"`
	Out      string  `required:"" help:"Beginning of the files' names: NAME-land-1.x3p and so on; none is ever overwritten." type:"path" placeholder:"NAME"`
}

// practiceRows along the striae of a generated land, 200 µm: enough for their direction, and small files.
const practiceRows = 128

func (c *practiceBulletCmd) Run(a *app) error {
	if !(c.Strength > 0 && c.Strength <= 10) { // also refuses NaN
		return fmt.Errorf("--strength: %v is no factor for striae: give a number above 0 and up to 10", c.Strength)
	}
	scans, _ := synth.NewBarrel(c.Barrel, synth.Rifling{Strength: c.Strength}).FireBullet(c.Shot, synth.LandShot{Rows: practiceRows})
	files := make([]newFile, len(scans))
	made := struct {
		Files     []string `json:"files"`
		Generated bool     `json:"generated"`
		Barrel    uint64   `json:"barrel"`
		Shot      uint64   `json:"shot"`
	}{Generated: true, Barrel: c.Barrel, Shot: c.Shot}
	for i, s := range scans {
		var b bytes.Buffer
		if err := x3p.Write(&b, s); err != nil {
			return fmt.Errorf("practice bullet, land %d: %w", i+1, err)
		}
		files[i] = newFile{fmt.Sprintf("%s-land-%d.x3p", c.Out, i+1), b.Bytes(), 0o644}
		made.Files = append(made.Files, files[i].path)
	}
	if err := createFiles(files...); err != nil {
		return err
	}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s to %s are generated, not measured: the lands of shot %d of the simulated barrel %d, in their order around the bullet. Their comments say so too.\n",
			made.Files[0], made.Files[len(made.Files)-1], c.Shot, c.Barrel)
		fmt.Fprintln(w, "They are for practice alone: never enter them at a node that works on real cases.")
		fmt.Fprintf(w, "\nNext:  proofmark acquire --exhibit NUMBER --roi lea")
		for _, f := range made.Files {
			fmt.Fprintf(w, " %s", argument(f))
		}
		fmt.Fprintln(w)
	})
}

type practiceScanCmd struct {
	Maker   uint64  `help:"Number of the maker: its firearms share the kind of machining." default:"1"`
	Firearm uint64  `required:"" help:"Number of the firearm: scans of the same one are mates."`
	Shot    uint64  `required:"" help:"Number of the shot: each is turned, shifted and struck in its own way."`
	Contact float64 `help:"Share of the face that touched, above 0 and up to 1; as it is typical, if left out." placeholder:"SHARE"`
	Class   string  `help:"Class of the firearm, such as striker-rectangular (an unknown name is answered with all of them); one of three that the number of the maker draws, if left out." placeholder:"NAME"`
	Whole   bool    `help:"Show the whole primer as the instrument sees it, with firing-pin impression and case head, instead of the cropped ring."`
	Measure string  `help:"Instrument: confocal (NA 0.30), confocal-high (NA 0.80), focus-variation or elastomer." enum:"confocal,confocal-high,focus-variation,elastomer" default:"confocal"`
	Rounds  int     `help:"Rounds fired with the firearm before this shot: its marks wear."`
	Out     string  `required:"" help:"Scan file to make (X3P); it is never overwritten." type:"path" placeholder:"FILE"`
}

// mostRounds is more than a service pistol lives.
const mostRounds = 1_000_000

var instruments = map[string]synth.Instrument{
	"confocal":        {},
	"confocal-high":   synth.Confocal(0.80),
	"focus-variation": synth.FocusVariation(),
	"elastomer":       synth.Elastomer(),
}

func (c *practiceScanCmd) Run(a *app) error {
	if !(c.Contact >= 0 && c.Contact <= 1) { // also refuses NaN
		return fmt.Errorf("--contact: %v is no share of a face: give a number above 0 and up to 1", c.Contact)
	}
	if c.Rounds < 0 || c.Rounds > mostRounds {
		return fmt.Errorf("--rounds: %d: give a number from 0 to %d", c.Rounds, mostRounds)
	}
	maker := synth.NewMaker(c.Maker)
	if c.Class != "" {
		class, err := synth.ClassNamed(c.Class)
		if err != nil {
			return fmt.Errorf("--class: %w", err)
		}
		maker = class.Maker(c.Maker)
	}
	shot := synth.Shot{Contact: c.Contact, Whole: c.Whole, Instrument: instruments[c.Measure]}
	scan := maker.Firearm(c.Firearm).After(c.Rounds).Fire(c.Shot, shot)
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
