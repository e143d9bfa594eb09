package tracing

import (
	"slices"
	"testing"

	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// TestArrivalSearchesNothing: while a request is taken in, and until its receipt has been signed, no own record is looked at; the search is done
// afterwards, also by a node that was restarted between.
func TestArrivalSearchesNothing(t *testing.T) {
	all := newBureaus(t, "PT", "ES")
	pt, es := all[0], all[1]
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", soldInGermany))
	held := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "", ask("ES", "AB 10482")))
	absent := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "", ask("ES", "ZZ 99999")))
	batch := ok[*dispatch.Batch](t)(pt.Out.NextBatch(t.Context(), "ES", protocol.Urgent))
	ok[string](t)(es.Out.AcceptBatch(t.Context(), "PT", batch.Manifest, batch.Payload))
	read := func(id string) (tr *Trace) {
		t.Helper()
		if err := es.Store.View(func(tx *store.Tx) (err error) {
			tr, err = traces.Get(tx, id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return tr
	}
	searched := func(tr *Trace) bool {
		return slices.ContainsFunc(tr.Timeline, func(s Step) bool { return s.Event == searchedOnArrive })
	}
	for _, id := range []string{held.ID, absent.ID} {
		if tr := read(id); !tr.Unsearched || len(tr.Matches) > 0 || searched(tr) {
			t.Errorf("on arrival of %s: %+v", tr.Number, tr)
		}
	}
	if n := es.events(string(searchedOnArrive)); n != 0 {
		t.Errorf("%d searches are in the log", n)
	}
	es.restart()
	for range 2 { // the second time there is nothing to do
		if err := es.SearchArrived(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if tr := read(held.ID); tr.Unsearched || len(tr.Matches) != 1 || !searched(tr) {
		t.Errorf("what is held was not proposed: %+v", tr)
	}
	if tr := read(absent.ID); tr.Unsearched || len(tr.Matches) != 0 || !searched(tr) {
		t.Errorf("what is not held: %+v", tr)
	}
	if n := es.events(string(searchedOnArrive)); n != 2 {
		t.Errorf("%d searches are in the log, want 2", n)
	}
}
