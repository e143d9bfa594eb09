package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"proofmark/node/control"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

type firearmSearchCmd struct {
	descriptionFlags
	Case   string `help:"Case for which you search."`
	Reason string `help:"Why you search; it stands in the audit log."`
}

func (c *firearmSearchCmd) Run(a *app) error {
	list, err := ask[[]tracing.SearchHit](a, "firearm.search", tracing.SearchQuery{FirearmDescription: c.description(), Case: c.Case, Reason: c.Reason})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, h := range list {
			rows[i] = []string{h.Firearm.Reference, h.Firearm.Status, describeFirearm(&h.Firearm.FirearmDescription), rungWords(h.Rung), remarked(h.Why, h.Remarks)}
		}
		table(w, "No record was reached on any rung of the search ladder. Check each character of the serial number; write ? for those you are not sure of.",
			[]string{"REFERENCE", "STATUS", "FIREARM", "RUNG", "WHY"}, rows)
		if len(rows) > 0 {
			fmt.Fprintln(w, "\nA find is a proposal: a person decides whether it is the firearm.  proofmark firearm show REFERENCE")
		}
	})
}

// rungWords names a step of the search ladder; a lower one is the surer find.
func rungWords(r tracing.Rung) string { return fmt.Sprintf("%d: %s", int(r), r) }

func remarked(why string, remarks []string) string {
	if len(remarks) == 0 {
		return why
	}
	return why + ". But " + strings.Join(remarks, "; ")
}

type firearmListCmd struct {
	Status  string `help:"Only records with this status."`
	Make    string `help:"Only records of this make, however it is spelt."`
	Calibre string `help:"Only records of this family of calibres, or of no known one."`
	Case    string `help:"Only records of this case."`
	After   string `help:"Only records entered after the one with this id: the next page." placeholder:"ID"`
	Limit   int    `help:"At most so many." default:"100"`
}

func (c *firearmListCmd) Run(a *app) error {
	list, err := ask[[]tracing.Firearm](a, "firearm.list",
		tracing.FirearmFilter{Status: c.Status, Make: c.Make, Calibre: c.Calibre, Case: c.Case, After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, f := range list {
			rows[i] = []string{f.Reference, f.Status, day(f.StatusDate), f.Kind, orDash(f.Make), orDash(f.Model), orDash(f.Calibre), orDash(f.Serial), f.SerialState, orDash(f.Case)}
		}
		table(w, "No record fits: proofmark firearm add, or proofmark firearm import FILE.csv",
			[]string{"REFERENCE", "STATUS", "SINCE", "KIND", "MAKE", "MODEL", "CALIBRE", "SERIAL", "STATE", "CASE"}, rows)
		if c.Limit > 0 && len(list) == c.Limit {
			fmt.Fprintf(w, "\nThere may be more:  --after %s\n", list[len(list)-1].ID)
		}
	})
}

type firearmShowCmd struct {
	Ref string `arg:"" help:"National reference or id."`
}

func (c *firearmShowCmd) Run(a *app) error {
	f, err := ask[tracing.Firearm](a, "firearm.show", control.Ref{Ref: c.Ref})
	if err != nil {
		return err
	}
	return a.show(f, func(w io.Writer) {
		facts(w, "Reference", f.Reference, "Id", f.ID, "Status", f.Status+" since "+day(f.StatusDate), "Case", f.Case)
		printDescription(w, &f.FirearmDescription)
		facts(w, "Serial, canonical", f.SerialCanonical, "First retail sale", day(f.FirstRetailSale), "Recorded", stamp(f.Created)+" by "+f.By, "Import", f.Import)
		if r := f.Recovery; r != nil {
			fmt.Fprintln(w, "\nRecovery")
			facts(w, "Place", r.Place, "Circumstances", r.Circumstances, "Case", r.Case)
			events := []event{{"recovered", r.Occurred.From, ""}}
			for _, e := range []event{{"received", r.Received, ""}, {"entered into this node", r.Entered, f.By}} {
				if !e.at.IsZero() {
					events = append(events, e)
				}
			}
			timeline(w, events)
		}
		if len(f.Custody) > 0 {
			fmt.Fprintln(w, "\nLegal chain")
			printChain(w, f.Custody)
		}
	})
}

func printDescription(w io.Writer, f *protocol.FirearmDescription) {
	year := ""
	if f.Year != 0 {
		year = fmt.Sprint(f.Year)
	}
	facts(w, "Kind", f.Kind, "Action", f.Action, "Make", f.Make, "Manufacturer", f.Manufacturer, "Importer", f.Importer, "Model", f.Model, "Calibre", f.Calibre,
		"Serial", f.Serial, "Serial state", f.SerialState, "Made in", f.CountryOfManufacture, "Year", year, "Marks", f.Marks)
}

// printChain prints a legal chain of custody with the time between its steps.
func printChain(w io.Writer, chain []protocol.CustodyStep) {
	rows := make([][]string, len(chain))
	var before time.Time
	for i, s := range chain {
		between := ""
		if !before.IsZero() && !s.Date.IsZero() {
			between = spell(s.Date.Sub(before))
		}
		rows[i] = []string{strings.ReplaceAll(s.Role, "-", " "), s.Country, orDash(day(s.Date)), orDash(s.Name), between}
		before = s.Date
	}
	table(w, "", []string{"STEP", "COUNTRY", "DATE", "NAME", "AFTER"}, rows)
}
