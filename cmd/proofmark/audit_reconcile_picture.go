package main

import (
	"bytes"
	"fmt"

	proofs "proofmark/crypto/proof"
)

// Colours that differ in lightness too, so that the picture works in grey and for those who do not tell red from green.
var stateColour = map[proofs.State]string{
	"": "#f2f2f0", proofs.Agreed: "#9ec5ab", proofs.UnderWay: "#cfd8ea", proofs.Explained: "#e6cf8b", proofs.Missing: "#b5342b", proofs.Different: "#3b1f5b",
}

// drawReconciliation draws the four lanes, each with a row for the sender's log and one for the receiver's.
func drawReconciliation(r *proofs.Reconciliation) []byte {
	const (
		left, width     = 250, 800
		row, gap, above = 20, 34, 84
	)
	var b bytes.Buffer
	text := func(x, y, size int, anchor, fill, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="%d" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, size, anchor, fill, s)
	}
	height := above + len(r.Lanes)*(2*row+gap) + 40
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" font-family="Helvetica, Arial, sans-serif">`+"\n", left+width+90, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	verdict := "agree"
	if !r.Agree {
		verdict = "DISAGREE"
	}
	text(24, 36, 20, "start", "#222", fmt.Sprintf("The logs of %s and %s %s", r.A.Country, r.B.Country, verdict))
	text(24, 58, 13, "start", "#555", fmt.Sprintf("%s as of %s (%d entries), %s as of %s (%d entries)", r.A.Country, r.A.At.UTC().Format("2006-01-02 15:04 UTC"), r.A.Size,
		r.B.Country, r.B.At.UTC().Format("2006-01-02 15:04 UTC"), r.B.Size))
	for i, l := range r.Lanes {
		y := above + i*(2*row+gap)
		text(24, y+row/2+14, 15, "start", "#222", fmt.Sprintf("%s → %s, %s", l.From, l.To, l.Channel))
		text(left-12, y+14, 12, "end", "#555", fmt.Sprintf("log of %s", l.From))
		text(left-12, y+row+14, 12, "end", "#555", fmt.Sprintf("log of %s", l.To))
		if len(l.Strip) == 0 {
			text(left, y+row+4, 12, "start", "#888", "no message yet")
			continue
		}
		part := float64(width) / float64(len(l.Strip))
		for k, p := range l.Strip {
			for side, state := range []proofs.State{p.AtFrom, p.AtTo} {
				stroke := ""
				if part >= 6 {
					stroke = ` stroke="white" stroke-width="1"`
				}
				fmt.Fprintf(&b, `<rect x="%.2f" y="%d" width="%.2f" height="%d" fill="%s"%s><title>%s</title></rect>`+"\n", left+float64(k)*part, y+side*row, part, row, stateColour[state], stroke, partTitle(p, state))
			}
		}
		text(left, y+2*row+14, 11, "start", "#888", fmt.Sprint(l.Strip[0].First))
		text(left+width, y+2*row+14, 11, "end", "#888", fmt.Sprintf("message %d", l.Strip[len(l.Strip)-1].Last))
	}
	x, y := 24, height-18
	for _, s := range reconcileStates {
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="14" height="14" fill="%s"/>`+"\n", x, y-12, stateColour[s])
		text(x+20, y, 12, "start", "#333", string(s))
		x += 40 + 8*len(s)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func partTitle(p proofs.Part, s proofs.State) string {
	if s == "" {
		s = "no entry"
	}
	if p.First == p.Last {
		return fmt.Sprintf("message %d: %s", p.First, s)
	}
	return fmt.Sprintf("messages %d to %d: %s", p.First, p.Last, s)
}
