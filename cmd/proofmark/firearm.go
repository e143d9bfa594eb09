package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"proofmark/node/control"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

type firearmCmd struct {
	Add    firearmAddCmd    `cmd:"" help:"Record a firearm: lost, stolen, trafficked, seized, registered or recovered."`
	Import firearmImportCmd `cmd:"" help:"Record the firearms of a CSV file, all or none."`
	Search firearmSearchCmd `cmd:"" help:"Search this country's records by a serial number, as far as it can be read."`
	List   firearmListCmd   `cmd:"" help:"List the records."`
	Show   firearmShowCmd   `cmd:"" help:"Show a record."`
}

// descriptionFlags describe a firearm: what it is and what is marked on it.
type descriptionFlags struct {
	Kind                 string `help:"pistol, revolver, rifle, …"`
	Action               string `help:"Type of action: semi-automatic, bolt, …"`
	Make                 string `help:"Brand as marked."`
	Manufacturer         string `help:"Actual manufacturer, where it differs from the make."`
	Importer             string `help:"Importer as marked."`
	Model                string `help:"Model designation."`
	Calibre              string `help:"Calibre, such as \"9x19\"."`
	Serial               string `help:"Serial number as read; ? for each character that cannot be read."`
	SerialState          string `help:"CLEAR, PARTIAL, OBLITERATED, RESTORED or NOT_MARKED." placeholder:"STATE"`
	CountryOfManufacture string `help:"Country code." placeholder:"CC"`
	Year                 int    `help:"Year of manufacture."`
	Marks                string `help:"Proof, import and other marks."`
}

func (d *descriptionFlags) description() protocol.FirearmDescription {
	return protocol.FirearmDescription{Kind: d.Kind, Action: d.Action, Make: d.Make, Manufacturer: d.Manufacturer, Importer: d.Importer, Model: d.Model,
		Calibre: d.Calibre, Serial: d.Serial, SerialState: d.SerialState, CountryOfManufacture: d.CountryOfManufacture, Year: d.Year, Marks: d.Marks}
}

// describeFirearm writes a description in one line; nothing for none.
func describeFirearm(f *protocol.FirearmDescription) string {
	if f == nil {
		return ""
	}
	var out []string
	for _, s := range []string{cmp.Or(f.Make, f.Manufacturer), f.Model, f.Kind, f.Calibre} {
		if s != "" {
			out = append(out, s)
		}
	}
	switch {
	case f.Serial != "":
		out = append(out, "no. "+f.Serial)
	case f.SerialState != "":
		out = append(out, "serial number "+f.SerialState)
	}
	return strings.Join(out, " ")
}

type firearmAddCmd struct {
	Reference  string `required:"" help:"National reference, unique in the country."`
	Status     string `required:"" enum:"lost,stolen,trafficked,seized,registered,recovered" help:"lost, stolen, trafficked, seized, registered or recovered."`
	StatusDate string `required:"" help:"Since when." placeholder:"DATE"`
	descriptionFlags
	Case                  string   `help:"Case number."`
	RecoveredAt           string   `help:"When it was recovered, or the earliest it can have been." placeholder:"TIME"`
	RecoveredUntil        string   `help:"The latest it can have been recovered." placeholder:"TIME"`
	RecoveredPlace        string   `help:"Where it was recovered." placeholder:"PLACE"`
	RecoveredCircumstance string   `name:"recovered-circumstances" help:"In which circumstances it was recovered." placeholder:"TEXT"`
	RecoveredCase         string   `help:"Case in which it was recovered." placeholder:"CASE"`
	RecoveredReceived     string   `help:"When the bureau or laboratory received it." placeholder:"TIME"`
	Custody               []string `sep:"none" help:"Step of the legal chain, in its order, once for each: \"ROLE CC [DATE] [NAME]\", such as \"retailer DE 2019-03-01 Waffen Huber\"." placeholder:"STEP"`
	FirstSale             string   `help:"Date of the first retail sale; that of the first purchaser, if left out." placeholder:"DATE"`
}

