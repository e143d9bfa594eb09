package crypto

import (
	"strings"
	"testing"
)

// Whatever is packed comes back letter by letter, and what a signer writes is packed a quarter shorter.
func FuzzPack(f *testing.F) {
	compact, err := signerFromSeed(make([]byte, 32)).Sign(TypeDocument, []byte(strings.Repeat("payload ", 200)))
	if err != nil {
		f.Fatal(err)
	}
	if n := len(AppendPacked(nil, compact)); n > len(compact)*3/4+16 {
		f.Errorf("%d bytes packed of %d", n, len(compact))
	}
	for _, seed := range []string{compact, "", ".", "..", "...", "a.b.c", "YQ.YQ.YQ", "YR.YQ.YQ", "YQ.Y\nQ.YQ", "YQ==.YQ.YQ", "YQ.YQ", "\x00", "YQ.YQ.YQ.", "..YQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, compact string) {
		packed := AppendPacked([]byte("before"), compact)
		got, err := Unpack(packed[len("before"):])
		if err != nil || got != compact || string(packed[:6]) != "before" {
			t.Errorf("%q came back as %q, %v", compact, got, err)
		}
	})
}

func TestUnpackWhatWasNeverPacked(t *testing.T) {
	for _, b := range []string{"", "\x02", "\x01", "\x01\x05a", "\x01\x01a\x02b", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a"} {
		if compact, err := Unpack([]byte(b)); err == nil {
			t.Errorf("%q became %q", b, compact)
		}
	}
}
