package shear

import (
	"testing"

	"proofmark/correlate"
)

func BenchmarkEncode(b *testing.B) {
	s := newEdge(1).scan(shot{sheared: true, rotation: 30})
	for b.Loop() {
		if _, _, err := Encode(s, correlate.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	m, _ := mustEncode(b, newEdge(1).scan(shot{sheared: true, alone: true}))
	n, _ := mustEncode(b, newEdge(2).scan(shot{sheared: true, alone: true}))
	for b.Loop() {
		Compare(m, n)
	}
}
