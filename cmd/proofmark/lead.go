package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/protocol"
)

type leadCmd struct {
	List     leadListCmd     `cmd:"" help:"List the leads of both directions, the latest event first."`
	Show     leadShowCmd     `cmd:"" help:"Show a lead: both sides, caveat, what happened when."`
	Release  leadReleaseCmd  `cmd:"" help:"Send a lead that two people found to the other country."`
	Ack      leadAckCmd      `cmd:"" help:"Tell the sender of a lead that a person here took it up."`
	Retract  leadRetractCmd  `cmd:"" help:"Take back a lead that this country sent."`
	Feedback leadFeedbackCmd `cmd:"" help:"Tell the sender of a lead what came of it."`
}

type leadListCmd struct{}

func (c *leadListCmd) Run(a *app) error {
	list, err := ask[[]ballistics.Lead](a, "lead.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i := range list {
			l := &list[i]
			own, other, withheld := leadSides(l)
			last := l.Timeline[len(l.Timeline)-1]
			state := string(l.State)
			if !l.SourceWithdrawn.IsZero() {
				state += ", source withdrawn"
			}
			rows[i] = []string{short(l.Pair), leadNumbers(l), string(l.Counterpart), state, orDash(own.ExhibitNumber), orDash(own.CaseReference),
				cell(other.ExhibitNumber, "exhibit_number", withheld), cell(other.CaseReference, "case_reference", withheld), last.Event, stamp(last.At)}
		}
		table(w, "There are no leads.", []string{"PAIR", "LEAD", "COUNTRY", "STATE", "OWN EXHIBIT", "CASE", "THEIR EXHIBIT", "CASE", "LAST EVENT", "TIME"}, rows)
		if len(rows) > 0 {
			fmt.Fprintln(w, "\n"+protocol.Caveat)
		}
	})
}

// leadNumbers names a lead as both sides may: where leads crossed it has a number of each.
func leadNumbers(l *ballistics.Lead) string {
	var out []string
	for _, n := range []*ballistics.Notice{l.Sent, l.Received} {
		if n != nil {
			out = append(out, n.Body.Number)
		}
	}
	return strings.Join(out, ", ")
}

// leadSides tells both sides as this country knows them: its own, and the other as its own notice or acknowledgement told it, with what of that its
// policy withholds.
func leadSides(l *ballistics.Lead) (own, other protocol.LeadSide, withheld []string) {
	own = l.Own
	if l.Sent != nil {
		other, withheld = l.Sent.Body.Other, l.Sent.Withheld
		other.CaseReference = cmp.Or(l.Sent.OtherCase, other.CaseReference)
		other.ExhibitNumber = cmp.Or(l.Sent.OtherExhibit, other.ExhibitNumber)
	}
	if l.Received != nil { // the other country names its side itself
		other, withheld = l.Received.Body.Sender(), l.Received.Withheld
	}
	return own, other, withheld
}

type leadShowCmd struct {
	Ref string `arg:"" help:"Lead number, or the pair or its first digits."`
}

func (c *leadShowCmd) Run(a *app) error {
	l, err := ask[ballistics.Lead](a, "lead.show", control.Ref{Ref: c.Ref})
	if err != nil {
		return err
	}
	return a.show(l, func(w io.Writer) { printLead(w, &l) })
}

func printLead(w io.Writer, l *ballistics.Lead) {
	fmt.Fprintf(w, "%s\n\n", protocol.Caveat)
	facts(w, "Lead", leadNumbers(l), "Pair", l.Pair, "Country", string(l.Counterpart), "State", string(l.State), "Handling", codes(l.Handling), "Source withdrawn", stamp(l.SourceWithdrawn))
	fmt.Fprintln(w)
	own, other, withheld := leadSides(l)
	theirs := func(value, field string) string { return orDash(told(value, field, withheld, l.Counterpart)) }
	rows := [][]string{{"Country", own.Country, other.Country}, {"Agency", orDash(own.Agency), theirs(other.Agency, "agency")}, {"Case", orDash(own.CaseReference), theirs(other.CaseReference, "case_reference")},
		{"Exhibit", orDash(own.ExhibitNumber), theirs(other.ExhibitNumber, "exhibit_number")}, {"Origin", own.Origin, other.Origin}, {"Signature", own.Signature, other.Signature}}
	table(w, "", []string{"", "OWN", "THEIRS"}, rows)
	for _, n := range []*ballistics.Notice{l.Sent, l.Received} {
		if n != nil {
			fmt.Fprintln(w)
			printNotice(w, l, n)
		}
	}
	for _, f := range l.Feedback {
		fmt.Fprintf(w, "\nFeedback of %s: %s %s\n", f.From, printable(f.Code), printable(told(f.Note, "note", f.Withheld, f.From)))
	}
	if l.Hit != nil || l.Confirmation != nil {
		fmt.Fprintln(w)
		printHit(w, l)
	}
	fmt.Fprintln(w)
	events := make([]event, len(l.Timeline))
	for i, s := range l.Timeline {
		by := s.By
		if by == "" {
			by = string(s.Country)
		}
		events[i] = event{s.Event, s.At, by}
	}
	timeline(w, events)
	if next := nextForLead(l); next != "" {
		fmt.Fprintf(w, "\nNext:  %s\n", next)
	}
}

