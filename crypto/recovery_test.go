package crypto

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRecoveryKey(t *testing.T) {
	r, err := NewRecoveryKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file, err := r.Wrap([]byte("six brass keys on a ring"), rand.Reader, TestCost)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenRecoveryKey(file, []byte("six brass keys on a ring"))
	if err != nil || again.KeyID() != r.KeyID() || !bytes.Equal(again.JWK(), r.JWK()) {
		t.Fatalf("opened again it is %v, %v; want %v", again, err, r)
	}
	sealed, err := SealFor(r.JWK(), TypeBackupKey, []byte("a file key"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Unseal(sealed, TypeBackupKey, 4096); err != nil || string(plain) != "a file key" {
		t.Errorf("unsealed: %q, %v", plain, err)
	}
	other, _ := NewRecoveryKey(rand.Reader)
	if _, err := other.Unseal(sealed, TypeBackupKey, 4096); !errors.Is(err, ErrNotForUs) {
		t.Errorf("another recovery key: %v", err)
	}
	if _, err := again.Unseal(sealed, TypeBundle, 4096); !errors.Is(err, ErrWrongType) {
		t.Errorf("another use: %v", err)
	}
	if _, err := OpenRecoveryKey(file, []byte("another")); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("a wrong passphrase: %v", err)
	}
	if s := fmt.Sprintf("%v %+v %#v", r, r, r); strings.Count(s, "[recovery key ") != 3 {
		t.Errorf("a recovery key prints as %s", s)
	}
}

// TestWrappedFilesAreNotExchanged gives each kind of wrapped secret to the other kind's reader.
func TestWrappedFilesAreNotExchanged(t *testing.T) {
	pass := []byte("six brass keys on a ring")
	r, _ := NewRecoveryKey(rand.Reader)
	recovery, _ := r.Wrap(pass, rand.Reader, TestCost)
	m, _ := NewMasterKey(rand.Reader)
	master, _ := WrapMasterKey(m, pass, rand.Reader, TestCost)
	if _, err := OpenRecoveryKey(master, pass); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("a master key was taken for a recovery key: %v", err)
	}
	if _, err := UnwrapMasterKey(recovery, pass); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("a recovery key was taken for a master key: %v", err)
	}
}
