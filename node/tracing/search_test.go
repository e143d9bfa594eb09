package tracing

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"proofmark/protocol"
)

func TestClimb(t *testing.T) {
	type d = protocol.FirearmDescription
	for _, c := range []struct {
		name           string
		sought, record d
		rung           Rung
		why            string
	}{
		{"same", d{Serial: "AB-123", Make: "Glock"}, d{Serial: "AB123", Make: "GLOCK GmbH"}, SameSerial, "same serial number AB123; same make"},
		{"other make", d{Serial: "AB123", Make: "Glock"}, d{Serial: "AB123", Make: "Colt"}, 0, ""},
		{"make not named", d{Serial: "AB123"}, d{Serial: "AB123", Make: "Colt"}, SameSerial, "no make was named"},
		{"make not recorded", d{Serial: "AB123", Make: "Colt"}, d{Serial: "AB123", Kind: "pistol"}, SameSerial, "record names no make"},
		{"spelling of a make", d{Serial: "1234", Make: "S&W"}, d{Serial: "1234", Make: "Smith & Wesson Inc."}, SameSerial, "same make"},
		{"look-alike", d{Serial: "ABO123", Make: "Glock"}, d{Serial: "AB0I23", Make: "Glock"}, LookAlike, "look-alike"},
		{"Cyrillic", d{Serial: "AB123", Make: "Baikal"}, d{Serial: "АВ123", Make: "Байкал"}, LookAlike, "look-alike"},
		{"one wrong", d{Serial: "AX7734", Make: "Glock"}, d{Serial: "AX7434", Make: "Glock"}, NearSerial, "one character apart"},
		{"one missing", d{Serial: "AX774", Make: "Glock"}, d{Serial: "AX7374", Make: "Glock"}, NearSerial, "one character apart"},
		{"swapped", d{Serial: "AX3774", Make: "Glock"}, d{Serial: "AX7374", Make: "Glock"}, NearSerial, "one character apart"},
		{"two wrong", d{Serial: "AX9994", Make: "Glock"}, d{Serial: "AX7394", Make: "Glock"}, 0, ""},
		{"short ones are not stretched", d{Serial: "123", Make: "Star"}, d{Serial: "124", Make: "Star"}, 0, ""},
		{"unreadable sought", d{Serial: "AX7?34", Make: "Glock"}, d{Serial: "AX7434", Make: "Glock"}, NearSerial, "3 of them in a row"},
		{"unreadable recorded", d{Serial: "AX7434", Make: "Glock"}, d{Serial: "AX**34", Make: "Glock"}, 0, ""},
		{"unreadable recorded, enough left", d{Serial: "AX7434", Make: "Glock"}, d{Serial: "AX74**", Make: "Glock"}, NearSerial, "4 of them"},
		{"same unreadable is not the same number", d{Serial: "AX74?", Make: "Glock"}, d{Serial: "AX74?", Make: "Glock"}, NearSerial, "4 of them"},
		{"family", d{Serial: "123456", Make: "Yugo"}, d{Serial: "123456", Make: "Crvena Zastava"}, MakeFamily, "one family"},
		{"family by near serial", d{Serial: "123456", Make: "Browning"}, d{Serial: "123465", Make: "FN"}, MakeFamily, "one character apart"},
		{"importer taken for the make", d{Serial: "123456", Make: "Century Arms"}, d{Serial: "123456", Make: "Cugir", Importer: "Century"}, MakeFamily, "importer"},
		{"design taken for the make", d{Serial: "123456", Make: "Colt"}, d{Serial: "123456", Make: "Norinco"}, MakeFamily, "1911"},
		{"no serial", d{Make: "Glock"}, d{Serial: "123456", Make: "Glock"}, 0, ""},
		{"obliterated on record", d{Serial: "123456", Make: "Glock"}, d{SerialState: Obliterated, Make: "Glock"}, 0, ""},
		{"calibre never excludes", d{Serial: "A1234", Make: "CZ", Calibre: "9x18"}, d{Serial: "A1234", Make: "Česká zbrojovka", Calibre: "9x19"}, SameSerial, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rung, why := climb(c.sought, c.record)
			if rung != c.rung || !strings.Contains(why, c.why) {
				t.Errorf("rung %d (%s), want %d (%s)", rung, why, c.rung, c.why)
			}
			if rung > 0 && !reaches(c.sought, c.record) {
				t.Errorf("the indexes do not lead to a record of rung %d", rung)
			}
		})
	}
}

