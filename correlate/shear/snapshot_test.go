package shear

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"proofmark/correlate/snapshot"

	"proofmark/correlate"
)

func savedGallery(t testing.TB) (*Gallery, []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(11, 12))
	g := NewGallery()
	for i := range 5 {
		if err := g.Put(fmt.Sprint("mark ", i), correlate.Class{Calibre: "9x19", Pattern: "unknown"}, randomMark(r, 100+i)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := g.Save(&b); err != nil {
		t.Fatal(err)
	}
	return g, b.Bytes()
}

func TestSnapshotRoundTrip(t *testing.T) {
	g, b := savedGallery(t)
	got, err := LoadGallery(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.items, g.items) || !reflect.DeepEqual(got.index, g.index) {
		t.Error("the gallery read differs")
	}
	found, err := got.Search(context.Background(), g.items[2].mark, correlate.Class{Calibre: "9x19"}, 1, nil)
	if err != nil || found[0].ID != "mark 2" {
		t.Errorf("%+v, %v", found, err)
	}
	if err := got.Put("long "+strings.Repeat("x", snapshot.MaxText), correlate.Class{}, g.items[0].mark); err != nil {
		t.Fatal(err)
	}
	if err := got.Save(new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a text too long: %v", err)
	}
}

func TestLoadGalleryRefuses(t *testing.T) {
	_, good := savedGallery(t)
	signed := func(b []byte) []byte { // as somebody would who wants to be read
		b = b[:len(b)-sha256.Size]
		sum := sha256.Sum256(b)
		return append(b, sum[:]...)
	}
	change := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	head := len(snapshotFormat.Magic) + 1 + 2 + len(Algorithm)
	for name, b := range map[string][]byte{
		"empty": nil, "magic": change(0, 'X'), "version": change(len(snapshotFormat.Magic), 9), "algorithm": change(head-1, '2'),
		"cut": good[:len(good)-40], "without checksum": good[:len(good)-sha256.Size], "damaged": change(len(good)-40, good[len(good)-40]^1),
		"too many": signed(change(head+7, 1)), "more than there are": signed(change(head, 6)),
		"id longer than any": signed(change(head+9, 0xff)),
		"one id twice":       signed(bytes.Replace(bytes.Clone(good), []byte("mark 1"), []byte("mark 0"), 1)),
		"bad signature":      signed(bytes.Replace(bytes.Clone(good), []byte("PMA\x01"), []byte("PMA\x02"), 1)),
	} {
		if _, err := LoadGallery(bytes.NewReader(b)); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLoadGallery(f *testing.F) {
	_, good := savedGallery(f)
	f.Add(good)
	f.Add(good[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := LoadGallery(bytes.NewReader(b)); err != nil && !errors.Is(err, ErrBadSnapshot) {
			t.Fatalf("error of another kind: %v", err)
		}
	})
}
