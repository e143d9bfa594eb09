// Package budget owns how many questions have been asked, by which country or person, of what kind and for which purpose, within a span of time that moves
// on: durable counters in the transaction of the question itself. It refuses to know what was asked.
package budget

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Who asks: a country, or one of the own people.
type Who struct {
	Country protocol.Country `json:"country,omitempty"`
	Person  string           `json:"person,omitempty"`
}

// Spent is how a budget stands.
type Spent struct {
	Who
	What    string        `json:"what"`              // what countries ask (trace, scan), or a person's action
	Purpose string        `json:"purpose,omitempty"` // empty: every purpose without a line of its own, together
	Used    int           `json:"used"`
	Limit   int           `json:"limit"`
	Per     time.Duration `json:"per_ns"`
	Refused int           `json:"refused"`        // beyond the limit, in the same span
	Frees   time.Time     `json:"frees,omitzero"` // when the oldest questions stop to count; zero while nothing is used
	Asked   int           `json:"asked_in_all"`   // since the node knows of it, the refused ones among them
	Total   int           `json:"refused_in_all"` // of these
}

// Left is how many questions may still be asked now.
func (s Spent) Left() int { return max(0, s.Limit-s.Used) }

// UsedUp tells a budget of which nothing is left, and that was asked of.
func (s Spent) UsedUp() bool { return s.Left() == 0 && s.Used+s.Refused > 0 }

// String says how a budget stands in a few words, without who asks.
func (s Spent) String() string {
	text := fmt.Sprintf("%s %d of %d in %s", s.What, s.Used, s.Limit, Span(s.Per))
	if s.Purpose != "" {
		text += " for " + s.Purpose
	}
	return text
}

// counter is a budget's record.
type counter struct {
	Who
	What    string `json:"what"`
	Purpose string `json:"purpose,omitempty"`
	Used    Window `json:"used"`
	Refused Window `json:"refused"`
	Asked   int    `json:"asked_in_all,omitempty"`
	Total   int    `json:"refused_in_all,omitempty"`
	Hour    string `json:"hour,omitempty"`    // in which the last refusal was, UTC
	Uncount int    `json:"uncount,omitempty"` // refusals of that hour that the log does not have yet
}

const unlogged = "unlogged"

var counters = store.NewCollection("budget",
	store.Index[counter]{Name: "who", Keys: func(c *counter) []string { return []string{whoKey(c.Who)} }},
	store.Index[counter]{Name: unlogged, Keys: func(c *counter) []string {
		if c.Uncount == 0 {
			return nil
		}
		return []string{""}
	}})

func whoKey(w Who) string {
	if w.Person != "" {
		return "person/" + w.Person
	}
	return "country/" + string(w.Country)
}

func counterID(w Who, what, purpose string) string {
	return strings.Join([]string{whoKey(w), what, purpose}, "\x1f")
}

func load(tx *store.Tx, w Who, what string, b policy.Budget) (*counter, error) {
	c, err := counters.Get(tx, counterID(w, what, b.Purpose))
	switch {
	case errors.Is(err, store.ErrNotFound):
		c = &counter{Who: w, What: what, Purpose: b.Purpose}
	case err != nil:
		return nil, fmt.Errorf("budget of %s: %w", whoKey(w), err)
	}
	c.Used.Move(tx.Now(), b.Per)
	c.Refused.Move(tx.Now(), b.Per)
	return c, nil
}

func (c *counter) stands(b policy.Budget) Spent {
	return Spent{Who: c.Who, What: c.What, Purpose: c.Purpose, Used: c.Used.Sum(), Limit: b.Limit, Per: b.Per, Refused: c.Refused.Sum(), Frees: c.Used.Frees(), Asked: c.Asked, Total: c.Total}
}

// Spend counts one question, in the transaction that takes it; ok is false, and the refusal counted, where the budget is used up. A transaction that is not
// committed has asked nothing.
func Spend(tx *store.Tx, w Who, what string, b policy.Budget) (s Spent, ok bool, err error) {
	c, err := load(tx, w, what, b)
	if err != nil {
		return s, false, err
	}
	c.Asked++
	if ok = c.Used.Sum() < b.Limit; ok {
		c.Used.Add(1)
	} else {
		c.refuse(tx, b)
	}
	return c.stands(b), ok, counters.Put(tx, counterID(w, what, b.Purpose), c)
}

