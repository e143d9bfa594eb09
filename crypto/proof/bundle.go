package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// Limits of a bundle, checked before anything is parsed.
const (
	MaxBundle  = 8 << 20  // bytes
	maxProof   = 48 << 10 // of one inclusion proof with its checkpoint
	maxHeader  = 1 << 10  // of an entry's header
	maxBody    = 1 << 20  // of an entry's body
	maxLinks   = protocol.MaxBatchCount
	maxEntries = 2
	bundleForm = "proofmark-proof/1"
)

// ErrBundle marks a bundle that cannot be read, or contradicts itself.
var ErrBundle = errors.New("not a proof bundle that holds together")

// Bundle proves one entry of a country's audit log to somebody who has the roster and nothing else.
type Bundle struct {
	Format  string           `json:"format"`
	Country protocol.Country `json:"country"` // whose log it is
	// Entries begins with the entry that is proved. The second, of a disclosure, is the one that noted the receipt for it.
	Entries []Entry `json:"entries"`

	// Of a disclosure, where they are kept. Message is what went to the other country, byte for byte; Receipt what that country signed; Links are the messages
	// between the two where the receipt was given for a later message, each of which names the hash of the one before.
	Message []byte   `json:"message,omitempty"`
	Receipt string   `json:"receipt,omitempty"`
	Links   [][]byte `json:"links,omitempty"`

	Document string `json:"document,omitempty"` // what was received: a compact JWS of its issuer
}

// Entry is one leaf of the log with its proof. Without Salt and Body it shows the header alone.
type Entry struct {
	Header   string `json:"header"`
	BodyHash []byte `json:"body_hash"`
	Salt     []byte `json:"salt,omitempty"`
	Body     string `json:"body,omitempty"`
	Proof    string `json:"proof"` // c2sp.org/tlog-proof@v1, with the signed checkpoint
}

// NewEntry proves the leaf at an index under a signed checkpoint of the given size. hashes reads the log's tree.
func NewEntry(leaf protocol.AuditLeaf, index, size int64, hashes tlog.HashReader, checkpoint []byte) (Entry, error) {
	p, err := tlog.ProveRecord(size, index, hashes)
	if err != nil {
		return Entry{}, fmt.Errorf("prove entry %d in a log of %d: %w", index, size, err)
	}
	return Entry{Header: string(leaf.Header), BodyHash: leaf.BodyHash, Salt: leaf.Salt, Body: string(leaf.Body),
		Proof: string(torchwood.FormatProof(index, p, checkpoint))}, nil
}

// Bare takes away what only the owner of the log may know: it leaves header and body hash.
func (e Entry) Bare() Entry {
	e.Salt, e.Body = nil, ""
	return e
}

// Encode writes the bundle in its one form.
func (b Bundle) Encode() ([]byte, error) {
	b.Format = bundleForm
	out, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return nil, fmt.Errorf("proof bundle: %w", err)
	}
	if len(out) >= MaxBundle {
		return nil, fmt.Errorf("proof bundle: %d bytes, the limit is %d", len(out), MaxBundle)
	}
	return append(out, '\n'), nil
}

// DecodeBundle reads a bundle and checks its form; what it says is for Check to verify. A bundle in any spelling but the one that Encode writes, blanks
// aside, is refused: two readers could read it differently.
func DecodeBundle(raw []byte) (*Bundle, error) {
	var b Bundle
	if err := decodeOnly(raw, MaxBundle, 4, &b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return &b, nil
}

func (b *Bundle) check() error {
	if b.Format != bundleForm {
		return fmt.Errorf("format %.40q, this program reads %s", b.Format, bundleForm)
	}
	if _, err := protocol.ParseCountry(string(b.Country)); err != nil {
		return fmt.Errorf("country: %w", err)
	}
	if len(b.Entries) < 1 || len(b.Entries) > maxEntries {
		return fmt.Errorf("%d entries, want 1 or 2", len(b.Entries))
	}
	for i, e := range b.Entries {
		if err := e.check(); err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
	}
	switch {
	case len(b.Message) > protocol.MaxMessage:
		return fmt.Errorf("message of %d bytes, the limit is %d", len(b.Message), protocol.MaxMessage)
	case len(b.Links) > maxLinks:
		return fmt.Errorf("%d links, the limit is %d", len(b.Links), maxLinks)
	case len(b.Links) > 0 && (b.Message == nil || b.Receipt == ""):
		return errors.New("links without the message and the receipt that they join")
	case len(b.Entries) == 2 && b.Receipt == "":
		return errors.New("a second entry without the receipt that it noted")
	case (b.Message != nil || b.Receipt != "" || b.Document != "") && b.Entries[0].Body == "":
		return errors.New("a message, receipt or document beside an entry whose body is not shown")
	}
	return nil
}

func (e *Entry) check() error {
	switch {
	case len(e.Header) > maxHeader || len(e.Body) > maxBody || len(e.Proof) > maxProof:
		return fmt.Errorf("header, body or proof is larger than the limit (%d, %d, %d bytes)", maxHeader, maxBody, maxProof)
	case len(e.BodyHash) != tlog.HashSize:
		return fmt.Errorf("body hash of %d bytes, want %d", len(e.BodyHash), tlog.HashSize)
	case (e.Body == "") != (len(e.Salt) == 0):
		return errors.New("body and salt come together")
	case e.Body != "" && len(e.Salt) != protocol.AuditSaltSize:
		return fmt.Errorf("salt of %d bytes, want %d", len(e.Salt), protocol.AuditSaltSize)
	}
	return nil
}

func (e *Entry) leaf() protocol.AuditLeaf {
	l := protocol.AuditLeaf{Header: json.RawMessage(e.Header), BodyHash: e.BodyHash}
	if e.Body != "" {
		l.Salt, l.Body = e.Salt, json.RawMessage(e.Body)
	}
	return l
}

// place reads the index out of an inclusion proof, and its checkpoint; nothing is verified.
func (e *Entry) place() (index int64, checkpoint []byte, err error) {
	head, rest, ok := strings.Cut(e.Proof, "\n\n")
	if !ok {
		return 0, nil, errors.New("inclusion proof without a checkpoint")
	}
	for line := range strings.Lines(head) {
		if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "index "); ok {
			index, err := strconv.ParseInt(text, 10, 64)
			if err != nil || index < 0 || strconv.FormatInt(index, 10) != text {
				return 0, nil, fmt.Errorf("inclusion proof: index %.24q", text)
			}
			return index, []byte(rest), nil
		}
	}
	return 0, nil, errors.New("inclusion proof without an index")
}

// decodeOnly decodes one JSON value of bounded size and depth and refuses whatever does not come out the same when it is encoded again, blanks aside.
func decodeOnly(raw []byte, limit, depth int, v any) error {
	if err := protocol.CheckJSON(raw, limit, depth); err != nil {
		return err
	}
	if !utf8.Valid(raw) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	again, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var given bytes.Buffer
	if err := json.Compact(&given, raw); err != nil {
		return err
	}
	if !bytes.Equal(given.Bytes(), again) {
		return errors.New("not in the one spelling that is written: fields, order or escapes differ")
	}
	return nil
}
