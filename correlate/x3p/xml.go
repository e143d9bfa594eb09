package x3p

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

const (
	maxLeaf     = 64 << 10  // bytes of text in an element that is kept
	maxToken    = 256 << 10 // bytes of one tag, comment or run of text
	maxElements = 10_000    // elements apart from data points; real files have about 60
)

func inMain(p string) string { return "main.xml: " + p }

var errToken = errors.New("token too long")

// tokenReader bounds what the XML library reads for one token: a tag with
// millions of attributes would otherwise cost many times its bytes in memory.
type tokenReader struct {
	text []byte
	used int // bytes since the last token, reset by the caller
}

func (r *tokenReader) ReadByte() (byte, error) {
	if len(r.text) == 0 {
		return 0, io.EOF
	}
	if r.used++; r.used > maxToken {
		return 0, errToken
	}
	b := r.text[0]
	r.text = r.text[1:]
	return b, nil
}

// Read exists because the library asks for an io.Reader; it reads by the byte.
func (r *tokenReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// toUTF8 drops a byte order mark. Text that is not UTF-8 is taken for
// Windows-1252, of which Latin-1 is a part: vendors write a bare µ.
func toUTF8(b []byte) (text []byte, note string, err error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return nil, "", fault(nil, "main.xml", "is UTF-16; save it as UTF-8")
	}
	if utf8.Valid(b) {
		return b, "", nil
	}
	b, err = charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return nil, "", fault(err, "main.xml", "is neither UTF-8 nor Windows-1252: %v", err)
	}
	return b, "main.xml: not UTF-8; read as Windows-1252", nil
}

// walk calls leaf for every element with its path below the root (local names
// joined by slashes) and its own text, which is valid during the call only.
// Namespaces are ignored: files in use lack the prefix, the namespace or both.
func walk(text []byte, maxDepth int, leaf func(path, text []byte) error) (root string, err error) {
	return visit(text, maxDepth, func([]byte, xml.StartElement) {}, leaf)
}

// visit is walk that also calls open where an element begins, the root (with an
// empty path) among them.
func visit(text []byte, maxDepth int, open func(path []byte, e xml.StartElement), leaf func(path, text []byte) error) (root string, err error) {
	in := &tokenReader{text: text}
	d := xml.NewDecoder(in)
	d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(label) {
		case "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252": // toUTF8 has seen to it
			return in, nil
		}
		return nil, fmt.Errorf("encoding %q is not supported; save it as UTF-8", label)
	}
	var at []byte   // path below the root
	var ends []int  // length of at outside of each open element
	var body []byte // text of the innermost element
	for {
		in.used = 0
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errToken) {
			return root, fault(ErrTooLarge, inMain(string(at)), "a tag, comment or text is longer than %d bytes", maxToken)
		}
		if err != nil {
			return root, fault(err, "main.xml", "%v", err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return root, fault(nil, "main.xml", "holds a document type declaration, which is not accepted")
		case xml.StartElement:
			if len(ends) == maxDepth {
				return root, fault(ErrTooLarge, inMain(string(at)), "elements nest deeper than %d", maxDepth)
			}
			ends = append(ends, len(at))
			switch {
			case len(ends) == 1 && root != "":
				return root, fault(nil, "main.xml", "has more than one root element")
			case len(ends) == 1:
				root = t.Name.Local
			case len(at) == 0:
				at = append(at, t.Name.Local...)
			default:
				at = append(append(at, '/'), t.Name.Local...)
			}
			open(at, t)
			body = body[:0]
		case xml.CharData:
			if len(body) <= maxLeaf { // what is longer only has to be seen to be longer
				body = append(body, t...)
			}
		case xml.EndElement:
			if len(ends) > 1 {
				if err := leaf(at, bytes.TrimSpace(body)); err != nil {
					return root, err
				}
			}
			at, ends, body = at[:ends[len(ends)-1]], ends[:len(ends)-1], body[:0]
		}
	}
	return root, nil
}
