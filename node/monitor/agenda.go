package monitor

import (
	"github.com/prometheus/client_golang/prometheus"

	"proofmark/node/agenda"
)

// Labels of budgets are bounded: what is asked is one of two words, a purpose stands in the policy's budgets or is "any other", a peer is in the roster.
var (
	questions = describe("budget_questions_total", "Questions of a member whether something is here, by whether they were answered or refused as beyond its budget.", "peer", "asks", "purpose", "outcome")
	limit     = describe("budget_limit", "Questions that a member may ask within the span of its budget.", "peer", "asks", "purpose")
	left      = describe("budget_left", "Questions that a member may still ask now. At 0 the next one is refused: proofmark budget show --countries.", "peer", "asks", "purpose")
	spent     = describe("budget_people_used_up", "People of this node who have used up a budget.", "action")

	waits     = describe("approvals_waiting", "Deliveries that wait for the approval of two people.")
	waitsSoon = describe("approvals_lapsing", "Of these, those that lapse within three days. Above 0: proofmark approval list.")
	ends      = describe("permissions_standing", "Permissions about restricted information that stand, by who gave them.", "by")
	endsSoon  = describe("permissions_ending", "Of these, those that end within 14 days. Above 0: proofmark permission list.", "by")
	runs      = describe("operations_standing", "Operations that this country is in and that are not over.")
	runsSoon  = describe("operations_ending", "Of these, those that end within 14 days. Above 0: proofmark operation list.")
	offered   = describe("operations_offered", "Operations that await this country's answer.")
	due       = describe("retention_due", "Own records whose retention has ended and about which nobody has decided; counted within the last hour. Above 0: proofmark retention due.")
	dueSoon   = describe("retention_due_soon", "Own records whose retention ends within 30 days.")
	proposed  = describe("purges_proposed", "Purges that wait for a second person.")
	purging   = describe("purges_unfinished", "Purges that wait for holders, or for something here. proofmark retention purge says what.")
	purgingAt = describe("purges_unfinished_since_timestamp_seconds", "Since when the longest of these waits.")
)

func collectAgenda(a agenda.Agenda, gauge, total func(d *prometheus.Desc, v float64, labels ...string)) {
	for _, b := range a.Budgets {
		peer, purpose := string(b.Country), b.Purpose
		if purpose == "" {
			purpose = "any other"
		}
		total(questions, float64(b.Asked-b.Total), peer, b.What, purpose, "answered")
		total(questions, float64(b.Total), peer, b.What, purpose, "refused")
		gauge(limit, float64(b.Limit), peer, b.What, purpose)
		gauge(left, float64(b.Left()), peer, b.What, purpose)
	}
	for action, n := range a.PeopleSpent {
		gauge(spent, float64(n), action)
	}
	gauge(waits, float64(a.Approvals.Count))
	gauge(waitsSoon, float64(a.Approvals.Soon))
	gauge(ends, float64(a.Granted.Count), "this country")
	gauge(endsSoon, float64(a.Granted.Soon), "this country")
	gauge(ends, float64(a.Permitted.Count), "others")
	gauge(endsSoon, float64(a.Permitted.Soon), "others")
	gauge(runs, float64(a.Operations.Count))
	gauge(runsSoon, float64(a.Operations.Soon))
	gauge(offered, float64(a.Offered))
	if k := a.Retention; !k.Looked.IsZero() {
		gauge(due, float64(k.Due))
		gauge(dueSoon, float64(k.Soon))
	}
	gauge(proposed, float64(a.Retention.Proposed))
	gauge(purging, float64(a.Retention.Waiting))
	if !a.Retention.Since.IsZero() {
		gauge(purgingAt, float64(a.Retention.Since.Unix()))
	}
}
