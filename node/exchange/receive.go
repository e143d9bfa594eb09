package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

// maxIncoming bounds the streams of one member that are served at once: one per channel, and as many that wait for their predecessors to end.
const maxIncoming = 2 * 2

// What a sender is told.
var (
	errBusy     = errors.New("another stream of yours for this channel is being served; try again in a moment")
	errTooMany  = errors.New("too many streams of yours are being served; try again in a moment")
	errNoMemory = errors.New("this node has no memory left for a batch now; try again in a moment")
)

// serve handles one incoming stream, on a goroutine of libp2p's.
func (x *Exchange) serve(s network.Stream) {
	if !x.begin() {
		_ = s.Reset()
		return
	}
	defer x.works.Done()
	l := x.linkOf(s.Conn())
	if l == nil { // the roster changed a moment ago
		_ = s.Reset()
		return
	}
	detach := context.AfterFunc(l.life, func() { _ = s.Reset() })
	defer detach()
	err := contained(func() error { return l.receive(s) })
	x.trace(l, err)
	var (
		broken panicError
		said   saidError
	)
	switch {
	case errors.As(err, &broken):
		x.o.Log.Error("panic while receiving", "peer", l.country, "panic", broken.value, "stack", string(broken.stack))
	case errors.As(err, &said) && !errors.Is(err, errBusy): // a second stream comes of reconnecting
		l.fault(incoming, fmt.Errorf("what it sent was refused: %w", err), 0)
	case err == nil:
		l.report.well(incoming, x.o.Now())
	default:
		x.o.Log.Debug("incoming stream ended", "peer", l.country, "err", err)
	}
	// What was said must still arrive, and a reset would overtake it.
	if err != nil && !errors.As(err, &said) || s.Close() != nil {
		_ = s.Reset()
	}
}

// breachError marks what no honest node does: it leaves an entry in the audit log.
type breachError struct {
	ground string
	error
}

func (e breachError) Unwrap() error { return e.error }

// breach gives a fault of the greeting or of a frame its ground, where it is a breach.
func breach(err error) error {
	switch {
	case errors.Is(err, errIdentity):
		return breachError{"forged", err}
	case isAny(err, protocol.ErrBadMessage, protocol.ErrFrameTooLarge, protocol.ErrFrameLength, errChannel):
		return breachError{"malformed", err}
	}
	return err
}

func (x *Exchange) trace(l *link, err error) {
	var b breachError
	if !errors.As(err, &b) {
		return
	}
	ctx, cancel := context.WithTimeout(l.life, x.pace.answer)
	defer cancel()
	if err := x.o.Mail.Breach(ctx, l.country, b.ground, b.error); err != nil && l.life.Err() == nil {
		x.o.Log.Warn("record a breach of the protocol", "peer", l.country, "err", err)
	}
}

// saidError marks an error that the other side was told of.
type saidError struct{ error }

func (e saidError) Unwrap() error { return e.error }

// receive greets, opens the channel and takes batches until the sender ends the stream.
func (l *link) receive(s network.Stream) error {
	defer l.incoming.Add(-1)
	p := within(s, l.x.pace.hello)
	if l.incoming.Add(1) > maxIncoming {
		return l.refuseHello(p, errTooMany)
	}
	b, err := protocol.ReadFrame(p, protocol.MaxHello)
	if err != nil {
		return fmt.Errorf("wait for hello: %w", breach(noEOF(err)))
	}
	h, err := protocol.DecodeHello(b)
	if err != nil {
		return l.refuseHello(p, breach(err))
	}
	if err := checkHello(h, l.member.Load(), l.x.o.Country, l.x.o.Now()); err != nil {
		return l.refuseHello(p, breach(err))
	}
	b, err = protocol.ReadFrame(p, maxChannel)
	if err != nil {
		return fmt.Errorf("wait for the channel: %w", breach(noEOF(err)))
	}
	if err := writeJSON(p, l.x.hello(l.country, "")); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	ch, err := decodeChannel(b)
	if err != nil {
		return refuse(p, answer{}, breach(err))
	}
	l.greeted(h)
	l.nudge()
	berth := l.berths[ch]
	if err := berth.take(l.life, s, l.x.pace.busy); err != nil {
		return refuse(p, answer{}, err)
	}
	defer berth.leave()
	receipt, err := l.x.o.Mail.CurrentReceipt(l.life, l.country, ch)
	if err != nil {
		return refuse(p, answer{}, err)
	}
	if err := writeJSON(p, answer{Receipt: receipt}); err != nil {
		return fmt.Errorf("send the channel's receipt: %w", err)
	}
	for {
		if more, err := l.receiveBatch(s); err != nil || !more {
			return err
		}
	}
}

