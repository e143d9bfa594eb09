package crypto

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const frozenDerivation = "4f1c117270a77a79d5c88a440d4487f2ecd9d5d20705df5c912c67b2a0d73fa4"

func TestDerive(t *testing.T) {
	m, other := newMaster(t, 1), newMaster(t, 2)
	a := m.Derive("badger")
	if len(a) != 32 || !bytes.Equal(a, m.Derive("badger")) {
		t.Errorf("derivation is not 32 repeatable bytes: %x", a)
	}
	for name, b := range map[string][]byte{"purpose": m.Derive("keys"), "key": other.Derive("badger"), "master itself": m[:]} {
		if bytes.Equal(a, b) {
			t.Errorf("another %s derives the same", name)
		}
	}
	// Files on disk depend on it: this must never change.
	if got := hex.EncodeToString(MasterKey{}.Derive("badger")); got != frozenDerivation {
		t.Errorf("derivation of the zero key is %s, files were written with %s", got, frozenDerivation)
	}
}

func TestWrapMasterKey(t *testing.T) {
	m := newMaster(t, 1)
	b, err := WrapMasterKey(m, []byte("correct horse"), seeded(2), TestCost)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := UnwrapMasterKey(b, []byte("correct horse")); err != nil || got != m {
		t.Errorf("unwrapped another key: %v", err)
	}
	for _, wrong := range []string{"correct hors", "correct horse ", "Correct horse"} {
		if _, err := UnwrapMasterKey(b, []byte(wrong)); !errors.Is(err, ErrWrongPassphrase) {
			t.Errorf("passphrase %q: %v", wrong, err)
		}
	}
	again, err := WrapMasterKey(m, []byte("correct horse"), seeded(3), TestCost)
	if err != nil || bytes.Equal(again, b) {
		t.Errorf("two wrappings are equal (%v)", err)
	}
	for name, pass := range map[string][]byte{"empty": nil, "oversized": make([]byte, maxSecret+1)} {
		if _, err := WrapMasterKey(m, pass, seeded(2), TestCost); err == nil {
			t.Errorf("%s passphrase was accepted", name)
		}
		if _, err := UnwrapMasterKey(b, pass); err == nil || errors.Is(err, ErrWrongPassphrase) {
			t.Errorf("%s passphrase at unwrapping: %v", name, err)
		}
	}
	if _, err := WrapMasterKey(m, []byte("x"), strings.NewReader("short"), TestCost); err == nil {
		t.Error("wrapped with too little randomness")
	}
}

// A hostile file must be refused before it takes memory or time.
func TestUnwrapHostileFile(t *testing.T) {
	good, err := WrapMasterKey(newMaster(t, 1), []byte("pass"), seeded(2), TestCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*wrappedMaster){
		"4 TiB":           func(w *wrappedMaster) { w.Cost.Memory = 1<<32 - 1 },
		"just over 1 GiB": func(w *wrappedMaster) { w.Cost.Memory = maxMemory + 1 },
		"endless passes":  func(w *wrappedMaster) { w.Cost.Time = 1<<32 - 1 },
		"work":            func(w *wrappedMaster) { w.Cost = ArgonCost{Time: 9, Memory: maxMemory, Threads: 4} },
		"no passes":       func(w *wrappedMaster) { w.Cost.Time = 0 },
		"no lanes":        func(w *wrappedMaster) { w.Cost.Threads = 0 },
		"many lanes":      func(w *wrappedMaster) { w.Cost.Threads = 255 },
		"no memory":       func(w *wrappedMaster) { w.Cost.Memory = 0 },
		"other kdf":       func(w *wrappedMaster) { w.KDF = "pbkdf2" },
		"version":         func(w *wrappedMaster) { w.Version = 2 },
		"salt":            func(w *wrappedMaster) { w.Salt = nil },
		"nonce":           func(w *wrappedMaster) { w.Nonce = w.Nonce[:12] },
		"sealed":          func(w *wrappedMaster) { w.Sealed = w.Sealed[:20] },
		"sealed bit":      func(w *wrappedMaster) { w.Sealed[0] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			var w wrappedMaster
			if err := json.Unmarshal(good, &w); err != nil {
				t.Fatal(err)
			}
			spoil(&w)
			b, err := json.Marshal(w)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := UnwrapMasterKey(b, []byte("pass")); err == nil {
				t.Error("opened")
			}
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 { // argon2 fills what it was asked for, so it was not run
				t.Errorf("the refusal took %d bytes", grown)
			}
		})
	}
	for name, b := range map[string]string{
		"empty": "", "null": "null", "array": "[]", "large": `{"kdf":"` + strings.Repeat("x", maxMasterFile) + `"}`,
		"unknown field": `{"version":1,"more":2}`, "cut": string(good[:len(good)/2]), "and more": string(good) + "{}",
		"twice": `{"version":1,"version":1}`,
	} {
		if _, err := UnwrapMasterKey([]byte(b), []byte("pass")); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestSecrets(t *testing.T) {
	encoded, err := HashSecret([]byte("s3cret"), seeded(1), TestCost)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]bool{"s3cret": true, "S3cret": false, "": false, "s3cret\x00": false, strings.Repeat("x", maxSecret+1): false} {
		if ok, err := CheckSecret(encoded, []byte(secret)); err != nil || ok != want {
			t.Errorf("secret %.20q: %v, %v", secret, ok, err)
		}
	}
	other, err := HashSecret([]byte("s3cret"), seeded(2), TestCost)
	if err != nil || other == encoded {
		t.Errorf("two hashes are equal (%v)", err)
	}
	if _, err := HashSecret(nil, seeded(1), TestCost); err == nil {
		t.Error("hashed an empty secret")
	}
	if CheckUnknown([]byte("s3cret"), TestCost) || CheckUnknown(nil, ArgonCost{}) {
		t.Error("an unknown user was let in")
	}
	if err := DefaultCost.check(); err != nil {
		t.Error(err)
	}
}

