package ballistics

import "proofmark/store"

// Held counts the signatures that are held for comparison, by region.
func (s *Service) Held() map[string]int {
	out := map[string]int{}
	for _, c := range s.index.Counts() {
		if c.Comparable {
			out[string(c.ROI)] += c.Signatures
		}
	}
	return out
}

// Waiting counts the signatures that have not been correlated yet.
func (s *Service) Waiting() (n int, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		n, err = jobs.Count(tx)
		return err
	})
	return n, err
}
