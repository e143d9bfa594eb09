package main

import (
	"fmt"
	"io"

	"proofmark/node/ballistics"
	"proofmark/node/control"
)

type caseCmd struct {
	Add  caseAddCmd  `cmd:"" help:"Open a case: agency and case number."`
	List caseListCmd `cmd:"" help:"List the cases."`
}

type caseAddCmd struct {
	Reference string `arg:"" help:"Case number of the agency, unique in this node."`
	Agency    string `required:"" help:"Agency that investigates."`
	Title     string `help:"What the case is about, in a few words."`
}

func (c *caseAddCmd) Run(a *app) error {
	made, err := change[ballistics.Case](a, "case.add", ballistics.NewCase{Reference: c.Reference, Agency: c.Agency, Title: c.Title})
	if err != nil {
		return err
	}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "Case %s of %s is open.\n\nNext:  proofmark incident add --case %s --from TIME --place PLACE --offence OFFENCE\n",
			printable(made.Reference), printable(made.Agency), argument(made.Reference))
	})
}

type caseListCmd struct{}

func (c *caseListCmd) Run(a *app) error {
	list, err := ask[[]ballistics.Case](a, "case.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, v := range list {
			rows[i] = []string{v.Reference, v.Agency, orDash(v.Title), stamp(v.Created), v.By}
		}
		table(w, "There are no cases yet: proofmark case add REFERENCE --agency AGENCY", []string{"CASE", "AGENCY", "TITLE", "OPENED", "BY"}, rows)
	})
}
