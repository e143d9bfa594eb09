package crypto

import (
	"bytes"
	cryptorand "crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/note"
)

func seeded(b byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{b}) }

func newKeys(t testing.TB, b byte) *Keys {
	t.Helper()
	k, err := GenerateKeys(seeded(b))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newMaster(t testing.TB, b byte) MasterKey {
	t.Helper()
	m, err := NewMasterKey(seeded(b))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func keySet(t testing.TB, jwks ...json.RawMessage) KeySet {
	t.Helper()
	s, err := NewKeySet(jwks...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeysSealAndOpen(t *testing.T) {
	k, m := newKeys(t, 1), newMaster(t, 2)
	b, err := k.Seal(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, seed := range map[string][]byte{"signing": k.signing.Seed(), "sealing": k.sealing.Bytes(), "host": k.host.Seed(), "log": k.log.Seed()} {
		if bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(seed))) {
			t.Errorf("the keys file shows the %s key", name)
		}
	}
	got, err := OpenKeys(b, m)
	if err != nil {
		t.Fatal(err)
	}
	if !got.signing.Equal(k.signing) || !got.sealing.Equal(k.sealing) || !got.host.Equal(k.host) || !got.log.Equal(k.log) {
		t.Error("the opened keys differ from the sealed ones")
	}
	if _, err := OpenKeys(b, newMaster(t, 3)); !errors.Is(err, ErrWrongMasterKey) {
		t.Errorf("another master key: %v", err)
	}
	var f sealedFile
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(f *sealedFile){
		"ciphertext": func(f *sealedFile) { f.Sealed[3] ^= 1 },
		"nonce":      func(f *sealedFile) { f.Nonce[0] ^= 1 },
		"short":      func(f *sealedFile) { f.Nonce = f.Nonce[:12] },
		"version":    func(f *sealedFile) { f.Version = 2 },
	} {
		bad := sealedFile{f.Version, bytes.Clone(f.Nonce), bytes.Clone(f.Sealed)}
		spoil(&bad)
		b, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeys(b, m); err == nil {
			t.Errorf("%s altered: opened", name)
		}
	}
}

func TestKeysAreIndependent(t *testing.T) {
	k := newKeys(t, 1)
	seen := map[string]string{}
	for name, b := range map[string][]byte{"signing": k.signing.Seed(), "sealing": k.sealing.Bytes(), "host": k.host.Seed(), "log": k.log.Seed()} {
		if other, twice := seen[string(b)]; twice {
			t.Errorf("%s and %s are one key", name, other)
		}
		seen[string(b)] = name
	}
	if _, err := GenerateKeys(strings.NewReader("too little randomness")); err == nil {
		t.Error("keys were made from too little randomness")
	}
}

func TestPrivateKeysStayOutOfLogs(t *testing.T) {
	k, m := newKeys(t, 1), newMaster(t, 2)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		for _, v := range []any{k, m, &m, k.Signer()} {
			out := fmt.Sprintf(verb, v)
			if !strings.HasPrefix(out, "[") || len(out) > 60 || strings.Contains(out, fmt.Sprintf("%x", m[:4])) {
				t.Errorf("%s of %T prints %.80s", verb, v, out)
			}
		}
	}
	if b, err := json.Marshal(m); err == nil {
		t.Errorf("a master key was written as JSON: %s", b)
	}
}

func TestHostKeyAndLogSigner(t *testing.T) {
	k := newKeys(t, 1)
	id, err := peer.IDFromPrivateKey(k.HostKey())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := peer.IDFromPrivateKey(newKeys(t, 1).HostKey()); err != nil || again != id {
		t.Errorf("the same keys have peer IDs %s and %s (%v)", id, again, err)
	}
	s, err := k.LogSigner("proofmark.PT")
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(k.LogVerifierKey("proofmark.PT"))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := note.Sign(&note.Note{Text: "proofmark.PT\n1\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(msg, note.VerifierList(v)); err != nil {
		t.Errorf("own checkpoint: %v", err)
	}
	for _, origin := range []string{"", "a b", "a+b", "a\nb"} {
		if _, err := k.LogSigner(origin); err == nil {
			t.Errorf("log origin %q was accepted", origin)
		}
	}
}

func TestJWKs(t *testing.T) {
	k := newKeys(t, 1)
	for _, b := range []json.RawMessage{k.SigningJWK(), k.SealingJWK()} {
		key, err := jwk.ParseKey(b)
		if err != nil {
			t.Fatalf("another library refuses %s: %v", b, err)
		}
		if private, err := jwk.IsPrivateKey(key); err != nil || private {
			t.Errorf("%s is private (%v)", b, err)
		}
	}
	if _, kid, err := ParseSigningJWK(k.SigningJWK()); err != nil || kid != k.Signer().KeyID() {
		t.Errorf("signing JWK: key ID %s, signer's %s, %v", kid, k.Signer().KeyID(), err)
	}
	if pub, _, err := ParseSealingJWK(k.SealingJWK()); err != nil || !pub.Equal(k.sealing.PublicKey()) {
		t.Errorf("sealing JWK: %v", err)
	}
	// RFC 8037 appendix A.3 gives this key and its thumbprint.
	rfc := json.RawMessage(`{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
	if _, kid, err := ParseSigningJWK(rfc); err != nil || kid != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("RFC 8037 key: kid %s, %v", kid, err)
	}
}

func TestJWKsRefused(t *testing.T) {
	x := base64.RawURLEncoding.EncodeToString(newKeys(t, 1).signing[32:])
	point := func(hexLow string) string { return string(encodeJWK(curveEd25519, lowEnd(t, hexLow))) }
	for name, s := range map[string]string{
		"private":          `{"crv":"Ed25519","d":"` + x + `","kty":"OKP","x":"` + x + `"}`,
		"other curve":      `{"crv":"X25519","kty":"OKP","x":"` + x + `"}`,
		"symmetric":        `{"k":"` + x + `","kty":"oct"}`,
		"unsorted":         `{"kty":"OKP","crv":"Ed25519","x":"` + x + `"}`,
		"extra field":      `{"crv":"Ed25519","kid":"a","kty":"OKP","x":"` + x + `"}`,
		"letter case":      `{"CRV":"Ed25519","kty":"OKP","x":"` + x + `"}`,
		"field twice":      `{"crv":"Ed25519","kty":"OKP","x":"` + x + `","x":"` + x + `"}`,
		"padding":          `{"crv":"Ed25519","kty":"OKP","x":"` + x + `="}`,
		"short":            `{"crv":"Ed25519","kty":"OKP","x":"` + x[:40] + `"}`,
		"line break":       `{"crv":"Ed25519","kty":"OKP","x":"` + x[:10] + `\n` + x[10:] + `"}`,
		"array":            `["Ed25519"]`,
		"empty":            ``,
		"large":            `{"crv":"` + strings.Repeat("x", maxJWK) + `"}`,
		"order 1 (y = 1)":  point("01"),
		"order 4 (y = 0)":  point("00"),
		"order 2 (y = −1)": string(encodeJWK(curveEd25519, minusOne())),
		"not canonical":    string(encodeJWK(curveEd25519, bytes.Repeat([]byte{0xff}, 32))),
		"order 8":          `{"crv":"Ed25519","kty":"OKP","x":"` + orderEight(t) + `"}`,
	} {
		if _, _, err := ParseSigningJWK(json.RawMessage(s)); err == nil {
			t.Errorf("%s: %s was accepted", name, s)
		}
	}
	for _, u := range []string{"00", "01"} {
		if _, _, err := ParseSealingJWK(encodeJWK(curveX25519, lowEnd(t, u))); err == nil {
			t.Errorf("X25519 point %s of small order was accepted", u)
		}
	}
	if _, err := NewKeySet(newKeys(t, 1).SigningJWK(), newKeys(t, 1).SigningJWK()); err == nil {
		t.Error("a key set took one key twice")
	}
}

func lowEnd(t testing.TB, s string) []byte {
	t.Helper()
	b := make([]byte, 32)
	if _, err := fmt.Sscanf(s, "%02x", &b[0]); err != nil {
		t.Fatal(err)
	}
	return b
}

// minusOne is p − 1, little endian.
func minusOne() []byte {
	b := bytes.Repeat([]byte{0xff}, 32)
	b[0], b[31] = 0xec, 0x7f
	return b
}

// orderEight is the y of a point of order 8. Its double has y = 0, hence x² = −y², and the curve −x² + y² = 1 + d·x²·y² becomes
// d·y⁴ + 2y² − 1 = 0, which is checked here.
func orderEight(t testing.TB) string {
	t.Helper()
	const encoded = "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	d := new(big.Int).ModInverse(big.NewInt(121666), p25519)
	d.Mul(d, big.NewInt(-121665))
	y2 := new(big.Int).Exp(littleEndian(b), big.NewInt(2), p25519)
	sum := new(big.Int).Mul(y2, y2)
	sum.Mul(sum, d).Add(sum, y2).Add(sum, y2).Sub(sum, big.NewInt(1)).Mod(sum, p25519)
	if sum.Sign() != 0 {
		t.Fatal("the test's point is not of order 8")
	}
	return encoded
}

// TestLogSignerOfManyKeys: about every second verifier key has a plus sign among its base64 digits.
func TestLogSignerOfManyKeys(t *testing.T) {
	for range 64 {
		k, err := GenerateKeys(cryptorand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.LogSigner("proofmark.PT"); err != nil {
			t.Fatalf("verifier key %s: %v", k.LogVerifierKey("proofmark.PT"), err)
		}
	}
}
