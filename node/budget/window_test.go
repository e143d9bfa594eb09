package budget

import (
	"math/rand/v2"
	"testing"
	"time"
)

const day = 24 * time.Hour

var start = time.Date(2026, 6, 1, 12, 34, 56, 0, time.UTC)

// TestNoSpanHoldsMoreThanTheLimit asks at random, and compares with all that was taken: never more than the limit within a span, wherever it lies, and
// whatever is refused would be one too many within a span that is one part longer.
func TestNoSpanHoldsMoreThanTheLimit(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		limit, per := 1+r.IntN(20), []time.Duration{day, 7 * day, 30 * day}[r.IntN(3)]
		var w Window
		var taken []time.Time
		now := start
		for range 500 {
			now = now.Add(time.Duration(r.Int64N(int64(per) / int64(limit))))
			w.Move(now, per)
			within := func(span time.Duration) (n int) {
				for _, at := range taken {
					if at.After(now.Add(-span)) {
						n++
					}
				}
				return n
			}
			if w.Sum() < limit {
				w.Add(1)
				if n := within(per); n >= limit {
					t.Fatalf("seed %d: the %dth question within %v was taken, the limit is %d", seed, n+1, per, limit)
				}
				taken = append(taken, now)
			} else if n := within(per + per/slots); n < limit {
				t.Fatalf("seed %d: refused, and %d of %d stand within a span and a part", seed, n, limit)
			}
		}
		if len(taken) < 50 {
			t.Errorf("seed %d: %d were taken", seed, len(taken))
		}
	}
}

func TestWindowAndTheClock(t *testing.T) {
	filled := func() *Window {
		var w Window
		w.Move(start, day)
		w.Add(3)
		return &w
	}
	for name, c := range map[string]struct {
		to   time.Time
		per  time.Duration
		want int
	}{
		"at once":                          {start, day, 3},
		"just before a day is over":        {start.Add(day - time.Second), day, 3},
		"an hour and a day later":          {start.Add(day + time.Hour), day, 0},
		"the clock is set back":            {start.AddDate(0, -1, 0), day, 3},
		"years later":                      {start.AddDate(9, 0, 0), day, 0},
		"a longer span":                    {start.Add(time.Hour), 30 * day, 3},
		"a shorter span, at the same time": {start, day / 24, 3},
		"a shorter span, long after":       {start.Add(3 * day), day / 24, 0},
	} {
		w := filled()
		w.Move(c.to, c.per)
		if got := w.Sum(); got != c.want {
			t.Errorf("%s: %d count, want %d", name, got, c.want)
		}
	}
	// Set back and forth again, the clock gives nothing.
	w := filled()
	w.Move(start.AddDate(0, 0, -3), day)
	w.Add(1)
	if w.Move(start, day); w.Sum() != 4 {
		t.Errorf("%d count", w.Sum())
	}
	// When it says that something is free again, it is, and not before.
	w = filled()
	frees := w.Frees()
	if w.Move(frees.Add(-1), day); w.Sum() != 3 {
		t.Error("free before the time")
	}
	if w.Move(frees, day); w.Sum() != 0 || !w.Frees().IsZero() {
		t.Error("not free at the time")
	}
	if frees.Before(start.Add(day)) || frees.After(start.Add(day+2*time.Hour)) {
		t.Errorf("free at %v", frees)
	}
}
