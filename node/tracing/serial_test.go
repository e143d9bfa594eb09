package tracing

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCanonicalAndFold(t *testing.T) {
	for _, c := range []struct{ asRead, canonical, folded string }{
		{"ab-123.456/7", "AB1234567", "A81234567"},
		{"  AB 12_34 ", "AB1234", "A81234"},
		{"O0QD", "O0QD", "0000"},
		{"I1l", "I1L", "111"},
		{"S5 B8 Z2 G6", "S5B8Z2G6", "55882266"},
		{"12?4*6", "12?4?6", "12?4?6"},
		{"АВ123", "АВ123", "A8123"}, // Cyrillic А and В
		{"ΑΒ123", "ΑΒ123", "A8123"}, // Greek Α and Β
		{"ＡＢ１２", "AB12", "A812"},    // full width
		{"١٢٣٤", "1234", "1234"},    // Arabic-Indic
		{"É77", "É77", "E77"},
		{"Ø77", "Ø77", "077"},
		{"№ 12", "NO12", "N012"},
		{"", "", ""},
		{"- . /", "", ""},
	} {
		if got := Canonical(c.asRead); got != c.canonical {
			t.Errorf("Canonical(%q) = %q, want %q", c.asRead, got, c.canonical)
		}
		if got := Fold(Canonical(c.asRead)); got != c.folded {
			t.Errorf("Fold(Canonical(%q)) = %q, want %q", c.asRead, got, c.folded)
		}
	}
}

func TestParseSerialStates(t *testing.T) {
	for _, c := range []struct {
		asRead, state, want, fault string
	}{
		{"A123", "", Clear, ""},
		{"A1?3", "", Partial, ""},
		{"", "", "", ""},
		{"A123", Clear, Clear, ""},
		{"A123", Partial, Partial, ""}, // the rest is missing at an end
		{"A1?3", Restored, Restored, ""},
		{"", Obliterated, Obliterated, ""},
		{"", NotMarked, NotMarked, ""},
		{"", Clear, "", "there is no number"},
		{"A1?3", Clear, "", "unreadable"},
		{"", Partial, "", "there is no number"},
		{"A123", Obliterated, "", "there is a number"},
		{"A123", NotMarked, "", "there is a number"},
		{"A123", "WORN", "", "is not one of"},
		{"---", "", "", "no letter, digit or wildcard"},
		{strings.Repeat("A", 65), "", "", "at most 64"},
		{strings.Repeat("-", 257), "", "", "the limit is 256"},
		{"A\xff", "", "", "UTF-8"},
	} {
		s, err := ParseSerial(c.asRead, c.state)
		if c.fault == "" && (err != nil || s.State != c.want || s.AsRead != c.asRead) {
			t.Errorf("ParseSerial(%q, %q) = %+v, %v; want state %q", c.asRead, c.state, s, err, c.want)
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("ParseSerial(%q, %q) = %v; want an error with %q", c.asRead, c.state, err, c.fault)
		}
	}
}

func TestOneEditAndMatches(t *testing.T) {
	for _, c := range []struct {
		a, b          string
		edit, matches bool
	}{
		{"12345", "12345", false, true},
		{"12345", "1234", true, false},
		{"2345", "12345", true, false},
		{"12345", "12945", true, false},
		{"12345", "12435", true, false},
		{"12345", "54321", false, false},
		{"12345", "123", false, false},
		{"12345", "13254", false, false},
		{"12?45", "12345", true, true},
		{"12?45", "1234?", false, true},
		{"12?45", "129455", false, false},
		{"?????", "12345", false, true},
		{"", "", false, true},
		{"", "1", true, false},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := OneEdit(p[0], p[1]); got != c.edit {
				t.Errorf("OneEdit(%q, %q) = %v", p[0], p[1], got)
			}
			if got := Matches(p[0], p[1]); got != c.matches {
				t.Errorf("Matches(%q, %q) = %v", p[0], p[1], got)
			}
		}
	}
}

// One edit must agree with the textbook distance (optimal string alignment) being exactly one.
func TestOneEditIsDistanceOne(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("AB1Ж")), 0, 7, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if got, want := OneEdit(a, b), alignmentDistance([]rune(a), []rune(b)) == 1; got != want {
			t.Fatalf("OneEdit(%q, %q) = %v, the distance says %v", a, b, got, want)
		}
	})
}

func alignmentDistance(a, b []rune) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

func TestLookAlikesAreOfOneGroup(t *testing.T) {
	seen := map[rune]string{}
	for _, group := range lookAlikes {
		for _, r := range group {
			if other, twice := seen[r]; twice {
				t.Errorf("%c (%U) stands in %q and in %q", r, r, other, group)
			}
			seen[r] = group
			if c := Canonical(string(r)); c != string(r) {
				t.Errorf("%c (%U) never stands in a canonical serial, which has %q", r, r, c)
			}
		}
	}
}

func FuzzParseSerial(f *testing.F) {
	for _, s := range []string{"AB-123", "12?4*6", "АВ١٢", "Å1 ŉﷺ", "\xff", "ǆ", "ᾳ", "각1", strings.Repeat("﷽", 40)} {
		f.Add(s, "")
	}
	f.Add("", Obliterated)
	f.Fuzz(func(t *testing.T, asRead, state string) {
		s, err := ParseSerial(asRead, state)
		if err != nil {
			return
		}
		if s.AsRead != asRead {
			t.Fatalf("as read %q became %q", asRead, s.AsRead)
		}
		if again := Canonical(s.Canonical); again != s.Canonical {
			t.Fatalf("Canonical(%q) = %q, and again %q", asRead, s.Canonical, again)
		}
		if again := Fold(s.Folded); again != s.Folded {
			t.Fatalf("Fold(%q) = %q, and again %q", s.Canonical, s.Folded, again)
		}
		if !utf8.ValidString(s.Folded) || utf8.RuneCountInString(s.Canonical) > maxSerialChars {
			t.Fatalf("%q gives %+v", asRead, s)
		}
	})
}
