package demo

import (
	"os"
	"testing"
)

// TestUnusableScanIsSetAside plays a day in which one scan file is cut short: the node refuses it, the day goes on without it.
func TestUnusableScanIsSetAside(t *testing.T) {
	dir := t.TempDir()
	m, err := generate(dir, 3, 6, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	victim := m.scans[len(m.scans)-1].path
	b, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(victim, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	result, _ := demoOnce(t, "--scans", dir)
	if result.Exhibits != len(m.scans) || result.Rejected != 1 || result.SignaturesPublished != len(m.scans)-1 {
		t.Errorf("%d exhibits, %d rejected, %d published; want %d, 1, %d", result.Exhibits, result.Rejected, result.SignaturesPublished, len(m.scans), len(m.scans)-1)
	}
}
