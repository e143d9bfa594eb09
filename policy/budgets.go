package policy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// BudgetsFile is where the budgets of questions stand, beside the policies.
const BudgetsFile = "budgets.toml"

// What other countries may ask here, of which an answer tells whether something is there.
const (
	AsksTrace = "trace" // trace requests
	AsksScan  = "scan"  // scan requests
)

// Limits of budgets.
const (
	maxBudgets     = 1000
	maxBudgetLimit = 1_000_000
	maxBudgetDays  = 366
)

// Budget is how many questions may be asked within any span of time of a length. Questions are counted apart for each country, or person, and for each
// purpose that a line names; purposes that none names count together, so that inventing purposes gains nothing.
type Budget struct {
	Limit   int
	Per     time.Duration
	Purpose string // that it counts for; "": all that no line names
}

// budgetLine is one [[country]] or [[person]] of the file.
type budgetLine struct {
	Asks    string `toml:"asks"`    // [[country]]: trace or scan
	Country string `toml:"country"` // [[country]]: left out for each one that has no line of its own
	Does    Action `toml:"does"`    // [[person]]: the action
	Purpose string `toml:"purpose"`
	Limit   *int   `toml:"limit"`
	Per     string `toml:"per"`

	per time.Duration
}

// budgetSet is a file of budgets.
type budgetSet struct {
	Country []budgetLine `toml:"country"`
	Person  []budgetLine `toml:"person"`
	text    string       // canonical; "" without a file
}

// usualBudgets hold where a folder has no file of budgets.
var usualBudgets = budgetSet{Country: []budgetLine{
	{Asks: AsksTrace, Limit: ptr(200), per: day}, {Asks: AsksScan, Limit: ptr(50), per: day},
}}

func ptr(n int) *int { return &n }

// countedActions are what people do that asks other countries or own records about somebody's object.
var countedActions = []Action{TraceNew, ScanRequest, FirearmSearch}

// readBudgets reads the budgets of a folder of policies; the usual ones where it has no file of them.
func readBudgets(dir fs.FS) (budgetSet, error) {
	text, problem, err := readPolicyFile(dir, BudgetsFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usualBudgets, nil
	case err != nil:
		return budgetSet{}, err
	case problem != nil:
		return budgetSet{}, problem
	}
	return parseBudgets(text)
}

// parseBudgets reads a file of budgets strictly: what is misspelt would otherwise limit nothing.
func parseBudgets(text []byte) (budgetSet, error) {
	var s budgetSet
	if len(text) > maxFileBytes {
		return s, &Problem{BudgetsFile, 1, fmt.Sprintf("the file is larger than %d KiB", maxFileBytes>>10)}
	}
	decoder := toml.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, tomlProblem(BudgetsFile, err)
	}
	if n := len(s.Country) + len(s.Person); n > maxBudgets {
		return s, &Problem{BudgetsFile, 1, fmt.Sprintf("%d budgets, more than %d", n, maxBudgets)}
	}
	seen := map[string]bool{}
	for _, list := range []struct {
		name  string
		lines []budgetLine
	}{{"country", s.Country}, {"person", s.Person}} {
		for i := range list.lines {
			l := &list.lines[i]
			key, err := l.check(list.name)
			if err == nil && seen[key] {
				err = errors.New("another one is for the same")
			}
			if err != nil {
				return s, fmt.Errorf("%s: [[%s]] %d: %w", BudgetsFile, list.name, i+1, err)
			}
			seen[key] = true
		}
	}
	var lines []string
	for key := range seen {
		lines = append(lines, key)
	}
	for i, l := range slices.Concat(s.Country, s.Person) {
		key := l.key(i >= len(s.Country))
		lines[slices.Index(lines, key)] = fmt.Sprintf("%s = %d per %s", key, *l.Limit, l.per)
	}
	slices.Sort(lines)
	s.text = strings.Join(lines, "\n") + "\n"
	return s, nil
}

func (l *budgetLine) key(person bool) string {
	return fmt.Sprintf("%v %s%s %s %q", person, l.Asks, l.Does, l.Country, l.Purpose)
}

