package tracing

import (
	"fmt"
	"strings"
	"testing"

	"proofmark/protocol"
	"proofmark/store"
)

// BenchmarkLadder searches a registry of 20,000 records, as the arrival of a trace request does inside the store's writer.
func BenchmarkLadder(b *testing.B) {
	es := newBureaus(b, "ES")[0]
	const n = 20_000
	ok[*ImportReport](b)(es.ImportFirearms(b.Context(), operator, "", "guns.csv", []byte(file(n))))
	for _, serial := range []string{"AB10482", "AB1O482", "AB104?2", "AB10???", "ZZ99999"} {
		b.Run(strings.ReplaceAll(serial, "?", "_"), func(b *testing.B) {
			sought := protocol.FirearmDescription{Serial: serial, Make: "Glock"}
			found := 0
			for b.Loop() {
				err := es.Store.View(func(tx *store.Tx) error {
					hits, _, err := search(tx, sought, maxMatches, examinedOnArrival)
					found = len(hits)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(found), "hits")
		})
	}
}

// BenchmarkImport stores records with all their index entries.
func BenchmarkImport(b *testing.B) {
	es := newBureaus(b, "ES")[0]
	const n = 5_000
	round := 0
	for b.Loop() {
		round++
		data := strings.ReplaceAll(file(n), "R-", fmt.Sprintf("R%d-", round))
		ok[*ImportReport](b)(es.ImportFirearms(b.Context(), operator, "", "guns.csv", []byte(data)))
	}
	b.ReportMetric(float64(n*round)/b.Elapsed().Seconds(), "records/s")
}
