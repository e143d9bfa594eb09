package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/protocol"
)

// disclosure is a log of PT with five messages to FR, receipted at the fifth, and what proves the third.
type disclosure struct {
	pt, fr, es *bureau
	trust      *Trust
	bundle     Bundle
	links      [][]byte
}

func newDisclosure(t testing.TB) *disclosure {
	t.Helper()
	d := &disclosure{pt: newBureau(t, "PT"), fr: newBureau(t, "FR"), es: newBureau(t, "ES")}
	d.trust = trust(t, d.es, d.fr, d.pt)
	d.pt.log(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActConsult, Decision: "permit"}, AuditBody: protocol.AuditBody{Actor: "xavier", Event: "audit log queried"}})
	var index int64
	for i := range 5 {
		at, m, _ := d.pt.disclose("FR")
		switch {
		case i == 2:
			index, d.bundle.Message = at, m
		case i > 2:
			d.links = append(d.links, m)
		}
	}
	noted, receipt := d.pt.acknowledge(d.fr)
	cp := d.pt.checkpoint(d.es, d.fr)
	d.bundle.Country, d.bundle.Receipt = "PT", receipt
	d.bundle.Entries = []Entry{d.pt.prove(index, cp), d.pt.prove(noted, cp)}
	return d
}

// check sends a bundle through its file, as a checker gets it.
func check(b Bundle, tr *Trust) (*Finding, error) {
	raw, err := b.Encode()
	if err != nil {
		return nil, err
	}
	opened, err := DecodeBundle(raw)
	if err != nil {
		return nil, err
	}
	return Check(opened, tr)
}

func said(list []string, words string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, words) })
}

func TestDisclosureIsProved(t *testing.T) {
	d := newDisclosure(t)
	f, err := check(d.bundle, d.trust)
	if err != nil {
		t.Fatal(err)
	}
	if f.Index != 3 || f.Size != 7 || f.Entry.Actor != "ana" || !f.Revealed || f.Entry.Type != "lead-ack" {
		t.Errorf("the entry is %+v", f)
	}
	if len(f.Cosigned) != 2 || !said(f.Proved, "cosigned by ES, FR") {
		t.Errorf("cosigned by %+v: %q", f.Cosigned, f.Proved)
	}
	if f.Message == nil || f.Message.Seq != 3 || f.Message.Document.Issuer != "PT" {
		t.Errorf("the message is %+v", f.Message)
	}
	if f.Receipt == nil || f.Receipt.Linked || f.Receipt.Later != 2 || f.Receipt.Logged == nil || *f.Receipt.Logged != 6 || !said(f.NotProved, "between it and the one that the receipt names lie 2 more") {
		t.Errorf("the receipt is %+v: %q", f.Receipt, f.NotProved)
	}

	linked := d.bundle
	linked.Links = d.links
	if f, err = check(linked, d.trust); err != nil || !f.Receipt.Linked || !said(f.Proved, "FR has signed for this very message") {
		t.Errorf("with the links: %+v, %v", f, err)
	}
}

func TestHeaderAloneIsProved(t *testing.T) {
	d := newDisclosure(t)
	f, err := check(Bundle{Country: "PT", Entries: []Entry{d.bundle.Entries[0].Bare()}}, d.trust)
	if err != nil {
		t.Fatal(err)
	}
	if f.Revealed || f.Entry.Actor != "" || f.Entry.Action != protocol.ActDisclose || f.Entry.Counterpart != "FR" || !said(f.NotProved, "body is not shown") {
		t.Errorf("%+v", f)
	}
}

func TestReceivedDocumentIsProved(t *testing.T) {
	d := newDisclosure(t)
	m, err := protocol.DecodeMessage(d.bundle.Message)
	if err != nil {
		t.Fatal(err)
	}
	id := d.pt.leaves[3]
	e, err := id.Entry()
	if err != nil {
		t.Fatal(err)
	}
	at := d.fr.log(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActReceive, Counterpart: "PT", Decision: "permit"},
		AuditBody: protocol.AuditBody{Actor: "node", Event: "received", Kind: "lead-ack", Object: e.Documents[0]}})
	b := Bundle{Country: "FR", Entries: []Entry{d.fr.prove(at, d.fr.checkpoint())}, Document: m.Document}
	f, err := check(b, d.trust)
	if err != nil || f.Document == nil || f.Document.Issuer != "PT" {
		t.Fatalf("%+v, %v", f, err)
	}
	if !said(f.NotProved, "no other member has cosigned") {
		t.Errorf("%q", f.NotProved)
	}
	other, err := protocol.DecodeMessage(d.links[0])
	if err != nil {
		t.Fatal(err)
	}
	b.Document = other.Document
	if _, err := check(b, d.trust); !errors.Is(err, ErrBundle) {
		t.Errorf("another document of PT: %v", err)
	}
}

