package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/control"
	"proofmark/node/release"
	"proofmark/protocol"
)

type scanCmd struct {
	Request  scanRequestCmd  `cmd:"" help:"Ask the owner of a signature for the full scan behind it."`
	Requests scanRequestsCmd `cmd:"" help:"List the requests of both directions, the newest first."`
	Show     scanShowCmd     `cmd:"" help:"Show a request: what was decided, what was released, what happened when."`
	Approve  scanApproveCmd  `cmd:"" help:"Approve a release; two different people do, each in a session of their own."`
	Refuse   scanRefuseCmd   `cmd:"" help:"Refuse a release, with the reason."`
	Fetch    scanFetchCmd    `cmd:"" help:"Fetch now what was released, instead of waiting until the node does."`
	Save     scanSaveCmd     `cmd:"" help:"Write a received scan to a file."`
}

type scanRequestCmd struct {
	Signature string `arg:"" help:"Signature in full, as candidates show and lead show name it."`
	Purpose   string `help:"Purpose of the sharing." default:"criminal-investigation" placeholder:"WORD"`
	Reason    string `required:"" help:"What the scan is needed for; the owner reads it." placeholder:"TEXT"`
}

func (c *scanRequestCmd) Run(a *app) error {
	r, err := change[release.Request](a, "scan.request", release.Ask{Signature: c.Signature, Purpose: c.Purpose, Reason: c.Reason})
	if err != nil {
		return err
	}
	a.tellBudget("scan:request", c.Purpose)
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "Request %s goes to %s. A scan that is released is fetched by itself.\n\nNext:  proofmark scan show %s\n", r.Number, r.Counterpart, r.Number)
	})
}

type scanRequestsCmd struct{}

func (c *scanRequestsCmd) Run(a *app) error {
	list, err := ask[[]release.Request](a, "scan.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i := range list {
			r := &list[i]
			rows[i] = []string{r.Number, r.Direction, string(r.Counterpart), string(r.State), orDash(r.Exhibit), r.Signature, stamp(r.Created), nextForScan(r)}
		}
		table(w, "There are no requests for scans.", []string{"REQUEST", "DIRECTION", "COUNTRY", "STATE", "EXHIBIT", "SIGNATURE", "MADE", "NEXT"}, rows)
	})
}

// nextForScan says what follows.
func nextForScan(r *release.Request) string {
	number := argument(r.Number)
	switch r.State {
	case release.Requested:
		return string(r.Counterpart) + " decides"
	case release.Awaiting:
		return "proofmark scan approve " + number + ", or refuse"
	case release.Refusing:
		return "the refusal leaves at " + stamp(r.Due)
	case release.Released:
		if r.Direction == release.Incoming {
			return string(r.Counterpart) + " fetches it until " + day(r.Release.Expires)
		}
		return "it is being fetched"
	case release.Received:
		if r.Direction == release.Outgoing {
			return "proofmark scan save " + number + " FILE.x3p"
		}
	}
	return ""
}

type scanShowCmd struct {
	Ref string `arg:"" help:"Number of the request, or its id."`
}

func (c *scanShowCmd) Run(a *app) error {
	r, err := ask[release.Request](a, "scan.show", control.Ref{Ref: c.Ref})
	if err != nil {
		return err
	}
	return a.show(r, func(w io.Writer) { printScanRequest(w, &r) })
}

func printScanRequest(w io.Writer, r *release.Request) {
	facts(w, "Request", r.Number, "Direction", r.Direction, "Country", string(r.Counterpart), "State", string(r.State), "Signature", r.Signature, "Exhibit", r.Exhibit, "Case", r.Case,
		"Purpose", r.Purpose, "Reason", r.Reason, "Handling", codes(r.Handling), "Erased on", day(r.RetainUntil))
	if r.Refusal != nil {
		fmt.Fprintln(w)
		facts(w, "Refused", r.Refusal.Code, "Note", told(r.Refusal.Note, "note", r.Refusal.Withheld, r.Counterpart), "By", r.Refusal.By, "Leaves at", stamp(r.Due))
		if r.Direction == release.Incoming && r.Refusal.Code == protocol.ScanUnknown {
			fmt.Fprintf(w, "True ground: %s. %s is told what it would be told of an exhibit that does not exist, and at the same moment.\n", printable(r.Ground), r.Counterpart)
		}
	}
	if len(r.Files) > 0 {
		rows := make([][]string, len(r.Files))
		for i, f := range r.Files {
			land := "–"
			if f.Land > 0 {
				land = fmt.Sprint(f.Land)
			}
			note := f.LastFault
			if f.Kept > 0 {
				note = strings.TrimSpace(fmt.Sprintf("%d bytes are here. %s", f.Kept, note))
			}
			if f.Unopened != "" {
				note = "cannot be read as a scan: " + f.Unopened
			}
			rows[i] = []string{land, short(f.SHA256), fmt.Sprint(f.Size), orDash(stamp(f.Received)), orDash(note)}
		}
		fmt.Fprintln(w)
		table(w, "", []string{"LAND", "SHA-256", "BYTES", "RECEIVED", "NOTE"}, rows)
	}
	fmt.Fprintln(w)
	events := make([]event, len(r.Timeline))
	for i, s := range r.Timeline {
		by := s.By
		if by == "" {
			by = string(s.Country)
		}
		what := s.Event
		if s.Note != "" {
			what += ": " + s.Note
		}
		events[i] = event{what, s.At, by}
	}
	timeline(w, events)
	if next := nextForScan(r); next != "" {
		fmt.Fprintf(w, "\nNext:  %s\n", next)
	}
}

