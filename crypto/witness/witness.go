// Package witness owns the rules by which members witness each other's audit logs: how a checkpoint is cosigned and who is believed to have done it,
// when a witness must not cosign, and which signed statements prove that a log was put back or forked. It knows neither network nor database.
//
// Forms: checkpoints after c2sp.org/tlog-checkpoint, cosignatures after c2sp.org/tlog-cosignature (cosignature/v1, Ed25519), decisions after
// c2sp.org/tlog-witness. A member signs its own checkpoints and cosigns those of others with one key, its log key of the roster, under one name, its
// log's origin; the two kinds of signature differ in their key id and in what they sign, so that none can stand for the other.
package witness

import (
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Limits on what is read.
const (
	MaxNote     = 48 << 10 // bytes of a checkpoint with all of its signatures
	MaxBareNote = 2 << 10  // bytes of a checkpoint with its log's own signature, or of a head
	MaxProof    = 63       // hashes of a consistency proof, as in c2sp.org/tlog-witness
	MaxWitness  = 64       // cosignatures on one checkpoint; sumdb/note reads no more than 100 signatures
)

// Errors that a caller decides on.
var (
	ErrUnsigned      = errors.New("no signature of the log's own key")
	ErrUnknownOrigin = errors.New("no member of the roster has a log of this name")
	ErrMalformed     = errors.New("malformed")
)

// Tree is the size of a log, in entries, and its root (RFC 6962).
type Tree = tlog.Tree

// Empty is a log without entries.
func Empty() Tree {
	root, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic("witness: the empty tree has no root: " + err.Error())
	}
	return Tree{Hash: root}
}

// Checkpoint is the signed head of a log.
type Checkpoint struct {
	Origin string
	Tree

	Text string // what was signed: origin, size and root, a line each
	Note string // the text with the signature of the log alone, whatever others have signed beneath it
}

// OpenCheckpoint verifies a checkpoint by its log's key. Signatures of others are left alone. A checkpoint with extension lines is refused: no log of
// the federation makes any.
func OpenCheckpoint(signed string, log note.Verifier) (Checkpoint, error) {
	c, _, err := openNote(signed, log, note.VerifierList(log))
	return c, err
}

// openNote verifies a checkpoint by all known verifiers, of which its log's own must have signed it, and returns the other good signatures too.
func openNote(signed string, log note.Verifier, known note.Verifiers) (c Checkpoint, others []note.Signature, err error) {
	origin := log.Name()
	if len(signed) > MaxNote {
		return c, nil, fmt.Errorf("checkpoint of %.80q: %w: %d bytes, the limit is %d", origin, ErrMalformed, len(signed), MaxNote)
	}
	n, err := note.Open([]byte(signed), known)
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return c, nil, fmt.Errorf("checkpoint of %.80q: %w", origin, ErrUnsigned)
	}
	if err != nil {
		return c, nil, fmt.Errorf("checkpoint of %.80q: %w: %w", origin, ErrMalformed, err)
	}
	if c.Tree, err = parseText(n.Text, origin); err != nil {
		return c, nil, err
	}
	c.Origin, c.Text = origin, n.Text
	for _, s := range n.Sigs {
		if s.Name == origin && s.Hash == log.KeyHash() {
			c.Note = n.Text + "\n" + line(s)
		} else {
			others = append(others, s)
		}
	}
	if c.Note == "" {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint of %.80q: %w", origin, ErrUnsigned)
	}
	return c, others, nil
}

// parseText reads the text of a checkpoint and makes sure that it is the only spelling.
func parseText(text, origin string) (Tree, error) {
	c, err := torchwood.ParseCheckpoint(text)
	switch {
	case err != nil:
		return Tree{}, fmt.Errorf("checkpoint of %.80q: %w: %w", origin, ErrMalformed, err)
	case c.Origin != origin:
		return Tree{}, fmt.Errorf("checkpoint of %.80q: %w: it names %.80q", origin, ErrMalformed, c.Origin)
	case c.Extension != "" || c.String() != text:
		return Tree{}, fmt.Errorf("checkpoint of %.80q: %w: want three lines, origin, size and root, and nothing else", origin, ErrMalformed)
	}
	return c.Tree, nil
}

func line(s note.Signature) string { return "— " + s.Name + " " + s.Base64 + "\n" }
