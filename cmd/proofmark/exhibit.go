package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/protocol"
)

type exhibitCmd struct {
	Add  exhibitAddCmd  `cmd:"" help:"Enter an exhibit: a cartridge case or bullet, from an incident or test-fired."`
	List exhibitListCmd `cmd:"" help:"List the exhibits."`
	Show exhibitShowCmd `cmd:"" help:"Show an exhibit with its scans and stamps."`

	Tag      exhibitTagCmd      `cmd:"" help:"Tag an exhibit with an operation, or take a tag away: what is tagged is shared by the policy's rules for operations."`
	Withdraw exhibitWithdrawCmd `cmd:"" help:"Take back every signature that was published of an exhibit."`
}

type exhibitAddCmd struct {
	Number    string   `required:"" help:"Exhibit number, unique in this node."`
	Case      string   `required:"" help:"Case number."`
	Origin    string   `required:"" enum:"evidence,test-fire" help:"evidence of an incident, or test-fire from a recovered firearm."`
	Calibre   string   `required:"" help:"Calibre, such as \"9x19\"."`
	Kind      string   `help:"cartridge-case or bullet." enum:"cartridge-case,bullet" default:"cartridge-case"`
	Incident  string   `help:"Id of the incident, where the case has several." placeholder:"ID"`
	Firearm   string   `help:"National reference of the recovered firearm, for a test fire." placeholder:"REF"`
	FiringPin string   `help:"Shape of the firing pin: circular, rectangular, elliptical, rim, other, unknown." placeholder:"SHAPE"`
	Pattern   string   `help:"Breech-face pattern: parallel, arched, circular, cross-hatch, granular, smooth, unknown."`
	Handling  []string `help:"Handling code that the exhibit carries by itself: H0, H1, H2, H3; with the country whose permission it speaks of where the exhibit or its cast came from abroad, such as H2/ES; once for each." placeholder:"CODE"`
	Operation []string `help:"Number of an operation to tag it with, once for each; before the first scan nothing has gone to anybody." placeholder:"NUMBER"`
	Received  string   `help:"When the laboratory received it; now, if left out." placeholder:"TIME"`
}

func (c *exhibitAddCmd) Run(a *app) error {
	marked, err := protocol.ParseHandling(c.Handling)
	if err != nil {
		return fmt.Errorf("--handling: %w", err)
	}
	n := ballistics.NewExhibit{Number: c.Number, Case: c.Case, Kind: c.Kind, Origin: c.Origin, Incident: c.Incident, Firearm: c.Firearm, Calibre: c.Calibre,
		FiringPin: c.FiringPin, Pattern: c.Pattern, Handling: marked, Operations: c.Operation}
	if c.Received != "" {
		var err error
		if n.Received, err = parseTime(c.Received); err != nil {
			return fmt.Errorf("--received: %w", err)
		}
	}
	e, err := change[ballistics.Exhibit](a, "exhibit.add", n)
	if err != nil {
		return err
	}
	return a.show(e, func(w io.Writer) {
		fmt.Fprintf(w, "Exhibit %s is entered in case %s.\n", printable(e.Number), printable(e.Case))
		fmt.Fprintf(w, "\nNext:  %s\n", nextAcquire(e.Number, e.Kind))
	})
}

type exhibitListCmd struct {
	Case string `help:"Only those of this case."`
}

func (c *exhibitListCmd) Run(a *app) error {
	list, err := ask[[]ballistics.ExhibitView](a, "exhibit.list", control.CaseRef{Case: c.Case})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, e := range list {
			rows[i] = []string{e.Number, e.Case, e.Kind, e.Origin, e.Calibre, stamp(e.Received), stamp(e.Entered), fmt.Sprint(len(e.Acquisitions))}
		}
		table(w, "There are no exhibits yet: proofmark exhibit add --number NUMBER --case CASE --origin evidence --calibre CALIBRE",
			[]string{"EXHIBIT", "CASE", "KIND", "ORIGIN", "CALIBRE", "RECEIVED", "ENTERED", "SCANS"}, rows)
	})
}

type exhibitShowCmd struct {
	Ref string `arg:"" help:"Exhibit number or id."`
}

func (c *exhibitShowCmd) Run(a *app) error {
	e, err := ask[ballistics.ExhibitView](a, "exhibit.show", control.Ref{Ref: c.Ref})
	if err != nil {
		return err
	}
	return a.show(e, func(w io.Writer) {
		facts(w, "Exhibit", e.Number, "Id", e.ID, "Case", e.Case, "Kind", e.Kind, "Origin", e.Origin, "Incident", e.Incident, "Firearm", e.Firearm, "Calibre", e.Calibre,
			"Firing pin", e.FiringPin, "Breech face", e.Pattern, "Handling", codes(e.Handling), "Operations", strings.Join(e.Operations, " "))
		fmt.Fprintln(w)
		events := []event{{"received by the laboratory", e.Received, ""}, {"entered into this node", e.Entered, e.By}}
		for _, q := range e.Acquisitions {
			events = append(events, event{"scanned, " + string(q.ROI), q.At, q.Operator})
		}
		timeline(w, events)
		fmt.Fprintln(w)
		rows := make([][]string, len(e.Acquisitions))
		for i, q := range e.Acquisitions {
			rows[i] = []string{string(q.ROI), scanFiles(q), spacing(q), fmt.Sprintf("%.2f", q.Quality.Score), fmt.Sprintf("%d bytes", q.Bytes), q.Signature, orDash(remarks(q, e.Withdrawn[q.Signature]))}
		}
		table(w, "It has not been scanned yet: "+nextAcquire(e.Number, e.Kind),
			[]string{"REGION", "FILE", "SPACING", "QUALITY", "SIZE", "SIGNATURE", "REMARKS"}, rows)
	})
}

// nextAcquire is the command that scans an exhibit of this kind.
func nextAcquire(number, kind string) string {
	if kind == protocol.Bullet {
		return "proofmark acquire --exhibit " + argument(number) + " --roi lea LAND-1.x3p LAND-2.x3p LAND-3.x3p ..."
	}
	return "proofmark acquire --exhibit " + argument(number) + " --roi breech-face SCAN.x3p"
}

// scanFiles names the files of an acquisition on one line.
func scanFiles(q *ballistics.Acquisition) string {
	names := make([]string, len(q.Scans))
	for i := range q.Scans {
		names[i] = orDash(q.Scans[i].File)
	}
	if q.Mask != nil {
		names = append(names, "mask "+q.Mask.File)
	}
	return strings.Join(names, ", ")
}

// spacing is the lateral spacing of an acquisition's scans, which one instrument makes alike.
func spacing(q *ballistics.Acquisition) string {
	least, most := 0.0, 0.0
	for i := range q.Scans {
		if r := q.Scans[i].Resolution; r > 0 {
			most = max(most, r)
			if least == 0 || r < least {
				least = r
			}
		}
	}
	if least != most {
		return fmt.Sprintf("%.2f to %.2f µm", least, most)
	}
	return fmt.Sprintf("%.2f µm", most)
}

// remarks are what quality and files give to say.
func remarks(q *ballistics.Acquisition, withdrawn time.Time) string {
	out := slices.Clone(q.Quality.Reasons)
	if !withdrawn.IsZero() {
		out = append([]string{"withdrawn " + stamp(withdrawn)}, out...)
	}
	for i := range q.Scans {
		for _, warning := range q.Scans[i].Warnings {
			out = append(out, q.Scans[i].File+": "+warning)
		}
	}
	return strings.Join(out, "; ")
}
