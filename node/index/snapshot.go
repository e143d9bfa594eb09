package index

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"proofmark/correlate"
)

// A snapshot is what the index holds, so that it need not be computed again from the signatures. Little-endian; texts stand behind their length in 16 bits:
//
//	magic, version
//	number of facts (32 bits); of each the JSON, 1 if they can be compared else 0
//	number of signatures (64 bits); of each id, key of the exhibit and digest (16 bytes each), number of its facts (32 bits)
//	number of galleries (16 bits); of each region, algorithm, its own snapshot in pieces: 32 bits of length and so many bytes, until a length of 0
//	number of ids that changed while it was written (64 bits), the ids: nothing is believed of them
//
// It says nothing about who wrote it: see file.go.
const (
	magic           = "PMINDEX\n"
	snapshotVersion = 2
	maxText         = 1 << 12
	maxFacts        = 1 << 20
	maxSignatures   = 1 << 28
	maxPiece        = 1 << 20
)

// ErrSnapshot: the snapshot cannot be used. The way on is to fill the index from the signatures themselves.
var ErrSnapshot = errors.New("the snapshot cannot be used")

// Save writes a snapshot. Searches and changes go on meanwhile.
func (x *Index) Save(w io.Writer) error {
	x.saving.Lock() // one at a time
	defer x.saving.Unlock()
	x.mu.Lock()
	x.unsure = map[string]struct{}{}
	for id := range x.changing {
		x.unsure[id] = struct{}{}
	}
	list := make([]listed, 0, len(x.held))
	for k, h := range x.held {
		list = append(list, listed{x.idOf(k), h})
	}
	changes := x.changes
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.unsure = nil
	}()

	out := &snapshotWriter{w: bufio.NewWriterSize(w, 1<<18)}
	out.bytes([]byte(magic))
	out.bytes([]byte{snapshotVersion})
	out.holdings(list)
	kinds := slices.SortedFunc(maps.Keys(x.galleries), kind.compare)
	out.number16(len(kinds))
	for _, k := range kinds {
		out.text(string(k.roi))
		out.text(k.algorithm)
		if out.err == nil {
			out.err = x.galleries[k].save(pieces{out})
		}
		out.number32(0)
	}
	x.mu.Lock()
	unsure := x.unsure
	x.unsure = map[string]struct{}{}
	x.mu.Unlock()
	out.number64(len(unsure))
	for id := range unsure {
		out.text(id)
	}
	if out.err == nil {
		out.err = out.w.Flush()
	}
	if out.err != nil {
		return fmt.Errorf("write snapshot of the index: %w", out.err)
	}
	x.mu.Lock()
	x.changes -= changes
	x.mu.Unlock()
	return nil
}

// Changes is how many signatures came and went since the last snapshot.
func (x *Index) Changes() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.changes
}

// snapshotWriter writes fields until the first error, which it keeps.
type snapshotWriter struct {
	w   *bufio.Writer
	err error
}

func (w *snapshotWriter) bytes(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
	}
}

func (w *snapshotWriter) number16(n int) { w.bytes(binary.LittleEndian.AppendUint16(nil, uint16(n))) }
func (w *snapshotWriter) number32(n int) { w.bytes(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
func (w *snapshotWriter) number64(n int) { w.bytes(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

func (w *snapshotWriter) text(s string) {
	if len(s) > maxText && w.err == nil {
		w.err = fmt.Errorf("a text of %d bytes, at most %d are kept", len(s), maxText)
	}
	w.number16(len(s))
	w.bytes([]byte(s))
}

// listed is a signature held.
type listed struct {
	id string
	holding
}

func (w *snapshotWriter) holdings(list []listed) {
	numbers := map[*facts]int{}
	var shared []*facts
	for _, h := range list {
		if _, ok := numbers[h.facts]; !ok {
			numbers[h.facts] = len(shared)
			shared = append(shared, h.facts)
		}
	}
	w.number32(len(shared))
	for _, f := range shared {
		text, err := json.Marshal(f.Facts)
		if err != nil && w.err == nil {
			w.err = err
		}
		w.text(string(text))
		mark := byte(0)
		if f.gallery != nil {
			mark = 1
		}
		w.bytes([]byte{mark})
	}
	w.number64(len(list))
	for _, h := range list {
		w.text(h.id)
		w.bytes(h.exhibit[:])
		w.bytes(h.digest[:])
		w.number32(numbers[h.facts])
	}
}

// pieces writes a part whose length is not known beforehand.
type pieces struct{ out *snapshotWriter }

func (p pieces) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), maxPiece)
		p.out.number32(n)
		p.out.bytes(rest[:n])
		rest = rest[n:]
	}
	return len(b), p.out.err
}

