package agenda

import (
	"strings"
	"testing"
	"time"

	"proofmark/node/budget"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func ends(soon time.Duration, in ...time.Duration) (e Ends) {
	for _, d := range in {
		e.Add(now, now.Add(d), soon)
	}
	return e
}

const day24 = 24 * time.Hour

// Each thing that waits has its sentence, with what to do; nothing that can wait is urgent.
func TestWhatWaitsInWords(t *testing.T) {
	es := budget.Who{Country: "ES"}
	spent := budget.Spent{Who: es, What: "trace", Used: 2, Limit: 2, Per: day24, Refused: 1, Frees: now.Add(time.Hour)}
	for _, q := range []struct {
		name   string
		a      Agenda
		about  string // "": nothing is said
		urgent bool
		says   []string
	}{
		{"nothing", Agenda{}, "", false, nil},
		{"things that end late", Agenda{Granted: ends(EndSoon, 15*day24), Permitted: ends(EndSoon, 90*day24), Operations: ends(EndSoon, 20*day24)}, "", false, nil},
		{"an approval", Agenda{Approvals: ends(LapseSoon, 10*day24)}, "approvals", false, []string{"1 delivery waits for the approval of two people", "lapses on 2026-12-02", "approval list"}},
		{"approvals that lapse", Agenda{Approvals: ends(LapseSoon, 10*day24, 3*day24, day24)}, "approvals", true, []string{"3 deliveries wait", "2026-11-23", "2 within 3 days", "approval show"}},
		{"a permission given", Agenda{Granted: ends(EndSoon, 14*day24)}, "permissions", true, []string{"1 permission of this country ends within 14 days, the first on 2026-12-06", "permission grant"}},
		{"permissions had", Agenda{Permitted: ends(EndSoon, day24, 2*day24)}, "permissions", true, []string{"2 permissions of another country end", "Ask its owner", "permission list"}},
		{"an operation", Agenda{Operations: ends(EndSoon, day24)}, "operations", true, []string{"1 operation ends within 14 days, the first on 2026-11-23", "operation propose"}},
		{"an offer", Agenda{Offered: 2}, "operations", false, []string{"2 operations await this country's answer", "operation accept"}},
		{"records due", Agenda{Retention: Kept{Due: 3, Soon: 2}}, "retention", true, []string{"retention of 3 own records has ended", "retention due", "retention review"}},
		{"records due soon", Agenda{Retention: Kept{Soon: 1}}, "retention", false, []string{"retention of 1 own record ends within 30 days", "retention due --within 30d"}},
		{"a proposal", Agenda{Retention: Kept{Proposed: 1}}, "retention", false, []string{"1 proposed purge waits for a second person", "retention purge"}},
		{"a purge", Agenda{Now: now, Retention: Kept{Waiting: 1, Since: now.Add(-7 * day24)}}, "retention", false, []string{"1 purge is not finished, since 2026-11-15"}},
		{"an old purge", Agenda{Now: now, Retention: Kept{Waiting: 2, Since: now.Add(-8 * day24)}}, "retention", true, []string{"2 purges are not finished, since 2026-11-14", "legal hold"}},
		{"a budget", Agenda{Budgets: []budget.Spent{{Who: es, What: "scan", Used: 49, Limit: 50, Per: day24}, spent}}, "budgets", true,
			[]string{"ES has used up its budget (trace 2 of 2 in a day); 1 question was refused in that time, the next is taken on 2026-11-22 at 13:00 UTC.", "audit query --ground budget --counterpart ES", "budgets.toml", "policy apply"}},
		{"no budget at all", Agenda{Budgets: []budget.Spent{{Who: es, What: "scan", Limit: 0, Per: day24}}}, "", false, nil},
		{"a question of none", Agenda{Budgets: []budget.Spent{{Who: es, What: "scan", Limit: 0, Per: day24, Refused: 2}}}, "budgets", true, []string{"2 questions were refused in that time."}},
	} {
		got := q.a.Notices()
		if q.about == "" {
			if len(got) != 0 {
				t.Errorf("%s: %+v", q.name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].About != q.about || got[0].Urgent != q.urgent || got[0].Do == "" {
			t.Errorf("%s: %+v", q.name, got)
			continue
		}
		for _, want := range q.says {
			if !strings.Contains(got[0].Says+" "+got[0].Do, want) {
				t.Errorf("%s: %q is missing in %q, %q", q.name, want, got[0].Says, got[0].Do)
			}
		}
	}
}
