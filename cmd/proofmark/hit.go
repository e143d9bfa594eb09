package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/node/ballistics"
)

type hitCmd struct {
	Confirm hitConfirmCmd `cmd:"" help:"Confirm a lead at the microscope; the same command of another examiner verifies it."`
}

type hitConfirmCmd struct {
	Pair       string   `arg:"" help:"Lead number, or the pair or its first digits."`
	Conclusion string   `help:"What was found at the microscope: identification, inconclusive, elimination or unsuitable; a verifier who agrees leaves it out." placeholder:"WORD"`
	Item       []string `sep:"none" help:"Item or cast that was compared, once for each; needed from the first examiner."`
	Where      string   `help:"Laboratory where they were compared; needed from the first examiner." placeholder:"PLACE"`
}

func (c *hitConfirmCmd) Run(a *app) error {
	l, err := change[ballistics.Lead](a, "hit.confirm", ballistics.NewConfirmation{Pair: c.Pair, Conclusion: c.Conclusion, Items: c.Item, Where: c.Where})
	if err != nil {
		return err
	}
	return a.show(l, func(w io.Writer) {
		printHit(w, &l)
		if l.Hit != nil {
			fmt.Fprintf(w, "\nNext:  %s is told of the hit; proofmark lead show %s\n", l.Counterpart, short(l.Pair))
			return
		}
		if l.Confirmation == nil {
			fmt.Fprintf(w, "\nNext:  tell %s what came of its lead (proofmark lead feedback), or retract your own; the comparison may also start over\n", l.Counterpart)
			return
		}
		fmt.Fprintf(w, "\nNext:  another examiner verifies it in a session of their own: proofmark hit confirm %s\n", short(l.Pair))
	})
}

// printHit prints the confirmation of a lead, or the hit once it is verified.
func printHit(w io.Writer, l *ballistics.Lead) {
	switch {
	case l.Hit != nil:
		h := l.Hit
		fmt.Fprintf(w, "HIT, confirmed on the physical evidence (reported by %s)\n", h.From)
		of := func(value, field string) string { return told(value, field, h.Withheld, h.From) }
		facts(w, "Conclusion", h.Conclusion, "Items", of(strings.Join(h.Items, ", "), "items"), "Where", of(h.Where, "where"),
			"Examiner", orDash(of(h.Examiner, "examiner"))+", "+stamp(h.Examined), "Verifier", orDash(of(h.Verifier, "verifier"))+", "+stamp(h.Verified))
	case l.Confirmation != nil:
		c := l.Confirmation
		fmt.Fprintln(w, "Examined at the microscope, not verified yet: no hit before a second examiner verifies an identification.")
		facts(w, "Conclusion", c.Conclusion, "Items", strings.Join(c.Items, ", "), "Where", c.Where, "Examiner", c.By+", "+stamp(c.At))
	case len(l.Examinations) >= 2:
		last := l.Examinations[len(l.Examinations)-2:]
		fmt.Fprintln(w, "No hit: only two identifications make one.")
		for _, e := range last {
			facts(w, e.By, e.Conclusion+", "+stamp(e.At))
		}
	}
}
