package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Channel is one of the two ordered ways from one country to another.
type Channel string

// The channels. Trace requests and leads never wait behind publications.
const (
	Urgent Channel = "urgent"
	Bulk   Channel = "bulk"
)

// Channels lists both, the more urgent first.
var Channels = []Channel{Urgent, Bulk}

// Limits of messages and batches, checked before parsing.
const (
	MaxMessage      = 512 << 10 // bytes of one message
	MaxBatch        = 1 << 20   // bytes of a batch before compression, frames included: what one transaction of the receiver takes
	MaxBatchCount   = 128
	MaxManifest     = 4 << 10
	MaxReceipt      = 4 << 10
	MaxHello        = 4 << 10
	maxDisclosures  = 32
	maxHandling     = 16
	maxHandlingCode = 256
	maxOperations   = 32 // of one message
	maxFieldName    = 64 // bytes
	zeroMessageHash = ""
)

// MaxClockSkew is how far the clocks of two nodes may differ: beyond it, expiry and audit would not mean the same on both sides.
const MaxClockSkew = 10 * time.Minute

// ErrBadMessage marks a message, batch or receipt that breaks the protocol.
var ErrBadMessage = errors.New("malformed message")

// Terms are what the recipient of one message is bound to.
type Terms struct {
	Handling    []string  `json:"handling"`              // markings, H0 to H3; of the sender where no owner is named (see Marking)
	RetainUntil time.Time `json:"retain_until,omitzero"` // the copy is erased then

	// Operations for which alone it was shared, by number: the copy is erased when none of them lasts between the two countries any more.
	Operations []string `json:"operations,omitempty"`

	// Withheld are the fields of the body that the sender's policy withholds from this recipient, whether the document has them or not: so that nobody
	// takes what is withheld for what there never was, and nobody learns which of them there are.
	Withheld []string `json:"withheld,omitempty"`
}

// Message carries one document to one recipient.
type Message struct {
	From        Country      `json:"from"`
	To          Country      `json:"to"`
	Channel     Channel      `json:"channel"`
	Seq         uint64       `json:"seq"`  // from 1, without gaps
	Prev        string       `json:"prev"` // hash of message seq−1; empty for the first
	Terms       Terms        `json:"terms"`
	Document    string       `json:"document"` // compact JWS
	Disclosures []Disclosure `json:"disclosures"`
}

// Encode returns the message's bytes and their hash, which the next message and the receipt name. A message that its recipient would have to
// refuse is ErrBadMessage.
func (m Message) Encode() (b []byte, hash string, err error) {
	if err := m.check(); err != nil {
		return nil, "", fmt.Errorf("%w: seq %d: %w", ErrBadMessage, m.Seq, err)
	}
	document := m.Document
	if m.Document = ""; !bareLetters(document) {
		return nil, "", fmt.Errorf("%w: seq %d: document: no JWS has such letters", ErrBadMessage, m.Seq)
	}
	if b, err = encode(m); err == nil {
		b, err = Whole(b, document)
	}
	if err != nil {
		return nil, "", fmt.Errorf("message %d: %w", m.Seq, err)
	}
	if len(b) > MaxMessage {
		return nil, "", fmt.Errorf("%w: seq %d: %d bytes, the limit is %d", ErrBadMessage, m.Seq, len(b), MaxMessage)
	}
	return b, MessageHash(b), nil
}

// documentField is what stands before the document in an encoded message, and nowhere else: inside of a string the quotes have a backslash.
const documentField = `"document":"`

// Bare takes the document out of an encoded message, for who keeps that document anyway; Whole puts it back.
func Bare(message []byte, document string) ([]byte, error) {
	before, after, ok := bytes.Cut(message, []byte(documentField))
	if !ok || !bytes.HasPrefix(after, []byte(document)) || after[len(document)] != '"' {
		return nil, errors.New("the message does not carry this document")
	}
	return slices.Concat(before, []byte(documentField), after[len(document):]), nil
}

// Whole makes an encoded message of a bare one and its document's JWS, letter by letter as Encode writes it.
func Whole(bare []byte, document string) ([]byte, error) {
	before, after, ok := bytes.Cut(bare, []byte(documentField))
	if !ok || !bytes.HasPrefix(after, []byte(`"`)) {
		return nil, errors.New("it has a document already")
	}
	return slices.Concat(before, []byte(documentField), []byte(document), after), nil
}

// bareLetters tells whether a text has only letters of a compact JWS, which stand in JSON as they are.
func bareLetters(s string) bool {
	for i := range len(s) {
		if !jwsLetters[s[i]] {
			return false
		}
	}
	return true
}

var jwsLetters = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") {
		is[c] = true
	}
	return is
}()

// MessageHash is the SHA-256 of a message's bytes in hex.
func MessageHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// DecodeMessage parses and checks one message's form; signature and sequence are the caller's to check.
func DecodeMessage(b []byte) (*Message, error) {
	if err := CheckJSON(b, MaxMessage, MaxDepth); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	var m Message
	if err := strict(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadMessage, err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: seq %d: %w", ErrBadMessage, m.Seq, err)
	}
	return &m, nil
}

