package main

import (
	"fmt"
	"io"
	"strings"

	"proofmark/protocol"
)

// handling says what the owners of information demand, in words: nobody has to know the codes by heart. It stands on every page that shows the
// information.
func handling(h protocol.Handling) string { return strings.Join(h.Sentences(), " ") }

// printHandling ends a list with what binds whoever reads it.
func printHandling(w io.Writer, lists ...protocol.Handling) {
	for i, sentence := range protocol.UnionHandling(lists...).Sentences() {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, printable(sentence))
	}
}

// handlingFile is what lies beside a saved file, so that the restrictions go where the file goes; none where nothing is demanded.
func handlingFile(file string, h protocol.Handling) []newFile {
	if len(h) == 0 {
		return nil
	}
	return []newFile{{file + ".handling", []byte(strings.Join(h.Sentences(), "\n") + "\n"), 0o600}}
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
