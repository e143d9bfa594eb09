package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"proofmark/node/control"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

type traceCmd struct {
	New    traceNewCmd    `cmd:"" help:"Ask another country for the history of a firearm."`
	List   traceListCmd   `cmd:"" help:"List the traces of both directions, the newest first."`
	Show   traceShowCmd   `cmd:"" help:"Show a trace: request, proposals from own records, answer, what happened when."`
	Ack    traceAckCmd    `cmd:"" help:"Tell the country that asked that its request is looked at."`
	Answer traceAnswerCmd `cmd:"" help:"Answer a request, from a record or with an outcome and its reasons."`
	Close  traceCloseCmd  `cmd:"" help:"Close an own request that was answered or refused; the country that was asked is told."`
}

type traceNewCmd struct {
	To      string `required:"" help:"Country code of the country to ask." placeholder:"CC"`
	Firearm string `help:"National reference of an own record to take the description from." placeholder:"REF"`
	descriptionFlags
	Justification  string   `required:"" help:"Why the firearm is held to be illicit, in law." placeholder:"TEXT"`
	Circumstances  string   `required:"" help:"In which circumstances it was found." placeholder:"TEXT"`
	IntendedUse    string   `required:"" help:"What the information is for." placeholder:"TEXT"`
	Agency         string   `required:"" help:"Agency that investigates."`
	Officer        string   `help:"Officer to turn to."`
	Priority       string   `help:"routine or urgent." enum:"routine,urgent" default:"routine"`
	PriorityReason string   `help:"Why it is urgent." placeholder:"TEXT"`
	RecoveredAt    string   `help:"When it was recovered, or the earliest; from the record, if left out." placeholder:"TIME"`
	RecoveredUntil string   `help:"The latest it can have been recovered." placeholder:"TIME"`
	RecoveredPlace string   `help:"Where it was recovered; from the record, if left out." placeholder:"PLACE"`
	Narrative      string   `help:"What the other country should know beside the facts." placeholder:"TEXT"`
	Possessor      string   `help:"Who had it, where the law lets you share that."`
	Case           string   `help:"Case number; it stays in this country."`
	BasedOn        []string `help:"Trace (number) or document (id) of another country that this request is made of, as when one is referred: what its owner demands binds it. Once for each." placeholder:"REF"`
}

func (c *traceNewCmd) Run(a *app) error {
	n := tracing.NewTrace{To: protocol.Country(c.To), Record: c.Firearm, Firearm: c.description(), LegalJustification: c.Justification, Circumstances: c.Circumstances,
		IntendedUse: c.IntendedUse, Agency: c.Agency, Officer: c.Officer, Priority: c.Priority, PriorityReason: c.PriorityReason, RecoveryPlace: c.RecoveredPlace,
		Narrative: c.Narrative, Possessor: c.Possessor, Case: c.Case, BasedOn: c.BasedOn}
	if c.Firearm == "" && n.Firearm == (protocol.FirearmDescription{}) {
		return errors.New("which firearm? Name an own record with --firearm REF, or describe it (--kind, --make, --calibre, --serial, …)")
	}
	switch {
	case c.RecoveredAt != "":
		i, err := parseInterval("--recovered-at", c.RecoveredAt, "--recovered-until", c.RecoveredUntil, parseDay)
		if err != nil {
			return err
		}
		n.RecoveryDate = &i
	case c.RecoveredUntil != "":
		return errors.New("--recovered-until is the end of an interval: add its beginning with --recovered-at")
	}
	t, err := change[tracing.Trace](a, "trace.new", n)
	if err != nil {
		return err
	}
	a.tellBudget("trace:new", "")
	return a.show(t, func(w io.Writer) {
		if len(a.held()) > 0 {
			fmt.Fprintf(w, "Trace %s to %s is made, and has not gone yet.\n", t.Number, t.Counterpart)
		} else {
			fmt.Fprintf(w, "Trace %s is submitted to %s. It is delivered as soon as that country can be reached.\n", t.Number, t.Counterpart)
		}
		printAdvice(w, t.Advice)
		fmt.Fprintf(w, "\nNext:  proofmark trace show %s\n", t.Number)
	})
}

func printAdvice(w io.Writer, advice []string) {
	for _, s := range advice {
		fmt.Fprintf(w, "An answer would be likelier: %s\n", printable(s))
	}
}

type traceListCmd struct {
	Direction   string `help:"outgoing or incoming."`
	State       string `help:"SUBMITTED, ACKNOWLEDGED, IN_PROGRESS, COMPLETED, PARTIAL, UNSUCCESSFUL, REFUSED or CLOSED."`
	Counterpart string `help:"Country code of the other side." placeholder:"CC"`
	Open        bool   `help:"Only those without an answer."`
	Limit       int    `help:"At most so many." default:"100"`
}

func (c *traceListCmd) Run(a *app) error {
	list, err := ask[[]tracing.Trace](a, "trace.list", tracing.TraceFilter{Direction: c.Direction, State: tracing.State(c.State),
		Counterpart: protocol.Country(c.Counterpart), Open: c.Open, Limit: c.Limit})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i := range list {
			t := &list[i]
			state := string(t.State)
			if !t.SourceWithdrawn.IsZero() {
				state += ", source withdrawn"
			}
			rows[i] = []string{t.Number, t.Direction, string(t.Counterpart), state, t.Request.Priority, describeFirearm(&t.Request.Firearm), stamp(t.Created), stamp(t.Changed)}
		}
		table(w, "No trace fits.", []string{"TRACE", "DIRECTION", "COUNTRY", "STATE", "PRIORITY", "FIREARM", "MADE", "CHANGED"}, rows)
	})
}

