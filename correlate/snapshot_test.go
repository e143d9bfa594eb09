package correlate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"

	"proofmark/correlate/snapshot"
)

// savedGallery is a small gallery and its snapshot.
func savedGallery(tb testing.TB) (*Gallery, map[string]*Template, []byte) {
	tb.Helper()
	g, all := smallGallery(tb, 2, 2)
	g.Put("of no class", Class{}, all["f00-0"])
	var b bytes.Buffer
	if err := g.Save(&b); err != nil {
		tb.Fatal(err)
	}
	return g, all, b.Bytes()
}

func TestSnapshotBringsTheGalleryBack(t *testing.T) {
	g, all, raw := savedGallery(t)
	_, saved := fetching(g)
	again, err := LoadGallery(bytes.NewReader(raw), saved.fetch)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := again.Save(&b); err != nil || !bytes.Equal(b.Bytes(), raw) {
		t.Errorf("a snapshot of the gallery read back differs, %v", err)
	}
	for id, q := range all {
		class := Class{Calibre: "9x19"}
		want, err := g.Search(context.Background(), q, class, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Search(context.Background(), q, class, 5, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the gallery read back finds something else, %v", id, err)
		}
	}
	again.Remove("f00-0")
	if again.Len() != g.Len()-1 {
		t.Errorf("%d entries after a removal from %d", again.Len(), g.Len())
	}
}

func TestSnapshotRefusesDamage(t *testing.T) {
	_, _, raw := savedGallery(t)
	for cut := 0; cut < len(raw); cut += 97 {
		if _, err := LoadGallery(bytes.NewReader(raw[:cut]), nil); !errors.Is(err, ErrBadSnapshot) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d of %d bytes: %v", cut, len(raw), err)
		}
	}
	for at := 0; at < len(raw); at += 89 {
		bad := bytes.Clone(raw)
		bad[at] ^= 0x10
		if _, err := LoadGallery(bytes.NewReader(bad), nil); !errors.Is(err, ErrBadSnapshot) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
}

func TestSnapshotPassesOnErrors(t *testing.T) {
	g, _, _ := savedGallery(t)
	if err := g.Save(brokenWriter{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
	g.Put(string(make([]byte, snapshot.MaxText+1)), Class{}, NewTemplate(mustEncode(t, texture(1).scan(view{pitch: 12.5}))))
	if err := g.Save(io.Discard); err == nil {
		t.Error("an id that cannot be read back was written")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Whatever passes the checksum can be searched and never panics.
func FuzzLoadGallery(f *testing.F) {
	_, all, raw := savedGallery(f)
	q := all["f00-0"]
	f.Add(raw[:len(raw)-sha256.Size])
	f.Add([]byte(snapshotFormat.Magic))
	f.Add(raw[:100])
	empty := new(bytes.Buffer)
	if err := NewGallery().Save(empty); err != nil {
		f.Fatal(err)
	}
	f.Add(empty.Bytes()[:empty.Len()-sha256.Size])
	f.Fuzz(func(t *testing.T, b []byte) {
		sum := sha256.Sum256(b)
		g, err := LoadGallery(bytes.NewReader(append(bytes.Clone(b), sum[:]...)), func(_ context.Context, ids []string) ([][]byte, error) {
			return slices.Repeat([][]byte{q.packed}, len(ids)), nil
		})
		if err != nil {
			if !errors.Is(err, ErrBadSnapshot) {
				t.Fatal(err)
			}
			return
		}
		g.limits = limits{short: 2, swept: 3, words: 3}
		if _, err := g.Search(context.Background(), q, Class{}, 1, nil); err != nil {
			t.Fatal(err)
		}
	})
}
