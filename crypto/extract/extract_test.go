package extract

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// testLog is a log in memory: its entries and the hashes of its tree.
type testLog struct {
	leaves []protocol.AuditLeaf
	hashes []tlog.Hash
}

func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		if n < 0 || n >= int64(len(l.hashes)) {
			return nil, fmt.Errorf("no hash %d", n)
		}
		out[i] = l.hashes[n]
	}
	return out, nil
}

func newLog(t testing.TB, n int) *testLog {
	l := &testLog{}
	for i := range n {
		e := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: "ES", Decision: "permit", Ground: "policy"},
			AuditBody: protocol.AuditBody{Time: time.Date(2026, 3, 1, 12, i, 0, 0, time.UTC), Actor: "=ana", Kind: "signature", Object: fmt.Sprint("o", i),
				Event: "sent, \"quoted\"\nand <more>", Details: map[string]string{"b": "2", "a": "+1"}, Handling: []string{"H0", "H1"}, MessageSeq: uint64(i)}}
		leaf, err := protocol.NewAuditLeaf(e, bytes.Repeat([]byte{byte(i), 0xfb}, 8))
		if err != nil {
			t.Fatal(err)
		}
		if i%5 == 4 {
			leaf.Body, leaf.Salt = nil, nil
		}
		more, err := tlog.StoredHashes(int64(i), leaf.Content(), l)
		if err != nil {
			t.Fatal(err)
		}
		l.leaves, l.hashes = append(l.leaves, leaf), append(l.hashes, more...)
	}
	return l
}

func (l *testLog) extract(t testing.TB, asCSV bool, indexes ...int64) []byte {
	var b bytes.Buffer
	x, err := NewWriter(&b, []byte("a checkpoint\nin lines\n"), int64(len(l.leaves)), l, json.RawMessage(`{"counterpart":"ES"}`), asCSV)
	for _, i := range indexes {
		if err == nil {
			err = x.Add(i, l.leaves[i])
		}
	}
	if err == nil {
		err = x.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAnExtractGivesTheRootOfItsLog(t *testing.T) {
	for _, size := range []int{0, 1, 2, 5, 8, 13, 64, 100} {
		l := newLog(t, size)
		root, err := tlog.TreeHash(int64(size), l)
		if err != nil {
			t.Fatal(err)
		}
		for every := 1; every <= size+1; every = every*2 + 1 {
			var chosen []int64
			for i := every - 1; i < size; i += every {
				chosen = append(chosen, int64(i))
			}
			for _, asCSV := range []bool{false, true} {
				got, err := Check(bytes.NewReader(l.extract(t, asCSV, chosen...)))
				if err != nil || got.Root != root || got.Size != int64(size) || got.Rows != int64(len(chosen)) || got.Checkpoint != "a checkpoint\nin lines\n" {
					t.Fatalf("%d of %d, table %v: %+v, %v", len(chosen), size, asCSV, got, err)
				}
			}
		}
	}
}

func TestEveryChangeOfAnExtractIsFound(t *testing.T) {
	l := newLog(t, 21)
	root, _ := tlog.TreeHash(21, l)
	for _, asCSV := range []bool{false, true} {
		whole := l.extract(t, asCSV, 2, 3, 4, 9, 17)
		same := func(b []byte) bool {
			got, err := Check(bytes.NewReader(b))
			if err != nil && !errors.Is(err, ErrExtract) {
				t.Fatalf("not an error of the file: %v", err)
			}
			return err == nil && got.Root == root && got.Size == 21 && got.Checkpoint == "a checkpoint\nin lines\n"
		}
		if !same(whole) {
			t.Fatal("the extract itself is refused")
		}
		lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
		body := len(lines[0])                        // what was asked for is not signed
		for at := body; at < len(whole)-1; at += 3 { // in steps that fall into every hash and field
			b := bytes.Clone(whole)
			b[at] ^= 2
			if same(b) {
				t.Errorf("table %v: byte %d was changed from %q to %q: %s", asCSV, at, whole[at], b[at], whole[max(0, at-30):at+30])
			}
		}
		for i := 1; i < len(lines); i++ {
			if same(bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil)) {
				t.Errorf("line %d was dropped", i+1)
			}
			if same(bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil)) {
				t.Errorf("line %d was doubled", i+1)
			}
			if same(whole[:len(bytes.Join(lines[:i], nil))]) {
				t.Errorf("cut before line %d", i+1)
			}
		}
		if same(append(bytes.Clone(whole), "more\n"...)) {
			t.Error("something was appended")
		}
	}
}