func (m Message) check() error {
	if err := checkEnds(m.From, m.To, m.Channel); err != nil {
		return err
	}
	if m.Seq == 0 || (m.Seq == 1) != (m.Prev == zeroMessageHash) {
		return errors.New("seq, prev: only the first message has no predecessor")
	}
	if m.Prev != zeroMessageHash {
		if err := checkHash("prev", m.Prev); err != nil {
			return err
		}
	}
	if len(m.Disclosures) > maxDisclosures {
		return fmt.Errorf("disclosures: %d, the limit is %d", len(m.Disclosures), maxDisclosures)
	}
	if len(m.Terms.Handling) > maxHandling {
		return fmt.Errorf("terms: %d handling codes, the limit is %d", len(m.Terms.Handling), maxHandling)
	}
	for _, h := range m.Terms.Handling {
		if err := needLine("handling", h, maxHandlingCode); err != nil {
			return err
		}
	}
	if len(m.Terms.Operations) > maxOperations {
		return fmt.Errorf("terms: %d operations, the limit is %d", len(m.Terms.Operations), maxOperations)
	}
	for _, o := range m.Terms.Operations {
		if !operationNumber.MatchString(o) {
			return fmt.Errorf("terms: operations: %.40q is not the number of one", o)
		}
	}
	if len(m.Terms.Withheld) > maxDisclosures {
		return fmt.Errorf("terms: %d withheld fields, the limit is %d", len(m.Terms.Withheld), maxDisclosures)
	}
	for i, name := range m.Terms.Withheld {
		if !plainName(name) || name == "" || len(name) > maxFieldName {
			return fmt.Errorf("terms: withheld: %.40q is not the name of a field", name)
		}
		if i > 0 && m.Terms.Withheld[i-1] >= name {
			return fmt.Errorf("terms: withheld: %s: each stands there once, in ascending order", name)
		}
	}
	if m.Document == "" {
		return errors.New("document: missing")
	}
	return nil
}

// Manifest is the signed head of a batch: who sends how many messages to whom, and the hash of the compressed bytes that follow, so that
// nothing is decompressed before its sender is known.
type Manifest struct {
	From    Country   `json:"from"`
	To      Country   `json:"to"`
	Channel Channel   `json:"channel"`
	First   uint64    `json:"first"`
	Count   int       `json:"count"`
	Head    string    `json:"head"`   // hash of the last message
	Size    int       `json:"size"`   // bytes before compression
	SHA256  string    `json:"sha256"` // of the compressed bytes
	Sent    time.Time `json:"sent"`
}

// DecodeManifest parses and checks the payload of a batch's signature.
func DecodeManifest(b []byte) (*Manifest, error) {
	if err := CheckJSON(b, MaxManifest, 4); err != nil {
		return nil, fmt.Errorf("batch manifest: %w: %w", ErrBadMessage, err)
	}
	var m Manifest
	if err := strict(b, &m); err != nil {
		return nil, fmt.Errorf("batch manifest: %w: %w", ErrBadMessage, err)
	}
	if m.First == 0 || m.First > math.MaxUint64-MaxBatchCount || m.Count < 1 || m.Count > MaxBatchCount || m.Size < 1 || m.Size > MaxBatch {
		return nil, fmt.Errorf("batch manifest: %w: first %d, count %d, size %d are outside the limits", ErrBadMessage, m.First, m.Count, m.Size)
	}
	if err := first(checkEnds(m.From, m.To, m.Channel), checkHash("head", m.Head), checkHash("sha256", m.SHA256)); err != nil {
		return nil, fmt.Errorf("batch manifest: %w: %w", ErrBadMessage, err)
	}
	return &m, nil
}

// JoinMessages concatenates messages as frames: the bytes of a batch before compression.
func JoinMessages(msgs [][]byte) []byte {
	size := 0
	for _, m := range msgs {
		size += binary.MaxVarintLen32 + len(m)
	}
	out := make([]byte, 0, size)
	for _, m := range msgs {
		out = append(binary.AppendUvarint(out, uint64(len(m))), m...)
	}
	return out
}