func TestSecretHashesRefused(t *testing.T) {
	good, err := HashSecret([]byte("s3cret"), seeded(1), TestCost)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		s := strings.Replace(good, old, new, 1)
		if s == good {
			t.Fatalf("%q is not in %q", old, good)
		}
		return s
	}
	for _, s := range []string{
		"", "plain", replace("argon2id", "argon2i"), replace("v=19", "v=16"), replace("m=64", "m=4294967295"), replace("m=64", "m=-64"),
		replace("m=64", "m=064"), replace("m=64", "m=+64"), replace("t=1", "t=0"), replace("p=1", "p=0"), replace("p=1", "p=256"), replace("p=1", "p=1,x=1"),
		good + "=", good + "\n", good + "$", good[:len(good)-1], good[1:], strings.Repeat("$", 300),
	} {
		if ok, err := CheckSecret(s, []byte("s3cret")); err == nil || ok {
			t.Errorf("hash %.80q: %v, %v", s, ok, err)
		}
	}
}

// The check of an unknown user does the same work as that of a known one. Times are compared loosely, as the least of several runs.
// Whoever tries names must not learn from the time which of them exist: a name that nobody has costs the same work. What argon2 does is known by the memory
// it fills, which load does not change.
func TestUnknownUserTakesTheSameWork(t *testing.T) {
	cost := ArgonCost{Time: 2, Memory: 4 << 10, Threads: 1}
	encoded, err := HashSecret([]byte("s3cret"), seeded(1), cost)
	if err != nil {
		t.Fatal(err)
	}
	filled := func(f func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	known := filled(func() { CheckSecret(encoded, []byte("wrong")) })
	unknown := filled(func() { CheckUnknown([]byte("wrong"), cost) })
	if least := uint64(cost.Memory) << 10; known < least || unknown < least || max(known, unknown)-min(known, unknown) > least/20 {
		t.Errorf("a known user's secret fills %d bytes, an unknown user's %d", known, unknown)
	}
}

// affordable tells whether argon2 with these parameters is fast enough to be fuzzed.
func affordable(c ArgonCost) bool {
	return c.check() != nil || uint64(c.Memory)*uint64(c.Time) <= 1<<10
}

func FuzzUnwrapMasterKey(f *testing.F) {
	good, err := WrapMasterKey(newMaster(f, 1), []byte("pass"), seeded(2), TestCost)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"kdf":"argon2id","cost":{"time":1,"memory":4294967295,"threads":1}}`))
	f.Add([]byte(`[[[[[[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var w wrappedMaster
		if decodeFile(b, maxMasterFile, &w) == nil && !affordable(w.Cost) {
			return
		}
		m, err := UnwrapMasterKey(b, []byte("pass"))
		if err == nil && m != newMaster(t, 1) {
			t.Errorf("another key from %q", b)
		}
	})
}

func FuzzOpenKeys(f *testing.F) {
	m := newMaster(f, 1)
	good, err := newKeys(f, 2).Seal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"nonce":"","sealed":""}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := OpenKeys(b, m)
		if err == nil && !k.signing.Equal(newKeys(t, 2).signing) {
			t.Errorf("other keys from %q", b)
		}
	})
}

func FuzzCheckSecret(f *testing.F) {
	good, err := HashSecret([]byte("s3cret"), seeded(1), TestCost)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		cost, salt, hash, err := decodePHC(s)
		if err != nil {
			if ok, err := CheckSecret(s, []byte("s3cret")); ok || err == nil {
				t.Errorf("unreadable hash %q: %v, %v", s, ok, err)
			}
			return
		}
		if encodePHC(cost, salt, hash) != s {
			t.Errorf("a second spelling: %q", s)
		}
		if !affordable(cost) {
			return
		}
		if _, err := CheckSecret(s, []byte("s3cret")); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func ExampleMasterKey_Derive() {
	var m MasterKey // a real one comes from NewMasterKey
	fmt.Println(len(m.Derive("badger")))
	// Output: 32
}
