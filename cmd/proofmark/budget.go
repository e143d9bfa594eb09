package main

import (
	"fmt"
	"io"

	"proofmark/node/budget"
	"proofmark/node/control"
)

type budgetCmd struct {
	Show budgetShowCmd `cmd:"" help:"Show how many questions you may still ask, and with --countries how many other countries have asked here."`
}

type budgetShowCmd struct {
	Purpose   string `help:"Purpose of your own questions; criminal-investigation, if left out."`
	Countries bool   `help:"What other countries ask here."`
}

func (c *budgetShowCmd) Run(a *app) error {
	list, err := ask[[]budget.Spent](a, "budget.show", control.BudgetRequest{Purpose: c.Purpose, Countries: c.Countries})
	if err != nil {
		return err
	}
	return a.show(list, func(w io.Writer) {
		rows := make([][]string, len(list))
		for i, s := range list {
			who, frees := s.Person, "–"
			if who == "" {
				who = string(s.Country)
			}
			if !s.Frees.IsZero() {
				frees = stamp(s.Frees)
			}
			rows[i] = []string{who, s.What, orDash(s.Purpose), fmt.Sprintf("%d of %d in %s", s.Used, s.Limit, budget.Span(s.Per)), fmt.Sprint(s.Left()), fmt.Sprint(s.Refused), fmt.Sprint(s.Total), frees}
		}
		empty := "Nothing of yours is counted: budgets.toml of the policy says what is."
		if c.Countries {
			empty = "No country has asked anything here that is counted."
		}
		table(w, empty, []string{"WHO", "ASKS", "PURPOSE", "USED", "LEFT", "REFUSED", "IN ALL", "NEXT FREE"}, rows)
	})
}

// fewLeft is the part of a budget below which a person is told of it with every question.
const fewLeft = 5 // a fifth

// tellBudget says, after a question that is counted, when few are left. It is a courtesy: what goes wrong with it says nothing of the question.
func (a *app) tellBudget(action, purpose string) {
	list, err := ask[[]budget.Spent](a, "budget.show", control.BudgetRequest{Purpose: purpose})
	if err != nil {
		return
	}
	for _, s := range list {
		if s.What == action && s.Left()*fewLeft <= s.Limit {
			fmt.Fprintf(a.err, "Budget: %d of %d %s used in %s, %d left.\n", s.Used, s.Limit, action, budget.Span(s.Per), s.Left())
		}
	}
}