// Restore fills an empty index from a snapshot. Every length is checked before it is used, and nothing is kept where something is wrong. What it holds
// then is what was held when the snapshot was written: compare it, by HoldsAs and IDs, with what there is now. Errors wrap ErrSnapshot.
func (x *Index) Restore(r io.Reader) error {
	in := &snapshotReader{r: bufio.NewReaderSize(r, 1<<18)}
	fresh := &Index{fetch: x.fetch}
	fresh.clear()
	if err := in.index(fresh); err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.held) > 0 || len(x.changing) > 0 {
		return fmt.Errorf("%w: the index is not empty", ErrSnapshot)
	}
	x.held, x.odd, x.shared, x.galleries, x.changes = fresh.held, fresh.odd, fresh.shared, fresh.galleries, 0
	for id := range x.gone {
		k := keyOf(id)
		if h, ok := x.held[k]; ok {
			x.leave(k, h)
			if h.gallery != nil {
				h.gallery.remove(id)
			}
		}
	}
	return nil
}

// snapshotReader reads fields until the first error, which it keeps.
type snapshotReader struct {
	r   *bufio.Reader
	buf [maxText]byte
	err error
}

// bytes are the next n, valid until the next call; zeros after an error.
func (r *snapshotReader) bytes(n int) []byte {
	b := r.buf[:n]
	if r.err == nil {
		if _, err := io.ReadFull(r.r, b); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			r.err = err
		}
	}
	if r.err != nil {
		clear(b)
	}
	return b
}

func (r *snapshotReader) number16() int { return int(binary.LittleEndian.Uint16(r.bytes(2))) }
func (r *snapshotReader) number32() int { return int(binary.LittleEndian.Uint32(r.bytes(4))) }

// count is a number of 64 bits that a limit holds for.
func (r *snapshotReader) count(what string, limit uint64) uint64 {
	n := binary.LittleEndian.Uint64(r.bytes(8))
	if n > limit && r.err == nil {
		r.err = fmt.Errorf("it announces %d %s, at most %d are read", n, what, limit)
		return 0
	}
	return n
}

func (r *snapshotReader) text() string {
	n := r.number16()
	if n > maxText && r.err == nil {
		r.err = fmt.Errorf("a text of %d bytes, at most %d are read", n, maxText)
	}
	if r.err != nil {
		return ""
	}
	return string(r.bytes(n))
}

func (r *snapshotReader) index(x *Index) error {
	if head := string(r.bytes(len(magic))); r.err == nil && head != magic {
		return errors.New("it does not begin as one")
	}
	if v := r.bytes(1)[0]; r.err == nil && v != snapshotVersion {
		return fmt.Errorf("it has version %d, this program reads version %d", v, snapshotVersion)
	}
	if err := r.holdings(x); err != nil {
		return err
	}
	for range r.number16() {
		if err := r.gallery(x); err != nil {
			return err
		}
	}
	for n := r.count("changed signatures", maxSignatures); n > 0 && r.err == nil; n-- {
		id := r.text()
		for _, g := range x.galleries {
			g.remove(id)
		}
		k := keyOf(id)
		if h, ok := x.held[k]; ok {
			x.leave(k, h)
		}
	}
	if r.err != nil {
		return r.err
	}
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("something follows its end"), err)
	}
	maps.DeleteFunc(x.shared, func(_ shareKey, f *facts) bool { return f.held == 0 })
	return x.agree()
}

