package dispatch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"proofmark/crypto"
	"proofmark/protocol"
)

// decompressor produces no more than the room it is given, whatever the bytes claim.
var decompressor, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(protocol.MaxBatch), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(2))

// opened is a document whose signature is good and whose issuer is the sender.
type opened struct {
	signed []byte // as it was signed
	doc    *protocol.Document
}

// incoming is a message that was verified outside the transaction.
type incoming struct {
	msg    *protocol.Message
	hash   string
	header protocol.Header // of the document, as far as it could be read
	opened                 // zero where it could not be opened
	fault  error           // why not; the message still takes its place in the channel
}

func (d *Dispatch) openManifest(from protocol.Country, keys crypto.KeySet, manifest string) (*protocol.Manifest, error) {
	b, kid, err := crypto.Verify(manifest, crypto.TypeBatch, keys, 2*protocol.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("batch from %s: %w: %w", from, ErrForged, err)
	}
	if err := d.inUse(from, kid, d.Now()); err != nil {
		return nil, fmt.Errorf("batch from %s: %w", from, err)
	}
	m, err := protocol.DecodeManifest(b)
	if err != nil {
		return nil, fmt.Errorf("batch from %s: %w", from, err)
	}
	if m.From != from || m.To != d.Country {
		return nil, fmt.Errorf("batch from %s: %w: it was signed for the way from %s to %s", from, ErrForged, m.From, m.To)
	}
	// A batch may be old, on a medium; one from the future has a clock at fault, its sender's or this node's: it waits until that is set. Its documents
	// may say that they were issued later: that is how they look which a node issued while its clock was ahead, and nobody can issue them again.
	if ahead := m.Sent.Sub(d.Now()); ahead > protocol.MaxClockSkew {
		return nil, fmt.Errorf("batch from %s: %w: it says it was sent %s from now", from, ErrClock, ahead.Round(time.Second))
	}
	return m, nil
}

// openBatch decompresses, splits and verifies every message and document. What is wrong with the chain refuses the batch; what is wrong with
// one document is kept beside it.
func (d *Dispatch) openBatch(m *protocol.Manifest, keys crypto.KeySet, payload []byte) ([]incoming, error) {
	if len(payload) > protocol.MaxBatch {
		return nil, fmt.Errorf("%w: %d compressed bytes, the limit is %d", protocol.ErrBadMessage, len(payload), protocol.MaxBatch)
	}
	if sum := sha256.Sum256(payload); hex.EncodeToString(sum[:]) != m.SHA256 {
		return nil, fmt.Errorf("%w: the bytes are not those that were signed", ErrForged)
	}
	joined, err := decompressor.DecodeAll(payload, make([]byte, 0, m.Size))
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", protocol.ErrBadMessage, err)
	}
	if len(joined) != m.Size {
		return nil, fmt.Errorf("%w: %d bytes after decompression, %d announced", protocol.ErrBadMessage, len(joined), m.Size)
	}
	raw, err := protocol.SplitMessages(joined, m.Count)
	if err != nil {
		return nil, err
	}
	out := make([]incoming, len(raw))
	for i, b := range raw {
		msg, err := protocol.DecodeMessage(b)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", m.First+uint64(i), err)
		}
		if msg.From != m.From || msg.To != m.To || msg.Channel != m.Channel || msg.Seq != m.First+uint64(i) {
			return nil, fmt.Errorf("message %d: %w: it belongs to %s>%s/%s %d", m.First+uint64(i), ErrForged, msg.From, msg.To, msg.Channel, msg.Seq)
		}
		if i > 0 && msg.Prev != out[i-1].hash {
			return nil, fmt.Errorf("message %d: %w: it does not follow the message before it", msg.Seq, ErrForged)
		}
		out[i] = incoming{msg: msg, hash: protocol.MessageHash(b)}
	}
	if out[len(out)-1].hash != m.Head {
		return nil, fmt.Errorf("%w: the last message is not the head that was signed", ErrForged)
	}
	d.openDocuments(out, keys)
	return out, nil
}

// openDocuments opens the documents of a batch on all processors: nearly all of a batch's time goes into their signatures.
func (d *Dispatch) openDocuments(list []incoming, keys crypto.KeySet) {
	var next atomic.Int64
	var wg sync.WaitGroup
	var broken atomic.Value
	work := func() {
		defer func() { // a panic belongs to the caller, who contains it
			if p := recover(); p != nil {
				broken.CompareAndSwap(nil, fmt.Sprintf("%v\n%s", p, debug.Stack()))
			}
		}()
		for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
			in := &list[i]
			in.header, in.opened, in.fault = d.openDocument(in.msg, keys)
		}
	}
	for range min(runtime.GOMAXPROCS(0), len(list)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if p := broken.Load(); p != nil {
		panic(p)
	}
}

// openDocument verifies the issuer's signature and opens the document with the disclosures that came with it.
func (d *Dispatch) openDocument(msg *protocol.Message, keys crypto.KeySet) (protocol.Header, opened, error) {
	payload, kid, err := crypto.Verify(msg.Document, crypto.TypeDocument, keys, 2*protocol.MaxDocument)
	if err != nil {
		return protocol.Header{}, opened{}, fmt.Errorf("document: %w: %w", ErrForged, err)
	}
	doc, err := protocol.Open(payload, msg.Disclosures)
	switch {
	case doc == nil:
		return protocol.Header{}, opened{}, err
	case doc.Issuer != msg.From: // of a type that nobody knows, too
		return doc.Header, opened{}, fmt.Errorf("document: %w: issued by %s, sent by %s", ErrForged, doc.Issuer, msg.From)
	case err != nil:
		return doc.Header, opened{}, err
	}
	if err := d.inUse(msg.From, kid, doc.Issued); err != nil { // an old key proves what was issued before its end, and nothing after
		return doc.Header, opened{}, fmt.Errorf("document: %w", err)
	}
	return doc.Header, opened{payload, doc}, nil
}
