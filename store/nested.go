package store

// Nested runs act as a part of the transaction that succeeds or fails alone: after an error nothing that it wrote, noted for the audit log or
// hooked onto the commit remains, and the transaction goes on.
func (tx *Tx) Nested(act func(*Tx) error) error {
	if err := tx.writable(); err != nil {
		return err
	}
	entries, hooks := len(tx.entries), len(tx.hooks)
	tx.outer = append(tx.outer, tx.own)
	tx.own = newOverlay()
	failed := true
	defer func() { // also when act panics and somebody further up recovers
		inner := tx.own
		last := len(tx.outer) - 1
		tx.own, tx.outer = tx.outer[last], tx.outer[:last]
		if failed {
			tx.entries, tx.hooks = tx.entries[:entries], tx.hooks[:hooks]
			return
		}
		tx.own.merge(inner)
	}()
	if err := act(tx); err != nil {
		return err
	}
	if tx.err != nil {
		return tx.err
	}
	failed = false
	return nil
}
