package synth

import "testing"

// BenchmarkFirearmAndShot is what one scan of a new firearm costs at 6.25 µm.
func BenchmarkFirearmAndShot(b *testing.B) {
	m := NewMaker(1)
	b.ReportAllocs()
	for b.Loop() {
		m.Firearm(2).Fire(3, Shot{})
	}
}

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

func BenchmarkFireWhole(b *testing.B) {
	f := NewMaker(1).Firearm(2)
	b.ReportAllocs()
	for b.Loop() {
		f.Fire(3, Shot{Whole: true})
	}
}
