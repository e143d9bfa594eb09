package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// backupRecord is one record as it is read.
type backupRecord struct {
	kind       byte
	key, value []byte           // of recordSet
	digest     [digestSize]byte // of recordKept
}

// is tells whether the record is about a key.
func (r *backupRecord) is(key []byte) bool {
	if r.kind == recordSet {
		return bytes.Equal(r.key, key)
	}
	sum := sha256.Sum256(key)
	return bytes.Equal(r.digest[:], sum[:digestSize])
}

// reaches tells whether a key of the database is the record's or lies behind it; keys before it were deleted. A digest has no order: every key that is
// not its own lies before it.
func (r *backupRecord) reaches(key []byte) bool {
	if r.kind == recordSet {
		return bytes.Compare(key, r.key) >= 0
	}
	return r.is(key)
}

// recordReader reads a backup's records, each within limits that are checked before memory is taken.
type recordReader struct {
	r    *bufio.Reader
	n    BackupCount
	last []byte
}

func newRecordReader(r io.Reader) *recordReader {
	return &recordReader{r: bufio.NewReaderSize(r, 64<<10)}
}

func (r *recordReader) fault(format string, args ...any) error {
	return fmt.Errorf("%w: record %d: %w", ErrBackup, r.n.Written+r.n.Kept+1, fmt.Errorf(format, args...))
}

// next returns the next record; after the end nothing may follow.
func (r *recordReader) next() (*backupRecord, error) {
	kind, err := r.r.ReadByte()
	if err != nil {
		return nil, r.fault("it ends without its end: %w", cutOff(err))
	}
	rec := &backupRecord{kind: kind}
	switch kind {
	case recordSet:
		if rec.key, err = r.bytes("key", maxKey); err != nil {
			return nil, err
		}
		if rec.value, err = r.bytes("value", MaxBlob); err != nil {
			return nil, err
		}
		if len(rec.key) == 0 || bytes.Compare(rec.key, r.last) <= 0 {
			return nil, r.fault("its key is not after the one before it")
		}
		r.last = rec.key
		r.n.Written++
	case recordKept:
		if _, err := io.ReadFull(r.r, rec.digest[:]); err != nil {
			return nil, r.fault("digest: %w", cutOff(err))
		}
		r.n.Kept++
	case recordEnd:
		count, err := binary.ReadUvarint(r.r)
		if err != nil {
			return nil, r.fault("count: %w", cutOff(err))
		}
		if all := uint64(r.n.Written + r.n.Kept); count != all {
			return nil, r.fault("the end says %d records, there were %d", count, all)
		}
		switch _, err := r.r.ReadByte(); { // read to the end of what is below, which authenticates it there
		case err == nil:
			return nil, r.fault("something follows the end")
		case !errors.Is(err, io.EOF):
			return nil, r.fault("end: %w", err)
		}
	default:
		return nil, r.fault("unknown kind %q", kind)
	}
	return rec, nil
}

func (r *recordReader) bytes(what string, limit uint64) ([]byte, error) {
	size, err := binary.ReadUvarint(r.r)
	if err != nil {
		return nil, r.fault("%s: %w", what, cutOff(err))
	}
	if size > limit {
		return nil, r.fault("%s of %d bytes, the limit is %d", what, size, limit)
	}
	var b bytes.Buffer // grown as bytes arrive: who announces much and sends nothing costs nothing
	b.Grow(int(min(size, 64<<10)))
	if _, err := io.CopyN(&b, r.r, int64(size)); err != nil {
		return nil, r.fault("%s: %w", what, cutOff(err))
	}
	return b.Bytes(), nil
}

// cutOff makes the end of the input an error where more was due.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
