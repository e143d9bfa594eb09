package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/protocol"
)

type approvalCmd struct {
	List    approvalListCmd    `cmd:"" help:"List the documents that wait until two people have approved them."`
	Show    approvalShowCmd    `cmd:"" help:"Show exactly what would be sent to whom, and who has approved it."`
	Approve approvalApproveCmd `cmd:"" help:"Approve that a document goes: with the second person's approval it does."`
	Refuse  approvalRefuseCmd  `cmd:"" help:"Refuse it: it never goes."`
}

// held is what the commands of this process issued that waits for two people.
func (a *app) held() []*dispatch.Waiting {
	if a.client == nil {
		return nil
	}
	return a.client.Held
}

// printHeld tells whoever issued something that it has not gone, who must approve it until when, and what shows it.
func printHeld(w io.Writer, d *dispatch.Waiting) {
	who := "two people other than you"
	if len(d.Roles) > 0 {
		who += " (" + strings.Join(d.Roles, " or ") + ")"
	}
	fmt.Fprintf(w, "Not sent yet: this %s (document %s) for %s waits until %s have approved it, and lapses on %s.\n", d.Type, d.Document, countries(waitsFor(d)), who, stamp(d.Until))
	fmt.Fprintf(w, "proofmark approval list shows what waits;  proofmark approval show %s  what would be sent.\n", d.Document)
}

type approvalListCmd struct{}

func (c *approvalListCmd) Run(a *app) error {
	list, err := ask[[]dispatch.Waiting](a, "approval.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i := range list {
			rows[i] = []string{list[i].Document, string(list[i].Type), orDash(list[i].Case), countries(waitsFor(&list[i])), list[i].Proposer, orDash(strings.Join(approvers(&list[i]), ", ")), stamp(list[i].Until)}
		}
		table(w, "Nothing waits for an approval.", []string{"DOCUMENT", "TYPE", "CASE", "TO", "PROPOSED BY", "APPROVED BY", "EXPIRES"}, rows)
		if len(list) > 0 {
			fmt.Fprintf(w, "\nNext:  proofmark approval show %s\n", list[0].Document)
		}
	})
}

// waitsFor are the countries to which a document has not gone yet.
func waitsFor(w *dispatch.Waiting) []protocol.Country {
	var out []protocol.Country
	for _, m := range w.Manners {
		if m.State == dispatch.Awaiting {
			out = append(out, m.To...)
		}
	}
	return out
}

// approvers are those who approved what still waits.
func approvers(w *dispatch.Waiting) []string {
	var out []string
	for _, m := range w.Manners {
		for _, p := range m.Approvals {
			if m.State == dispatch.Awaiting && !slices.Contains(out, p.By) {
				out = append(out, p.By)
			}
		}
	}
	return out
}

func countries(list []protocol.Country) string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = string(c)
	}
	return strings.Join(out, " ")
}

type approvalShowCmd struct {
	ID string `arg:"" help:"Id of the document."`
}

func (c *approvalShowCmd) Run(a *app) error {
	d, err := ask[dispatch.Waiting](a, "approval.show", control.Ref{Ref: c.ID})
	if err != nil {
		return err
	}
	return a.show(d, func(w io.Writer) { printWaiting(w, &d) })
}

