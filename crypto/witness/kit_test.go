package witness

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"proofmark/crypto"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// member is a country with its log key, made from its name.
type member struct {
	country, vkey string
	log           note.Signer
	keys          *crypto.Keys
}

type endless struct {
	seed string
	n    int
}

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", e.seed, e.n))
		b[i], e.n = sum[0], e.n+1
	}
	return len(b), nil
}

func newMember(t testing.TB, country string) member {
	t.Helper()
	keys, err := crypto.GenerateKeys(&endless{seed: country})
	if err != nil {
		t.Fatal(err)
	}
	origin := "proofmark." + country
	signer, err := keys.LogSigner(origin)
	if err != nil {
		t.Fatal(err)
	}
	return member{country, keys.LogVerifierKey(origin), signer, keys}
}

func (m member) verifier(t testing.TB) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(m.vkey)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (m member) cosigner(t testing.TB) *Cosigner {
	t.Helper()
	c, err := NewCosigner("proofmark."+m.country, m.keys.LogKey())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func keyring(t testing.TB, members ...member) *Keyring {
	t.Helper()
	keys := map[string]string{}
	for _, m := range members {
		keys[m.country] = m.vkey
	}
	k, err := NewKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// tree is a log in memory: its entries and all stored hashes.
type tree struct {
	entries []string
	hashes  []tlog.Hash
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("no hash %d", x)
		}
		out[i] = t.hashes[x]
	}
	return out, nil
}

func (t *tree) add(entry string) {
	more, err := tlog.StoredHashes(int64(len(t.entries)), []byte(entry), t)
	if err != nil {
		panic(err)
	}
	t.entries, t.hashes = append(t.entries, entry), append(t.hashes, more...)
}

// branch is a copy of the first n entries, and then n2 others.
func (t *tree) branch(n int, other string, n2 int) *tree {
	out := &tree{}
	for _, e := range t.entries[:n] {
		out.add(e)
	}
	for i := range n2 {
		out.add(fmt.Sprint(other, i))
	}
	return out
}

func newTree(n int) *tree { return (&tree{}).branch(0, "entry ", n) }

func (t *tree) at(n int64) Tree {
	root, err := tlog.TreeHash(n, t)
	if err != nil {
		panic(err)
	}
	return Tree{N: n, Hash: root}
}

// checkpoint signs the log's state at n entries.
func (m member) checkpoint(t testing.TB, at Tree) Checkpoint {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("proofmark.%s\n%d\n%s\n", m.country, at.N, at.Hash)}, m.log)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCheckpoint(string(signed), m.verifier(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// offer is what an honest log with these entries offers for its first n where shown is held.
func (m member) offer(t testing.TB, log *tree, n int64, shown Tree) Offer {
	t.Helper()
	o := Offer{New: m.checkpoint(t, log.at(n)), Head: Head{Origin: "proofmark." + m.country, Shown: shown, Newest: log.at(n), At: noon}}
	if shown.N <= n {
		o.Head.Past = log.at(shown.N).Hash
	}
	if shown.N > 0 && shown.N <= n {
		p, err := tlog.ProveTree(n, shown.N, log)
		if err != nil {
			t.Fatal(err)
		}
		o.Proof = p
	}
	o.Head.Proof = ProofSum(o.Proof)
	return o
}

func (m member) sign(t testing.TB, h Head) string {
	t.Helper()
	signed, err := SignHead(h, m.log)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
