package tracing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"proofmark/protocol"
)

// Serial states: how much of the number the metal still shows.
const (
	Clear       = "CLEAR"
	Partial     = "PARTIAL"
	Obliterated = "OBLITERATED"
	Restored    = "RESTORED"
	NotMarked   = "NOT_MARKED"
)

// Unreadable stands for exactly one unreadable character in a canonical serial number; '*' as read means the same.
const Unreadable = '?'

// maxSerial bounds a serial number as read, in bytes, before any work is done on it; the wire has the same limit.
const maxSerial = 256

// maxSerialChars bounds the canonical form: the longest numbers on firearms have some twenty characters, and what is indexed for a number
// grows with the square of its length.
const maxSerialChars = 64

// minOneEdit is the shortest folded serial, in characters, that rung 3 compares with one edit: below it nearly every number is one edit from
// nearly every other (ours).
const minOneEdit = 4

// minReadableRun is how many readable characters in a row a number with unreadable ones needs to be searched for (ours): fewer say so
// little that a large registry would answer with noise.
const minReadableRun = 3

// Serial is a serial number in its three forms. AsRead is what a person saw and is never altered; Canonical and Folded are for comparing.
type Serial struct {
	AsRead    string `json:"as_read,omitempty"`
	Canonical string `json:"canonical,omitempty"` // capitals and digits without separators, '?' for each unreadable character
	Folded    string `json:"folded,omitempty"`    // canonical with look-alikes folded onto one of them
	State     string `json:"state,omitempty"`
}

// ParseSerial makes the forms of a serial number as read and checks them against its stated state. Without a stated state it is CLEAR, or
// PARTIAL where characters are unreadable; a number that is not there needs a stated state, for only a person can tell OBLITERATED from
// NOT_MARKED.
func ParseSerial(asRead, state string) (Serial, error) {
	if len(asRead) > maxSerial {
		return Serial{}, fmt.Errorf("%d bytes, the limit is %d", len(asRead), maxSerial)
	}
	if !utf8.ValidString(asRead) {
		return Serial{}, errors.New("not valid UTF-8")
	}
	s := Serial{AsRead: asRead, Canonical: Canonical(asRead), State: state}
	s.Folded = Fold(s.Canonical)
	if strings.TrimSpace(asRead) != "" && s.Canonical == "" {
		return Serial{}, fmt.Errorf("%.40q has no letter, digit or wildcard", asRead)
	}
	if n := utf8.RuneCountInString(s.Canonical); n > maxSerialChars {
		return Serial{}, fmt.Errorf("%d letters and digits, a serial number has at most %d", n, maxSerialChars)
	}
	partial := strings.ContainsRune(s.Canonical, Unreadable)
	switch state {
	case "":
		switch {
		case s.Canonical == "":
			return s, nil
		case partial:
			s.State = Partial
		default:
			s.State = Clear
		}
	case Clear:
		if s.Canonical == "" {
			return Serial{}, errors.New("the state is CLEAR and there is no number: give it, or say OBLITERATED or NOT_MARKED")
		}
		if partial {
			return Serial{}, errors.New("the state is CLEAR and characters are unreadable: say PARTIAL")
		}
	case Partial, Restored:
		if s.Canonical == "" {
			return Serial{}, fmt.Errorf("the state is %s and there is no number: give what can be read, with ? for each unreadable character", state)
		}
	case Obliterated, NotMarked:
		if s.Canonical != "" {
			return Serial{}, fmt.Errorf("the state is %s and there is a number %.40q: say PARTIAL or RESTORED, or leave the number out", state, asRead)
		}
	default:
		return Serial{}, fmt.Errorf("state %.40q is not one of %s", state, strings.Join(protocol.SerialStates, ", "))
	}
	return s, nil
}

// decimalZeros are the zeros of scripts whose digits are stamped on firearms; the other nine follow each (Unicode, category Nd).
var decimalZeros = []rune{'\u0660', '\u06f0', '\u0966', '\u09e6'} // Arabic-Indic, Persian, Devanagari, Bengali

// Canonical strips separators, capitalises, and writes every unreadable character as '?'. It alters no character for another: O stays O.
func Canonical(asRead string) string {
	var b strings.Builder
	// Compatibility composition turns full-width forms and ligatures into the plain characters that they show.
	for _, r := range strings.ToUpper(norm.NFKC.String(asRead)) {
		switch {
		case r == '?' || r == '*':
			b.WriteRune(Unreadable)
		case unicode.IsLetter(r):
			b.WriteRune(r)
		case unicode.IsDigit(r):
			for _, zero := range decimalZeros {
				if r >= zero && r <= zero+9 {
					r = '0' + r - zero
				}
			}
			b.WriteRune(r)
		}
	}
	// Dropping separators can bring a letter and a mark together that compose; a canonical form is its own canonical form.
	return norm.NFKC.String(b.String())
}

// lookAlikes are the groups of characters that are misread for each other on metal, on paper and on screens; the first of a group stands
// for it. The Latin groups are the domain handbook's. L is with I and 1 because a canonical form no longer tells l from L. The Cyrillic and
// Greek capitals are those whose printed shape is that of a Latin capital or digit (Unicode, confusables.txt, general knowledge).
var lookAlikes = []string{
	"0OQDØĐОΟΘ", // slashed zero and barred D; Cyrillic О; Greek Ο and Θ
	"1ILŁІӀΙ",   // Cyrillic І and palochka; Greek Ι
	"5SЅ",       // Cyrillic Ѕ
	"8BВΒ",      // Cyrillic В; Greek Β
	"2ZΖ",       // Greek Ζ
	"6GБ",       // Cyrillic Б
	"3З",        // Cyrillic З
	"4Ч",        // Cyrillic Ч
	"AАΑ",
	"EЕΕ",
	"KКΚ",
	"MМΜ",
	"HНΗ",
	"NΝ",
	"PРΡ",
	"CС",
	"TТΤ",
	"YУΥҮ",
	"XХΧ",
	"JЈ",
	"ГΓ", // from here on Cyrillic and Greek among themselves
	"ПΠ",
	"ЛΛ",
	"ФΦ",
}

var foldTable = func() map[rune]rune {
	table := map[rune]rune{}
	for _, group := range lookAlikes {
		first, _ := utf8.DecodeRuneInString(group)
		for _, r := range group {
			table[r] = first
		}
	}
	return table
}()

// Fold puts one character for each group of look-alikes and drops accents. It takes a canonical serial.
func Fold(canonical string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(canonical) {
		if unicode.Is(unicode.Mn, r) {
			continue
		}
		if f, ok := foldTable[r]; ok {
			r = f
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Matches reports whether two folded serials of the same length agree in every place where both are readable.
func Matches(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] && x[i] != Unreadable && y[i] != Unreadable {
			return false
		}
	}
	return true
}

// OneEdit reports whether one insertion, deletion, substitution or swap of neighbours turns one folded serial into the other. Equal ones are
// not one edit apart, and '?' is compared as a character like any other: unreadable characters are [Matches]' business.
func OneEdit(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(y)-len(x) > 1 {
		return false
	}
	i := 0
	for i < len(x) && x[i] == y[i] {
		i++
	}
	if len(x) < len(y) {
		return slices.Equal(x[i:], y[i+1:])
	}
	if i == len(x) {
		return false
	}
	if slices.Equal(x[i+1:], y[i+1:]) {
		return true
	}
	return i+1 < len(x) && x[i] == y[i+1] && x[i+1] == y[i] && slices.Equal(x[i+2:], y[i+2:])
}
