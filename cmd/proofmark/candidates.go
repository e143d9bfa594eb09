package main

import (
	"fmt"
	"io"
	"slices"

	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/policy"
	"proofmark/protocol"
)

type candidatesCmd struct {
	List   candidatesListCmd   `cmd:"" default:"withargs" help:"List what awaits a review, the strongest first; or the ranked list of one exhibit, over all its regions and by region."`
	Show   candidatesShowCmd   `cmd:"" help:"Show a candidate: both sides, score, congruent cells, reviews, what to do next."`
	Next   candidatesNextCmd   `cmd:"" help:"Show the strongest candidate that awaits your review."`
	Review candidatesReviewCmd `cmd:"" help:"Record your verdict on a candidate."`
}

// maxWorklist is the longest list that the node gives at once.
const maxWorklist = 1000

type candidatesListCmd struct {
	Exhibit   string `xor:"list" help:"Ranked list of an own exhibit, by number or id." placeholder:"NUMBER"`
	Signature string `xor:"list" help:"Ranked list of one signature, own or foreign." placeholder:"ID"`
	Limit     int    `help:"At most so many." default:"100"`
	All       bool   `help:"Also those that are decided; a ranked list always shows them."`
}

func (c *candidatesListCmd) Run(a *app) error {
	if c.Exhibit != "" {
		return c.fused(a)
	}
	list, err := ask[[]ballistics.CandidateView](a, "candidates.list",
		ballistics.CandidateFilter{Exhibit: c.Exhibit, Signature: c.Signature, Decided: c.All, Limit: c.Limit})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		empty := "Nothing awaits a review."
		if c.Signature != "" {
			empty = noCandidates
		}
		candidateTable(w, empty, list)
		if len(list) > 0 {
			fmt.Fprintln(w, "\nA candidate is no match: people decide.  proofmark candidates show PAIR")
		}
	})
}

const noCandidates = "No candidates: nothing that this node holds resembles it, or its correlation is still under way (proofmark status)."

func candidateTable(w io.Writer, empty string, list []ballistics.CandidateView) {
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = candidateRow(&list[i])
	}
	table(w, empty, []string{"PAIR", "SCORE", "RANK", "AGREEMENT", "LOG10 LR", "OWN EXHIBIT", "CASE", "OTHER", "EXHIBIT", "CALIBRE", "PLACE", "STATE"}, rows)
}

func candidateRow(v *ballistics.CandidateView) []string {
	state := stateWords(v)
	if v.Lead != "" {
		state += ", lead " + v.Lead
	}
	if !v.Other.Withdrawn.IsZero() && v.State != ballistics.SourceWithdrawn {
		state += ", source withdrawn"
	}
	return []string{short(v.Pair), fmt.Sprintf("%.3f", v.Score), fmt.Sprint(v.Rank), v.Agreement(), lrShort(v.LikelihoodRatio), orDash(v.Own.Exhibit), orDash(v.Own.Case),
		string(v.Other.Country), sideCell(&v.Other, "exhibit_number"), v.Other.Calibre, sideCell(&v.Other, "place"), state}
}

// stateWords says which review a candidate awaits, or what was decided.
func stateWords(v *ballistics.CandidateView) string {
	switch v.State {
	case "awaits-" + ballistics.Primary:
		return "awaits primary review"
	case "awaits-" + ballistics.Secondary:
		return "awaits secondary review"
	case "awaits-" + ballistics.Third:
		return "awaits third review"
	case ballistics.SourceWithdrawn:
		if !v.Own.Withdrawn.IsZero() {
			return "own signature withdrawn"
		}
		return "source withdrawn"
	}
	if v.Outcome != "" {
		return string(v.Outcome)
	}
	return v.State
}

type candidatesShowCmd struct {
	Pair    string `arg:"" help:"Identity of the pair, or its first digits (six or more)."`
	Picture string `help:"Draw both sides and where they agree (SVG, for a browser); no file is overwritten." type:"path" placeholder:"FILE"`
}

func (c *candidatesShowCmd) Run(a *app) error {
	if err := checkPicture(c.Picture); err != nil {
		return err
	}
	if c.Picture != "" {
		drawn, err := ask[ballistics.Picture](a, "candidates.picture", control.Ref{Ref: c.Pair})
		if err != nil {
			return err
		}
		if err := createFiles(newFile{c.Picture, drawn.SVG, 0o600}); err != nil {
			return err
		}
	}
	return a.showCandidate(c.Pair)
}

func (a *app) showCandidate(pair string) error {
	v, err := ask[ballistics.CandidateView](a, "candidates.show", control.Ref{Ref: pair})
	if err != nil {
		return err
	}
	who, err := a.loadSession()
	if err != nil {
		return err
	}
	return a.show(v, func(w io.Writer) { printCandidate(w, &v, who.Name) })
}

type candidatesNextCmd struct{}

func (c *candidatesNextCmd) Run(a *app) error {
	me, err := ask[control.Identity](a, "whoami", control.None{})
	if err != nil {
		return err
	}
	list, err := ask[[]ballistics.CandidateView](a, "candidates.list", ballistics.CandidateFilter{Limit: maxWorklist})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(v ballistics.CandidateView) bool { return mayReview(&v, me.Name, me.Roles) })
	if i < 0 {
		return fmt.Errorf("no candidate awaits a review by %s: `proofmark candidates list` shows what awaits others (%d)", me.Name, len(list))
	}
	return a.showCandidate(list[i].Pair)
}

// mayReview says whether a candidate is one to offer a person: not reviewed by that person before, and of a round that the roles are for. It only chooses
// what to offer; what is permitted the node decides when the review is made.
func mayReview(v *ballistics.CandidateView, name string, roles []string) bool {
	if slices.ContainsFunc(v.Reviews, func(r ballistics.Review) bool { return r.By == name }) {
		return false
	}
	switch v.State {
	case "awaits-" + ballistics.Primary:
		return slices.Contains(roles, policy.Technician)
	case "awaits-" + ballistics.Secondary, "awaits-" + ballistics.Third:
		return slices.Contains(roles, policy.Examiner)
	}
	return false
}

type candidatesReviewCmd struct {
	Pair    string `arg:"" help:"Identity of the pair, or its first digits (six or more)."`
	Verdict string `required:"" enum:"lead,inconclusive,excluded,unsuitable" help:"lead, inconclusive, excluded or unsuitable."`
	Note    string `help:"What you saw."`
}

func (c *candidatesReviewCmd) Run(a *app) error {
	v, err := change[ballistics.CandidateView](a, "candidates.review", ballistics.NewReview{Pair: c.Pair, Verdict: protocol.Verdict(c.Verdict), Note: c.Note})
	if err != nil {
		return err
	}
	who, err := a.loadSession()
	if err != nil {
		return err
	}
	return a.show(v, func(w io.Writer) {
		round := ""
		for _, r := range v.Reviews {
			if r.By == who.Name {
				round = r.Round
			}
		}
		fmt.Fprintf(w, "Your %s review of %s is recorded: %s.\n", round, short(v.Pair), c.Verdict)
		fmt.Fprintln(w, nextForCandidate(&v, who.Name))
	})
}
