package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// A stored entry holds the tree's hashes that it completed, from small to large, and then header and body byte for byte, because their
// hashes are in the tree: format byte, number of hashes, the hashes; header, salt, body hash and body, each after its length. A body of
// length 0 is an erased one.
const leafFormat = 2

const leafHead = 2 // bytes before the hashes

func encodeLeaf(l protocol.AuditLeaf, hashes []byte) []byte {
	return appendLeaf(make([]byte, 0, 16+len(hashes)+len(l.Header)+len(l.Salt)+len(l.BodyHash)+len(l.Body)), l, hashes)
}

func appendLeaf(out []byte, l protocol.AuditLeaf, hashes []byte) []byte {
	out = append(out, leafFormat, byte(len(hashes)/tlog.HashSize))
	out = append(out, hashes...)
	for _, part := range [][]byte{l.Header, l.Salt, l.BodyHash, l.Body} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

// cutHashes takes the hashes off a stored entry.
func cutHashes(b []byte) (hashes, rest []byte, err error) {
	if len(b) < leafHead || b[0] != leafFormat {
		return nil, nil, fmt.Errorf("%w: not an audit entry", ErrCorrupt)
	}
	size := int(b[1]) * tlog.HashSize
	if size == 0 || size > len(b)-leafHead {
		return nil, nil, fmt.Errorf("%w: an audit entry's hashes are cut short", ErrCorrupt)
	}
	return b[leafHead : leafHead+size : leafHead+size], b[leafHead+size:], nil
}

func decodeLeaf(b []byte) (l protocol.AuditLeaf, hashes []byte, err error) {
	hashes, b, err = cutHashes(b)
	if err != nil {
		return l, nil, err
	}
	var parts [4][]byte
	for i := range parts {
		size, rest, ok := cutUvarint(b)
		if !ok || size > uint64(len(rest)) {
			return l, nil, fmt.Errorf("%w: an audit entry is cut short", ErrCorrupt)
		}
		if size > 0 {
			parts[i] = rest[:size:size]
		}
		b = rest[size:]
	}
	l = protocol.AuditLeaf{Header: parts[0], Salt: parts[1], BodyHash: parts[2], Body: parts[3]}
	switch {
	case len(b) > 0:
		err = fmt.Errorf("%w: %d bytes after the end of an audit entry", ErrCorrupt, len(b))
	case len(l.BodyHash) != sha256.Size:
		err = fmt.Errorf("%w: an audit entry's body hash has %d bytes, want %d", ErrCorrupt, len(l.BodyHash), sha256.Size)
	case (l.Body == nil) != (l.Salt == nil):
		err = fmt.Errorf("%w: an audit entry has only one of salt and body", ErrCorrupt)
	}
	return l, hashes, err
}

// What few entries share has an index of entries: one key for each value of an entry. It comes from the body and goes when that is erased. Everything else is
// asked of whole blocks, see audit_block.go.
const (
	byObject = "o" // Object and Documents
	byCase   = "c"
)

// auditIndexPrefix is what the keys of all entries with this value begin with.
func auditIndexPrefix(kind, value string) string { return spaceAuditIndex + kind + escape(value) }

// newestFirst is the number of an entry or a block in an index key: later ones sort first.
func newestFirst(index int64) string { return number(^uint64(index)) }

// auditIndexKeys lists the index keys of an entry, without repetition. A value beyond what a key can hold is cut: whoever asks the
// index compares with the entry itself.
func auditIndexKeys(index int64, e protocol.AuditEntry) []string {
	keys := make([]string, 0, 2+len(e.Documents))
	add := func(kind, value string) {
		if value != "" {
			keys = append(keys, auditIndexPrefix(kind, indexed(value))+newestFirst(index))
		}
	}
	add(byCase, e.Case)
	add(byObject, e.Object)
	for _, d := range e.Documents {
		add(byObject, d)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// indexed is the part of a value that its index key holds.
func indexed(value string) string { return value[:min(len(value), 256)] }