type scanApproveCmd struct {
	Ref  string `arg:"" help:"Number of the request, or its id."`
	Note string `help:"Note for the own record; it stays in this country." placeholder:"TEXT"`
}

func (c *scanApproveCmd) Run(a *app) error {
	r, err := change[release.Request](a, "scan.approve", control.ScanDecision{Ref: c.Ref, Note: c.Note})
	if err != nil {
		return err
	}
	return a.show(r, func(w io.Writer) {
		if r.State == release.Released {
			fmt.Fprintf(w, "The scan of exhibit %s is released to %s until %s.\n", printable(r.Exhibit), r.Counterpart, day(r.Release.Expires))
			return
		}
		fmt.Fprintf(w, "Your approval of request %s is recorded. A second person approves it in a session of their own:\n\nNext:  proofmark scan approve %s\n", printable(r.Number), argument(r.Number))
	})
}

type scanRefuseCmd struct {
	Ref    string `arg:"" help:"Number of the request, or its id."`
	Reason string `required:"" help:"Why: POLICY, COMPROMISES_AN_INVESTIGATION, CONFIDENTIALITY_LAW, NATIONAL_SECURITY, PURPOSE_INSUFFICIENT, SCAN_UNSUITABLE, OTHER, or UNKNOWN_OR_NOT_AVAILABLE, which tells nothing." placeholder:"CODE"`
	Note   string `help:"Note for the country that asked." placeholder:"TEXT"`
}

func (c *scanRefuseCmd) Run(a *app) error {
	r, err := change[release.Request](a, "scan.refuse", control.ScanDecision{Ref: c.Ref, Code: strings.ToUpper(c.Reason), Note: c.Note})
	if err != nil {
		return err
	}
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "Request %s is refused: %s. %s is told at %s, on the tick on which every refusal leaves.\n", printable(r.Number), r.Refusal.Code, r.Counterpart, r.Due.Local().Format("15:04:05"))
	})
}

type scanFetchCmd struct {
	Ref string `arg:"" help:"Number of the request, or its id."`
}

func (c *scanFetchCmd) Run(a *app) error {
	r, err := ask[release.Request](a, "scan.fetch", control.Ref{Ref: c.Ref})
	if err != nil {
		return err
	}
	return a.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "Request %s: %s received.\n\nNext:  %s\n", r.Number, count(len(r.Files), "scan"), nextForScan(&r))
	})
}

type scanSaveCmd struct {
	Ref  string `arg:"" help:"Number of the request, or its id."`
	File string `arg:"" help:"File to make; beside it, FILE.handling says what its owner demands. Nothing is overwritten." type:"path"`
	Land int    `help:"Which land of a bullet." placeholder:"N"`
}

func (c *scanSaveCmd) Run(a *app) error {
	s, err := ask[release.Saved](a, "scan.save", control.ScanRef{Ref: c.Ref, Land: c.Land})
	if err != nil {
		return err
	}
	content := s.Content
	if err := createFiles(append([]newFile{{c.File, content, 0o600}}, handlingFile(c.File, &s)...)...); err != nil {
		return err
	}
	s.Content, s.File = nil, c.File
	return a.show(s, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds the scan of request %s (%d bytes, SHA-256 %s).\n", printable(c.File), s.Request, len(content), s.SHA256)
		facts(w, "Handling", codes(s.Handling), "Erase by", day(s.RetainUntil))
		fmt.Fprintf(w, "\nNext:  proofmark compare OWN.x3p %s\n", argument(c.File))
	})
}
