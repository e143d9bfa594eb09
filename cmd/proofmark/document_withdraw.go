package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// withdrawalFlags are what every withdrawal says.
type withdrawalFlags struct {
	Reason string `required:"" help:"ENTERED_IN_ERROR, SUPERSEDED, CASE_CLOSED, COURT_ORDER, NO_LEGAL_BASIS, RETENTION_ENDED, DATA_SUBJECT_DEMAND or OTHER; the holders read it." placeholder:"REASON"`
	Note   string `help:"More about the reason, for the holders; OTHER needs one." placeholder:"TEXT"`
	Yes    bool   `help:"Do it without asking."`
}

// check refuses what would be refused anyway, before a person is asked whether to go on.
func (f *withdrawalFlags) check() error {
	if !slices.Contains(protocol.WithdrawalReasons, f.Reason) {
		return fmt.Errorf("reason %q is not one of %s", printable(f.Reason), strings.Join(protocol.WithdrawalReasons, ", "))
	}
	return nil
}

func (f *withdrawalFlags) body() dispatch.Withdrawal {
	return dispatch.Withdrawal{Reason: f.Reason, Note: f.Note}
}

type documentWithdrawCmd struct {
	ID string `arg:"" help:"Id of a document that this country issued."`
	withdrawalFlags
}

func (c *documentWithdrawCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := a.confirm(c.Yes, "Withdraw document "+printable(c.ID)+"? Every country that was sent it is told to erase it."); err != nil {
		return err
	}
	r, err := change[dispatch.Recall](a, "document.withdraw", control.WithdrawRequest{Ref: c.ID, Withdrawal: c.body()})
	if err != nil {
		return err
	}
	return a.show(r, func(w io.Writer) { printRecall(w, &r) })
}

type exhibitWithdrawCmd struct {
	Number  string `arg:"" optional:"" help:"Exhibit number or id."`
	Firearm string `help:"All test fires of this firearm, by its national reference." placeholder:"REF"`
	withdrawalFlags
}

func (c *exhibitWithdrawCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	what := "exhibit " + c.Number
	if c.Firearm != "" {
		what = "all test fires of firearm " + c.Firearm
	}
	if err := a.confirm(c.Yes, "Withdraw what was published of "+printable(what)+"? Every country that was sent it is told to erase it."); err != nil {
		return err
	}
	list, err := change[[]*dispatch.Recall](a, "exhibit.withdraw", ballistics.WithdrawExhibit{Exhibit: c.Number, Firearm: c.Firearm, Withdrawal: c.body()})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		for i, r := range list {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printRecall(w, r)
		}
	})
}

func printRecall(w io.Writer, r *dispatch.Recall) {
	fmt.Fprintf(w, "Document %s (%s) was withdrawn %s by %s: %s.\n", r.Document, r.Type, stamp(r.At), printable(r.By), r.Reason)
	if len(r.NeverSent) > 0 {
		fmt.Fprintf(w, "It had not left for %s, and never will.\n", strings.Join(r.NeverSent, ", "))
	}
	if len(r.Holders) == 0 {
		fmt.Fprintln(w, "No other country was ever sent it.")
		return
	}
	holderTable(w, r.Holders)
	fmt.Fprintf(w, "\nNext:  proofmark document show %s\n", argument(r.Document))
}

// holderTable says how far each holder of a withdrawn document is.
func holderTable(w io.Writer, list []dispatch.Holder) {
	rows := make([][]string, len(list))
	for i := range list {
		h := &list[i]
		rows[i] = []string{string(h.Peer), string(h.State), orDash(stamp(h.Told)), orDash(stamp(h.At)), orDash(h.Ground), orDash(stays(h.Stays))}
	}
	table(w, "No other country was ever sent it.", []string{"HOLDER", "STATE", "TOLD", "CONFIRMED", "GROUND", "STAYS THERE"}, rows)
}

// stays says in words what a holder keeps.
func stays(list []protocol.Remainder) string {
	var out []string
	for _, r := range list {
		if r.Ground == protocol.GroundLegalHold {
			continue // stands as the ground
		}
		s := r.What
		if r.Reference != "" {
			s += " " + r.Reference
		}
		if r.Note != "" {
			s += " (" + r.Note + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

type documentWithdrawalsCmd struct {
	Open  bool   `help:"Only those that some holder has not settled."`
	After string `help:"The next page: after this withdrawal." placeholder:"ID"`
	Limit int    `help:"At most so many." default:"100"`
}

func (c *documentWithdrawalsCmd) Run(a *app) error {
	list, err := ask[[]dispatch.Recall](a, "document.withdrawals", dispatch.RecallFilter{Open: c.Open, After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		var rows [][]string
		for i := range list {
			r := &list[i]
			head := []string{r.Document, string(r.Type), r.Reason, stamp(r.At)}
			if len(r.Holders) == 0 {
				rows = append(rows, append(head, "–", "nobody was sent it", "–", "–"))
			}
			for j := range r.Holders {
				h := &r.Holders[j]
				rows = append(rows, append(head, string(h.Peer), string(h.State), orDash(stamp(h.At)), orDash(h.Ground)))
				head = []string{"", "", "", ""}
			}
		}
		table(w, "This country withdrew nothing.", []string{"DOCUMENT", "TYPE", "REASON", "WITHDRAWN", "HOLDER", "STATE", "CONFIRMED", "GROUND"}, rows)
		if len(list) == c.Limit && len(list) > 0 {
			fmt.Fprintf(w, "\nMore:  --after %s\n", argument(list[len(list)-1].Withdrawal))
		}
	})
}

type documentHoldCmd struct {
	ID     string `arg:"" help:"Id of a document of another country."`
	Ground string `required:"" help:"What the hold rests on, such as a court's order and its number; the owner reads it if it withdraws the document." placeholder:"TEXT"`
}

func (c *documentHoldCmd) Run(a *app) error {
	d, err := change[dispatch.Shown](a, "document.hold", control.HoldRequest{Ref: c.ID, Ground: c.Ground})
	if err != nil {
		return err
	}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Document %s is under a legal hold: neither its terms nor a withdrawal erase it.\n", printable(d.ID))
		fmt.Fprintf(w, "\nNext:  when the ground is gone, proofmark document release %s\n", argument(d.ID))
	})
}

type documentReleaseCmd struct {
	ID  string `arg:"" help:"Id of the document."`
	Yes bool   `help:"Do it without asking."`
}

func (c *documentReleaseCmd) Run(a *app) error {
	if err := a.confirm(c.Yes, "Release the legal hold of document "+printable(c.ID)+"? What its owner withdrew, or whose retention has ended, is erased."); err != nil {
		return err
	}
	d, err := change[dispatch.Shown](a, "document.release", control.Ref{Ref: c.ID})
	if err != nil {
		return err
	}
	return a.show(d, func(w io.Writer) {
		what := "It ends with its terms"
		if d.Withdrawn != nil {
			what = "Its owner had withdrawn it: it is erased, and the owner is told"
		} else if d.Until.IsZero() {
			what = "Its owner set no end to it"
		}
		fmt.Fprintf(w, "The hold of document %s is released. %s.\n", printable(d.ID), what)
	})
}
