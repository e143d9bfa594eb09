package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"proofmark/node/control"
	"proofmark/protocol"
)

// codes names what the owners of information demand, such as H1/PT. What the codes mean stands at the end of the page, see show.
func codes(h protocol.Handling) string {
	out := make([]string, len(h))
	for i, m := range h {
		out[i] = m.String()
	}
	return strings.Join(out, " ")
}

// restrictions say in words what the handling codes of everything in a result demand, and what their owners permit.
func restrictions(result any) []string {
	v := reflect.ValueOf(result)
	if v.Kind() != reflect.Pointer && v.IsValid() {
		at := reflect.New(v.Type())
		at.Elem().Set(v)
		v = at
	}
	if !v.IsValid() {
		return nil
	}
	var all protocol.Handling
	var court []protocol.Court
	control.EachMarked(v.Interface(), func(m protocol.Marked) {
		h, _ := m.Marks()
		all, court = append(all, h...), append(court, m.Uses()...)
	})
	return protocol.HandlingWords(protocol.UnionHandling(all), court)
}

// handlingFile is what lies beside a saved file, so that the restrictions go where the file goes; none where nothing is demanded.
func handlingFile(file string, saved protocol.Marked) []newFile {
	lines := restrictions(saved)
	if len(lines) == 0 {
		return nil
	}
	return []newFile{{file + ".handling", []byte(strings.Join(lines, "\n") + "\n"), 0o600}}
}

// maxHandlingFile bounds what lies beside a file: a few lines.
const maxHandlingFile = 64 << 10

// carry reads what lies beside files, or beside those in a folder, so that what is made of them says what their owners demand too.
func (a *app) carry(paths ...string) error {
	for _, path := range paths {
		beside := []string{path + ".handling"}
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			if beside, err = filepath.Glob(filepath.Join(path, "*.handling")); err != nil {
				return err
			}
		}
		for _, file := range beside {
			b, err := readFile("handling of "+filepath.Base(path), file, maxHandlingFile)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(b)) {
				if line = printable(strings.TrimSpace(line)); line != "" && !slices.Contains(a.says, line) {
					a.says = append(a.says, line)
				}
			}
		}
	}
	return nil
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
