package store

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"proofmark/protocol"
)

func FuzzDecodeLeaf(f *testing.F) {
	leaf, err := protocol.NewAuditLeaf(entry("e", "o"), make([]byte, protocol.AuditSaltSize))
	if err != nil {
		f.Fatal(err)
	}
	hashes := make([]byte, 64)
	whole := encodeLeaf(leaf, hashes)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(append([]byte{leafFormat, 1}, make([]byte, 33)...))
	f.Add([]byte{leafFormat, 255, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	leaf.Body, leaf.Salt = nil, nil
	f.Add(encodeLeaf(leaf, hashes))
	f.Fuzz(func(t *testing.T, b []byte) {
		leaf, hashes, err := decodeLeaf(b)
		if err != nil {
			return
		}
		again, hashes2, err := decodeLeaf(encodeLeaf(leaf, hashes))
		if err != nil || !bytes.Equal(again.Content(), leaf.Content()) || !bytes.Equal(again.Body, leaf.Body) || !bytes.Equal(hashes, hashes2) {
			t.Errorf("decoded again: %v", err)
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	signer, _ := testKeys()
	var tree auditTree
	signed, err := signCheckpoint(signer, &tree)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte("o\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))
	f.Add([]byte("o\n-1\nAAAA\n"))
	f.Add([]byte("o\n1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		text := fmt.Sprintf("%s\n%d\n%s", c.origin, c.size, c.root)
		if !strings.HasPrefix(string(b), text) || c.size < 0 {
			t.Errorf("%q was read as %q", b, text)
		}
	})
}

func FuzzCutEscaped(f *testing.F) {
	f.Add("a\x00b", "id")
	f.Add("\x00\xff\x00\x01", "\x00\x01")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, value, rest string) {
		v, r, ok := cutEscaped(escape(value) + rest)
		if !ok || v != value || r != rest {
			t.Errorf("%q %q came back as %q %q %v", value, rest, v, r, ok)
		}
		if (escape(value) < escape(rest)) != (value < rest) {
			t.Errorf("the order of %q and %q changed", value, rest)
		}
		_, _, _ = cutEscaped(rest)
	})
}
