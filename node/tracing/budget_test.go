package tracing

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"proofmark/node/budget"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// allowing is the default policy with other budgets.
func allowing(t *testing.T, budgets string) *policy.Engine {
	t.Helper()
	files := map[string]string{policy.BudgetsFile: budgets}
	for _, ref := range policy.Default().Policies() {
		files[ref.File] = string(ok[[]byte](t)(fs.ReadFile(policy.DefaultFiles(), ref.File)))
	}
	return ok[*policy.Engine](t)(policy.LoadTexts(files))
}

// TestTooManyTraceRequests: within the budget own records are searched; beyond it every request gets the same refusal, whether there is a record or not, and
// nothing is searched; far beyond it there is no answer. Neither a restart nor another purpose that nobody named helps.
func TestTooManyTraceRequests(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	es.Engine = allowing(t, "[[country]]\nasks = \"trace\"\nlimit = 2\nper = \"P1D\"")
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "k", soldInGermany))
	serials := []string{"AB 10482", "ZZ 99999"} // on record, and not
	var sent []*Trace
	for i := range 10 {
		sent = append(sent, ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, fmt.Sprint("t", i), ask("ES", serials[i%2]))))
		deliver(t, pt, es)
		if i == 4 {
			es.restart()
		}
	}
	deliver(t, es, pt)
	for i, tr := range sent {
		asked := ok[*Trace](t)(pt.Trace(t.Context(), investigator, tr.ID))
		got, err := es.Trace(t.Context(), operator, tr.ID)
		switch {
		case i < 2:
			if err != nil || got.State != Submitted || got.MatchNote == "" || (len(got.Matches) > 0) != (i == 0) || asked.State != Submitted {
				t.Errorf("%d, within the budget: %+v, %v; at PT %s", i, got, err, asked.State)
			}
		case i < 8:
			if err != nil || got.State != Refused || len(got.Matches) > 0 || got.Unsearched || asked.State != Refused || asked.Answer != nil {
				t.Errorf("%d, beyond the budget: %+v, %v; at PT %s", i, got, err, asked.State)
			}
			if note := asked.Timeline[len(asked.Timeline)-1].Note; note != "" {
				t.Errorf("%d is told more: %q", i, note)
			}
		default:
			if !errors.Is(err, desk.ErrNotFound) || asked.State != Submitted {
				t.Errorf("%d, far beyond the budget: %v; at PT %s", i, err, asked.State)
			}
		}
	}
	if _, err := es.Acknowledge(t.Context(), operator, "ack", sent[3].ID, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("taken up all the same: %v", err)
	}
	if got := es.Refused(protocol.TypeTraceRequest); len(got) != 2 || !strings.Contains(got[0], "too many trace requests") {
		t.Errorf("refused unanswered: %q", got)
	}
	if open := ok[[]*Trace](t)(es.ListTraces(t.Context(), operator, TraceFilter{Open: true})); len(open) != 2 {
		t.Errorf("%d wait for an answer", len(open))
	}
	_ = es.Store.View(func(tx *store.Tx) error {
		if list, err := budget.Countries(tx, es.Engine); err != nil || len(list) != 1 || list[0].Country != "PT" || list[0].Used != 2 || list[0].Refused != 6 || list[0].Left() != 0 {
			t.Errorf("shown as %+v, %v", list, err)
		}
		return nil
	})
	if n := es.events("question beyond the budget of 2 in a day"); n != 1 {
		t.Errorf("%d entries at once of refusals of one hour", n)
	}
	es.Clock.Add(26 * time.Hour)
	again := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "again", ask("ES", serials[0])))
	deliver(t, pt, es)
	if got := ok[*Trace](t)(es.Trace(t.Context(), operator, again.ID)); got.State != Submitted || len(got.Matches) == 0 {
		t.Errorf("a day later: %+v", got)
	}
}

// TestOwnPeopleHaveBudgets: what fails is not counted, what is beyond is refused with the time when it frees, in the log, and another person has one's own.
func TestOwnPeopleHaveBudgets(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt := bs[0]
	pt.Engine = allowing(t, "[[person]]\ndoes = \"trace:new\"\nlimit = 1\nper = \"P1D\"\n[[person]]\ndoes = \"firearm:search\"\nlimit = 2\nper = \"P7D\"")
	if _, err := pt.NewTrace(t.Context(), investigator, "k0", NewTrace{To: "ES"}); !errors.Is(err, desk.ErrInvalid) {
		t.Fatal(err)
	}
	for range 2 { // the same command again asks nothing more
		ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "k1", ask("ES", "AB 10482")))
	}
	_, err := pt.NewTrace(t.Context(), investigator, "k2", ask("ES", "AB 10483"))
	if !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), "all 1 trace:new that one person has in a day. The next is free on ") {
		t.Errorf("%v", err)
	}
	ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "k3", ask("ES", "AB 10483")))
	for i := range 3 {
		_, err := pt.SearchFirearms(t.Context(), operator, SearchQuery{FirearmDescription: protocol.FirearmDescription{Serial: "AB 10482"}})
		if i < 2 && err != nil || i == 2 && !errors.Is(err, desk.ErrForbidden) {
			t.Errorf("search %d: %v", i, err)
		}
	}
	if n := pt.events("question beyond the budget of 2 in 7 days"); n != 1 {
		t.Errorf("%d entries of the refused search", n)
	}
}
