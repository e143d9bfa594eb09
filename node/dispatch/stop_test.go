package dispatch

import (
	"errors"
	"strings"
	"testing"

	"proofmark/store"
)

// TestAStopIsToldToOthersAsTheirReaderUnderstandsIt: "this node" and "here" mean another one there; a node's own fault goes before what others did.
func TestAStopIsToldToOthersAsTheirReaderUnderstandsIt(t *testing.T) {
	f := newFederation(t, "PT", "ES")
	pt := f.bureaus["PT"]
	stops := []Stop{{Peer: "ES", Text: "ES has signed two things"}, {Peer: "ES", Here: true, Text: "the database here is older; stop this node"}}
	for i, want := range []string{"ES has signed two things", "the database here is older; stop this node"} {
		pt.update(func(tx *store.Tx) error {
			if err := pt.stop(tx, stops[i]); err != nil {
				return err
			}
			err := pt.mayExchange(tx, "ES")
			var told interface{ Told() string }
			if !errors.Is(err, ErrStopped) || !strings.HasSuffix(err.Error(), want) || !errors.As(err, &told) {
				t.Fatalf("%v", err)
			}
			if got := told.Told(); stops[i].Here == strings.Contains(got, want) || strings.Contains(got, "this node") || !strings.HasPrefix(got, ErrStopped.Error()) {
				t.Errorf("the other country reads %q", got)
			}
			return nil
		})
	}
}
