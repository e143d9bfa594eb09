package evaluate

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Samples of the time measurement.
const (
	clockedScans = 5
	clockedPairs = 50
)

// clock times encoding and comparison on one core, with nothing else of this
// program running.
func (e *Evaluation) clock(ctx context.Context, folder fs.FS, o Options, how method) error {
	var took []time.Duration
	for _, m := range e.marks {
		if m.whole == nil || len(took) == clockedScans {
			continue
		}
		again := &mark{Labelled: m.Labelled}
		scan, ok := again.decode(folder)
		if !ok {
			return fmt.Errorf("scan %s changed while it was measured: %s", m.Scan, again.rejects[0])
		}
		begin := o.Now()
		if _, _, err := how.encode(scan, nil); err != nil {
			return fmt.Errorf("scan %s changed while it was measured: %w", m.Scan, err)
		}
		took = append(took, o.Now().Sub(begin))
	}
	e.EncodeMS = median(took, 1e3)
	took = nil
	step := max(len(e.Pairs)/clockedPairs, 1)
	for i := 0; i < len(e.Pairs) && ctx.Err() == nil; i += step {
		x := e.Pairs[i]
		begin := o.Now()
		e.marks[x.Query].query.against(e.marks[x.Other].whole)
		took = append(took, o.Now().Sub(begin))
	}
	e.CompareUS = median(took, 1e6)
	return ctx.Err()
}

// median in units of 1/unit seconds; nil of nothing.
func median(took []time.Duration, unit float64) *float64 {
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	return new(took[len(took)/2].Seconds() * unit)
}
