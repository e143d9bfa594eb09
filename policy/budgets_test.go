package policy

import (
	"strings"
	"testing"
)

func withBudgets(t *testing.T, text string) *Engine {
	t.Helper()
	return engine(t, map[string]string{"x.cedar": "permit (principal, action, resource);", BudgetsFile: text})
}

const budgetLines = `
[[country]]
asks = "scan"
limit = 10
per = "P1D"
[[country]]
asks = "scan"
purpose = "terrorism"
limit = 20
per = "P1D"
[[country]]
asks = "scan"
country = "ES"
limit = 30
per = "P7D"
[[country]]
asks = "scan"
country = "ES"
purpose = "terrorism"
limit = 0
per = "P1D"
[[person]]
does = "trace:new"
limit = 5
per = "P1D"
`

func TestWhichBudgetHolds(t *testing.T) {
	e := withBudgets(t, budgetLines)
	for _, c := range []struct {
		asks, country, purpose string
		want                   Budget
	}{
		{AsksScan, "FR", "x", Budget{10, day, ""}},
		{AsksScan, "FR", "", Budget{10, day, ""}},
		{AsksScan, "FR", "terrorism", Budget{20, day, "terrorism"}},
		{AsksScan, "ES", "x", Budget{30, 7 * day, ""}},
		{AsksScan, "ES", "terrorism", Budget{0, day, "terrorism"}},
		{AsksTrace, "ES", "x", Budget{200, day, ""}}, // forgotten, and not unlimited
	} {
		if got := e.CountryBudget(c.asks, c.country, c.purpose); got != c.want {
			t.Errorf("%s %s %s: %+v, want %+v", c.asks, c.country, c.purpose, got, c.want)
		}
	}
	if b, ok := e.PersonBudget(TraceNew, "x"); !ok || b.Limit != 5 {
		t.Errorf("%+v, %v", b, ok)
	}
	if _, ok := e.PersonBudget(ScanRequest, "x"); ok || len(e.Counted()) != 1 {
		t.Error("a person is limited where no line says so")
	}
	if d := Default(); d.CountryBudget(AsksScan, "ES", "x").Limit != 50 || len(d.Counted()) != 3 {
		t.Error("the default policy has not the budgets that it says")
	}
}

// A change of budgets is a change of the policy; comments and the order of lines are none.
func TestBudgetsBelongToTheVersion(t *testing.T) {
	v := withBudgets(t, budgetLines).Version()
	if none := engine(t, map[string]string{"x.cedar": "permit (principal, action, resource);"}).Version(); none == v {
		t.Error("the same version without budgets")
	}
	if withBudgets(t, strings.Replace(budgetLines, "limit = 30", "limit = 31", 1)).Version() == v {
		t.Error("the same version with another limit")
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(budgetLines, "\n"), "[[country]]\nasks = \"scan\"\npurpose")
	if withBudgets(t, "# a comment\n[[country]]\nasks = \"scan\"\npurpose"+rest+first).Version() != v {
		t.Error("another version for another order")
	}
}

func TestBudgetsAreReadStrictly(t *testing.T) {
	line := func(s string) string { return "[[country]]\nasks = \"scan\"\nlimit = 1\nper = \"P1D\"\n" + s }
	for text, says := range map[string]string{
		line("purposes = \"x\""):                                                       `budgets.toml:5: unknown key "country.purposes"`,
		"[[countries]]\nasks = \"scan\"":                                               "unknown key",
		"[[country]]\nasks = \"lookup\"\nlimit = 1":                                    "what countries ask",
		line("country = \"Spain\""):                                                    "two capital letters",
		line("does = \"trace:new\""):                                                   "goes with",
		"[[country]]\nasks = \"scan\"\nper = \"P1D\"":                                  "say how many",
		"[[country]]\nasks = \"scan\"\nlimit = -1\nper = \"P1D\"":                      "not between",
		"[[country]]\nasks = \"scan\"\nlimit = 2000000\nper = \"P1D\"":                 "not between",
		"[[country]]\nasks = \"scan\"\nlimit = 1\nper = \"1 day\"":                     "P365D",
		"[[country]]\nasks = \"scan\"\nlimit = 1\nper = \"P2Y\"":                       "longer than 366 days",
		"[[country]]\nasks = \"scan\"\nlimit = 1":                                      "P365D",
		line("") + line(""):                                                            "another one is for the same",
		"[[person]]\ndoes = \"case:view\"\nlimit = 1\nper = \"P1D\"":                   "what is counted of people",
		"[[person]]\ndoes = \"trace:new\"\ncountry = \"ES\"\nlimit = 1\nper = \"P1D\"": "go with [[country]]",
		"not toml": "budgets.toml:1",
	} {
		_, err := Load(folder(map[string]string{"x.cedar": "permit (principal, action, resource);", BudgetsFile: text}))
		if err == nil || !strings.Contains(err.Error(), strings.Replace(says, "goes with", "go with", 1)) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// FuzzBudgets: whatever stands in the file, it is refused or it limits.
func FuzzBudgets(f *testing.F) {
	f.Add(budgetLines)
	f.Add("[[country]]\nasks = \"scan\"\nlimit = 1\nper = \"P1D\"\ncountry=\"XX\"")
	f.Add("[[person]]\ndoes=\"trace:new\"\nlimit=0\nper=\"P366D\"")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseBudgets([]byte(text))
		if err != nil {
			return
		}
		if again, err := parseBudgets([]byte(text)); err != nil || again.text != s.text {
			t.Fatalf("read twice: %v", err)
		}
		e := &Engine{budgets: s}
		for _, c := range []string{"ES", "XX"} {
			if b := e.CountryBudget(AsksScan, c, "x"); b.Limit < 0 || b.Limit > maxBudgetLimit || b.Per < day || b.Per > maxBudgetDays*day {
				t.Fatalf("%+v", b)
			}
		}
	})
}
