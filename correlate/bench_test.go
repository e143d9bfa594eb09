package correlate

import (
	"testing"

	"proofmark/correlate/x3p"
)

// benchScans are two same-source scans: real where they are, else generated.
func benchScans(b *testing.B) [2]*x3p.Scan {
	b.Helper()
	if set := realScans(b, "fadul"); len(set) > 1 {
		return [2]*x3p.Scan{set[0].scan, set[1].scan}
	}
	return [2]*x3p.Scan{texture(1).scan(view{noise: 2}), texture(1).scan(view{noise: 3, rotation: 50})}
}

func BenchmarkEncode(b *testing.B) {
	scan := benchScans(b)[0]
	b.ReportAllocs()
	for b.Loop() {
		mustEncode(b, scan)
	}
}

func BenchmarkDecodeSignature(b *testing.B) {
	raw, err := mustEncode(b, benchScans(b)[0]).MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeSignature(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewTemplate(b *testing.B) {
	sig := mustEncode(b, benchScans(b)[0])
	b.ReportAllocs()
	for b.Loop() {
		NewTemplate(sig)
	}
}

func BenchmarkCompare(b *testing.B) {
	scans := benchScans(b)
	p, q := mustTemplate(b, scans[0]), mustTemplate(b, scans[1])
	defer func(k kernel) { fastest = k }(fastest)
	for _, k := range kernels {
		b.Run("kernel="+k.String(), func(b *testing.B) {
			fastest = k
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				Compare(p, q)
			}
			b.ReportMetric((cpuTime()-start).Seconds()*1e6/float64(b.N), "cpu-µs/op")
		})
	}
}
