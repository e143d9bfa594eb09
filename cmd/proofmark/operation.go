package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/operations"
	"proofmark/protocol"
)

type operationCmd struct {
	Propose operationProposeCmd `cmd:"" help:"Found an operation: a named group of members for a purpose and a time."`
	Accept  operationAcceptCmd  `cmd:"" help:"Join an operation that another country founded."`
	Approve operationApproveCmd `cmd:"" help:"Approve what a first person proposed or accepted, as the second one."`
	Reject  operationRejectCmd  `cmd:"" help:"Do not approve it."`
	Leave   operationLeaveCmd   `cmd:"" help:"Leave an operation, for good: nothing more is shared for it, and copies end."`
	End     operationEndCmd     `cmd:"" help:"End an operation that this country founded, for all its members."`
	List    operationListCmd    `cmd:"" help:"List the operations that this node knows of."`
	Show    operationShowCmd    `cmd:"" help:"Show an operation: what for, until when, who is in it."`
}

type operationProposeCmd struct {
	Name       string   `required:"" help:"What it is called."`
	Purpose    string   `required:"" help:"What it is for." placeholder:"TEXT"`
	LegalBasis string   `required:"" help:"The law or agreement that it rests on." placeholder:"TEXT"`
	Members    []string `required:"" help:"Countries that may join; each decides for itself." placeholder:"COUNTRY,…"`
	From       string   `help:"When it begins; now, if left out." placeholder:"TIME"`
	Until      string   `required:"" help:"When it ends, and every copy that was shared for it; a date is the whole day." placeholder:"TIME"`
	Handling   []string `help:"Handling code under which everything travels that is shared for it, once for each." placeholder:"CODE"`
}

func (c *operationProposeCmd) Run(a *app) error {
	n := operations.NewOperation{Name: c.Name, Purpose: c.Purpose, LegalBasis: c.LegalBasis, Handling: c.Handling}
	for _, m := range c.Members {
		n.Members = append(n.Members, protocol.Country(m))
	}
	var err error
	if c.From != "" {
		if n.From, err = parseDay(c.From); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	if n.Until, err = parseDay(c.Until); err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	n.Until = endOf(n.Until, c.Until)
	o, err := change[operations.View](a, "operation.propose", n)
	return a.showOperation(&o, err)
}

type operationAcceptCmd struct {
	Ref  string `arg:"" help:"Number or id of the operation."`
	Note string `help:"Note for the other members."`
}

func (c *operationAcceptCmd) Run(a *app) error {
	o, err := change[operations.View](a, "operation.accept", operations.Note{Ref: c.Ref, Note: c.Note})
	return a.showOperation(&o, err)
}

type operationApproveCmd struct {
	Ref string `arg:"" help:"Number or id of the operation."`
}

func (c *operationApproveCmd) Run(a *app) error {
	o, err := change[operations.View](a, "operation.approve", control.Ref{Ref: c.Ref})
	return a.showOperation(&o, err)
}

type operationRejectCmd struct {
	Ref  string `arg:"" help:"Number or id of the operation."`
	Note string `required:"" help:"Why."`
}

func (c *operationRejectCmd) Run(a *app) error {
	o, err := change[operations.View](a, "operation.reject", operations.Note{Ref: c.Ref, Note: c.Note})
	return a.showOperation(&o, err)
}

type operationLeaveCmd struct {
	Ref    string `arg:"" help:"Number or id of the operation."`
	Reason string `required:"" help:"Why; the other members are told." placeholder:"TEXT"`
	Yes    bool   `help:"Do it without asking."`
}

func (c *operationLeaveCmd) Run(a *app) error {
	if err := a.confirm(c.Yes, "Leave operation "+c.Ref+" for good? Copies that were shared for it end, here and at the other members."); err != nil {
		return err
	}
	o, err := change[operations.View](a, "operation.leave", operations.Note{Ref: c.Ref, Note: c.Reason})
	return a.showOperation(&o, err)
}

type operationEndCmd struct {
	Ref    string `arg:"" help:"Number or id of the operation."`
	Reason string `required:"" help:"Why; the members are told." placeholder:"TEXT"`
	Yes    bool   `help:"Do it without asking."`
}

func (c *operationEndCmd) Run(a *app) error {
	if err := a.confirm(c.Yes, "End operation "+c.Ref+" for all its members? Copies that were shared for it end everywhere."); err != nil {
		return err
	}
	o, err := change[operations.View](a, "operation.end", operations.Note{Ref: c.Ref, Note: c.Reason})
	return a.showOperation(&o, err)
}

type operationListCmd struct{}

func (*operationListCmd) Run(a *app) error {
	list, err := ask[[]operations.View](a, "operation.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, o := range list {
			var in []string
			for _, m := range o.Members {
				if m.State == "founder" || m.State == "joined" {
					in = append(in, string(m.Country))
				}
			}
			rows[i] = []string{o.Number, o.Body.Name, o.Phase, stamp(o.Body.From), stamp(o.Body.Until), orDash(strings.Join(in, " "))}
		}
		table(w, "There are no operations: proofmark operation propose --name NAME --purpose TEXT --legal-basis TEXT --members COUNTRY,… --until TIME",
			[]string{"OPERATION", "NAME", "STATE", "FROM", "UNTIL", "IN IT"}, rows)
	})
}

