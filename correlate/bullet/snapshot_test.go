package bullet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"proofmark/correlate/snapshot"
)

// savedGallery is a small gallery, a query and its snapshot.
func savedGallery(tb testing.TB) (*Gallery, *Template, []byte) {
	tb.Helper()
	g := crowd(tb, 20, 5)
	r := rand.New(rand.NewPCG(3, 21))
	query := randomBullet(r, 6)
	if err := g.PutClass("mate", Class{Calibre: "9x19", Twist: "R", Rifling: "conventional", Width: 1950}, worn(r, query, 2)); err != nil {
		tb.Fatal(err)
	}
	if err := g.Put("of five lands", randomBullet(r, 5)); err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := g.Save(&b); err != nil {
		tb.Fatal(err)
	}
	return g, NewTemplate(query), b.Bytes()
}

func TestSnapshotBringsTheGalleryBack(t *testing.T) {
	g, q, raw := savedGallery(t)
	again, err := LoadGallery(bytes.NewReader(raw), keptBy(g))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := again.Save(&b); err != nil || !bytes.Equal(b.Bytes(), raw) {
		t.Errorf("a snapshot of the gallery read back differs, %v", err)
	}
	how := Search{Keep: 5, Class: Class{Calibre: "9x19", Twist: "R"}}
	want, err := g.Search(context.Background(), q, how)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Search(context.Background(), q, how)
	if err != nil || !reflect.DeepEqual(got, want) || len(got) != 5 || got[0].ID != "mate" {
		t.Errorf("the gallery read back finds %+v, %v", got, err)
	}
	if again.Remove("mate"); again.Len() != g.Len()-1 {
		t.Errorf("%d of %d bullets", again.Len(), g.Len())
	}
}

// keptBy fetches from a gallery that keeps its signatures.
func keptBy(g *Gallery) Fetch {
	return func(_ context.Context, ids []string) ([][]byte, error) {
		out := make([][]byte, len(ids))
		for i, id := range ids {
			if at, ok := g.index[id]; ok {
				out[i] = g.items[at].packed
			}
		}
		return out, nil
	}
}

func TestSnapshotOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := NewGallery().Save(&b); err != nil {
		t.Fatal(err)
	}
	if g, err := LoadGallery(&b, nil); err != nil || g.Len() != 0 {
		t.Errorf("%v", err)
	}
}

func TestSnapshotRefusesDamage(t *testing.T) {
	_, _, raw := savedGallery(t)
	for n := 0; n < len(raw); n += 1 + n/40 {
		if _, err := LoadGallery(bytes.NewReader(raw[:n]), nil); !errors.Is(err, ErrBadSnapshot) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
	for at := 0; at < len(raw); at += 1 + at/40 {
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
	if err := g.Put(string(make([]byte, snapshot.MaxText+1)), randomBullet(rand.New(rand.NewPCG(3, 22)), 6)); err != nil {
		t.Fatal(err)
	}
	if err := g.Save(io.Discard); err == nil {
		t.Error("an id that cannot be read back was written")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Whatever passes the checksum can be searched and never panics.
func FuzzLoadGallery(f *testing.F) {
	kept, q, raw := savedGallery(f)
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
			return slices.Repeat([][]byte{kept.items[0].packed}, len(ids)), nil
		})
		if err != nil {
			if !errors.Is(err, ErrBadSnapshot) {
				t.Fatal(err)
			}
			return
		}
		if _, err := g.Search(context.Background(), q, Search{Keep: 2, Arrangements: true}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestClassExcludes(t *testing.T) {
	known := Class{Calibre: "9x19", Twist: "R", Rifling: "conventional", Width: 2000}
	for i, c := range []struct {
		other Class
		want  bool
	}{
		{Class{}, true},
		{known, true},
		{Class{Calibre: "unknown", Twist: "unknown", Rifling: "unknown"}, true},
		{Class{Calibre: "9x18", Twist: "R"}, false},
		{Class{Twist: "L"}, false},
		{Class{Rifling: "polygonal"}, false},
		{Class{Width: 1800}, true},
		{Class{Width: 1799}, false},
		{Class{Width: 2222}, true},
		{Class{Width: 2223}, false},
		{Class{Width: math.NaN()}, true},
		{Class{Width: -1}, true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			g := NewGallery()
			r := rand.New(rand.NewPCG(3, 30))
			b := randomBullet(r, 6)
			if err := g.PutClass("other", c.other, worn(r, b, 1)); err != nil {
				t.Fatal(err)
			}
			found, err := g.Search(context.Background(), NewTemplate(b), Search{Keep: 1, Class: known})
			if err != nil || (len(found) == 1) != c.want {
				t.Errorf("%+v: %d found, %v", c.other, len(found), err)
			}
		})
	}
}
