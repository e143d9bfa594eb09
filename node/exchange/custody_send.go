package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"proofmark/protocol"
)

// SendCopy offers a file to a member for keeping and sends what it lacks; it returns the receipt, which the caller has to verify, and the bytes that were
// sent. progress (may be nil) is told the bytes of the file that the member has. What was broken off goes on with the next call.
func (x *Exchange) SendCopy(ctx context.Context, to protocol.Country, offer CopyOffer, file io.ReaderAt, progress func(bytes int64)) (receipt string, sent int64, err error) {
	if !x.begin() {
		return "", 0, errNotConnected
	}
	defer x.works.Done()
	l := x.link(to)
	if l == nil {
		return "", 0, fmt.Errorf("%s is not an active member of the roster in force", to)
	}
	conn := l.newest()
	if conn == nil {
		return "", 0, errNotConnected
	}
	opening, cancel := context.WithTimeout(ctx, x.pace.hello)
	defer cancel()
	s, err := conn.NewStream(opening)
	if err != nil {
		return "", 0, fmt.Errorf("open stream: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = s.Reset() })()
	defer context.AfterFunc(l.life, func() { _ = s.Reset() })()
	if err := s.SetProtocol(CustodyProtocol); err != nil {
		_ = s.Reset()
		return "", 0, fmt.Errorf("open stream: %w", err)
	}
	receipt, sent, err = l.sendCopy(ctx, lazily(s, CustodyProtocol), offer, file, progress)
	if err != nil || s.Close() != nil {
		_ = s.Reset()
	}
	return receipt, sent, err
}

func (l *link) sendCopy(ctx context.Context, s pipe, offer CopyOffer, file io.ReaderAt, progress func(int64)) (receipt string, sent int64, err error) {
	pace := l.x.pace
	p := within(s, pace.hello)
	var opening bytes.Buffer
	if err := errors.Join(writeJSON(&opening, l.x.hello(l.country, "")), writeJSON(&opening, offer)); err != nil {
		return "", 0, err
	}
	if _, err := p.Write(opening.Bytes()); err != nil {
		return "", 0, fmt.Errorf("say hello: %w", err)
	}
	b, err := protocol.ReadFrame(p, protocol.MaxHello)
	if err != nil {
		return "", 0, fmt.Errorf("wait for hello: %w", noEOF(err))
	}
	h, err := protocol.DecodeHello(b)
	if err == nil {
		err = checkHello(h, l.member.Load(), l.x.o.Country, l.x.o.Now())
	}
	if err != nil {
		return "", 0, err
	}
	l.greeted(h)
	w, err := readCopyWord(within(s, pace.answer+reading(offer.Size))) // it hashes what it has
	if err != nil {
		return "", 0, fmt.Errorf("wait for what it has: %w", err)
	}
	if w.Receipt != "" {
		return w.Receipt, 0, nil
	}
	if w.Have < 0 || w.Have > offer.Size {
		return "", 0, fmt.Errorf("%w: it says it has %d bytes of %d", errBadAnswer, w.Have, offer.Size)
	}
	offset := w.Have
	if offset > 0 {
		sum := sha256.New()
		if _, err := io.Copy(sum, io.NewSectionReader(file, 0, offset)); err != nil {
			return "", 0, err
		}
		if hex.EncodeToString(sum.Sum(nil)) != w.Prefix {
			offset = 0 // what it has is not this file's
		}
	}
	if err := writeJSON(within(s, pace.hello), copyStart{offset}); err != nil {
		return "", 0, fmt.Errorf("say where it begins: %w", err)
	}
	sent, err = l.writeCopy(ctx, s, file, offset, offer.Size, progress)
	if err != nil {
		// A holder that takes no more says why before it closes.
		if _, why := readCopyWord(within(s, pace.hello)); RefusedByPeer(why) {
			err = why
		}
		return "", sent, fmt.Errorf("after %d of %d bytes: %w", offset+sent, offer.Size, err)
	}
	if w, err = readCopyWord(within(s, pace.answer+reading(offer.Size))); err != nil {
		return "", sent, fmt.Errorf("wait for its receipt: %w", err)
	}
	if w.Receipt == "" {
		return "", sent, fmt.Errorf("%w: no receipt", errBadAnswer)
	}
	return w.Receipt, sent, nil
}

// writeCopy sends bytes at the pace of the one who takes them, and lets urgent batches to the same member go first.
func (l *link) writeCopy(ctx context.Context, s pipe, file io.ReaderAt, offset, size int64, progress func(int64)) (sent int64, err error) {
	pace := l.x.pace
	out := patient{pipe: s, progress: pace.progress}
	buf := make([]byte, chunk)
	for at, piece, n := offset, int64(0), 0; at < size; n++ {
		if piece <= 0 {
			out.until, piece = time.Now().Add(pace.batch), copyPiece
		}
		if n%yieldEvery == 0 {
			l.urgent.yield(l.life, pace.yield)
			if err := ctx.Err(); err != nil {
				return sent, err
			}
		}
		b := buf[:min(chunk, size-at)]
		if _, err := file.ReadAt(b, at); err != nil {
			return sent, fmt.Errorf("read the file: %w", noEOF(err))
		}
		if err := protocol.WriteFrame(out, b); err != nil {
			return sent, err
		}
		at, piece, sent = at+int64(len(b)), piece-int64(len(b)), sent+int64(len(b))
		if progress != nil {
			progress(at)
		}
	}
	return sent, nil
}
