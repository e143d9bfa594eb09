package index

import (
	"slices"
	"testing"
)

// Of every id the index gives back the same text, and no two are one to it.
func TestIDsAreKeptAsTheyAre(t *testing.T) {
	ids := []string{"0198f2a4-0000-7000-9000-000000005054", "0198f2a4-0000-7000-9000-000000004553", "0198F2A4-0000-7000-9000-000000005054",
		"0198f2a4000070009000000000005054", "0198f2a4-0000-4000-9000-000000005054", "0198f2a4-0000-0000-9000-000000005054",
		"urn:uuid:0198f2a4-0000-7000-9000-000000005054", "{0198f2a4-0000-7000-9000-000000005054}", "7", "",
		"0198f2a4+0000-7000-9000-000000005054", "0198f2a4-0000-7000-9000-00000000505g", "0198f2a4-0000-7000-9000-0000000050\xff4", "0198f2a4-0000-7000-9000-00000000505Z"}
	x := empty()
	bytes := face(t, 5, 1)
	seen := map[key]string{}
	for _, id := range ids {
		if other, twice := seen[keyOf(id)]; twice {
			t.Errorf("%q and %q have one key", id, other)
		}
		seen[keyOf(id)] = id
		hold(t, x, caseOf("PT", id, bytes))
	}
	if keyOf(ids[0]).hashed() || !keyOf(ids[4]).hashed() {
		t.Error("a UUID of version 7 is hashed, or another is not")
	}
	got, want := x.IDs(), slices.Clone(ids)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("holds %q, want %q", got, want)
	}
	for _, id := range ids {
		x.Drop(id)
	}
	if len(x.held) != 0 || len(x.odd) != 0 {
		t.Errorf("%d signatures and %d texts are left", len(x.held), len(x.odd))
	}
}