// TestAlteredBundlesProveNothing: whatever is changed, exchanged or left out of a bundle is noticed.
func TestAlteredBundlesProveNothing(t *testing.T) {
	d := newDisclosure(t)
	stranger := newBureau(t, "DE")
	stranger.log(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActConsult}})
	sign := func(b *bureau, r protocol.Receipt) string {
		payload, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		s, err := b.keys.Signer().Sign(crypto.TypeReceipt, payload)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole := protocol.Receipt{From: "PT", To: "FR", Channel: protocol.Urgent, UpTo: 5, Head: d.pt.prev, At: noon}
	for name, c := range map[string]struct {
		change func(b *Bundle)
		says   string
	}{
		"the actor":             {func(b *Bundle) { b.Entries[0].Body = strings.Replace(b.Entries[0].Body, "ana", "eva", 1) }, "body is not the one"},
		"the header":            {func(b *Bundle) { b.Entries[0].Header = strings.Replace(b.Entries[0].Header, "FR", "ES", 1) }, "does not hold this"},
		"the salt":              {func(b *Bundle) { b.Entries[0].Salt = bytes.Repeat([]byte{9}, 16) }, "body is not the one"},
		"the index":             {func(b *Bundle) { b.Entries[0].Proof = strings.Replace(b.Entries[0].Proof, "index 3", "index 2", 1) }, "does not hold this"},
		"a later index":         {func(b *Bundle) { b.Entries[0].Proof = strings.Replace(b.Entries[0].Proof, "index 3", "index 99", 1) }, "does not hold this"},
		"the size":              {func(b *Bundle) { b.Entries[0].Proof = strings.Replace(b.Entries[0].Proof, "\n7\n", "\n8\n", 1) }, "checkpoint"},
		"another entry's proof": {func(b *Bundle) { b.Entries[0].Proof = b.Entries[1].Proof }, "does not hold this"},
		"another country":       {func(b *Bundle) { b.Country = "ES" }, "of the log of PT, not of ES"},
		"a stranger's log": {func(b *Bundle) {
			b.Country = "DE"
			b.Entries = []Entry{stranger.prove(0, stranger.checkpoint())}
			b.Message, b.Receipt = nil, ""
		}, "not in the roster"},
		"a proof without an end": {func(b *Bundle) { b.Entries[0].Proof = strings.Split(b.Entries[0].Proof, "\n\n")[0] }, "without a checkpoint"},
		"another message":        {func(b *Bundle) { b.Message = d.links[0] }, "the log holds"},
		"half a message":         {func(b *Bundle) { b.Message = b.Message[:100] }, "message"},
		"a receipt of oneself":   {func(b *Bundle) { b.Receipt = sign(d.pt, whole) }, "not one that FR has"},
		"a receipt altered":      {func(b *Bundle) { b.Receipt = b.Receipt[:len(b.Receipt)-6] + "AAAAAA" }, "receipt"},
		"an earlier receipt":     {func(b *Bundle) { r := whole; r.UpTo = 2; b.Receipt = sign(d.fr, r) }, "up to 2"},
		"a receipt for another content": {func(b *Bundle) {
			r := whole
			r.UpTo, r.Head = 3, strings.Repeat("ab", 32)
			b.Receipt, b.Entries = sign(d.fr, r), b.Entries[:1]
		}, "the log holds"},
		"a receipt on another channel": {func(b *Bundle) { r := whole; r.Channel = protocol.Bulk; b.Receipt = sign(d.fr, r) }, "bulk"},
		"a receipt that was not noted": {func(b *Bundle) { r := whole; r.At = noon.Add(time.Hour); b.Receipt = sign(d.fr, r) }, "does not note this receipt"},
		"a link left out":              {func(b *Bundle) { b.Links = d.links[1:] }, "link 1 does not follow"},
		"the last link left out":       {func(b *Bundle) { b.Links = d.links[:1] }, "the links end at message 4"},
		"a link altered": {func(b *Bundle) {
			b.Links = [][]byte{bytes.Replace(d.links[0], []byte("H2"), []byte("H0"), 1), d.links[1]}
		}, "does not follow"},
		"a second entry that is none": {func(b *Bundle) { b.Entries[1] = b.Entries[0] }, "does not note this receipt"},
		"a document beside it":        {func(b *Bundle) { b.Document = "a.b.c" }, "not one of something received"},
	} {
		t.Run(name, func(t *testing.T) {
			b := d.bundle
			b.Entries = slices.Clone(b.Entries)
			c.change(&b)
			f, err := check(b, d.trust)
			if err == nil {
				t.Fatalf("it proves %q", f.Proved)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v, want something of %q", err, c.says)
			}
		})
	}
}