// SplitMessages is the inverse of JoinMessages; it wants exactly count frames. The messages are parts of b.
func SplitMessages(b []byte, count int) ([][]byte, error) {
	out := make([][]byte, 0, min(count, MaxBatchCount))
	for len(b) > 0 {
		n, head := binary.Uvarint(b)
		switch {
		case head <= 0:
			return nil, fmt.Errorf("%w: message %d of the batch: its length cannot be read", ErrBadMessage, len(out)+1)
		case n > MaxMessage:
			return nil, fmt.Errorf("%w: message %d of the batch: %w: %d bytes announced, limit %d", ErrBadMessage, len(out)+1, ErrFrameTooLarge, n, MaxMessage)
		case n > uint64(len(b)-head):
			return nil, fmt.Errorf("%w: message %d of the batch: frame of %d bytes ends after %d", ErrBadMessage, len(out)+1, n, len(b)-head)
		}
		end := head + int(n)
		if out = append(out, b[head:end:end]); len(out) > count {
			return nil, fmt.Errorf("%w: more messages than the %d announced", ErrBadMessage, count)
		}
		b = b[end:]
	}
	if len(out) != count {
		return nil, fmt.Errorf("%w: %d messages, %d announced", ErrBadMessage, len(out), count)
	}
	return out, nil
}

// Receipt acknowledges everything on a channel up to a sequence number: it is cumulative, and its head proves what was received in
// which order.
type Receipt struct {
	From    Country   `json:"from"` // of the channel: the sender of the messages
	To      Country   `json:"to"`   // of the channel: the signer of the receipt
	Channel Channel   `json:"channel"`
	UpTo    uint64    `json:"up_to"` // 0: nothing received yet
	Head    string    `json:"head"`  // hash of message up_to
	At      time.Time `json:"at"`
}

// DecodeReceipt parses and checks the payload of a receipt's signature.
func DecodeReceipt(b []byte) (*Receipt, error) {
	if err := CheckJSON(b, MaxReceipt, 4); err != nil {
		return nil, fmt.Errorf("receipt: %w: %w", ErrBadMessage, err)
	}
	var r Receipt
	if err := strict(b, &r); err != nil {
		return nil, fmt.Errorf("receipt: %w: %w", ErrBadMessage, err)
	}
	if (r.UpTo == 0) != (r.Head == zeroMessageHash) {
		return nil, fmt.Errorf("receipt: %w: up_to and head do not agree", ErrBadMessage)
	}
	err := checkEnds(r.From, r.To, r.Channel)
	if err == nil && r.UpTo > 0 {
		err = checkHash("head", r.Head)
	}
	if err != nil {
		return nil, fmt.Errorf("receipt: %w: %w", ErrBadMessage, err)
	}
	return &r, nil
}

// Hello opens a stream, in both directions, before anything else is said: it proves that both ends speak this protocol, believe the same
// roster and know with whom they speak.
type Hello struct {
	Version int       `json:"version"` // of the exchange protocol
	Country Country   `json:"country"` // the speaker
	To      Country   `json:"to"`      // whom it believes to speak with
	Roster  string    `json:"roster"`  // hash of the roster in force at the speaker
	Now     time.Time `json:"now"`
	Refusal string    `json:"refusal,omitempty"` // why the speaker will not go on
}

// ExchangeVersion is the version of the exchange protocol.
const ExchangeVersion = 1

// DecodeHello parses and checks a greeting.
func DecodeHello(b []byte) (*Hello, error) {
	if err := CheckJSON(b, MaxHello, 4); err != nil {
		return nil, fmt.Errorf("hello: %w: %w", ErrBadMessage, err)
	}
	var h Hello
	if err := json.Unmarshal(b, &h); err != nil { // unknown fields are allowed here: versions are negotiated with it
		return nil, fmt.Errorf("hello: %w: %w", ErrBadMessage, err)
	}
	if err := first(checkText("refusal", h.Refusal, 512), checkLine("roster", h.Roster, 128)); err != nil {
		return nil, fmt.Errorf("hello: %w: %w", ErrBadMessage, err)
	}
	return &h, nil
}

// CheckSkew reports a clock that differs from ours by more than ten minutes: expiry and audit would not mean the same on both sides.
func (h Hello) CheckSkew(now time.Time) error {
	if d := h.Now.Sub(now); d > MaxClockSkew || d < -MaxClockSkew {
		return fmt.Errorf("the clocks of the two nodes differ by %s; at most %s is tolerated", d.Round(time.Second), MaxClockSkew)
	}
	return nil
}

func checkEnds(from, to Country, c Channel) error {
	if _, err := ParseCountry(string(from)); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if _, err := ParseCountry(string(to)); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	if from == to {
		return fmt.Errorf("from and to are both %s", from)
	}
	return oneOf("channel", c, Channels, false)
}

func checkHash(name, h string) error {
	if b, err := hex.DecodeString(h); err != nil || len(b) != sha256.Size || h != strings.ToLower(h) {
		return fmt.Errorf("%s: %.70q is not a SHA-256 in lower-case hex", name, h)
	}
	return nil
}

// messageSize is at least what a message with this document and all its disclosures has in bytes: in base64, signed, with the longest terms.
func messageSize(signed []byte, all []Disclosure) int {
	const signature, envelope = 1 << 10, 1 << 10
	n := base64.RawURLEncoding.EncodedLen(len(signed)) + signature + envelope + maxHandling*(2*maxHandlingCode+3) + maxOperations*20
	for _, d := range all {
		n += len(d) + 3
	}
	return n
}