func printWaiting(w io.Writer, d *dispatch.Waiting) {
	facts(w, "Document", d.Document, "Type", string(d.Type), "About", strings.TrimSpace(d.Kind+" "+d.Object), "Case", d.Case, "Proposed by", d.Proposer, "Expires", stamp(d.Until))
	for _, m := range d.Manners {
		fmt.Fprintln(w)
		people := make([]string, len(m.Approvals))
		for i, p := range m.Approvals {
			people[i] = strings.TrimSpace(p.By + ", " + stamp(p.At) + " " + p.Note)
		}
		facts(w, "To", countries(m.To), "State", m.State, "Asked for by", refs(m.Policies), "Approved by", orDash(strings.Join(people, "; ")), "Ended", strings.TrimSpace(m.Ended+" "+m.By))
		if m.Sent != nil && len(m.Sent.Body) == 0 {
			fmt.Fprintf(w, "Policy lets none of it go any more (%s): an approval would end the wait, and nothing would be sent.\n", strings.Join(slices.Concat(m.Sent.Errors, m.Sent.Policies), "; "))
			continue
		}
		if m.Now != "" && m.Now != m.Manner {
			fmt.Fprintln(w, "What would be sent has changed since it was put into the queue: approvals begin anew.")
		}
		if m.Sent == nil {
			continue
		}
		facts(w, "Handling", codes(m.Sent.Handling), "Withheld", orDash(strings.Join(m.Sent.Withheld, ", ")))
		if m.Sent.Terms != nil {
			facts(w, "Held until", day(m.Sent.Terms.RetainUntil))
		}
		var body bytes.Buffer
		if len(m.Sent.Body) > 0 && json.Indent(&body, m.Sent.Body, "  ", "  ") == nil {
			fmt.Fprintf(w, "\n%s would read\n  %s\n", countries(m.To), printableLines(withoutBytes(body.String())))
		}
	}
	if len(waitsFor(d)) > 0 {
		fmt.Fprintf(w, "\nNext:  proofmark approval approve %s, or refuse\n", d.Document)
	}
}

type approvalApproveCmd struct {
	ID   string   `arg:"" help:"Id of the document."`
	To   []string `help:"Only what goes to this country, once for each." placeholder:"CC"`
	Note string   `help:"Note for the own record; it stays in this country." placeholder:"TEXT"`
	Yes  bool     `help:"Do it without asking."`
}

func (c *approvalApproveCmd) Run(a *app) error {
	shown, err := ask[dispatch.Waiting](a, "approval.show", control.Ref{Ref: c.ID})
	if err != nil {
		return err
	}
	if len(waitsFor(&shown)) == 0 {
		return errors.New("nothing of document " + printable(c.ID) + " waits for an approval; `proofmark approval list` shows what does")
	}
	r := dispatch.ApprovalRef{Document: c.ID, To: asCountries(c.To), Note: c.Note, Seen: []string{}}
	for _, m := range shown.Manners {
		if m.State == dispatch.Awaiting {
			r.Seen = append(r.Seen, m.Now)
		}
	}
	if !c.Yes {
		printWaiting(a.out, &shown)
	}
	if err := a.confirm(c.Yes, "Approve that this goes?"); err != nil {
		return err
	}
	d, err := change[dispatch.Waiting](a, "approval.approve", r)
	if err != nil {
		return err
	}
	return a.show(d, func(w io.Writer) {
		if left := waitsFor(&d); len(left) > 0 {
			fmt.Fprintf(w, "Your approval is recorded. For %s another person, who neither proposed nor approved it, approves it in a session of their own:\n\nNext:  proofmark approval show %s\n", countries(left), d.Document)
			return
		}
		fmt.Fprintf(w, "It is approved. It goes as soon as the country can be reached, if policy still permits it then:\n\nNext:  proofmark document show %s\n", d.Document)
	})
}

func asCountries(list []string) []protocol.Country {
	var out []protocol.Country
	for _, c := range list {
		out = append(out, protocol.Country(strings.ToUpper(c)))
	}
	return out
}

type approvalRefuseCmd struct {
	ID     string   `arg:"" help:"Id of the document."`
	To     []string `help:"Only what goes to this country, once for each." placeholder:"CC"`
	Reason string   `required:"" help:"Why; it stays in this country." placeholder:"TEXT"`
}

func (c *approvalRefuseCmd) Run(a *app) error {
	d, err := change[dispatch.Waiting](a, "approval.refuse", dispatch.ApprovalRef{Document: c.ID, To: asCountries(c.To), Note: c.Reason})
	if err != nil {
		return err
	}
	return a.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Document %s is refused; what was refused never goes.\n", d.Document)
	})
}
