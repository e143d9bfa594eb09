package policy

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
)

// ErrNoPolicies says that a folder holds no *.cedar file. An engine without
// policies would refuse everything, which is never what a folder was made for.
var ErrNoPolicies = errors.New("no *.cedar file")

// Engine decides by one set of policies. It never changes and may be used by
// many goroutines at once; new policies are a new Engine.
type Engine struct {
	version string
	rules   []*rule
	byID    map[cedar.PolicyID]*rule
	shelves map[shelfKey]*shelf
	budgets budgetSet
}

// rule is one policy, ready to be asked.
type rule struct {
	ref         Ref
	policy      *cedar.Policy
	obligations Obligations
	operations  mentions
	place       int // in the order of files and lines
}

// rules is an ordered set of policies, as cedar.Authorize wants it.
type rules []*rule

// All yields the policies in the order of their files and lines, so that a
// decision names its reasons in the same order every time.
func (rs rules) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range rs {
			if !yield(cedar.PolicyID(r.ref.ID), r.policy) {
				return
			}
		}
	}
}

// Load reads every *.cedar file at the top of a folder, and budgets.toml where there
// is one, and checks them against the schema. All problems found are joined in the error, each a *Problem with file
// and line; a folder without policies is ErrNoPolicies.
func Load(dir fs.FS) (*Engine, error) {
	names, err := fs.Glob(dir, "*.cedar")
	if err != nil {
		return nil, fmt.Errorf("listing policies: %w", err)
	}
	if len(names) == 0 {
		if _, err := fs.Stat(dir, "."); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("loading policies: %w: there is no such folder", ErrNoPolicies)
		}
		return nil, fmt.Errorf("loading policies: %w: name the folder in which they are, such as policy/ in the data folder", ErrNoPolicies)
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("loading policies: %d files, more than %d; join them", len(names), maxFiles)
	}
	budgets, err := readBudgets(dir)
	if err != nil {
		return nil, fmt.Errorf("loading budgets: %w", err)
	}
	return load(names, budgets, func(name string) ([]byte, *Problem, error) { return readPolicyFile(dir, name) })
}

// LoadTexts does as Load with files that are at hand, by their names.
func LoadTexts(files map[string]string) (*Engine, error) {
	budgets := usualBudgets
	if text, there := files[BudgetsFile]; there {
		var err error
		if budgets, err = parseBudgets([]byte(text)); err != nil {
			return nil, fmt.Errorf("loading budgets: %w", err)
		}
	}
	names := slices.DeleteFunc(slices.Collect(maps.Keys(files)), func(name string) bool { return name == BudgetsFile })
	if len(names) == 0 {
		return nil, fmt.Errorf("loading policies: %w", ErrNoPolicies)
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("loading policies: %d files, more than %d; join them", len(names), maxFiles)
	}
	return load(names, budgets, func(name string) ([]byte, *Problem, error) {
		if !fs.ValidPath(name) || path.Base(name) != name || path.Ext(name) != ".cedar" {
			return nil, nil, fmt.Errorf("loading policies: %q is no name of a policy file", shorten(name))
		}
		if len(files[name]) > maxFileBytes {
			return nil, &Problem{name, 1, fmt.Sprintf("the file is larger than %d KiB; split it", maxFileBytes>>10)}, nil
		}
		return []byte(files[name]), nil, nil
	})
}

// load compiles files, in the order of their names.
func load(names []string, budgets budgetSet, read func(name string) ([]byte, *Problem, error)) (*Engine, error) {
	slices.Sort(names)
	sch, err := loadSchema()
	if err != nil {
		return nil, err
	}
	l := loader{schema: sch, read: read, ids: make(map[string]Ref)}
	for _, name := range names {
		if err := l.file(name); err != nil {
			return nil, err
		}
		if l.full() {
			break
		}
	}
	if len(l.problems) > 0 {
		return nil, fmt.Errorf("loading policies: %w", errors.Join(l.problems...))
	}
	if len(l.rules) == 0 {
		return nil, fmt.Errorf("loading policies: %w with a policy in it", ErrNoPolicies)
	}
	return newEngine(sch, l.rules, budgets), nil
}

func newEngine(sch *schemaIndex, all []*rule, budgets budgetSet) *Engine {
	e := &Engine{
		version: versionWith(versionOf(all), budgets),
		budgets: budgets,
		rules:   all,
		byID:    make(map[cedar.PolicyID]*rule, len(all)),
		shelves: sch.shelve(all),
	}
	for i, r := range all {
		r.place = i
		e.byID[cedar.PolicyID(r.ref.ID)] = r
	}
	return e
}

