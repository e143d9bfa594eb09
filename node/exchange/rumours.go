package exchange

import (
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"

	"proofmark/protocol"
)

// rumours counts what this side has sent about rosters and announced addresses: heads of questions and answers, and documents.
type rumours struct {
	heads, headBytes, documents, documentBytes atomic.Int64
}

func (r *rumours) head(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	r.heads.Add(1)
	r.headBytes.Add(int64(len(b)))
	return protocol.WriteFrame(w, b)
}

func (r *rumours) document(w io.Writer, d []byte) error {
	r.documents.Add(1)
	r.documentBytes.Add(int64(len(d)))
	return protocol.WriteFrame(w, d)
}
