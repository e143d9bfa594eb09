package witness

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
)

// Of seven members two witness each log, and one that the configuration names. A log that was put back is found by the one of them that has seen more, whoever
// else was there, and all seven know it then.
func TestChosenWitnesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFederation(t, dir, "PT", "ES", "FR", "DE", "IT", "AT", "BE")
	pt := f.bureaus["PT"]
	chosen := rules.Choose("proofmark.PT", []string{"AT", "BE", "DE", "ES", "FR", "IT"}, 3)
	third := protocol.Country(chosen[2])
	asked := map[protocol.Country]int{}
	for _, b := range f.bureaus {
		b.Service.o.Chosen = 2
	}
	pt.options = func(o *Options) {
		o.Chosen, o.Also = 2, []protocol.Country{third, protocol.Country(chosen[0]), "PT", "XX"}
		talk := o.Talk
		o.Talk = func(ctx context.Context, to protocol.Country, next func([]byte) ([]byte, error)) error {
			f.mu.Lock()
			asked[to]++
			f.mu.Unlock()
			return talk(ctx, to, next)
		}
	}
	old := filepath.Join(dir, "old")
	pt.grow(5)
	pt.copyTo(old)
	pt.grow(5)
	f.turn()
	if len(asked) != 3 || asked[third] != 1 {
		t.Errorf("asked %v, want %v", asked, chosen)
	}
	s := pt.state()
	if len(s.Witnesses) != 3 || string(s.Witnesses[0].Country) != chosen[0] || s.Witnesses[1].Named || !s.Witnesses[2].Named || s.Asked == nil || !s.Asked.At.Equal(f.now()) || len(s.Cosigned.By) != 3 {
		t.Errorf("%+v", s)
	}
	for _, c := range []protocol.Country{"AT", "BE", "DE", "ES", "FR", "IT"} {
		if v := f.bureaus[c].view("PT"); (v.Size > 0) != slices.Contains(chosen, string(c)) {
			t.Errorf("%s witnesses PT's log up to %d", c, v.Size)
		}
	}
	// Put back while only one that has seen what is lost is within reach: the others have come new, or are away.
	for _, c := range chosen[1:] {
		f.leave(protocol.Country(c), true)
	}
	pt.putBack(old)
	f.turn()
	f.turn()
	for c, b := range f.bureaus {
		if v := b.view("PT"); (v.Alarms == 1) == slices.Contains(chosen[1:], string(c)) {
			t.Errorf("%s: %+v", c, v.LogState)
		}
	}
}
