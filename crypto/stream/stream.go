// Package stream encrypts and authenticates files of any size in chunks, in bounded memory. It promises that a reader gives out only bytes that
// the writer with the same key and label put there, in their order, and reports the end only where the writer ended. It refuses to know what the
// bytes mean and where the key comes from.
//
// The construction is STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance",
// CRYPTO 2015) over AES-256-GCM:
//
//	file  = header ‖ chunk 0 ‖ chunk 1 ‖ … ‖ last chunk
//	header = magic (8 bytes) ‖ salt (32 bytes, random)
//	file key = HKDF-SHA256(key, salt = header, info = "proofmark stream " ‖ label), 32 bytes
//	chunk i = AES-256-GCM(file key, nonce = i (11 bytes, big endian) ‖ 1 if it is the last, else 0), 65,536 bytes of plain text and 16 of tag; the
//	last one may be shorter, and is empty only in an empty file
//
// Each file has a key of its own, so a nonce never repeats under one; chunks cannot be dropped, repeated, exchanged or cut off at the end unseen.
package stream

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	magic      = "PMSTRM1\n"
	saltSize   = 32
	headerSize = len(magic) + saltSize
	chunkSize  = 64 << 10
	tagSize    = 16
	nonceSize  = 12
)

// Errors on which callers decide.
var (
	// ErrForm: the bytes do not begin as such a file of this version.
	ErrForm = errors.New("not an encrypted file of this version")
	// ErrAltered: key or label are other ones, or the file was altered or cut short.
	ErrAltered = errors.New("the key does not open it: it is of another node, damaged or cut short")
)

// Overhead is how many bytes a file of n bytes grows by.
func Overhead(n int64) int64 {
	return int64(headerSize) + tagSize*max(1, (n+chunkSize-1)/chunkSize)
}

func newAEAD(key []byte, header []byte, label string) (cipher.AEAD, error) {
	fileKey, err := hkdf.Key(sha256.New, key, header, "proofmark stream "+label, 32)
	if err != nil {
		return nil, fmt.Errorf("derive file key: %w", err)
	}
	block, err := aes.NewCipher(fileKey)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// nonce counts the chunks.
type nonce [nonceSize]byte

func (n *nonce) of(chunk uint64, last bool) []byte {
	binary.BigEndian.PutUint64(n[nonceSize-9:], chunk)
	n[nonceSize-1] = 0
	if last {
		n[nonceSize-1] = 1
	}
	return n[:]
}

// Writer encrypts what is written to it. Without Close the file has no end and no reader takes it.
type Writer struct {
	w     io.Writer
	aead  cipher.AEAD
	nonce nonce
	chunk uint64
	plain []byte
	out   []byte
	err   error
}

// NewWriter writes the header. key has 32 bytes; the label says what the file is, so that one kind cannot pass for another.
func NewWriter(w io.Writer, key []byte, label string, random io.Reader) (*Writer, error) {
	header := append([]byte(magic), make([]byte, saltSize)...)
	if _, err := io.ReadFull(random, header[len(magic):]); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	aead, err := newAEAD(key, header, label)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return &Writer{w: w, aead: aead, plain: make([]byte, 0, chunkSize), out: make([]byte, 0, chunkSize+tagSize)}, nil
}

// Write takes bytes in; they are written in whole chunks.
func (w *Writer) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 && w.err == nil {
		if len(w.plain) == chunkSize { // only when more follows: the last chunk is marked as such
			w.flush(false)
		}
		k := copy(w.plain[len(w.plain):chunkSize], p)
		w.plain = w.plain[:len(w.plain)+k]
		p = p[k:]
		n += k
	}
	return n, w.err
}

func (w *Writer) flush(last bool) {
	if w.err != nil {
		return
	}
	w.out = w.aead.Seal(w.out[:0], w.nonce.of(w.chunk, last), w.plain, nil)
	w.chunk++
	w.plain = w.plain[:0]
	if _, err := w.w.Write(w.out); err != nil {
		w.err = fmt.Errorf("encrypt: %w", err)
	}
}

var errClosed = errors.New("encrypt: the file has its end already")

// Close writes the end. It does not close the writer below.
func (w *Writer) Close() error {
	w.flush(true)
	err := w.err
	if err == nil {
		w.err = errClosed
	}
	return err
}

// Reader decrypts. It never gives out a byte that was not authenticated, and io.EOF only at the end that the writer made.
type Reader struct {
	r     *bufio.Reader
	aead  cipher.AEAD
	nonce nonce
	chunk uint64
	buf   []byte
	plain []byte // what of buf was not read yet
	err   error
}

// NewReader reads the header. Errors: ErrForm; those of reading wrap ErrAltered.
func NewReader(r io.Reader, key []byte, label string) (*Reader, error) {
	header := make([]byte, headerSize)
	in := bufio.NewReaderSize(r, 4*chunkSize)
	if _, err := io.ReadFull(in, header); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: it ends within its first %d bytes", ErrForm, headerSize)
		}
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	if string(header[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it begins with %q", ErrForm, header[:len(magic)])
	}
	aead, err := newAEAD(key, header, label)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return &Reader{r: in, aead: aead, buf: make([]byte, chunkSize+tagSize)}, nil
}

// Read gives out what was authenticated.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.next()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// next decrypts one chunk.
func (r *Reader) next() {
	n, err := io.ReadFull(r.r, r.buf)
	last := false
	switch {
	case err == nil:
		if _, err := r.r.Peek(1); errors.Is(err, io.EOF) {
			last = true
		} else if err != nil {
			r.err = fmt.Errorf("decrypt: %w", err)
			return
		}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		last = true
	default:
		r.err = fmt.Errorf("decrypt: %w", err)
		return
	}
	plain, err := r.aead.Open(r.buf[:0], r.nonce.of(r.chunk, last), r.buf[:n], nil)
	if err != nil || len(plain) == 0 && r.chunk > 0 {
		r.err = fmt.Errorf("decrypt chunk %d: %w", r.chunk, ErrAltered)
		return
	}
	r.chunk++
	r.plain = plain
	if last {
		r.err = io.EOF
	}
}
