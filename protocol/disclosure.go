package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strings"
)

// saltSize is the length of a disclosure's salt in bytes; RFC 9901 recommends at least 128 bits.
const saltSize = 16

// Disclosure reveals one withheld field: base64url of the JSON array [salt, name, value] (RFC 9901, section 4.2.1).
type Disclosure string

// Digest is what stands in the signed document in the field's place.
func (d Disclosure) Digest() string {
	sum := sha256.Sum256([]byte(d))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Name is the field that the disclosure reveals.
func (d Disclosure) Name() (string, error) {
	name, _, err := d.open()
	return name, err
}

// newDisclosure takes a plain name and a value as encode writes it.
func newDisclosure(name string, value json.RawMessage, random io.Reader) (Disclosure, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("salt of %s: %w", name, err)
	}
	raw := make([]byte, 0, len(name)+len(value)+32)
	raw = append(base64.RawURLEncoding.AppendEncode(append(raw, `["`...), salt), `","`...)
	raw = append(append(append(append(raw, name...), `",`...), value...), ']')
	d := Disclosure(base64.RawURLEncoding.EncodeToString(raw))
	if len(d) > MaxDisclosure {
		return "", fmt.Errorf("disclosure of %s: %d bytes, the limit is %d", name, len(d), MaxDisclosure)
	}
	return d, nil
}

func (d Disclosure) open() (name string, value json.RawMessage, err error) {
	if len(d) > MaxDisclosure {
		return "", nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrBadDisclosure, len(d), MaxDisclosure)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(d))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrBadDisclosure, err)
	}
	if err := CheckJSON(raw, MaxDisclosure, MaxDepth); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrBadDisclosure, err)
	}
	var parts [][]byte
	array, err := elements(raw, func(value []byte) error {
		parts = append(parts, value)
		return nil
	})
	if err != nil || !array || len(parts) != 3 {
		return "", nil, fmt.Errorf("%w: not an array of salt, name and value", ErrBadDisclosure)
	}
	salt, err := textOf(parts[0])
	if err != nil || len(salt) < 22 {
		return "", nil, fmt.Errorf("%w: salt missing or shorter than 128 bits", ErrBadDisclosure)
	}
	if name, err = textOf(parts[1]); err != nil {
		return "", nil, fmt.Errorf("%w: field name is not a string", ErrBadDisclosure)
	}
	return name, parts[2], nil
}

// textOf decodes a JSON string.
func textOf(value []byte) (s string, err error) {
	if s, ok := bareText(value); ok {
		return s, nil
	}
	err = json.Unmarshal(value, &s)
	return s, err
}

// withhold replaces the named fields of a JSON object by salted digests under "_sd", one per name in order of the digests.
func withhold(body []byte, names []string, random io.Reader) ([]byte, []Disclosure, error) {
	if len(names) == 0 {
		return body, nil, nil
	}
	fields, err := fieldsIn(body)
	if err != nil {
		return nil, nil, err
	}
	var disclosures []Disclosure
	digests := make([]string, 0, len(names))
	for _, name := range names {
		value, ok := fields[name]
		if !ok { // a decoy (RFC 9901, section 4.2.5)
			var noise [sha256.Size]byte
			if _, err := io.ReadFull(random, noise[:]); err != nil {
				return nil, nil, err
			}
			digests = append(digests, base64.RawURLEncoding.EncodeToString(noise[:]))
			continue
		}
		delete(fields, name)
		d, err := newDisclosure(name, value, random)
		if err != nil {
			return nil, nil, err
		}
		disclosures = append(disclosures, d)
		digests = append(digests, d.Digest())
	}
	sort.Strings(digests)
	sd, err := json.Marshal(digests)
	if err != nil {
		return nil, nil, err
	}
	fields["_sd"] = sd
	open, err := joinFields(fields)
	return open, disclosures, err
}

