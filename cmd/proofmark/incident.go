package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/ballistics"
	"proofmark/node/control"
)

type incidentCmd struct {
	Add  incidentAddCmd  `cmd:"" help:"Record what happened in a case: when, where, which offence."`
	List incidentListCmd `cmd:"" help:"List the incidents."`
}

type incidentAddCmd struct {
	Case        string   `required:"" help:"Case number."`
	From        string   `required:"" help:"When it happened, or the earliest it can have happened. A date means that whole day." placeholder:"TIME"`
	To          string   `help:"The latest it can have happened: an unknown time is an interval." placeholder:"TIME"`
	Place       string   `required:"" help:"Where it happened."`
	Precision   string   `help:"How exact the place is: address, town, region."`
	Offence     string   `required:"" help:"Offence that is investigated."`
	Severity    string   `help:"How grave it is, as the agency has it."`
	BorderKM    *int64   `name:"border-km" help:"Distance to the nearest border, in kilometres." placeholder:"KM"`
	Terrorism   bool     `help:"Related to terrorism."`
	Customs     bool     `help:"Recovered by customs or border police."`
	Trafficking bool     `help:"Recovered from suspected traffickers."`
	GroupSize   int64    `help:"How many firearms were recovered together." placeholder:"N"`
	Link        []string `sep:"none" help:"Outside event that belongs to it: gunshot alert, plate reader; once for each."`
}

func (c *incidentAddCmd) Run(a *app) error {
	occurred, err := parseInterval("--from", c.From, "--to", c.To, parseTime)
	if err != nil {
		return err
	}
	made, err := change[ballistics.Incident](a, "incident.add", ballistics.NewIncident{Case: c.Case, Occurred: occurred, Place: c.Place, Precision: c.Precision,
		Offence: c.Offence, Severity: c.Severity, BorderKM: c.BorderKM, Terrorism: c.Terrorism, Customs: c.Customs, Trafficking: c.Trafficking,
		GroupSize: c.GroupSize, Links: c.Link})
	if err != nil {
		return err
	}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "Incident %s is recorded in case %s.\n\nNext:  proofmark exhibit add --number NUMBER --case %s --origin evidence --calibre CALIBRE\n",
			made.ID, printable(made.Case), argument(made.Case))
	})
}

type incidentListCmd struct {
	Case string `help:"Only those of this case."`
}

func (c *incidentListCmd) Run(a *app) error {
	list, err := ask[[]ballistics.Incident](a, "incident.list", control.CaseRef{Case: c.Case})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i := range list {
			v := &list[i]
			rows[i] = []string{v.ID, v.Case, span(&v.Occurred), v.Place, v.Offence, orDash(circumstances(v))}
		}
		table(w, "There are no incidents yet: proofmark incident add --case CASE --from TIME --place PLACE --offence OFFENCE",
			[]string{"INCIDENT", "CASE", "OCCURRED", "PLACE", "OFFENCE", "CIRCUMSTANCES"}, rows)
	})
}

// circumstances are the facts of an incident that sharing policies ask for.
func circumstances(i *ballistics.Incident) string {
	var out []string
	if i.BorderKM != nil {
		out = append(out, fmt.Sprintf("%d km from a border", *i.BorderKM))
	}
	for _, f := range []struct {
		is   bool
		word string
	}{{i.Terrorism, "terrorism"}, {i.Customs, "customs"}, {i.Trafficking, "trafficking"}} {
		if f.is {
			out = append(out, f.word)
		}
	}
	if i.GroupSize > 0 {
		out = append(out, count(int(i.GroupSize), "firearm")+" together")
	}
	return strings.Join(out, ", ")
}
