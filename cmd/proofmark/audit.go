package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"proofmark/node/control"
	"proofmark/store"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Prove that no entry of the log was changed, dropped, moved or added."`
	Query  auditQueryCmd  `cmd:"" help:"Find entries: who did what with which object, for whom and why."`

	Prove auditProveCmd `cmd:"" help:"Make a file that proves one entry, and what was sent and receipted with it, to somebody who has the roster alone."`
	Check auditCheckCmd `cmd:"" help:"Check such a file with the roster alone; no node is needed."`

	Reconcile auditReconcileCmd `cmd:"" help:"Compare both countries' logs of their channels: what is in both, what only one has, and what explains it."`
	Statement auditStatementCmd `cmd:"" help:"Write what this log holds of the messages with one country, signed, for a comparison elsewhere."`
}

type auditVerifyCmd struct{}

func (c *auditVerifyCmd) Run(a *app) error {
	client, err := a.dial()
	if err != nil {
		return err
	}
	shown := false
	if !a.JSON {
		client.Progress = func(done, total int64) {
			shown = true
			fmt.Fprintf(a.err, "\r%d of %d entries", done, total)
		}
	}
	v, err := ask[control.AuditVerified](a, "audit.verify", control.None{})
	if shown {
		fmt.Fprintln(a.err)
	}
	if err != nil {
		return err
	}
	err = a.show(v, func(w io.Writer) {
		if v.Verified {
			fmt.Fprintf(w, "The audit log is whole: %d entries, tree root %s, as the signed checkpoint says.\n", v.Entries, v.Root)
		}
	})
	if err == nil && !v.Verified {
		err = errors.New("THE AUDIT LOG IS NOT WHOLE: " + v.Fault)
	}
	return err
}

type auditQueryCmd struct {
	Actor       string `help:"Account name, or node."`
	Action      string `help:"collect, alter, consult, disclose, receive, combine, erase, deny or administer."`
	Object      string `help:"Id of an object or document."`
	Case        string `help:"Case reference."`
	Kind        string `help:"Kind of object: exhibit, signature, lead, trace-request, …"`
	Counterpart string `help:"Country code of the other side."`
	Decision    string `help:"permit or deny."`
	Purpose     string `help:"Purpose of the act."`
	Text        string `help:"Text in event, purpose, ground or details."`
	Since       string `help:"From this time on, such as 2026-03-14." placeholder:"TIME"`
	Until       string `help:"Before this time." placeholder:"TIME"`
	Limit       int    `help:"At most so many entries, the newest first." default:"50"`
	Before      int64  `help:"Only entries with a smaller index: the next page."`
}

func (c *auditQueryCmd) Run(a *app) error {
	r := control.AuditRequest{Actor: c.Actor, Action: c.Action, Object: c.Object, Case: c.Case, Kind: c.Kind, Counterpart: c.Counterpart, Decision: c.Decision,
		Purpose: c.Purpose, Text: c.Text, Limit: c.Limit, Before: c.Before}
	var err error
	if c.Since != "" {
		if r.Since, err = parseTime(c.Since); err != nil {
			return err
		}
	}
	if c.Until != "" {
		if r.Until, err = parseTime(c.Until); err != nil {
			return err
		}
	}
	list, err := ask[[]store.AuditRecord](a, "audit.query", r)
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, e := range list {
			rows[i] = []string{fmt.Sprint(e.Index), stamp(e.Time), e.Actor, string(e.Action), e.Decision, orDash(e.Counterpart), e.Event,
				strings.TrimSpace(e.Kind + " " + short(e.Object)), orDash(e.Case)}
		}
		table(w, "No entry fits.", []string{"ENTRY", "TIME", "ACTOR", "ACTION", "DECISION", "WITH", "EVENT", "OBJECT", "CASE"}, rows)
	})
}