type traceAckCmd struct {
	Ref  string `arg:"" help:"Trace number or id."`
	Note string `help:"Note for the country that asked."`
}

func (c *traceAckCmd) Run(a *app) error {
	t, err := change[tracing.Trace](a, "trace.ack", control.TraceNote{Ref: c.Ref, Note: c.Note})
	if err != nil {
		return err
	}
	return a.show(t, func(w io.Writer) {
		fmt.Fprintf(w, "Trace %s is acknowledged to %s. %s\n", printable(t.Number), t.Counterpart, printable(t.MatchNote))
		fmt.Fprintf(w, "\nNext:  %s\n", nextForTrace(&t))
	})
}

type traceAnswerCmd struct {
	Ref           string   `arg:"" help:"Trace number or id."`
	Record        string   `help:"National reference of the own record that the firearm was found in." placeholder:"REF"`
	Outcome       string   `help:"COMPLETED, PARTIAL or UNSUCCESSFUL; COMPLETED with a record, if left out."`
	Reason        []string `help:"Why there is no full answer, once for each: NO_RECORD, SERIAL_INVALID, RECORDS_EXPIRED, …" placeholder:"CODE"`
	Diversion     string   `help:"Where the legal chain ends; from the record, if left out." placeholder:"TEXT"`
	WithPurchaser bool     `help:"Also tell the first purchaser's name: personal data, which otherwise stays here."`
	Note          string   `help:"Note for the country that asked."`
	BasedOn       []string `help:"Trace (number) or document (id) of another country that the answer is made of beside own records: what its owner demands binds it. Once for each." placeholder:"REF"`
}

func (c *traceAnswerCmd) Run(a *app) error {
	t, err := change[tracing.Trace](a, "trace.answer", control.TraceAnswer{Ref: c.Ref, Answer: tracing.Answer{Record: c.Record, Outcome: c.Outcome, Reasons: c.Reason,
		Diversion: c.Diversion, WithPurchaser: c.WithPurchaser, Note: c.Note, BasedOn: c.BasedOn}})
	if err != nil {
		return err
	}
	return a.show(t, func(w io.Writer) {
		fmt.Fprintf(w, "Trace %s of %s is answered: %s.\n", printable(t.Number), t.Counterpart, t.Answer.Outcome)
		printAnswer(w, &t)
	})
}

type traceCloseCmd struct {
	Ref  string `arg:"" help:"Trace number or id."`
	Note string `help:"Note for the country that was asked."`
}

func (c *traceCloseCmd) Run(a *app) error {
	t, err := change[tracing.Trace](a, "trace.close", control.TraceNote{Ref: c.Ref, Note: c.Note})
	if err != nil {
		return err
	}
	return a.show(t, func(w io.Writer) {
		if len(a.held()) > 0 {
			fmt.Fprintf(w, "Trace %s is closed. %s is not told yet.\n", printable(t.Number), t.Counterpart)
			return
		}
		fmt.Fprintf(w, "Trace %s is closed. %s is told as soon as it can be reached.\n", printable(t.Number), t.Counterpart)
	})
}

// nextForTrace says what follows.
func nextForTrace(t *tracing.Trace) string {
	switch {
	case t.State == tracing.Closed:
		return ""
	case t.Direction == tracing.Outgoing && t.State == tracing.Refused:
		return "ask again later, with a new request; proofmark trace close " + argument(t.Number)
	case t.Direction == tracing.Outgoing && (t.Answer != nil || t.State != tracing.Submitted && t.State != tracing.Acknowledged && t.State != tracing.InProgress):
		return "proofmark trace close " + argument(t.Number) + onward(t)
	case t.Answer != nil || t.State == tracing.Refused:
		return ""
	case t.Direction == tracing.Outgoing:
		return string(t.Counterpart) + " looks at it; its answer is shown here"
	case t.State == tracing.Submitted:
		return "proofmark trace ack " + argument(t.Number)
	case len(t.Matches) > 0:
		return "proofmark trace answer " + argument(t.Number) + " --record " + argument(t.Matches[0].Reference) + ", if a person finds that it is the firearm"
	}
	return "proofmark trace answer " + argument(t.Number) + " --outcome UNSUCCESSFUL --reason " + strings.Join(protocol.TraceReasons, "|")
}

// onward says how another country is asked, where the answer says that the firearm went there.
func onward(t *tracing.Trace) string {
	if t.Answer == nil || t.Answer.Outcome == "COMPLETED" {
		return ""
	}
	to := "COUNTRY"
	if chain := t.Answer.Chain; len(chain) > 0 && chain[len(chain)-1].Country != string(t.Counterpart) {
		to = chain[len(chain)-1].Country
	} else if !slices.Contains(t.Answer.Reasons, "EXPORTED_TO") {
		return ""
	}
	return ", or first ask the country it went to: proofmark trace new --to " + argument(to) + " --based-on " + argument(t.Number)
}