// reaches reports whether one of the look-ups for a description finds a record through its index keys.
func reaches(sought, record protocol.FirearmDescription) bool {
	f := Firearm{NewFirearm: NewFirearm{FirearmDescription: record}}
	if err := f.describe(); err != nil {
		return false
	}
	keys := map[string][]string{folded: some(f.SerialFolded), deletion: deletions(f.SerialFolded), gram: grams(f.SerialFolded)}
	if strings.ContainsRune(f.SerialFolded, Unreadable) {
		keys[partialGram] = grams(f.SerialFolded)
	}
	return slices.ContainsFunc(probes(Fold(Canonical(sought.Serial))), func(p probe) bool { return slices.Contains(keys[p.index], p.value) })
}

func TestRemarks(t *testing.T) {
	type d = protocol.FirearmDescription
	for _, c := range []struct {
		sought, record d
		want           string
	}{
		{d{Calibre: "9 mm Luger"}, d{Calibre: "9x19"}, ""},
		{d{Calibre: "9 mm"}, d{Calibre: "9x19"}, ""},
		{d{Calibre: ".223 Rem"}, d{Calibre: "5.56x45"}, "close in dimensions"},
		{d{Calibre: "9x18"}, d{Calibre: "9x19"}, "calibre differs"},
		{d{Model: "17"}, d{Model: "P-17"}, "model differs"},
		{d{Model: "p 17"}, d{Model: "P-17"}, ""},
		{d{Model: "17"}, d{}, ""},
	} {
		if got := strings.Join(remarks(c.sought, c.record), "; "); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("remarks(%+v, %+v) = %q, want %q", c.sought, c.record, got, c.want)
		}
	}
}

var serialRunes = []rune("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789АВЕКМНОРСТУХЖФΑΒΕΖΗΙΚΜΝ")

// A serial with any one character swapped for one that looks like it is found at rung 2 or better.
func TestLookAlikeSwapIsFound(t *testing.T) {
	var swaps []rune
	group := map[rune][]rune{}
	for _, g := range lookAlikes {
		for _, r := range g {
			group[r] = []rune(g)
			swaps = append(swaps, r)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		serial := []rune(rapid.StringOfN(rapid.RuneFrom(serialRunes), 1, 14, -1).Draw(t, "serial"))
		i := rapid.IntRange(0, len(serial)-1).Draw(t, "place")
		serial[i] = rapid.SampledFrom(swaps).Draw(t, "character")
		other := slices.Clone(serial)
		other[i] = rapid.SampledFrom(group[serial[i]]).Draw(t, "look-alike")
		a := protocol.FirearmDescription{Serial: string(serial), Make: "Glock"}
		b := protocol.FirearmDescription{Serial: string(other), Make: "glock"}
		if rung, why := climb(a, b); rung != SameSerial && rung != LookAlike {
			t.Fatalf("%q and %q: rung %d (%s)", a.Serial, b.Serial, rung, why)
		}
		if !reaches(a, b) {
			t.Fatalf("%q does not lead to %q", a.Serial, b.Serial)
		}
	})
}

