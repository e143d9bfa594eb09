package budget

import "time"

// slots is in how many parts a span is counted. A part that lies only partly within the span still counts whole: within no span of the length are there ever
// more than the limit, and a question stops to count at most a part of the span late (an hour of a day).
const slots = 24

// Window counts what happened within a span of time that ends now. The zero value has counted nothing.
type Window struct {
	Part   time.Duration `json:"part,omitempty"`   // length of one part; 0: nothing counted yet
	Last   int64         `json:"last,omitempty"`   // number of the newest part, since 1970
	Counts []int         `json:"counts,omitempty"` // of the newest slots+1 parts, the newest last
}

// Move brings a window to a time and a span. Time does not go back: a clock that was set back frees nothing. Where the span has changed, all that was counted
// counts as if it had happened at the end of its newest part: a change of the policy frees nothing either.
func (w *Window) Move(now time.Time, per time.Duration) {
	part := max(per/slots, 1)
	at := now.UnixNano() / int64(part)
	switch {
	case w.Part == 0:
		*w = Window{Part: part, Last: at, Counts: make([]int, slots+1)}
		return
	case w.Part != part || len(w.Counts) != slots+1:
		last, sum := ((w.Last+1)*int64(w.Part)-1)/int64(part), w.Sum()
		*w = Window{Part: part, Last: last, Counts: make([]int, slots+1)}
		w.Counts[slots] = sum
	}
	for ; w.Last < at && w.Sum() > 0; w.Last++ {
		copy(w.Counts, w.Counts[1:])
		w.Counts[slots] = 0
	}
	w.Last = max(w.Last, at)
}

// Add counts something now; Move comes before.
func (w *Window) Add(n int) { w.Counts[slots] += n }

// Sum is how much counts.
func (w *Window) Sum() int {
	n := 0
	for _, c := range w.Counts {
		n += c
	}
	return n
}

// Frees is when the oldest that counts stops to; zero where nothing counts.
func (w *Window) Frees() time.Time {
	for i, c := range w.Counts {
		if c > 0 { // this part leaves when slots+1 newer ones have begun
			return time.Unix(0, (w.Last-int64(slots-i)+slots+1)*int64(w.Part)).UTC()
		}
	}
	return time.Time{}
}
