package evaluate

import (
	"context"
	"math"
	"time"

	"proofmark/correlate"
)

// Coarse is the cost of a search's first stage beside what the processor's
// counting of bits, one word after the other, could reach.
type Coarse struct {
	Kernel       string  `json:"kernel"`
	Words        float64 `json:"words_per_signature"` // of 64 bits, at least
	Signatures   float64 `json:"signatures_per_second"`
	WordsPerUS   float64 `json:"popcount_words_per_us"` // plain Go, words in the nearest cache
	LimitUS      float64 `json:"popcount_limit_us"`     // words / rate
	ShareOfLimit float64 `json:"limit_over_measured"`   // above 1: several words are counted at once
	measured     float64
}

func (c *Coarse) us() *float64 {
	if c == nil {
		return nil
	}
	return &c.measured
}

// Runs of the scan's clock, and how long one may take of a large gallery.
const (
	scanRuns = 5
	scanTime = 400 * time.Millisecond
)

// clockScan times the first stage on one core: the best of five runs.
func clockScan(ctx context.Context, gallery *correlate.Gallery, q *correlate.Template, now func() time.Time) (*Coarse, error) {
	if q == nil {
		return nil, nil
	}
	scan := gallery.NewScan(q)
	c := &Coarse{measured: math.Inf(1)}
	for range scanRuns {
		timed, cancel := context.WithTimeout(ctx, scanTime)
		var work correlate.ScanWork
		signatures, words := 0, int64(0)
		begin := now()
		// A small gallery is scanned again and again.
		for signatures < leastScanned && timed.Err() == nil {
			work, _ = scan.Run(timed) // ended by time is as good
			signatures, words = signatures+work.Signatures, words+work.Words
		}
		took := now().Sub(begin)
		cancel()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if us := float64(took.Nanoseconds()) / 1000 / float64(max(signatures, 1)); signatures > 0 && us < c.measured {
			c.measured, c.Kernel, c.Words = us, work.Kernel, float64(words)/float64(signatures)
		}
	}
	if math.IsInf(c.measured, 1) || c.measured <= 0 {
		return nil, nil
	}
	for range scanRuns {
		begin := now()
		correlate.CountWords(countedWords)
		if took := now().Sub(begin); took > 0 {
			c.WordsPerUS = max(c.WordsPerUS, countedWords*1000/float64(took.Nanoseconds()))
		}
	}
	c.Signatures = 1e6 / c.measured
	if c.WordsPerUS > 0 {
		c.LimitUS = c.Words / c.WordsPerUS
		c.ShareOfLimit = c.LimitUS / c.measured
	}
	return c, nil
}

const (
	leastScanned = 2000       // signatures of one run
	countedWords = 4096 << 12 // of one run
)
