package budget

import (
	crand "crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// rig is a store on disk with a clock.
type rig struct {
	t      *testing.T
	dir    string
	signer note.Signer
	now    time.Time
	*store.Store
}

func newRig(t *testing.T) *rig {
	t.Helper()
	key, _, err := note.GenerateKey(crand.Reader, "proofmark.PT")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir(), now: start}
	if r.signer, err = note.NewSigner(key); err != nil {
		t.Fatal(err)
	}
	r.open()
	t.Cleanup(func() { _ = r.Store.Close() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	if r.Store, err = store.Open(store.Options{Dir: r.dir, Key: make([]byte, 32), Now: func() time.Time { return r.now }, Random: crand.Reader, Signer: r.signer}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) spend(w Who, b policy.Budget) (s Spent, ok bool) {
	r.t.Helper()
	if err := r.Update(r.t.Context(), func(tx *store.Tx) (err error) {
		s, ok, err = Spend(tx, w, policy.AsksTrace, b)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	return s, ok
}

func (r *rig) flush() {
	r.t.Helper()
	if err := r.Update(r.t.Context(), Flush); err != nil {
		r.t.Fatal(err)
	}
}

// refusals are the times that the log's entries of refusals tell, the oldest first.
func (r *rig) refusals() (out []string) {
	r.t.Helper()
	list, err := r.QueryAudit(r.t.Context(), store.AuditQuery{Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range list {
		if e.Ground == "budget" && e.Action == protocol.ActDeny {
			out = append(out, e.Counterpart+" "+e.Details["times"])
		}
	}
	slices.Reverse(out)
	return out
}

func TestASpentBudget(t *testing.T) {
	r := newRig(t)
	es, fr := Who{Country: "ES"}, Who{Country: "FR"}
	b := policy.Budget{Limit: 2, Per: day}
	for range 2 {
		if _, ok := r.spend(es, b); !ok {
			t.Fatal("refused within the budget")
		}
	}
	for range 3 {
		if s, ok := r.spend(es, b); ok || s.Left() != 0 {
			t.Fatalf("%+v", s)
		}
	}
	if _, ok := r.spend(fr, b); !ok {
		t.Error("another country's questions count")
	}
	if _, ok := r.spend(es, policy.Budget{Limit: 2, Per: day, Purpose: "missing-persons"}); !ok {
		t.Error("another purpose's questions count")
	}
	// A restart refills nothing, nor does an act that failed spend anything.
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	if s, ok := r.spend(es, b); ok || s.Used != 2 || s.Refused != 4 || s.Total != 4 || s.Asked != 6 || !s.UsedUp() {
		t.Errorf("after a restart: %+v", s)
	}
	failed := errors.New("the act failed")
	if err := r.Update(t.Context(), func(tx *store.Tx) error {
		if _, ok, err := Spend(tx, fr, policy.AsksTrace, b); !ok || err != nil {
			t.Error(ok, err)
		}
		return failed
	}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if _, ok := r.spend(fr, b); !ok {
		t.Error("what failed was counted")
	}

	// The log: the first of the hour at once, those after it together when the hour is over, once.
	r.flush()
	if got := r.refusals(); !slices.Equal(got, []string{"ES 1"}) {
		t.Errorf("within the hour: %q", got)
	}
	r.now = r.now.Add(time.Hour)
	r.flush()
	r.flush()
	if got := r.refusals(); !slices.Equal(got, []string{"ES 1", "ES 3"}) {
		t.Errorf("after the hour: %q", got)
	}
	r.spend(es, b)
	r.spend(es, b)
	r.now = r.now.Add(time.Hour)
	r.spend(es, b) // the hour before is told first, without a flush
	if got := r.refusals(); !slices.Equal(got, []string{"ES 1", "ES 3", "ES 1", "ES 1", "ES 1"}) {
		t.Errorf("after more hours: %q", got)
	}
	r.now = r.now.Add(day)
	if s, ok := r.spend(es, b); !ok || s.Used != 1 || s.Total != 7 {
		t.Errorf("a day later: %+v", s)
	}
}

func TestHowBudgetsStand(t *testing.T) {
	r := newRig(t)
	law := map[string]string{"x.cedar": "permit (principal, action, resource);", policy.BudgetsFile: `
[[country]]
asks = "trace"
limit = 3
per = "P1D"
[[country]]
asks = "trace"
country = "ES"
purpose = "criminal-investigation"
limit = 9
per = "P7D"
[[person]]
does = "trace:new"
limit = 5
per = "P1D"`}
	e, err := policy.LoadTexts(law)
	if err != nil {
		t.Fatal(err)
	}
	r.spend(Who{Country: "ES"}, e.CountryBudget(policy.AsksTrace, "ES", "criminal-investigation"))
	r.spend(Who{Country: "ES"}, e.CountryBudget(policy.AsksTrace, "ES", "invented"))
	r.spend(Who{Country: "ES"}, e.CountryBudget(policy.AsksTrace, "ES", "invented again"))
	for range 6 {
		b, _ := e.PersonBudget(policy.TraceNew, "criminal-investigation")
		if err := r.Update(t.Context(), func(tx *store.Tx) error {
			_, _, err := Spend(tx, Who{Person: "ana"}, string(policy.TraceNew), b)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	_ = r.View(func(tx *store.Tx) error {
		if used, err := PeopleUsedUp(tx, e); err != nil || len(used) != 1 || used["trace:new"] != 1 {
			t.Errorf("people who have used up a budget: %v, %v", used, err)
		}
		list, err := Countries(tx, e)
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		for _, s := range list {
			if s.Purpose == "" && (s.Used != 2 || s.Limit != 3) || s.Purpose != "" && (s.Used != 1 || s.Limit != 9 || s.Per != 7*day) {
				t.Errorf("%+v", s)
			}
		}
		own, err := Person(tx, e, "ana", "criminal-investigation")
		if err != nil || len(own) != 1 || own[0].Left() != 0 || own[0].Refused != 1 || own[0].What != "trace:new" {
			t.Errorf("%+v, %v", own, err)
		}
		return nil
	})
}