// reveal puts disclosed fields back and removes the digests. It returns the body, its fields and how many digests stayed closed.
func reveal(body []byte, disclosures []Disclosure, redactable []string) (out []byte, fields map[string]json.RawMessage, closed int, err error) {
	if fields, err = fieldsIn(body); err != nil {
		return nil, nil, 0, fmt.Errorf("%w: body is not a JSON object", ErrBadDocument)
	}
	digests := make(map[string]bool, 16)
	if sd, ok := fields["_sd"]; ok {
		list, err := elements(sd, func(value []byte) error {
			d, err := textOf(value)
			if err == nil && digests[d] {
				err = errTwice
			}
			digests[d] = true
			return err
		})
		switch {
		case errors.Is(err, errTwice):
			return nil, nil, 0, fmt.Errorf("%w: a digest stands twice in _sd", ErrBadDocument)
		case err != nil || !list:
			return nil, nil, 0, fmt.Errorf("%w: _sd is not a list of digests", ErrBadDocument)
		}
		delete(fields, "_sd")
	}
	for name := range fields {
		if slices.Contains(redactable, name) {
			return nil, nil, 0, fmt.Errorf("%w: field %s stands open in the signed body; this type withholds it", ErrBadDocument, name)
		}
	}
	for i, d := range disclosures {
		name, value, err := d.open()
		if err != nil {
			return nil, nil, 0, fmt.Errorf("disclosure %d: %w", i+1, err)
		}
		digest := d.Digest()
		if !digests[digest] {
			return nil, nil, 0, fmt.Errorf("disclosure %d (%.40q): %w", i+1, name, ErrBadDisclosure)
		}
		if !slices.Contains(redactable, name) {
			return nil, nil, 0, fmt.Errorf("disclosure %d: %w: field %.40q cannot be withheld in this type", i+1, ErrBadDisclosure, name)
		}
		if _, twice := fields[name]; twice {
			return nil, nil, 0, fmt.Errorf("disclosure %d: %w: field %.40q is there twice", i+1, ErrBadDisclosure, name)
		}
		delete(digests, digest)
		fields[name] = value
	}
	out, err = joinFields(fields)
	return out, fields, len(digests), err
}

// fieldsIn takes a JSON object that CheckJSON has let through apart; the values are parts of b.
func fieldsIn(b []byte) (map[string]json.RawMessage, error) {
	fields := make(map[string]json.RawMessage, 24)
	object, err := members(b, func(name, value []byte) error {
		if bytes.IndexByte(name, '\\') < 0 {
			fields[string(name)] = value
			return nil
		}
		s, err := textOf(slices.Concat([]byte(`"`), name, []byte(`"`)))
		fields[s] = value
		return err
	})
	if err == nil && !object {
		err = errNotObject
	}
	return fields, err
}

var (
	errNotObject = errors.New("not a JSON object")
	errTwice     = errors.New("there twice")
)

// plainName tells whether a name stands between quotes as it is.
func plainName(name string) bool {
	return strings.IndexFunc(name, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }) < 0
}

// joinFields writes an object as encode would, in the order of the names.
func joinFields(fields map[string]json.RawMessage) ([]byte, error) {
	size := 2
	for name, value := range fields {
		if !plainName(name) || !compact(value) {
			return encode(fields)
		}
		size += len(name) + len(value) + 4
	}
	out := append(make([]byte, 0, size), '{')
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), name...), '"', ':'), fields[name]...)
	}
	return append(out, '}'), nil
}

// Choose returns the disclosures whose field is not withheld, and the names of those that are.
func Choose(all []Disclosure, withhold []string) (kept []Disclosure, withheld []string, err error) {
	if len(withhold) == 0 {
		return all, nil, nil
	}
	for _, d := range all {
		name, err := d.Name()
		if err != nil {
			return nil, nil, err
		}
		if slices.Contains(withhold, name) {
			withheld = append(withheld, name)
			continue
		}
		kept = append(kept, d)
	}
	sort.Strings(withheld)
	return kept, withheld, nil
}
