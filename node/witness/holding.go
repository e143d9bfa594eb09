package witness

import (
	"fmt"
	"slices"

	rules "proofmark/crypto/witness"
	"proofmark/store"
)

// holding is what is held of a log, opened: the checkpoint cosigned last, and those that it has to continue beside it.
type holding struct {
	record *Held // nil: nothing is held of this log
	last   rules.Checkpoint
	tree   rules.Tree // Empty where nothing is held
	owed   []rules.Checkpoint
}

func (s *Service) holding(tx *store.Tx, log rules.Log) (holding, error) {
	h := holding{tree: rules.Empty()}
	r, err := optional(tx, Holdings, log.Country)
	if err != nil || r == nil {
		return h, err
	}
	if r.LogKey != log.Key {
		h.record = &Held{LogKey: log.Key, OldKeys: append(r.OldKeys, OldKey{LogKey: r.LogKey, Note: r.Note, Until: tx.Now().UTC()})}
		return h, nil
	}
	h.record = r
	if r.Note != "" {
		if h.last, err = rules.OpenCheckpoint(r.Note, log.Verifier); err != nil {
			return h, fmt.Errorf("the checkpoint held of %s: %w", log.Country, err)
		}
		h.tree = h.last.Tree
	}
	for _, note := range r.Owed {
		c, err := rules.OpenCheckpoint(note, log.Verifier)
		if err != nil {
			return h, fmt.Errorf("a checkpoint that members have shown of %s: %w", log.Country, err)
		}
		h.owed = append(h.owed, c)
	}
	return h, nil
}

// excused tells whether a restore explained something here before. Nobody restores so often that the list ends.
func (h holding) excused(restore string) bool {
	return h.record != nil && (slices.Contains(h.record.Excused, restore) || len(h.record.Excused) >= maxExcused)
}

// against tells by which of the checkpoints that it has to continue an offer is judged that was shown this one: which of those owed, -1 for the one held.
func (h holding) against(shown rules.Tree) (int, rules.Tree) {
	i := slices.IndexFunc(h.owed, func(c rules.Checkpoint) bool { return c.Tree == shown })
	if i < 0 && h.tree.N == 0 && len(h.owed) > 0 {
		i = 0
	}
	if i < 0 || h.tree == shown {
		return -1, h.tree
	}
	return i, h.owed[i].Tree
}

// at is the checkpoint of that place.
func (h holding) at(i int) rules.Checkpoint {
	if i < 0 {
		return h.last
	}
	return h.owed[i]
}

// highest is how many entries were ever cosigned of this log, as far as is remembered.
func (h holding) highest() int64 {
	if h.record == nil {
		return 0
	}
	return max(h.record.Highest, h.tree.N)
}

// note is what an asker that was shown something else is told is held.
func (h holding) note() string {
	switch {
	case h.tree.N > 0:
		return h.last.Note
	case len(h.owed) > 0:
		return h.owed[0].Note
	}
	return heldNothing
}
