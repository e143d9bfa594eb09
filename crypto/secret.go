package crypto

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltSize   = 16   // bytes, as RFC 9106 section 3.1 recommends
	hashSize   = 32   // bytes of a password hash
	maxSecret  = 1024 // bytes of a passphrase or password
	maxEncoded = 256  // bytes of a PHC string
)

// ArgonCost are the parameters of argon2id.
type ArgonCost struct {
	Time    uint32 `json:"time"`    // passes
	Memory  uint32 `json:"memory"`  // KiB
	Threads uint8  `json:"threads"` // lanes
}

var (
	// DefaultCost is the second recommended option of RFC 9106 section 4 (64 MiB, 3 passes, 4 lanes).
	DefaultCost = ArgonCost{Time: 3, Memory: 64 << 10, Threads: 4}
	// TestCost makes tests fast; it protects nothing.
	TestCost = ArgonCost{Time: 1, Memory: 64, Threads: 1}
)

const (
	maxMemory = 1 << 20 // KiB: 1 GiB
	maxTime   = 64
	maxLanes  = 64
	maxWork   = 8 << 20 // KiB × passes: 8 GiB written, some seconds
)

// check refuses what argon2 cannot do, and what a hostile file must not be able to ask for.
func (c ArgonCost) check() error {
	switch {
	case c.Time < 1 || c.Time > maxTime:
		return fmt.Errorf("argon2id with %d passes, want 1 to %d", c.Time, maxTime)
	case c.Threads < 1 || c.Threads > maxLanes:
		return fmt.Errorf("argon2id with %d lanes, want 1 to %d", c.Threads, maxLanes)
	case c.Memory < 8*uint32(c.Threads) || c.Memory > maxMemory:
		return fmt.Errorf("argon2id with %d KiB and %d lanes, want 8 KiB per lane to %d KiB", c.Memory, c.Threads, maxMemory)
	case uint64(c.Memory)*uint64(c.Time) > maxWork:
		return fmt.Errorf("argon2id with %d passes over %d KiB is more work than the limit of %d KiB", c.Time, c.Memory, maxWork)
	}
	return nil
}

func (c ArgonCost) stretch(secret, salt []byte, size uint32) []byte {
	return argon2.IDKey(secret, salt, c.Time, c.Memory, c.Threads, size)
}

func checkSecretSize(secret []byte) error {
	if len(secret) == 0 {
		return errors.New("is empty")
	}
	if len(secret) > maxSecret {
		return fmt.Errorf("has %d bytes, the limit is %d", len(secret), maxSecret)
	}
	return nil
}

// HashSecret hashes a password for keeping, as a PHC string: $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func HashSecret(secret []byte, random io.Reader, cost ArgonCost) (string, error) {
	if err := cost.check(); err != nil {
		return "", fmt.Errorf("hash secret: %w", err)
	}
	if err := checkSecretSize(secret); err != nil {
		return "", fmt.Errorf("hash secret: secret %w", err)
	}
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("hash secret: %w", err)
	}
	return encodePHC(cost, salt, cost.stretch(secret, salt, hashSize)), nil
}

func encodePHC(c ArgonCost, salt, hash []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Time, c.Threads, b64.EncodeToString(salt), b64.EncodeToString(hash))
}

// CheckSecret tells whether a secret has the hash. An error means that the hash itself is unreadable; a wrong, empty or oversized
// secret is no error. Each call takes the memory that the hash names: the caller limits how many run at a time.
func CheckSecret(encoded string, secret []byte) (ok bool, err error) {
	cost, salt, hash, err := decodePHC(encoded)
	if err != nil {
		return false, fmt.Errorf("secret hash: %w", err)
	}
	if checkSecretSize(secret) != nil {
		CheckUnknown(secret, cost)
		return false, nil
	}
	return subtle.ConstantTimeCompare(cost.stretch(secret, salt, hashSize), hash) == 1, nil
}

// CheckUnknown does the work of CheckSecret and always says no: for a user who does not exist, so that the time taken does not tell
// who exists. Cost is the one that the node gives to its users' hashes.
func CheckUnknown(secret []byte, cost ArgonCost) bool {
	if cost.check() != nil {
		cost = DefaultCost
	}
	var salt [saltSize]byte
	cost.stretch(secret[:min(len(secret), maxSecret)], salt[:], hashSize)
	return false
}

// decodePHC reads exactly the form that encodePHC writes.
func decodePHC(encoded string) (c ArgonCost, salt, hash []byte, err error) {
	if len(encoded) > maxEncoded {
		return c, nil, nil, fmt.Errorf("%d bytes, the limit is %d", len(encoded), maxEncoded)
	}
	fields := strings.Split(encoded, "$")
	if len(fields) != 6 || fields[1] != "argon2id" {
		return c, nil, nil, errors.New("not of the form $argon2id$v=…$m=…,t=…,p=…$salt$hash")
	}
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Time, &c.Threads); err != nil {
		return c, nil, nil, fmt.Errorf("parameters %.60q: %w", fields[3], err)
	}
	if err := c.check(); err != nil {
		return c, nil, nil, err
	}
	b64 := base64.RawStdEncoding.Strict()
	if salt, err = b64.DecodeString(fields[4]); err != nil || len(salt) != saltSize {
		return c, nil, nil, fmt.Errorf("salt is not %d bytes in base64", saltSize)
	}
	if hash, err = b64.DecodeString(fields[5]); err != nil || len(hash) != hashSize {
		return c, nil, nil, fmt.Errorf("hash is not %d bytes in base64", hashSize)
	}
	// Sscanf is lax about signs, leading zeros and what follows: only the canonical spelling passes.
	if encodePHC(c, salt, hash) != encoded {
		return c, nil, nil, errors.New("not in canonical form")
	}
	return c, salt, hash, nil
}
