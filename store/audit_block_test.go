package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"proofmark/protocol"
)

// A set has one stored form, and nothing else is read as a set.
func TestBlockSet(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		offsets := rapid.SliceOfNDistinct(rapid.Int64Range(0, timeBlock-1), 1, timeBlock, rapid.ID).Draw(r, "offsets")
		if rapid.Bool().Draw(r, "all but these") {
			var rest []int64
			for n := range int64(timeBlock) {
				if !slices.Contains(offsets, n) {
					rest = append(rest, n)
				}
			}
			if len(rest) > 0 {
				offsets = rest
			}
		}
		var set blockSet
		for _, n := range offsets {
			set.add(n)
		}
		b := set.encode()
		again, err := decodeSet(b)
		if err != nil || again != set || set.size() != len(offsets) {
			r.Fatalf("%v became %v, %v", set, again, err)
		}
		for n := range int64(timeBlock) {
			want := int64(-1)
			for _, o := range offsets {
				if o <= n {
					want = max(want, o)
				}
			}
			if got := set.upTo(n); got != want {
				r.Fatalf("up to %d: %d, want %d", n, got, want)
			}
			if part := set.from(n); part.upTo(timeBlock-1) != -1 && part.upTo(timeBlock-1) < n || n > 0 && part.upTo(n-1) >= 0 || part.has(n) != set.has(n) {
				r.Fatalf("from %d: %v of %v", n, part, set)
			}
		}
		if len(b) == 0 {
			b = []byte{0}
		}
		b[rapid.IntRange(0, len(b)-1).Draw(r, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if other, err := decodeSet(b); err == nil && (other == set || !bytes.Equal(other.encode(), b)) {
			r.Errorf("%v is read from two forms", other)
		}
	})
}

func FuzzDecodeSet(f *testing.F) {
	for _, b := range [][]byte{{}, {0}, {255}, {1, 2}, {2, 1}, {3, 3}, make([]byte, 32), bytes.Repeat([]byte{255}, 32), bytes.Repeat([]byte{1}, 32), make([]byte, 33)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if set, err := decodeSet(b); err == nil && (!bytes.Equal(set.encode(), b) || set.size() == 0) {
			t.Errorf("%x is read as %v, which is written %x", b, set, set.encode())
		}
	})
}

// stored is what is kept of a block's value, or nothing.
func (s *Store) storedSet(t testing.TB, kind, value string, block int64) (set blockSet) {
	t.Helper()
	view(t, s, func(tx *Tx) error {
		b, err := tx.get(blockPrefix(kind, value) + newestFirst(block))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil {
			set, err = decodeSet(b)
		}
		return err
	})
	return set
}

// An erased entry's words are forgotten for it alone, and those of its header stay.
func TestErasureForgetsWhatABlockSaid(t *testing.T) {
	s := openTest(t)
	purposes := func(n int) string {
		switch {
		case n == 1 || n == 300:
			return "secret"
		case n < 4:
			return "rare"
		}
		return "trace"
	}
	n := 0
	add := func(count int, then func(*Tx) error) {
		update(t, s, func(tx *Tx) error {
			for end := n + count; n < end; n++ {
				e := entry("e", "o")
				e.Purpose, e.Time = purposes(n), testStart.Add(time.Duration(n)*time.Minute)
				tx.Audit(e)
			}
			return then(tx)
		})
		verify(t, s)
	}
	none := func(*Tx) error { return nil }
	add(200, func(tx *Tx) error { return nil })
	add(50, func(tx *Tx) error { return tx.EraseAudit(3) }) // of a block that is not whole
	add(20, func(tx *Tx) error { return tx.EraseAudit(2) }) // in the act that completes it
	if set := s.storedSet(t, blockPurpose, "rare", 0); set.size() != 1 || !set.has(0) {
		t.Errorf("what is kept of entries erased before their block was whole: %v", set)
	}
	if set := s.storedSet(t, blockErased, erasedWord, 0); set.size() != 2 || !set.has(2) || !set.has(3) {
		t.Errorf("erased: %v", set)
	}
	add(300, none)
	for _, block := range []int64{0, 1} {
		if set := s.storedSet(t, blockPurpose, "secret", block); set.size() != 1 {
			t.Fatal("a purpose is not known")
		}
	}
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.EraseAudit(1), tx.EraseAudit(1), tx.EraseAudit(300), tx.EraseAudit(569))
	})
	verify(t, s)
	for _, block := range []int64{0, 1} {
		if set := s.storedSet(t, blockPurpose, "secret", block); set != (blockSet{}) {
			t.Error("an erased value is still known")
		}
		if set := s.storedSet(t, blockDecision, "permit", block); set.size() != timeBlock {
			t.Errorf("%d entries with what their headers still say", set.size())
		}
	}
}