func TestBundleHasOneForm(t *testing.T) {
	d := newDisclosure(t)
	raw, err := d.bundle.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty":               nil,
		"another format":      bytes.Replace(raw, []byte("proof/1"), []byte("proof/2"), 1),
		"an unknown field":    bytes.Replace(raw, []byte(`"country"`), []byte(`"note": "x", "country"`), 1),
		"a field in capitals": bytes.Replace(raw, []byte(`"country"`), []byte(`"Country"`), 1),
		"an escape":           bytes.Replace(raw, []byte(`"PT"`), []byte(`"\u0050T"`), 1),
		"two values":          append(slices.Clone(raw), "{}"...),
		"three entries":       bytes.Replace(raw, []byte(`"entries": [`), []byte(`"entries": [{},{},`), 1),
		"too large":           bytes.Repeat([]byte(" "), MaxBundle+1),
		"too deep":            bytes.Repeat([]byte("["), 100),
		"null":                []byte("null"),
	} {
		if _, err := DecodeBundle(bad); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrust(t *testing.T) {
	d := newDisclosure(t)
	doc := federation(t, d.es, d.fr, d.pt)
	if _, err := NewTrust(nil, ""); err == nil {
		t.Error("no roster is trusted")
	}
	if _, err := NewTrust([]*roster.Document{doc}, "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, roster.ErrAnchor) {
		t.Errorf("another anchor: %v", err)
	}
	loose, err := NewTrust([]*roster.Document{doc}, "")
	if err != nil {
		t.Fatal(err)
	}
	f, err := check(d.bundle, loose)
	if err != nil || !said(f.NotProved, "the roster is the federation's") {
		t.Errorf("%+v, %v", f, err)
	}
	without := trust(t, d.fr, d.pt)
	if f, err = check(d.bundle, without); err != nil || len(f.Cosigned) != 1 || f.Cosigned[0].Country != "FR" {
		t.Errorf("a witness that the roster does not know is not counted: %+v, %v", f, err)
	}
}

func FuzzBundle(f *testing.F) {
	d := newDisclosure(f)
	raw, err := d.bundle.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	linked := d.bundle
	linked.Links = d.links
	if raw, err = linked.Encode(); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	bare, err := Bundle{Country: "PT", Entries: []Entry{d.bundle.Entries[0].Bare()}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bare)
	f.Add([]byte(`{"format":"proofmark-proof/1","country":"PT","entries":[{"header":"","body_hash":"","proof":"index 1\n\n"}]}`))
	genuine := map[string]bool{}
	for _, l := range d.pt.leaves {
		genuine[string(l.Content())] = true
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		opened, err := DecodeBundle(b)
		if err != nil {
			return
		}
		if _, err := Check(opened, d.trust); err != nil {
			return
		}
		leaf := opened.Entries[0].leaf()
		if !genuine[string(leaf.Content())] {
			t.Errorf("an entry that was never logged is proved: %s", b)
		}
	})
}

// TestExample keeps the bundle of docs/audit-proofs.md readable by every later version of this program.
func TestExample(t *testing.T) {
	d := newDisclosure(t)
	path := filepath.Join("testdata", "disclosure.proof")
	if os.Getenv("UPDATE") != "" {
		raw, err := d.bundle.Encode()
		if err == nil {
			err = os.WriteFile(path, raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := DecodeBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Check(b, d.trust); err != nil || f.Index != 3 || len(f.Cosigned) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
}
