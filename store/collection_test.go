package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type thing struct {
	Name string
	Tags []string
}

var things = NewCollection("thing",
	Index[thing]{"name", func(v *thing) []string { return []string{v.Name} }},
	Index[thing]{"tag", func(v *thing) []string { return v.Tags }})

func TestCollection(t *testing.T) {
	s := openTest(t)
	update(t, s, func(tx *Tx) error {
		return errors.Join(
			things.Put(tx, "1", &thing{"glock", []string{"pistol", "9mm"}}),
			things.Put(tx, "2", &thing{"beretta", []string{"pistol", "9mm", "9mm"}}),
			things.Insert(tx, "3", &thing{"ak", []string{"rifle", "7.62"}}))
	})
	view(t, s, func(tx *Tx) error {
		if v, err := things.Get(tx, "2"); err != nil || v.Name != "beretta" {
			t.Errorf("Get: %+v, %v", v, err)
		}
		for _, c := range []struct {
			seq  iter.Seq2[string, *thing]
			want string
		}{
			{things.All(tx), "1 2 3"}, {things.AllAfter(tx, "1"), "2 3"},
			{things.By(tx, "tag", "9mm"), "1 2"}, {things.By(tx, "tag", "9"), ""}, {things.ByAfter(tx, "tag", "9mm", "1"), "2"},
			{things.ByPrefix(tx, "name", ""), "3 2 1"}, {things.ByPrefix(tx, "tag", "p"), "1 2"}, {things.By(tx, "name", "ak"), "3"},
		} {
			if got := strings.Join(ids(c.seq), " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		}
		if n, err := things.Count(tx); n != 3 || err != nil {
			t.Errorf("Count %d, %v", n, err)
		}
		return nil
	})
	ctx := context.Background()
	wantErr(t, s.Update(ctx, func(tx *Tx) error { return things.Insert(tx, "3", &thing{}) }), ErrDuplicate, "thing 3")
	wantErr(t, s.Update(ctx, func(tx *Tx) error { return things.Delete(tx, "4") }), ErrNotFound, "thing 4: not found")
	wantErr(t, s.View(func(tx *Tx) error { _, err := things.Get(tx, "x"); return err }), ErrNotFound, "thing x: not found")
	wantErr(t, s.View(func(tx *Tx) error { return things.Put(tx, "x", &thing{}) }), ErrReadOnly)
	long := &thing{Name: strings.Repeat("n", 70_000)}
	wantErr(t, s.Update(ctx, func(tx *Tx) error { return things.Put(tx, "x", long) }), ErrTooLarge, "thing x")
	if err := s.Update(ctx, func(tx *Tx) error { return things.Put(tx, "", &thing{}) }); err == nil {
		t.Error("a record without an id was stored")
	}
	if err := s.CheckIndexes(ctx); err != nil {
		t.Error(err)
	}
}

// An iterator's error must reach the caller of View even if the act does not look.
func TestIteratorErrorsSurface(t *testing.T) {
	s := openTest(t)
	update(t, s, func(tx *Tx) error {
		return errors.Join(things.Put(tx, "1", &thing{Name: "a"}), things.Put(tx, "2", &thing{Name: "b"}),
			tx.put(things.key("2"), encodeRecord(nil, []byte("{broken"))))
	})
	walk := func(seq func(*Tx) iter.Seq2[string, *thing]) error {
		return s.View(func(tx *Tx) error {
			for range seq(tx) {
			}
			if tx.Err() == nil {
				t.Error("Err is nil")
			}
			return nil
		})
	}
	wantErr(t, walk(things.All), ErrCorrupt, "thing 2")
	wantErr(t, walk(func(tx *Tx) iter.Seq2[string, *thing] { return things.By(tx, "name", "b") }), ErrCorrupt, "thing 2")
	if err := walk(func(tx *Tx) iter.Seq2[string, *thing] { return things.By(tx, "colour", "b") }); err == nil || !strings.Contains(err.Error(), `"colour"`) {
		t.Errorf("unknown index: %v", err)
	}
	update(t, s, func(tx *Tx) error { return tx.del(things.key("1")) })
	wantErr(t, walk(func(tx *Tx) iter.Seq2[string, *thing] { return things.By(tx, "name", "a") }), ErrCorrupt, "missing thing 1")
	if err := s.CheckIndexes(context.Background()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("CheckIndexes: %v", err)
	}
}

func TestReindex(t *testing.T) {
	s := openTest(t)
	plain := NewCollection[thing]("thing")
	update(t, s, func(tx *Tx) error {
		for i := range 10 {
			if err := plain.Put(tx, fmt.Sprint(i), &thing{Name: "n"}); err != nil {
				return err
			}
		}
		return nil
	})
	last, end := "", false
	for acts := 1; !end; acts++ {
		update(t, s, func(tx *Tx) (err error) {
			last, end, err = things.Reindex(tx, last, 4)
			return err
		})
		if acts > 3 {
			t.Fatal("does not end")
		}
	}
	view(t, s, func(tx *Tx) error {
		if got := ids(things.By(tx, "name", "n")); len(got) != 10 {
			t.Errorf("found %v", got)
		}
		return nil
	})
	if err := s.CheckIndexes(context.Background()); err != nil {
		t.Error(err)
	}
}

func ids(seq iter.Seq2[string, *thing]) (out []string) {
	for id := range seq {
		out = append(out, id)
	}
	return out
}

// Random acts against a map: whatever is stored, changed and deleted, every question has the answer that the map gives, inside the
// act, after it, and when it is undone.
func TestCollectionAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "store")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		opt := testOptions(dir)
		opt.MemTable = 1 << 20
		s, err := Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		model := map[string]thing{}
		// Values that are hard on a key's encoding, and few, so that they meet.
		value := rapid.SampledFrom([]string{"", "a", "ab", "a\x00", "a\x00b", "\x00", "\x00\x01", "\x00\xff", "\x01", "\xff", "b"})
		id := rapid.SampledFrom([]string{"1", "2", "22", "3", "\x00", "4\x00\x01"})
		for range rapid.IntRange(1, 12).Draw(t, "acts") {
			next := maps.Clone(model)
			undo := rapid.Bool().Draw(t, "undo")
			errUndo := errors.New("undo")
			err := s.Update(context.Background(), func(tx *Tx) error {
				for range rapid.IntRange(1, 5).Draw(t, "steps") {
					id := id.Draw(t, "id")
					if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
						_, had := next[id]
						if err := things.Delete(tx, id); (err == nil) != had {
							t.Fatalf("delete %q: %v, there was one: %v", id, err, had)
						}
						delete(next, id)
						continue
					}
					v := thing{value.Draw(t, "name"), rapid.SliceOfN(value, 0, 3).Draw(t, "tags")}
					if err := things.Put(tx, id, &v); err != nil {
						return err
					}
					next[id] = v
				}
				compare(t, tx, next)
				if undo {
					return errUndo
				}
				return nil
			})
			if undo && !errors.Is(err, errUndo) || !undo && err != nil {
				t.Fatal(err)
			}
			if !undo {
				model = next
			}
			if err := s.View(func(tx *Tx) error { compare(t, tx, model); return nil }); err != nil {
				t.Fatal(err)
			}
			if err := s.CheckIndexes(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func compare(t *rapid.T, tx *Tx, model map[string]thing) {
	all := slices.Sorted(maps.Keys(model))
	if got := ids(things.All(tx)); !slices.Equal(got, all) {
		t.Fatalf("All = %q, want %q", got, all)
	}
	if n, err := things.Count(tx); n != len(model) || err != nil {
		t.Fatalf("Count = %d, %v, want %d", n, err, len(model))
	}
	for _, value := range []string{"", "a", "a\x00", "\x00", "\x00\x01", "\xff"} {
		type hit struct{ value, id string }
		var exact []string
		var prefixed []hit
		for _, id := range all {
			if slices.Contains(model[id].Tags, value) {
				exact = append(exact, id)
			}
			for _, tag := range slices.Compact(slices.Sorted(slices.Values(model[id].Tags))) {
				if strings.HasPrefix(tag, value) {
					prefixed = append(prefixed, hit{tag, id})
				}
			}
		}
		slices.SortFunc(prefixed, func(a, b hit) int { return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.id, b.id)) })
		if got := ids(things.By(tx, "tag", value)); !slices.Equal(got, exact) {
			t.Fatalf("By %q = %q, want %q", value, got, exact)
		}
		var want []string
		for _, h := range prefixed {
			want = append(want, h.id)
		}
		if got := ids(things.ByPrefix(tx, "tag", value)); !slices.Equal(got, want) {
			t.Fatalf("ByPrefix %q = %q, want %q", value, got, want)
		}
		for _, from := range []string{"", "a", "a\x00", "ab", "\x00\x01", "\xff"} {
			want = nil
			for _, h := range prefixed {
				if h.value >= from {
					want = append(want, h.id)
				}
			}
			if got := ids(things.ByPrefixFrom(tx, "tag", value, from)); !slices.Equal(got, want) {
				t.Fatalf("ByPrefixFrom %q, %q = %q, want %q", value, from, got, want)
			}
		}
	}
	if tx.Err() != nil {
		t.Fatal(tx.Err())
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(encodeRecord([]string{"name\x00a\x00\x01", ""}, []byte(`{"Name":"a"}`)))
	f.Add(encodeRecord(nil, nil))
	f.Add([]byte{recordFormat, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{recordFormat, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, body, err := decodeRecord(b)
		if err != nil {
			return
		}
		entries2, body2, err := decodeRecord(encodeRecord(entries, body))
		if err != nil || !slices.Equal(entries, entries2) || string(body) != string(body2) {
			t.Errorf("%q came back as %q %q, %v", b, entries2, body2, err)
		}
	})
}
