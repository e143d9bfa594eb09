package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

func hashOf(s string) string { return MessageHash([]byte(s)) }

func wholeMessage() Message {
	return Message{From: "PT", To: "ES", Channel: Urgent, Seq: 2, Prev: hashOf("one"), Terms: Terms{Handling: []string{"H0", "H3 not to the press"}, RetainUntil: testTime},
		Document: "a.b.c", Disclosures: []Disclosure{"x"}}
}

// A message is kept without its document and made whole again to the letter, also where its terms quote the field's name.
func TestBareMessages(t *testing.T) {
	m := wholeMessage()
	m.Terms.Handling = append(m.Terms.Handling, `H3 "document":"x"`, `H3 \"document\":\"`)
	b, _, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if same, err := encode(m); err != nil || !bytes.Equal(same, b) {
		t.Errorf("%s, encoding/json writes %s (%v)", b, same, err)
	}
	bare, err := Bare(b, m.Document)
	if err != nil || bytes.Contains(bare, []byte(m.Document)) {
		t.Fatalf("%s, %v", bare, err)
	}
	if whole, err := Whole(bare, m.Document); err != nil || !bytes.Equal(whole, b) {
		t.Errorf("%s, %v", whole, err)
	}
	for _, document := range []string{"", "a", "b.b.c", "a.b.c.d"} {
		if bare, err := Bare(b, document); err == nil {
			t.Errorf("of a message with another document than %q is left %s", document, bare)
		}
	}
	if whole, err := Whole(b, m.Document); err == nil {
		t.Errorf("a whole message became %s", whole)
	}
	m.Document = `a."b.c`
	if _, _, err := m.Encode(); !errors.Is(err, ErrBadMessage) {
		t.Errorf("a document with a quote: %v", err)
	}
}

