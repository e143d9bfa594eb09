package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"proofmark/node/backup"
	"proofmark/node/control"
	"proofmark/node/custody"
	"proofmark/node/durable"
	"proofmark/protocol"
)

type custodyCmd struct {
	Send   custodySendCmd   `cmd:"" help:"Send the newest chain of a folder of backups to members that keep copies; what they have already is not sent again."`
	Status custodyStatusCmd `cmd:"" help:"Show what each holder has confirmed of this node's backups."`
	Check  custodyCheckCmd  `cmd:"" help:"Ask holders to prove that they still have this node's backups; the node does it daily by itself."`
	List   custodyListCmd   `cmd:"" help:"Show what this node keeps for other countries."`
	Export custodyExportCmd `cmd:"" help:"Write out what this node keeps for a country that has lost its own; only that country's recovery key opens it."`
}

type custodySendCmd struct {
	Folder string   `arg:"" help:"Folder of backups; the node's own account must be able to read it." type:"path"`
	At     []string `required:"" help:"Members that keep copies." placeholder:"COUNTRY,…"`
}

func (c *custodySendCmd) Run(a *app) error {
	sent, err := a.sendCopies(c.Folder, c.At)
	if err != nil {
		return err
	}
	if err := a.show(sent, func(w io.Writer) { showSent(w, sent) }); err != nil {
		return err
	}
	return notAtAll(sent, c.Folder)
}

// sendCopies has the node send a folder's newest chain.
func (a *app) sendCopies(folder string, holders []string) ([]custody.Sent, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	client, err := a.dial()
	if err != nil {
		return nil, err
	}
	p := a.progress("stand at holders")
	client.Progress = p.tell
	sent, err := ask[[]custody.Sent](a, "custody.send", custody.Request{Folder: folder, Holders: holders})
	client.Progress = nil
	p.end()
	return sent, err
}

func showSent(w io.Writer, sent []custody.Sent) {
	for _, s := range sent {
		if s.Fault == "" {
			fmt.Fprintf(w, "%s keeps all %s, the newest %s; %d bytes were sent now. It has signed for them.\n", s.Holder, count(s.Files, "backup"), printable(s.Newest.Name), s.Bytes)
			continue
		}
		fmt.Fprintf(w, "%s keeps %d of %s: %s\n", s.Holder, s.Kept, count(s.Files, "backup"), printable(s.Fault))
	}
}

// notAtAll is the error where copies do not stand whole at every holder.
func notAtAll(sent []custody.Sent, folder string) error {
	var behind []string
	for _, s := range sent {
		if s.Fault != "" {
			behind = append(behind, string(s.Holder))
		}
	}
	if len(behind) == 0 {
		return nil
	}
	list := strings.Join(behind, ",")
	return fmt.Errorf("the copies at %s are not complete; what arrived stays there, and proofmark custody send %s --at %s goes on", list, argument(folder), list)
}

type custodyStatusCmd struct{}

func (c *custodyStatusCmd) Run(a *app) error {
	out, err := ask[[]custody.AtHolder](a, "custody.status", control.None{})
	if err != nil {
		return err
	}
	return a.show(out, func(w io.Writer) {
		rows := make([][]string, len(out))
		for i, r := range out {
			rows[i] = []string{string(r.Holder), fmt.Sprint(r.Files), fmt.Sprint(r.Bytes), stamp(r.Newest.At), proof(r), fmt.Sprint(r.Behind), r.Newest.Name}
		}
		table(w, "No member has confirmed a copy: proofmark backup FOLDER/ --at COUNTRY,… sends them.", []string{"HOLDER", "FILES", "BYTES", "CONFIRMED", "PROVED", "BACKUPS SINCE", "NEWEST"}, rows)
		for _, r := range out {
			if r.Newest.Previous != "" {
				fmt.Fprintf(w, "%s keeps the chain before, %.8s, until %s.\n", r.Holder, r.Newest.Previous, stamp(r.Newest.PreviousUntil))
			}
			if r.Alarm != "" {
				fmt.Fprintf(w, "Alarm: %s\n", printable(r.Alarm))
			}
		}
	})
}

// proof says when a holder last proved that it has everything.
func proof(r custody.AtHolder) string {
	switch {
	case r.Check == nil || r.Check.Proved.IsZero():
		return "not yet"
	case r.Alarm != "":
		return "FAILED since " + stamp(r.Check.Proved)
	}
	return stamp(r.Check.Proved)
}

type custodyCheckCmd struct {
	At []string `help:"Ask these holders alone." placeholder:"COUNTRY,…"`
}

