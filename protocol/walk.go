package protocol

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// walker goes once over JSON text (RFC 8259) without building anything: for the checks that every foreign document, message and disclosure goes
// through, which with a decoder's tokens took longer than their signatures.
type walker struct {
	b        []byte
	at       int
	maxDepth int
	names    [][]byte // of the objects around the place, the outermost first
	spaced   bool     // white space between tokens was met
}

// plainObject bounds the fields of an object whose names are compared one by one.
const plainObject = 48

// plain tells that b is one valid JSON value in valid UTF-8, no deeper than allowed, with no name twice in an object. It does not know all there are:
// objects with very many fields and names with escapes are left to a decoder.
func plain(b []byte, maxDepth int) bool {
	if !utf8.Valid(b) {
		return false
	}
	var room [32][]byte
	w := walker{b: b, maxDepth: maxDepth, names: room[:0]}
	w.space()
	if !w.value(0) {
		return false
	}
	w.space()
	return w.at == len(b)
}

// compact tells whether valid JSON has no white space between its tokens.
func compact(b []byte) bool {
	w := walker{b: b, maxDepth: len(b)}
	return w.skip() && !w.spaced && w.at == len(b)
}

// members yields the fields of an object that plain let through, in their order: names without quotes, values as they stand. It reports false for
// anything but an object.
func members(b []byte, yield func(name, value []byte) error) (object bool, err error) {
	w := walker{b: b, maxDepth: len(b)}
	w.space()
	if !w.take('{') {
		return false, nil
	}
	w.space()
	if w.take('}') {
		return true, nil
	}
	for {
		name, _ := w.text()
		w.space()
		w.take(':')
		w.space()
		start := w.at
		if !w.skip() {
			return false, nil
		}
		if err := yield(name, b[start:w.at:w.at]); err != nil {
			return true, err
		}
		w.space()
		if !w.take(',') {
			return true, nil
		}
		w.space()
	}
}

// elements is members for an array.
func elements(b []byte, yield func(value []byte) error) (array bool, err error) {
	w := walker{b: b, maxDepth: len(b)}
	w.space()
	if !w.take('[') {
		return false, nil
	}
	w.space()
	if w.take(']') {
		return true, nil
	}
	for {
		start := w.at
		if !w.skip() {
			return false, nil
		}
		if err := yield(b[start:w.at:w.at]); err != nil {
			return true, err
		}
		w.space()
		if !w.take(',') {
			return true, nil
		}
		w.space()
	}
}

// bareText returns the text of a JSON string that holds no escape.
func bareText(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return "", false
	}
	return string(value[1 : len(value)-1]), true
}

func (w *walker) peek() byte {
	if w.at < len(w.b) {
		return w.b[w.at]
	}
	return 0
}

func (w *walker) take(c byte) bool {
	if w.peek() != c {
		return false
	}
	w.at++
	return true
}

func (w *walker) space() {
	for w.at < len(w.b) {
		switch w.b[w.at] {
		case ' ', '\t', '\r', '\n':
			w.at++
			w.spaced = true
		default:
			return
		}
	}
}

func (w *walker) value(depth int) bool {
	switch c := w.peek(); {
	case c == '{':
		return w.object(depth)
	case c == '[':
		return w.array(depth)
	case c == '"':
		_, ok := w.text()
		return ok
	case c == '-' || c >= '0' && c <= '9':
		return w.number()
	}
	return w.word("true") || w.word("false") || w.word("null")
}

func (w *walker) word(s string) bool {
	if !bytes.HasPrefix(w.b[w.at:], []byte(s)) {
		return false
	}
	w.at += len(s)
	return true
}

