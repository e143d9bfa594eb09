package demo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
)

const sixScans = "scan,source\nb.x3p,two\na.x3p,one\nc.x3p,one\nd.x3p,two\nf.x3p,three\ne.x3p,three\n"

func TestParseTruth(t *testing.T) {
	scans, err := parseTruth([]byte(sixScans))
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for _, s := range scans {
		got += s.name[:1] + "=" + s.source + " "
	}
	if want := "a=one b=two c=one d=two e=three f=three "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"", "the file is empty"},
		"header":           {"file,gun\na,b\n", "line 1: the header is"},
		"fields":           {"scan,source\na.x3p\n", "wrong number of fields"},
		"no source":        {"scan,source\na.x3p,\n", "line 2: scan and source"},
		"another folder":   {"scan,source\n../a.x3p,one\n", "line 2: \"../a.x3p\" is not the name"},
		"the folder":       {"scan,source\n.,one\n", "line 2: \".\" is not the name"},
		"its parent":       {"scan,source\n..,one\n", "line 2: \"..\" is not the name"},
		"twice":            {sixScans + "a.x3p,one\n", "line 8: \"a.x3p\" stands twice"},
		"too few":          {"scan,source\na.x3p,one\n", "1 scans, the demo needs at least 6"},
		"unfinished quote": {"scan,source\n\"a.x3p,one\n", "quote"},
		"too large":        {strings.Repeat("x", maxTruth+1), "more than 1048576 bytes"},
		"too many":         {"scan,source\n" + manyLines(maxScans+1), "line 302: more than 300 scans"},
	} {
		if _, err := parseTruth([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func manyLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("a", i+1) + ",one\n")
	}
	return b.String()
}

func FuzzParseTruth(f *testing.F) {
	f.Add([]byte(sixScans))
	f.Add([]byte("scan,source\n\"a\"\"b\",c\n"))
	f.Add([]byte("\ufeffscan,source\r\na,b\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		scans, err := parseTruth(b)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for i, s := range scans {
			if seen[s.name] || s.source == "" || filepath.Dir(filepath.Join("folder", s.name)) != "folder" || i > 0 && scans[i-1].name >= s.name {
				t.Fatalf("accepted %+v at %d", s, i)
			}
			seen[s.name] = true
		}
	})
}

func TestReadScansSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := readScans(dir); err == nil || !strings.Contains(err.Error(), "has no truth.csv") {
		t.Errorf("without truth: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, truthFile), []byte(sixScans), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readScans(dir); err == nil || !strings.Contains(err.Error(), "lists a.x3p") {
		t.Errorf("without a scan: %v", err)
	}
}

// TestGeneratedScans: equal seeds give equal files, which a reader takes, the gate accepts and readScans finds again.
func TestGeneratedScans(t *testing.T) {
	a := t.TempDir()
	calls := 0
	m, err := generate(a, 5, 2, func(done, total int) {
		if calls++; done != calls || total != 6 {
			t.Errorf("progress %d of %d at call %d", done, total, calls)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := shoot(t.TempDir(), synth.NewMaker(5*makersOfDay).Firearm(0), 5, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	found, err := readScans(a)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range m.scans {
		if f := found.scans[i]; s.name != f.name || s.path != f.path || s.source != f.source {
			t.Errorf("generated %+v, read %+v", s, f)
		}
		one, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if s.name == again.name {
			two, err := os.ReadFile(again.path)
			if err != nil {
				t.Fatal(err)
			}
			if string(one) != string(two) {
				t.Errorf("%s: two files of one seed differ", s.name)
			}
		}
		decoded, err := x3p.Decode(one, x3p.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, q, err := correlate.Encode(decoded, correlate.BreechFace); err != nil || !q.Accept {
			t.Errorf("%s: quality %+v, %v", s.name, q, err)
		}
	}
}

// TestBulletsOfTheDay: the generated bullets are of two barrels, pass the gate, and a folder of real ones is read by its table alone.
func TestBulletsOfTheDay(t *testing.T) {
	list, err := generateBullets(t.TempDir(), 5)
	if err != nil || len(list) != 3 || list[0].source != list[1].source || list[2].source == list[0].source {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, l := range list {
		passing := 0
		for _, path := range l.lands {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			scan, err := x3p.Decode(b, x3p.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if land, _, err := bullet.EncodeLand(scan); err == nil && land.Passes() {
				passing++
			}
		}
		if len(l.lands) != 6 || passing < bullet.MinLands {
			t.Errorf("%s: %d of %d lands pass", l.name, passing, len(l.lands))
		}
	}
	for name, c := range map[string]struct{ table, want, says string }{
		"two complete":   {"scan,source,bullet,land\na1,x,a,1\na2,x,a,2\na3,x,a,3\nq,y,q,1\nb1,x,b,1\nb2,x,b,2\nb3,x,b,3\nc1,x,c,1\n", "a:a1 a2 a3 b:b1 b2 b3 ", ""},
		"one complete":   {"scan,source,bullet,land\na1,x,a,1\na2,x,a,2\na3,x,a,3\nb1,x,b,1\nb3,x,b,3\nb4,x,b,4\n", "", "lists no two bullets of one barrel"},
		"of two barrels": {"scan,source,bullet,land\na1,x,a,1\na2,x,a,2\na3,x,a,3\nb1,y,b,1\nb2,y,b,2\nb3,y,b,3\n", "", "lists no two bullets of one barrel"},
		"no table":       {"x", "", "truth.csv"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, truthFile), []byte(c.table), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := readBullets(dir)
		got := ""
		for _, l := range list {
			got += l.name + ":"
			for _, path := range l.lands {
				got += filepath.Base(path) + " "
			}
		}
		if got != c.want || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, c.want, c.says)
		}
	}
	if _, err := readBullets(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