// versionOf hashes the canonical texts, sorted: moving a policy to another file
// or editing a comment decides nothing and changes no version.
func versionOf(all []*rule) string {
	texts := make([]string, 0, len(all))
	for _, r := range all {
		texts = append(texts, string(r.policy.MarshalCedar()))
	}
	slices.Sort(texts)
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// Version is a short hash over the policies' canonical text; audit entries name
// it, so that a decision can be explained by the policies of its day.
func (e *Engine) Version() string { return e.version }

// Policies lists every policy in the order of files and lines.
func (e *Engine) Policies() []Ref {
	refs := make([]Ref, 0, len(e.rules))
	for _, r := range e.rules {
		refs = append(refs, r.ref)
	}
	return refs
}

//go:embed default/*.cedar default/cases.toml default/budgets.toml
var embedded embed.FS

// DefaultFiles returns the default policy as files, for a bureau to start from.
func DefaultFiles() fs.FS {
	sub, err := fs.Sub(embedded, "default")
	if err != nil {
		panic(fmt.Sprintf("policy: embedded default folder: %v", err)) // a constant, valid path cannot fail
	}
	return sub
}

// Default is the engine of the default policy.
func Default() *Engine {
	e, err := Load(DefaultFiles())
	if err != nil {
		panic(fmt.Sprintf("policy: embedded default policy: %v", err)) // compiled in, and loaded by every test
	}
	return e
}

// loader gathers the policies and the problems of one folder.
type loader struct {
	schema   *schemaIndex
	read     func(name string) ([]byte, *Problem, error)
	rules    []*rule
	ids      map[string]Ref
	seen     int // policies, the refused ones too
	bytes    int // of all files
	problems []error
}

// maxProblems bounds the report of one load; a person mends the first ones first.
const maxProblems = 20

func (l *loader) report(p *Problem) { l.problems = append(l.problems, p) }

// full says that no more is to be read: to explain a type error is the slowest
// part of loading, and nobody reads on.
func (l *loader) full() bool { return len(l.problems) >= maxProblems || l.seen > maxPolicies }

// file loads one file. What is wrong in its text is reported; the error is for
// what cannot be read at all.
func (l *loader) file(name string) error {
	text, problem, err := l.read(name)
	if err != nil {
		return err
	}
	if l.bytes += len(text); l.bytes > maxFolderBytes {
		return fmt.Errorf("loading policies: with %s the files hold more than %d KiB", name, maxFolderBytes>>10)
	}
	if problem == nil {
		var statements []statement
		if statements, problem = split(name, text); problem == nil {
			for i, s := range statements {
				if l.statement(name, i, s); l.full() {
					break
				}
			}
			return nil
		}
	}
	l.report(problem)
	return nil
}

func (l *loader) statement(name string, index int, s statement) {
	if l.seen++; l.seen > maxPolicies {
		l.report(&Problem{name, s.line, fmt.Sprintf("more than %d policies in all", maxPolicies)})
		return
	}
	ref := Ref{ID: fmt.Sprintf("%s#%d", strings.TrimSuffix(path.Base(name), ".cedar"), index+1), File: name, Line: s.line}
	r, problem := l.schema.compile(s, ref)
	if problem != nil {
		l.report(problem)
		return
	}
	if first, taken := l.ids[r.ref.ID]; taken {
		l.report(&Problem{name, s.line, fmt.Sprintf("the id %q is taken by the policy at %s:%d", r.ref.ID, first.File, first.Line)})
		return
	}
	l.ids[r.ref.ID] = r.ref
	l.rules = append(l.rules, r)
}

// readPolicyFile reads at most maxFileBytes. A device or a pipe is refused
// before it is opened: opening one can block for ever.
func readPolicyFile(dir fs.FS, name string) ([]byte, *Problem, error) {
	info, err := fs.Stat(dir, name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading policy file %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Problem{name, 1, "not a regular file"}, nil
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading policy file %s: %w", name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading policy file %s: %w", name, err)
	}
	if len(text) > maxFileBytes {
		line := 1 + strings.Count(string(text[:maxFileBytes]), "\n")
		return nil, &Problem{name, line, fmt.Sprintf("the file is larger than %d KiB, which ends in this line; split it", maxFileBytes>>10)}, nil
	}
	return text, nil, nil
}