// holdings reads facts and signatures; galleries are set right when they come.
func (r *snapshotReader) holdings(x *Index) error {
	n := r.number32()
	if n > maxFacts {
		return fmt.Errorf("it announces %d facts, at most %d are read", n, maxFacts)
	}
	var shared []*facts
	for i := 0; i < n && r.err == nil; i++ {
		text, mark := r.text(), r.bytes(1)[0]
		if r.err != nil {
			return r.err
		}
		var f Facts
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return fmt.Errorf("facts %d: %w", i, err)
		}
		own := newFacts(f)
		if mark == 1 {
			if own.gallery = x.galleries[kind{f.ROI, f.Algorithm}]; own.gallery == nil {
				return fmt.Errorf("facts %d: %s by %.64q cannot be compared by this program", i, f.ROI, f.Algorithm)
			}
		}
		share := shareKey{f, mark == 1}
		if x.shared[share] != nil {
			return fmt.Errorf("facts %d stand there twice", i)
		}
		x.shared[share] = own
		shared = append(shared, own)
	}
	for n := r.count("signatures", maxSignatures); n > 0 && r.err == nil; n-- {
		id, h := r.text(), holding{exhibit: key(r.bytes(16)), digest: digest(r.bytes(16))}
		i := r.number32()
		if r.err != nil {
			return r.err
		}
		if i >= len(shared) {
			return fmt.Errorf("signature %.40q has facts %d of %d", id, i, len(shared))
		}
		k := keyOf(id)
		if _, twice := x.held[k]; twice {
			return fmt.Errorf("signature %.40q stands there twice", id)
		}
		h.facts = shared[i]
		if _, now := known[kind{h.ROI, h.Algorithm}]; now && h.gallery == nil {
			continue // could not be compared by the program that wrote it: this one looks for itself
		}
		x.book(k, id, h)
	}
	return r.err
}

// gallery reads one gallery in place of the empty one.
func (r *snapshotReader) gallery(x *Index) error {
	k := kind{correlate.ROI(r.text()), r.text()}
	m, ok := known[k]
	if r.err != nil {
		return r.err
	}
	if !ok {
		return fmt.Errorf("a gallery of %.40q by %.64q, which this program does not know", k.roi, k.algorithm)
	}
	part := &piecesReader{in: r}
	g, err := m.load(part, x.fetch)
	if err != nil {
		return err
	}
	if err := part.finish(); err != nil {
		return err
	}
	empty := x.galleries[k]
	if empty.len() > 0 {
		return fmt.Errorf("the gallery of %s by %s stands there twice", k.roi, k.algorithm)
	}
	for _, f := range x.shared {
		if f.gallery == empty {
			f.gallery = g
		}
	}
	x.galleries[k] = g
	return nil
}

// agree checks that books and galleries hold equally many signatures of each kind.
func (x *Index) agree() error {
	booked := map[gallery]int{}
	for _, f := range x.shared {
		if f.gallery != nil {
			booked[f.gallery] += f.held
		}
	}
	for k, g := range x.galleries {
		if n := booked[g]; n != g.len() {
			return fmt.Errorf("%d signatures of %s by %s in a gallery of %d", n, k.roi, k.algorithm, g.len())
		}
	}
	return nil
}

// piecesReader reads a part written by pieces and no further.
type piecesReader struct {
	in   *snapshotReader
	left int
	end  bool
}

func (p *piecesReader) Read(b []byte) (int, error) {
	for p.left == 0 && !p.end && p.in.err == nil {
		if p.left = p.in.number32(); p.left > maxPiece {
			p.in.err = fmt.Errorf("a piece of %d bytes, at most %d are read", p.left, maxPiece)
		}
		p.end = p.left == 0
	}
	if p.in.err != nil {
		return 0, p.in.err
	}
	if p.end {
		return 0, io.EOF
	}
	n, err := p.in.r.Read(b[:min(len(b), p.left)])
	p.left -= n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// finish makes sure that the part was read to its end.
func (p *piecesReader) finish() error {
	if n, err := p.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return errors.Join(errors.New("a gallery is followed by something else"), p.in.err)
	}
	return nil
}
