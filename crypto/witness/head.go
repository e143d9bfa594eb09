package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// headForm is the first line of a head. No checkpoint can begin like this: its second line would have to be a number.
const headForm = "proofmark log head v1"

// Head is what a log says, signed with its own key, when it asks a witness for a cosignature: what the witness has shown it, and what it has. It says
// nothing that an honest log could not stand by for ever, so where it contradicts the checkpoint that was shown, it proves that the log was put back or
// forked, without trust in any clock or in the witness.
type Head struct {
	Origin string
	Shown  Tree      // the checkpoint that the witness holds; Empty where it holds none
	Past   tlog.Hash // the log's own root at that size; zero where the log is smaller
	Newest Tree      // the log's newest checkpoint, which is to be cosigned
	Proof  [32]byte  // SHA-256 of the hashes of the consistency proof from Shown to Newest that goes with it (ProofSum)
	At     time.Time // by the log's clock, whole seconds; nothing is decided by it

	Restored *Restored // the log was brought back from a backup, and says so
}

// Restored is a declared restore.
type Restored struct {
	ID   string // of the restore, 32 hex digits
	Base Tree   // where the log ended in the backup
}

// ProofSum is what a head says of its consistency proof.
func ProofSum(p tlog.TreeProof) [32]byte {
	h := sha256.New()
	for _, x := range p {
		h.Write(x[:])
	}
	return [32]byte(h.Sum(nil))
}

// SignHead signs a head as the log that it is of.
func SignHead(h Head, log note.Signer) (string, error) {
	if h.Origin != log.Name() {
		return "", fmt.Errorf("head of %.80q: the signer is %.80q", h.Origin, log.Name())
	}
	text := h.text()
	if back, err := parseHead(text); err != nil || back.text() != text {
		return "", fmt.Errorf("head of %.80q: %w", h.Origin, errors.Join(ErrMalformed, err))
	}
	b, err := note.Sign(&note.Note{Text: text}, log)
	if err != nil {
		return "", fmt.Errorf("head of %.80q: %w", h.Origin, err)
	}
	return string(b), nil
}

// OpenHead verifies a head by its log's key.
func OpenHead(signed string, log note.Verifier) (Head, error) {
	if len(signed) > MaxBareNote {
		return Head{}, fmt.Errorf("head of %.80q: %w: %d bytes, the limit is %d", log.Name(), ErrMalformed, len(signed), MaxBareNote)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(log))
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return Head{}, fmt.Errorf("head of %.80q: %w", log.Name(), ErrUnsigned)
	}
	if err != nil {
		return Head{}, fmt.Errorf("head of %.80q: %w: %w", log.Name(), ErrMalformed, err)
	}
	h, err := parseHead(n.Text)
	if err == nil && h.Origin != log.Name() {
		err = fmt.Errorf("%w: it is of %.80q", ErrMalformed, h.Origin)
	}
	if err != nil {
		return Head{}, fmt.Errorf("head of %.80q: %w", log.Name(), err)
	}
	return h, nil
}

func (h Head) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\nshown %s\npast %s\nnewest %s\nproof %x\nat %s\n",
		headForm, h.Origin, treeText(h.Shown), h.Past, treeText(h.Newest), h.Proof, h.At.UTC().Format(time.RFC3339))
	if h.Restored != nil {
		fmt.Fprintf(&b, "restored %s %s\n", h.Restored.ID, treeText(h.Restored.Base))
	}
	return b.String()
}

func treeText(t Tree) string { return strconv.FormatInt(t.N, 10) + " " + t.Hash.String() }

func parseHead(text string) (Head, error) {
	var h Head
	lines := strings.Split(text, "\n")
	if (len(lines) != 8 && len(lines) != 9) || lines[0] != headForm || lines[1] == "" || lines[len(lines)-1] != "" {
		return h, fmt.Errorf("%w: want %q and six or seven lines after it", ErrMalformed, headForm)
	}
	h.Origin = lines[1]
	var past, proof, at string
	for i, part := range []struct {
		name string
		to   *string
	}{{"past", &past}, {"proof", &proof}, {"at", &at}} {
		n := []int{3, 5, 6}[i]
		rest, ok := strings.CutPrefix(lines[n], part.name+" ")
		if !ok {
			return h, fmt.Errorf("%w: line %d is not %q", ErrMalformed, n+1, part.name)
		}
		*part.to = rest
	}
	var err error
	if h.Shown, err = parseTree(lines[2], "shown "); err != nil {
		return h, err
	}
	if h.Newest, err = parseTree(lines[4], "newest "); err != nil {
		return h, err
	}
	if h.Past, err = tlog.ParseHash(past); err != nil {
		return h, fmt.Errorf("%w: past: %w", ErrMalformed, err)
	}
	sum, err := hex.DecodeString(proof)
	if err != nil || len(sum) != len(h.Proof) {
		return h, fmt.Errorf("%w: proof: want 64 hex digits", ErrMalformed)
	}
	copy(h.Proof[:], sum)
	if h.At, err = time.Parse(time.RFC3339, at); err != nil {
		return h, fmt.Errorf("%w: at: %w", ErrMalformed, err)
	}
	if len(lines) == 9 {
		if h.Restored, err = parseRestored(lines[7]); err != nil {
			return h, err
		}
	}
	if h.text() != text {
		return h, fmt.Errorf("%w: not in its canonical form", ErrMalformed)
	}
	return h, nil
}

func parseRestored(s string) (*Restored, error) {
	rest, ok := strings.CutPrefix(s, "restored ")
	id, tree, ok2 := strings.Cut(rest, " ")
	if b, err := hex.DecodeString(id); !ok || !ok2 || err != nil || len(b) != 16 {
		return nil, fmt.Errorf("%w: restored: want 32 hex digits, size and root", ErrMalformed)
	}
	base, err := parseTree(tree, "")
	if err != nil {
		return nil, fmt.Errorf("restored: %w", err)
	}
	return &Restored{ID: id, Base: base}, nil
}

func parseTree(s, prefix string) (Tree, error) {
	rest, ok := strings.CutPrefix(s, prefix)
	size, root, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 {
		return Tree{}, fmt.Errorf("%w: %q, size and root are wanted", ErrMalformed, prefix)
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 {
		return Tree{}, fmt.Errorf("%w: %qsize %.40q", ErrMalformed, prefix, size)
	}
	hash, err := tlog.ParseHash(root)
	if err != nil {
		return Tree{}, fmt.Errorf("%w: %qroot %.60q", ErrMalformed, prefix, root)
	}
	return Tree{N: n, Hash: hash}, nil
}
