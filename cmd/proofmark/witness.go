package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"proofmark/node"
	"proofmark/node/control"
	"proofmark/node/witness"
)

type witnessCmd struct {
	Status      witnessStatusCmd      `cmd:"" help:"Show who witnesses this node's audit log and was asked last, what it has cosigned of others, and what is alarming."`
	Show        witnessShowCmd        `cmd:"" help:"Show what is known of a member's audit log, with the checkpoints that contradict each other where there are any."`
	Acknowledge witnessAcknowledgeCmd `cmd:"" help:"Take note of the alarms about a member's log, with words why (--why TEXT): proof and history stay, and a new contradiction alarms again."`

	Save witnessSaveCmd `cmd:"" help:"Write out this node's newest checkpoint with the members' cosignatures."`
}

type witnessStatusCmd struct{}

func (c *witnessStatusCmd) Run(a *app) error {
	s, err := ask[*witness.Status](a, "witness.status", control.None{})
	if err != nil {
		return err
	}
	return a.show(s, func(w io.Writer) {
		fmt.Fprintf(w, "This node's audit log %s has %d entries. %s\n\n", printable(s.Origin), s.Entries, cosignedText(s.Cosigned, s.Wanted))
		if s.Asked != nil {
			fmt.Fprintf(w, "Asked last: %s, %s.\n\n", s.Asked.Country, stamp(s.Asked.At))
		}
		if s.Memory != nil {
			fmt.Fprintf(w, "This node has forgotten what it cosigned for others (%s, %s), and cosigns a log again once the members have said what they hold. Not heard yet: %s.\n\n",
				printable(s.Memory.Why), stamp(s.Memory.Since), countries(s.Memory.Missing))
		}
		rows := make([][]string, len(s.Witnesses))
		for i, r := range s.Witnesses {
			state, by := "connected", "chosen"
			if !r.Connected {
				state = "not connected"
			}
			if r.Named {
				by = "named"
			}
			if r.Fault != "" && r.Failed.After(r.At) {
				state += "; " + stamp(r.Failed) + ": " + r.Fault
			}
			rows[i] = []string{string(r.Country), fmt.Sprint(r.Size), moment(r.At), moment(r.Asked), by, state}
		}
		table(w, "No member is there to be asked.", []string{"WITNESS", "COSIGNED UP TO", "AT", "ASKED", "BY", "STATE"}, rows)
		fmt.Fprintln(w)
		rows = nil
		for _, l := range s.Logs {
			if l.Chosen || l.Size > 0 || l.Evidence > 0 || l.Owed > 0 {
				rows = append(rows, []string{string(l.Country), fmt.Sprint(l.Size), moment(l.At), fmt.Sprint(l.Restores), fmt.Sprint(l.Evidence), logText(l, s.Memory)})
			}
		}
		table(w, "This node witnesses no log.", []string{"LOG OF", "WITNESSED UP TO", "AT", "RESTORES", "EVIDENCE", "STATE"}, rows)
		for _, alarm := range s.Alarms {
			if note := alarm.Acknowledged; note != nil {
				fmt.Fprintf(w, "\nAcknowledged by %s, %s: %s.\n       %s\n", printable(note.By), stamp(note.At), printable(alarm.Text), printable(note.Why))
				continue
			}
			fmt.Fprintf(w, "\nALARM: %s. Found by %s, %s.\n       proofmark witness show %s\n", printable(alarm.Text), alarm.From, stamp(alarm.At), alarm.Country)
		}
	})
}

// logText says how a member's log stands at this node.
func logText(l witness.LogState, lost *witness.MemoryView) string {
	switch {
	case l.Alarms > 0:
		return "CONTRADICTS ITSELF"
	case l.Noted > 0:
		return "contradicts itself; acknowledged"
	case l.Refused != "":
		return "refused: " + l.Refused
	case l.Owed > 0:
		return fmt.Sprintf("has to continue %d more checkpoints that members hold", l.Owed)
	case lost != nil:
		return "waits until members have said what they hold"
	case l.Size == 0:
		return "nothing offered yet"
	}
	return "goes on"
}

func cosignedText(c *witness.CosignedView, wanted int) string {
	if c == nil {
		return "No member has cosigned it yet."
	}
	text := fmt.Sprintf("Of these %d are cosigned by %s", c.Size, strings.Join(countriesOf(c), ", "))
	if !c.Enough {
		text += fmt.Sprintf("; %d are wanted", wanted)
	}
	return text + "."
}

func countriesOf(c *witness.CosignedView) []string {
	by := make([]string, len(c.By))
	for i, s := range c.By {
		by[i] = s.Country
	}
	return by
}

// moment is a time that may not have been yet.
func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return stamp(t)
}

type witnessShowCmd struct {
	Country string `arg:"" help:"Member whose log is shown; the own country for what others have proved against this node." placeholder:"COUNTRY"`
}

