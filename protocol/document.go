package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"sort"
	"time"
)

// Type names what a document is.
type Type string

// The document types. A node keeps and reports a document of a type that it does not know; it never drops one.
const (
	TypeSignature      Type = "signature"
	TypeLead           Type = "lead"
	TypeLeadAck        Type = "lead-ack"
	TypeLeadRetraction Type = "lead-retraction"
	TypeFeedback       Type = "feedback"
	TypeHit            Type = "hit"
	TypeTraceRequest   Type = "trace-request"
	TypeTraceStatus    Type = "trace-status"
	TypeTraceAnswer    Type = "trace-answer"
	TypeScanRequest    Type = "scan-request"
	TypeScanRelease    Type = "scan-release"
	TypeScanRefusal    Type = "scan-refusal"
)

// Limits on a document, checked before it is parsed.
const (
	MaxDocument   = 256 << 10 // bytes of the signed payload
	MaxDepth      = 16        // nesting of JSON values
	MaxText       = 8 << 10   // bytes of one free text
	MaxDisclosure = 64 << 10  // bytes of one disclosure: the longest chain of custody, every character escaped, in base64
)

// Errors that a caller decides on.
var (
	ErrUnknownType   = errors.New("unknown document type")
	ErrNewerSchema   = errors.New("document schema is newer than this node knows")
	ErrBadDocument   = errors.New("malformed document")
	ErrBadDisclosure = errors.New("disclosure does not belong to the document")
)

// Header is what every document says of itself outside its body.
type Header struct {
	ID      string    `json:"id"`     // UUIDv7
	Type    Type      `json:"type"`   //
	Issuer  Country   `json:"issuer"` // the only country that may alter or withdraw it
	Issued  time.Time `json:"issued"`
	Schema  int       `json:"schema"`            // version of the body's form, from 1
	Purpose string    `json:"purpose,omitempty"` // purpose of the sharing, e.g. "criminal-investigation"
}

// payload is a document as it is signed.
type payload struct {
	Header
	DigestAlg string          `json:"_sd_alg"`
	Body      json.RawMessage `json:"body"`
}

// Document is a verified or self-made document opened for reading: the header, and the body with every disclosure put back in its place.
type Document struct {
	Header
	Body     json.RawMessage
	Withheld int // salted digests without a disclosure; decoys count too

	fields  map[string]json.RawMessage // of Body
	decoded any                        // Body, decoded when it was checked
}

// Body is implemented by the body of each document type.
type Body interface {
	// Check reports the first field that breaks the rules of the type, by name. What a policy may withhold can be missing.
	Check() error
}

// whole is implemented by bodies that their issuer must fill further than their readers will see them.
type whole interface {
	// complete reports the first field that is wanting of what a policy may withhold.
	complete() error
}

// Compose encodes a document for signing. Fields of the body that its type lists as redactable become salted digests; the
// disclosures returned reveal them one by one. The number of digests is the same for every document of a type: decoys stand in for
// absent fields, so that nobody learns from the count which fields an issuer filled.
func Compose(h Header, body Body, random io.Reader) (signed []byte, disclosures []Disclosure, err error) {
	spec, ok := specs[h.Type]
	if !ok {
		return nil, nil, fmt.Errorf("compose %q: %w", h.Type, ErrUnknownType)
	}
	if want := reflect.TypeOf(spec.body()); reflect.TypeOf(body) != want {
		return nil, nil, fmt.Errorf("compose %s: its body is a %s, this is a %T", h.Type, want, body)
	}
	h.Schema = spec.schema
	h.Issued = h.Issued.UTC().Truncate(time.Millisecond)
	if err := h.check(); err != nil {
		return nil, nil, fmt.Errorf("compose %s: %w", h.Type, err)
	}
	if err := CheckOwn(body); err != nil {
		return nil, nil, fmt.Errorf("compose %s: %w", h.Type, err)
	}
	raw, err := encode(body)
	if err != nil {
		return nil, nil, fmt.Errorf("compose %s: %w", h.Type, err)
	}
	open, disclosures, err := withhold(raw, spec.names, random)
	if err != nil {
		return nil, nil, fmt.Errorf("compose %s: %w", h.Type, err)
	}
	if signed, err = encode(h); err != nil {
		return nil, nil, fmt.Errorf("compose %s: %w", h.Type, err)
	}
	signed = append(signed[:len(signed)-1], `,"_sd_alg":"sha-256","body":`...) // as encode writes a payload, without going over the body again
	signed = append(append(signed, open...), '}')
	if len(signed) > MaxDocument {
		return nil, nil, fmt.Errorf("compose %s: %d bytes, the limit is %d", h.Type, len(signed), MaxDocument)
	}
	// Whoever gets everything must be able to get it in one message.
	if n := messageSize(signed, disclosures); n > MaxMessage {
		return nil, nil, fmt.Errorf("compose %s: a message with all disclosures would have %d bytes, the limit is %d", h.Type, n, MaxMessage)
	}
	return signed, disclosures, nil
}

