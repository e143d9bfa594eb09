package memory

import "testing"

func TestMappedFilesAreLetGoWhenNobodyReads(t *testing.T) {
	const mb = 1 << 20
	var m mapped
	for i, step := range []struct {
		now  uint64
		want bool
	}{
		{40 * mb, false}, {40 * mb, true}, // the program itself is let go of once: nothing of it goes
		{41 * mb, false}, {300 * mb, false}, {320 * mb, false}, {320 * mb, true},
		{50 * mb, false}, {50 * mb, false}, {50*mb + 1, false},
	} {
		got := m.idle(step.now)
		if got != step.want {
			t.Errorf("step %d, %d MB: %v, want %v", i, step.now/mb, got, step.want)
		}
		if got {
			m.left = min(step.now, 40*mb)
		}
	}
}