// receiveBatch takes one batch, and reports false at the orderly end of the stream.
func (l *link) receiveBatch(s network.Stream) (more bool, err error) {
	pace := l.x.pace
	manifest, err := protocol.ReadFrame(within(s, pace.idle), maxManifest)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("wait for a batch: %w", breach(err))
	}
	// Memory is granted by the member's own account and the node's, before a byte of the payload is taken.
	if err := s.Scope().ReserveMemory(maxPayload, network.ReservationPriorityMedium); err != nil {
		return false, refuse(within(s, pace.hello), answer{}, fmt.Errorf("%w: %w", errNoMemory, err))
	}
	defer s.Scope().ReleaseMemory(maxPayload)
	payload, err := protocol.ReadFrame(patient{pipe: s, progress: pace.progress, until: time.Now().Add(pace.batch)}, maxPayload)
	if err != nil {
		return false, fmt.Errorf("read a batch: %w", breach(noEOF(err)))
	}
	ctx, cancel := context.WithTimeout(l.life, pace.answer)
	defer cancel()
	receipt, err := l.accept(ctx, string(manifest), payload)
	p := within(s, pace.hello)
	if err != nil {
		return false, refuse(p, answer{Receipt: receipt}, err)
	}
	l.report.well(incoming, l.x.o.Now())
	if err := writeJSON(p, answer{Receipt: receipt}); err != nil {
		return false, fmt.Errorf("send the receipt: %w", err)
	}
	return true, nil
}

// accept hands a batch to the mail when its turn comes.
func (l *link) accept(ctx context.Context, manifest string, payload []byte) (receipt string, err error) {
	leave, err := enter(ctx, l.x.lanes.verify)
	if err != nil {
		return "", fmt.Errorf("wait to verify a batch: %w", err)
	}
	defer leave()
	return l.x.o.Mail.AcceptBatch(ctx, l.country, manifest, payload)
}

// refuse answers with a reason and returns it.
func refuse(p patient, a answer, reason error) error {
	a.Refusal = printable(tellable(reason), maxRefusal)
	if err := writeJSON(p, a); err != nil {
		return errors.Join(reason, fmt.Errorf("say so: %w", err))
	}
	return saidError{reason}
}

// refuseHello greets with a refusal and returns its reason. It does not answer a refusal with one.
func (l *link) refuseHello(p patient, reason error) error {
	var theirs refusedError
	if errors.As(reason, &theirs) {
		return reason
	}
	if err := writeJSON(p, l.x.hello(l.country, tellable(reason))); err != nil {
		return errors.Join(reason, fmt.Errorf("say so: %w", err))
	}
	return saidError{reason}
}

// tellable is what a peer may read of an error: its own faults in full, ours not at all.
func tellable(err error) string {
	var stopped interface{ Told() string } // in words of its own for whoever reads it
	switch {
	case errors.Is(err, errNoMemory):
		return errNoMemory.Error()
	case errors.As(err, &stopped):
		return stopped.Told()
	case isAny(err, dispatch.ErrGap, dispatch.ErrFork, dispatch.ErrForged, dispatch.ErrNotMember, dispatch.ErrQuota, dispatch.ErrClock, dispatch.ErrStopped, dispatch.ErrRestoring, protocol.ErrBadMessage, errBusy, errVersion,
		errIdentity, errChannel, errTooMany, errClock):
		return err.Error()
	}
	return "it could not take it now; its own log says why"
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// berth is the one place for incoming streams of a member's channel.
type berth struct {
	mu     sync.Mutex
	holder network.Stream
	free   chan struct{} // closed when the holder leaves
}

// take waits at most the given time for the place. A stream on a younger connection displaces the holder: the other side has restarted and
// left that one behind.
func (b *berth) take(ctx context.Context, s network.Stream, most time.Duration) error {
	late := time.NewTimer(most)
	defer late.Stop()
	for {
		b.mu.Lock()
		if b.holder == nil {
			b.holder, b.free = s, make(chan struct{})
			b.mu.Unlock()
			return nil
		}
		if s.Conn().Stat().Opened.After(b.holder.Conn().Stat().Opened) {
			_ = b.holder.Reset()
		}
		free := b.free
		b.mu.Unlock()
		select {
		case <-free:
		case <-late.C:
			return errBusy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *berth) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holder = nil
	close(b.free)
}
