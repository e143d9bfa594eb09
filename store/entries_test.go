package store

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestEntriesOfAnIndex(t *testing.T) {
	s := openTest(t)
	update(t, s, func(tx *Tx) error {
		for id, v := range map[string]*thing{"1": {"b", []string{"x", "y"}}, "2": {"a\x00b", nil}, "3": {"b", []string{"y"}}, "4": {"gone", nil}} {
			if err := things.Put(tx, id, v); err != nil {
				return err
			}
		}
		return things.Delete(tx, "4")
	})
	update(t, s, func(tx *Tx) error { // an act sees what it wrote itself
		if err := things.Put(tx, "5", &thing{Name: "c"}); err != nil {
			return err
		}
		for index, want := range map[string]string{"name": `["a\x00b" "2"]["b" "1"]["b" "3"]["c" "5"]`, "tag": `["x" "1"]["y" "1"]["y" "3"]`} {
			got := ""
			for value, id := range things.Entries(tx, index) {
				got += fmt.Sprintf("[%q %q]", value, id)
			}
			if got != want {
				t.Errorf("%s: %s, want %s", index, got, want)
			}
		}
		for range things.Entries(tx, "name") {
			break
		}
		return tx.Err()
	})
	err := s.View(func(tx *Tx) error {
		for range things.Entries(tx, "colour") {
			t.Error("an index that is not there has entries")
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "no index") {
		t.Errorf("an index that is not there: %v", err)
	}
}

func TestSpareSpace(t *testing.T) {
	opt := testOptions(t.TempDir())
	opt.Reserve = 100
	s := open(t, opt)
	for free, want := range map[uint64]uint64{0: 0, 99: 0, 100: 0, 101: 1, math.MaxUint64: math.MaxUint64 - 100} {
		s.free = func(string) (uint64, error) { return free, nil }
		if got, err := s.Spare(); got != want || err != nil {
			t.Errorf("of %d bytes %d are spare, %v; want %d", free, got, err, want)
		}
	}
}
