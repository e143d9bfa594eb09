package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What the daemon may hold beyond what lives: Go's own rule, as much again, would double a large index.
const (
	garbageRoom  = 96 << 20
	garbageLook  = 15 * time.Second
	garbageFree  = 48 << 20 // pages kept for nothing from which it is worth giving them back
	garbageLeast = 20       // percent: below, a busy collector would cost more than the memory is worth
)

// boundGarbage keeps the collector's room in bounds until ctx ends; whoever sets GOGC or GOMEMLIMIT decides that himself.
func boundGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	tick := time.NewTicker(garbageLook)
	defer tick.Stop()
	percent := 0
	for {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
		metrics.Read(sample)
		if now := garbagePercent(sample[0].Value.Uint64()); now != percent { // to set it stops everything for a moment
			percent = now
			debug.SetGCPercent(percent)
		}
		if sample[1].Value.Uint64() > garbageFree {
			debug.FreeOSMemory()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// garbagePercent is GOGC for a heap of which so many bytes live.
func garbagePercent(live uint64) int {
	return int(min(100, max(garbageLeast, 100*garbageRoom/max(live, 1))))
}