// printNotice prints what one notification said.
func printNotice(w io.Writer, l *ballistics.Lead, n *ballistics.Notice) {
	b := &n.Body
	of := func(value, field string) string { return told(value, field, n.Withheld, l.Counterpart) }
	to := fmt.Sprintf("from %s, received %s", l.Counterpart, stamp(n.At))
	if n == l.Sent {
		to = fmt.Sprintf("to %s, released %s by %s", l.Counterpart, stamp(n.At), n.By)
	}
	lr := lrFacts(b.LikelihoodRatio)
	if lr == nil && n == l.Received {
		lr = []string{"Likelihood ratio", of("", "likelihood_ratio")}
	}
	pairs := append([]string{"Notification", b.Number + " " + to, "Score", fmt.Sprintf("%.3f, rank %d in the sender's list (%s, %s)", b.Score, b.Rank, b.ROI, b.Algorithm)}, lr...)
	facts(w, append(pairs, "Calibre", b.Calibre,
		"Offence", of(b.Offence, "offence"), "Place", of(b.Place, "place"), "Occurred", of(span(b.Occurred), "occurred"), "Firearm", of(describeFirearm(b.Firearm), "firearm"),
		"Reviewers", of(strings.Join(b.Reviewers, " and "), "reviewers"), "Linked cases", of(strings.Join(b.LinkedCases, ", "), "linked_cases"), "Narrative", of(b.Narrative, "narrative"),
		"Acknowledged", stamp(n.Acknowledged), "By", n.AckBy, "Note", of(n.AckNote, "note"),
		"Retracted", stamp(n.Retracted), "Reason", n.Reason)...)
	printLimits(w, b.LikelihoodRatio)
	if b.Preserve && n.Retracted.IsZero() && l.Hit == nil {
		fmt.Fprintln(w, "Please preserve the evidence of both sides.")
	}
}

// nextForLead says what follows.
func nextForLead(l *ballistics.Lead) string {
	pair := short(l.Pair)
	received := l.Received != nil && l.Received.Retracted.IsZero()
	switch {
	case l.State == ballistics.LeadRetracted, l.State == ballistics.LeadHit:
		return ""
	case received && l.Received.Acknowledged.IsZero():
		return "proofmark lead ack " + pair
	case l.Confirmation != nil:
		return "another examiner verifies the hit: proofmark hit confirm " + pair
	case received:
		return "proofmark lead feedback " + pair + " --code " + strings.Join(protocol.FeedbackCodes, "|") + "; at the microscope, proofmark hit confirm " + pair
	}
	return "at the microscope, proofmark hit confirm " + pair + "; if it was wrong, proofmark lead retract " + pair + " --reason REASON"
}

type leadReleaseCmd struct {
	Pair      string `arg:"" help:"Pair of the candidate, or its first digits (six or more)."`
	Narrative string `help:"What the other country should know beside the facts." placeholder:"TEXT"`
}

func (c *leadReleaseCmd) Run(a *app) error {
	l, err := change[ballistics.Lead](a, "lead.release", control.LeadRequest{Pair: c.Pair, Text: c.Narrative})
	if err != nil {
		return err
	}
	return a.showLead(&l, fmt.Sprintf("Lead %s is released to %s. It is delivered as soon as that country can be reached.", leadNumbers(&l), l.Counterpart))
}

// showLead prints what an act made of a lead, under the caveat that every lead carries.
func (a *app) showLead(l *ballistics.Lead, done string) error {
	return a.show(l, func(w io.Writer) {
		fmt.Fprintln(w, printable(done))
		fmt.Fprintln(w, protocol.Caveat)
		fmt.Fprintf(w, "\nNext:  proofmark lead show %s\n", short(l.Pair))
	})
}

type leadAckCmd struct {
	Pair string `arg:"" help:"Lead number, or the pair or its first digits."`
	Note string `help:"Note for the sender."`
}

func (c *leadAckCmd) Run(a *app) error {
	l, err := change[ballistics.Lead](a, "lead.ack", control.LeadRequest{Pair: c.Pair, Text: c.Note})
	if err != nil {
		return err
	}
	return a.showLead(&l, fmt.Sprintf("Lead %s is acknowledged to %s, with this country's case reference.", leadNumbers(&l), l.Counterpart))
}

type leadRetractCmd struct {
	Pair   string `arg:"" help:"Lead number, or the pair or its first digits."`
	Reason string `required:"" help:"Why it is taken back; the other country reads it." placeholder:"TEXT"`
	Yes    bool   `help:"Do it without asking."`
}

func (c *leadRetractCmd) Run(a *app) error {
	if err := a.confirm(c.Yes, "Retract lead "+printable(c.Pair)+"? The other country is told, with the reason."); err != nil {
		return err
	}
	l, err := change[ballistics.Lead](a, "lead.retract", control.LeadRequest{Pair: c.Pair, Text: c.Reason})
	if err != nil {
		return err
	}
	return a.showLead(&l, fmt.Sprintf("Lead %s is retracted; %s is told.", leadNumbers(&l), l.Counterpart))
}

type leadFeedbackCmd struct {
	Pair string `arg:"" help:"Lead number, or the pair or its first digits."`
	Code string `required:"" help:"USEFUL_NEW_SUSPECT, USEFUL_LINK, ALREADY_KNOWN, NO_ACTION, ARREST, CHARGE, CONVICTION, GUN_RECOVERED or REJECTED_AT_MICROSCOPE."`
	Note string `help:"Note for the sender."`
}

func (c *leadFeedbackCmd) Run(a *app) error {
	l, err := change[ballistics.Lead](a, "lead.feedback", control.LeadRequest{Pair: c.Pair, Code: c.Code, Text: c.Note})
	if err != nil {
		return err
	}
	return a.showLead(&l, fmt.Sprintf("Feedback %s goes to %s.", c.Code, l.Counterpart))
}