func (w *walker) object(depth int) bool {
	if depth == w.maxDepth {
		return false
	}
	w.at++
	first := len(w.names)
	defer func() { w.names = w.names[:first] }()
	w.space()
	if w.take('}') {
		return true
	}
	for {
		name, ok := w.text()
		if !ok || bytes.IndexByte(name, '\\') >= 0 || len(w.names)-first == plainObject {
			return false
		}
		for _, other := range w.names[first:] {
			if bytes.Equal(name, other) {
				return false
			}
		}
		w.names = append(w.names, name)
		w.space()
		if !w.take(':') {
			return false
		}
		w.space()
		if !w.value(depth + 1) {
			return false
		}
		w.space()
		if w.take('}') {
			return true
		}
		if !w.take(',') {
			return false
		}
		w.space()
	}
}

func (w *walker) array(depth int) bool {
	if depth == w.maxDepth {
		return false
	}
	w.at++
	w.space()
	if w.take(']') {
		return true
	}
	for {
		if !w.value(depth + 1) {
			return false
		}
		w.space()
		if w.take(']') {
			return true
		}
		if !w.take(',') {
			return false
		}
		w.space()
	}
}

// text takes a string and returns what stands between its quotes.
func (w *walker) text() (inside []byte, ok bool) {
	if !w.take('"') {
		return nil, false
	}
	start := w.at
	for w.at < len(w.b) {
		if w.plain(); w.at == len(w.b) {
			break
		}
		switch c := w.b[w.at]; {
		case c == '"':
			w.at++
			return w.b[start : w.at-1], true
		case c < ' ':
			return nil, false
		case c == '\\':
			if !w.escape() {
				return nil, false
			}
		default:
			w.at++
		}
	}
	return nil, false
}

// plain goes over bytes of a string that are none of quote, backslash and control character, eight at once: nearly all of a document is such text. The sums
// are the usual ones for a byte of zero and for one below a bound in a word (Bit Twiddling Hacks, "haszero" and "hasless").
func (w *walker) plain() {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	b, at := w.b, w.at
	for ; len(b)-at >= 8; at += 8 {
		x := binary.LittleEndian.Uint64(b[at:])
		quote, slash := x^ones*'"', x^ones*'\\'
		if ((quote-ones)&^quote|(slash-ones)&^slash|(x-ones*' ')&^x)&highs != 0 {
			break
		}
	}
	for at < len(b) && b[at] >= ' ' && b[at] != '"' && b[at] != '\\' {
		at++
	}
	w.at = at
}

func (w *walker) escape() bool {
	w.at++
	c := w.peek()
	w.at++
	if c != 'u' {
		return c != 0 && bytes.IndexByte([]byte(`"\/bfnrt`), c) >= 0
	}
	for range 4 {
		if c := w.peek() | 0x20; !(c >= '0' && c <= '9' && w.peek() >= '0' || c >= 'a' && c <= 'f') {
			return false
		}
		w.at++
	}
	return true
}

func (w *walker) number() bool {
	w.take('-')
	if !w.take('0') && !w.digits() {
		return false
	}
	if w.take('.') && !w.digits() {
		return false
	}
	if w.peek()|0x20 == 'e' {
		w.at++
		if !w.take('+') {
			w.take('-')
		}
		return w.digits()
	}
	return true
}

func (w *walker) digits() bool {
	start := w.at
	for c := w.peek(); c >= '0' && c <= '9'; c = w.peek() {
		w.at++
	}
	return w.at > start
}

// skip goes over one value whose form was checked before: braces and brackets are counted, strings passed.
func (w *walker) skip() bool {
	depth := 0
	for w.at < len(w.b) {
		switch c := w.b[w.at]; c {
		case '"':
			if _, ok := w.text(); !ok {
				return false
			}
			if depth == 0 {
				return true
			}
		case '{', '[':
			depth++
			w.at++
		case '}', ']':
			if depth == 0 {
				return true // of the object around it: the value before was a number or a word
			}
			w.at++
			if depth--; depth == 0 {
				return true
			}
		case ',', ':':
			if depth == 0 {
				return true
			}
			w.at++
		case ' ', '\t', '\r', '\n':
			if depth == 0 {
				return true
			}
			w.spaced = true
			w.at++
		default:
			w.at++
		}
	}
	return depth == 0
}
