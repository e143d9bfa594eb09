package demo

import (
	"fmt"
	"strings"
)

// suggestion is a command that somebody may want to try in the federation that is left running.
type suggestion struct {
	who  *person // nil: nobody's session is needed
	say  string
	args []string
}

// command writes it whole, ready to be typed.
func (f *federation) command(s suggestion) []string {
	argv := []string{f.o.Program}
	if s.who != nil {
		argv = append(argv, "--data", s.who.bureau.dir, "--session", s.who.sessionFile())
	}
	return append(argv, s.args...)
}

// suggestions are what to try next, for each kind of user.
func (f *federation) suggestions() []suggestion {
	p, e, r := f.bureaus[pt], f.bureaus[es], f.bureaus[fr]
	own := ""
	for _, l := range f.lots {
		if l.country == pt {
			own = l.number
			break
		}
	}
	return []suggestion{
		{p.technician, "Laboratory: what awaits a review in Lisbon, the strongest first", []string{"candidates", "list", "--limit", "10"}},
		{p.technician, "… the ranked list of one exhibit", []string{"candidates", "list", "--exhibit", own}},
		{p.examiner, "… the hit of today, with its reviews and congruent cells", []string{"candidates", "show", short(f.pair)}},
		{p.technician, "… an exhibit with its stamps", []string{"exhibit", "show", own}},
		{e.investigator, "Investigator: the lead in Madrid, from release to hit", []string{"lead", "show", short(f.pair)}},
		{e.investigator, "… the traces", []string{"trace", "list"}},
		{r.operator, "NCB operator: search the French records by a serial number", []string{"firearm", "search", "--serial", serialRead, "--make", "Ruger"}},
		{r.operator, "… the members and how the node stands with each", []string{"peers"}},
		{p.operator, "… the roster in force", []string{"roster", "show"}},
		{p.auditor, "Auditor: prove the log in Lisbon", []string{"audit", "verify"}},
		{p.auditor, "… all that was refused today", []string{"audit", "query", "--decision", "deny"}},
		{p.admin, "Administrator: the accounts in Lisbon", []string{"user", "list"}},
	}
}

// tryNext ends the story and leaves the federation to the reader.
func (f *federation) tryNext() {
	var b strings.Builder
	b.WriteString("\nWhat to try next (in another terminal; each command is complete)\n")
	for _, s := range f.suggestions() {
		fmt.Fprintf(&b, "\n   %s\n     %s\n", s.say, shellLine(f.command(s)))
	}
	t := f.bureaus[pt].technician
	fmt.Fprintf(&b, "\n   A session ends after 30 idle minutes; open it again, here for %s\n     %s\n", t.full,
		shellLine(f.command(suggestion{t, "", []string{"login", t.name, "--secret-file", t.secretFile()}})))
	fmt.Fprintf(&b, "\n   Kill a node and see that nothing is lost; it is started again at once\n     kill -9 $(cat %s)\n", shellLine([]string{f.bureaus[fr].pidFile()}))
	b.WriteString("\nThe federation keeps running until Ctrl-C.\n")
	f.print(b.String())
}

// shellLine writes words so that a shell reads them as they are.
func shellLine(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		plain := w != "" && strings.IndexFunc(w, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+", r))
		}) < 0
		if out[i] = w; !plain {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}
