package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"proofmark/node/control"
	"proofmark/node/dispatch"
	"proofmark/protocol"
)

type documentCmd struct {
	List documentListCmd `cmd:"" help:"List documents that this country issued or received."`
	Show documentShowCmd `cmd:"" help:"Show a document: header, what was disclosed of it, terms, and how far it went."`
	Save documentSaveCmd `cmd:"" help:"Save a signed document to a file that any JOSE library verifies, its issuer's key beside it."`

	Withdraw    documentWithdrawCmd    `cmd:"" help:"Take back a document that this country issued: whoever holds it erases it and confirms that."`
	Withdrawals documentWithdrawalsCmd `cmd:"" help:"List what this country withdrew, and how far each holder is."`
	Hold        documentHoldCmd        `cmd:"" help:"Put a document of another country under a legal hold: nothing erases it until it is released."`
	Release     documentReleaseCmd     `cmd:"" help:"End a legal hold."`
}

type documentListCmd struct {
	Status string `help:"own, withdrawn, accepted, refused or unread." enum:"own,withdrawn,accepted,refused,unread," default:""`
	Type   string `help:"Of one type only: signature, lead, trace-request, …" placeholder:"TYPE"`
	After  string `help:"The next page: after this id." placeholder:"ID"`
	Limit  int    `help:"At most so many." default:"100"`
}

func (c *documentListCmd) Run(a *app) error {
	list, err := ask[[]dispatch.Listed](a, "document.list", dispatch.DocumentFilter{Status: dispatch.Status(c.Status), Type: protocol.Type(c.Type), After: c.After, Limit: c.Limit})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, d := range list {
			status := string(d.Status)
			if d.Held {
				status += ", held"
			}
			rows[i] = []string{d.ID, string(d.Type), string(d.Issuer), status, stamp(d.At), orDash(d.Reason)}
		}
		table(w, "No documents.", []string{"DOCUMENT", "TYPE", "ISSUER", "STATUS", "TIME", "REASON"}, rows)
		if len(list) == c.Limit && len(list) > 0 {
			fmt.Fprintf(w, "\nMore:  --after %s\n", argument(list[len(list)-1].ID))
		}
	})
}

type documentShowCmd struct {
	ID string `arg:"" help:"Id of the document."`
}

func (c *documentShowCmd) Run(a *app) error {
	d, err := ask[dispatch.Shown](a, "document.show", control.Ref{Ref: c.ID})
	if err != nil {
		return err
	}
	return a.show(d, func(w io.Writer) { printDocument(w, &d) })
}

func printDocument(w io.Writer, d *dispatch.Shown) {
	pairs := []string{"Document", d.ID, "Type", string(d.Type), "Issuer", string(d.Issuer), "Status", string(d.Status), "Reason", orDash(d.Reason), "Kept since", stamp(d.At), "SHA-256", d.SHA256}
	if h := d.Hold; h != nil {
		pairs = append(pairs, "Legal hold", fmt.Sprintf("%s (%s, since %s)", h.Ground, h.By, stamp(h.At)))
	}
	if x := d.Withdrawn; x != nil {
		by := "its owner, " + string(d.Issuer)
		if x.By != "" {
			by = x.By
		}
		pairs = append(pairs, "Withdrawn", fmt.Sprintf("%s by %s: %s %s", stamp(x.At), by, x.Reason, x.Note), "Withdrawal", x.Document)
	}
	if h := d.Header; h != nil {
		pairs = append(pairs, "Issued", stamp(h.Issued), "Schema", fmt.Sprint(h.Schema), "Purpose", orDash(h.Purpose))
	}
	if t := d.Terms; t != nil {
		pairs = append(pairs, "Handling", codes(d.Handling), "Held until", day(t.RetainUntil))
	} else {
		pairs = append(pairs, "Handling", codes(d.Handling), "Held until", day(d.Until))
	}
	withheld := ""
	if len(d.Withheld) > 0 {
		withheld = "by " + string(d.Issuer) + "'s policy: " + strings.Join(d.Withheld, ", ")
	}
	content, closed := "", fmt.Sprintf("%d (decoys among them)", d.Closed)
	if d.SHA256 != "" {
		content, closed = "not kept: this country's own policy refused it", ""
	}
	facts(w, append(pairs, "Withheld", withheld, "Content", content, "Closed digests", closed)...)
	if len(d.Body) > 0 {
		var body bytes.Buffer
		if json.Indent(&body, d.Body, "  ", "  ") == nil {
			fmt.Fprintf(w, "\n  %s\n", printableLines(withoutBytes(body.String())))
		}
	}
	if len(d.Deliveries) == 0 {
		return
	}
	rows := make([][]string, len(d.Deliveries))
	for i, dl := range d.Deliveries {
		number := "–"
		if dl.Seq > 0 {
			number = fmt.Sprintf("%s %d", dl.Channel, dl.Seq)
		}
		rows[i] = []string{string(dl.Peer), dl.State, number, orDash(strings.Join(dl.Withheld, ", ")), stamp(dl.Sent), stamp(dl.Received), orDash(day(dl.Terms.RetainUntil))}
	}
	fmt.Fprintln(w)
	table(w, "", []string{"TO", "STATE", "MESSAGE", "WITHHELD", "SENT", "RECEIVED", "KEPT UNTIL"}, rows)
	if len(d.Holders) > 0 {
		fmt.Fprintln(w)
		holderTable(w, d.Holders)
	}
}

type documentSaveCmd struct {
	ID   string `arg:"" help:"Id of the document."`
	File string `arg:"" help:"File to make; FILE.jwk and FILE.disclosures are made beside it, and FILE.handling where its owner restricts its use. Nothing is overwritten." type:"path"`
}

func (c *documentSaveCmd) Run(a *app) error {
	d, err := ask[dispatch.Saved](a, "document.save", control.Ref{Ref: c.ID})
	if err != nil {
		return err
	}
	disclosures, err := json.MarshalIndent(d.Disclosures, "", "  ")
	if err != nil {
		return err
	}
	if err := createFiles(append([]newFile{{c.File, []byte(d.JWS + "\n"), 0o600}, {c.File + ".jwk", append(d.Key, '\n'), 0o644},
		{c.File + ".disclosures", append(disclosures, '\n'), 0o600}}, handlingFile(c.File, &d)...)...); err != nil {
		return err
	}
	made := savedDocument{d.ID, c.File, len(d.Disclosures), d.Handling, d.Said}
	return a.show(made, func(w io.Writer) {
		name := printable(filepath.Base(c.File))
		fmt.Fprintf(w, "%s is a signed document (JWS, EdDSA); beside it, %s.jwk is its issuer's key, %s.disclosures what was disclosed of it (%d).\n", printable(c.File), name, name, made.Disclosures)
	})
}

// savedDocument says what was written of a document.
type savedDocument struct {
	ID          string            `json:"id"`
	File        string            `json:"file"`
	Disclosures int               `json:"disclosures"`
	Handling    protocol.Handling `json:"handling"`
	protocol.Said
}

// Marks implements protocol.Marked.
func (s *savedDocument) Marks() (protocol.Handling, []string) { return s.Handling, []string{s.ID} }
