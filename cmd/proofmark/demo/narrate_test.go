package demo

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"one two three", "> one two\n  three\n"},
		{"", "> \n"},
		{"élève à côté", "> élève à\n  côté\n"},
		{"averyveryverylongword no", "> averyveryverylongword\n  no\n"},
		{"a averyveryverylongword", "> a\n  averyveryverylongword\n"},
		{"  blanks \n and\tbreaks ", "> blanks\n  and\n  breaks\n"},
	} {
		if got := wrap(c.text, "> ", "  ", 10); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		done, total int
		want        string
	}{{0, 4, "[····] 0/4"}, {1, 4, "[█···] 1/4"}, {4, 4, "[████] 4/4"}, {9, 4, "[████] 9/4"}, {0, 0, "[████] 0/0"}} {
		if got := bar(c.done, c.total, 4); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.done, c.total, got, c.want)
		}
	}
}

func TestProgress(t *testing.T) {
	var plain, drawn strings.Builder
	n := &narrator{w: &plain}
	for range 2 { // two progresses after each other
		for i := range 9 {
			n.progress("scans", i+1, 9)
		}
	}
	want := strings.Repeat("     scans: 3 of 9\n     scans: 5 of 9\n     scans: 7 of 9\n     scans: 9 of 9\n", 2)
	if plain.String() != want {
		t.Errorf("%q, want %q", plain.String(), want)
	}
	n = &narrator{w: &drawn, terminal: true}
	n.progress("scans", 1, 2)
	n.say("hello")
	if got := drawn.String(); !strings.HasSuffix(got, "\r\x1b[K   • hello\n") || !strings.Contains(got, "1/2 scans") {
		t.Errorf("a line over a bar: %q", got)
	}
}

// TestPlot: every step says in a line or two why it matters to each kind of reader, and its name is one word for scripts.
func TestPlot(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range (&federation{}).scenes(context.CancelCauseFunc(func(error) {})) {
		if s.play == nil || s.title == "" || seen[s.name] || strings.ContainsAny(s.name, " _") {
			t.Errorf("scene %+v", s)
		}
		seen[s.name] = true
		for i, w := range s.why {
			if n := utf8.RuneCountInString(w); n < 30 || n > 120 || !strings.HasSuffix(w, ".") {
				t.Errorf("%s, %s: %d characters: %s", s.name, readers[i], n, w)
			}
		}
	}
}

func TestShellLine(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"a", "--b=c", "/d/e-f.g"}, "a --b=c /d/e-f.g"},
		{[]string{"two words", "", "it's", "$(x)"}, `'two words' '' 'it'\''s' '$(x)'`},
	} {
		if got := shellLine(c.words); got != c.want {
			t.Errorf("%q: %s, want %s", c.words, got, c.want)
		}
	}
}

func TestVerify(t *testing.T) {
	var b strings.Builder
	f := &federation{narrator: &narrator{w: &b}}
	if err := f.verify(true, "all %d", 3); err != nil || b.String() != "   ✓ all 3\n" {
		t.Errorf("%v, %q", err, b.String())
	}
	b.Reset()
	if err := f.verify(false, "all %d", 3); err == nil || fmt.Sprint(err) != "this was not so: all 3" || b.Len() > 0 {
		t.Errorf("%v, %q", err, b.String())
	}
}