// Look is how a budget stands, without asking anything.
func Look(tx *store.Tx, w Who, what string, b policy.Budget) (Spent, error) {
	c, err := load(tx, w, what, b)
	if err != nil {
		return Spent{}, err
	}
	return c.stands(b), nil
}

// refuse counts a refusal: the first of an hour has an entry in the log, those after it have one together when the hour is over. A member that asks without
// end cannot make the log grow.
func (c *counter) refuse(tx *store.Tx, b policy.Budget) {
	c.Refused.Add(1)
	c.Total++
	if hour := tx.Now().UTC().Format("2006-01-02T15"); hour != c.Hour {
		c.flush(tx)
		c.Hour = hour
		c.record(tx, 1, fmt.Sprintf("question beyond the budget of %d in %s", b.Limit, Span(b.Per)))
		return
	}
	c.Uncount++
}

func (c *counter) flush(tx *store.Tx) {
	if c.Uncount > 0 {
		c.record(tx, c.Uncount, "more questions beyond the budget in the same hour")
		c.Uncount = 0
	}
}

func (c *counter) record(tx *store.Tx, times int, event string) {
	who := c.Person
	if who == "" {
		who = "node"
	}
	tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDeny, Counterpart: string(c.Country), Decision: "deny", Ground: "budget"},
		AuditBody: protocol.AuditBody{Actor: who, Kind: "budget", Object: c.What, Event: event, Purpose: c.Purpose,
			Details: map[string]string{"times": fmt.Sprint(times), "hour": c.Hour}}})
}

// Flush writes the entries of hours that are over. The node calls it every minute; what is not written yet is kept with the counter and not lost.
func Flush(tx *store.Tx) error {
	hour := tx.Now().UTC().Format("2006-01-02T15")
	var due []*counter
	for _, c := range counters.By(tx, unlogged, "") {
		if c.Hour != hour {
			due = append(due, c)
		}
	}
	if err := tx.Err(); err != nil {
		return err
	}
	for _, c := range due {
		c.flush(tx)
		if err := counters.Put(tx, counterID(c.Who, c.What, c.Purpose), c); err != nil {
			return err
		}
	}
	return nil
}

// Countries lists how the budgets of countries stand that have asked something, by the policy in force.
func Countries(tx *store.Tx, engine *policy.Engine) ([]Spent, error) {
	var out []Spent
	for _, c := range counters.ByPrefix(tx, "who", "country/") {
		// The line may be another than when it was counted: what counts now is what a question of the purpose would meet.
		b := engine.CountryBudget(c.What, string(c.Country), c.Purpose)
		if b.Purpose != c.Purpose {
			continue // counts no more: its purpose has no line of its own now
		}
		c.Used.Move(tx.Now(), b.Per)
		c.Refused.Move(tx.Now(), b.Per)
		out = append(out, c.stands(b))
	}
	return out, tx.Err()
}

// PeopleUsedUp counts, for each action that is counted, the people who have used up a budget by the policy in force.
func PeopleUsedUp(tx *store.Tx, engine *policy.Engine) (map[string]int, error) {
	out := map[string]int{}
	for _, does := range engine.Counted() {
		out[string(does)] = 0
	}
	for _, c := range counters.ByPrefix(tx, "who", "person/") {
		b, ok := engine.PersonBudget(policy.Action(c.What), c.Purpose)
		if !ok || b.Purpose != c.Purpose {
			continue
		}
		c.Used.Move(tx.Now(), b.Per)
		c.Refused.Move(tx.Now(), b.Per)
		if c.stands(b).UsedUp() {
			out[c.What]++
		}
	}
	return out, tx.Err()
}

// Person lists how the budgets of one person stand, also those of which nothing is used, for a purpose.
func Person(tx *store.Tx, engine *policy.Engine, name, purpose string) ([]Spent, error) {
	var out []Spent
	for _, does := range engine.Counted() {
		b, ok := engine.PersonBudget(does, purpose)
		if !ok {
			continue
		}
		s, err := Look(tx, Who{Person: name}, string(does), b)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Span writes a budget's length as people say it.
func Span(d time.Duration) string {
	if d == 24*time.Hour {
		return "a day"
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
