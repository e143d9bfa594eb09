package protocol

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The handling codes: what the owner of information demands of whoever holds it.
const (
	CrimePreventionOnly = "H0" // for preventing and fighting crime, and nothing else
	NotInCourt          = "H1" // not to be used in court without the owner's permission
	NoOnward            = "H2" // not to be passed on to a third country without the owner's permission
	OtherRestriction    = "H3" // ask the owner
)

// HandlingCodes lists them.
var HandlingCodes = []string{CrimePreventionOnly, NotInCourt, NoOnward, OtherRestriction}

// Marking is a handling code with the country whose permission it speaks of. Its text is the code, a slash and the country: "H2/PT". An owner that is not
// stated is whoever the context names: the sender of a message, the issuer of a document.
type Marking struct {
	Code  string
	Owner Country
}

// String is the marking's text.
func (m Marking) String() string {
	if m.Owner == "" {
		return m.Code
	}
	return m.Code + "/" + string(m.Owner)
}

// MarshalText implements encoding.TextMarshaler.
func (m Marking) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. What follows a slash and is no country is part of the code: other nodes may have restrictions of
// their own, in words.
func (m *Marking) UnmarshalText(text []byte) error {
	s := string(text)
	if err := needLine("handling", s, maxHandlingCode); err != nil {
		return err
	}
	*m = Marking{Code: s}
	if at := strings.LastIndexByte(s, '/'); at > 0 {
		if owner, err := ParseCountry(s[at+1:]); err == nil {
			*m = Marking{Code: s[:at], Owner: owner}
		}
	}
	return nil
}

// Handling is everything that is demanded of whoever holds an object, sorted by code and owner, nothing twice.
type Handling []Marking

// UnionHandling unites the markings of what was combined: whatever is derived carries all of them. It is idempotent, commutative and associative, and
// loses nothing.
func UnionHandling(lists ...Handling) Handling {
	out := slices.Concat(lists...)
	slices.SortFunc(out, func(a, b Marking) int { return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Owner, b.Owner)) })
	return slices.Compact(out)
}

// MarkedBy gives codes to one owner.
func MarkedBy(owner Country, codes ...string) Handling {
	out := make(Handling, len(codes))
	for i, c := range codes {
		out[i] = Marking{Code: c, Owner: owner}
	}
	return UnionHandling(out)
}

// ReadHandling reads markings as a message carries them; without an owner they are the sender's own.
func ReadHandling(texts []string, sender Country) Handling {
	out := make(Handling, 0, len(texts))
	for _, t := range texts {
		var m Marking
		if m.UnmarshalText([]byte(t)) != nil {
			m = Marking{Code: t} // a restriction that cannot be read is kept as it came
		}
		out = append(out, m)
	}
	return out.OwnedBy(sender)
}

// ParseHandling reads markings as a person writes them, H2 or H2/PT, with codes of the closed list.
func ParseHandling(texts []string) (Handling, error) {
	out := make(Handling, 0, len(texts))
	for _, t := range texts {
		var m Marking
		if err := m.UnmarshalText([]byte(t)); err != nil {
			return nil, err
		}
		if !slices.Contains(HandlingCodes, m.Code) {
			return nil, fmt.Errorf("handling code %.20q is not one of %s, or one of them with the country that owns the information, such as H2/ES", t, strings.Join(HandlingCodes, ", "))
		}
		out = append(out, m)
	}
	return UnionHandling(out), nil
}

// OwnedBy names the owner where none is stated.
func (h Handling) OwnedBy(c Country) Handling {
	out := slices.Clone(h)
	for i := range out {
		if out[i].Owner == "" {
			out[i].Owner = c
		}
	}
	return UnionHandling(out)
}

// Codes are the codes alone, sorted, each once: what policies and the log are told.
func (h Handling) Codes() []string {
	out := make([]string, 0, len(h))
	for _, m := range h {
		out = append(out, m.Code)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Texts are the markings as a message of the sender carries them: an own marking as its code alone.
func (h Handling) Texts(sender Country) []string {
	out := make([]string, 0, len(h))
	for _, m := range h {
		if m.Owner == sender {
			m.Owner = ""
		}
		out = append(out, m.String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Owners are the countries that put a code on the object.
func (h Handling) Owners(code string) []Country {
	var out []Country
	for _, m := range h {
		if m.Code == code && !slices.Contains(out, m.Owner) {
			out = append(out, m.Owner)
		}
	}
	slices.Sort(out)
	return out
}

// Without leaves out what one country demands: nobody needs its own permission.
func (h Handling) Without(c Country) Handling {
	return slices.DeleteFunc(slices.Clone(h), func(m Marking) bool { return m.Owner == c })
}

// handlingSentences say what each code demands; %s is its owner.
var handlingSentences = map[string]string{
	CrimePreventionOnly: "for preventing and fighting crime only, by the terms of %s.",
	NotInCourt:          "not to be used in court without the permission of %s.",
	NoOnward:            "not to be passed on to another country without the permission of %s.",
	OtherRestriction:    "another restriction holds: ask %s before using it.",
}

// Sentences say in words what is demanded, one line for each code with all its owners, such as "H1: not to be used in court without the permission of PT.".
// They stand on every page, picture and file that shows the object.
func (h Handling) Sentences() []string {
	var out []string
	for _, code := range h.Codes() {
		owners := make([]string, 0, 2)
		for _, o := range h.Owners(code) {
			owners = append(owners, string(cmp.Or(o, "its owner")))
		}
		sentence := handlingSentences[code]
		if sentence == "" {
			sentence = "a restriction of %s."
		}
		out = append(out, code+": "+fmt.Sprintf(sentence, strings.Join(owners, " and ")))
	}
	return out
}
