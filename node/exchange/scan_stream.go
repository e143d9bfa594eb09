package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"proofmark/protocol"
)

// ScanProtocol carries the bytes of one released scan: greeting and question of the one who fetches, greeting and size of the owner, then frames of bytes
// from the offset that was asked for to the scan's end, and one frame back once the whole is kept.
const ScanProtocol p2pprotocol.ID = "/proofmark/scan/1.0.0"

// Bounds of scan streams at the owner's side.
const (
	maxScanStreams = 2         // of one member
	scanRoom       = 256 << 20 // bytes of all scans that are being sent; each is held in memory while it is
	scanFrame      = chunk     // bytes of a frame
	yieldEvery     = 4         // frames between two looks at what is urgent and at what still stands
	maxScanAsk     = 512
	maxScanHead    = 1024
)

// kept is what the fetching side says once the whole scan is durable there.
var kept = []byte("kept")

// ErrNoScan is all that a member is told where no release stands for it, whatever the reason.
var ErrNoScan = errors.New("no release of this scan stands for your country")

var (
	errScanAsk  = errors.New("malformed question for a scan")
	errScanData = errors.New("the scan does not arrive as it was released")
	errScanRoom = errors.New("this node sends as many scans as it can now; try again in a moment")
)

// ScanAsk names the scan that is fetched, by the document that released it.
type ScanAsk struct {
	Release string `json:"release"` // id of the release document
	SHA256  string `json:"sha256"`  // of the scan
	Offset  int64  `json:"offset"`  // bytes that are there already
}

// ScanSource is a scan that a member may have now.
type ScanSource struct {
	Size     int64
	Read     func() ([]byte, error)
	Standing func() error         // asked again and again while it is sent; an error ends the stream
	Sent     func(confirmed bool) // the last byte has left; confirmed: the other side says that it is durable there
}

// ScanSink takes in what is fetched.
type ScanSink struct {
	Take func(b []byte) error // the next bytes; they must not be kept
	Done func() error         // all have been taken: checks and keeps the whole
}

// scanHead is what the owner answers.
type scanHead struct {
	Size    int64  `json:"size,omitempty"`
	Refusal string `json:"refusal,omitempty"`
}

// scanDesk bounds what is sent at once.
type scanDesk struct {
	mu    sync.Mutex
	peers map[protocol.Country]int
	bytes int64
}

func (d *scanDesk) enter(c protocol.Country) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peers == nil {
		d.peers = map[protocol.Country]int{}
	}
	if d.peers[c] >= maxScanStreams {
		return false
	}
	d.peers[c]++
	return true
}

func (d *scanDesk) leave(c protocol.Country) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peers[c]--; d.peers[c] == 0 {
		delete(d.peers, c)
	}
}

func (d *scanDesk) take(n int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bytes+n > scanRoom {
		return false
	}
	d.bytes += n
	return true
}

func (d *scanDesk) give(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes -= n
}

// serveScan handles one incoming stream of ScanProtocol, on a goroutine of libp2p's.
func (x *Exchange) serveScan(s network.Stream) {
	if x.o.OpenScan == nil {
		_ = s.Reset()
		return
	}
	x.attend(s, "a scan", (*link).sendScan)
}

func (l *link) sendScan(s network.Stream) error {
	x := l.x
	p := within(s, x.pace.hello)
	if !x.scans.enter(l.country) {
		return l.refuseHello(p, errTooMany)
	}
	defer x.scans.leave(l.country)
	ask, err := l.readScanAsk(p)
	if err != nil {
		return err
	}
	src, err := x.o.OpenScan(l.life, l.country, ask)
	if err != nil {
		return refuseScan(p, err)
	}
	if ask.Offset > src.Size {
		return refuseScan(p, fmt.Errorf("%w: offset %d, the scan has %d bytes", errScanAsk, ask.Offset, src.Size))
	}
	if !x.scans.take(src.Size) {
		return refuseScan(p, errScanRoom)
	}
	defer x.scans.give(src.Size)
	b, err := src.Read()
	if err == nil && int64(len(b)) != src.Size {
		err = fmt.Errorf("scan %s: %d bytes, released as %d", ask.SHA256, len(b), src.Size)
	}
	if err != nil {
		return refuseScan(p, err)
	}
	if err := writeJSON(p, scanHead{Size: src.Size}); err != nil {
		return fmt.Errorf("say the size: %w", err)
	}
	if err := l.writeScan(s, src, b[ask.Offset:]); err != nil {
		return fmt.Errorf("send scan %s: %w", ask.SHA256, err)
	}
	if err := s.CloseWrite(); err != nil {
		return fmt.Errorf("end scan %s: %w", ask.SHA256, err)
	}
	word, err := protocol.ReadFrame(within(s, x.pace.answer), len(kept))
	src.Sent(err == nil && bytes.Equal(word, kept))
	if err != nil {
		return fmt.Errorf("wait until scan %s is kept: %w", ask.SHA256, noEOF(err))
	}
	return nil
}

// readScanAsk greets and reads what is wanted.
func (l *link) readScanAsk(p patient) (ask ScanAsk, err error) {
	h, b, err := l.greetAsked(p, maxScanAsk)
	if err != nil {
		return ask, err
	}
	if ask, err = decodeScanAsk(b); err != nil {
		return ask, refuseScan(p, err)
	}
	l.greeted(h)
	return ask, nil
}

