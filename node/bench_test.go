package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/node/ballistics"
	"proofmark/node/control"
)

// BenchmarkAcquireToCandidate measures what an examiner waits for: from the moment one country's technician hands in a scan until the candidate stands
// in the other country's list, over real hosts on loopback and synced stores. The baseline of the same run is the acquisition alone, until its own
// command returns. Percentiles are over the iterations: run with -benchtime 50x or more.
func BenchmarkAcquireToCandidate(b *testing.B) {
	pt, es := newBureau(b, "PT"), newBureau(b, "ES")
	for _, n := range []*bureau{pt, es} {
		n.start()
		n.login(roles)
	}
	federate(b, pt, es)
	maker := synth.NewMaker(1)
	es.enrol("ES-0", maker.Firearm(1).Fire(1, synth.Shot{}))
	var whole, own []time.Duration
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		scan := pt.prepare(fmt.Sprintf("PT-%d", i), maker.Firearm(1).Fire(uint64(i)+2, synth.Shot{}))
		b.StartTimer()
		start := time.Now()
		a, err := control.Upload[*ballistics.Acquisition](b.Context(), pt.people["tech"], "acquire", "",
			ballistics.NewAcquisition{Exhibit: fmt.Sprintf("PT-%d", i), ROI: "breech-face", Scans: []ballistics.File{{Name: "scan.x3p", Size: int64(len(scan))}}}, scan)
		if err != nil {
			b.Fatal(err)
		}
		own = append(own, time.Since(start))
		for len(es.candidates(a.Signature)) == 0 {
			time.Sleep(time.Millisecond)
		}
		whole = append(whole, time.Since(start))
	}
	b.ReportMetric(ms(whole, 50), "p50-ms")
	b.ReportMetric(ms(whole, 99), "p99-ms")
	b.ReportMetric(ms(own, 50), "acquire-p50-ms")
	b.ReportMetric(ms(whole, 50)/ms(own, 50), "x-acquire")
}

// ms is a percentile in milliseconds.
func ms(d []time.Duration, percent int) float64 {
	slices.Sort(d)
	return float64(d[min(len(d)-1, len(d)*percent/100)].Microseconds()) / 1000
}
