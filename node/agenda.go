package node

import (
	"proofmark/node/agenda"
	"proofmark/node/budget"
	"proofmark/store"
)

// agenda gathers what waits for people.
func (n *Node) agenda() (a agenda.Agenda, err error) {
	err = n.store.View(func(tx *store.Tx) error {
		a.Now = tx.Now()
		if a.Approvals, err = n.dispatch.WaitingApprovals(tx); err != nil {
			return err
		}
		if a.Granted, a.Permitted, err = n.permissions.Ending(tx); err != nil {
			return err
		}
		if a.Operations, a.Offered, err = n.operations.Ending(tx); err != nil {
			return err
		}
		if a.Retention, err = n.retention.Figures(tx); err != nil {
			return err
		}
		if a.Budgets, err = budget.Countries(tx, n.desk.Policy()); err != nil {
			return err
		}
		a.PeopleSpent, err = budget.PeopleUsedUp(tx, n.desk.Policy())
		return err
	})
	return a, err
}
