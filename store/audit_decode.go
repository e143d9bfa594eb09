package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"proofmark/protocol"
)

// recordOf decodes a stored entry. What it returns does not refer to stored.
func recordOf(index int64, stored []byte) (AuditRecord, error) {
	leaf, _, err := decodeLeaf(stored)
	if err != nil {
		return AuditRecord{}, fmt.Errorf("audit entry %d: %w", index, err)
	}
	e, err := entryOf(leaf)
	if err != nil {
		return AuditRecord{}, fmt.Errorf("audit entry %d: %w: %w", index, ErrCorrupt, err)
	}
	return AuditRecord{Index: index, Erased: leaf.Body == nil, AuditEntry: e}, nil
}

// entryOf is leaf.Entry, in a tenth of the time for what encoding/json wrote: reading a log is decoding its entries, ten million of them in a verification. It
// reads header and body in the one form in which protocol.NewAuditLeaf writes them, members in the order of the structs, and gives everything else to
// encoding/json.
func entryOf(l protocol.AuditLeaf) (protocol.AuditEntry, error) {
	var e protocol.AuditEntry
	if readHeader(string(l.Header), &e.AuditHeader) && (l.Body == nil || readBody(string(l.Body), &e.AuditBody)) {
		return e, nil
	}
	return l.Entry()
}

func readHeader(text string, h *protocol.AuditHeader) bool {
	r := strictJSON{rest: text}
	r.open()
	if r.member("action") {
		h.Action = protocol.AuditAction(r.text())
	}
	for _, m := range []struct {
		name string
		to   *string
	}{{"counterpart", &h.Counterpart}, {"decision", &h.Decision}, {"ground", &h.Ground}, {"day", &h.Day}, {"type", &h.Type}} {
		if r.member(m.name) {
			*m.to = r.text()
		}
	}
	return r.close()
}

func readBody(text string, b *protocol.AuditBody) bool {
	r := strictJSON{rest: text}
	r.open()
	if r.member("time") {
		b.Time = r.time()
	}
	for _, m := range []struct {
		name string
		to   *string
	}{{"actor", &b.Actor}, {"kind", &b.Kind}, {"object", &b.Object}, {"case", &b.Case}, {"event", &b.Event}, {"purpose", &b.Purpose}, {"justification", &b.Justification}} {
		if r.member(m.name) {
			*m.to = r.text()
		}
	}
	if r.member("policies") {
		b.Policies = r.texts()
	}
	if r.member("policy_version") {
		b.PolicyVer = r.text()
	}
	if r.member("handling") {
		b.Handling = r.texts()
	}
	if r.member("withheld") {
		b.Withheld = r.texts()
	}
	if r.member("details") {
		b.Details = r.pairs()
	}
	if r.member("documents") {
		b.Documents = r.texts()
	}
	if r.member("seq") {
		b.MessageSeq = r.number()
	}
	if r.member("channel") {
		b.Channel = r.text()
	}
	return r.close()
}

// strictJSON reads an object without white space, whose members are asked for in their order. What does not fit makes it bad, for good.
type strictJSON struct {
	rest string
	some bool // a member was read
	bad  bool
}

func (r *strictJSON) fits(text string) bool {
	rest, ok := strings.CutPrefix(r.rest, text)
	if ok {
		r.rest = rest
	}
	return ok
}

func (r *strictJSON) must(text string) {
	if !r.fits(text) {
		r.bad = true
	}
}

func (r *strictJSON) open() { r.must("{") }

// close reports whether the object ended here, and nothing was bad.
func (r *strictJSON) close() bool {
	r.must("}")
	return !r.bad && r.rest == ""
}

// member reads a member's name, if it is the next one.
func (r *strictJSON) member(name string) bool {
	at := 0
	if r.some {
		if len(r.rest) == 0 || r.rest[0] != ',' {
			return false
		}
		at = 1
	}
	end := at + len(name) + 3
	if r.bad || len(r.rest) < end || r.rest[at] != '"' || r.rest[end-2:end] != `":` || r.rest[at+1:end-2] != name {
		return false
	}
	r.rest, r.some = r.rest[end:], true
	return true
}

// text reads a string. One with escapes is for encoding/json.
func (r *strictJSON) text() string {
	r.must(`"`)
	ascii := true
	for i := range len(r.rest) {
		switch c := r.rest[i]; {
		case c == '"':
			out := r.rest[:i]
			if r.rest = r.rest[i+1:]; !ascii && !utf8.ValidString(out) {
				r.bad = true
			}
			return out
		case c == '\\':
			return r.escaped(i)
		case c < ' ':
			r.bad = true
			return ""
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	r.bad = true
	return ""
}

// escaped reads a string of which the first backslash is known.
func (r *strictJSON) escaped(i int) (out string) {
	for ; i < len(r.rest); i++ {
		switch r.rest[i] {
		case '\\':
			i++
		case '"':
			if json.Unmarshal([]byte(`"`+r.rest[:i+1]), &out) != nil {
				r.bad = true
			}
			r.rest = r.rest[i+1:]
			return out
		}
	}
	r.bad = true
	return ""
}

func (r *strictJSON) texts() (out []string) {
	r.must("[")
	for !r.bad {
		if out = append(out, r.text()); !r.fits(",") {
			break
		}
	}
	r.must("]")
	return out
}

func (r *strictJSON) pairs() map[string]string {
	out := make(map[string]string)
	r.must("{")
	for !r.bad {
		name := r.text()
		r.must(":")
		if out[name] = r.text(); !r.fits(",") {
			break
		}
	}
	r.must("}")
	return out
}

func (r *strictJSON) number() uint64 {
	end := 0
	for end < len(r.rest) && r.rest[end] >= '0' && r.rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(r.rest[:end], 10, 64)
	if err != nil || end > 1 && r.rest[0] == '0' {
		r.bad = true
	}
	r.rest = r.rest[end:]
	return n
}

func (r *strictJSON) time() (t time.Time) {
	end := strings.IndexByte(r.rest[min(1, len(r.rest)):], '"') + 2
	if end < 2 || end > len(r.rest) || t.UnmarshalJSON([]byte(r.rest[:end])) != nil {
		r.bad = true
		return t
	}
	r.rest = r.rest[end:]
	return t
}