func TestCellsThatWouldBeFormulas(t *testing.T) {
	for cell, want := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "  =1": "'  =1", "\t=1": "·=1", "\r=1": "·=1", "＝1": "'＝1", "|x": "'|x", "%x": "'%x", "'=1": "''=1",
		"a\nb": "a·b", "a=1": "a=1", "": "", "2026": "2026", "\u00a0=1": "'\u00a0=1",
	} {
		if got := guard(cell); got != want {
			t.Errorf("%q became %q, want %q", cell, got, want)
		}
	}
	l := newLog(t, 3)
	records, err := csv.NewReader(bytes.NewReader(l.extract(t, true, 0, 1))).ReadAll()
	if err != nil || len(records) != 4 {
		t.Fatal(len(records), err)
	}
	for _, r := range records {
		for _, cell := range r {
			if start := strings.TrimSpace(cell); start != "" && strings.ContainsAny(start[:1], "=+-@\t\r") {
				t.Errorf("a cell begins like a formula: %q", cell)
			}
		}
	}
	if records[1][3] != "'=ana" || records[1][12] != `sent, "quoted"·and <more>` || records[1][23] != "a=+1; b=2" || !strings.Contains(records[1][18], "H1: not to be used in court without the permission of its owner.") {
		t.Errorf("%q", records[1])
	}
}

func TestFilesThatAreNone(t *testing.T) {
	h := base64.StdEncoding.EncodeToString(make([]byte, 32))
	first := `{"format":"` + Format + `","checkpoint":"c"}` + "\n"
	for name, c := range map[string]struct{ file, says string }{
		"empty":              {"", "empty"},
		"words":              {"hello\n", "columns"},
		"another format":     {`{"format":"x/1","checkpoint":"c"}` + "\n", Format},
		"nothing after":      {first, "cut"},
		"a field twice":      {first + `{"end":true,"end":true,"rows":0}` + "\n", "line 2"},
		"deep":               {first + strings.Repeat("[", 10_000) + "\n", "line 2"},
		"a level too high":   {first + `{"end":true,"rows":0,"rest":"63:` + h + `"}` + "\n", "level"},
		"levels that repeat": {first + `{"end":true,"rows":0,"rest":"62:` + h + ` 62:` + h + `"}` + "\n", "cannot begin"},
		"misaligned":         {first + `{"end":true,"rows":0,"rest":"0:` + h + ` 1:` + h + `"}` + "\n", "cannot begin"},
		"too many subtrees":  {first + `{"end":true,"rows":0,"rest":"` + strings.Repeat("0:"+h+" ", 200) + `"}` + "\n", "more than"},
		"a short hash":       {first + `{"end":true,"rows":0,"rest":"0:AAAA"}` + "\n", "no hash"},
		"a line too long":    {first + strings.Repeat("a", maxLine+1), "longer"},
	} {
		if _, err := Check(strings.NewReader(c.file)); !errors.Is(err, ErrExtract) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddWantsTheOrderOfTheLog(t *testing.T) {
	l := newLog(t, 4)
	x, err := NewWriter(&bytes.Buffer{}, nil, 4, l, nil, false)
	if err = errors.Join(err, x.Add(2, l.leaves[2])); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int64{2, 1, 4} {
		if x.Add(i, l.leaves[1]) == nil {
			t.Errorf("entry %d after entry 2 of 4", i)
		}
	}
}

func FuzzCheck(f *testing.F) {
	l := newLog(f, 9)
	f.Add(l.extract(f, false, 1, 4, 7))
	f.Add(l.extract(f, true, 1, 4, 7))
	f.Add([]byte(`{"format":"` + Format + `","checkpoint":"c"}` + "\n" + `{"end":true,"rows":0}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Check(bytes.NewReader(b)); err == nil && r.Rows > r.Size {
			t.Errorf("%d rows of %d entries", r.Rows, r.Size)
		}
	})
}
