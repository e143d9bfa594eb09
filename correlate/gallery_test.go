package correlate

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"proofmark/correlate/exact"
)

func smallGallery(t testing.TB, firearms, shots int) (*Gallery, map[string]*Template) {
	g := NewGallery()
	all := map[string]*Template{}
	for f := range firearms {
		for s := range shots {
			id := fmt.Sprintf("f%02d-%d", f, s)
			tm := mustTemplate(t, texture(f+1).scan(view{rotation: float64(37*f + 101*s), noise: texture(1000 + 10*f + s), pitch: 12.5}))
			g.Put(id, Class{Calibre: "9x19"}, tm)
			all[id] = tm
		}
	}
	return g, all
}

func TestGallerySearch(t *testing.T) {
	g, all := smallGallery(t, 4, 3)
	ctx := context.Background()
	for id, q := range all {
		found, err := g.Search(ctx, q, Class{Calibre: "9x19"}, 5, func(other string) bool { return other != id })
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 5 {
			t.Fatalf("%d found", len(found))
		}
		for i, f := range found[:2] {
			if f.ID[:3] != id[:3] {
				t.Errorf("%s: rank %d is %s (%.3f)", id, i+1, f.ID, f.Score)
			}
		}
		for i := 1; i < len(found); i++ {
			if found[i].Score > found[i-1].Score {
				t.Errorf("%s: list is not in order", id)
			}
		}
		if want := Compare(q, all[found[0].ID]); !reflect.DeepEqual(want, found[0].Comparison) {
			t.Errorf("%s: the list's comparison differs from Compare", id)
		}
	}
}

