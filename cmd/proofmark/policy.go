package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"proofmark/policy"
)

type policyCmd struct {
	Check   policyCheckCmd   `cmd:"" help:"Load a folder of policies and say what is wrong in it, with file and line; no node is needed."`
	Test    policyTestCmd    `cmd:"" help:"Ask a folder of policies the cases that stand beside them (cases.toml); no node is needed."`
	Explain policyExplainCmd `cmd:"" help:"Say why a document goes, or does not go, to a country, and exactly what would be sent."`
	Diff    policyDiffCmd    `cmd:"" help:"Say which documents of this node other policies would share, or keep back, before they are put in place."`
	Apply   policyApplyCmd   `cmd:"" help:"Put policies in force while the node runs, or propose them where a second person has to approve."`

	Proposals policyProposalsCmd `cmd:"" help:"List the policies that were proposed, and what became of them."`
	Show      policyShowCmd      `cmd:"" help:"Show a proposed policy; save its files to look at them, test and compare."`
	Approve   policyApproveCmd   `cmd:"" help:"Put a policy in force that somebody else proposed."`
	Reject    policyRejectCmd    `cmd:"" help:"Reject a proposed policy, or take back an own one."`

	Schema policySchemaCmd `cmd:"" help:"Print the schema: every name that a policy may use, with comments."`
}

// errPolicy: a policy is wrong, or does not decide as its cases say.
var errPolicy = errors.New("not as it should be")

type policyCheckCmd struct {
	Dir string `arg:"" optional:"" help:"Folder of *.cedar files; that of the node's data folder where none is named." type:"path"`
}

// policyFolder is a folder of policies, or the node's own.
func (a *app) policyFolder(dir string) string {
	if dir == "" {
		return filepath.Join(a.Data, "policy")
	}
	return dir
}

// checkedPolicies is a folder of policies that loaded, or what keeps it from loading.
type checkedPolicies struct {
	Folder   string          `json:"folder"`
	Version  string          `json:"version,omitempty"`
	Policies []policyLine    `json:"policies"`
	Problems []policyProblem `json:"problems"`
}

type policyLine struct {
	ID   string `json:"id"`
	File string `json:"file"`
	Line int    `json:"line"`
}

type policyProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

func (c *policyCheckCmd) Run(a *app) error {
	dir := a.policyFolder(c.Dir)
	out := checkedPolicies{Folder: dir, Policies: []policyLine{}, Problems: []policyProblem{}}
	engine, err := policy.Load(os.DirFS(dir))
	if err != nil {
		if out.Problems = problemsOf(err); len(out.Problems) == 0 {
			return fmt.Errorf("%s: %w", dir, err)
		}
	} else {
		out.Version = engine.Version()
		for _, p := range engine.Policies() {
			out.Policies = append(out.Policies, policyLine{p.ID, p.File, p.Line})
		}
	}
	if err := a.show(out, func(w io.Writer) { printCheckedPolicies(w, out) }); err != nil {
		return err
	}
	if len(out.Problems) > 0 {
		return fmt.Errorf("%w: %s in %s", errPolicy, count(len(out.Problems), "problem"), dir)
	}
	return nil
}

func printCheckedPolicies(w io.Writer, c checkedPolicies) {
	for _, p := range c.Problems {
		fmt.Fprintf(w, "%s:%d: %s\n", printable(p.File), p.Line, printable(p.Problem))
	}
	if len(c.Problems) > 0 {
		return
	}
	rows := make([][]string, len(c.Policies))
	for i, p := range c.Policies {
		rows[i] = []string{p.ID, fmt.Sprintf("%s:%d", p.File, p.Line)}
	}
	table(w, "", []string{"POLICY", "WHERE"}, rows)
	fmt.Fprintf(w, "\n%s, version %s. Everything that no permit allows is denied.\n", count(len(rows), "rule"), short(c.Version))
	fmt.Fprintf(w, "Next:  proofmark policy test %s\n", argument(c.Folder))
}

// problemsOf finds the problems that an error joins.
func problemsOf(err error) (out []policyProblem) {
	var p *policy.Problem
	switch e := err.(type) {
	case nil:
	case *policy.Problem:
		out = append(out, policyProblem{e.File, e.Line, e.Message})
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			out = append(out, problemsOf(one)...)
		}
	default:
		if errors.As(err, &p) {
			out = problemsOf(errors.Unwrap(err))
		}
	}
	if out == nil {
		out = []policyProblem{}
	}
	return out
}

type policyTestCmd struct {
	Dir string `arg:"" optional:"" help:"Folder of *.cedar files and cases.toml; that of the node's data folder where none is named." type:"path"`
}

func (c *policyTestCmd) Run(a *app) error {
	dir := a.policyFolder(c.Dir)
	engine, err := policy.Load(os.DirFS(dir))
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	cases, err := policy.ReadCases(os.DirFS(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no %s: write down what the policies are expected to decide; docs/policy.md shows how", dir, policy.CasesFile)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	outcomes, err := engine.Try(cases, wallClock())
	if err != nil {
		return err
	}
	failed := 0
	for _, o := range outcomes {
		if len(o.Wrong) > 0 {
			failed++
		}
	}
	err = a.show(outcomes, func(w io.Writer) {
		for _, o := range outcomes {
			mark := "ok    "
			if len(o.Wrong) > 0 {
				mark = "WRONG "
			}
			fmt.Fprintf(w, "%s  %-6s  %s\n", mark, o.Decision, printable(o.Name))
			for _, why := range o.Wrong {
				fmt.Fprintf(w, "                %s\n", printable(why))
			}
		}
		fmt.Fprintf(w, "\n%s, %d as expected.\n", count(len(outcomes), "case"), len(outcomes)-failed)
		for _, rule := range engine.Uncovered(outcomes) {
			fmt.Fprintf(w, "No case shows what %s decides.\n", printable(rule.String()))
		}
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%w: %d of %s decided otherwise than expected", errPolicy, failed, count(len(outcomes), "case"))
	}
	return err
}

type policySchemaCmd struct{}

func (*policySchemaCmd) Run(a *app) error {
	return a.show(map[string]string{"schema": policy.Schema()}, func(w io.Writer) { fmt.Fprint(w, policy.Schema()) })
}

// readPolicies reads a folder's policies as texts, for the node: it runs under another account perhaps, and must not open paths for people.
func readPolicies(dir string) (map[string]string, error) {
	if _, err := policy.Load(os.DirFS(dir)); err != nil { // says what is wrong with file and line, and bounds what is read below
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.cedar"))
	if err != nil {
		return nil, err
	}
	if budgets := filepath.Join(dir, policy.BudgetsFile); fileThere(budgets) {
		names = append(names, budgets)
	}
	out := make(map[string]string, len(names))
	for _, name := range names {
		b, err := readFile("policy", name, 1<<20)
		if err != nil {
			return nil, err
		}
		out[filepath.Base(name)] = string(b)
	}
	return out, nil
}

func fileThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// refs writes policies on one line.
func refs(list []string) string {
	if len(list) == 0 {
		return "no policy permits it"
	}
	return strings.Join(list, ", ")
}