// writeScan sends bytes at the pace of the one who reads, lets urgent batches to the same member go first, and ends when the scan may no longer be had.
func (l *link) writeScan(s network.Stream, src *ScanSource, b []byte) error {
	pace := l.x.pace
	out := patient{pipe: s, progress: pace.progress, until: time.Now().Add(pace.batch)}
	for n := 0; len(b) > 0; n++ {
		if n%yieldEvery == 0 {
			l.urgent.yield(l.life, pace.yield)
			if err := src.Standing(); err != nil {
				return err
			}
		}
		frame := b[:min(scanFrame, len(b))]
		if err := protocol.WriteFrame(out, frame); err != nil {
			return err
		}
		b = b[len(frame):]
	}
	return nil
}

// refuseScan answers with a reason and returns it.
func refuseScan(p patient, reason error) error {
	text := "this node could not send it now; its own log says why"
	switch {
	case errors.Is(reason, ErrNoScan):
		text = ErrNoScan.Error()
	case errors.Is(reason, errScanRoom):
		text = errScanRoom.Error()
	case errors.Is(reason, errScanAsk):
		text = reason.Error()
	}
	if err := writeJSON(p, scanHead{Refusal: printable(text, maxRefusal)}); err != nil {
		return errors.Join(reason, fmt.Errorf("say so: %w", err))
	}
	return saidError{reason}
}

func decodeScanAsk(b []byte) (ScanAsk, error) {
	var a ScanAsk
	if err := protocol.CheckJSON(b, maxScanAsk, 2); err != nil {
		return a, fmt.Errorf("%w: %w", errScanAsk, err)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return ScanAsk{}, fmt.Errorf("%w: %w", errScanAsk, err)
	}
	if protocol.CheckID(a.Release) != nil || len(a.SHA256) != 64 || a.Offset < 0 {
		return ScanAsk{}, fmt.Errorf("%w: release, sha256 and an offset from 0 are wanted", errScanAsk)
	}
	return a, nil
}

func decodeScanHead(b []byte) (scanHead, error) {
	var h scanHead
	if err := protocol.CheckJSON(b, maxScanHead, 2); err != nil {
		return h, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return scanHead{}, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	h.Refusal = printable(h.Refusal, maxRefusal)
	return h, nil
}

// Connected tells whether a connection to a member is open.
func (x *Exchange) Connected(c protocol.Country) bool {
	l := x.link(c)
	return l != nil && l.newest() != nil
}

// RefusedByPeer tells whether an error is what the other side said, and not a fault of the way to it.
func RefusedByPeer(err error) bool { return errors.As(err, new(refusedError)) }

// FetchScan fetches a scan of the given size from its owner, from ask.Offset on. What arrives goes into the sink; nothing here checks it against a hash.
func (x *Exchange) FetchScan(ctx context.Context, from protocol.Country, ask ScanAsk, size int64, into ScanSink) error {
	first, err := json.Marshal(ask)
	if err == nil {
		err = x.visit(ctx, from, ScanProtocol, first, func(l *link, s pipe) error { return l.fetchScan(s, ask, size, into) })
	}
	if err != nil {
		return fmt.Errorf("fetch a scan from %s: %w", from, err)
	}
	return nil
}

func (l *link) fetchScan(s pipe, ask ScanAsk, size int64, into ScanSink) error {
	pace := l.x.pace
	b, err := protocol.ReadFrame(within(s, pace.answer), maxScanHead)
	if err != nil {
		return fmt.Errorf("wait for the size: %w", noEOF(err))
	}
	head, err := decodeScanHead(b)
	switch {
	case err != nil:
		return err
	case head.Refusal != "":
		return refusedError{head.Refusal}
	case head.Size != size:
		return fmt.Errorf("%w: it is said to have %d bytes, it was released with %d", errScanData, head.Size, size)
	}
	if err := readScan(patient{pipe: s, progress: pace.progress, until: time.Now().Add(pace.batch)}, size-ask.Offset, into.Take); err != nil {
		return err
	}
	if err := into.Done(); err != nil {
		return err
	}
	if err := protocol.WriteFrame(within(s, pace.hello), kept); err != nil {
		l.x.o.Log.Debug("a scan is kept, and its owner was not told", "peer", l.country, "err", err) // it is here whole: no fault of this side
	}
	return nil
}

// readScan reads frames until all bytes have come, and the end of the stream behind them.
func readScan(p patient, rest int64, take func([]byte) error) error {
	for rest > 0 {
		b, err := protocol.ReadFrame(p, scanFrame)
		if err != nil {
			return fmt.Errorf("%d bytes are missing: %w", rest, noEOF(err))
		}
		if len(b) == 0 || int64(len(b)) > rest {
			return fmt.Errorf("%w: a frame of %d bytes where %d are missing", errScanData, len(b), rest)
		}
		if err := take(b); err != nil {
			return err
		}
		rest -= int64(len(b))
	}
	if _, err := protocol.ReadFrame(p, 0); !errors.Is(err, io.EOF) {
		if err == nil || errors.Is(err, protocol.ErrFrameTooLarge) {
			err = fmt.Errorf("%w: more bytes than the scan has", errScanData)
		}
		return err
	}
	return nil
}
