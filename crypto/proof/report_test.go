package proof

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"proofmark/protocol"
)

// year is a log with entries on three days, a report on the middle one, and its leaves.
func year(t testing.TB, many int) (b *bureau, tr *Trust, signed string, leaves []byte) {
	t.Helper()
	b = newBureau(t, "PT")
	es := newBureau(t, "ES")
	tr = trust(t, es, b)
	first, end := int64(0), int64(0)
	for day := range 3 {
		for i := range many {
			e := protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: "ES", Decision: "permit", Ground: "policy"},
				AuditBody: protocol.AuditBody{Actor: "ana", Kind: "lead", Object: "secret-object", Event: "sent", Time: noon.AddDate(0, 0, day)}}
			if i%3 == 0 {
				e.Action, e.Decision, e.Counterpart = protocol.ActDeny, "deny", ""
			}
			b.log(e)
		}
		if day == 0 {
			first = int64(many) - 1
		}
		if day == 1 {
			end = int64(2*many) + 1
		}
	}
	var buf bytes.Buffer
	m, err := NewReportMaker(Report{Country: "PT", From: "2026-03-02", To: "2026-03-03", Made: noon.AddDate(0, 0, 9), First: first}, b.reader(), &buf)
	b.must(err)
	for i := first; i < end; i++ {
		b.must(m.Add(b.leaves[i]))
	}
	signed, err = m.Finish(int64(len(b.leaves)), b.reader(), b.checkpoint(es), b.keys.Signer())
	b.must(err)
	return b, tr, signed, buf.Bytes()
}

func checkReport(tr *Trust, signed string, leaves []byte) (*ReportFound, error) {
	r, err := tr.OpenReport(signed)
	if err != nil {
		return nil, err
	}
	return CheckReport(r, bytes.NewReader(leaves), tr)
}

func TestReportIsProved(t *testing.T) {
	_, tr, signed, leaves := year(t, 30)
	f, err := checkReport(tr, signed, leaves)
	if err != nil {
		t.Fatal(err)
	}
	want := []Count{{Kind{"", "lead", "deny", "deny", "policy"}, 10}, {Kind{"ES", "lead", "disclose", "permit", "policy"}, 20}}
	if !slices.Equal(f.Counts, want) || f.Outside != 2 || f.First != 29 || f.End != 61 {
		t.Errorf("%+v", f.Report)
	}
	if !said(f.Proved, "cosigned by ES") || !said(f.Proved, "No entry of these days was left out") {
		t.Errorf("%q", f.Proved)
	}
	if bytes.Contains(leaves, []byte("secret-object")) || strings.Contains(signed, "secret-object") {
		t.Error("an object is named")
	}
}

func TestAlteredReportIsRefused(t *testing.T) {
	b, tr, signed, leaves := year(t, 30)
	opened, err := tr.OpenReport(signed)
	if err != nil {
		t.Fatal(err)
	}
	made := func(list ...protocol.AuditLeaf) []byte { // a file with other leaves
		var buf bytes.Buffer
		m, err := NewReportMaker(Report{From: "2026-03-02", To: "2026-03-03", First: opened.First}, b.reader(), &buf)
		b.must(err)
		for _, l := range list {
			b.must(m.Add(l))
		}
		b.must(m.Close())
		return buf.Bytes()
	}
	all := b.leaves[opened.First:opened.End]
	swapped := slices.Clone(all)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	other := slices.Clone(all)
	other[5].Header = []byte(strings.Replace(string(other[5].Header), "ES", "FR", 1))
	for name, c := range map[string]struct {
		change func(r *Report)
		leaves []byte
		says   string
	}{
		"a leaf left out":    {nil, made(all[:len(all)-1]...), "they end at entry"},
		"a leaf more":        {nil, made(append(slices.Clone(all), b.leaves[opened.End])...), "more than"},
		"two leaves swapped": {nil, made(swapped...), "signed"},
		"another header":     {nil, made(other...), "signed"},
		"half a file":        {nil, leaves[:len(leaves)/2], "leaves"},
		"no file":            {nil, nil, "they end at entry"},
		"no zstd":            {nil, []byte("PMPM not compressed"), "leaves"},
		"bytes behind it":    {nil, append(slices.Clone(leaves), 0), "leaves"},
		"a count":            {func(r *Report) { r.Counts[0].Entries++ }, leaves, "figures"},
		"a count less":       {func(r *Report) { r.Counts = r.Counts[1:] }, leaves, "figures"},
		"the outside":        {func(r *Report) { r.Outside-- }, leaves, "figures"},
		"the period":         {func(r *Report) { r.To = "2026-03-04" }, leaves, "figures"},
		"the edge":           {func(r *Report) { r.Edge = slices.Clone(r.Edge); r.Edge[0][0]++ }, leaves, "at its start"},
		"a shorter edge":     {func(r *Report) { r.Edge = r.Edge[1:] }, leaves, "too few hashes"},
		"the end's root":     {func(r *Report) { r.EndRoot[0]++ }, leaves, "its leaves give the root"},
		"the consistency":    {func(r *Report) { r.Consistency = r.Consistency[1:] }, leaves, "does not begin with these"},
	} {
		t.Run(name, func(t *testing.T) {
			r := *opened
			r.Counts = slices.Clone(r.Counts)
			if c.change != nil {
				c.change(&r)
			}
			if _, err := CheckReport(&r, bytes.NewReader(c.leaves), tr); !errors.Is(err, ErrReport) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want something of %q", err, c.says)
			}
		})
	}
	if _, err := tr.OpenReport(signed[:len(signed)-4] + "AAAA"); err == nil {
		t.Error("another signature is believed")
	}
}

// The checker's memory does not grow with the entries, and neither does the maker's.
func TestReportInBoundedMemory(t *testing.T) {
	_, tr, signed, leaves := year(t, 20_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := checkReport(tr, signed, leaves)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 8<<20 {
		t.Errorf("%d bytes more are in use after %d entries", grown, f.End-f.First)
	}
}

func FuzzReport(f *testing.F) {
	_, tr, signed, leaves := year(f, 4)
	r, err := tr.OpenReport(signed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"country":"PT"}`), leaves)
	f.Add([]byte(`{"from":"2026-01-01","to":"2026-01-02","end":1}`), leaves[:len(leaves)/2])
	f.Add([]byte{}, []byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, payload, file []byte) {
		_, _ = decodeReport(payload)
		found, err := CheckReport(r, bytes.NewReader(file), tr)
		if err == nil && !bytes.Equal(file, leaves) {
			t.Errorf("another file proves %+v", found.Counts)
		}
	})
}