func (l *budgetLine) check(kind string) (key string, err error) {
	switch {
	case kind == "country" && l.Does != "", kind == "person" && (l.Asks != "" || l.Country != ""):
		return "", errors.New("asks and country go with [[country]], does with [[person]]")
	case kind == "country" && l.Asks != AsksTrace && l.Asks != AsksScan:
		return "", fmt.Errorf("asks = %q: what countries ask is %q or %q", shorten(l.Asks), AsksTrace, AsksScan)
	case l.Country != "" && !validCountry(l.Country):
		return "", fmt.Errorf("country = %q is not a code of two capital letters", shorten(l.Country))
	case kind == "person" && !slices.Contains(countedActions, l.Does):
		return "", fmt.Errorf("does = %q: what is counted of people is %v", shorten(string(l.Does)), countedActions)
	case len(l.Purpose) > 128:
		return "", errors.New("the purpose has more than 128 bytes")
	case l.Limit == nil:
		return "", errors.New("say how many: limit = 50; 0 is none at all")
	case *l.Limit < 0 || *l.Limit > maxBudgetLimit:
		return "", fmt.Errorf("limit = %d is not between 0 and %d", *l.Limit, maxBudgetLimit)
	}
	if l.per, err = parseDuration(l.Per); err != nil {
		return "", fmt.Errorf("per = %q: %w", shorten(l.Per), err)
	}
	if l.per > maxBudgetDays*day {
		return "", fmt.Errorf("per = %q is longer than %d days", shorten(l.Per), maxBudgetDays)
	}
	return l.key(kind == "person"), nil
}

// CountryBudget is how often a country may ask something here for a purpose. The line that names country and purpose goes before the one that names the
// country, this before the one that names the purpose. Without any line the usual budget holds: what is forgotten is not unlimited.
func (e *Engine) CountryBudget(asks, country, purpose string) Budget {
	if b, ok := bestBudget(e.budgets.Country, func(l *budgetLine) bool { return l.Asks == asks && (l.Country == "" || l.Country == country) }, purpose); ok {
		return b
	}
	b, _ := bestBudget(usualBudgets.Country, func(l *budgetLine) bool { return l.Asks == asks }, purpose)
	return b
}

// PersonBudget is how often one person may do something for a purpose; ok says whether there is such a limit.
func (e *Engine) PersonBudget(does Action, purpose string) (b Budget, ok bool) {
	return bestBudget(e.budgets.Person, func(l *budgetLine) bool { return l.Does == does }, purpose)
}

// Counted lists what is counted of people for some purpose.
func (e *Engine) Counted() []Action {
	var out []Action
	for _, l := range e.budgets.Person {
		out = append(out, l.Does)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func bestBudget(lines []budgetLine, fits func(*budgetLine) bool, purpose string) (Budget, bool) {
	var best *budgetLine
	rank := func(l *budgetLine) int {
		n := 0
		if l.Country != "" {
			n += 2
		}
		if l.Purpose != "" {
			n++
		}
		return n
	}
	for i := range lines {
		l := &lines[i]
		if fits(l) && (l.Purpose == "" || l.Purpose == purpose) && (best == nil || rank(l) > rank(best)) {
			best = l
		}
	}
	if best == nil {
		return Budget{}, false
	}
	return Budget{Limit: *best.Limit, Per: best.per, Purpose: best.Purpose}, true
}

// versionWith adds budgets to the version of policies; without a file of them it stays what it was.
func versionWith(version string, s budgetSet) string {
	if s.text == "" {
		return version
	}
	sum := sha256.Sum256([]byte(version + "\x00" + s.text))
	return hex.EncodeToString(sum[:6])
}

// tomlProblem gives a TOML error its file and line.
func tomlProblem(file string, err error) error {
	var missing *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &missing) && len(missing.Errors) > 0:
		line, _ := missing.Errors[0].Position()
		return &Problem{file, line, fmt.Sprintf("unknown key %q", strings.Join(missing.Errors[0].Key(), "."))}
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		return &Problem{file, cmp.Or(line, 1), wrong.Error()}
	}
	return fmt.Errorf("%s: %w", file, err)
}
