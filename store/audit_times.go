package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// timeEra is the number of blocks whose times are summed up once more.
const timeEra = 256

// timeSpan is a period in Unix seconds, from first to before end.
type timeSpan struct{ first, end int64 }

func spanOf(at time.Time) timeSpan { return timeSpan{at.Unix(), at.Unix() + 1} }

// daySpan is the whole of a day YYYY-MM-DD in UTC.
func daySpan(day string) (timeSpan, error) {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return timeSpan{}, fmt.Errorf("%w: an audit entry's day %.20q is no date", ErrCorrupt, day)
	}
	return timeSpan{at.Unix(), at.AddDate(0, 0, 1).Unix()}, nil
}

func (p timeSpan) with(o timeSpan) timeSpan {
	return timeSpan{min(p.first, o.first), max(p.end, o.end)}
}

// overlaps reports whether something between since and until (a zero time is no bound) can lie in the span.
func (p timeSpan) overlaps(since, until time.Time) bool {
	return (since.IsZero() || p.end > since.Unix()) && (until.IsZero() || p.first <= until.Unix())
}

func (p timeSpan) encode() []byte {
	return []byte(number(uint64(p.first)) + number(uint64(p.end)))
}

func decodeSpan(b []byte) (timeSpan, error) {
	if len(b) != 16 {
		return timeSpan{}, fmt.Errorf("%w: a period of audit entries has %d bytes, want 16", ErrCorrupt, len(b))
	}
	return timeSpan{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}, nil
}

// noteSpan widens the period of a part of the log.
func (tx *Tx) noteSpan(space string, part int64, span timeSpan) error {
	old, err := tx.timesOf(space, part)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	default:
		if span = span.with(old); span == old {
			return nil
		}
	}
	return tx.put(space+number(uint64(part)), span.encode())
}

func (tx *Tx) timesOf(space string, part int64) (timeSpan, error) {
	b, err := tx.get(space + number(uint64(part)))
	if err != nil {
		return timeSpan{}, err
	}
	span, err := decodeSpan(b)
	if err != nil {
		return span, fmt.Errorf("part %d: %w", part, err)
	}
	return span, nil
}

// AuditPeriod finds where in the log the entries from since to before until can lie: none of them is before first, or at end or behind it. Both may reach
// a little further than they must, and where a clock jumped far further.
func (tx *Tx) AuditPeriod(since, until time.Time) (first, end int64, err error) {
	head, err := tx.auditHead()
	if err != nil {
		return 0, 0, err
	}
	first = head.size
	whole := head.size / timeBlock
	for block := int64(0); block < whole; block++ {
		in := true
		if block%timeEra == 0 {
			if in, err = tx.mayLie(spaceEras, block/timeEra, since, until); err == nil && !in {
				block += timeEra - 1
				continue
			}
		}
		if err == nil {
			in, err = tx.mayLie(spaceTimes, block, since, until)
		}
		if err != nil {
			return 0, 0, err
		}
		if in {
			first, end = min(first, block*timeBlock), (block+1)*timeBlock
		}
	}
	rest := newBlockIndex() // what comes behind the last whole block
	for index := whole * timeBlock; index < head.size; index++ {
		r, err := tx.auditRecord(index)
		if err == nil {
			err = rest.add(&r)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if whole*timeBlock < head.size && rest.span().overlaps(since, until) {
		first, end = min(first, whole*timeBlock), head.size
	}
	return first, max(first, end), nil
}

// mayLie reports whether something from since to until can lie in a part of the log. Where nothing is noted it can.
func (tx *Tx) mayLie(space string, part int64, since, until time.Time) (bool, error) {
	span, err := tx.timesOf(space, part)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return span.overlaps(since, until), err
}
