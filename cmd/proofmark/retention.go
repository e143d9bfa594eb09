package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"proofmark/node/control"
	"proofmark/node/retention"
)

type retentionCmd struct {
	Due    retentionDueCmd    `cmd:"" help:"List own records whose retention has ended, or soon ends."`
	Review retentionReviewCmd `cmd:"" help:"Decide about a record: it is kept until a day, or purged."`
	Purge  retentionPurgeCmd  `cmd:"" help:"Carry on the purges that people decided, as far as they go now, and list them."`
	Proof  retentionProofCmd  `cmd:"" help:"Show what proves that a record was erased."`
}

type retentionDueCmd struct {
	Within string `help:"Also what is due within so many days." default:"0d" placeholder:"30d"`
	Limit  int    `help:"At most so many, up to 10000." default:"100"`
	After  string `help:"The next page: what the page before named." placeholder:"PLACE"`
}

func (c *retentionDueCmd) Run(a *app) error {
	n, err := strconv.Atoi(strings.TrimSuffix(c.Within, "d"))
	if err != nil {
		return fmt.Errorf("--within: %q is not a number of days such as 30d", printable(c.Within))
	}
	if c.Limit < 1 {
		return fmt.Errorf("--limit: at least 1, not %d", c.Limit)
	}
	list, err := ask[retention.List](a, "retention.due", control.DueRequest{WithinDays: n, Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list.Items))
		for i, r := range list.Items {
			state := "–"
			if r.Review != nil {
				state = string(r.Review.State)
			}
			rows[i] = []string{r.Kind + "/" + r.Reference, day(r.Due), r.Because, state}
		}
		table(w, "No own record is due.", []string{"ITEM", "DUE", "BECAUSE", "STATE"}, rows)
		if list.Next != "" {
			fmt.Fprintf(w, "\n%d of %d. The next page:  proofmark retention due --within %s --limit %d --after %s\n", len(rows), list.Total, argument(c.Within), c.Limit, argument(list.Next))
		}
		if len(rows) > 0 {
			fmt.Fprintf(w, "\nNext:  proofmark retention review %s --keep-until DATE --reason TEXT, or --purge\n", argument(rows[0][0]))
		}
	})
}

type retentionReviewCmd struct {
	Item      string `arg:"" help:"The record: case/REFERENCE, firearm/REFERENCE or trace/NUMBER; the reference alone where only one kind has it."`
	KeepUntil string `xor:"decision" required:"" help:"It is kept until this day." placeholder:"DATE"`
	Purge     bool   `xor:"decision" required:"" help:"It is erased with everything that was made of it. Where policy asks for two people, the second one types the same command."`
	Reason    string `required:"" help:"Why; the audit log keeps it." placeholder:"TEXT"`
	Yes       bool   `help:"Do it without asking."`
}

func (c *retentionReviewCmd) Run(a *app) error {
	r := control.RetentionReview{Item: c.Item, Purge: c.Purge, Reason: c.Reason}
	if c.Purge {
		if err := a.confirm(c.Yes, "Purge "+printable(c.Item)+" for good?"); err != nil {
			return err
		}
	} else {
		until, err := parseDay(c.KeepUntil)
		if err != nil {
			return fmt.Errorf("--keep-until: %w", err)
		}
		r.KeepUntil = until
	}
	v, err := change[retention.Review](a, "retention.review", r)
	if err != nil {
		return err
	}
	return a.show(v, func(w io.Writer) { printReview(w, &v) })
}

func printReview(w io.Writer, v *retention.Review) {
	what := v.ID
	if v.Reference != "" {
		what = v.Kind + " " + v.Reference
	}
	switch v.State {
	case retention.Proposed:
		fmt.Fprintf(w, "The purge of %s is proposed. Another person approves it with the same command, in a session of their own.\n", printable(what))
	case retention.Withdrawing, retention.Erasing:
		fmt.Fprintf(w, "%s (%s) is being purged: documents of it withdrawn: %d. It is erased when every holder has confirmed.\n\nNext:  proofmark retention purge\n", printable(what), v.ID, len(v.Documents))
	case retention.Purged:
		fmt.Fprintf(w, "%s is purged.\n\nNext:  proofmark retention proof %s\n", printable(what), v.ID)
	default:
		fmt.Fprintf(w, "%s is kept until %s.\n", printable(what), day(v.KeepUntil))
	}
}

type retentionPurgeCmd struct{}

func (c *retentionPurgeCmd) Run(a *app) error {
	list, err := ask[[]retention.Review](a, "retention.purge", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i := range list {
			v := &list[i]
			at := v.At
			if v.Purged != nil {
				at = v.Purged.At
			}
			rows[i] = []string{v.ID, orDash(v.Reference), string(v.State), strings.Trim(v.By+" "+v.Second, " "), day(at), orDash(strings.Join(v.Waits, "; "))}
		}
		table(w, "Nobody has decided to purge anything.", []string{"ITEM", "REFERENCE", "STATE", "BY", "DAY", "WAITS FOR"}, rows)
	})
}

type retentionProofCmd struct {
	Item string `arg:"" help:"The purged record, as retention purge lists it, such as case/0199…"`
	Out  string `help:"File to make with the bundle that proves the entry of the erasure. Nothing is overwritten." type:"path" placeholder:"FILE"`
}

func (c *retentionProofCmd) Run(a *app) error {
	p, err := ask[retention.Proof](a, "retention.proof", control.Ref{Ref: c.Item})
	if err != nil {
		return err
	}
	if p.Review == nil || p.Review.Purged == nil {
		return errors.New("the node's answer says nothing of a purge")
	}
	if c.Out != "" {
		if err := createFiles(newFile{c.Out, p.Bundle, 0o600}); err != nil {
			return err
		}
	}
	return a.show(p, func(w io.Writer) {
		facts(w, "Item", p.Review.ID, "Erased", p.Review.Purged.At.UTC().Format(time.RFC3339), "Reason", p.Review.Reason, "Decided by", strings.TrimSpace(p.Review.By+" "+p.Review.Second),
			"Audit entry", fmt.Sprintf("%d: %s %s, %s, %s", p.Entry, p.Header.Action, p.Header.Decision, p.Header.Ground, p.Header.Day),
			"Documents", fmt.Sprintf("%d, withdrawn and erased", p.Review.Purged.Documents), "Entries", fmt.Sprintf("%d whose bodies are erased; headers and proofs stay", len(p.Erased)))
		if c.Out != "" {
			fmt.Fprintf(w, "\n%s proves entry %d. Whoever has the roster checks it without this node:  proofmark audit check %s --roster FILE\n", printable(c.Out), p.Entry, argument(c.Out))
		}
	})
}
