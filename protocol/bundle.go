package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits of an offline bundle before it is sealed.
const (
	MaxBundle        = 16 << 20 // bytes
	MaxBundleBatches = 64
	maxBundleHead    = 1 << 10
	bundleVersion    = 1
)

// ErrBadBundle marks a bundle that breaks its form.
var ErrBadBundle = errors.New("malformed bundle")

// SealedBatch is a batch as it travels: its signed manifest and the compressed messages that the manifest speaks of.
type SealedBatch struct {
	Manifest string // compact JWS
	Payload  []byte // zstd
}

// Bundle is what one country gives another on a medium: receipts for what it received, and batches of what the other has not acknowledged. It has no
// signature of its own: receipts and batches are signed.
type Bundle struct {
	From, To Country
	Made     time.Time
	Receipts []string
	Batches  []SealedBatch
}

// bundleHead is the first frame. Then follow so many receipts, one frame each, and so many batches, two frames each.
type bundleHead struct {
	Version  int       `json:"version"`
	From     Country   `json:"from"`
	To       Country   `json:"to"`
	Made     time.Time `json:"made"`
	Receipts int       `json:"receipts"`
	Batches  int       `json:"batches"`
}

func (h bundleHead) check() error {
	switch {
	case h.Version != bundleVersion:
		return fmt.Errorf("version %d, this node knows %d", h.Version, bundleVersion)
	case h.Receipts < 0 || h.Receipts > len(Channels):
		return fmt.Errorf("%d receipts, at most one for each of %d channels", h.Receipts, len(Channels))
	case h.Batches < 0 || h.Batches > MaxBundleBatches:
		return fmt.Errorf("%d batches, the limit is %d", h.Batches, MaxBundleBatches)
	case h.Made.IsZero():
		return errors.New("made: missing")
	}
	return checkEnds(h.From, h.To, Bulk)
}

// Encode joins the bundle's parts as frames (WriteFrame).
func (b *Bundle) Encode() ([]byte, error) {
	h := bundleHead{bundleVersion, b.From, b.To, b.Made.UTC().Truncate(time.Second), len(b.Receipts), len(b.Batches)}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadBundle, err)
	}
	head, err := encode(h)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	frames := [][]byte{head}
	for _, r := range b.Receipts {
		frames = append(frames, []byte(r))
	}
	for _, s := range b.Batches {
		frames = append(frames, []byte(s.Manifest), s.Payload)
	}
	var out bytes.Buffer
	for _, f := range frames {
		if err := WriteFrame(&out, f); err != nil { // a Buffer does not fail
			return nil, err
		}
	}
	if out.Len() > MaxBundle {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrBadBundle, out.Len(), MaxBundle)
	}
	return out.Bytes(), nil
}

// DecodeBundle splits a bundle into its parts. Signatures are the caller's to check.
func DecodeBundle(raw []byte) (*Bundle, error) {
	if len(raw) > MaxBundle {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrBadBundle, len(raw), MaxBundle)
	}
	r := bytes.NewReader(raw)
	frame := func(what string, limit int) ([]byte, error) {
		b, err := ReadFrame(r, limit)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrBadBundle, what, err)
		}
		return b, nil
	}
	head, err := frame("head", maxBundleHead)
	if err != nil {
		return nil, err
	}
	if err := CheckJSON(head, maxBundleHead, 2); err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrBadBundle, err)
	}
	var h bundleHead
	if err := strict(json.RawMessage(head), &h); err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrBadBundle, err)
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("%w: head: %w", ErrBadBundle, err)
	}
	b := &Bundle{From: h.From, To: h.To, Made: h.Made}
	for i := range h.Receipts {
		f, err := frame(fmt.Sprintf("receipt %d", i+1), 2*MaxReceipt)
		if err != nil {
			return nil, err
		}
		b.Receipts = append(b.Receipts, string(f))
	}
	for i := range h.Batches {
		m, err := frame(fmt.Sprintf("manifest %d", i+1), 2*MaxManifest)
		if err != nil {
			return nil, err
		}
		p, err := frame(fmt.Sprintf("batch %d", i+1), MaxBatch)
		if err != nil {
			return nil, err
		}
		b.Batches = append(b.Batches, SealedBatch{string(m), p})
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind its last part", ErrBadBundle, r.Len())
	}
	return b, nil
}
