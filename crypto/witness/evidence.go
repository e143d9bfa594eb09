package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// ErrNoContradiction: what was given as evidence can all be true.
var ErrNoContradiction = errors.New("the checkpoints do not contradict each other")

// MaxEvidence bounds evidence in its JSON form, in bytes.
const MaxEvidence = 16 << 10

// Evidence are two checkpoints of one log that cannot both be true. It proves itself: whoever has the log's public key needs to trust nobody else.
type Evidence struct {
	First string      `json:"first"`           // checkpoint that was known before
	Then  string      `json:"then"`            // checkpoint that was offered later
	Head  string      `json:"head,omitempty"`  // what the log signed about the two; not needed where they have the same size
	Proof []tlog.Hash `json:"proof,omitempty"` // that the log gave, from the first to the other
}

// Finding is what evidence proves.
type Finding struct {
	Verdict  Verdict // Rollback, Fork or Unproven
	First    Checkpoint
	Then     Checkpoint
	Head     *Head     // nil: the two checkpoints are enough
	Restored *Restored // the log declared a restore when it signed the later one
}

// NewEvidence puts together what contradicts what is held.
func NewEvidence(held Checkpoint, head string, o Offer) Evidence {
	return Evidence{First: held.Note, Then: o.New.Note, Head: head, Proof: o.Proof}
}

// ID names the evidence: the same two checkpoints with the same head have the same one. 32 hex digits.
func (e Evidence) ID() string {
	sum := sha256.Sum256([]byte(e.First + "\x00" + e.Then + "\x00" + e.Head))
	return hex.EncodeToString(sum[:16])
}

// Check verifies evidence by the log's key: ErrNoContradiction where it proves nothing.
func (e Evidence) Check(log note.Verifier) (Finding, error) {
	var f Finding
	var err error
	if f.First, err = bare(e.First, log); err != nil {
		return f, fmt.Errorf("first checkpoint: %w", err)
	}
	if f.Then, err = bare(e.Then, log); err != nil {
		return f, fmt.Errorf("second checkpoint: %w", err)
	}
	if e.Head == "" {
		if f.First.N != f.Then.N || f.First.Hash == f.Then.Hash || len(e.Proof) > 0 {
			return f, fmt.Errorf("checkpoints of %d and %d entries alone: %w", f.First.N, f.Then.N, ErrNoContradiction)
		}
		f.Verdict = Fork
		return f, nil
	}
	h, err := OpenHead(e.Head, log)
	if err != nil {
		return f, err
	}
	o := Offer{Head: h, New: f.Then, Proof: e.Proof}
	if err := o.check(); err != nil {
		return f, err
	}
	if h.Shown != f.First.Tree {
		return f, fmt.Errorf("head over %d entries, the first checkpoint has %d: %w", h.Shown.N, f.First.N, ErrNoContradiction)
	}
	if f.Verdict = judge(f.First.Tree, o); !f.Verdict.Contradicts() {
		return f, fmt.Errorf("checkpoints of %d and %d entries: %w", f.First.N, f.Then.N, ErrNoContradiction)
	}
	f.Head, f.Restored = &h, h.Restored
	return f, nil
}

// bare opens a checkpoint that has nothing but its log's signature, so that evidence has one spelling.
func bare(signed string, log note.Verifier) (Checkpoint, error) {
	if len(signed) > MaxBareNote {
		return Checkpoint{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, len(signed), MaxBareNote)
	}
	c, err := OpenCheckpoint(signed, log)
	if err == nil && c.Note != signed {
		err = fmt.Errorf("checkpoint of %.80q: %w: more than its log's signature", c.Origin, ErrMalformed)
	}
	return c, err
}

// ParseEvidence reads evidence in its JSON form. Nothing is verified yet.
func ParseEvidence(b []byte) (Evidence, error) {
	var e Evidence
	if err := protocol.CheckJSON(b, MaxEvidence, 3); err != nil {
		return e, fmt.Errorf("evidence: %w: %w", ErrMalformed, err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return Evidence{}, fmt.Errorf("evidence: %w: %w", ErrMalformed, err)
	}
	if len(e.Proof) > MaxProof {
		return Evidence{}, fmt.Errorf("evidence: %w: a proof of %d hashes, the limit is %d", ErrMalformed, len(e.Proof), MaxProof)
	}
	return e, nil
}
