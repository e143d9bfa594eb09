package main

import "testing"

func TestGarbagePercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 20: 100, garbageRoom: 100, 2 * garbageRoom: 50, 4 * garbageRoom: 25, 5 * garbageRoom: 20, 1 << 40: garbageLeast} {
		if got := garbagePercent(live); got != want {
			t.Errorf("%d bytes live: %d percent, want %d", live, got, want)
		}
	}
}
