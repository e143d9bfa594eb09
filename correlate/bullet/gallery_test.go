//go:build !race

package bullet

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
)

func TestGalleryFindsMatesFirst(t *testing.T) {
	g := crowd(t, 1, 260) // more than a short list
	r := rand.New(rand.NewPCG(3, 2))
	ctx := context.Background()
	for k := range 4 {
		b := randomBullet(r, 6)
		mate := arranged(worn(r, b, k), allArrangements[k])
		if err := g.Put("mate", mate); err != nil {
			t.Fatal(err)
		}
		q := NewTemplate(b)
		how := Search{Keep: 7, Arrangements: true}
		found, err := g.Search(ctx, q, how)
		if err != nil || len(found) != 7 || found[0].ID != "mate" || found[0].Arrangement != allArrangements[k] {
			t.Fatalf("%+v: %+v, %v", allArrangements[k], found, err)
		}
		if want := CompareAll(q, NewTemplate(mate)); !reflect.DeepEqual(found[0].Comparison, want) {
			t.Error("the list's comparison differs from CompareAll")
		}
		for i := 1; i < len(found); i++ {
			if found[i].Score > found[i-1].Score {
				t.Error("list is not in order")
			}
		}
		how.Arrangements = false
		plain, err := g.Search(ctx, q, how)
		if err != nil || (plain[0].ID == "mate") == allArrangements[k].Mirrored {
			t.Errorf("as recorded, %+v: first is %s, %v", allArrangements[k], plain[0].ID, err)
		}
		without, err := g.Search(ctx, q, Search{Keep: 7, Arrangements: true, Admit: func(id string) bool { return id != "mate" }})
		if err != nil || without[0].ID == "mate" {
			t.Errorf("a bullet that is not admitted is found: %v", err)
		}
	}
}

func TestGallerySameListOnAnyNumberOfCores(t *testing.T) {
	g := crowd(t, 3, 300)
	q := NewTemplate(randomBullet(rand.New(rand.NewPCG(3, 4)), 6))
	search := func() []Found {
		f, err := g.Search(context.Background(), q, Search{Keep: 20})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	many := search() // of 300, more than a short list
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if one := search(); !reflect.DeepEqual(one, many) {
		t.Error("one core finds another list")
	}
}

func TestGalleryGateAndClass(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	g := NewGallery()
	ctx := context.Background()
	b := randomBullet(r, 6)
	few := mustBullet(t, b.lands[0], b.lands[1], nil, nil, nil, nil)
	if err := g.Put("few", few); !errors.Is(err, ErrBelowGate) || g.Len() != 0 {
		t.Errorf("two lands are put: %v", err)
	}
	if _, err := g.Search(ctx, NewTemplate(few), Search{Keep: 1}); !errors.Is(err, ErrBelowGate) {
		t.Errorf("two lands are searched: %v", err)
	}
	if err := g.Put("five", randomBullet(r, 5)); err != nil {
		t.Fatal(err)
	}
	if found, err := g.Search(ctx, NewTemplate(b), Search{Keep: 3}); err != nil || len(found) != 0 {
		t.Errorf("another class is compared: %v, %v", found, err)
	}
	// Opposite halves have no phase in common with three lands: found nowhere.
	half := mustBullet(t, b.lands[0], nil, b.lands[2], nil, b.lands[4], nil)
	if err := g.Put("whole", worn(r, b, 0)); err != nil {
		t.Fatal(err)
	}
	found, err := g.Search(ctx, NewTemplate(half), Search{Keep: 3})
	if err != nil || len(found) != 1 || found[0].ID != "whole" || found[0].Counted != 3 || !found[0].Conclusive {
		t.Errorf("three lands of six: %+v, %v", found, err)
	}
}

// A gallery that fetches signatures finds what one finds that keeps them, to the bit.
func TestFetchedSignaturesAreComparedAlike(t *testing.T) {
	g := crowd(t, 6, 230) // more than a short list
	r := rand.New(rand.NewPCG(3, 7))
	b := randomBullet(r, 6)
	if err := g.Put("mate", worn(r, b, 2)); err != nil {
		t.Fatal(err)
	}
	shelf, ids := map[string][]byte{}, []string{}
	f := NewFetchingGallery(func(_ context.Context, want []string) ([][]byte, error) {
		ids = want
		out := make([][]byte, len(want))
		for i, id := range want {
			out[i] = shelf[id]
		}
		return out, nil
	})
	for _, it := range g.items {
		shelf[it.id] = it.packed
		b, err := Decode(it.packed)
		if err == nil {
			err = f.PutClass(it.id, it.class.Value(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	search := func(g *Gallery) ([]Found, error) {
		return g.Search(t.Context(), NewTemplate(b), Search{Keep: 20, Arrangements: true})
	}
	want, err := search(g)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := search(f); err != nil || !reflect.DeepEqual(got, want) || got[0].ID != "mate" || len(ids) != shortLeast {
		t.Errorf("%d fetched; %+v, want %+v; %v", len(ids), got, want, err)
	}
	delete(shelf, "mate")
	if got, err := search(f); err != nil || got[0].ID == "mate" {
		t.Errorf("a bullet that is gone is found: %v", err)
	}
	five, _ := randomBullet(r, 5).MarshalBinary()
	for _, bad := range [][]byte{[]byte("no bullet"), five} {
		shelf["mate"] = bad
		if _, err := search(f); !errors.Is(err, ErrBadSignature) {
			t.Errorf("unreadable bytes: %v", err)
		}
	}
	for _, fetch := range []Fetch{
		func(context.Context, []string) ([][]byte, error) { return nil, context.DeadlineExceeded },
		func(context.Context, []string) ([][]byte, error) { return nil, nil },
	} {
		f.fetch = fetch
		if got, err := search(f); err == nil || got != nil {
			t.Errorf("%d found without their signatures", len(got))
		}
	}
}

func TestGalleryCancelled(t *testing.T) {
	g := crowd(t, 8, 250)
	q := NewTemplate(randomBullet(rand.New(rand.NewPCG(3, 9)), 6))
	ctx, cancel := context.WithCancel(context.Background())
	_, err := g.Search(ctx, q, Search{Keep: 3, Admit: func(string) bool { cancel(); return true }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled on its way: %v", err)
	}
	if _, err := g.Search(ctx, q, Search{Keep: 3}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if f, err := g.Search(context.Background(), q, Search{}); err != nil || f != nil {
		t.Errorf("nothing asked for: %v, %v", f, err)
	}
}