type operationShowCmd struct {
	Ref string `arg:"" help:"Number or id of the operation."`
}

func (c *operationShowCmd) Run(a *app) error {
	o, err := ask[operations.View](a, "operation.show", control.Ref{Ref: c.Ref})
	return a.showOperation(&o, err)
}

func (a *app) showOperation(o *operations.View, err error) error {
	if err != nil {
		return err
	}
	return a.show(*o, func(w io.Writer) {
		list := []string{"Operation", o.Number, "Name", o.Body.Name, "State", o.Phase, "Founded by", string(o.Founder), "From", stamp(o.Body.From), "Until", stamp(o.Body.Until),
			"Purpose", o.Body.Purpose, "Legal basis", o.Body.LegalBasis, "Handling", codes(o.Handling), "Id", o.ID}
		if o.Ended != nil {
			list = append(list, "Ended", stamp(o.Ended.At), "Reason", o.Ended.Reason)
		}
		facts(w, list...)
		fmt.Fprintln(w)
		rows := make([][]string, len(o.Members))
		for i, m := range o.Members {
			since := "–"
			if !m.Since.IsZero() {
				since = stamp(m.Since)
			}
			rows[i] = []string{string(m.Country), m.State, since, orDash(m.Reason)}
		}
		table(w, "", []string{"COUNTRY", "STATE", "SINCE", "REASON"}, rows)
		if next := nextForOperation(o); next != "" {
			fmt.Fprintf(w, "\nNext:  %s\n", next)
		}
	})
}

func nextForOperation(o *operations.View) string {
	switch {
	case o.Pending != nil:
		return "a second person, not " + printable(o.Pending.By) + ":  proofmark operation approve " + argument(o.Number)
	case o.Phase == operations.PhaseOffered:
		return "proofmark operation accept " + argument(o.Number)
	case o.Phase == operations.PhaseRunning || o.Phase == operations.PhaseWaiting:
		return "proofmark exhibit tag EXHIBIT --operation " + argument(o.Number)
	}
	return ""
}

type exhibitTagCmd struct {
	Exhibit   string `arg:"" help:"Exhibit number or id."`
	Operation string `required:"" help:"Number or id of the operation." placeholder:"NUMBER"`
	Remove    bool   `help:"Take the tag away."`
}

func (c *exhibitTagCmd) Run(a *app) error {
	e, err := change[ballistics.Exhibit](a, "exhibit.tag", ballistics.TagExhibit{Exhibit: c.Exhibit, Operation: c.Operation, Remove: c.Remove})
	if err != nil {
		return err
	}
	return a.show(e, func(w io.Writer) {
		fmt.Fprintf(w, "Exhibit %s is tagged with: %s.\n", printable(e.Number), orDash(strings.Join(e.Operations, " ")))
		fmt.Fprintln(w, "What was sent before stays where it is; proofmark exhibit withdraw takes it back.")
	})
}
