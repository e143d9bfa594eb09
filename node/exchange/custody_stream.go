package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"proofmark/protocol"
)

// CustodyProtocol carries one sealed copy to a member that keeps it. The owner: greeting and offer. The holder: greeting, and how much of the file it has,
// with the hash of that, or the receipt where it has all. The owner: where it begins, then frames of bytes to the file's end. The holder: its receipt.
// Instead of an offer the owner may ask for a proof that a copy is still there (custody_prove.go).
const CustodyProtocol p2pprotocol.ID = "/proofmark/custody/1.0.0"

// Bounds of custody streams at the holder's side.
const (
	maxCopyStreams = 4       // of all members together; a member has one
	copyPiece      = 4 << 20 // bytes that may take as long as a batch may
	maxCopyOffer   = 32 << 10
	maxCopyWord    = 8 << 10
	maxCopyStart   = 64
)

var (
	errCopyOffer = errors.New("malformed offer of a copy")
	errCopyData  = errors.New("the copy does not arrive as it was offered")
	errCopyRoom  = errors.New("this node takes as many copies as it can now; try again in a moment")
)

// CopyOffer says which file is offered for keeping.
type CopyOffer struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // of the whole file, hex
	Head   string `json:"head"`   // what the file says of itself, signed by its owner: a compact JWS
}

// CopyIntake takes in one file at the holder.
type CopyIntake struct {
	Receipt string // where the whole file is here already; the rest is unused then
	Have    int64  // bytes that are here already
	Prefix  string // their SHA-256, hex

	Start func(offset int64) error // what is here behind the offset is dropped
	Take  func(b []byte) error     // the next bytes; they must not be kept
	Done  func() (receipt string, err error)
	Close func() // always called; what was taken so far stays
}

// RefusedCopy is a reason for which a copy is not taken that its owner is told in full.
type RefusedCopy struct{ Reason error }

func (r RefusedCopy) Error() string { return r.Reason.Error() }
func (r RefusedCopy) Unwrap() error { return r.Reason }

// copyWord is what the holder answers to the offer and at the end.
type copyWord struct {
	Receipt string `json:"receipt,omitempty"`
	Have    int64  `json:"have,omitempty"`
	Prefix  string `json:"prefix,omitempty"`
	Refusal string `json:"refusal,omitempty"`
}

type copyStart struct {
	Offset int64 `json:"offset"`
}

// copyDesk bounds what is taken at once.
type copyDesk struct {
	mu    sync.Mutex
	peers map[protocol.Country]chan struct{} // closed when the place is free again
}

// enter takes a member's place. Its next file may be offered before this side is done with the one before: that one is waited for.
func (d *copyDesk) enter(c protocol.Country, patience time.Duration) error {
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		d.mu.Lock()
		before := d.peers[c]
		if before == nil {
			defer d.mu.Unlock()
			if len(d.peers) >= maxCopyStreams {
				return errCopyRoom
			}
			if d.peers == nil {
				d.peers = map[protocol.Country]chan struct{}{}
			}
			d.peers[c] = make(chan struct{})
			return nil
		}
		d.mu.Unlock()
		select {
		case <-before:
		case <-end.C:
			return errTooMany
		}
	}
}

func (d *copyDesk) leave(c protocol.Country) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.peers[c])
	delete(d.peers, c)
}

// serveCustody handles one incoming stream of CustodyProtocol, on a goroutine of libp2p's.
func (x *Exchange) serveCustody(s network.Stream) {
	if x.o.TakeCopy == nil {
		_ = s.Reset()
		return
	}
	x.attend(s, "a copy of its", (*link).takeCopy)
}

func (l *link) takeCopy(s network.Stream) error {
	x := l.x
	p := within(s, x.pace.hello)
	offer, question, err := l.readCopyOpening(p)
	if err != nil {
		return err
	}
	if err := x.copies.enter(l.country, x.pace.busy); err != nil {
		return refuseCopy(within(s, x.pace.hello), err)
	}
	defer x.copies.leave(l.country)
	if question != nil {
		return l.proveCopy(s, *question)
	}
	in, err := x.o.TakeCopy(l.life, l.country, offer)
	if err != nil {
		return refuseCopy(within(s, x.pace.hello), err)
	}
	defer in.Close()
	p = within(s, x.pace.hello)
	if err := writeJSON(p, copyWord{Receipt: in.Receipt, Have: in.Have, Prefix: in.Prefix}); err != nil {
		return fmt.Errorf("say how much of %s is here: %w", offer.Name, err)
	}
	if in.Receipt != "" {
		return nil
	}
	b, err := protocol.ReadFrame(within(s, x.pace.answer+reading(in.Have)), maxCopyStart) // the owner hashes what is here
	if err != nil {
		return fmt.Errorf("wait for where %s begins: %w", offer.Name, noEOF(err))
	}
	start, err := decodeCopyStart(b)
	if err == nil && start.Offset != 0 && start.Offset != in.Have {
		err = fmt.Errorf("%w: it begins at %d, %d bytes are here", errCopyData, start.Offset, in.Have)
	}
	if err == nil {
		err = in.Start(start.Offset)
	}
	if err == nil {
		err = readCopy(s, x.pace, offer.Size-start.Offset, in.Take)
	}
	if err != nil {
		return refuseCopy(within(s, x.pace.hello), fmt.Errorf("take %s: %w", offer.Name, err))
	}
	receipt, err := in.Done()
	if err != nil {
		return refuseCopy(within(s, x.pace.hello), err)
	}
	if err := writeJSON(within(s, x.pace.hello), copyWord{Receipt: receipt}); err != nil {
		return fmt.Errorf("confirm %s: %w", offer.Name, err)
	}
	return nil
}

