package protocol

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
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

func newDisclosure(name string, value json.RawMessage, random io.Reader) (Disclosure, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("salt of %s: %w", name, err)
	}
	raw, err := encode([]any{base64.RawURLEncoding.EncodeToString(salt), name, value})
	if err != nil {
		return "", fmt.Errorf("disclosure of %s: %w", name, err)
	}
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
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != 3 {
		return "", nil, fmt.Errorf("%w: not an array of salt, name and value", ErrBadDisclosure)
	}
	var salt string
	if err := json.Unmarshal(parts[0], &salt); err != nil || len(salt) < 22 {
		return "", nil, fmt.Errorf("%w: salt missing or shorter than 128 bits", ErrBadDisclosure)
	}
	if err := json.Unmarshal(parts[1], &name); err != nil {
		return "", nil, fmt.Errorf("%w: field name is not a string", ErrBadDisclosure)
	}
	return name, parts[2], nil
}

// withhold replaces the named fields of a JSON object by salted digests under "_sd", one per name in order of the digests.
func withhold(body []byte, names []string, random io.Reader) ([]byte, []Disclosure, error) {
	if len(names) == 0 {
		return body, nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
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
	open, err := encode(fields)
	return open, disclosures, err
}

// reveal puts disclosed fields back and removes the digests. It returns how many digests stayed closed.
func reveal(body []byte, disclosures []Disclosure, redactable []string) ([]byte, int, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return nil, 0, fmt.Errorf("%w: body is not a JSON object", ErrBadDocument)
	}
	digests := map[string]bool{}
	if sd, ok := fields["_sd"]; ok {
		var list []string
		if err := json.Unmarshal(sd, &list); err != nil {
			return nil, 0, fmt.Errorf("%w: _sd is not a list of digests", ErrBadDocument)
		}
		for _, d := range list {
			if digests[d] {
				return nil, 0, fmt.Errorf("%w: a digest stands twice in _sd", ErrBadDocument)
			}
			digests[d] = true
		}
		delete(fields, "_sd")
	}
	for name := range fields {
		if slices.Contains(redactable, name) {
			return nil, 0, fmt.Errorf("%w: field %s stands open in the signed body; this type withholds it", ErrBadDocument, name)
		}
	}
	for i, d := range disclosures {
		name, value, err := d.open()
		if err != nil {
			return nil, 0, fmt.Errorf("disclosure %d: %w", i+1, err)
		}
		if !digests[d.Digest()] {
			return nil, 0, fmt.Errorf("disclosure %d (%.40q): %w", i+1, name, ErrBadDisclosure)
		}
		if !slices.Contains(redactable, name) {
			return nil, 0, fmt.Errorf("disclosure %d: %w: field %.40q cannot be withheld in this type", i+1, ErrBadDisclosure, name)
		}
		if _, twice := fields[name]; twice {
			return nil, 0, fmt.Errorf("disclosure %d: %w: field %.40q is there twice", i+1, ErrBadDisclosure, name)
		}
		delete(digests, d.Digest())
		fields[name] = value
	}
	out, err := encode(fields)
	return out, len(digests), err
}

// Choose returns the disclosures whose field is not withheld, and the names of those that are.
func Choose(all []Disclosure, withhold []string) (kept []Disclosure, withheld []string, err error) {
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
