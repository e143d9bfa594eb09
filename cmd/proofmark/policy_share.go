package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/protocol"
)

type policyExplainCmd struct {
	Document string `required:"" help:"Id of a document that this country issued." placeholder:"ID"`
	To       string `required:"" help:"Country code of the member." placeholder:"CC"`
}

func (c *policyExplainCmd) Run(a *app) error {
	e, err := ask[dispatch.Explained](a, "policy.explain", control.ExplainRequest{Document: c.Document, To: protocol.Country(strings.ToUpper(c.To))})
	if err != nil {
		return err
	}
	return a.show(e, func(w io.Writer) { printExplained(w, &e) })
}

func printExplained(w io.Writer, e *dispatch.Explained) {
	decision := "denied"
	if e.Allow {
		decision = "permitted"
	}
	pairs := []string{"Document", e.ID, "Type", string(e.Type), "To", string(e.To), "Decision", decision}
	if len(e.Errors) > 0 {
		pairs = append(pairs, "Because", strings.Join(e.Errors, "; "))
	}
	pairs = append(pairs, "Policies", refs(e.Policies), "On its way", orDash(e.State))
	if e.Terms != nil {
		pairs = append(pairs, "Handling", codes(e.Handling), "Held until", day(e.Terms.RetainUntil), "Withheld", orDash(strings.Join(e.Withheld, ", ")))
	}
	facts(w, pairs...)
	if len(e.Sources) > 0 {
		rows := [][]string{}
		for _, what := range slices.Sorted(maps.Keys(e.Sources)) {
			rows = append(rows, []string{what, strings.Join(e.Sources[what], ", ")})
		}
		fmt.Fprintln(w)
		table(w, "", []string{"RESTRICTION", "IMPOSED BY"}, rows)
	}
	rows := [][]string{}
	for _, name := range slices.Sorted(maps.Keys(e.Known)) {
		rows = append(rows, []string{name, fmt.Sprint(e.Known[name])})
	}
	fmt.Fprintln(w)
	table(w, "", []string{"POLICY WAS TOLD", ""}, rows)
	var body bytes.Buffer
	if len(e.Body) > 0 && json.Indent(&body, e.Body, "  ", "  ") == nil {
		fmt.Fprintf(w, "\n%s would read\n  %s\n", e.To, printableLines(withoutBytes(body.String())))
	}
}

type policyDiffCmd struct {
	New  string `arg:"" help:"Folder of the other policies." type:"path"`
	Old  string `help:"Compare with the policies of this folder instead of those in force." type:"path" placeholder:"DIR"`
	Most int    `help:"Name at most so many changes; all are counted." default:"50"`
}

// policyDifference is what other policies change, counted over all own documents and members.
type policyDifference struct {
	Documents int                    `json:"documents"`
	Decisions int                    `json:"decisions"`
	Counts    []policyCount          `json:"counts"`
	Changes   []dispatch.ShareChange `json:"changes"` // at most as many as were asked for
	Left      int                    `json:"left_out"`
}

type policyCount struct {
	To   protocol.Country `json:"to"`
	Type protocol.Type    `json:"type"`
	What string           `json:"what"`
	N    int              `json:"documents"`
}

func (c *policyDiffCmd) Run(a *app) error {
	r := control.CompareRequest{}
	var err error
	if r.Now, err = readPolicies(c.New); err != nil {
		return err
	}
	if c.Old != "" {
		if r.Was, err = readPolicies(c.Old); err != nil {
			return err
		}
	}
	d := policyDifference{Counts: []policyCount{}, Changes: []dispatch.ShareChange{}}
	counted := map[policyCount]int{}
	for end := false; !end; {
		page, err := ask[dispatch.PolicyChange](a, "policy.compare", r)
		if err != nil {
			return err
		}
		d.Documents += page.Documents
		d.Decisions += page.Decisions
		for _, one := range page.Changes {
			counted[policyCount{To: one.To, Type: one.Type, What: one.What}]++
			if len(d.Changes) < c.Most {
				d.Changes = append(d.Changes, one)
			} else {
				d.Left++
			}
		}
		if !a.JSON && !page.End {
			fmt.Fprintf(a.err, "\r%d documents compared", d.Documents)
		}
		end, r.After = page.End, page.Last
	}
	for k, n := range counted {
		k.N = n
		d.Counts = append(d.Counts, k)
	}
	slices.SortFunc(d.Counts, func(x, y policyCount) int {
		return strings.Compare(string(x.To)+string(x.Type)+x.What, string(y.To)+string(y.Type)+y.What)
	})
	return a.show(d, func(w io.Writer) { printDifference(w, &d) })
}

func printDifference(w io.Writer, d *policyDifference) {
	if len(d.Counts) == 0 {
		fmt.Fprintf(w, "Nothing changes: both policies decide alike about %s and every member (%s).\n", count(d.Documents, "document"), count(d.Decisions, "decision"))
		return
	}
	rows := make([][]string, len(d.Counts))
	for i, c := range d.Counts {
		rows[i] = []string{string(c.To), string(c.Type), c.What, fmt.Sprint(c.N)}
	}
	table(w, "", []string{"TO", "TYPE", "WOULD BE", "DOCUMENTS"}, rows)
	rows = rows[:0]
	sent, waiting := false, 0
	for _, c := range d.Changes {
		note := strings.Join(c.More, "; ")
		if c.State != "" {
			note = strings.TrimPrefix(note+"; "+c.State+" now", "; ")
			waiting++
		}
		if c.What == dispatch.KeptBack && c.Sent {
			sent = true
			note = "sent already"
		}
		rows = append(rows, []string{c.ID, string(c.To), c.What, refs(c.Was), refs(c.Now), note})
	}
	fmt.Fprintln(w)
	table(w, "", []string{"DOCUMENT", "TO", "WOULD BE", "DECIDED BY", "WOULD BE DECIDED BY", ""}, rows)
	if d.Left > 0 {
		fmt.Fprintf(w, "\n%d more; --most N names them.\n", d.Left)
	}
	if waiting > 0 {
		fmt.Fprintf(w, "\nNOW marks what has not left yet (%d here): the other policy would reach it.\n", waiting)
	}
	if sent {
		fmt.Fprintln(w, "\nA policy takes back nothing that was sent.")
	}
	fmt.Fprintf(w, "\n%s and every member compared (%s). Nothing was changed.\n", count(d.Documents, "document"), count(d.Decisions, "decision"))
}
