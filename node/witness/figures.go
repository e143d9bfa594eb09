package witness

import (
	"slices"
	"time"

	"proofmark/store"
)

// Figures are what machines are told of witnessing.
type Figures struct {
	Alarms, OwnAlarms int       // evidence that nothing explains and nobody has acknowledged; of it against this node's own log
	Acknowledged      int       // evidence that nothing explains, and that somebody has acknowledged
	Memory            string    // why this node has lost its memory as a witness, while it asks for it
	Wanted            int       // cosignatures on a checkpoint
	Cosigned          int64     // entries of the best cosigned checkpoint
	Oldest            time.Time // oldest of its cosignatures that are wanted; zero without any
	Enough            bool
}

// Figures reads them.
func (s *Service) Figures() (f Figures, err error) {
	ring, r, err := s.keyring()
	if err != nil {
		return f, nil //nolint:nilerr // without a roster there is nothing to tell
	}
	wanted := s.wanted(len(s.witnesses(r)))
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		f = Figures{Wanted: wanted}
		m, err := s.memory(tx)
		if err != nil {
			return err
		}
		if m != nil {
			f.Memory = m.Why
		}
		for _, a := range unexplained(tx, ring) {
			if a.Acknowledged != nil {
				f.Acknowledged++
				continue
			}
			f.Alarms++
			if a.Country == s.country {
				f.OwnAlarms++
			}
		}
		best, err := s.best(tx, ring, wanted)
		if err != nil || best == nil {
			return err
		}
		times := make([]time.Time, len(best.By))
		for i, c := range best.By {
			times[i] = c.At
		}
		slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
		f.Cosigned, f.Enough = best.Size, best.Enough
		if n := min(wanted, len(times)); n > 0 {
			f.Oldest = times[n-1]
		}
		return nil
	})
	return f, err
}
