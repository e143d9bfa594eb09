package witness

import (
	"encoding/json"
	"fmt"
	"testing"

	rules "proofmark/crypto/witness"
	"proofmark/store"
)

func FuzzDecodeAsk(f *testing.F) {
	fed := newFederation(f, f.TempDir(), "PT")
	pt := fed.bureaus["PT"]
	pt.grow(4)
	q := pt.question(rules.Empty(), nil)
	f.Add(q)
	f.Add(q[:len(q)/2])
	f.Add([]byte(`{"accused":"PT","evidence":{"first":"a","then":"b","proof":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}}`))
	f.Add([]byte(`{"proof":[1]}`))
	f.Add([]byte(`{"recall":{"after":"ES"}}`))
	f.Add([]byte(`{"recall":{"after":""},"cosigned":"x"}`))
	f.Add([]byte(`[[[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAsk(b)
		if err != nil {
			return
		}
		kinds := 0
		for _, is := range []bool{a.Evidence != nil, a.Checkpoint != "", a.Recall != nil} {
			if is {
				kinds++
			}
		}
		if kinds != 1 || len(a.Proof) > rules.MaxProof {
			t.Fatalf("took %+v", a)
		}
		if _, err := decodeAsk(must(json.Marshal(a))); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, s := range []string{`{"cosignature":"— proofmark.ES AAAA\n"}`, `{"held":"nothing"}`, `{"verdict":"fork"}`, `{"refusal":"\u0007no\nmore"}`, `{"held":"a","refusal":"b"}`, `{"shown":{"notes":["a"],"next":"ES"}}`, `{}`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil {
			return
		}
		if len(a.Refusal) > maxWords || words(a.Refusal) != a.Refusal || a == (answer{}) {
			t.Fatalf("took %+v", a)
		}
	})
}

func TestPruneKeepsTheBestCheckpoint(t *testing.T) {
	for _, tc := range []struct {
		name   string
		wanted int
		have   []int // cosignatures of the checkpoints, by size
		want   string
	}{
		{"all good", 2, []int{2, 2, 2}, "[3]"},
		{"the newest not yet", 2, []int{2, 2, 1}, "[2 3]"},
		{"more than wanted", 2, []int{3, 2, 1}, "[2 3]"},
		{"never enough", 3, []int{1, 2, 1, 1}, "[2 3 4]"},
		{"none wanted", 0, []int{1, 1}, "[2]"},
		{"a long time alone", 2, []int{2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "[1 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20]"},
	} {
		f := newFederation(t, t.TempDir(), "PT")
		var got []int64
		check(t, f.bureaus["PT"].store.Update(t.Context(), func(tx *store.Tx) error {
			for i, n := range tc.have {
				k := &Cosigned{Size: int64(i + 1), By: make([]Witness, n)}
				if err := Checkpoints.Put(tx, checkpointID(k.Size), k); err != nil {
					return err
				}
			}
			if err := prune(tx, tc.wanted); err != nil {
				return err
			}
			for _, k := range Checkpoints.All(tx) {
				got = append(got, k.Size)
			}
			return tx.Err()
		}))
		if fmt.Sprint(got) != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, got, tc.want)
		}
	}
}
