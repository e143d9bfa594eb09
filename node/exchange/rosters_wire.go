package exchange

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"proofmark/crypto/roster"
	"proofmark/protocol"
)

// Limits of one exchange about rosters.
const (
	maxAsk       = 1 << 20                // bytes of a request's or an answer's head
	maxHashes    = 256                    // versions that an answer names
	maxMarks     = 2048                   // announcements that an answer names, or that are asked for
	roomRosters  = 2 * roster.MaxDocument // bytes of documents in one answer, or one document
	roomRecords  = 512 << 10              // bytes of announcements in a head
	maxRounds    = 64                     // answers in one go
	rosterServed = 2                      // streams of one member at once
	givers       = 4                      // members that are given documents at once; the others are given them by these
	sentAway     = 3                      // times that a member is sent away before it is given them beside those
)

// ask opens an exchange about rosters.
type ask struct {
	Version   int      `json:"version"`             // in force at the asker, 0: none
	Hash      string   `json:"hash"`                // of that version
	After     int      `json:"after"`               // versions after this one are wanted; -1: none
	Digest    string   `json:"digest,omitempty"`    // of the announcements that the asker knows
	Want      []string `json:"want,omitempty"`      // announcements that are wanted, by their marks
	Addresses []string `json:"addresses,omitempty"` // announcements that the other side lacks
}

// tell answers; Count documents follow, a frame each.
type tell struct {
	Version   int      `json:"version"`
	Hashes    []string `json:"hashes"` // of the versions in force up to Version, the last ones: one, where the asker's is one of the chain
	Digest    string   `json:"digest,omitempty"`
	Marks     []string `json:"marks,omitempty"`     // of all announcements known here, where the asker's digest is another one
	Addresses []string `json:"addresses,omitempty"` // announcements that were asked for
	Busy      bool     `json:"busy,omitempty"`      // documents are there, and go to others at this moment
	Count     int      `json:"count"`
}

var errRosters = errors.New("malformed exchange about rosters")

func decodeHead[T any](b []byte) (v T, err error) {
	if err := protocol.CheckJSON(b, maxAsk, 3); err != nil {
		return v, fmt.Errorf("%w: %w", errRosters, err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("%w: %w", errRosters, err)
	}
	return v, nil
}

func (t tell) check() error {
	if t.Version < 0 || len(t.Hashes) > maxHashes || len(t.Hashes) > t.Version || t.Version > 0 && len(t.Hashes) == 0 || t.Count < 0 || t.Count > 64 || len(t.Marks) > maxMarks {
		return fmt.Errorf("%w: version %d with %d hashes, %d documents and %d announcements", errRosters, t.Version, len(t.Hashes), t.Count, len(t.Marks))
	}
	return nil
}

// state identifies what a side has.
func (t tell) state() string {
	if len(t.Hashes) == 0 {
		return t.Digest
	}
	return t.Hashes[len(t.Hashes)-1] + t.Digest
}

// divergence is the first version that both sides have and that is not the same, 0 if there is none.
func (t tell) divergence(ours []string) int {
	first := t.Version - len(t.Hashes) + 1
	for i, h := range t.Hashes {
		if v := first + i; v <= len(ours) && ours[v-1] != h {
			return v
		}
	}
	return 0
}

// announcements are those that this side knows, with their marks and the digest of these.
type announcements struct {
	records, marks []string
	digest         string
}

// known reads the announcements; marks and digest are made anew when they have changed.
func (x *Exchange) known() *announcements {
	records := x.o.Rosters.Announcements()
	if last := x.announcements.Load(); last != nil && slices.Equal(last.records, records) {
		return last
	}
	a := &announcements{records: records, marks: marks(records)}
	a.digest = digest(a.marks)
	x.announcements.Store(a)
	return a
}

// marks name signed announcements: 96 bits of the SHA-256 of each.
func marks(records []string) []string {
	out := make([]string, len(records))
	for i, r := range records {
		sum := sha256.Sum256([]byte(r))
		out[i] = base64.RawURLEncoding.EncodeToString(sum[:12])
	}
	return out
}

// digest is one mark for a set of them; none has the empty one.
func digest(marks []string) string {
	if len(marks) == 0 {
		return ""
	}
	marks = slices.Sorted(slices.Values(marks))
	sum := sha256.Sum256([]byte(strings.Join(marks, "\n")))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// fitting cuts announcements to what fits into a head.
func fitting(records []string) []string {
	room := roomRecords
	for i, r := range records {
		if room -= len(r) + 3; room < 0 {
			return records[:i]
		}
	}
	return records
}
