package membership

import (
	"fmt"
	"testing"
)

// TestReadings: the same bytes are read once, others each for themselves, what cannot be read never stays, and no more than a few are kept.
func TestReadings(t *testing.T) {
	n := newNode(t)
	var r readings
	if _, err := r.read([]byte("no roster"), nil); err == nil || len(r.last) != 0 {
		t.Fatalf("%v; %d kept", err, len(r.last))
	}
	raw := n.first("a federation", "PT")
	a, err := r.read(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.read(append([]byte{}, raw...), nil)
	if err != nil || a.Document != b.Document {
		t.Errorf("the same bytes were read twice: %v", err)
	}
	for i := range 2 * maxReadings {
		if _, err := r.read(n.first(fmt.Sprintf("federation %d", i), "PT"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.last) != maxReadings {
		t.Errorf("%d are kept", len(r.last))
	}
	if c, err := r.read(raw, nil); err != nil || c.Document == a.Document || c.hash != a.hash {
		t.Errorf("after the others: %v, hash %s, before %s", err, c.hash, a.hash)
	}
}
