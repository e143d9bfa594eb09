package protocol

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"
)

// AuditAction names what was done, in the words of EU Directive 2016/680 art. 25 (collection, alteration, consultation, disclosure,
// combination, erasure), with the few that an exchange adds: receive, deny, and administer for the node's own keys, people and roster.
type AuditAction string

// The audit actions.
const (
	ActCollect    AuditAction = "collect"
	ActAlter      AuditAction = "alter"
	ActConsult    AuditAction = "consult"
	ActDisclose   AuditAction = "disclose"
	ActReceive    AuditAction = "receive"
	ActCombine    AuditAction = "combine"
	ActErase      AuditAction = "erase"
	ActDeny       AuditAction = "deny"
	ActAdminister AuditAction = "administer"
)

// AuditActions are the words of all audit actions.
var AuditActions = []string{string(ActCollect), string(ActAlter), string(ActConsult), string(ActDisclose), string(ActReceive), string(ActCombine), string(ActErase),
	string(ActDeny), string(ActAdminister)}

// AuditHeader is the part of an audit entry that outlives the erasure of its body: enough to count what was done, towards
// whom and on what ground, nothing that names a person or an object.
type AuditHeader struct {
	Action      AuditAction `json:"action"`
	Counterpart string      `json:"counterpart,omitempty"` // the other country, ISO 3166-1 alpha-2
	Decision    string      `json:"decision"`              // "permit" or "deny"
	Ground      string      `json:"ground,omitempty"`      // why it was allowed or refused, in one machine-readable word
	Day         string      `json:"day"`                   // YYYY-MM-DD in UTC
	Type        string      `json:"type,omitempty"`        // of the document, or kind of the object; NewAuditLeaf sets it
}

// AuditBody is the part of an audit entry that retention may erase.
type AuditBody struct {
	Time          time.Time         `json:"time"`
	Actor         string            `json:"actor"`                   // account name, or "node" for what the node did by itself
	Kind          string            `json:"kind,omitempty"`          // kind of the object: exhibit, signature, lead, trace, account, …
	Object        string            `json:"object,omitempty"`        // id of the object
	Case          string            `json:"case,omitempty"`          // case reference, where there is one
	Event         string            `json:"event"`                   // what happened, in a few words
	Purpose       string            `json:"purpose,omitempty"`       // purpose of the act
	Justification string            `json:"justification,omitempty"` // why, in the words of the person, where the law asks for it
	Policies      []string          `json:"policies,omitempty"`      // deciding policies, file:line
	PolicyVer     string            `json:"policy_version,omitempty"`
	Handling      []string          `json:"handling,omitempty"` // handling codes in force
	Withheld      []string          `json:"withheld,omitempty"` // fields withheld from the counterpart
	Details       map[string]string `json:"details,omitempty"`
	Documents     []string          `json:"documents,omitempty"` // ids of exchanged documents concerned
	MessageSeq    uint64            `json:"seq,omitempty"`       // channel sequence number of a disclosure or receipt
	Channel       string            `json:"channel,omitempty"`
}

// AuditEntry is one act in a node's audit log.
type AuditEntry struct {
	AuditHeader
	AuditBody
}

// AuditSaltSize is the number of random bytes that hide an audit body behind its hash.
const AuditSaltSize = 16

// AuditLeaf is an audit entry in its hashed form: what the log stores and what a proof shows.
// Leaf content = SHA-256(header ‖ 0x00 ‖ SHA-256(salt ‖ body)), so that erasing salt and body keeps every proof valid.
type AuditLeaf struct {
	Header   json.RawMessage `json:"header"`
	Salt     []byte          `json:"salt,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"` // nil once erased
	BodyHash []byte          `json:"body_hash"`
}

// NewAuditLeaf encodes an entry with the given salt of AuditSaltSize bytes.
func NewAuditLeaf(e AuditEntry, salt []byte) (AuditLeaf, error) {
	if len(salt) != AuditSaltSize {
		return AuditLeaf{}, fmt.Errorf("audit leaf: salt has %d bytes, want %d", len(salt), AuditSaltSize)
	}
	e.Day, e.Type = e.Time.UTC().Format(time.DateOnly), e.typeName()
	header, err := json.Marshal(e.AuditHeader)
	if err != nil {
		return AuditLeaf{}, fmt.Errorf("audit header: %w", err)
	}
	body, err := json.Marshal(e.AuditBody)
	if err != nil {
		return AuditLeaf{}, fmt.Errorf("audit body: %w", err)
	}
	return AuditLeaf{Header: header, Salt: salt, Body: body, BodyHash: auditBodyHash(salt, body)}, nil
}

// typeName is the one word for what the act was about: the document's type, or the kind of the object. What another country may have made up is left
// out, because the header outlives the erasure of the body.
func (e *AuditEntry) typeName() string {
	name := e.Details["type"]
	if name == "" {
		name = e.Kind
	}
	if _, known := specs[Type(name)]; known {
		return name
	}
	foreign := e.Counterpart != "" && (e.Action == ActReceive || e.Action == ActDeny)
	if foreign && name != "receipt" && name != "exchange" {
		return ""
	}
	for i, r := range name {
		if r != '-' && (r < 'a' || r > 'z') || i >= maxTypeName {
			return ""
		}
	}
	return name
}

// maxTypeName bounds a type or kind in a header, in letters.
const maxTypeName = 32

// Content is the record that enters the Merkle tree (RFC 6962 leaf data).
func (l AuditLeaf) Content() []byte {
	h := sha256.New()
	h.Write(l.Header)
	h.Write([]byte{0})
	h.Write(l.BodyHash)
	return h.Sum(nil)
}

// Check reports whether the body, where it is still there, is the one that the leaf committed to.
func (l AuditLeaf) Check() error {
	if l.Body == nil {
		return nil
	}
	if got := auditBodyHash(l.Salt, l.Body); string(got) != string(l.BodyHash) {
		return fmt.Errorf("audit body does not have the hash its leaf commits to")
	}
	return nil
}

// Entry decodes the leaf; an erased body leaves its fields empty.
func (l AuditLeaf) Entry() (AuditEntry, error) {
	var e AuditEntry
	if err := json.Unmarshal(l.Header, &e.AuditHeader); err != nil {
		return e, fmt.Errorf("audit header: %w", err)
	}
	if l.Body != nil {
		if err := json.Unmarshal(l.Body, &e.AuditBody); err != nil {
			return e, fmt.Errorf("audit body: %w", err)
		}
	}
	return e, nil
}

func auditBodyHash(salt, body []byte) []byte {
	h := sha256.New()
	h.Write(salt)
	h.Write(body)
	return h.Sum(nil)
}
