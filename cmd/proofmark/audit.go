package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"proofmark/node/control"
	"proofmark/store"
)

type auditCmd struct {
	Verify     auditVerifyCmd     `cmd:"" help:"Prove that no entry of the log was changed, dropped, moved or added."`
	Checkpoint auditCheckpointCmd `cmd:"" help:"Show the signed head of the log, and save it to verify from later."`
	Query      auditQueryCmd      `cmd:"" help:"Find entries: who did what with which object, for whom and why; or who ever received an exhibit or asked for it."`

	Prove auditProveCmd `cmd:"" help:"Make a file that proves one entry, and what was sent and receipted with it, to somebody who has the roster alone."`
	Check auditCheckCmd `cmd:"" help:"Check such a file with the roster alone; no node is needed."`

	Reconcile   auditReconcileCmd   `cmd:"" help:"Compare both countries' logs of their channels: what is in both, what only one has, and what explains it."`
	Report      auditReportCmd      `cmd:"" help:"Make a transparency report on a period: counts that can be proved without showing one object."`
	CheckReport auditCheckReportCmd `cmd:"" help:"Check such a report with the roster alone; no node is needed."`

	Statement auditStatementCmd `cmd:"" help:"Write what this log holds of the messages with one country, signed, for a comparison elsewhere."`

	Export      auditExportCmd      `cmd:"" help:"Write entries to a file, with what proves them. The log keeps why: --why TEXT."`
	CheckExport auditCheckExportCmd `cmd:"" help:"Prove without a node that an exported file is what the log holds."`
}

type auditVerifyCmd struct {
	From string `help:"Checkpoint saved earlier: that the log still begins with what it covers, and every entry since. Much quicker than the whole." placeholder:"FILE"`
}

func (c *auditVerifyCmd) Run(a *app) error {
	var r control.VerifyRequest
	if c.From != "" {
		b, err := readFile("checkpoint", c.From, 64<<10)
		if err != nil {
			return err
		}
		if _, _, err := store.ParseCheckpoint(b); err != nil {
			return fmt.Errorf("%s is no checkpoint as `proofmark audit checkpoint --save FILE` writes one: %w", c.From, err)
		}
		r.Since = string(b)
	}
	stop, err := a.countEntries()
	if err != nil {
		return err
	}
	v, err := ask[control.AuditVerified](a, "audit.verify", r)
	stop()
	if err != nil {
		return err
	}
	err = a.show(v, func(w io.Writer) {
		switch {
		case !v.Verified:
		case c.From == "":
			fmt.Fprintf(w, "The audit log is whole: %d entries, tree root %s, as the signed checkpoint says.\n", v.Entries, v.Root)
		default:
			fmt.Fprintf(w, "The audit log continues the saved checkpoint: its first %d entries have the root that was signed then, and all %d since are whole. It has %d entries, tree root %s.\n",
				v.From, v.Entries-v.From, v.Entries, v.Root)
			fmt.Fprintln(w, "Whether the stored text of the first ones still has their hashes, only `audit verify` without --from tells.")
		}
	})
	if err == nil && !v.Verified {
		err = errors.New("THE AUDIT LOG IS NOT WHOLE: " + v.Fault)
	}
	return err
}

// countEntries shows how far a long command is, on terminals' second channel; the returned function ends the line.
func (a *app) countEntries() (stop func(), err error) {
	client, err := a.dial()
	if err != nil || a.JSON {
		return func() {}, err
	}
	shown := false
	client.Progress = func(done, total int64) {
		shown = true
		fmt.Fprintf(a.err, "\r%d of %d entries", done, total)
	}
	return func() {
		if client.Progress = nil; shown {
			fmt.Fprintln(a.err)
		}
	}, nil
}

type auditCheckpointCmd struct {
	Save string `help:"File to write the signed note to. Keep it where nobody at this bureau can change it." placeholder:"FILE" type:"path"`
}

func (c *auditCheckpointCmd) Run(a *app) error {
	head, err := ask[control.AuditCheckpoint](a, "audit.checkpoint", control.None{})
	if err != nil {
		return err
	}
	if c.Save != "" {
		if err := createFiles(newFile{c.Save, []byte(head.Checkpoint), 0o644}); err != nil {
			return err
		}
	}
	return a.show(head, func(w io.Writer) {
		if c.Save == "" {
			fmt.Fprint(w, head.Checkpoint)
			return
		}
		fmt.Fprintf(w, "%s covers %d entries, tree root %s. `proofmark audit verify --from %s` proves later what came since.\n", c.Save, head.Entries, head.Root, c.Save)
	})
}

// period are the flags that bound a command to a time.
type period struct {
	Since string `help:"From this time on, such as 2026-03-14." placeholder:"TIME"`
	Until string `help:"Before this time." placeholder:"TIME"`
}

// times reads the flags; what was not given is zero.
func (p period) times() (since, until time.Time, err error) {
	if p.Since != "" {
		since, err = parseTime(p.Since)
	}
	if p.Until != "" && err == nil {
		until, err = parseTime(p.Until)
	}
	return since, until, err
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
	Policy      string `help:"Id of a policy that decided, such as signatures-to-members." placeholder:"ID"`
	Handling    string `help:"Handling code in force: H0, H1, H2 or H3." placeholder:"CODE"`
	Ground      string `help:"Ground of the decision, such as policy, approval, receipt or justification."`
	Text        string `help:"Text in event, purpose, ground, justification or details; it is looked for by reading, see --look."`
	period
	Limit   int    `help:"At most so many entries, the newest first." default:"50"`
	Before  int64  `help:"Only entries with a smaller index: the next page."`
	Look    int64  `help:"Read at most so many entries where no index narrows them down (usually 200000); with --exhibit, count so many erased ones (usually 2000)."`
	Exhibit string `help:"Who has ever received this exhibit (number or id; or a signature's id) or what came of it, and who asked for it." placeholder:"REF" xor:"what"`
}

func (c *auditQueryCmd) Run(a *app) error {
	if c.Exhibit != "" {
		return c.trail(a)
	}
	r := control.AuditRequest{Policy: c.Policy, Handling: c.Handling, Ground: c.Ground, Look: c.Look, Actor: c.Actor, Action: c.Action, Object: c.Object, Case: c.Case, Kind: c.Kind, Counterpart: c.Counterpart, Decision: c.Decision,
		Purpose: c.Purpose, Text: c.Text, Limit: c.Limit, Before: c.Before}
	var err error
	if r.Since, r.Until, err = c.times(); err != nil {
		return err
	}
	stop, err := a.countEntries()
	if err != nil {
		return err
	}
	found, err := ask[control.AuditFound](a, "audit.find", r)
	stop()
	if err != nil {
		return err
	}
	if found.Next > 0 {
		defer fmt.Fprintf(a.err, "Looked back to entry %d; older ones: --before %d\n", found.Next, found.Next)
	}
	return a.show(found.Entries, func(w io.Writer) {
		rows := make([][]string, len(found.Entries))
		for i, e := range found.Entries {
			at := stamp(e.Time)
			if e.Erased {
				at = e.Day + " (erased)"
			}
			rows[i] = []string{fmt.Sprint(e.Index), at, e.Actor, string(e.Action), e.Decision, orDash(e.Counterpart), e.Event,
				strings.TrimSpace(e.Kind + " " + short(e.Object)), orDash(e.Case)}
		}
		table(w, "No entry fits.", []string{"ENTRY", "TIME", "ACTOR", "ACTION", "DECISION", "WITH", "EVENT", "OBJECT", "CASE"}, rows)
	})
}