func (c *firearmAddCmd) record() (tracing.NewFirearm, error) {
	f := tracing.NewFirearm{Reference: c.Reference, Status: c.Status, FirearmDescription: c.description(), Case: c.Case}
	var err error
	if f.StatusDate, err = parseDay(c.StatusDate); err != nil {
		return f, fmt.Errorf("--status-date: %w", err)
	}
	if c.FirstSale != "" {
		if f.FirstRetailSale, err = parseDay(c.FirstSale); err != nil {
			return f, fmt.Errorf("--first-sale: %w", err)
		}
	}
	for _, s := range c.Custody {
		step, err := parseCustody(s)
		if err != nil {
			return f, fmt.Errorf("--custody: %w", err)
		}
		f.Custody = append(f.Custody, step)
	}
	if c.RecoveredAt == "" {
		if c.RecoveredUntil+c.RecoveredPlace+c.RecoveredCircumstance+c.RecoveredCase+c.RecoveredReceived != "" {
			return f, errors.New("a recovery needs its time: add --recovered-at, with --recovered-until where it is not known exactly")
		}
		return f, nil
	}
	r := &tracing.Recovery{Place: c.RecoveredPlace, Circumstances: c.RecoveredCircumstance, Case: c.RecoveredCase}
	if r.Occurred, err = parseInterval("--recovered-at", c.RecoveredAt, "--recovered-until", c.RecoveredUntil, parseDay); err != nil {
		return f, err
	}
	if c.RecoveredReceived != "" {
		if r.Received, err = parseDay(c.RecoveredReceived); err != nil {
			return f, fmt.Errorf("--recovered-received: %w", err)
		}
	}
	f.Recovery = r
	return f, nil
}

// parseCustody reads a step of the legal chain: role, country, and the date and name where they are known.
func parseCustody(s string) (protocol.CustodyStep, error) {
	words := strings.Fields(s)
	if len(words) < 2 {
		return protocol.CustodyStep{}, fmt.Errorf("%q is not a step such as \"retailer DE 2019-03-01 Waffen Huber\": it begins with the role (%s) and the country",
			s, strings.Join(protocol.CustodyRoles, ", "))
	}
	step := protocol.CustodyStep{Role: words[0], Country: words[1]}
	words = words[2:]
	if len(words) > 0 && words[0][0] >= '0' && words[0][0] <= '9' {
		var err error
		if step.Date, err = parseDay(words[0]); err != nil {
			return step, err
		}
		words = words[1:]
	}
	step.Name = strings.Join(words, " ")
	return step, nil
}

func (c *firearmAddCmd) Run(a *app) error {
	n, err := c.record()
	if err != nil {
		return err
	}
	f, err := change[tracing.Firearm](a, "firearm.add", n)
	if err != nil {
		return err
	}
	return a.show(f, func(w io.Writer) {
		fmt.Fprintf(w, "Firearm %s is on record: %s.\n", printable(f.Reference), printable(describeFirearm(&f.FirearmDescription)))
		fmt.Fprintf(w, "\nNext:  proofmark trace new --to CC --firearm %s …\n", argument(f.Reference))
	})
}

type firearmImportCmd struct {
	File string `arg:"" help:"CSV file, UTF-8, with a header that names the columns; reference, status and status_date are needed." type:"path"`
}

func (c *firearmImportCmd) Run(a *app) error {
	file, err := readFile("firearm records", c.File, tracing.MaxImport)
	if err != nil {
		return err
	}
	r, err := upload[tracing.ImportReport](a, "firearm.import", control.ImportRequest{Name: filepath.Base(c.File)}, file)
	if err != nil {
		return err
	}
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s added, %d on record already with the same content.\n", printable(r.Name), count(r.Added, "record"), r.Unchanged)
		for _, f := range r.Faults {
			fmt.Fprintf(w, "Left out: %s\n", printable(f.String()))
		}
		if r.Unlisted > 0 {
			fmt.Fprintf(w, "Left out: %d more\n", r.Unlisted)
		}
	})
}
