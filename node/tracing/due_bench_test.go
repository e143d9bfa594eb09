package tracing

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"proofmark/node/retention"
	"proofmark/protocol"
	"proofmark/store"
)

// BenchmarkDue lists a page of 100 of 100,000 real firearm records that are due: go test -run '^$' -bench Due -benchtime 3x ./node/tracing
func BenchmarkDue(b *testing.B) {
	const n = 100_000
	pt := newBureaus(b, "PT")[0]
	for done := 0; done < n; {
		if err := pt.Store.Update(b.Context(), func(tx *store.Tx) error {
			for range 500 {
				f := NewFirearm{Reference: fmt.Sprintf("PT-%06d", done), Status: "stolen", StatusDate: now.AddDate(-25, 0, -done%1000),
					FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Make: "Glock", Model: "17", Calibre: "9x19", Serial: fmt.Sprintf("ABC%06d", done)}}
				if _, err := insert(tx, f, "op", ""); err != nil {
					return err
				}
				done++
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	pt.Clock.Add(21 * 365 * 24 * time.Hour)
	k := pt.keeping("")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		list, err := k.Due(b.Context(), operator, retention.Page{})
		if err != nil || list.Total != n || len(list.Items) != retention.UsualPage || list.Next == "" {
			b.Fatalf("%d of %d, %v", len(list.Items), list.Total, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))/(1<<20), "MiB-kept")
}
