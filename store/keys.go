package store

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Every key begins with a letter that says whose it is; names within a key end in a zero byte, values of indexes are escaped.
//
//	v                                         format version
//	r key                                     raw records
//	c collection 0 id                         records of collections
//	i collection 0 index 0 esc(value) id      their secondary indexes
//	n collection                              number of records
//	b hash / B hash                           a blob's bytes / number of references
//	l number                                  audit entries with the tree's hashes that they completed
//	x kind esc(value) ^number                 audit entries by object and case, newest first
//	p                                         the signed checkpoint
//	k                                         nothing: see writeOutMemory
//	t block / T era                           earliest and latest time within a whole block of audit entries / within many of them
//	y kind esc(value) ^block                  which entries of a whole block have a value, newest first: see blockSet
//	u                                         form of the audit log's indexes
//	q peer 0 channel 0 number                 intents
//	d peer 0 channel 0 document               the intent of a document
//	o peer 0 channel                          outgoing channel
//	m peer 0 channel 0 seq                    a message's hash and, until it is acknowledged, what makes it
//	e peer 0 channel                          incoming channel
//	z esc(actor) key / Z time esc(actor) key  results of idempotent commands / when to forget them
const (
	keyFormat     = "v"
	keyCheckpoint = "p"
	keyDropped    = "k"
	keyIndexed    = "u"

	spaceRaw        = "r"
	spaceRecord     = "c"
	spaceIndex      = "i"
	spaceCount      = "n"
	spaceBlob       = "b"
	spaceBlobRefs   = "B"
	spaceLeaf       = "l"
	spaceAuditIndex = "x"
	spaceTimes      = "t"
	spaceEras       = "T"
	spaceBlock      = "y"
	spaceIntent     = "q"
	spaceQueued     = "d"
	spaceOut        = "o"
	spaceMessage    = "m"
	spaceIn         = "e"
	spaceOnce       = "z"
	spaceOnceTime   = "Z"
)

// maxKey keeps keys below Badger's limit of 65,000 bytes.
const maxKey = 60_000

// present is the value of keys that say all by being there.
var present = []byte{1}

const escEnd = "\x00\x01"

// escape appends an order-preserving form of value that may stand in the middle of a key: a zero byte becomes 00 FF, the end is 00 01,
// so that a value sorts before every longer one that it begins.
func escape(value string) string { return escapePrefix(value) + escEnd }

// escapePrefix is escape without the end: what the escaped forms of all values with this prefix begin with.
func escapePrefix(value string) string {
	if strings.IndexByte(value, 0) < 0 {
		return value
	}
	return strings.ReplaceAll(value, "\x00", "\x00\xff")
}

// cutEscaped splits a key's rest into the escaped value's plain form and what follows it.
func cutEscaped(s string) (value, rest string, ok bool) {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != 0 {
			continue
		}
		switch s[i+1] {
		case 0x01:
			return strings.ReplaceAll(s[:i], "\x00\xff", "\x00"), s[i+2:], true
		case 0xff:
			i++
		default:
			return "", "", false
		}
	}
	return "", "", false
}

func number(n uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return string(b[:])
}

func parseNumber(s string) (uint64, error) {
	if len(s) != 8 {
		return 0, fmt.Errorf("%w: a number in a key has %d bytes", ErrCorrupt, len(s))
	}
	return binary.BigEndian.Uint64([]byte(s)), nil
}

// checkName refuses what would be ambiguous inside a key.
func checkName(what, name string) error {
	if name == "" || len(name) > 1024 || strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("%s %.40q: want 1 to 1024 bytes without a zero byte", what, name)
	}
	return nil
}