// A gallery larger than the short list goes through the coarse scan; the mates
// must survive it and stand first.
func TestGallerySearchBeyondShortList(t *testing.T) {
	g, all := smallGallery(t, 4, 2)
	filler := mustTemplate(t, texture(500).scan(view{pitch: 12.5}))
	g.limits = limits{short: 8, swept: 16, words: 24}
	for i := range 40 {
		g.Put(fmt.Sprintf("filler-%d", i), Class{}, filler)
	}
	for id, q := range all {
		found, err := g.Search(context.Background(), q, Class{}, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		if found[0].ID != id || found[1].ID[:3] != id[:3] {
			t.Errorf("%s: found %s and %s", id, found[0].ID, found[1].ID)
		}
	}
}

func TestGalleryClassFilter(t *testing.T) {
	tm := mustTemplate(t, texture(1).scan(view{pitch: 12.5}))
	g := NewGallery()
	g.Put("a", Class{Calibre: "9x19", FiringPin: "circular"}, tm)
	g.Put("b", Class{Calibre: ".45 ACP", FiringPin: "circular"}, tm)
	g.Put("c", Class{Calibre: "unknown", FiringPin: "rectangular"}, tm)
	g.Put("d", Class{}, tm)
	for _, tc := range []struct {
		class Class
		want  string
	}{
		{Class{}, "abcd"},
		{Class{Calibre: "9x19"}, "acd"},
		{Class{Calibre: "unknown", FiringPin: "circular"}, "abd"},
		{Class{Calibre: ".45 ACP", FiringPin: "rectangular"}, "cd"},
		{Class{Pattern: "arched"}, "abcd"},
	} {
		found, err := g.Search(context.Background(), tm, tc.class, 10, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range found {
			got += f.ID
		}
		if got != tc.want { // equal scores, so the order is by id
			t.Errorf("%+v: found %q, want %q", tc.class, got, tc.want)
		}
	}
}

func TestGalleryPutRemove(t *testing.T) {
	tm := mustTemplate(t, texture(1).scan(view{pitch: 12.5}))
	g := NewGallery()
	for _, id := range []string{"a", "b", "c"} {
		g.Put(id, Class{}, tm)
	}
	g.Put("b", Class{Calibre: "9x19"}, tm)
	g.Remove("a")
	g.Remove("nobody")
	if g.Len() != 2 {
		t.Fatalf("%d templates", g.Len())
	}
	found, err := g.Search(context.Background(), tm, Class{Calibre: ".380"}, 10, nil)
	if err != nil || len(found) != 1 || found[0].ID != "c" {
		t.Fatalf("found %v, %v", found, err)
	}
}

func TestGallerySearchCancelled(t *testing.T) {
	g, all := smallGallery(t, 1, 2)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := g.Search(ctx, all["f00-0"], Class{}, 5, func(string) bool { cancel(); return true })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if found, err := g.Search(context.Background(), all["f00-0"], Class{}, 0, nil); err != nil || found != nil {
		t.Errorf("keep 0: %v, %v", found, err)
	}
}

func TestGalleryManyAtOnce(t *testing.T) {
	g, all := smallGallery(t, 3, 2)
	var wg sync.WaitGroup
	for id, q := range all {
		wg.Go(func() {
			for range 2 {
				g.Put("extra-"+id, Class{}, q)
				found, err := g.Search(context.Background(), q, Class{}, 1, func(other string) bool { return other == id })
				if err != nil || len(found) != 1 || found[0].ID != id {
					t.Errorf("%s: %v, %v", id, found, err)
				}
				g.Remove("extra-" + id)
			}
		})
	}
	wg.Wait()
	if g.Len() != len(all) {
		t.Errorf("%d templates remain of %d", g.Len(), len(all))
	}
}

// Entries in several blocks, put, replaced and removed at random, are those of a
// map; a search that has begun keeps what it saw.
func TestGalleryKeepsItsEntriesApart(t *testing.T) {
	g := NewGallery()
	want := map[string]string{}
	tm := mustTemplate(t, texture(1).scan(view{pitch: 12.5}))
	narrow := NewTemplate(tm.sig) // with a polar code of another length
	narrow.codes.polar = &polarCode{mask: [rings][ringWords]uint64{3: {1}}}
	rng := exact.Sequence(5)
	var old *contents
	var oldIDs []string
	for step := range 6000 {
		id := fmt.Sprint(rng.Below(4000))
		if rng.Below(5) == 0 {
			delete(want, id)
			g.Remove(id)
		} else {
			want[id] = fmt.Sprint(rng.Below(3))
			if want[id] == "0" {
				g.Put(id, Class{Calibre: want[id]}, narrow)
			} else {
				g.Put(id, Class{Calibre: want[id]}, tm)
			}
		}
		if step == 3000 {
			old, oldIDs = g.now.Load(), ids(g.now.Load())
		}
	}
	now := g.now.Load()
	if g.Len() != len(want) || len(ids(now)) != len(want) || len(now.full) < 2 {
		t.Fatalf("%d entries in %d full blocks, want %d", g.Len(), len(now.full), len(want))
	}
	entries := 0
	for i := range now.len() {
		b, at := now.at(i)
		r := b.entry(at)
		if want[r.id] != r.class.Calibre || int(g.index[r.id]) != i {
			t.Fatalf("entry %d is %s of class %s, want %s", i, r.id, r.class.Calibre, want[r.id])
		}
		if !r.polar.whole() || (len(r.polar) == 2+ringBytes) != (want[r.id] == "0") {
			t.Fatalf("entry %d has a polar code of %d bytes", i, len(r.polar))
		}
	}
	for _, u := range g.classes {
		entries += u.entries
	}
	if entries != len(want) {
		t.Errorf("classes count %d entries, want %d", entries, len(want))
	}
	if !reflect.DeepEqual(ids(old), oldIDs) {
		t.Error("what an older search sees has changed")
	}
}

func ids(v *contents) []string {
	var out []string
	for i := range v.len() {
		b, at := v.at(i)
		out = append(out, b.ids[at])
	}
	return out
}

func TestTemplateCacheIsBounded(t *testing.T) {
	g, all := smallGallery(t, 2, 2)
	g.expanded = newTemplateCache(2)
	for range 2 {
		for id, q := range all {
			b, at := g.now.Load().at(int(g.index[id]))
			got, err := g.template(b.signatures[at], b.polarOf(at))
			if err != nil || Compare(got, q).Score < 0.9 {
				t.Fatalf("%s: not its template, %v", id, err)
			}
		}
	}
	if n := len(g.expanded.byKey); n != 2 || g.expanded.order.Len() != 2 {
		t.Errorf("%d templates are kept, room is for 2", n)
	}
}

// shelf is where a gallery under test fetches its signatures.
type shelf map[string][]byte

func (s shelf) fetch(_ context.Context, ids []string) ([][]byte, error) {
	out := make([][]byte, len(ids))
	for i, id := range ids {
		out[i] = s[id]
	}
	return out, nil
}

// fetching is a gallery of the same entries in the same places that fetches them.
func fetching(g *Gallery) (*Gallery, shelf) {
	s := shelf{}
	f := NewFetchingGallery(s.fetch)
	v := g.now.Load()
	for i := range v.len() {
		b, at := v.at(i)
		e := b.entry(at)
		s[e.id], e.signature = e.signature, nil
		f.put(e.class.kindClass, e)
	}
	return f, s
}

// A gallery that fetches signatures finds what one finds that keeps them, to the bit,
// by every way through the stages.
func TestFetchedSignaturesAreComparedAlike(t *testing.T) {
	g, all := smallGallery(t, 3, 2)
	f, s := fetching(g)
	queries := map[string]*Template{"whole": all["f01-0"], "part": mustTemplate(t, texture(1).scan(view{rotation: 50, pitch: 12.5, sector: 70}))}
	for name, l := range map[string]limits{"all compared": g.limits, "swept": {short: 4, swept: 8, words: 20}, "scanned": {short: 4, swept: 5, words: 5}} {
		g.limits, f.limits = l, l
		for part, q := range queries {
			want, err := g.SearchStages(t.Context(), q, Class{}, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := f.SearchStages(t.Context(), q, Class{}, 1, nil); err != nil || !reflect.DeepEqual(got, want) || (want.Scanned > 0) != (name == "scanned") {
				t.Fatalf("%s, %s: %+v, want %+v; %v", name, part, got, want, err)
			}
		}
	}
	q := all["f00-0"]
	told, err := f.SearchTold(t.Context(), q, Class{}, 3, nil, func(id string) bool { return id == "f00-1" })
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range told {
		want := Compare(q, all[got.ID])
		if got.ID == "f00-1" {
			want = Compare(all[got.ID], q)
		}
		if !reflect.DeepEqual(got.Comparison, want) {
			t.Errorf("%s: told as %+v, want %+v", got.ID, got.Comparison, want)
		}
	}
	delete(s, "f00-1")
	if found, err := f.Search(t.Context(), q, Class{}, 5, nil); err != nil || len(found) == 0 || slices.ContainsFunc(found, func(x Found) bool { return x.ID == "f00-1" }) {
		t.Errorf("a signature that is gone is found: %+v, %v", found, err)
	}
	s["f00-1"] = []byte("not a signature")
	if _, err := f.Search(t.Context(), q, Class{}, 5, nil); !errors.Is(err, ErrBadSignature) {
		t.Errorf("unreadable bytes: %v", err)
	}
	broken := errors.New("the disk is gone")
	for _, fetch := range []Fetch{
		func(context.Context, []string) ([][]byte, error) { return nil, broken },
		func(context.Context, []string) ([][]byte, error) { return nil, nil },
	} {
		f.fetch = fetch
		if found, err := f.Search(t.Context(), q, Class{}, 5, nil); err == nil || found != nil {
			t.Errorf("found %v without their signatures", found)
		}
	}
}
