package bundle

import (
	"crypto/rand"
	"strings"
	"testing"

	"proofmark/crypto"
)

// TestUnreadableBundlesSayWhatToDo: whoever holds a damaged or a wrong file reads which of the two it is, and no word of the format's.
func TestUnreadableBundlesSayWhatToDo(t *testing.T) {
	newKeys := func() *crypto.Keys {
		k, err := crypto.GenerateKeys(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	keys := newKeys()
	seal := func(k *crypto.Keys, typ string) string {
		s, err := crypto.SealFor(k.SealingJWK(), typ, []byte(strings.Repeat("content", 100)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole := seal(keys, crypto.TypeBundle)
	other := byte('A')
	if whole[len(whole)/2] == other {
		other = 'B'
	}
	for name, c := range map[string]struct{ file, want string }{
		"cut off":           {whole[:len(whole)/2], "is damaged"},
		"cut by a byte":     {whole[:len(whole)-1], "is damaged"},
		"one letter other":  {whole[:len(whole)/2] + string(other) + whole[len(whole)/2+1:], "is damaged"},
		"without its parts": {strings.ReplaceAll(whole, ".", ""), "beginning is damaged"},
		"begins elsewhere":  {whole[20:], "beginning is damaged"},
		"empty":             {"", "is empty"},
		"text":              {"hello", "no bundle"},
		"another type":      {seal(keys, "other+jwe"), "no bundle"},
		"somebody else's":   {seal(newKeys(), crypto.TypeBundle), "sealed for another country"},
	} {
		_, err := keys.Unseal(c.file, crypto.TypeBundle, MaxFile)
		if err == nil {
			t.Errorf("%s: opened", name)
			continue
		}
		got := unreadable(c.file, err, "ES").Error()
		if !strings.Contains(got, c.want) || strings.Contains(got, "JWS") || strings.Contains(got, "JWE") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
