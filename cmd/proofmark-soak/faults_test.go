package main

import (
	"reflect"
	"testing"
	"time"

	"proofmark/cmd/proofmark-soak/bureau"
	"proofmark/cmd/proofmark-soak/plan"
	"proofmark/cmd/proofmark-soak/terrain"
	"proofmark/cmd/proofmark-soak/weather"
)

func underWay(namespaces bool, events ...plan.Event) *faults {
	f := &faults{ground: &terrain.Ground{Namespaces: namespaces, Nodes: 3}, bureaus: make([]*bureau.Bureau, 3), active: map[*plan.Event]bool{}, count: map[plan.Kind]int{}}
	for i := range events {
		f.begin(&events[i])
	}
	return f
}

// A fault on a way is felt on that way alone, and in the direction that it means.
func TestSky(t *testing.T) {
	f := underWay(true,
		plan.Event{Kind: plan.Flip, A: 0, B: 1, Strength: 0.5}, plan.Event{Kind: plan.Delay, A: 0, B: 2, Strength: 0.25},
		plan.Event{Kind: plan.Disorder, A: 1, B: 2}, plan.Event{Kind: plan.Replay, A: 2, B: 0})
	for way, want := range map[[2]int]weather.Sky{
		{0, 1}: {Flip: 0.05}, {1, 0}: {}, {0, 2}: {Delay: 250 * time.Millisecond}, {2, 0}: {Delay: 250 * time.Millisecond, Replay: true},
		{1, 2}: {Disorder: true}, {2, 1}: {Disorder: true}, {weather.Unknown, 1}: {Flip: 0.05, Disorder: true},
	} {
		if got := f.sky(way[0], way[1]); got != want {
			t.Errorf("%v: %+v, want %+v", way, got, want)
		}
	}
}

// Where there is no packet filter, the proxies cut.
func TestCutsOnLoopback(t *testing.T) {
	f := underWay(false, plan.Event{Kind: plan.Partition, A: 0, B: 1}, plan.Event{Kind: plan.OneWay, A: 1, B: 2, Strength: 0.5})
	for way, want := range map[[2]int]float64{{0, 1}: 1, {1, 0}: 1, {1, 2}: 0.5, {2, 1}: 0, {0, 2}: 0} {
		if got := f.sky(way[0], way[1]).Loss; got != want {
			t.Errorf("%v: loss %v, want %v", way, got, want)
		}
	}
	f = underWay(false, plan.Event{Kind: plan.Isolate, A: 2, B: -1})
	if f.sky(0, 2).Loss != 1 || f.sky(2, 1).Loss != 1 || f.sky(0, 1).Loss != 0 {
		t.Error("a node that stands alone is not cut off, or others are")
	}
}

func TestCuts(t *testing.T) {
	f := underWay(true, plan.Event{Kind: plan.OneWay, A: 2, B: 0, Strength: 0.3})
	if got := f.cuts(); !reflect.DeepEqual(got, []terrain.Cut{{From: 2, To: 0, Share: 0.3}}) {
		t.Errorf("%v", got)
	}
	f = underWay(true, plan.Event{Kind: plan.Partition, A: 0, B: 1})
	if got := f.cuts(); !reflect.DeepEqual(got, []terrain.Cut{{From: 0, To: 1, Share: 1}, {From: 1, To: 0, Share: 1}}) {
		t.Errorf("%v", got)
	}
	if got := underWay(true, plan.Event{Kind: plan.Isolate, A: 1, B: -1}).cuts(); len(got) != 4 {
		t.Errorf("%v", got)
	}
	if f.sky(0, 1) != (weather.Sky{}) {
		t.Error("what the packet filter cuts, the proxies cut too")
	}
}

// The end of one fault must not undo another: a node has one disk and one clock.
func TestOneFaultOfADiskAtATime(t *testing.T) {
	f := underWay(true, plan.Event{Kind: plan.Full, A: 0, B: -1})
	for _, c := range []struct {
		e    plan.Event
		want bool
	}{{plan.Event{Kind: plan.Reserve, A: 0, B: -1}, false}, {plan.Event{Kind: plan.Reserve, A: 1, B: -1}, true}, {plan.Event{Kind: plan.Clock, A: 0, B: -1}, true},
		{plan.Event{Kind: plan.Kill, A: 0, B: -1}, true}} {
		if got := f.begin(&c.e); got != c.want {
			t.Errorf("%v: %t", c.e, got)
		}
	}
}
