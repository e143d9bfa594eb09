package main

import "strings"

// handlingWords says what each handling code means (domain handbook, Governance).
var handlingWords = map[string]string{
	"H0": "crime prevention and fighting only",
	"H1": "not in court without permission",
	"H2": "no onward transfer without permission",
	"H3": "other restriction: ask the owner",
}

// handling writes codes with what they mean: nobody has to know them by heart.
func handling(codes []string) string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = c
		if words := handlingWords[c]; words != "" {
			out[i] += " (" + words + ")"
		}
	}
	return strings.Join(out, ", ")
}

// argument writes a value so that a shell takes it for one argument.
func argument(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(printable(s), "'", `'\''`) + "'"
}