// Queries give what a filter over all entries gives, whatever was erased, and so do walks and the entries with a country.
func TestQueriesAreAFilter(t *testing.T) {
	s := openTest(t)
	const entries = 1300
	for n := 0; n < entries; {
		update(t, s, func(tx *Tx) error {
			for end := min(n+100, entries); n < end; n++ {
				e := entry("event "+strconv.Itoa(n), fmt.Sprintf("o%d", n%7))
				e.Counterpart = []string{"ES", "FR", "", "DE"}[n%4]
				e.Actor = []string{"ana", "rui"}[n/600%2]
				e.Purpose = []string{"trace", "", "lead"}[n%3]
				e.Time = testStart.Add(time.Duration(n%1000) * time.Hour) // the clock was set back
				if n%331 == 0 {
					e.Purpose, e.Handling, e.Policies = "rare", []string{"H2"}, []string{"p (1.cedar:1)", "q (1.cedar:2)"}
				}
				if n > 700 {
					e.Decision, e.Action = "deny", protocol.ActDeny
				}
				tx.Audit(e)
			}
			return nil
		})
	}
	for n := int64(5); n < entries; n += 97 {
		update(t, s, func(tx *Tx) error { return tx.EraseAudit(n) })
	}
	verify(t, s)
	all, err := s.QueryAudit(background, AuditQuery{Limit: 2 * entries})
	if err != nil || len(all) != entries {
		t.Fatal(len(all), err)
	}
	rapid.Check(t, func(r *rapid.T) {
		from := func(values ...string) string { return rapid.SampledFrom(append(values, "", "")).Draw(r, "value") }
		q := AuditQuery{Actor: from("ana", "rui", "eva"), Counterpart: from("ES", "FR", "DE", "SE"), Object: from("o1", "o5"), Purpose: from("trace", "rare", "lead"),
			Handling: from("H2"), Policy: from("q", "p (9.cedar:9)"), Decision: from("permit", "deny"), Action: from("deny", "alter"), Kind: from("exhibit"), Text: from("EVENT 1"),
			Erased: rapid.IntRange(0, 4).Draw(r, "erased") == 0, Limit: rapid.IntRange(1, 400).Draw(r, "limit"), Look: rapid.IntRange(1, 400).Draw(r, "look"),
			Before: rapid.Int64Range(0, entries+1).Draw(r, "before")}
		if rapid.Bool().Draw(r, "since") {
			q.Since = testStart.Add(time.Duration(rapid.IntRange(-10, 1000).Draw(r, "hour")) * time.Hour)
		}
		if rapid.Bool().Draw(r, "until") {
			q.Until = testStart.Add(time.Duration(rapid.IntRange(0, 1010).Draw(r, "hour")) * time.Hour)
		}
		var want, walked []int64
		for _, e := range all {
			if q.selects(&e) {
				walked = append(walked, e.Index)
				if (q.Before == 0 || e.Index < q.Before) && len(want) < q.Limit {
					want = append(want, e.Index)
				}
			}
		}
		slices.Reverse(walked)
		found, err := s.QueryAudit(background, q)
		var got []int64
		for _, e := range found {
			got = append(got, e.Index)
		}
		if err != nil || !slices.Equal(got, want) {
			r.Fatalf("%+v: %d entries, %v, want %d", q, len(got), err, len(want))
		}
		got = nil
		view(t, s, func(tx *Tx) error {
			return tx.WalkAudit(background, q, nil, func(index int64, _ protocol.AuditLeaf) error { got = append(got, index); return nil })
		})
		if !slices.Equal(got, walked) {
			r.Fatalf("walk %+v: %d entries, want %d", q, len(got), len(walked))
		}
		first, end := rapid.Int64Range(0, entries).Draw(r, "from"), rapid.Int64Range(0, entries+5).Draw(r, "to")
		want, got = nil, nil
		for _, e := range all {
			if e.Counterpart == "FR" && e.Index >= first && e.Index < end {
				want = append(want, e.Index)
			}
		}
		view(t, s, func(tx *Tx) error {
			for index, err := range tx.AuditWith("FR", first, end) {
				if err != nil {
					return err
				}
				got = append(got, index)
			}
			return nil
		})
		if !slices.Equal(got, want) {
			r.Fatalf("with FR from %d to %d: %v, want %v", first, end, got, want)
		}
	})
	// A page goes through so much of the indexes and no more, and says where to go on.
	view(t, s, func(tx *Tx) error {
		way, err := tx.narrow(&AuditQuery{Object: "o1", Case: "none"})
		if err == nil {
			_, err = way.next(entries - 1)
		}
		moves := way.moves
		at, settled, err2 := way.agree(entries-500, moves)
		if err != nil || err2 != nil || settled && at != -1 || at > entries-500 {
			t.Errorf("%d, %v, %v, %v", at, settled, err, err2)
		}
		return nil
	})
}

// Where entries of a period can lie is told by blocks and eras, and never leaves one out.
func TestAuditPeriod(t *testing.T) {
	s := openTest(t)
	appendEntries(t, s, 600) // an hour apart
	hour := func(n int) time.Time { return testStart.Add(time.Duration(n) * time.Hour) }
	for _, c := range []struct {
		since, until int
		first, end   int64
	}{
		{0, 600, 0, 600}, {10, 20, 0, 256}, {300, 310, 256, 512}, {200, 300, 0, 512}, {-9, -1, 600, 600}, {590, 595, 512, 600}, {9000, 9999, 600, 600},
	} {
		view(t, s, func(tx *Tx) error {
			first, end, err := tx.AuditPeriod(hour(c.since), hour(c.until))
			if err != nil || first != c.first || end != c.end {
				t.Errorf("%d to %d: entries %d to %d, %v, want %d to %d", c.since, c.until, first, end, err, c.first, c.end)
			}
			return nil
		})
	}
}
