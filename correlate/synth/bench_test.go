package synth

import "testing"

func BenchmarkFirearm(b *testing.B) {
	m := NewMaker(1)
	b.ReportAllocs()
	for b.Loop() {
		m.Firearm(2)
	}
}

func BenchmarkFire(b *testing.B) {
	f := NewMaker(1).Firearm(2)
	b.ReportAllocs()
	for b.Loop() {
		f.Fire(3, Shot{})
	}
}
