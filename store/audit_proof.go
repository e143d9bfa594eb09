package store

import (
	"errors"
	"iter"
	"time"
)

// AuditWith yields the indexes of the entries with a counterpart, from `from` to before `before`, the newest first. Only the index is read.
func (tx *Tx) AuditWith(counterpart string, from, before int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		prefix := auditIndexPrefix(byCounterpart, indexed(counterpart))
		for key := range tx.scan(prefix, prefix+newestFirst(before), false) {
			n, err := parseNumber(key[len(prefix):])
			if index := int64(^n); err == nil && index < from || !yield(index, err) || err != nil {
				return
			}
		}
		if tx.err != nil {
			yield(0, tx.err)
		}
	}
}

// AuditPeriod finds where in the log the entries from since to before until can lie: none of them is before first, or at end or behind it. Both may reach
// a little further than they must, and where a clock jumped far further.
func (tx *Tx) AuditPeriod(since, until time.Time) (first, end int64, err error) {
	head, err := tx.auditHead()
	if err != nil {
		return 0, 0, err
	}
	first = head.size
	for block := int64(0); block*timeBlock < head.size; block++ {
		span, err := tx.timesOf(spaceTimes, block)
		unknown := errors.Is(err, ErrNotFound) // it is looked through
		if err != nil && !unknown {
			return 0, 0, err
		}
		if unknown || span.end > since.Unix() {
			first = min(first, block*timeBlock)
		}
		if unknown || span.first < until.Unix() {
			end = min((block+1)*timeBlock, head.size)
		}
	}
	return first, max(first, end), nil
}
