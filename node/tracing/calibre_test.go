package tracing

import "testing"

func TestFamily(t *testing.T) {
	for _, group := range [][]string{
		{"9x19", "9×19", "9 mm Luger", "9mm Luger", "9 MM PARABELLUM", "9 mm NATO", "9 x 19 mm", "9х19", "cal. 9 mm Para", "9*19"},
		{".45 ACP", ".45 Auto", "45 ACP", "45ACP", "0.45 ACP", "11.43×23", "11,43x23", ".45 A.C.P."},
		{"7.65 Browning", "7,65 mm Browning", ".32 ACP", "32 Auto"},
		{"6.35 Browning", "6.35 mm", ".25 ACP"},
		{"9x17", "9×17", ".380 ACP", "9 mm Kurz", "380 auto"},
		{"9x18 Makarov", "9x18", "9 mm Makarov"},
		{"5.56x45", "5.56×45 mm NATO"},
		{".223 Rem", ".223 Remington"},
		{".357 Magnum", ".357 Mag", "357 Mag."},
		{".38 S&W", ".38 Smith & Wesson", ".38 Smith and Wesson"},
		{".22 LR", "22lr", ".22 l.r."},
		{"12 gauge", "12/70", "12 ga."},
	} {
		for _, c := range group {
			if got := Family(c); got != group[0] {
				t.Errorf("Family(%q) = %q, want %q", c, got, group[0])
			}
			if !Identical(c, group[0]) || Excludes(c, group[0]) {
				t.Errorf("%q and %q must be identical", c, group[0])
			}
		}
	}
	for calibre, want := range map[string]string{"": "", "unknown": "", " Unknown ": "", "---": "", "4 mm Flobert": "4flobert", "9 mm": "9", "38": ".38"} {
		if got := Family(calibre); got != want {
			t.Errorf("Family(%q) = %q, want %q", calibre, got, want)
		}
	}
}

func TestIdenticalIsNotClose(t *testing.T) {
	for _, c := range []struct {
		a, b                      string
		identical, close, exclude bool
	}{
		{"9x19", "9x18 Makarov", false, false, true},
		{"9x19", "9x17", false, false, true},
		{"9x17", "9x18 Makarov", false, true, true},
		{"5.56x45", ".223 Remington", false, true, true},
		{"7.62 NATO", ".308 Win", false, true, true},
		{"9 mm Luger", "9 mm Para", true, false, false},
		{"9 mm", "9x19", false, false, false},
		{"9 mm", "9x18", false, false, false},
		{"9 mm", ".45 ACP", false, false, true},
		{".38", "357", false, false, false}, // both may mean .357 Magnum
		{"38", ".38", true, false, false},
		{"", "9x19", false, false, false},
		{"", "", false, false, false},
		{"unknown", "9x19", false, false, false},
		{"4 mm Flobert", "4mm flobert", true, false, false},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if Identical(p[0], p[1]) != c.identical || DimensionallyClose(p[0], p[1]) != c.close || Excludes(p[0], p[1]) != c.exclude {
				t.Errorf("%q and %q: identical %v, close %v, excludes %v; want %v", p[0], p[1],
					Identical(p[0], p[1]), DimensionallyClose(p[0], p[1]), Excludes(p[0], p[1]), c)
			}
		}
	}
}

func TestCalibreTablesAgree(t *testing.T) {
	seen := map[string]string{}
	names := map[string]bool{}
	for _, f := range families {
		names[f[0]] = true
		for _, name := range f {
			p := plain(name)
			if other, twice := seen[p]; twice && other != f[0] {
				t.Errorf("%q is in the families %q and %q", name, other, f[0])
			}
			if bareOf[p] != nil {
				t.Errorf("%q is a bare bore and in the family %q", name, f[0])
			}
			seen[p] = f[0]
		}
	}
	for _, p := range closePairs {
		if !names[p[0]] || !names[p[1]] {
			t.Errorf("close pair %q names no family", p)
		}
	}
	for b, list := range bare {
		for _, n := range list {
			if !names[n] {
				t.Errorf("bare bore %q names %q, which is no family", b, n)
			}
		}
	}
}

func FuzzFamily(f *testing.F) {
	for _, s := range []string{"9×19", ".45 A.C.P.", "", "..", "0.", "0.0.", "х×*", "mmmm", ".38"} {
		f.Add(s, "9 mm")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if Excludes(a, a) {
			t.Fatalf("%q (family %q) excludes itself", a, Family(a))
		}
		if Excludes(a, b) != Excludes(b, a) || Excludes(a, b) && Identical(a, b) {
			t.Fatalf("%q and %q: excludes %v and %v, identical %v", a, b, Excludes(a, b), Excludes(b, a), Identical(a, b))
		}
	})
}