// Whatever the ladder finds, the indexes find; and a find does not depend on which side asks.
func TestIndexesReachWhatTheLadderFinds(t *testing.T) {
	serial := rapid.StringOfN(rapid.RuneFrom([]rune("AB01?")), 1, 8, -1)
	brand := rapid.SampledFrom([]string{"", "Glock", "Zastava", "Yugo", "FN"})
	rapid.Check(t, func(t *rapid.T) {
		a := protocol.FirearmDescription{Serial: serial.Draw(t, "sought"), Make: brand.Draw(t, "make sought")}
		b := protocol.FirearmDescription{Serial: mutate(t, a.Serial), Make: brand.Draw(t, "make")}
		forth, _ := climb(a, b)
		back, _ := climb(b, a)
		if forth != back {
			t.Fatalf("%+v and %+v: rung %d one way, %d the other", a, b, forth, back)
		}
		if forth > 0 && !reaches(a, b) {
			t.Fatalf("%+v does not lead to %+v at rung %d", a, b, forth)
		}
	})
}

// mutate makes up to two changes, so that finds of every rung and misses all come up.
func mutate(t *rapid.T, s string) string {
	r := []rune(s)
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		i := rapid.IntRange(0, len(r)).Draw(t, "at")
		c := rapid.SampledFrom([]rune("AB01?O")).Draw(t, "with")
		switch {
		case i == len(r) || rapid.Bool().Draw(t, "insert"):
			r = slices.Insert(r, i, c)
		case len(r) > 1 && rapid.Bool().Draw(t, "delete"):
			r = slices.Delete(r, i, i+1)
		default:
			r[i] = c
		}
	}
	return string(r)
}

// An edit or an unreadable character in a long enough serial is found, at rung 3 or better.
func TestOneEditIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		serial := []rune(rapid.StringOfN(rapid.RuneFrom(serialRunes), 6, 14, -1).Draw(t, "serial"))
		other := slices.Clone(serial)
		i := rapid.IntRange(0, len(other)-1).Draw(t, "place")
		switch rapid.IntRange(0, 3).Draw(t, "edit") {
		case 0:
			other[i] = rapid.SampledFrom(serialRunes).Draw(t, "with")
		case 1:
			other = slices.Delete(other, i, i+1)
		case 2:
			other = slices.Insert(other, i, rapid.SampledFrom(serialRunes).Draw(t, "with"))
		case 3:
			other[i] = '?'
		}
		a := protocol.FirearmDescription{Serial: string(serial), Make: "Glock"}
		b := protocol.FirearmDescription{Serial: string(other), Make: "Glock"}
		if rung, why := climb(a, b); rung == 0 || rung > NearSerial {
			t.Fatalf("%q and %q: rung %d (%s)", a.Serial, b.Serial, rung, why)
		}
		if !reaches(a, b) || !reaches(b, a) {
			t.Fatalf("%q and %q do not lead to each other", a.Serial, b.Serial)
		}
	})
}

func TestMakeTablesAgree(t *testing.T) {
	seen := map[string]string{}
	for _, names := range makeNames {
		for _, n := range names {
			if other, twice := seen[spellMake(n)]; twice && other != names[0] {
				t.Errorf("%q names %q and %q", n, other, names[0])
			}
			seen[spellMake(n)] = names[0]
		}
	}
	for _, c := range []struct{ a, b, family string }{
		{"Zastava", "Yugo", "Zastava"}, {"Century International Arms Inc.", "Crvena Zastava", "Zastava"}, {"Browning", "FN Herstal", "Browning"},
		{"Inglis", "FEG", "Browning"}, {"Beretta", "Taurus", "Beretta"}, {"Glock", "Colt", ""}, {"", "", ""},
	} {
		if got := SharedMakeFamily(c.a, c.b); !strings.HasPrefix(got, c.family) || c.family == "" && got != "" {
			t.Errorf("SharedMakeFamily(%q, %q) = %q, want %q", c.a, c.b, got, c.family)
		}
	}
}

func FuzzSameMake(f *testing.F) {
	for _, s := range []string{"S&W", "Co.", "& &", "Č. Z.", "", "GmbH & Co. KG", "\xf4Ǡ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := plainMake(s)
		if !utf8.ValidString(p) || SameMake(s, s) != (p != "") || plainMake(p) != p {
			t.Fatalf("%q becomes %q, and again %q", s, p, plainMake(p))
		}
	})
}
