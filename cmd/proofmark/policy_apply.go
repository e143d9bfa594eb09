package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"proofmark/node/control"
	"proofmark/node/durable"
	"proofmark/node/sharing"
	"proofmark/policy"
)

type policyApplyCmd struct {
	Dir  string `arg:"" help:"Folder of *.cedar files, with cases.toml where there is one." type:"path"`
	Note string `help:"Why, for the second person and for the log's reader."`
}

func (c *policyApplyCmd) Run(a *app) error {
	files, err := readPolicies(c.Dir)
	if err != nil {
		return err
	}
	cases := filepath.Join(c.Dir, policy.CasesFile)
	if _, err := os.Stat(cases); err == nil {
		b, err := readFile("cases", cases, 1<<20)
		if err != nil {
			return err
		}
		files[policy.CasesFile] = string(b)
	}
	p, err := change[sharing.Proposal](a, "policy.apply", control.PolicyFiles{Files: files, Note: c.Note})
	if err != nil {
		return err
	}
	return a.showProposal(&p)
}

// showProposal says how a policy stands and what comes next.
func (a *app) showProposal(p *sharing.Proposal) error {
	p.Files = nil
	return a.show(p, func(w io.Writer) {
		facts(w, "Policy", short(p.Version), "State", p.State, "Replaces", short(p.Replaces), "Rules", fmt.Sprint(p.Rules), "Cases", fmt.Sprintf("%d, all as expected", p.Cases),
			"Proposed", stamp(p.At)+" by "+p.By, "Decided", decided(p), "Note", p.Note)
		if p.State == sharing.Open {
			fmt.Fprintf(w, "\nA second person compares and approves it:\n  proofmark policy show %[1]s --out DIR\n  proofmark policy diff DIR\n  proofmark policy approve %[1]s\n", short(p.Version))
		}
	})
}

func decided(p *sharing.Proposal) string {
	if p.Decided.IsZero() {
		return ""
	}
	return stamp(p.Decided) + " by " + p.Second
}

type policyProposalsCmd struct{}

func (*policyProposalsCmd) Run(a *app) error {
	list, err := ask[[]*sharing.Proposal](a, "policy.proposals", control.None{})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, p := range list {
			rows[i] = []string{short(p.Version), p.State, stamp(p.At), p.By, orDash(p.Second), strings.ReplaceAll(p.Note, "\n", "; ")}
		}
		table(w, "No policy was proposed yet.", []string{"POLICY", "STATE", "PROPOSED", "BY", "SECOND", "NOTE"}, rows)
	})
}

type policyShowCmd struct {
	Version string `arg:"" help:"The policy, or the beginning of its version."`
	Out     string `help:"Folder to make with the policy's files, for policy test and policy diff." type:"path" placeholder:"DIR"`
}

func (c *policyShowCmd) Run(a *app) error {
	p, err := ask[sharing.Proposal](a, "policy.show", control.PolicyVersion{Version: c.Version})
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := writePolicies(c.Out, p.Files); err != nil {
			return err
		}
	}
	return a.showProposal(&p)
}

// writePolicies makes a folder of a policy's files, all of them or none: half a policy decides otherwise than the whole.
func writePolicies(to string, files map[string]string) (err error) {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s exists: name a folder that is not there yet", to)
	}
	folder, err := durable.BeginFolder(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Discard()) }()
	for name, text := range files {
		if filepath.Base(name) != name {
			return fmt.Errorf("%q is no name of a file: the node sent it, do not use it", name)
		}
		if err := os.WriteFile(filepath.Join(folder.Path, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return folder.Commit()
}

type policyApproveCmd struct {
	Version string `arg:"" help:"The policy, or the beginning of its version."`
}

func (c *policyApproveCmd) Run(a *app) error {
	p, err := change[sharing.Proposal](a, "policy.approve", control.PolicyVersion{Version: c.Version})
	if err != nil {
		return err
	}
	return a.showProposal(&p)
}

type policyRejectCmd struct {
	Version string `arg:"" help:"The policy, or the beginning of its version."`
	Note    string `required:"" help:"Why."`
}

func (c *policyRejectCmd) Run(a *app) error {
	p, err := change[sharing.Proposal](a, "policy.reject", control.PolicyVersion{Version: c.Version, Note: c.Note})
	if err != nil {
		return err
	}
	return a.showProposal(&p)
}
