package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// MaxBlob is the size limit of a blob, in bytes.
const MaxBlob = 128 << 20

// PutBlob stores b under its SHA-256 (hex) and counts one reference to it; bytes that are there already are not stored again. b must
// not be changed before Update returns.
func (tx *Tx) PutBlob(b []byte) (hash string, err error) {
	if len(b) > MaxBlob {
		return "", fmt.Errorf("blob of %d bytes: %w, the limit is %d", len(b), ErrTooLarge, MaxBlob)
	}
	sum := sha256.Sum256(b)
	hash = hex.EncodeToString(sum[:])
	refs, err := tx.blobRefs(hash)
	if err != nil {
		return "", err
	}
	if refs == 0 {
		if len(b) == 0 {
			b = []byte{}
		}
		if err := tx.put(spaceBlob+hash, b); err != nil {
			return "", fmt.Errorf("blob %s: %w", hash, err)
		}
	}
	if err := tx.put(spaceBlobRefs+hash, binary.AppendUvarint(nil, refs+1)); err != nil {
		return "", fmt.Errorf("blob %s: %w", hash, err)
	}
	return hash, nil
}

// Blob returns the bytes with this hash, checked against it, or ErrNotFound. They must not be changed.
func (tx *Tx) Blob(hash string) ([]byte, error) {
	b, err := tx.get(spaceBlob + hash)
	if err != nil {
		return nil, fmt.Errorf("blob %.64s: %w", hash, err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("blob %s: %w: its bytes have another hash", hash, ErrCorrupt)
	}
	return b, nil
}

// HasBlob reports whether the bytes with this hash are there, without reading them.
func (tx *Tx) HasBlob(hash string) (bool, error) { return tx.has(spaceBlobRefs + hash) }

// DeleteBlob takes back one reference; with the last one the bytes are deleted. ErrNotFound if there is none.
func (tx *Tx) DeleteBlob(hash string) error {
	refs, err := tx.blobRefs(hash)
	if err == nil && refs == 0 {
		err = ErrNotFound
	}
	if err == nil && refs > 1 {
		err = tx.put(spaceBlobRefs+hash, binary.AppendUvarint(nil, refs-1))
	} else if err == nil {
		err = errors.Join(tx.del(spaceBlobRefs+hash), tx.del(spaceBlob+hash))
	}
	if err != nil {
		return fmt.Errorf("delete blob %.64s: %w", hash, err)
	}
	return nil
}

func (tx *Tx) blobRefs(hash string) (uint64, error) {
	b, err := tx.get(spaceBlobRefs + hash)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, rest, ok := cutUvarint(b)
	if !ok || len(rest) > 0 || n == 0 {
		return 0, fmt.Errorf("%w: the reference count of blob %s", ErrCorrupt, hash)
	}
	return n, nil
}
