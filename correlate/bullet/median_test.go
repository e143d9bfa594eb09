//go:build !race

package bullet

import (
	"math/rand/v2"
	"testing"
)

func TestMedian(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	for n := 1; n < 300; n++ {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(r.IntN(n)) // with ties
		}
		sorted := append([]float64(nil), v...)
		for i := range sorted { // insertion sort: independent of what is tested
			for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
				sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
			}
		}
		if got, want := median(v), (sorted[(n-1)/2]+sorted[n/2])/2; got != want {
			t.Fatalf("median of %d: %g, want %g", n, got, want)
		}
	}
}
