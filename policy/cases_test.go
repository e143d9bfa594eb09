package policy

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// shipped calls each for every folder of policies that comes with the program, with the cases that stand in it and what came of them.
func shipped(t *testing.T, each func(name string, e *Engine, cases []Case, outcomes []Outcome)) {
	t.Helper()
	folders := map[string]fs.FS{"default": DefaultFiles()}
	for _, name := range []string{"border-only", "one-year", "two-person"} {
		folders[name] = os.DirFS("../testdata/policies/" + name)
	}
	for name, dir := range folders {
		e, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		cases, err := ReadCases(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		outcomes, err := e.Try(cases, noon)
		if err != nil || len(outcomes) < 4 {
			t.Fatalf("%s: %d cases, %v", name, len(outcomes), err)
		}
		each(name, e, cases, outcomes)
	}
}

// The cases that stand beside the default policy and beside the examples hold.
func TestCasesOfTheFolders(t *testing.T) {
	shipped(t, func(name string, _ *Engine, _ []Case, outcomes []Outcome) {
		for _, o := range outcomes {
			if len(o.Wrong) > 0 {
				t.Errorf("%s: %s: %s", name, o.Name, strings.Join(o.Wrong, "; "))
			}
		}
	})
}

func readCases(text string) ([]Case, error) {
	return ReadCases(fstest.MapFS{CasesFile: {Data: []byte(text)}})
}

// Each expectation that does not hold is named, and nothing else.
func TestACaseThatFailsSaysWhy(t *testing.T) {
	for _, c := range []struct{ expect, want string }{
		{`decision = "deny"`, "deny expected, permit found: by signatures-to-members (20-signatures.cedar:"},
		{"decision = \"permit\"\nby = [\"another\"]", "by: [another] expected, [signatures-to-members] found"},
		{"decision = \"permit\"\nby = []", "by: [] expected, [signatures-to-members] found"},
		{"decision = \"permit\"\nhandling = [\"H2\", \"H0\"]", "handling: [H0 H2] expected, [H0] found"},
		{"decision = \"permit\"\nretain = \"P1Y\"", "retain: 365 days expected, 1825 found"},
		{"decision = \"permit\"\nretain = \"\"", "retain: 0 days expected, 1825 found"},
		{"decision = \"permit\"\nredact = [\"place\"]", "redact: [place] expected, [agency case_reference"},
		{"decision = \"permit\"\napproval = \"two-person\"", `approval: "two-person" expected, "" found`},
		{`decision = "permit"`, ""},
	} {
		cases, err := readCases("[[case]]\nname = \"c\"\nto = \"FR\"\ndocument = \"signature\"\n[case.with]\norigin = \"evidence\"\n[case.expect]\n" + c.expect)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Default().Try(cases, noon)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := strings.Join(got[0].Wrong, "; "); !strings.HasPrefix(wrong, c.want) || c.want == "" && wrong != "" || len(got[0].Wrong) > 1 {
			t.Errorf("%s: %q, want %q", c.expect, wrong, c.want)
		}
	}
}

// An attribute that the schema does not know is an error of the case, not a deny
// that may have been expected.
func TestACaseWithAMisspeltAttributeFails(t *testing.T) {
	cases, err := readCases("[[case]]\nname = \"c\"\nto = \"FR\"\ndocument = \"signature\"\n[case.with]\ncustom = true\n[case.expect]\ndecision = \"deny\"")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Default().Try(cases, noon)
	if err != nil || len(got[0].Wrong) != 1 || !strings.Contains(got[0].Wrong[0], `no attribute "custom"`) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadCasesRefuses(t *testing.T) {
	const ok = "[[case]]\nname = \"c\"\nto = \"FR\"\n[case.expect]\ndecision = \"deny\"\n"
	for text, want := range map[string]string{
		"":                      "no [[case]]",
		"[[case]]\nnam = 1":     `cases.toml:2: unknown key "case.nam"`,
		"[[case]]\nname = 1":    "cases.toml:2",
		"[[case":                "cases.toml:1",
		ok + ok:                 `two cases are called "c"`,
		"[[case]]\nto = \"FR\"": "case 1: it has no name",
		"[[case]]\nname = \"c\"\n[case.expect]\ndecision = \"deny\"":                                      "say who asks",
		"[[case]]\nname = \"c\"\nto = \"FR\"\nfrom = \"ES\"\n[case.expect]\ndecision = \"deny\"":          "say who asks",
		"[[case]]\nname = \"c\"\nas = [\"examiner\"]\n[case.expect]\ndecision = \"deny\"":                 "what the person wants",
		"[[case]]\nname = \"c\"\nto = \"FR\"\naction = \"acquire\"\n[case.expect]\ndecision = \"deny\"":   "an action is for a person",
		"[[case]]\nname = \"c\"\nto = \"FR\"":                                                             "[case.expect] wants",
		"[[case]]\nname = \"c\"\nto = \"FR\"\n[case.expect]\ndecision = \"perhaps\"":                      "[case.expect] wants",
		"[[case]]\nname = \"c\"\nto = \"FR\"\n[case.expect]\ndecision = \"permit\"\nretain = \"5 years\"": "retain: ",
		"[[case]]\nname = \"c\"\nfrom = \"FR\"\nanswers = true\n[case.expect]\ndecision = \"permit\"":     "answers goes with to",
		strings.Repeat("# a comment that makes the file too long for anybody to read it\n", 20000):        "larger than",
	} {
		if _, err := readCases(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadCases(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzReadCases(f *testing.F) {
	text, err := fs.ReadFile(DefaultFiles(), CasesFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("[[case]]\nname = \"c\"\nto = \"FR\"\n[case.with]\na = [1, {b = 2}]\n[case.expect]\ndecision = \"deny\"")
	e := Default()
	f.Fuzz(func(t *testing.T, text string) {
		cases, err := readCases(text)
		if err != nil {
			return
		}
		outcomes, err := e.Try(cases, noon)
		if err != nil || len(outcomes) != len(cases) {
			t.Fatalf("%d outcomes of %d cases, %v", len(outcomes), len(cases), err)
		}
	})
}
