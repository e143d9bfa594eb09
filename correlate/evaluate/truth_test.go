package evaluate

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTruthTables(t *testing.T) {
	set, err := ReadTruth(strings.NewReader("\ufeffScan, source ,note,make\r\na.x3p,gun 1,kept apart,Ruger\r\nsub/b.x3p,gun 2,,\r\n"))
	want := []Labelled{{Scan: "a.x3p", Source: "gun 1", Make: "Ruger"}, {Scan: "sub/b.x3p", Source: "gun 2"}}
	if err != nil || !slices.Equal(set, want) {
		t.Errorf("%+v, %v", set, err)
	}
	set, err = ReadTruth(strings.NewReader("scan,source,bullet,land\na,g,b1,1\nb,g,b1,2\n"))
	if err != nil || set[1] != (Labelled{Scan: "b", Source: "g", Bullet: "b1", Land: "2"}) || len(Sources(set)) != 1 {
		t.Errorf("%+v, %v", set, err)
	}
	for text, want := range map[string][]Labelled{
		"scan;source;exhibit;region\r\n\"a;b.x3p\";gun 1;E 1;Firing-Pin\r\n;;;\r\n\r\n": {{Scan: "a;b.x3p", Source: "gun 1", Exhibit: "E 1", Region: "firing-pin"}},
		"scan\tsource\n./two words/a.x3p\tg\n":                                          {{Scan: "two words/a.x3p", Source: "g"}},
		"scan,source,make\na,g\nb,g,X\na,g\n":                                           {{Scan: "a", Source: "g"}, {Scan: "b", Source: "g", Make: "X"}},
		"scan,source,region\na,g,breech-face\na,g,firing-pin\n":                         {{Scan: "a", Source: "g", Region: "breech-face"}, {Scan: "a", Source: "g", Region: "firing-pin"}},
	} {
		if set, err := ReadTruth(strings.NewReader(text)); err != nil || !slices.Equal(set, want) {
			t.Errorf("%q: %+v, %v", text, set, err)
		}
	}
	for text, why := range map[string]string{
		"":                               "no line of headings",
		"scan\na\nb\n":                   `no column "source"`,
		"scan,source,scan\n":             "twice",
		"scan,source\n":                  "names no scan",
		"scan,source\na,g\na,h\n":        `line 3: scan "a" stands on line 2 with other labels`,
		"scan,source\na,g,more\n":        "3 fields under 2 headings",
		"scan,source,region\na,g,nose\n": "unknown region",
		"scan,source\na,g\nb,\xe4\n":     "not UTF-8",
		"\xff\xfes\x00":                  "UTF-16",
		"scan,source\na,g\nb,\n":         "line 3: source is empty",
		"scan,source\na,g\n../b,g\n":     "no path inside the folder",
		"scan,source\na,g\n/etc/b,g\n":   "no path inside the folder",
		"scan,source\na,g\nb\n":          "source is empty",
		"scan,source\na,g\n\"b,g\n":      "line 3",
		"scan,source\na,g\nb,gun\x00\n":  "",
		"scan,source\na,g\nb," + strings.Repeat("x", maxLabel+1): "more than 200 bytes",
		"scan,source\n" + strings.Repeat("x", maxTruthSize):      "more than 16777216 bytes",
	} {
		_, err := ReadTruth(strings.NewReader(text))
		if why == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if !errors.Is(err, ErrBadTruth) || !strings.Contains(err.Error(), why) {
			t.Errorf("%.40q: %v, want %q", text, err, why)
		}
	}
	var many strings.Builder
	many.WriteString("scan,source\n")
	for i := range maxScans + 1 {
		many.WriteString(strings.Repeat("s", 1+i%100) + strings.Repeat("t", i/100) + ",g\n")
	}
	if _, err := ReadTruth(strings.NewReader(many.String())); !errors.Is(err, ErrBadTruth) || !strings.Contains(err.Error(), "split the set") {
		t.Errorf("%d scans: %v", maxScans+1, err)
	}
}

func FuzzReadTruth(f *testing.F) {
	f.Add("scan,source\na.x3p,1\nb.x3p,2\n")
	f.Add("scan,source,bullet,land\n\"a\n\",1,2,3\n")
	f.Add("scan,source\n..,\x00\n")
	f.Add("scan;source;region\n\"a;\";1;lea\n.\\b;2\n;;\n")
	f.Fuzz(func(t *testing.T, s string) {
		set, err := ReadTruth(strings.NewReader(s))
		if err != nil {
			if !errors.Is(err, ErrBadTruth) {
				t.Fatalf("an error without its sentinel: %v", err)
			}
			return
		}
		for _, l := range set {
			if l.Scan == "" || l.Source == "" || strings.HasPrefix(l.Scan, "/") || slices.Contains(strings.Split(l.Scan, "/"), "..") {
				t.Fatalf("%+v", l)
			}
		}
	})
}
