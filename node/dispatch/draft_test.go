package dispatch

import (
	"testing"
	"time"

	"proofmark/protocol"
	"proofmark/store"
)

// A draft is issued as it is while it says what is to be said, and made anew otherwise.
func TestDraft(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	facts := func() Facts {
		return Facts{Attributes: attributes(), Purpose: "criminal-investigation", Kind: "exhibit", Object: "E-1", Actor: "tina"}
	}
	var first *Draft
	pt.view(func(tx *store.Tx) (err error) {
		first, err = pt.Draft(tx, protocol.TypeSignature, signature("x"), facts())
		return err
	})
	f.clock.add(time.Minute)
	other := facts()
	other.Attributes["handling"] = []string{"H2"}
	for name, c := range map[string]struct {
		draft *Draft
		body  *protocol.SignatureBody
		facts Facts
		same  bool
	}{
		"the same":      {first, signature("x"), facts(), true},
		"another place": {first, signature("y"), facts(), false},
		"other facts":   {first, signature("x"), other, false},
		"none":          {nil, signature("x"), facts(), false},
		"another key":   {&Draft{first.rec, first.body, "older"}, signature("x"), facts(), false},
	} {
		pt.update(func(tx *store.Tx) error {
			got, err := pt.Redraft(tx, c.draft, protocol.TypeSignature, c.body, c.facts)
			if err == nil && (got == c.draft) != c.same {
				t.Errorf("%s: taken: %t", name, got == c.draft)
			}
			return err
		})
	}
	pt.update(func(tx *store.Tx) error { return pt.IssueDraft(tx, first) })
	if err := pt.store.Update(t.Context(), func(tx *store.Tx) error { return pt.IssueDraft(tx, first) }); err == nil {
		t.Error("issued twice")
	}
	if rec := pt.record(first.ID()); rec.Status != Own || !rec.At.Equal(f.clock.now()) {
		t.Errorf("%+v", rec)
	}
	deliver(pt, es, protocol.Bulk)
	if len(es.got) != 1 || es.got[0].Document.ID != first.ID() || !es.got[0].Document.Issued.Equal(begin) {
		t.Errorf("arrived: %+v", es.got)
	}
}
