package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/crypto/witness"
	"proofmark/protocol"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func seeded(s string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(s))) }

// bureau is one country: its keys, its log, and its side of the channels.
type bureau struct {
	t       testing.TB
	country protocol.Country
	keys    *crypto.Keys
	leaves  []protocol.AuditLeaf
	hashes  []tlog.Hash // stored, in the order of tlog
	sent    int
	prev    string
}

func newBureau(t testing.TB, country string) *bureau {
	t.Helper()
	k, err := crypto.GenerateKeys(seeded(country))
	if err != nil {
		t.Fatal(err)
	}
	return &bureau{t: t, country: protocol.Country(country), keys: k}
}

func (b *bureau) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) origin() string { return "proofmark." + string(b.country) }

func (b *bureau) entry() string {
	id, err := peer.IDFromPrivateKey(b.keys.HostKey())
	b.must(err)
	e, err := roster.SignMember(roster.Member{Country: string(b.country), Name: "NCB " + string(b.country), PeerIDs: []string{id.String()},
		SigningKeys: []json.RawMessage{b.keys.SigningJWK()}, SealingKeys: []json.RawMessage{b.keys.SealingJWK()}, LogKey: b.keys.LogVerifierKey(b.origin()),
		ValidFrom: noon.AddDate(0, -1, 0), ValidUntil: noon.AddDate(2, 0, 0)}, b.keys.Signer())
	b.must(err)
	return e
}

// log appends an entry and returns its index.
func (b *bureau) log(e protocol.AuditEntry) int64 {
	b.t.Helper()
	if e.Time.IsZero() {
		e.Time = noon.Add(time.Duration(len(b.leaves)) * time.Minute)
	}
	leaf, err := protocol.NewAuditLeaf(e, bytes.Repeat([]byte{byte(len(b.leaves))}, protocol.AuditSaltSize))
	b.must(err)
	n := int64(len(b.leaves))
	more, err := tlog.StoredHashes(n, leaf.Content(), b.reader())
	b.must(err)
	b.leaves, b.hashes = append(b.leaves, leaf), append(b.hashes, more...)
	return n
}

func (b *bureau) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(list []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(list))
		for i, at := range list {
			if at < 0 || at >= int64(len(b.hashes)) {
				return nil, fmt.Errorf("hash %d is not there", at)
			}
			out[i] = b.hashes[at]
		}
		return out, nil
	})
}

// checkpoint signs the log as it is, cosigned by others.
func (b *bureau) checkpoint(by ...*bureau) []byte {
	b.t.Helper()
	root, err := tlog.TreeHash(int64(len(b.leaves)), b.reader())
	b.must(err)
	s, err := b.keys.LogSigner(b.origin())
	b.must(err)
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", b.origin(), len(b.leaves), root)}, s)
	b.must(err)
	text, _, _ := strings.Cut(string(signed), "\n\n")
	for _, w := range by {
		c, err := witness.NewCosigner(w.origin(), w.keys.LogKey())
		b.must(err)
		line, err := c.Cosign(text+"\n", noon)
		b.must(err)
		signed = append(signed, line...)
	}
	return signed
}

func (b *bureau) prove(index int64, checkpoint []byte) Entry {
	b.t.Helper()
	e, err := NewEntry(b.leaves[index], index, int64(len(b.leaves)), b.reader(), checkpoint)
	b.must(err)
	return e
}

// disclose makes the next message to a country and logs it.
func (b *bureau) disclose(to protocol.Country) (index int64, message []byte, hash string) {
	b.t.Helper()
	id, err := protocol.NewDocumentID(b.country, noon, seeded(fmt.Sprint(b.country, b.sent)))
	b.must(err)
	signed, all, err := protocol.Compose(protocol.Header{ID: id, Type: protocol.TypeLeadAck, Issuer: b.country, Issued: noon, Schema: 1, Purpose: "criminal-investigation"},
		&protocol.LeadAckBody{Lead: id, Pair: protocol.PairID(id, id[:35]+"0"), CaseReference: "C-1"}, seeded("salts"))
	b.must(err)
	doc, err := b.keys.Signer().Sign(crypto.TypeDocument, signed)
	b.must(err)
	b.sent++
	message, hash, err = protocol.Message{From: b.country, To: to, Channel: protocol.Urgent, Seq: uint64(b.sent), Prev: b.prev, Terms: protocol.Terms{Handling: []string{"H2"}},
		Document: doc, Disclosures: all}.Encode()
	b.must(err)
	b.prev = hash
	index = b.log(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(to), Decision: "permit", Ground: "policy"},
		AuditBody: protocol.AuditBody{Actor: "ana", Event: "sent", Kind: "lead", Object: "some-lead", Documents: []string{id}, Channel: string(protocol.Urgent), MessageSeq: uint64(b.sent),
			Details: map[string]string{"message": hash, "type": string(protocol.TypeLeadAck)}},
	})
	return index, message, hash
}

// acknowledge has a country sign for what it got, and notes its receipt.
func (b *bureau) acknowledge(by *bureau) (index int64, receipt string) {
	b.t.Helper()
	payload, err := json.Marshal(protocol.Receipt{From: b.country, To: by.country, Channel: protocol.Urgent, UpTo: uint64(b.sent), Head: b.prev, At: noon})
	b.must(err)
	receipt, err = by.keys.Signer().Sign(crypto.TypeReceipt, payload)
	b.must(err)
	return b.log(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActDisclose, Counterpart: string(by.country), Decision: "permit", Ground: "receipt"},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: "receipt", Event: "receipt", Channel: string(protocol.Urgent), MessageSeq: uint64(b.sent),
			Details: map[string]string{"head": b.prev, "receipt": receipt}},
	}), receipt
}

// holder is the one key holder: to open its file takes long on purpose.
var holder = sync.OnceValues(func() (*roster.HolderKey, error) {
	private, _, err := roster.NewHolder("A. Silva", []byte("a passphrase for tests only"), seeded("holder"))
	if err != nil {
		return nil, err
	}
	return roster.OpenHolder(private, []byte("a passphrase for tests only"))
})

func federation(t testing.TB, members ...*bureau) *roster.Document {
	t.Helper()
	h, err := holder()
	if err != nil {
		t.Fatal(err)
	}
	d, err := roster.Create("test federation", []roster.Holder{h.Holder()}, 1, noon, noon.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range members {
		if err := d.Add(b.entry(), noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Sign(h); err != nil {
		t.Fatal(err)
	}
	return d
}

func trust(t testing.TB, members ...*bureau) *Trust {
	t.Helper()
	d := federation(t, members...)
	tr, err := NewTrust([]*roster.Document{d}, d.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}