func TestMessages(t *testing.T) {
	m := wholeMessage()
	b, hash, err := m.Encode()
	if err != nil || hash != MessageHash(b) || len(hash) != 64 {
		t.Fatal(hash, err)
	}
	back, err := DecodeMessage(b)
	if err != nil || back.Prev != m.Prev || back.Terms.Handling[1] != m.Terms.Handling[1] || !back.Terms.RetainUntil.Equal(testTime) {
		t.Fatal(back, err)
	}
	for name, c := range map[string]struct {
		change func(m *Message)
		says   string
	}{
		"first without predecessor": {func(m *Message) { m.Seq, m.Prev = 1, "" }, ""},
		"no expiry":                 {func(m *Message) { m.Terms.RetainUntil = time.Time{} }, ""},
		"no terms at all":           {func(m *Message) { m.Terms = Terms{} }, ""},
		"first with predecessor":    {func(m *Message) { m.Seq = 1 }, "predecessor"},
		"second without":            {func(m *Message) { m.Prev = "" }, "predecessor"},
		"number 0":                  {func(m *Message) { m.Seq, m.Prev = 0, "" }, "predecessor"},
		"to itself":                 {func(m *Message) { m.To = "PT" }, "both PT"},
		"from nowhere":              {func(m *Message) { m.From = "" }, "from"},
		"to nowhere":                {func(m *Message) { m.To = "XX" }, "to"},
		"third channel":             {func(m *Message) { m.Channel = "express" }, "channel"},
		"short hash":                {func(m *Message) { m.Prev = "00" }, "prev"},
		"hash in capitals":          {func(m *Message) { m.Prev = strings.Repeat("AB", 32) }, "lower-case"},
		"no document":               {func(m *Message) { m.Document = "" }, "document"},
		"many disclosures":          {func(m *Message) { m.Disclosures = make([]Disclosure, maxDisclosures+1) }, "disclosures"},
		"many codes":                {func(m *Message) { m.Terms.Handling = make([]string, maxHandling+1) }, "handling"},
		"many operations":           {func(m *Message) { m.Terms.Operations = make([]string, maxOperations+1) }, "operations"},
		"an operation's name":       {func(m *Message) { m.Terms.Operations = []string{"Trident"} }, "not the number of one"},
		"withheld":                  {func(m *Message) { m.Terms.Withheld = []string{"agency", "of_a_newer_version"} }, ""},
		"withheld twice":            {func(m *Message) { m.Terms.Withheld = []string{"agency", "agency"} }, "withheld"},
		"withheld out of order":     {func(m *Message) { m.Terms.Withheld = []string{"place", "agency"} }, "withheld"},
		"withheld, no name":         {func(m *Message) { m.Terms.Withheld = []string{"a b"} }, "withheld"},
		"withheld, an empty name":   {func(m *Message) { m.Terms.Withheld = []string{""} }, "withheld"},
		"withheld, a long name":     {func(m *Message) { m.Terms.Withheld = []string{strings.Repeat("a", maxFieldName+1)} }, "withheld"},
		"withheld, too many":        {func(m *Message) { m.Terms.Withheld = make([]string, maxDisclosures+1) }, "withheld"},
		"operations":                {func(m *Message) { m.Terms.Operations = []string{"PT-O-2026-000001"} }, ""},
		"empty code":                {func(m *Message) { m.Terms.Handling = []string{" "} }, "handling"},
		"code with a line end":      {func(m *Message) { m.Terms.Handling = []string{"H0\nH1"} }, "handling"},
		"too large":                 {func(m *Message) { m.Document = strings.Repeat("a", MaxMessage) }, "limit"},
	} {
		m := wholeMessage()
		c.change(&m)
		_, _, err := m.Encode()
		raw := must(json.Marshal(m))
		_, derr := DecodeMessage(raw)
		for _, err := range []error{err, derr} { // what the recipient would refuse is not sent
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrBadMessage) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%s: %v, want %q", name, err, c.says)
			}
		}
	}
	for name, raw := range map[string][]byte{
		"unknown field":        bytes.Replace(b, []byte(`"seq"`), []byte(`"extra":1,"seq"`), 1),
		"field twice":          bytes.Replace(b, []byte(`"seq"`), []byte(`"seq":7,"seq"`), 1),
		"field in other case":  bytes.Replace(b, []byte(`"seq"`), []byte(`"SEQ"`), 1),
		"nested in other case": bytes.Replace(b, []byte(`"handling"`), []byte(`"Handling"`), 1),
		"list":                 []byte(`[]`),
		"null":                 []byte(`null`),
		"negative number":      bytes.Replace(b, []byte(`"seq":2`), []byte(`"seq":-2`), 1),
		"huge number":          bytes.Replace(b, []byte(`"seq":2`), []byte(`"seq":18446744073709551616`), 1),
	} {
		if _, err := DecodeMessage(raw); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManifests(t *testing.T) {
	whole := Manifest{From: "PT", To: "ES", Channel: Bulk, First: 1, Count: 2, Head: hashOf("head"), Size: 10, SHA256: hashOf("bytes"), Sent: testTime}
	if m, err := DecodeManifest(must(json.Marshal(whole))); err != nil || *m != whole {
		t.Fatal(m, err)
	}
	for name, c := range map[string]struct {
		change func(m *Manifest)
		ok     bool
	}{
		"largest":         {func(m *Manifest) { m.Count, m.Size = MaxBatchCount, MaxBatch }, true},
		"number 0":        {func(m *Manifest) { m.First = 0 }, false},
		"number wraps":    {func(m *Manifest) { m.First = math.MaxUint64 - 1 }, false},
		"empty":           {func(m *Manifest) { m.Count = 0 }, false},
		"negative":        {func(m *Manifest) { m.Count = -1 }, false},
		"too many":        {func(m *Manifest) { m.Count = MaxBatchCount + 1 }, false},
		"no size":         {func(m *Manifest) { m.Size = 0 }, false},
		"too large":       {func(m *Manifest) { m.Size = MaxBatch + 1 }, false},
		"no head":         {func(m *Manifest) { m.Head = "" }, false},
		"bad hash":        {func(m *Manifest) { m.SHA256 = strings.Repeat("g", 64) }, false},
		"to itself":       {func(m *Manifest) { m.To = "PT" }, false},
		"third channel":   {func(m *Manifest) { m.Channel = "" }, false},
		"unknown country": {func(m *Manifest) { m.From = "XK" }, false},
	} {
		m := whole
		c.change(&m)
		if _, err := DecodeManifest(must(json.Marshal(m))); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrBadMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, raw := range []string{"", "{}", `{"from":"PT"}`, strings.Repeat(" ", MaxManifest+1), string(must(json.Marshal(whole))) + "{}"} {
		if _, err := DecodeManifest([]byte(raw)); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%.20q: %v", raw, err)
		}
	}
}

func TestReceipts(t *testing.T) {
	whole := Receipt{From: "PT", To: "ES", Channel: Bulk, UpTo: 3, Head: hashOf("three"), At: testTime}
	if r, err := DecodeReceipt(must(json.Marshal(whole))); err != nil || *r != whole {
		t.Fatal(r, err)
	}
	for name, c := range map[string]struct {
		change func(r *Receipt)
		ok     bool
	}{
		"nothing yet":      {func(r *Receipt) { r.UpTo, r.Head = 0, "" }, true},
		"number, no head":  {func(r *Receipt) { r.Head = "" }, false},
		"head, no number":  {func(r *Receipt) { r.UpTo = 0 }, false},
		"bad head":         {func(r *Receipt) { r.Head = "x" }, false},
		"head in capitals": {func(r *Receipt) { r.Head = strings.ToUpper(hashOf("three")) }, false},
		"to itself":        {func(r *Receipt) { r.From = "ES" }, false},
		"third channel":    {func(r *Receipt) { r.Channel = "x" }, false},
	} {
		r := whole
		c.change(&r)
		if _, err := DecodeReceipt(must(json.Marshal(r))); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrBadMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHello(t *testing.T) {
	whole := Hello{Version: ExchangeVersion, Country: "PT", To: "ES", Roster: "abc", Now: testTime}
	raw := must(json.Marshal(whole))
	if h, err := DecodeHello(raw); err != nil || *h != whole {
		t.Fatal(h, err)
	}
	if h, err := DecodeHello(bytes.Replace(raw, []byte(`"version"`), []byte(`"dialects":["x"],"version"`), 1)); err != nil || h.Version != 1 {
		t.Errorf("a greeting of a later version is not understood: %v", err)
	}
	for _, bad := range []string{"", "[]", `{"version":"1"}`, `{"version":1,"version":2}`, `{"refusal":"` + strings.Repeat("x", 513) + `"}`, `{"refusal":"\u001b[31m"}`, `{"roster":"a\nb"}`, strings.Repeat(" ", MaxHello+1)} {
		if _, err := DecodeHello([]byte(bad)); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	for d, ok := range map[time.Duration]bool{0: true, MaxClockSkew: true, -MaxClockSkew: true, MaxClockSkew + 1: false, -MaxClockSkew - 1: false} {
		if err := whole.CheckSkew(testTime.Add(d)); (err == nil) != ok {
			t.Errorf("skew %s: %v", d, err)
		}
	}
	for _, far := range []time.Time{{}, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		if (Hello{Now: far}).CheckSkew(testTime) == nil {
			t.Errorf("a clock at %s passes", far)
		}
	}
}

func TestFrames(t *testing.T) {
	var buf bytes.Buffer
	in := [][]byte{[]byte("a"), {}, bytes.Repeat([]byte("b"), 300)}
	for _, b := range in {
		if err := WriteFrame(&buf, b); err != nil {
			t.Fatal(err)
		}
	}
	wire := bytes.Clone(buf.Bytes())
	for _, want := range in {
		if got, err := ReadFrame(&buf, 300); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if _, err := ReadFrame(&buf, 300); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	r := bytes.NewReader(wire[3:])
	if _, err := ReadFrame(r, 299); !errors.Is(err, ErrFrameTooLarge) || r.Len() != 300 {
		t.Errorf("oversize: %v, %d bytes left", err, r.Len())
	}
	for cut := 1; cut < 4; cut++ { // within the number, and within the bytes
		if _, err := ReadFrame(bytes.NewReader(wire[3:3+cut]), 300); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d: %v", cut, err)
		}
	}
	if _, err := ReadFrame(bytes.NewReader(bytes.Repeat([]byte{0xff}, 11)), 300); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a length of more than 64 bits: %v", err)
	}
	if err := WriteFrame(failing{}, nil); err == nil {
		t.Error("a failed write is no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestALyingLengthCostsNothing(t *testing.T) {
	lie := append(binary.AppendUvarint(nil, 64<<20), "only this"...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		if _, err := ReadFrame(bytes.NewReader(lie), 64<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("ten announcements of 64 MiB cost %d bytes", got)
	}
}

func TestJoinAndSplit(t *testing.T) {
	in := [][]byte{[]byte("one"), []byte("two"), bytes.Repeat([]byte("3"), 1000)}
	joined := JoinMessages(in)
	out, err := SplitMessages(joined, 3)
	if err != nil || !bytes.Equal(bytes.Join(out, nil), bytes.Join(in, nil)) {
		t.Fatal(out, err)
	}
	huge := append(binary.AppendUvarint(nil, MaxMessage+1), make([]byte, MaxMessage+1)...)
	for name, c := range map[string]struct {
		b     []byte
		count int
	}{"one too few": {joined, 2}, "one too many": {joined, 4}, "cut": {joined[:len(joined)-1], 3}, "empty": {nil, 1}, "behind the end": {append(bytes.Clone(joined), 0x80), 3},
		"a message too large": {huge, 1}, "many empty ones": {make([]byte, 1<<20), 3}} {
		if _, err := SplitMessages(c.b, c.count); !errors.Is(err, ErrBadMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
