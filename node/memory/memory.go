// Package memory owns how much memory a node's process holds beside what lives in it. It knows nothing of what the node does.
package memory

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"proofmark/store"
)

// What a process may hold beyond what lives: Go's own rule, as much again, would double a large index. It also counts the database's tables in memory, which
// are Go's from the beginning though little of them has been written to: of a young node they are nine tenths, and room for as much garbage would be the
// most of its memory, because what lives long comes to lie scattered over it.
const (
	mostRoom     = 96 << 20
	leastRoom    = 24 << 20
	leastPercent = 20       // below, a busy collector would cost more than the memory is worth
	worthGiving  = 32 << 20 // held beside what lives, from which it is worth collecting and giving back

	// Files that are read as memory, which the database's tables are, count as the process's until they are let go.
	mappedRead  = 1 << 20  // read since the last look: below, nobody reads them now
	mappedWorth = 16 << 20 // more than was left when they were last let go
)

// Look is how often Bound looks.
const Look = 15 * time.Second

// Bound keeps the collector's room in bounds until ctx ends, and gives back what nothing uses for the moment; whoever sets GOGC or GOMEMLIMIT decides
// that himself. folder is the node's.
func Bound(ctx context.Context, folder string, log *slog.Logger) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	tick := time.NewTicker(Look)
	defer tick.Stop()
	percent := 0
	var m mapped
	for {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
			{Name: "/memory/classes/heap/unused:bytes"}}
		metrics.Read(sample)
		live := sample[0].Value.Uint64()
		if now := Percent(live, store.TableBytes()); now != percent { // to set it stops everything for a moment
			percent = now
			debug.SetGCPercent(percent)
		}
		if sample[1].Value.Uint64()+sample[2].Value.Uint64()+sample[3].Value.Uint64() > live+worthGiving {
			debug.FreeOSMemory()
		}
		if m.idle(store.MappedBytes()) {
			if err := store.LetGoOfTables(folder); err != nil {
				log.Debug("the database's tables stay in memory", "error", err)
			}
			m.left = store.MappedBytes()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Percent is GOGC for a heap of which so many bytes live, tables of them in the database's tables in memory: room for as much garbage as lives beside the
// tables, in bounds.
func Percent(live, tables uint64) int {
	live = max(live, tables, 1)
	room := min(mostRoom, max(leastRoom, live-tables))
	return int(min(100, max(leastPercent, 100*room/live)))
}

// mapped follows how many bytes of files are in memory.
type mapped struct {
	last, left uint64 // at the last look; after they were last let go
}

// idle reports whether it is worth letting go, and nobody reads now.
func (m *mapped) idle(now uint64) bool {
	read := now > m.last+mappedRead
	m.last = now
	return !read && now > m.left+mappedWorth
}