func (c *custodyCheckCmd) Run(a *app) error {
	out, err := ask[[]custody.Check](a, "custody.check", control.CustodyHolders{Holders: c.At})
	if err != nil {
		return err
	}
	bad := 0
	for _, r := range out {
		if r.Good != r.Files {
			bad++
		}
	}
	if err := a.show(out, func(w io.Writer) {
		if len(out) == 0 {
			fmt.Fprintln(w, "No member has confirmed a copy: there is nobody to ask.")
		}
		for _, r := range out {
			fmt.Fprintf(w, "%s proved that it has %d of %s.\n", r.Holder, r.Good, count(r.Files, "backup"))
			for _, f := range r.Faults {
				fmt.Fprintf(w, "  %s\n", printable(f))
			}
			if r.Silent != "" {
				fmt.Fprintf(w, "  No answer: %s\n", printable(r.Silent))
			}
		}
	}); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%s did not prove everything: proofmark custody send FOLDER --at COUNTRY sends again what is gone", count(bad, "holder"))
	}
	return nil
}

type custodyListCmd struct{}

func (c *custodyListCmd) Run(a *app) error {
	out, err := ask[[]custody.Holding](a, "custody.list", control.None{})
	if err != nil {
		return err
	}
	return a.show(out, func(w io.Writer) {
		rows := make([][]string, len(out))
		for i, h := range out {
			state, newest := "complete", "–"
			switch {
			case len(h.Files) == 0:
				state = "nothing yet"
			case len(h.Missing) > 0:
				state = "missing: " + strings.Join(h.Missing, ", ")
			case !h.Complete:
				state = "not a whole chain"
			}
			if h.Arriving > 0 {
				state += fmt.Sprintf("; %d bytes of the next", h.Arriving)
			}
			if h.Newest != nil {
				newest = stamp(*h.Newest)
			}
			rows[i] = []string{string(h.Owner), fmt.Sprint(len(h.Files)), fmt.Sprint(h.Bytes), fmt.Sprint(h.Granted), newest, state}
		}
		table(w, "Nothing is kept for anybody: [custody.for] in proofmark.toml grants room to a country.", []string{"OWNER", "FILES", "BYTES", "GRANTED", "NEWEST", "STATE"}, rows)
		for _, h := range out {
			for _, b := range h.Before {
				fmt.Fprintf(w, "%s: the older chain %.8s, %s of %s, is kept until %s (proofmark custody export --chain %.8s).\n", h.Owner, b.Chain, count(b.Files, "file"), stamp(b.Newest), stamp(b.Until), b.Chain)
			}
		}
	})
}

type custodyExportCmd struct {
	Owner  string `arg:"" help:"Country whose copies are written out." placeholder:"COUNTRY"`
	Folder string `arg:"" help:"New folder for them." type:"path"`
	Chain  string `help:"An older chain that is still kept, as custody list names it; otherwise the newest." placeholder:"ID"`
}

func (c *custodyExportCmd) Run(a *app) (err error) {
	out, err := ask[*custody.Export](a, "custody.begin", control.CustodyRef{Owner: c.Owner, Chain: c.Chain})
	if err != nil {
		return err
	}
	folder, err := durable.BeginFolder(c.Folder)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists and is not empty: choose a new folder", c.Folder)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Discard()) }()
	var total int64
	p := a.progress("written")
	defer p.end()
	for _, f := range out.Files {
		if err := protocol.CheckCopyName(f.Name); err != nil {
			return err
		}
		if err := a.fetchCopy(out.Owner, f, filepath.Join(folder.Path, f.Name), func(n, _ int64) { p.tell(total+n, 0) }); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		total += f.Size
	}
	b, err := json.MarshalIndent(backup.Index{Country: out.Owner, Files: out.Files}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder.Path, backup.IndexName), append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := folder.Commit(); err != nil {
		return err
	}
	p.end()
	p.shown = false
	return a.show(struct {
		*custody.Export
		Folder string `json:"folder"`
	}{out, c.Folder}, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds %s of %s (%d bytes), sealed for that country's recovery key.\n", printable(c.Folder), count(len(out.Files), "backup"), out.Owner, total)
		fmt.Fprintf(w, "There:  proofmark restore --from %s --key FILE --data NEWFOLDER\n", argument(filepath.Base(c.Folder)))
	})
}

func (a *app) fetchCopy(owner protocol.Country, f backup.Part, path string, tell func(done, total int64)) error {
	client, err := a.dial()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	client.Progress = tell
	_, err = control.Download[*protocol.CustodyReceipt](a.ctx, client, "custody.fetch", control.CustodyRef{Owner: string(owner), ID: f.ID}, to)
	client.Progress = nil
	return errors.Join(a.explain(err), to.Close())
}
