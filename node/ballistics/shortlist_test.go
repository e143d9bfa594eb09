package ballistics

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"proofmark/store"
)

// A short list gets each signature in its place, however long it is, and nothing of what was withdrawn, erased, held by a legal hold or never there.
func TestAShortListGetsWhatIsStillThere(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.put(t, 0, batch+8)
	b.withdraw(t, 3)
	var ids []string
	for i := range batch + 8 {
		ids = append(ids, foreign(i).ID)
	}
	ids = append(ids, "0198f2a4-0000-7000-8000-00000000ffff")
	erased := foreign(5)
	if err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		kept := foreign(4) // under a legal hold: here, and not to be used
		kept.Withdrawn = tx.Now()
		return errors.Join(signatures.Put(tx, kept.ID, kept), signatures.Delete(tx, erased.ID))
	}); err != nil {
		t.Fatal(err)
	}
	got, err := b.signatureBytes(t.Context(), ids)
	if err != nil || len(got) != len(ids) {
		t.Fatalf("%d of %d came, %v", len(got), len(ids), err)
	}
	for i, id := range ids {
		gone := i == 3 || i == 4 || i == 5 || i == len(ids)-1
		if gone != (got[i] == nil) || !gone && !bytes.Equal(got[i], foreign(i).Bytes) {
			t.Errorf("%d, %s: %d bytes", i, id, len(got[i]))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.signatureBytes(ctx, ids); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A signature that left the database is not found, though the index has not let go of it yet.
func TestNothingIsFoundThatLeftTheDatabase(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.put(t, 0, 3)
	b.load(t)
	own := foreign(0)
	own.ID, own.Own, own.Country, own.Exhibit = "0198f2a4-0000-7000-8000-000000005054", true, "PT", "0198f2a4-0000-7000-9000-0000000000ff"
	if err := b.index.Hold(entryOf(own)); err != nil {
		t.Fatal(err)
	}
	search := func() (ids []string) {
		found, err := b.index.Search(t.Context(), own.ID, own.Bytes, ListLength)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			ids = append(ids, f.ID)
		}
		return ids
	}
	if ids := search(); len(ids) != 3 {
		t.Fatalf("found %v", ids)
	}
	if err := b.store.Update(t.Context(), func(tx *store.Tx) error { return signatures.Delete(tx, foreign(1).ID) }); err != nil {
		t.Fatal(err)
	}
	if ids := search(); len(ids) != 2 || ids[0] == foreign(1).ID || ids[1] == foreign(1).ID {
		t.Errorf("found %v, of which one is gone", ids)
	}
	if !b.index.Holds(foreign(1).ID) {
		t.Error("the index let go of it: this tested something else")
	}
}
