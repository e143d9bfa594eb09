package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/accounting"
	"proofmark/node/control"
)

// trail answers "who has ever received or asked for this?".
func (c *auditQueryCmd) trail(a *app) error {
	for flag, set := range map[string]bool{"--actor": c.Actor != "", "--action": c.Action != "", "--object": c.Object != "", "--case": c.Case != "", "--kind": c.Kind != "",
		"--counterpart": c.Counterpart != "", "--decision": c.Decision != "", "--purpose": c.Purpose != "", "--policy": c.Policy != "", "--handling": c.Handling != "",
		"--ground": c.Ground != "", "--text": c.Text != "", "--since": c.Since != "", "--until": c.Until != ""} {
		if set {
			return fmt.Errorf("--exhibit asks for everything about one exhibit: leave out %s, or ask with --object", flag)
		}
	}
	t, err := ask[accounting.Trail](a, "audit.exhibit", control.TrailRequest{Ref: c.Exhibit, Look: int(c.Look)})
	if err != nil {
		return err
	}
	return a.show(t, func(w io.Writer) { printTrail(w, &t) })
}

func printTrail(w io.Writer, t *accounting.Trail) {
	if t.Exhibit == "" && len(t.Countries)+len(t.People)+len(t.Erased) == 0 {
		fmt.Fprintf(w, "%s is unknown to this node and to its log: no exhibit has this number, and no object this id. Check how it is written.\n", printable(t.Ref))
		return
	}
	name := t.Ref
	if t.Number != "" {
		name = fmt.Sprintf("%s, case %s", t.Number, t.Case)
	}
	fmt.Fprintf(w, "Exhibit %s: %s looked for in the log.\n", printable(name), count(len(t.Parts), "object"))
	if len(t.Countries) == 0 {
		fmt.Fprintln(w, "No other country ever received anything of it or asked for it.")
	}
	for _, c := range t.Countries {
		var counts []string
		for _, what := range []string{"received", "confirmed", "asked", "answered", "refused", "withdrawn", "erased", "viewed here", "combined here", "handled here"} {
			if n := c.Counts[what]; n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, what))
			}
		}
		fmt.Fprintf(w, "\n%s, %s to %s: %s\n", c.Country, stamp(c.First), stamp(c.Last), strings.Join(counts, ", "))
		rows := make([][]string, len(c.Events))
		for i, e := range c.Events {
			rows[i] = []string{"  " + fmt.Sprint(e.Index), stamp(e.Time), e.What, e.Event, strings.TrimSpace(e.Kind + " " + short(e.Object)), orDash(e.Actor),
				orDash(e.Purpose), orDash(strings.Join(e.Handling, " ")), orDash(strings.Join(e.Withheld, " ")), orDash(strings.Join(e.Policies, ", "))}
		}
		table(w, "", []string{"  ENTRY", "TIME", "WHAT", "EVENT", "OBJECT", "BY", "PURPOSE", "HANDLING", "WITHHELD", "POLICIES"}, rows)
	}
	rows := make([][]string, len(t.People))
	for i, p := range t.People {
		rows[i] = []string{"  " + p.Name, stamp(p.First), stamp(p.Last), fmt.Sprint(p.Entries)}
	}
	fmt.Fprintln(w, "\nAt this bureau:")
	table(w, "  nobody", []string{"  WHO", "FIRST", "LAST", "ENTRIES"}, rows)
	if len(t.Erased) > 0 {
		fmt.Fprintln(w, "\nRetention erased what these entries were about; some may be of this exhibit:")
		rows = make([][]string, len(t.Erased))
		for i, e := range t.Erased {
			rows[i] = []string{"  " + e.Country, e.Action, orDash(e.Type), e.First, e.Last, fmt.Sprint(e.Entries)}
		}
		table(w, "", []string{"  WITH", "ACTION", "TYPE", "FIRST DAY", "LAST DAY", "ENTRIES"}, rows)
	}
	if t.ErasedMore {
		fmt.Fprintln(w, "\nThese are the newest erased entries; there are more. Count so many:  --look 1000000")
	}
	if t.More {
		fmt.Fprintln(w, "\nThere are more entries than are shown here: ask with --object for single ones.")
	}
}
