package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/protocol"
)

// appendEntries appends n entries in acts of several: objects o0…o9 and counterparts ES, FR in turn.
func appendEntries(t testing.TB, s *Store, n int) {
	t.Helper()
	size, err := s.AuditSize()
	if err != nil {
		t.Fatal(err)
	}
	for i := int(size); i < int(size)+n; {
		update(t, s, func(tx *Tx) error {
			for end := min(i+7, int(size)+n); i < end; i++ {
				e := entry(fmt.Sprintf("event %d", i), fmt.Sprintf("o%d", i%10))
				e.Counterpart = []string{"ES", "FR"}[i%2]
				e.Time = testStart.Add(time.Duration(i) * time.Hour)
				tx.Audit(e)
			}
			return nil
		})
	}
}

func verify(t testing.TB, s *Store) AuditReport {
	t.Helper()
	_, v := testKeys()
	r, err := s.VerifyAudit(context.Background(), v, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuditLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(dir))
	if r := verify(t, s); r.Size != 0 {
		t.Errorf("empty log: %+v", r)
	}
	appendEntries(t, s, 300)
	err := s.Update(context.Background(), func(tx *Tx) error { tx.Audit(entry("undone", "o")); return errors.New("no") })
	if err == nil {
		t.Error("no error")
	}
	r := verify(t, s)
	if r.Size != 300 || r.Erased != 0 {
		t.Errorf("%+v", r)
	}
	// The tree is the one that tlog computes from the leaves' contents.
	var all []tlog.Hash
	reader := tlog.HashReaderFunc(func(idx []int64) (out []tlog.Hash, err error) {
		for _, i := range idx {
			out = append(out, all[i])
		}
		return out, nil
	})
	view(t, s, func(tx *Tx) error {
		for i := range r.Size {
			leaf, err := tx.AuditLeaf(i)
			if err != nil {
				return err
			}
			hashes, err := tlog.StoredHashes(i, leaf.Content(), reader)
			if err != nil {
				return err
			}
			all = append(all, hashes...)
		}
		root, err := tlog.TreeHash(r.Size, reader)
		if err != nil || root != r.Root {
			t.Errorf("root %s, %v, want %s", r.Root, err, root)
		}
		// Proofs come from the stored hashes.
		for _, i := range []int64{0, 1, 255, 256, 298, 299} {
			leaf, _ := tx.AuditLeaf(i)
			proof, err := tlog.ProveRecord(r.Size, i, tx.AuditHashes())
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(proof, r.Size, r.Root, i, tlog.RecordHash(leaf.Content())); err != nil {
				t.Errorf("entry %d: %v", i, err)
			}
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testOptions(dir))
	appendEntries(t, s, 5) // goes on where it stopped
	again := verify(t, s)
	view(t, s, func(tx *Tx) error {
		proof, err := tlog.ProveTree(again.Size, r.Size, tx.AuditHashes())
		if err != nil {
			return err
		}
		return tlog.CheckTree(proof, again.Size, again.Root, r.Size, r.Root)
	})
	cp, err := s.Checkpoint()
	if err != nil || !strings.HasPrefix(string(cp), testOrigin+"\n305\n") {
		t.Errorf("%s, %v", cp, err)
	}
}

func TestAuditErase(t *testing.T) {
	s := openTest(t)
	appendEntries(t, s, 20)
	before := verify(t, s)
	erase := func(tx *Tx) error { return tx.EraseAudit(7) }
	update(t, s, erase)
	update(t, s, erase)
	after := verify(t, s)
	if after.Root != before.Root || after.Erased != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	got, err := s.QueryAudit(context.Background(), AuditQuery{Object: "o7"})
	if err != nil || len(got) != 1 || got[0].Index != 17 {
		t.Errorf("by object: %+v, %v", got, err)
	}
	got, err = s.QueryAudit(context.Background(), AuditQuery{Counterpart: "FR", Before: 8, Limit: 1})
	if err != nil || len(got) != 1 || got[0].Index != 7 || !got[0].Erased || got[0].Actor != "" || got[0].Day == "" {
		t.Errorf("by counterpart: %+v, %v", got, err)
	}
	if page, err := s.FindAudit(context.Background(), AuditQuery{Erased: true, Counterpart: "FR"}); err != nil || len(page.Records) != 1 || page.Records[0].Index != 7 {
		t.Errorf("erased: %+v, %v", page, err)
	}
	wantErr(t, s.Update(context.Background(), func(tx *Tx) error { return tx.EraseAudit(20) }), ErrNotFound)
}

// Queries are compared with a plain filter over all entries.
func TestQueryAudit(t *testing.T) {
	s := openTest(t)
	appendEntries(t, s, 600)
	update(t, s, func(tx *Tx) error {
		e := entry("disclosed", "sig-1")
		e.Action, e.Documents, e.Case, e.Purpose, e.Details = protocol.ActDisclose, []string{"doc-1", "doc-1", "doc-2", "o3"}, "PJ 17/26", "trace", map[string]string{"Place": "Faro"}
		e.Policies, e.Handling, e.Ground = []string{"leads (30.cedar:4)", "all (1.cedar:1)"}, []string{"H0", "H2"}, "policy"
		e.Time = testStart.Add(30 * time.Hour) // behind the others: the clock was set back
		tx.Audit(e)
		e = entry(strings.Repeat("long ", 100), strings.Repeat("x", 300))
		e.Decision, e.Actor = "deny", "rui"
		tx.Audit(e)
		e.Object += "y"
		tx.Audit(e)
		return nil
	})
	verify(t, s)
	all, err := s.QueryAudit(context.Background(), AuditQuery{Limit: 1000})
	if err != nil || len(all) != 603 || all[0].Index != 602 || all[602].Index != 0 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	hour := func(n int) time.Time { return testStart.Add(time.Duration(n) * time.Hour) }
	for i, c := range []struct {
		q     AuditQuery
		count int
		first int64
	}{
		{AuditQuery{}, 100, 602},
		{AuditQuery{Object: "o3"}, 61, 600}, // one of them through its documents
		{AuditQuery{Object: "o3", Counterpart: "ES"}, 1, 600},
		{AuditQuery{Object: "doc-1"}, 1, 600},
		{AuditQuery{Object: "doc"}, 0, 0},
		{AuditQuery{Counterpart: "FR", Limit: 1000}, 300, 599},
		{AuditQuery{Counterpart: "FR", Limit: 3, Before: 100}, 3, 99},
		{AuditQuery{Case: "PJ 17/26"}, 1, 600}, {AuditQuery{Actor: "rui"}, 2, 602}, {AuditQuery{Decision: "deny"}, 2, 602},
		{AuditQuery{Purpose: "trace"}, 1, 600}, {AuditQuery{Action: "disclose"}, 1, 600}, {AuditQuery{Kind: "lead"}, 0, 0},
		{AuditQuery{Policy: "leads"}, 1, 600}, {AuditQuery{Policy: "leads (30.cedar:4)"}, 1, 600}, {AuditQuery{Policy: "lead"}, 0, 0},
		{AuditQuery{Handling: "H2"}, 1, 600}, {AuditQuery{Handling: "H2", Policy: "all", Purpose: "trace", Since: hour(30), Until: hour(31)}, 1, 600},
		{AuditQuery{Handling: "H2", Decision: "deny"}, 0, 0}, {AuditQuery{Ground: "policy", Counterpart: "ES"}, 1, 600},
		{AuditQuery{Text: "fARo"}, 1, 600}, {AuditQuery{Text: "EVENT 59", Limit: 1000}, 11, 599},
		{AuditQuery{Object: strings.Repeat("x", 300)}, 1, 601},
		{AuditQuery{Since: hour(598)}, 2, 599}, {AuditQuery{Since: hour(30), Until: hour(31)}, 2, 600},
		{AuditQuery{Until: hour(3), Kind: "exhibit"}, 5, 602}, {AuditQuery{Since: hour(10_000)}, 0, 0},
		{AuditQuery{Since: hour(255), Until: hour(257), Before: 257}, 2, 256}, {AuditQuery{Before: 1}, 1, 0},
	} {
		got, err := s.QueryAudit(context.Background(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.count || len(got) > 0 && got[0].Index != c.first {
			t.Errorf("query %d %+v: %d entries, want %d, first %+v", i, c.q, len(got), c.count, got[:min(1, len(got))])
		}
		limit, before := c.q.Limit, c.q.Before
		if limit == 0 {
			limit = 100
		}
		k := 0
		for _, r := range all {
			if c.q.selects(&r) && (before == 0 || r.Index < before) && k < limit {
				if k >= len(got) || got[k].Index != r.Index {
					t.Fatalf("query %d %+v: entry %d is not at place %d", i, c.q, r.Index, k)
				}
				k++
			}
		}
	}
	// A page looks at so many entries and says where the next one goes on; what an index narrows down is not among them.
	var got []int64
	pages := 0
	for q := (AuditQuery{Text: "event 59", Limit: 1000, Look: 100}); ; pages++ {
		page, err := s.FindAudit(context.Background(), q)
		if err != nil || page.Looked > 100 {
			t.Fatal(page.Looked, err)
		}
		for _, r := range page.Records {
			got = append(got, r.Index)
		}
		if q.Before = page.Next; q.Before == 0 {
			break
		}
	}
	if pages != 6 || len(got) != 11 || got[0] != 599 || got[10] != 59 {
		t.Errorf("%d pages, %v", pages, got)
	}
	if page, err := s.FindAudit(context.Background(), AuditQuery{Object: "o7", Counterpart: "FR", Limit: 3, Look: 3}); err != nil || len(page.Records) != 3 || page.Next != 568 {
		t.Errorf("%+v, %v", page, err)
	}
	if page, err := s.FindAudit(context.Background(), AuditQuery{Object: "o7", Counterpart: "ES", Before: 512}); err != nil || page.Looked != 0 || page.Next != 0 {
		t.Errorf("looked at %d entries, none of which two indexes share", page.Looked)
	}
	// A walk finds the same, the oldest first.
	for _, q := range []AuditQuery{{}, {Counterpart: "FR"}, {Object: "o3"}, {Since: hour(30), Until: hour(31)}, {Decision: "deny"}, {Policy: "none"}} {
		var walked []int64
		view(t, s, func(tx *Tx) error {
			return tx.WalkAudit(context.Background(), q, nil, func(index int64, _ protocol.AuditLeaf) error { walked = append(walked, index); return nil })
		})
		k := len(walked)
		for _, r := range all {
			if q.selects(&r) {
				if k--; k < 0 || walked[k] != r.Index {
					t.Fatalf("walk %+v: entry %d", q, r.Index)
				}
			}
		}
		if k != 0 {
			t.Errorf("walk %+v: %d entries too many", q, k)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.QueryAudit(ctx, AuditQuery{Text: "nowhere"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAuditEntryThatCannotBeEncoded(t *testing.T) {
	s := openTest(t)
	err := s.Update(context.Background(), func(tx *Tx) error {
		e := entry("e", "o")
		e.Time = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)
		tx.Audit(e)
		return tx.Put("k", nil)
	})
	if err == nil {
		t.Fatal("no error")
	}
	s.opt.Random = bytes.NewReader(nil)
	if err := s.Update(context.Background(), func(tx *Tx) error { tx.Audit(entry("e", "o")); return tx.Put("k", nil) }); err == nil {
		t.Fatal("no error without randomness")
	}
	view(t, s, func(tx *Tx) error {
		if len(scanKeys(tx, "", "")) > 0 {
			t.Error("something was written")
		}
		return nil
	})
	if r := verify(t, s); r.Size != 0 {
		t.Errorf("%+v", r)
	}
}

// Every change to the stored log is found and placed.
func TestVerifyAuditFindsTampering(t *testing.T) {
	skey, _, _ := note.GenerateKey(rand.Reader, testOrigin)
	stranger, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	leafKey := func(i int) string { return spaceLeaf + number(uint64(i)) }
	change := func(key string, f func([]byte) []byte) func(*Tx) error {
		return func(tx *Tx) error {
			b, err := tx.get(key)
			if err != nil {
				return err
			}
			return tx.put(key, f(bytes.Clone(b)))
		}
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	del := func(keys ...string) func(*Tx) error {
		return func(tx *Tx) error {
			for _, key := range keys {
				if ok, err := tx.has(key); err != nil || !ok {
					return fmt.Errorf("%q is not there", key)
				}
				if err := tx.del(key); err != nil {
					return err
				}
			}
			return nil
		}
	}
	swap := func(a, b string) func(*Tx) error {
		return func(tx *Tx) error {
			x, err1 := tx.get(a)
			y, err2 := tx.get(b)
			return errors.Join(err1, err2, tx.put(a, y), tx.put(b, x))
		}
	}
	swapContents := func(a, b string) func(*Tx) error {
		return func(tx *Tx) error {
			x, err1 := tx.get(a)
			y, err2 := tx.get(b)
			hx, x, err3 := cutHashes(x)
			hy, y, err4 := cutHashes(y)
			join := func(hashes, rest []byte) []byte {
				return slices.Concat([]byte{leafFormat, byte(len(hashes) / 32)}, hashes, rest)
			}
			return errors.Join(err1, err2, err3, err4, tx.put(a, join(hx, y)), tx.put(b, join(hy, x)))
		}
	}
	var allLeaves []string
	for i := range 50 {
		allLeaves = append(allLeaves, leafKey(i))
	}
	resign := func(signer note.Signer, size int64) func(*Tx) error {
		return func(tx *Tx) error {
			tree, err := loadTree(size, tx.AuditHashes())
			if err != nil {
				return err
			}
			cp, err := signCheckpoint(signer, &tree)
			return errors.Join(err, tx.put(keyCheckpoint, cp))
		}
	}
	own, _ := testKeys()
	indexKey := auditIndexPrefix(byObject, "o3") + newestFirst(13)
	for name, c := range map[string]struct {
		tamper func(*Tx) error
		index  int64
		reason string
	}{
		"body changed":           {change(leafKey(17), flip(-5)), 17, ""},
		"header changed":         {change(leafKey(17), flip(80)), 17, ""},
		"length changed":         {change(leafKey(16), flip(34)), 16, ""},
		"format changed":         {change(leafKey(17), flip(0)), 17, "not an audit entry"},
		"entry cut":              {change(leafKey(17), func(b []byte) []byte { return b[:80] }), 17, "cut short"},
		"cut within hashes":      {change(leafKey(17), func(b []byte) []byte { return b[:20] }), 17, "cut short"},
		"byte appended":          {change(leafKey(17), func(b []byte) []byte { return append(b, 0) }), 17, "after the end"},
		"entry dropped":          {del(leafKey(5)), 5, "missing"},
		"first dropped":          {del(leafKey(0)), 0, "missing"},
		"truncated":              {del(leafKey(49)), 49, "missing"},
		"all dropped":            {del(allLeaves...), 0, "missing"},
		"two swapped":            {swap(leafKey(8), leafKey(30)), 9, "entries 8 to 9"},
		"neighbours swapped":     {swap(leafKey(8), leafKey(9)), 8, "tree hashes"},
		"contents swapped":       {swapContents(leafKey(8), leafKey(30)), 8, "leaf hash"},
		"leaf hash changed":      {change(leafKey(11), flip(leafHead+3)), 11, "leaf hash"},
		"inner hash changed":     {change(leafKey(31), flip(leafHead+5*32)), 31, "entries 0 to 31"},
		"hash dropped":           {change(leafKey(11), func(b []byte) []byte { b[1]--; return slices.Delete(b, leafHead+64, leafHead+96) }), 11, "2 tree hashes"},
		"hash too many":          {change(leafKey(12), func(b []byte) []byte { b[1]++; return slices.Insert(b, leafHead+32, make([]byte, 32)...) }), 12, "2 tree hashes"},
		"no hashes":              {change(leafKey(12), func(b []byte) []byte { b[1]--; return slices.Delete(b, leafHead, leafHead+32) }), 12, "cut short"},
		"entry appended":         {func(tx *Tx) error { b, _ := tx.get(leafKey(3)); return tx.put(leafKey(50), b) }, 50, "beyond"},
		"entry far beyond":       {func(tx *Tx) error { b, _ := tx.get(leafKey(3)); return tx.put(leafKey(70), b) }, 70, "beyond"},
		"checkpoint rolled back": {resign(own, 40), 40, "beyond"},
		"checkpoint by stranger": {resign(stranger, 50), -1, "signature"},
		"checkpoint changed":     {change(keyCheckpoint, flip(-9)), -1, "signature"},
		"checkpoint gone":        {del(keyCheckpoint), -1, "no checkpoint"},
		"index entry dropped":    {del(indexKey), 13, "missing from an index"},
		"index entry added":      {func(tx *Tx) error { return tx.put(auditIndexPrefix(byObject, "o4")+newestFirst(13), present) }, 13, "does not have"},
		"index to nothing":       {func(tx *Tx) error { return tx.put(auditIndexPrefix(byCase, "eva")+newestFirst(99), present) }, 99, "not there"},
		"index entry moved": {func(tx *Tx) error {
			return errors.Join(tx.del(indexKey), tx.put(auditIndexPrefix(byObject, "o4")+newestFirst(13), present))
		}, 13, ""},
		"period changed": {func(tx *Tx) error { return tx.put(spaceTimes+number(0), []byte(number(0)+number(9))) }, -1, "period"},
		"rewritten whole": {func(tx *Tx) error { // a wholly consistent other log under the old checkpoint
			old, err := tx.Checkpoint()
			if err != nil {
				return err
			}
			var tree auditTree
			for i := range 50 {
				leaf, err := tx.AuditLeaf(int64(i))
				if err != nil {
					return err
				}
				e, _ := leaf.Entry()
				if i == 20 {
					e.Event = "rewritten"
				}
				if leaf, err = protocol.NewAuditLeaf(e, leaf.Salt); err != nil {
					return err
				}
				if err := tx.put(leafKey(i), encodeLeaf(leaf, tree.append(leaf.Content()))); err != nil {
					return err
				}
			}
			return tx.put(keyCheckpoint, old)
		}, -1, "signed checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := testOptions(t.TempDir())
			opt.MemTable = 1 << 20
			s := open(t, opt)
			appendEntries(t, s, 50)
			update(t, s, c.tamper)
			_, v := testKeys()
			_, err := s.VerifyAudit(context.Background(), v, nil)
			var f *AuditFault
			if !errors.As(err, &f) {
				t.Fatalf("got %v, want an AuditFault", err)
			}
			if f.Index != c.index || !strings.Contains(f.Reason, c.reason) {
				t.Errorf("got entry %d (%s), want entry %d (%s)", f.Index, f.Reason, c.index, c.reason)
			}
		})
	}
}

// A log that contradicts its checkpoint can be opened and examined, but nothing is appended to it.
func TestFaultyLogOpensForExamination(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(dir))
	appendEntries(t, s, 50)
	update(t, s, func(tx *Tx) error { return errors.Join(tx.del(spaceLeaf+number(49)), tx.Put("k", []byte("v"))) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testOptions(dir))
	wantErr(t, s.Update(context.Background(), func(tx *Tx) error { tx.Audit(entry("e", "o")); return nil }), ErrAuditFault, "verification")
	_, v := testKeys()
	_, err := s.VerifyAudit(context.Background(), v, nil)
	var f *AuditFault
	if !errors.As(err, &f) || f.Index != 49 {
		t.Errorf("%v", err)
	}
	view(t, s, func(tx *Tx) error { _, err := tx.Get("k"); return err })
}

func TestVerifyAuditProgressAndCancel(t *testing.T) {
	s := openTest(t)
	appendEntries(t, s, 10)
	_, v := testKeys()
	var last, total int64
	if _, err := s.VerifyAudit(context.Background(), v, func(d, n int64) { last, total = d, n }); err != nil || last != 10 || total != 10 {
		t.Errorf("progress %d of %d, %v", last, total, err)
	}
}
