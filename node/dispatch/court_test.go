package dispatch

import (
	"slices"
	"testing"

	"proofmark/protocol"
	"proofmark/store"
)

// Of H1 each other owner is asked about everything that a permission may name; nobody needs its own.
func TestUseInCourt(t *testing.T) {
	f := newFederation(t, "PT", "ES", "FR")
	pt := f.bureaus["PT"]
	ids := map[protocol.Country]string{}
	for c, b := range f.bureaus {
		ids[c] = b.publish(signature("x"), attributes())
	}
	granted := "" // the document of ES that a permission names
	pt.UseCourtPermissions(func(_ *store.Tx, owner protocol.Country, about []string) (*protocol.Court, error) {
		if owner != "ES" || !slices.Contains(about, granted) {
			return nil, nil
		}
		return &protocol.Court{Owner: owner, Holder: "PT", Document: granted, Permission: "P"}, nil
	})
	h1 := func(owners ...protocol.Country) (h protocol.Handling) {
		for _, o := range owners {
			h = append(h, protocol.Marking{Code: protocol.NotInCourt, Owner: o})
		}
		return h
	}
	for _, row := range []struct {
		name    string
		h       protocol.Handling
		granted string
		about   []string
		want    []protocol.Court
	}{
		{"nothing of H1", protocol.MarkedBy("ES", "H0", "H2"), ids["ES"], []string{ids["ES"]}, nil},
		{"its own", h1("PT"), "", []string{ids["PT"]}, nil},
		{"not permitted", h1("ES"), "", []string{ids["ES"]}, []protocol.Court{{Owner: "ES", Holder: "PT", Document: ids["ES"]}}},
		{"permitted", h1("ES"), ids["ES"], []string{ids["PT"], ids["ES"]}, []protocol.Court{{Owner: "ES", Holder: "PT", Document: ids["ES"], Permission: "P"}}},
		{"permitted about another document", h1("ES"), ids["FR"], []string{ids["ES"]}, []protocol.Court{{Owner: "ES", Holder: "PT", Document: ids["ES"]}}},
		{"made here of its information", h1("ES"), "", []string{ids["PT"]}, []protocol.Court{{Owner: "ES", Holder: "PT", Document: ids["PT"]}}},
		{"two owners, one permits", h1("ES", "FR"), ids["ES"], []string{ids["ES"], ids["FR"]}, []protocol.Court{
			{Owner: "ES", Holder: "PT", Document: ids["ES"], Permission: "P"}, {Owner: "FR", Holder: "PT", Document: ids["FR"]}}},
		{"no owner named, permitted", h1(""), ids["ES"], []string{ids["ES"]}, []protocol.Court{{Owner: "ES", Holder: "PT", Document: ids["ES"], Permission: "P"}}},
		{"no owner named", h1(""), "", []string{ids["PT"], ids["FR"]}, []protocol.Court{{Holder: "PT", Document: ids["FR"]}}},
		{"no owner named, of this country", h1(""), "", []string{ids["PT"]}, nil},
		{"nothing known of it", h1(""), "", nil, []protocol.Court{{Holder: "PT"}}},
	} {
		granted = row.granted
		pt.view(func(tx *store.Tx) error {
			if got, err := pt.Court(tx, row.h, row.about); err != nil || !slices.Equal(got, row.want) {
				t.Errorf("%s: %+v, want %+v (%v)", row.name, got, row.want, err)
			}
			return nil
		})
	}
}
