package protocol

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Court says whether a holder of one owner's H1 information may use it in court.
type Court struct {
	Owner      Country   `json:"owner,omitempty"`      // empty: the context does not name it
	Holder     Country   `json:"holder"`               // who would use it
	Document   string    `json:"document,omitempty"`   // what the permission is about, or could be asked for
	Permission string    `json:"permission,omitempty"` // id of the document by which the owner permits it; empty: it does not
	Granted    time.Time `json:"granted,omitzero"`
	Until      time.Time `json:"until,omitzero"`
}

// Sentence says it in words; a permission that is missing is said with what to do.
func (c Court) Sentence() string {
	owner := string(cmp.Or(c.Owner, "its owner"))
	switch {
	case c.Permission != "":
		return fmt.Sprintf("H1, use in court: permitted by %s on %s, until %s (permission %s, about document %s).", owner, c.Granted.UTC().Format(time.DateOnly),
			c.Until.UTC().Format(time.DateOnly), c.Permission, c.Document)
	case c.Owner == "" && c.Document != "":
		return fmt.Sprintf("H1, use in court: not permitted without its owner's permission; `proofmark document show %s` names the owner.", c.Document)
	case c.Document != "":
		return fmt.Sprintf("H1, use in court: not permitted without %s's permission. Ask %s for it; it gives it with `proofmark permission grant %s --holder %s --court --until DATE`.",
			owner, owner, c.Document, c.Holder)
	}
	return fmt.Sprintf("H1, use in court: not permitted without the permission of %s.", owner)
}

// Said stands in every answer that carries handling codes, so that nobody has to know them by heart: each code as a sentence, and whether the owners of H1
// information permit its use in court. It is put in when the answer leaves the node, and is no part of what is kept.
type Said struct {
	Says  []string `json:"handling_says,omitempty"`
	Court []Court  `json:"court,omitempty"`
}

// Say puts the words in.
func (s *Said) Say(h Handling, court []Court) { s.Says, s.Court = HandlingWords(h, court), court }

// Uses are what was put in about the use in court.
func (s *Said) Uses() []Court { return s.Court }

// Marked is an answer that carries handling codes; it embeds Said.
type Marked interface {
	// Marks are the codes, and the documents and objects that an owner's permission may name: the first is what one would ask about.
	Marks() (Handling, []string)
	Say(Handling, []Court)
	Uses() []Court
}

// saidUses bounds how many lines HandlingWords spends on missing permissions of one owner.
const saidUses = 1

// HandlingWords says in words what is demanded of everything that was united in h: the sentence of each code, then what is permitted in court, then what is
// not. Where one owner's permission is missing for several things, one of them stands for all.
func HandlingWords(h Handling, court []Court) []string {
	out := h.Sentences()
	missing := map[Country][]string{}
	var not []string
	for _, c := range court {
		s := c.Sentence()
		switch {
		case c.Permission != "":
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		case !slices.Contains(missing[c.Owner], s):
			if missing[c.Owner] = append(missing[c.Owner], s); len(missing[c.Owner]) <= saidUses {
				not = append(not, s)
			}
		}
	}
	for i, s := range not {
		for owner, all := range missing {
			if more := len(all) - saidUses; all[0] == s && more > 0 {
				not[i] = fmt.Sprintf("%s The same holds for %d more of %s.", s, more, cmp.Or(owner, "other owners"))
			}
		}
	}
	return append(out, not...)
}
