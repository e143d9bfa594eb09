package plan

import (
	"reflect"
	"testing"
	"time"
)

func TestOneSeedOnePlan(t *testing.T) {
	a, b := Draw(7, 10*time.Minute, 5), Draw(7, 10*time.Minute, 5)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gave two plans")
	}
	if reflect.DeepEqual(a, Draw(8, 10*time.Minute, 5)) {
		t.Error("two seeds gave the same plan")
	}
}

// A minute is enough for every kind of fault, and no event leaves the run or names a node that is not there.
func TestDraw(t *testing.T) {
	for seed := range uint64(200) {
		const length, nodes = time.Minute, 5
		seen := map[Kind]int{}
		last := time.Duration(0)
		for _, e := range Draw(seed, length, nodes) {
			seen[e.Kind]++
			if e.At < last || e.At+e.For > length || e.For < 0 {
				t.Errorf("seed %d: %v leaves the run or its order", seed, e)
			}
			last = e.At
			if e.A < 0 || e.A >= nodes || e.B == e.A || e.B >= nodes {
				t.Errorf("seed %d: %v names nodes that are not there", seed, e)
			}
			if e.Kind == Clock && (e.Jump == 0 || e.Jump.Abs() > furthest) {
				t.Errorf("seed %d: %v", seed, e)
			}
		}
		for _, k := range Kinds {
			if seen[k] == 0 {
				t.Errorf("seed %d: no %s in a minute", seed, k)
			}
		}
	}
}