func (c *witnessShowCmd) Run(a *app) error {
	v, err := ask[*witness.LogView](a, "witness.show", control.CountryRef{Country: strings.ToUpper(c.Country)})
	if err != nil {
		return err
	}
	return a.show(v, func(w io.Writer) {
		facts(w, "Log", v.Origin, "Country", string(v.Country), "Key", v.LogKey, "Witnessed here", witnessedText(v))
		if v.Note != "" {
			fmt.Fprintf(w, "\nThe checkpoint cosigned last:\n%s", quoted(v.Note))
		}
		for _, r := range v.Evidence {
			head := "ALARM"
			if note := r.Acknowledged; note != nil {
				head = fmt.Sprintf("Acknowledged by %s, %s: %s", printable(note.By), stamp(note.At), printable(note.Why))
			}
			if r.Explained != "" {
				head = "Explained by the restore " + r.Explained + " that was declared afterwards"
			}
			fmt.Fprintf(w, "\n%s: %s.\nFound by %s, kept since %s, as %s. Whoever has the log's key can check it:\n", head, printable(r.Text), r.From, stamp(r.At), r.ID)
			fmt.Fprintf(w, "first\n%sthen\n%s", quoted(r.Evidence.First), quoted(r.Evidence.Then))
			if r.Evidence.Head != "" {
				fmt.Fprintf(w, "what the log signed about the two\n%s", quoted(r.Evidence.Head))
			}
		}
		for _, r := range v.Restores {
			fmt.Fprintf(w, "\nA restore was declared, seen here %s:\nbefore\n%safter\n%sthe declaration\n%s", stamp(r.At), quoted(r.First), quoted(r.Then), quoted(r.Head))
		}
		if v.Alarms > 0 {
			fmt.Fprintf(w, "\nCall the bureau of %s: either an old copy of its database runs, which it has to declare (proofmark restore), or somebody has rewritten its log.\nOnce that is known: proofmark witness acknowledge %s --why TEXT. A restore that it declares is then taken here, wherever its backup ended.\n", v.Country, v.Country)
		}
	})
}

func witnessedText(v *witness.LogView) string {
	if v.Size == 0 {
		return "nothing yet"
	}
	return fmt.Sprintf("%d entries, cosigned %s; first %s", v.Size, stamp(v.At), stamp(v.Since))
}

// quoted sets a signed note off from what is said about it.
func quoted(note string) string {
	var b strings.Builder
	for line := range strings.Lines(note) {
		b.WriteString("    " + printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}

type witnessAcknowledgeCmd struct {
	Country string `arg:"" help:"Member about whose log there are alarms; the own country for those about this node's." placeholder:"COUNTRY"`
}

func (c *witnessAcknowledgeCmd) Run(a *app) error {
	n, err := change[*witness.Noted](a, "witness.acknowledge", control.CountryRef{Country: strings.ToUpper(c.Country)})
	if err != nil {
		return err
	}
	return a.show(n, func(w io.Writer) {
		for _, r := range n.Alarms {
			fmt.Fprintf(w, "Acknowledged: %s.\n", printable(r.Text))
		}
		fmt.Fprintf(w, "The proof stays (proofmark witness show %s), and a new contradiction alarms again.\n", n.Country)
	})
}

type witnessSaveCmd struct {
	File string `arg:"" help:"New file for the checkpoint, a c2sp.org/tlog-checkpoint with cosignatures." type:"path"`
}

func (c *witnessSaveCmd) Run(a *app) error {
	v, err := ask[*witness.CosignedView](a, "witness.save", control.None{})
	if err != nil {
		return err
	}
	if err := createFiles(newFile{c.File, []byte(v.Note), 0o644}); err != nil {
		return err
	}
	if err := a.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s holds the checkpoint of %d entries, cosigned by %s.\n", printable(c.File), v.Size, strings.Join(countriesOf(v), ", "))
	}); err != nil {
		return err
	}
	if !v.Enough {
		return errors.New("it has fewer cosignatures than are wanted: proofmark witness status shows which members do not answer")
	}
	return nil
}

// staleCosignature is the age from which the doctor warns: a log is offered once an hour at least.
const staleCosignature = 3 * time.Hour

// witnessFindings say how the witnessing of audit logs stands.
func witnessFindings(s control.Status) []node.Finding {
	var out []node.Finding
	for _, text := range s.Witness.Alarms {
		if strings.HasPrefix(text, "the audit log of "+string(s.Country)+" ") { // this node's own: there is no other bureau to call
			out = append(out, node.Finding{Check: "witness", Grade: node.Bad, Says: strings.ToUpper(text[:1]) + text[1:] + ".",
				Do: "That is this node's own log: an old copy of its database runs here, or a second copy elsewhere. Stop the node before anything else is done with it, bring it back " +
					"with `proofmark restore` from the newest backup made before that (if there is none: a backup of what is here), and tell the other members. Where the backup already has " +
					"another history than they witnessed, somebody there has to acknowledge the alarm; `proofmark witness show " + string(s.Country) + "` has the proof."})
			continue
		}
		out = append(out, node.Finding{Check: "witness", Grade: node.Bad, Says: strings.ToUpper(text[:1]) + text[1:] + ".",
			Do: "proofmark witness show COUNTRY has the proof; call that bureau. Once it is known what happened: proofmark witness acknowledge COUNTRY --why TEXT"})
	}
	if s.Witness.Memory != "" {
		out = append(out, node.Finding{Check: "witness", Grade: node.Warn, Says: "This node has forgotten what it cosigned for other members (" + s.Witness.Memory + "), and asks them.",
			Do: "Nothing, while the members are connected: proofmark witness status shows who has not answered."})
	}
	switch {
	case s.Witness.Wanted == 0: // no other member is there
	case s.Witness.Cosigned == 0:
		out = append(out, node.Finding{Check: "witness", Grade: node.Warn, Says: "No member has cosigned this node's audit log yet.", Do: "It is offered as soon as a member is connected; proofmark witness status says what they answer."})
	case !s.Witness.Enough || s.Now.Sub(s.Witness.Oldest) > staleCosignature:
		out = append(out, node.Finding{Check: "witness", Grade: node.Warn, Says: fmt.Sprintf("Fewer members than are wanted have cosigned this node's audit log in the last hours; %d entries are cosigned.", s.Witness.Cosigned),
			Do: "proofmark witness status shows which do not answer."})
	case len(out) == 0:
		out = append(out, node.Finding{Check: "witness", Grade: node.Good, Says: fmt.Sprintf("%d entries of this node's audit log are cosigned by other members.", s.Witness.Cosigned)})
	}
	return out
}
