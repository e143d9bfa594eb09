package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	proofs "proofmark/crypto/proof"
	"proofmark/node/accounting"
	"proofmark/node/control"
	"proofmark/node/durable"
)

type auditStatementCmd struct {
	With string `required:"" help:"Country code of the other side." placeholder:"CC"`
	Out  string `required:"" help:"File to make. Nothing is overwritten." type:"path" placeholder:"FILE"`
}

func (c *auditStatementCmd) Run(a *app) (err error) {
	client, err := a.dial()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Out); err == nil {
		return taken(c.Out, os.ErrExist)
	}
	f, err := durable.Begin(filepath.Dir(c.Out), 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Discard()) }()
	made, err := control.Download[*accounting.StatementMade](a.ctx, client, "audit.statement", control.ChannelRef{With: c.With}, f)
	if err != nil {
		return a.explain(err)
	}
	if err := f.Create(filepath.Base(c.Out)); err != nil {
		return taken(c.Out, err)
	}
	return a.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s says what this log holds of the messages with %s: %s in %s, signed. Two countries' statements are compared by anybody who has the roster:\n  proofmark audit reconcile %s OTHER --roster FILE\n",
			printable(c.Out), made.With, count(made.Rows, "message"), count(made.Pages, "page"), argument(c.Out))
	})
}

type auditReconcileCmd struct {
	What    []string `arg:"" help:"A member's country code (ES), or both (PT-ES): its log is asked for now. Or the files that both sides made with audit statement."`
	Roster  string   `help:"For files: the roster, as roster save writes it or one version." type:"path" placeholder:"FILE"`
	Anchor  string   `help:"For files: hash of the roster's first version, which you were told by another way." placeholder:"HASH"`
	Picture string   `help:"Draw the four lanes into a file (SVG). Nothing is overwritten." type:"path" placeholder:"FILE"`
}

func (c *auditReconcileCmd) Run(a *app) error {
	if err := checkPicture(c.Picture); err != nil {
		return err
	}
	r, err := c.reconcile(a)
	if err != nil {
		return err
	}
	if c.Picture != "" {
		if err := createFiles(newFile{c.Picture, drawReconciliation(r), 0o644}); err != nil {
			return err
		}
	}
	err = a.show(r, func(w io.Writer) { printReconciliation(w, r) })
	if err == nil && !r.Agree {
		err = fmt.Errorf("THE LOGS OF %s AND %s DISAGREE: what is missing or differs stands above", r.A.Country, r.B.Country)
	}
	return err
}

func (c *auditReconcileCmd) reconcile(a *app) (*proofs.Reconciliation, error) {
	switch {
	case len(c.What) == 2:
		if c.Roster == "" {
			return nil, errors.New("two files are compared under a roster: --roster FILE")
		}
		t, err := (&trustFlags{Roster: c.Roster, Anchor: c.Anchor}).trust()
		if err != nil {
			return nil, err
		}
		var sides [2]*proofs.Gathered
		for i, path := range c.What {
			if sides[i], err = readStatement(path, t); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		return proofs.Reconcile(sides[0], sides[1])
	case len(c.What) > 2:
		return nil, errors.New("name one country, or the files of both sides' statements")
	}
	client, err := a.dial()
	if err != nil {
		return nil, err
	}
	with := c.What[0]
	if len(with) == 5 && with[2] == '-' {
		id, err := ask[control.Identity](a, "whoami", control.None{})
		if err != nil {
			return nil, err
		}
		one, other := with[:2], with[3:]
		if other == string(id.Country) {
			one, other = other, one
		}
		if one != string(id.Country) {
			return nil, fmt.Errorf("%s is no channel of %s, whose node this is: compare the files that both sides make with audit statement", printable(with), id.Country)
		}
		with = other
	}
	shown := false
	if !a.JSON {
		client.Progress = func(done, total int64) {
			shown = true
			fmt.Fprintf(a.err, "\r%d of %d entries of its log", done, total)
		}
	}
	r, err := ask[*proofs.Reconciliation](a, "audit.reconcile", control.ChannelRef{With: with})
	if shown {
		fmt.Fprintln(a.err)
	}
	return r, err
}

// readStatement reads a file of signed pages, a line each, without holding it whole.
func readStatement(path string, t *proofs.Trust) (*proofs.Gathered, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	g := &proofs.Gathered{}
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), proofs.MaxPage+1)
	for n := 1; lines.Scan(); n++ {
		p, err := t.OpenPage(lines.Text())
		if err == nil {
			err = g.Add(p)
		}
		if err != nil {
			return nil, fmt.Errorf("page %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("not a statement: %w", err)
	}
	if !g.Complete() {
		return nil, fmt.Errorf("%w: it ends early: make it anew with audit statement", proofs.ErrStatement)
	}
	return g, nil
}

var reconcileStates = []proofs.State{proofs.Agreed, proofs.UnderWay, proofs.Explained, proofs.Missing, proofs.Different}

func printReconciliation(w io.Writer, r *proofs.Reconciliation) {
	for _, s := range []proofs.Side{r.A, r.B} {
		fmt.Fprintf(w, "%s as of %s, %d entries in its log\n", s.Country, stamp(s.At), s.Size)
	}
	fmt.Fprintln(w)
	rows := make([][]string, len(r.Lanes))
	headings := []string{"CHANNEL"}
	for _, s := range reconcileStates {
		headings = append(headings, map[proofs.State]string{proofs.Agreed: "IN BOTH", proofs.UnderWay: "UNDER WAY", proofs.Explained: "EXPLAINED", proofs.Missing: "MISSING", proofs.Different: "DIFFERENT"}[s])
	}
	for i, l := range r.Lanes {
		rows[i] = []string{fmt.Sprintf("%s to %s, %s", l.From, l.To, l.Channel)}
		for _, s := range reconcileStates {
			rows[i] = append(rows[i], fmt.Sprint(l.Count[s]))
		}
	}
	table(w, "", headings, rows)
	if len(r.Items) > 0 {
		fmt.Fprintln(w)
		rows = make([][]string, len(r.Items))
		for i, it := range r.Items {
			in := string(it.In)
			if in == "" {
				in = "both"
			}
			rows[i] = []string{fmt.Sprintf("%s to %s, %s %d", it.From, it.To, it.Channel, it.Seq), string(it.State), in, fmt.Sprint(it.Entry), it.Document, stamp(it.At), it.Why}
		}
		table(w, "", []string{"MESSAGE", "STATE", "IN", "ENTRY", "DOCUMENT", "TIME", "WHY"}, rows)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "\n%d more are counted above and not named.\n", r.More)
	}
	if r.Agree {
		fmt.Fprintf(w, "\nThe logs of %s and %s agree.\n", r.A.Country, r.B.Country)
	}
}