// Open parses a signed payload and puts the disclosures back in their places. The signature has been verified by the caller. With
// ErrUnknownType and ErrNewerSchema the header is still returned, so that the document can be kept and reported.
func Open(signed []byte, disclosures []Disclosure) (*Document, error) {
	if err := CheckJSON(signed, MaxDocument, MaxDepth); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDocument, err)
	}
	var p payload
	if err := strict(signed, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDocument, err)
	}
	d := &Document{Header: p.Header}
	if err := p.Header.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDocument, err)
	}
	if p.DigestAlg != "sha-256" {
		return nil, fmt.Errorf("%w: _sd_alg is %.20q, only sha-256 is known", ErrBadDocument, p.DigestAlg)
	}
	spec, ok := specs[p.Type]
	if !ok {
		return d, fmt.Errorf("%w: %.40q", ErrUnknownType, p.Type)
	}
	if p.Schema > spec.schema {
		return d, fmt.Errorf("%w: %s %d, this node knows %d", ErrNewerSchema, p.Type, p.Schema, spec.schema)
	}
	body, fields, withheld, err := reveal(p.Body, disclosures, spec.names)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", p.Type, p.ID, err)
	}
	b := spec.body()
	if err := strict(body, b); err != nil {
		return nil, fmt.Errorf("%w: %s %s: body: %w", ErrBadDocument, p.Type, p.ID, err)
	}
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("%w: %s %s: body: %w", ErrBadDocument, p.Type, p.ID, err)
	}
	d.Body, d.Withheld, d.fields, d.decoded = body, withheld, fields, b
	return d, nil
}

// BodyOf decodes the body of an opened document into the Go type of its document type. What the body points to is shared with other calls, and not to be
// changed.
func BodyOf[B any](d *Document) (*B, error) {
	if b, ok := d.decoded.(*B); ok {
		own := *b
		return &own, nil
	}
	b := new(B)
	if err := strict(d.Body, b); err != nil {
		return nil, fmt.Errorf("%s %s: body: %w", d.Type, d.ID, err)
	}
	return b, nil
}

// Pick returns fields of an opened document's body as they stand, in the order of their names; nil for one that is not there. They are not to be changed.
func (d *Document) Pick(names ...string) []json.RawMessage {
	out := make([]json.RawMessage, len(names))
	for i, name := range names {
		out[i] = d.fields[name]
	}
	return out
}

// Types lists the document types this node knows, sorted.
func Types() []Type {
	out := make([]Type, 0, len(specs))
	for t := range specs {
		out = append(out, t)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// typeName is the form of every document type, known or not: it stands in indexes, on screens and in the log.
var typeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

func (h Header) check() error {
	if _, err := ParseCountry(string(h.Issuer)); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if err := CheckDocumentID(h.ID, h.Issuer); err != nil {
		return err
	}
	if h.Issued.IsZero() {
		return errors.New("issued: missing")
	}
	if h.Schema < 1 {
		return fmt.Errorf("schema: %d, versions start at 1", h.Schema)
	}
	if !typeName.MatchString(string(h.Type)) {
		return fmt.Errorf("type: %.70q is not a name of up to 64 lower-case letters, digits and dashes", h.Type)
	}
	return checkLine("purpose", h.Purpose, 128)
}
