package synth

import (
	"math"
	"slices"
	"sync"
	"testing"

	"proofmark/correlate/x3p"
)

func sameBits(a, b *x3p.Scan) bool {
	return a.SizeX == b.SizeX && a.SizeY == b.SizeY && slices.EqualFunc(a.Z, b.Z, func(x, y float64) bool {
		return math.Float64bits(x) == math.Float64bits(y)
	})
}

func TestSameSeedSameBits(t *testing.T) {
	t.Parallel()
	first := NewMaker(3).Firearm(4).Fire(5, Shot{})
	f := NewMaker(3).Firearm(4)
	var again [3]*x3p.Scan
	var wg sync.WaitGroup
	for i := range again { // a firearm is shared between goroutines
		wg.Go(func() { again[i] = f.Fire(5, Shot{}) })
	}
	wg.Wait()
	for i, s := range again {
		if !sameBits(first, s) {
			t.Errorf("firing %d differs", i)
		}
	}
	for name, other := range map[string]*x3p.Scan{
		"shot":    f.Fire(6, Shot{}),
		"firearm": NewMaker(3).Firearm(5).Fire(5, Shot{}),
		"maker":   NewMaker(4).Firearm(4).Fire(5, Shot{}),
	} {
		if sameBits(first, other) {
			t.Errorf("another %s gives the same scan", name)
		}
	}
}
