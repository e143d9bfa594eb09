package people

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"proofmark/node/desk"
	"proofmark/store"
)

// An enrolment code is 80 bits in Crockford's base32 (no I, L, O, U), in four groups: KX7Q-2M9D-0RTB-W4HE.
//
// The code itself is kept nowhere. It is a MAC, under a key that lives in the encrypted store and nowhere else, of the account's name
// and a salt; the command's remembered result holds the salt alone, so a retry with the same idempotency key computes the same code,
// and neither the account nor the remembered command shows it to whoever reads records. The account holds the code's hash.
const (
	codeValid  = 72 * time.Hour
	codeBytes  = 10
	codeSalt   = 16 // bytes
	codeKeyLen = 32 // bytes
	rawCodeKey = "people/enrolment-key"
)

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// issued is what a command that hands out a code remembers.
type issued struct {
	Salt []byte `json:"salt"`
}

// issueCode gives an account a new code and forgets the one before it.
func issueCode(tx *store.Tx, a *Account, by desk.Actor) (issued, error) {
	key, err := tx.Get(rawCodeKey)
	if errors.Is(err, store.ErrNotFound) {
		if key, err = draw(tx, codeKeyLen); err == nil {
			err = tx.Put(rawCodeKey, key)
		}
	}
	if err != nil {
		return issued{}, err
	}
	salt, err := draw(tx, codeSalt)
	if err != nil {
		return issued{}, err
	}
	a.Code, a.CodeUntil, a.CodeUsed, a.CodeBy, a.CodeTaken = hashCode(deriveCode(key, a.Name, salt)), tx.Now().Add(codeValid), false, by.Name, 0
	return issued{salt}, nil
}

// code computes the code that was handed out with i.
func (s *Service) code(name string, i issued) (code string, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		key, err := tx.Get(rawCodeKey)
		if err == nil {
			code = deriveCode(key, name, i.Salt)
		}
		return err
	})
	return code, err
}

func deriveCode(key []byte, name string, salt []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(salt) // of fixed length: what follows is the name alone
	mac.Write([]byte(name))
	digits := crockford.EncodeToString(mac.Sum(nil)[:codeBytes])
	return digits[0:4] + "-" + digits[4:8] + "-" + digits[8:12] + "-" + digits[12:16]
}

// hashCode hashes a code however it was typed; "" if it cannot be one.
func hashCode(code string) string {
	if len(code) > 64 {
		return ""
	}
	digits := strings.NewReplacer("-", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.Join(strings.Fields(code), "")))
	if b, err := crockford.DecodeString(digits); err != nil || len(b) != codeBytes {
		return ""
	}
	sum := sha256.Sum256([]byte("proofmark enrolment code " + digits))
	return hex.EncodeToString(sum[:])
}
