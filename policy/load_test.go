package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const permitAll = `permit (principal, action, resource);`

// TestLoadRefuses gives each kind of broken file; the problem has to name the
// file and the line, and to say what is wrong.
func TestLoadRefuses(t *testing.T) {
	const head = "// a comment\n\n" // policies below start in line 3
	for _, c := range []struct {
		name, text string
		line       int
		says       string
	}{
		{"cut off in a policy", "permit (principal, action,\n  resource)\nwhen { resource.cust", 3, "never ends"},
		{"cut off in a text", "@id(\"a\")\npermit (principal, action, resource)\nwhen { context.purpose == \"inv", 5, "never ends"},
		{"text over two lines", "@id(\"a\nb\")\n" + permitAll, 3, "does not end in its line"},
		{"comment without end", permitAll + "\n/* and\nso on", 4, "never ends"},
		{"wrong word", "permit (principal, action, resource)\nwehn { true };", 4, "not a Cedar policy"},
		{"wrong effect", "allow (principal, action, resource);", 3, "not a Cedar policy"},
		{"lone semicolon", ";", 3, "not a Cedar policy"},
		{"number too large", "permit (principal, action, resource)\nwhen { 99999999999999999999 == 1 };", 3, "not a Cedar policy"},
		{"NUL", "permit (principal,\n\x00 action, resource);", 4, "not a Cedar policy"},
		{"not UTF-8", "permit (principal,\n \xff action, resource);", 4, "not a Cedar policy"},
		{"bad escape", "@id(\"a\")\npermit (principal, action, resource)\nwhen { context.purpose == \"\\q\" };", 5, "not a Cedar policy"},
		{"second policy is wrong", permitAll + "\n" + permitAll + "\n\nforbid (principal);", 6, "not a Cedar policy"},

		{"unknown annotation", "@handlng(\"H1\")\n" + permitAll, 3, "unknown annotation @handlng"},
		{"annotation twice", "@id(\"a\")\n@id(\"b\")\n" + permitAll, 4, "duplicate annotation"},
		{"unknown handling code", "@handling(\"H0 H9\")\n" + permitAll, 3, `"H9" is not known`},
		{"handling with commas", "@handling(\"H0,H1\")\n" + permitAll, 3, `"H0,H1" is not known`},
		{"empty handling", "@handling\n" + permitAll, 3, "names nothing"},
		{"unknown field", "@redact(\"agency plce\")\n" + permitAll, 3, `"plce" is not known`},
		{"unknown approval", "@approval(\"three-person\")\n" + permitAll, 3, "two-person"},
		{"bad duration", "@retain(\"5 years\")\n" + permitAll, 3, "write a duration such as"},
		{"duration of hours", "@retain(\"PT12H\")\n" + permitAll, 3, "write a duration such as"},
		{"duration of nothing", "@retain(\"P0D\")\n" + permitAll, 3, "no time"},
		{"obligation on a forbid", "@retain(\"P5D\")\nforbid (principal, action, resource);", 3, "forbid imposes no obligations"},
		{"bad id", "@id(\"two words\")\n" + permitAll, 3, "@id"},
		{"id taken", "@id(\"a\")\n" + permitAll + "\n@id(\"a\")\n" + permitAll, 5, "taken by the policy at x.cedar:3"},

		{"unknown action", "permit (principal, action == Action::\"shere\", resource);", 3, "shere"},
		{"unknown type", "permit (principal, action == Action::\"share\", resource is Signture);", 3, "Signture"},
		{"unknown type in a condition", "permit (principal, action == Action::\"share\", resource)\nwhen { resource is Signture };", 3, "Signture"},
		{"unknown attribute", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource.caliber == \"9x19\" };", 3, "caliber"},
		{"unknown attribute asked for", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource has caliber && resource.caliber == \"9x19\" };", 3, "caliber"},
		{"unknown context", "permit (principal, action, resource)\nwhen { context.urgent };", 3, "urgent"},
		{"attribute of another type", "permit (principal, action == Action::\"share\", resource is Lead)\nwhen { resource.reviewers.contains(\"ana\") };", 3, "reviewers"},
		{"unguarded optional attribute", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource.border_km <= 80 };", 3, "ask first: … has border_km"},
		{"guard on the wrong side", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource.border_km <= 80 && resource has border_km };", 3, "ask first"},
		{"guard in an alternative", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource has border_km || resource.border_km <= 80 };", 3, "ask first"},
		{"wrong type of value", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource.owner == \"FR\" };", 3, "types"},
		{"text compared by size", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource.calibre > 9 };", 3, "unexpected type"},
		{"country in small letters", "permit (principal == Country::\"fr\", action, resource);", 3, "two capital letters"},
		{"country in a condition", "permit (principal, action == Action::\"share\", resource is Signature)\nwhen { resource.owner == Country::\"France\" };", 3, "two capital letters"},
		{"country in a list", "permit (principal is Country, action, resource)\nwhen { [Country::\"FR\", Country::\"be\"].contains(principal) };", 3, "two capital letters"},
		{"unknown role", "permit (principal in Role::\"examinr\", action, resource);", 3, "unknown role"},
		{"unknown kind", "permit (principal is User, action, resource)\nwhen { resource.kind == Kind::\"exhibt\" };", 3, "unknown kind"},
		{"unknown standing", "forbid (principal in Standing::\"gone\", action, resource);", 3, "unknown standing"},
		{"action for another type", "permit (principal, action == Action::\"accept\", resource is Signature);", 3, "applicable action"},

		{"deep brackets", "permit (principal, action, resource)\nwhen {\n" + strings.Repeat("(", 100000) + "true", 5, "brackets within brackets"},
		{"many signs", "permit (principal, action, resource)\nwhen {\n" + strings.Repeat("!", 100000) + "true };", 5, "in a row"},
		{"many spaced signs", "permit (principal, action, resource)\nwhen {\n" + strings.Repeat("! ", 50000) + "true };", 5, "in a row"},
		{"long condition", "permit (principal, action, resource)\nwhen {\n" + strings.Repeat("true || ", 1000) + "true };", 5, "join conditions"},
		{"long chain of if", "permit (principal, action, resource)\nwhen {\n" + strings.Repeat("if true then true else ", 650) + "true };", 5, "join conditions"},
		{"long list", "permit (principal, action, resource)\nwhen { [\n" + strings.Repeat("1,", 3000) + "1].contains(1) };", 5, "longer than"},
		{"long path", "permit (principal, action, resource)\nwhen {\ncontext has a" + strings.Repeat(".a", 900) + " };", 5, "more than 16 dots"},
		{"enormous", strings.Repeat("// nothing\n", 1<<20), 11917, "larger than 128 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(folder(map[string]string{"x.cedar": head + c.text}))
			var p *Problem
			if !errors.As(err, &p) {
				t.Fatalf("error %v, want a *Problem", err)
			}
			if p.File != "x.cedar" || p.Line != c.line || !strings.Contains(p.Message, c.says) {
				t.Errorf("%v\nwant x.cedar:%d: …%s…", p, c.line, c.says)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

// TestLoadAccepts holds what is long but honest, near the limits.
func TestLoadAccepts(t *testing.T) {
	var countries []string
	for i := range 249 {
		countries = append(countries, fmt.Sprintf("Country::\"%c%c\"", 'A'+i/26, 'A'+i%26))
	}
	for name, text := range map[string]string{
		"all countries":       "permit (principal is Country, action, resource)\nwhen { [" + strings.Join(countries, ", ") + "].contains(principal) };",
		"deep brackets":       "permit (principal, action, resource) when { " + strings.Repeat("(", maxDepth-1) + "true" + strings.Repeat(")", maxDepth-1) + " };",
		"brackets in a row":   "permit (principal, action, resource) when { " + strings.Repeat("(true) && ", 100) + "true };",
		"paths after words":   "permit (principal is Country, action == Action::\"share\", resource is Signature) when { " + strings.Repeat("if resource.terrorism then resource.customs else ", 20) + "true };",
		"signs in a text":     "permit (principal, action, resource) when { context.purpose == \"" + strings.Repeat("((((!!!!;;;;....", 50) + "\" };",
		"every annotation":    "@id(\"a.b-c_1\") @handling(\"H0 H3\") @retain(\"P1Y6M\") @redact(\"location possessor\") @approval(\"two-person\")\n" + permitAll,
		"guarded twice":       "permit (principal, action == Action::\"share\", resource is Signature) when { resource has border_km } when { resource has border_km && resource.border_km < 9 };",
		"windows line ends":   "permit (principal,\r\n action, resource);\r\n",
		"comment at the end":  permitAll + " // no line end",
		"attributes by quote": "permit (principal, action == Action::\"share\", resource is Signature) when { resource[\"customs\"] };",
	} {
		if _, err := Load(folder(map[string]string{"x.cedar": text})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadReportsEveryFile(t *testing.T) {
	_, err := Load(folder(map[string]string{
		"a.cedar": permitAll + "\n@oops\n" + permitAll + "\n@again\n" + permitAll,
		"b.cedar": permitAll[:10],
		"c.txt":   "not a policy",
	}))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"a.cedar:2:", "a.cedar:4:", "b.cedar:1:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not name %s", err, want)
		}
	}
}

func TestLoadTooMuch(t *testing.T) {
	_, err := Load(folder(map[string]string{"x.cedar": strings.Repeat(permitAll+"\n", maxPolicies+5)}))
	var p *Problem
	if !errors.As(err, &p) || p.Line != maxPolicies+1 || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("too many policies: %v", err)
	}
	comment := strings.Repeat("// nothing\n", maxFileBytes/11)
	large := make(map[string]string)
	for i := range 1 + maxFolderBytes/len(comment) {
		large[fmt.Sprintf("%d.cedar", i)] = comment
	}
	if _, err := Load(folder(large)); err == nil || !strings.Contains(err.Error(), "hold more than 512 KiB") {
		t.Errorf("too large a folder: %v", err)
	}
	many := make(map[string]string)
	for i := range maxFiles + 1 {
		many[fmt.Sprintf("%d.cedar", i)] = permitAll
	}
	if _, err := Load(folder(many)); err == nil || !strings.Contains(err.Error(), "files") {
		t.Errorf("too many files: %v", err)
	}
	bad := strings.Repeat("@oops\n"+permitAll+"\n", 1000)
	if _, err := Load(folder(map[string]string{"x.cedar": bad})); err == nil || len(err.Error()) > maxProblems*500 {
		t.Errorf("a thousand problems: %d bytes of error", len(fmt.Sprint(err)))
	}
}

func TestLoadNothing(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no file":            {},
		"other files":        {"README": "x", "x.cedar.bak": permitAll},
		"nothing in it":      {"x.cedar": ""},
		"comments alone":     {"x.cedar": "// permit (principal, action, resource);\n"},
		"only a folder deep": {"sub/x.cedar": permitAll},
	} {
		if _, err := Load(folder(files)); !errors.Is(err, ErrNoPolicies) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	dir := fstest.MapFS{"x.cedar": &fstest.MapFile{Mode: fs.ModeDir}}
	var p *Problem
	if _, err := Load(dir); !errors.As(err, &p) || !strings.Contains(p.Message, "regular") {
		t.Errorf("a folder named like a file: %v", err)
	}
	if _, err := Load(fstest.MapFS{"x.cedar": &fstest.MapFile{Mode: fs.ModeNamedPipe}}); !errors.As(err, &p) {
		t.Errorf("a pipe: %v", err)
	}
	root := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(root, "x.cedar")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(os.DirFS(root)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dangling link: %v", err)
	}
}

func TestVersion(t *testing.T) {
	two := `@id("b") forbid (principal in Role::"auditor", action, resource);`
	base := engine(t, map[string]string{"x.cedar": permitAll + two}).Version()
	same := engine(t, map[string]string{"z.cedar": "// moved\n" + permitAll, "a.cedar": strings.ReplaceAll(two, " ", "\n")}).Version()
	if same != base {
		t.Errorf("a comment, a line break or another file changed the version: %s, %s", base, same)
	}
	for name, text := range map[string]string{
		"obligation":   `@handling("H1") ` + permitAll + two,
		"effect":       permitAll + strings.Replace(two, "forbid", "permit", 1),
		"a rule less":  permitAll,
		"another role": permitAll + strings.Replace(two, "auditor", "examiner", 1),
	} {
		if got := engine(t, map[string]string{"x.cedar": text}).Version(); got == base {
			t.Errorf("%s: the version did not change", name)
		}
	}
}

// TestRefLines checks that a decision names the line where the policy starts,
// below comments and at its first annotation.
func TestRefLines(t *testing.T) {
	e := engine(t, map[string]string{"x.cedar": "/* one\ntwo */ // three\n\n@handling(\"H0\")\n" + permitAll + "\n" +
		"permit (principal is Country, action == Action::\"share\", resource)\nwhen { context.purpose like \"a;b*\" };\n// ;\n" + permitAll})
	for i, want := range []Ref{{"x#1", "x.cedar", 4}, {"x#2", "x.cedar", 6}, {"x#3", "x.cedar", 9}} {
		if got := e.Policies()[i]; got != want {
			t.Errorf("policy %d is %v, want %v", i, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, days := range map[string]int{"P1D": 1, "P365D": 365, "P2W": 14, "P6M": 180, "P5Y": 1825, "P1Y2M3W4D": 365 + 60 + 21 + 4, "P100Y": 36500, "P0Y5D": 5} {
		if got, err := parseDuration(text); err != nil || got != time.Duration(days)*day {
			t.Errorf("%s: %v %v, want %d days", text, got, err, days)
		}
	}
	for _, text := range []string{"", "P", "P5", "5D", "P-5D", "P5d", "PD", "P1D1Y", "P1D1D", "P1YT5H", "P1.5Y", " P5D", "P101Y", "P9999999D", "P36501D", "P00D"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
