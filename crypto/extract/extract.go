// Package extract owns the form in which a part of an audit log leaves its node: rows that people and spreadsheets read, with all that proves that they
// are entries of the log whose signed checkpoint stands beside them, and that none was changed. It refuses to know who may have it and where the entries
// come from.
//
// An extract holds the chosen entries in their order. Before each row stand the hashes of the subtrees that cover what lies between it and the row before
// (RFC 6962 §2.1, aligned, as large as they can be, from left to right), and after the last row those of the rest. Whoever hashes the rows and puts all
// together in this order gets the root that the checkpoint signs, with a memory of one hash for each level of the tree.
package extract

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// Format names the form; another number would be another form.
const Format = "proofmark-audit-extract/1"

// ErrExtract: the file is no extract, or not of the log that it claims.
var ErrExtract = errors.New("not a true extract of an audit log")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrExtract, fmt.Sprintf(format, args...))
}

// part is the hash of one aligned subtree of 1<<level entries.
type part struct {
	level int
	hash  tlog.Hash
}

// cover cuts the entries from a to before b into aligned subtrees and reads their hashes.
func cover(a, b int64, hashes tlog.HashReader) ([]part, error) {
	var out []part
	var indexes []int64
	for a < b {
		level := bits.Len64(uint64(b-a)) - 1
		if a > 0 {
			level = min(level, bits.TrailingZeros64(uint64(a)))
		}
		out = append(out, part{level: level})
		indexes = append(indexes, tlog.StoredHashIndex(level, a>>level))
		a += 1 << level
	}
	if len(out) == 0 {
		return nil, nil
	}
	read, err := hashes.ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].hash = read[i]
	}
	return out, nil
}

// spell writes subtrees as level:hash, with spaces between.
func spell(parts []part) string {
	words := make([]string, len(parts))
	for i, p := range parts {
		words[i] = strconv.Itoa(p.level) + ":" + base64.StdEncoding.EncodeToString(p.hash[:])
	}
	return strings.Join(words, " ")
}

// maxParts is twice the levels of the largest tree: more are never needed between two rows.
const maxParts = 2 * 63

func readParts(text string) ([]part, error) {
	if text == "" {
		return nil, nil
	}
	words := strings.SplitN(text, " ", maxParts+1)
	if len(words) > maxParts {
		return nil, wrong("more than %d subtrees between two rows", maxParts)
	}
	out := make([]part, len(words))
	for i, w := range words {
		level, hash, _ := strings.Cut(w, ":")
		n, err := strconv.Atoi(level)
		if err != nil || n < 0 || n > 62 || strconv.Itoa(n) != level {
			return nil, wrong("%.20q is no level of a tree", level)
		}
		b, err := base64.StdEncoding.Strict().DecodeString(hash)
		if err != nil || len(b) != tlog.HashSize {
			return nil, wrong("%.60q is no hash", hash)
		}
		out[i].level = n
		copy(out[i].hash[:], b)
	}
	return out, nil
}

// roots puts a tree together from left to right.
type roots struct {
	size int64
	edge []part
}

func (r *roots) add(p part) error {
	if r.size&(1<<p.level-1) != 0 || r.size > 1<<62-1<<p.level {
		return wrong("a subtree of %d entries cannot begin at entry %d", int64(1)<<p.level, r.size)
	}
	r.size += 1 << p.level
	for len(r.edge) > 0 && r.edge[len(r.edge)-1].level == p.level {
		p = part{p.level + 1, tlog.NodeHash(r.edge[len(r.edge)-1].hash, p.hash)}
		r.edge = r.edge[:len(r.edge)-1]
	}
	r.edge = append(r.edge, p)
	return nil
}

func (r *roots) root() tlog.Hash {
	if len(r.edge) == 0 {
		empty, _ := tlog.TreeHash(0, nil) // of no entries it reads nothing
		return empty
	}
	h := r.edge[len(r.edge)-1].hash
	for i := len(r.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(r.edge[i].hash, h)
	}
	return h
}

// row is one entry with what lies before it.
type row struct {
	index int64
	gap   string
	leaf  protocol.AuditLeaf
}

// Columns are the readable cells of a row, in their order; those that prove it follow.
var Columns = []string{"entry", "time", "day", "actor", "action", "decision", "ground", "counterpart", "type", "kind", "object", "case", "event", "purpose", "justification",
	"policies", "policy_version", "handling", "handling_says", "withheld", "documents", "channel", "seq", "details"}

var proving = []string{"header", "salt", "body", "body_hash", "before"}
