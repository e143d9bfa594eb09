package store

import (
	"encoding/binary"
	"fmt"

	"proofmark/protocol"
)

// A stored leaf keeps header and body byte for byte, because their hashes are in the tree: format byte, then header, salt, body hash
// and body, each after its length. A body of length 0 is an erased one.
const leafFormat = 1

func encodeLeaf(l protocol.AuditLeaf) []byte {
	out := append(make([]byte, 0, 16+len(l.Header)+len(l.Salt)+len(l.BodyHash)+len(l.Body)), leafFormat)
	for _, part := range [][]byte{l.Header, l.Salt, l.BodyHash, l.Body} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

func decodeLeaf(b []byte) (protocol.AuditLeaf, error) {
	if len(b) == 0 || b[0] != leafFormat {
		return protocol.AuditLeaf{}, fmt.Errorf("%w: not an audit entry", ErrCorrupt)
	}
	b = b[1:]
	var parts [4][]byte
	for i := range parts {
		size, rest, ok := cutUvarint(b)
		if !ok || size > uint64(len(rest)) {
			return protocol.AuditLeaf{}, fmt.Errorf("%w: an audit entry is cut short", ErrCorrupt)
		}
		if size > 0 {
			parts[i] = rest[:size:size]
		}
		b = rest[size:]
	}
	l := protocol.AuditLeaf{Header: parts[0], Salt: parts[1], BodyHash: parts[2], Body: parts[3]}
	switch {
	case len(b) > 0:
		return l, fmt.Errorf("%w: %d bytes after the end of an audit entry", ErrCorrupt, len(b))
	case len(l.BodyHash) != 32:
		return l, fmt.Errorf("%w: an audit entry's body hash has %d bytes, want 32", ErrCorrupt, len(l.BodyHash))
	case (l.Body == nil) != (l.Salt == nil):
		return l, fmt.Errorf("%w: an audit entry has only one of salt and body", ErrCorrupt)
	}
	return l, nil
}

// The audit indexes. All but counterpart come from the body and go when it is erased.
const (
	byObject      = "o" // Object and Documents
	byCounterpart = "k"
	byCase        = "c"
	byActor       = "a"
)

// auditIndexPrefix is what the keys of all entries with this value begin with.
func auditIndexPrefix(kind, value string) string { return spaceAuditIndex + kind + escape(value) }

// newestFirst is an entry's number in an index key: later entries sort first.
func newestFirst(index int64) string { return number(^uint64(index)) }

// auditIndexKeys lists the index keys of an entry, without repetition. A value beyond what a key can hold is cut: whoever asks the
// index compares with the entry itself.
func auditIndexKeys(index int64, e protocol.AuditEntry) []string {
	keys := make([]string, 0, 4+len(e.Documents))
	seen := func(key string) bool {
		for _, k := range keys {
			if k == key {
				return true
			}
		}
		return false
	}
	add := func(kind, value string) {
		if value == "" {
			return
		}
		if key := auditIndexPrefix(kind, indexed(value)) + newestFirst(index); !seen(key) {
			keys = append(keys, key)
		}
	}
	add(byCounterpart, e.Counterpart)
	add(byCase, e.Case)
	add(byActor, e.Actor)
	add(byObject, e.Object)
	for _, d := range e.Documents {
		add(byObject, d)
	}
	return keys
}

// indexed is the part of a value that its index key holds.
func indexed(value string) string { return value[:min(len(value), 256)] }
