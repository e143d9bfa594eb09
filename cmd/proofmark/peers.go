package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"proofmark/node/budget"
	"proofmark/node/control"
	"proofmark/node/exchange"
	"proofmark/policy"
)

type peersCmd struct {
	Country string `arg:"" optional:"" help:"One member alone, by its ISO 3166-1 alpha-2 code."`
	Failing bool   `help:"Only members with which something fails."`
}

func (c *peersCmd) Run(a *app) error {
	all, err := ask[[]control.Peer](a, "peers", control.None{})
	if err != nil {
		return err
	}
	list, empty, err := c.choose(all)
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) { writePeers(w, list, empty, wallClock()) })
}

// choose keeps the members that were asked for, and what to say where there are none.
func (c *peersCmd) choose(all []control.Peer) (list []control.Peer, empty string, err error) {
	country := strings.ToUpper(c.Country)
	if country != "" && !slices.ContainsFunc(all, func(p control.Peer) bool { return string(p.Country) == country }) {
		return nil, "", fmt.Errorf("%q is no other active member of the roster in force; `proofmark roster show` lists the members", c.Country)
	}
	list, empty = []control.Peer{}, "There are no other active members: no roster is installed (proofmark join), or the one in force names none."
	for _, p := range all {
		if (country == "" || string(p.Country) == country) && (!c.Failing || p.LastError != "") {
			list = append(list, p)
		}
	}
	if len(all) > 0 {
		empty = "Nothing fails with any of them."
	}
	return list, empty, nil
}

// writePeers prints a line for each member, and below what fails with whom and what to do.
func writePeers(w io.Writer, list []control.Peer, empty string, now time.Time) {
	rows := make([][]string, len(list))
	for i, p := range list {
		connected := "no"
		if p.Connected {
			connected = p.Transport
		}
		var queues []string
		for _, ch := range p.Channels {
			n := fmt.Sprint(ch.Queued)
			if ch.Queued < 0 {
				n = "?"
			}
			queues = append(queues, fmt.Sprintf("%s %s", ch.Channel, n))
		}
		rows[i] = []string{string(p.Country), p.Name, connected, orDash(stamp(p.LastContact)), strings.Join(queues, ", "), lagWords(p.PeerStatus), asked(p.Budgets), failing(p)}
	}
	table(w, empty, []string{"COUNTRY", "NAME", "CONNECTED", "LAST CONTACT", "QUEUED", "LAG", "HAS ASKED", "LAST ERROR"}, rows)
	for _, p := range list {
		if s := p.Sync; s != nil {
			fmt.Fprintf(w, "\n%s is given what this node holds for the first time: %d of %d documents (%d %%).\n", p.Country, s.Delivered, s.Total, 100*s.Delivered/s.Total)
		}
		if p.LastError != "" {
			fmt.Fprintf(w, "\n%s: %s.\n", p.Country, strings.TrimSuffix(printable(p.LastError), "."))
			next := nextTry(p.NextTry, now)
			if p.Stopped {
				next = "none before that"
			}
			facts(w, "  What to do", p.ToDo, "  Next try", next)
		}
		for _, b := range p.Budgets {
			if b.UsedUp() {
				fmt.Fprintf(w, "\n%s has used up its budget: %s; refused: %d.\n", p.Country, printable(b.String()), b.Refused)
				facts(w, "  Next free", orDash(stamp(b.Frees)), "  More", "proofmark budget show --countries")
			}
		}
		if p.OtherRoster != "" {
			fmt.Fprintf(w, "\n%s goes by another version of the roster (%s): install the newest on both sides (proofmark roster install).\n", p.Country, printable(p.OtherRoster))
		}
	}
}

// failing points to the words below the table: a line has no room for them.
func failing(p control.Peer) string {
	switch {
	case p.Stopped:
		return "STOPPED, see below"
	case p.LastError != "":
		return "see below"
	}
	return "–"
}

// asked says how many questions a member has asked of how many, by what it asks; of several purposes their sum.
func asked(budgets []budget.Spent) string {
	var out []string
	for _, what := range []string{policy.AsksTrace, policy.AsksScan} {
		used, limit := 0, 0
		for _, b := range budgets {
			if b.What == what {
				used, limit = used+b.Used, limit+b.Limit
			}
		}
		if limit > 0 || used > 0 {
			out = append(out, fmt.Sprintf("%s %d/%d", what, used, limit))
		}
	}
	return orDash(strings.Join(out, ", "))
}

// lagWords says how old the oldest document is that the member has not acknowledged.
func lagWords(p exchange.PeerStatus) string {
	waits := false
	for _, ch := range p.Channels {
		waits = waits || ch.Queued != 0
	}
	if !waits {
		return "–"
	}
	return spell(time.Duration(p.LagSeconds * float64(time.Second)))
}

func nextTry(at, now time.Time) string {
	switch wait := at.Sub(now); {
	case at.IsZero():
		return "when the member tries again"
	case wait <= 0:
		return "now"
	case wait < time.Minute:
		return fmt.Sprintf("in %d s", int(wait/time.Second)+1)
	}
	return stamp(at)
}