// reading is the time that the other side gets to hash so many bytes: 8 MiB a second at least.
func reading(bytes int64) time.Duration { return time.Duration(bytes>>23) * time.Second }

// readCopyOpening greets and reads what is offered, or what is to be proved.
func (l *link) readCopyOpening(p patient) (o CopyOffer, q *CopyQuestion, err error) {
	h, b, err := l.greetAsked(p, maxCopyOffer)
	if err != nil {
		return o, nil, err
	}
	if o, q, err = decodeCopyOpening(b); err != nil {
		return o, nil, refuseCopy(p, err)
	}
	l.greeted(h)
	return o, q, nil
}

// refuseCopy answers with a reason and returns it.
func refuseCopy(p patient, reason error) error {
	text := "the other node could not keep it now; its own log says why"
	var told RefusedCopy
	switch {
	case errors.As(reason, &told):
		text = told.Error()
	case isAny(reason, errCopyOffer, errCopyData, errCopyRoom, errTooMany):
		text = reason.Error()
	}
	if err := writeJSON(p, copyWord{Refusal: printable(text, maxRefusal)}); err != nil {
		return errors.Join(reason, fmt.Errorf("say so: %w", err))
	}
	return saidError{reason}
}

// readCopy reads frames until all bytes have come. A slow line gets its time for each piece, a silent owner does not.
func readCopy(s pipe, pace pace, rest int64, take func([]byte) error) error {
	p := patient{pipe: s, progress: pace.progress}
	for piece := int64(0); rest > 0; {
		if piece <= 0 {
			p.until, piece = time.Now().Add(pace.batch), copyPiece
		}
		b, err := protocol.ReadFrame(p, chunk)
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", rest, noEOF(err))
		}
		if len(b) == 0 || int64(len(b)) > rest {
			return fmt.Errorf("%w: a frame of %d bytes where %d are missing", errCopyData, len(b), rest)
		}
		if err := take(b); err != nil {
			return err
		}
		rest -= int64(len(b))
		piece -= int64(len(b))
	}
	return nil
}

func decodeCopyOpening(b []byte) (CopyOffer, *CopyQuestion, error) {
	var o struct {
		CopyOffer
		Prove *CopyQuestion `json:"prove"`
	}
	if err := protocol.CheckJSON(b, maxCopyOffer, 3); err != nil {
		return CopyOffer{}, nil, fmt.Errorf("%w: %w", errCopyOffer, err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return CopyOffer{}, nil, fmt.Errorf("%w: %w", errCopyOffer, err)
	}
	if o.Prove != nil {
		if err := protocol.CheckCopyHash(o.Prove.SHA256); err != nil || o.Prove.Block < 0 || o.CopyOffer != (CopyOffer{}) {
			return CopyOffer{}, nil, fmt.Errorf("%w: a question has the hash of a copy and the number of a block, and nothing else", errCopyOffer)
		}
		return CopyOffer{}, o.Prove, nil
	}
	if err := errors.Join(protocol.CheckCopyName(o.Name), protocol.CheckCopyHash(o.SHA256)); err != nil {
		return CopyOffer{}, nil, fmt.Errorf("%w: %w", errCopyOffer, err)
	}
	if o.Size <= 0 || o.Head == "" {
		return CopyOffer{}, nil, fmt.Errorf("%w: size and head are wanted", errCopyOffer)
	}
	return o.CopyOffer, nil, nil
}

func decodeCopyStart(b []byte) (copyStart, error) {
	var st copyStart
	err := protocol.CheckJSON(b, maxCopyStart, 2)
	if err == nil {
		err = json.Unmarshal(b, &st)
	}
	if err != nil {
		return copyStart{}, fmt.Errorf("%w: %w", errCopyData, err)
	}
	return st, nil
}

func decodeCopyWord(b []byte) (copyWord, error) {
	var w copyWord
	if err := protocol.CheckJSON(b, maxCopyWord, 2); err != nil {
		return w, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return copyWord{}, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	w.Refusal = printable(w.Refusal, maxRefusal)
	return w, nil
}

func readCopyWord(p patient) (copyWord, error) {
	b, err := protocol.ReadFrame(p, maxCopyWord)
	if err != nil {
		return copyWord{}, noEOF(err)
	}
	w, err := decodeCopyWord(b)
	if err == nil && w.Refusal != "" {
		err = refusedError{w.Refusal}
	}
	return w, err
}
