package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"proofmark/protocol"
)

// SendCopy offers a file to a member for keeping and sends what it lacks; it returns the receipt, which the caller has to verify, and the bytes that were
// sent. progress (may be nil) is told the bytes of the file that the member has. What was broken off goes on with the next call.
func (x *Exchange) SendCopy(ctx context.Context, to protocol.Country, offer CopyOffer, file io.ReaderAt, progress func(bytes int64)) (receipt string, sent int64, err error) {
	first, err := json.Marshal(offer)
	if err != nil {
		return "", 0, err
	}
	err = x.visit(ctx, to, CustodyProtocol, first, func(l *link, s pipe) (err error) {
		receipt, sent, err = l.sendCopy(ctx, s, offer, file, progress)
		return err
	})
	return receipt, sent, err
}

func (l *link) sendCopy(ctx context.Context, s pipe, offer CopyOffer, file io.ReaderAt, progress func(int64)) (receipt string, sent int64, err error) {
	pace := l.x.pace
	w, err := readCopyWord(within(s, pace.answer+reading(offer.Size))) // it hashes what it has
	if err != nil {
		return "", 0, fmt.Errorf("no copy is taken: %w", err)
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
