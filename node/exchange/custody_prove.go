package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"proofmark/protocol"
)

// A proof that a copy is still there: behind the greeting the owner asks for one block of a copy (CopyQuestion) on a stream of CustodyProtocol; the holder
// answers with the hashes that lead from this block to the root of the file's hash tree, and with the block. What the two make of it is not known here.

const (
	maxProofHead = 8 << 10
	maxProofPath = 64 // levels of a tree
	// MaxCopyBlock bounds a block of a copy in bytes.
	MaxCopyBlock = chunk
)

// CopyQuestion asks for one block of a copy.
type CopyQuestion struct {
	SHA256 string `json:"sha256"` // of the whole file, hex
	Block  int64  `json:"block"`  // counted from 0
}

// CopyProof answers it.
type CopyProof struct {
	Missing string   // why the holder does not have the copy as it signed for it; the rest is empty then
	Path    [][]byte // hashes of 32 bytes, from the block upwards
	Block   []byte
}

type proofHead struct {
	Missing string   `json:"missing,omitempty"`
	Refusal string   `json:"refusal,omitempty"` // now; it says nothing of the copy
	Path    [][]byte `json:"path,omitempty"`
}

// ProveCopy asks a member for a block of a copy of size bytes. An error says that it could not be asked, or would not answer now.
func (x *Exchange) ProveCopy(ctx context.Context, to protocol.Country, q CopyQuestion, size int64) (out CopyProof, err error) {
	first, err := json.Marshal(struct {
		Prove CopyQuestion `json:"prove"`
	}{q})
	if err != nil {
		return CopyProof{}, err
	}
	err = x.visit(ctx, to, CustodyProtocol, first, func(l *link, s pipe) error {
		p := within(s, l.x.pace.answer+reading(size)) // it reads the whole file
		b, err := protocol.ReadFrame(p, maxProofHead)
		if err != nil {
			return fmt.Errorf("wait for its proof: %w", noEOF(err))
		}
		h, err := decodeProofHead(b)
		switch {
		case err != nil:
			return err
		case h.Refusal != "":
			return refusedError{h.Refusal}
		case h.Missing != "":
			out = CopyProof{Missing: h.Missing}
			return nil
		}
		if b, err = protocol.ReadFrame(patient{pipe: s, progress: l.x.pace.progress, until: time.Now().Add(l.x.pace.batch)}, MaxCopyBlock); err != nil {
			return fmt.Errorf("wait for the block: %w", noEOF(err))
		}
		out = CopyProof{Path: h.Path, Block: b}
		return nil
	})
	return out, err
}

// proveCopy answers a question.
func (l *link) proveCopy(s pipe, q CopyQuestion) error {
	if l.x.o.ProveCopy == nil {
		return refuseCopy(within(s, l.x.pace.hello), RefusedCopy{errors.New("this node gives no proofs")})
	}
	proof, err := l.x.o.ProveCopy(l.life, l.country, q)
	if err != nil {
		return refuseCopy(within(s, l.x.pace.hello), err)
	}
	p := within(s, l.x.pace.hello)
	if err := writeJSON(p, proofHead{Missing: printable(proof.Missing, maxRefusal), Path: proof.Path}); err != nil {
		return fmt.Errorf("prove a copy: %w", err)
	}
	if proof.Missing != "" {
		return nil
	}
	if err := protocol.WriteFrame(patient{pipe: s, progress: l.x.pace.progress, until: time.Now().Add(l.x.pace.batch)}, proof.Block); err != nil {
		return fmt.Errorf("prove a copy: %w", err)
	}
	return nil
}

func decodeProofHead(b []byte) (proofHead, error) {
	var h proofHead
	if err := protocol.CheckJSON(b, maxProofHead, 3); err != nil {
		return h, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return proofHead{}, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if len(h.Path) > maxProofPath {
		return proofHead{}, fmt.Errorf("%w: a path of %d hashes", errBadAnswer, len(h.Path))
	}
	for _, p := range h.Path {
		if len(p) != 32 {
			return proofHead{}, fmt.Errorf("%w: a hash of %d bytes", errBadAnswer, len(p))
		}
	}
	h.Refusal, h.Missing = printable(h.Refusal, maxRefusal), printable(h.Missing, maxRefusal)
	return h, nil
}
