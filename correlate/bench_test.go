package correlate

import (
	"context"
	"fmt"
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
			for b.Loop() {
				Compare(p, q)
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	q := mustTemplate(b, benchScans(b)[0])
	var some []*Template
	for i := range 20 {
		some = append(some, mustTemplate(b, texture(100+i).scan(view{pitch: 12.5})))
	}
	for _, n := range []int{100, 1000, 10000} {
		g := NewGallery()
		for i := range n {
			g.Put(fmt.Sprint(i), Class{}, some[i%len(some)])
		}
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Search(context.Background(), q, Class{}, 20, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
