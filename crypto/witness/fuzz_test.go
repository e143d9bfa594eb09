package witness

import (
	"encoding/json"
	"errors"
	"testing"
)

func FuzzOpen(f *testing.F) {
	pt, es := newMember(f, "PT"), newMember(f, "ES")
	ring := keyring(f, pt, es)
	c := pt.checkpoint(f, newTree(5).at(5))
	line, err := es.cosigner(f).Cosign(c.Text, noon)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{c.Note, c.Note + line, c.Note + line[:40], c.Text, c.Text + "\n" + line, c.Text + "\n— proofmark.ES AAAA\n", "proofmark.PT\n-1\n\n\n", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ring.Open(b)
		if err != nil {
			return
		}
		if o.Tree != c.Tree || o.Note != c.Note || len(o.Cosignatures) > 1 {
			t.Fatalf("opened %+v, which nobody signed", o)
		}
	})
}

func FuzzOpenHead(f *testing.F) {
	pt := newMember(f, "PT")
	v := pt.verifier(f)
	log := newTree(9)
	plain := pt.offer(f, log, 9, log.at(4)).Head
	declared := plain
	declared.Restored = &Restored{ID: "000102030405060708090a0b0c0d0e0f", Base: log.at(3)}
	signed := map[string]bool{pt.sign(f, plain): true, pt.sign(f, declared): true}
	for s := range signed {
		f.Add([]byte(s))
		f.Add([]byte(s[:len(s)/2]))
	}
	f.Add([]byte(plain.text()))
	f.Add([]byte(headForm + "\n\n\n\n\n\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := OpenHead(string(b), v); err == nil && h.text() != plain.text() && h.text() != declared.text() {
			t.Fatalf("opened %+v, which nobody signed", h)
		}
		h, err := parseHead(string(b))
		if err == nil && h.text() != string(b) {
			t.Fatalf("two spellings of one head:\n%s\n%s", b, h.text())
		}
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	})
}

func FuzzParseEvidence(f *testing.F) {
	pt := newMember(f, "PT")
	v := pt.verifier(f)
	log := newTree(20)
	other := log.branch(5, "other ", 15)
	for _, n := range []int64{8, 12, 16} {
		o := pt.offer(f, other, n, log.at(12))
		b, err := json.Marshal(NewEvidence(pt.checkpoint(f, log.at(12)), pt.sign(f, o.Head), o))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"first":"","then":"","proof":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]}`))
	f.Add([]byte(`{"first":1}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEvidence(b)
		if err != nil {
			return
		}
		finding, err := e.Check(v)
		if err != nil {
			return
		}
		// Only what was signed above can be found, and it says the same whoever passes it on.
		if !finding.Verdict.Contradicts() || finding.First.N != 12 || finding.First.Hash != log.at(12).Hash {
			t.Fatalf("found %+v", finding)
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseEvidence(again)
		if err != nil || back.ID() != e.ID() {
			t.Fatalf("passed on it is other evidence: %v", err)
		}
	})
}
