package ballistics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"proofmark/correlate"
	"proofmark/store"
)

// earlierAcquisition is read also in the form of earlier programs, which knew one scan of one breech face and named it directly. It is a type of its own
// because records are embedded in what is shown, which would inherit the way of reading.
type earlierAcquisition Acquisition

func (a *earlierAcquisition) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, (*Acquisition)(a)); err != nil || len(a.Scans) > 0 {
		return err
	}
	var earlier struct {
		Scan       string            `json:"scan"`
		ScanBytes  int               `json:"scan_bytes"`
		File       string            `json:"file"`
		Resolution float64           `json:"resolution_um"`
		Warnings   []string          `json:"warnings"`
		Quality    correlate.Quality `json:"quality"`
	}
	if err := json.Unmarshal(raw, &earlier); err != nil || earlier.Scan == "" {
		return err
	}
	a.Scans = []Scan{{File: earlier.File, Hash: earlier.Scan, Bytes: earlier.ScanBytes, Resolution: earlier.Resolution, Warnings: earlier.Warnings}}
	a.Identity, a.Algorithm = earlier.Scan, correlate.Algorithm
	a.Quality.Areal = &earlier.Quality
	return nil
}

// earlierCandidate is read also in the form of earlier programs, which knew one way of comparing: score and algorithm stood in the comparison alone.
type earlierCandidate Candidate

func (c *earlierCandidate) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, (*Candidate)(c)); err != nil || c.Algorithm != "" || c.Comparison == nil {
		return err
	}
	c.Score, c.Algorithm = c.Comparison.Score, c.Comparison.Algorithm
	return nil
}

// The same records under their earlier form: to be read, never to be written, since they know no index.
var (
	earlierAcquisitions = store.NewCollection[earlierAcquisition]("acquisition")
	earlierCandidates   = store.NewCollection[earlierCandidate]("candidate")
)

// rewritten reads the records after an id in their earlier form and writes them as today's, at most limit of them; it returns as Collection.Reindex does.
func rewritten[Earlier, Today any](tx *store.Tx, from *store.Collection[Earlier], to *store.Collection[Today], after string, limit int, as func(*Earlier) *Today) (last string, end bool, err error) {
	last = after
	for id, v := range from.AllAfter(tx, after) {
		if limit--; limit < 0 {
			return last, false, nil
		}
		if err := to.Put(tx, id, as(v)); err != nil {
			return last, false, err
		}
		last = id
	}
	return last, true, tx.Err()
}

// recordForm counts the changes to what the records of this package look like and how they are found that a program must make good once.
const recordForm = 1

// form is what the records of a database have been brought to.
type form struct {
	Form int `json:"form"`
}

var forms = store.NewCollection[form]("form")

// renew brings the records that an earlier program wrote to today's form, with today's index entries. It does so once; a start that was interrupted
// begins again, which does no harm.
func (s *Service) renew(ctx context.Context) error {
	const id = "ballistics"
	records := 0
	err := s.desk.Store.View(func(tx *store.Tx) error {
		if f, err := forms.Get(tx, id); err == nil && f.Form >= recordForm {
			records = -1
			return nil
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		for _, count := range []func(*store.Tx) (int, error){exhibits.Count, acquisitions.Count, candidates.Count} {
			n, err := count(tx)
			if err != nil {
				return err
			}
			records += n
		}
		return nil
	})
	if err != nil || records < 0 {
		return err
	}
	if records > 0 {
		s.desk.Log.Info("the records of an earlier program get today's form, once", "records", records)
	}
	for _, c := range []struct {
		name    string
		reindex func(tx *store.Tx, after string, limit int) (string, bool, error)
	}{
		{"exhibits", exhibits.Reindex},
		{"acquisitions", func(tx *store.Tx, after string, limit int) (string, bool, error) {
			return rewritten(tx, earlierAcquisitions, acquisitions, after, limit, func(a *earlierAcquisition) *Acquisition { return (*Acquisition)(a) })
		}},
		{"candidates", func(tx *store.Tx, after string, limit int) (string, bool, error) {
			return rewritten(tx, earlierCandidates, candidates, after, limit, func(c *earlierCandidate) *Candidate { return (*Candidate)(c) })
		}},
	} {
		for last, end := "", false; !end; {
			err := s.desk.Store.Update(ctx, func(tx *store.Tx) (err error) {
				last, end, err = c.reindex(tx, last, batch)
				return err
			})
			if err != nil {
				return fmt.Errorf("bring %s to today's form: %w", c.name, err)
			}
		}
	}
	return s.desk.Store.Update(ctx, func(tx *store.Tx) error { return forms.Put(tx, id, &form{recordForm}) })
}
