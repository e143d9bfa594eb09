package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node"
	"proofmark/node/control"
	"proofmark/store"
)

type doctorCmd struct{}

var errUnwell = errors.New("not everything is well: see above")

// Run examines the data folder, and asks the node where it runs; members are seen by whoever is logged in and may see them. The exit code is 1 where
// there is a fault.
func (c *doctorCmd) Run(a *app) error {
	status, err := ask[control.Status](a, "status", control.None{})
	running := err == nil
	found := node.Examine(a.Data, wallClock(), running)
	if running {
		found = append(found, node.Finding{Check: "node", Grade: node.Good, Says: fmt.Sprintf("%s (%s) runs.", status.Country, status.Name)})
		for _, alarm := range status.Alarms {
			found = append(found, node.Finding{Check: "copies", Grade: node.Bad, Says: alarm,
				Do: "proofmark custody send FOLDER --at COUNTRY replaces what is gone; proofmark custody check asks again. Until then do not count on that holder."})
		}
		found = append(found, a.federation(status)...)
		found = append(found, witnessFindings(status)...)
		found = append(found, noticeFindings(status)...)
	} else {
		found = append(found, node.Finding{Check: "node", Grade: node.Warn, Says: "It does not run: members could not be asked.", Do: "proofmark run --data " + argument(a.Data)})
	}
	faults := 0
	for _, f := range found {
		if f.Grade == node.Bad {
			faults++
		}
	}
	if err := a.show(found, func(w io.Writer) {
		for _, f := range found {
			fmt.Fprintf(w, "%-8s %-14s %s\n", f.Grade, f.Check, printable(f.Says))
			if f.Do != "" {
				fmt.Fprintf(w, "%-8s %-14s → %s\n", "", "", printable(f.Do))
			}
		}
	}); err != nil {
		return err
	}
	if faults > 0 {
		return fmt.Errorf("%s: %w", count(faults, "fault"), errUnwell)
	}
	return nil
}

// federation asks the running node for roster and members.
func (a *app) federation(s control.Status) []node.Finding {
	if s.Roster == "" {
		return []node.Finding{{Check: "roster", Grade: node.Bad, Says: "None is installed: nobody is let in, and nobody is dialled.", Do: "proofmark roster install FILE --anchor-file ANCHOR"}}
	}
	force, err := ask[control.RosterInForce](a, "roster.show", control.None{})
	if err != nil && errors.Is(err, store.ErrDiskReserve) {
		return []node.Finding{{Check: "roster", Grade: node.Warn, Says: "Roster and members could not be asked for: " + err.Error(), Do: "Make room first."}}
	}
	if err != nil {
		return []node.Finding{{Check: "roster", Grade: node.Warn, Says: "Its roster and members are shown to people who may see them: " + err.Error(), Do: "Log in as administrator or ncb-operator and run this again."}}
	}
	var out []node.Finding
	for _, w := range force.Warnings {
		grade := node.Bad
		if strings.Contains(w, " expires on ") || strings.Contains(w, " announce other keys for ") || strings.Contains(w, " waits until a roster lists it") ||
			strings.Contains(w, "The node still goes by its old host key") { // nothing has ended yet
			grade = node.Warn
		}
		check := "roster"
		if strings.Contains(w, "clock is wrong") {
			check = "clock"
		}
		out = append(out, node.Finding{Check: check, Grade: grade, Says: w})
	}
	if len(out) == 0 {
		version := "It is in force"
		if d, err := roster.Parse(force.Document); err == nil {
			version = fmt.Sprintf("Version %d of %s is in force", d.Roster().Version, d.Roster().Name)
		}
		out = append(out, node.Finding{Check: "roster", Grade: node.Good, Says: version + ", and lists this node's keys."})
	}
	peers, err := a.settledPeers()
	if err != nil {
		return append(out, node.Finding{Check: "members", Grade: node.Warn, Says: err.Error()})
	}
	for _, p := range peers {
		out = append(out, memberFinding(p))
	}
	return out
}

// settledPeers asks for the members, and for a few seconds again while something was wrong a moment ago with one that is connected: of two nodes that were just
// started, or took in another roster, one closes what the other opened too early.
func (a *app) settledPeers() (peers []control.Peer, err error) {
	for range 6 {
		peers, err = ask[[]control.Peer](a, "peers", control.None{})
		if err != nil || !slices.ContainsFunc(peers, func(p control.Peer) bool { return p.Connected && p.LastError != "" && !p.Stopped }) {
			break
		}
		select {
		case <-a.ctx.Done():
			return peers, a.ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return peers, err
}

// noticeFindings say what waits for people: a warning where something lapses, is overdue or refused unless somebody acts.
func noticeFindings(s control.Status) []node.Finding {
	var out []node.Finding
	for _, n := range s.Notices {
		grade := node.Good
		if n.Urgent {
			grade = node.Warn
		}
		out = append(out, node.Finding{Check: n.About, Grade: grade, Says: n.Says, Do: n.Do})
	}
	if len(out) == 0 {
		out = append(out, node.Finding{Check: "people", Grade: node.Good, Says: "Nothing waits for people: no approval, purge or end of a permission, operation or record, and no budget is used up."})
	}
	return out
}

func memberFinding(p control.Peer) node.Finding {
	queued := 0
	for _, ch := range p.Channels {
		queued += max(ch.Queued, 0)
	}
	f := node.Finding{Check: "member " + string(p.Country), Grade: node.Good, Says: fmt.Sprintf("Connected by %s, %s.", p.Transport, waiting(queued))}
	switch {
	case !p.Connected:
		f.Grade = node.Warn
		f.Says = fmt.Sprintf("Not connected, %s.", waiting(queued))
		f.Do = "If it lasts: " + cmp.Or(p.ToDo, "ask its bureau whether the node runs, and whether the network lets both ports through") + "; meanwhile proofmark bundle export --to " + string(p.Country)
	case p.LastError != "":
		f.Grade, f.Do = node.Warn, p.ToDo
	}
	if p.LastError != "" {
		f.Says += " Last error: " + p.LastError + "."
	}
	if p.Stopped {
		f.Grade, f.Says, f.Do = node.Bad, strings.TrimSuffix(p.LastError, ".")+".", p.ToDo
	}
	if p.OtherRoster != "" {
		f.Grade = node.Warn
		f.Says += " It goes by another version of the roster."
		f.Do = "Install the newest roster on both sides."
	}
	return f
}

func waiting(n int) string {
	if n == 0 {
		return "nothing waits for it"
	}
	return count(n, "document") + " waiting for it"
}
