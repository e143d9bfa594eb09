// Package agenda owns what waits for people at this node or soon ends: how much of it, when the first of it lapses, and the sentences that say so with what
// to do next. It knows counts and days; it refuses to know any object and any person.
package agenda

import (
	"fmt"
	"time"

	"proofmark/node/budget"
)

// How long before its end something is worth a word.
const (
	LapseSoon = 3 * 24 * time.Hour  // an approval that nobody gave
	EndSoon   = 14 * 24 * time.Hour // a permission, an operation
	DueSoon   = 30 * 24 * time.Hour // an own record's retention
	LongWait  = 7 * 24 * time.Hour  // a purge that holders have not confirmed
)

// Ends counts things that end by themselves.
type Ends struct {
	Count int       // of them
	Soon  int       // that end within the time worth a word
	First time.Time // when the next one ends; zero without any
}

// Add takes one in; soon is the time worth a word.
func (e *Ends) Add(now, end time.Time, soon time.Duration) {
	e.Count++
	if !end.After(now.Add(soon)) {
		e.Soon++
	}
	if e.First.IsZero() || end.Before(e.First) {
		e.First = end
	}
}

// Kept says how own records and their purges stand.
type Kept struct {
	Looked   time.Time // when Due and Soon were counted; zero: not yet
	Due      int       // records whose retention has ended, and nobody decided
	Soon     int       // that end within DueSoon
	Proposed int       // purges that a second person is to approve
	Waiting  int       // purges that wait for holders, or for something here
	Since    time.Time // since when the longest of these; zero without any
}

// Agenda is all of it.
type Agenda struct {
	Now         time.Time
	Approvals   Ends           // deliveries that two people must approve, by when they lapse
	Granted     Ends           // permissions that this country gave
	Permitted   Ends           // permissions that other countries gave this one
	Operations  Ends           // that run or are to come, by when they end
	Offered     int            // operations that this country has not accepted
	Retention   Kept           //
	Budgets     []budget.Spent // of countries
	PeopleSpent map[string]int // people who have used up a budget, by action
}

// Notice is a sentence, and what to do.
type Notice struct {
	About  string `json:"about"`
	Urgent bool   `json:"urgent"` // something lapses, is overdue or is refused unless somebody acts
	Says   string `json:"says"`
	Do     string `json:"do"`
}

// Notices says what is worth a word: nothing where nothing waits.
func (a Agenda) Notices() []Notice {
	var out []Notice
	say := func(about string, urgent bool, do, format string, args ...any) {
		out = append(out, Notice{about, urgent, fmt.Sprintf(format, args...), do})
	}
	if e := a.Approvals; e.Count > 0 {
		say("approvals", e.Soon > 0, "proofmark approval list; two people approve or refuse each (proofmark approval show DOCUMENT).",
			"%s for the approval of two people; the first lapses on %s%s.", many(e.Count, "delivery waits", "deliveries wait"), day(e.First), soon(e, LapseSoon))
	}
	for _, p := range []struct {
		e        Ends
		who, act string
	}{
		{a.Granted, "this country", "Whoever still needs it asks this country again, and gets a new one: proofmark permission grant (proofmark permission list)."},
		{a.Permitted, "another country", "Ask its owner for a new one before that day (proofmark permission list); what rests on it is not sent after it."},
	} {
		if p.e.Soon > 0 {
			say("permissions", true, p.act, "%s within %d days, the first on %s.", many(p.e.Soon, "permission of "+p.who+" ends", "permissions of "+p.who+" end"), int(EndSoon.Hours()/24), day(p.e.First))
		}
	}
	if e := a.Operations; e.Soon > 0 {
		say("operations", true, "Sharing for it ends by itself, and copies are erased. Propose another one in time (proofmark operation propose; proofmark operation list).",
			"%s within %d days, the first on %s.", many(e.Soon, "operation ends", "operations end"), int(EndSoon.Hours()/24), day(e.First))
	}
	if a.Offered > 0 {
		say("operations", false, "proofmark operation list; proofmark operation accept NUMBER, or leave it.", "%s this country's answer.", many(a.Offered, "operation awaits", "operations await"))
	}
	k := a.Retention
	if k.Due > 0 {
		say("retention", true, "proofmark retention due names them; each is kept longer or purged (proofmark retention review).", "The retention of %s has ended, and nobody has decided.", many(k.Due, "own record", "own records"))
	} else if k.Soon > 0 {
		say("retention", false, fmt.Sprintf("proofmark retention due --within %dd", int(DueSoon.Hours()/24)), "The retention of %s ends within %d days.", many(k.Soon, "own record", "own records"), int(DueSoon.Hours()/24))
	}
	if k.Proposed > 0 {
		say("retention", false, "proofmark retention purge lists them; a second person gives the same retention review command.", "%s for a second person.", many(k.Proposed, "proposed purge waits", "proposed purges wait"))
	}
	if k.Waiting > 0 {
		say("retention", a.Now.Sub(k.Since) > LongWait, "proofmark retention purge says for whom; call that bureau, or end the legal hold.", "%s, since %s.", many(k.Waiting, "purge is not finished", "purges are not finished"), day(k.Since))
	}
	for _, s := range a.Budgets {
		if s.UsedUp() {
			says := fmt.Sprintf("%s has used up its budget (%s); %s refused in that time", s.Country, s, many(s.Refused, "question was", "questions were"))
			if !s.Frees.IsZero() {
				says += ", the next is taken on " + s.Frees.UTC().Format("2006-01-02 at 15:04 UTC")
			}
			say("budgets", true, "proofmark audit query --ground budget --counterpart "+string(s.Country)+" shows when; speak with that bureau. A larger budget is a line of budgets.toml, put in force with proofmark policy apply.", "%s.", says)
		}
	}
	return out
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func soon(e Ends, within time.Duration) string {
	if e.Soon == 0 {
		return ""
	}
	return fmt.Sprintf(", %d within %d days", e.Soon, int(within.Hours()/24))
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
