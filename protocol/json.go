package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// CheckJSON walks one JSON value without building it and refuses what is too large, too deep, not UTF-8, names a field twice in one
// object, or is followed by more.
func CheckJSON(b []byte, maxBytes, maxDepth int) error {
	if len(b) > maxBytes {
		return fmt.Errorf("%d bytes of JSON, the limit is %d", len(b), maxBytes)
	}
	if !utf8.Valid(b) {
		return errors.New("JSON is not valid UTF-8")
	}
	if plain(b, maxDepth) {
		return nil
	}
	// The long way: what is wrong and where, and what plain does not know.
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	type level struct {
		object, key bool // inside an object; the next string is a key
		seen        map[string]bool
	}
	var stack []level
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return errors.New("JSON ends early")
		}
		if err != nil {
			return fmt.Errorf("JSON at byte %d: %w", dec.InputOffset(), err)
		}
		var top *level
		if len(stack) > 0 {
			top = &stack[len(stack)-1]
		}
		delim, isDelim := tok.(json.Delim)
		switch {
		case isDelim && (delim == '}' || delim == ']'):
			stack = stack[:len(stack)-1]
		case top != nil && top.object && top.key:
			name := tok.(string)
			if top.seen[name] {
				return fmt.Errorf("JSON at byte %d: field %.40q stands twice", dec.InputOffset(), name)
			}
			top.seen[name] = true
			top.key = false
			continue
		default:
			if top != nil && top.object {
				top.key = true // the value is consumed; a key follows
			}
			if isDelim {
				if len(stack) == maxDepth {
					return fmt.Errorf("JSON at byte %d: nested deeper than %d", dec.InputOffset(), maxDepth)
				}
				stack = append(stack, level{object: delim == '{', key: delim == '{', seen: map[string]bool{}})
			}
		}
		if len(stack) == 0 {
			if _, err := dec.Token(); !errors.Is(err, io.EOF) {
				return fmt.Errorf("JSON at byte %d: more than one value", dec.InputOffset())
			}
			return nil
		}
	}
}
