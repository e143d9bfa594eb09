package store

import (
	"runtime"
	"runtime/metrics"
	"testing"
)

// TestTableBytes is not parallel: it is about all databases of the process.
func TestTableBytes(t *testing.T) {
	heap := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for range 2 { // what stores of other tests kept in pools goes with the second
			runtime.GC()
		}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	lives, before := heap(), TableBytes()
	s, err := Open(testOptions(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	tables := TableBytes() - before
	if grown := heap() - lives; grown < tables || tables < 8<<20 {
		t.Errorf("the tables take %d bytes of %d that were added to the heap", tables, grown)
	}
	if err := s.Close(); err != nil || TableBytes() != before {
		t.Errorf("closed (%v): %d bytes of tables, %d before", err, TableBytes(), before)
	}
}
