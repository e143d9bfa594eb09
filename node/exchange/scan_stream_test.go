package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/protocol"
)

// larder is a country's scans in memory.
type larder struct {
	scans    map[string][]byte
	revoked  atomic.Bool
	opened   atomic.Int32
	sent     atomic.Int32
	confirms atomic.Int32
}

var errRevoked = errors.New("revoked")

const releaseID = "01900000-0000-7000-8000-000000005054"

func newLarder(sizes ...int) (l *larder, hashes []string) {
	l = &larder{scans: map[string][]byte{}}
	for i, n := range sizes {
		b := bytes.Repeat([]byte(fmt.Sprintf("scan %d ", i)), n/7+1)[:n]
		sum := sha256.Sum256(b)
		h := hex.EncodeToString(sum[:])
		l.scans[h], hashes = b, append(hashes, h)
	}
	return l, hashes
}

func (l *larder) open(_ context.Context, _ protocol.Country, ask ScanAsk) (*ScanSource, error) {
	b, ok := l.scans[ask.SHA256]
	if !ok || ask.Release != releaseID || l.revoked.Load() {
		return nil, fmt.Errorf("%w: for a reason that is nobody's business", ErrNoScan)
	}
	l.opened.Add(1)
	return &ScanSource{Size: int64(len(b)), Read: func() ([]byte, error) { return b, nil }, Standing: func() error {
		if l.revoked.Load() {
			return errRevoked
		}
		return nil
	}, Sent: func(confirmed bool) {
		l.sent.Add(1)
		if confirmed {
			l.confirms.Add(1)
		}
	}}, nil
}

// serving makes a federation in which PT has scans, ES is a node and FR a libp2p host of its own.
func serving(t *testing.T, l *larder, handler network.StreamHandler, tune ...func(*pace)) *bad {
	t.Helper()
	f := newFederation(t, "PT", "ES", "FR")
	b := &bad{f: f, h: rawHost(t, libp2p.Identity(f.nodes["FR"].keys.HostKey()))}
	addrs := map[protocol.Country][]string{"FR": nil}
	if handler != nil {
		b.h.SetStreamHandler(ScanProtocol, handler)
		for _, a := range b.h.Addrs() {
			addrs["FR"] = append(addrs["FR"], a.String())
		}
	}
	for _, c := range []protocol.Country{"PT", "ES"} {
		for _, set := range tune {
			set(&f.nodes[c].pace)
		}
		f.nodes[c].open()
		f.nodes[c].x.o.OpenScan = l.open
		addrs[c] = f.nodes[c].x.Addresses()
	}
	f.enact(addrs)
	f.nodes["PT"].run()
	f.nodes["ES"].run()
	eventually(t, "PT serves", func() bool {
		return b.h.Connect(context.Background(), infoOf(t, f.nodes["PT"].x, "tcp")) == nil && f.connected("PT", "FR") && f.connected("ES", "PT")
	})
	return b
}

func (b *bad) openScan() network.Stream {
	b.f.t.Helper()
	s, err := b.h.NewStream(context.Background(), b.f.nodes["PT"].x.host.ID(), ScanProtocol)
	if err != nil {
		b.f.t.Fatal(err)
	}
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	return s
}

// fetch gets a scan as a node does: again, while the owner is still ending the streams before.
func (n *node) fetch(from protocol.Country, hash string, offset, size int64) (got []byte, err error) {
	for range 600 {
		if got, err = n.fetchOnce(from, hash, offset, size); err == nil || !strings.Contains(err.Error(), errTooMany.Error()) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return got, err
}

func (n *node) fetchOnce(from protocol.Country, hash string, offset, size int64) (got []byte, err error) {
	done := false
	err = n.x.FetchScan(context.Background(), from, ScanAsk{Release: releaseID, SHA256: hash, Offset: offset}, size,
		ScanSink{Take: func(b []byte) error { got = append(got, b...); return nil }, Done: func() error { done = true; return nil }})
	if err == nil && !done {
		err = errors.New("nobody was told that it is whole")
	}
	return got, err
}

func TestScanStream(t *testing.T) {
	t.Parallel()
	l, h := newLarder(1_000_003, 1, scanFrame)
	f := serving(t, l, nil).f
	es := f.nodes["ES"]
	for _, c := range []struct {
		scan         int
		offset, size int64
	}{{0, 0, 1_000_003}, {0, 524_288, 1_000_003}, {0, 1_000_003, 1_000_003}, {1, 0, 1}, {2, 0, scanFrame}} {
		got, err := es.fetch("PT", h[c.scan], c.offset, c.size)
		if err != nil || !bytes.Equal(got, l.scans[h[c.scan]][c.offset:]) {
			t.Errorf("scan %d from %d: %d bytes, %v", c.scan, c.offset, len(got), err)
		}
	}
	eventually(t, "the owner hears that all are kept", func() bool { return l.confirms.Load() == 5 })
	for name, c := range map[string]struct {
		hash         string
		offset, size int64
		says         string
	}{
		"another scan": {strings.Repeat("0a", 32), 0, 1, ErrNoScan.Error()}, "past the end": {h[1], 2, 1, "the scan has 1 bytes"},
		"another size": {h[1], 0, 2, "released with 2"}, "no hash": {"x", 0, 1, "malformed question"}, "before the start": {h[1], -1, 1, "malformed question"},
	} {
		if _, err := es.fetch("PT", c.hash, c.offset, c.size); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "nobody's business") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := es.fetch("FR", h[0], 0, 1); err == nil {
		t.Error("a scan came from a host without scans")
	}
	if _, err := es.fetch("DE", h[0], 0, 1); err == nil || !strings.Contains(err.Error(), "not an active member") {
		t.Errorf("from a stranger: %v", err)
	}
	// What the sink says ends the stream, and is what the caller hears.
	full := errors.New("the disk is full")
	err := es.x.FetchScan(t.Context(), "PT", ScanAsk{Release: releaseID, SHA256: h[0]}, 1_000_003, ScanSink{Take: func([]byte) error { return full }, Done: func() error { return nil }})
	if !errors.Is(err, full) {
		t.Error(err)
	}
}

// TestBadFetcher plays a member that breaks the protocol as it fetches: the stream ends, nothing is sent, and ES gets its scan meanwhile.
func TestBadFetcher(t *testing.T) {
	t.Parallel()
	l, h := newLarder(100_000)
	b := serving(t, l, nil, impatient)
	ask := func(v any) []byte { return append(frame(goodHello()), frame(v)...) }
	for _, c := range []struct {
		name string
		send []byte
		says string // empty: PT hangs up without a word
	}{
		{"no hello", nil, ""}, {"hello of 1 GB", announced(1 << 30), ""}, {"half a hello", frame(goodHello())[:30], ""}, {"no question", frame(goodHello()), ""},
		{"question of 1 GB", append(frame(goodHello()), announced(1<<30)...), ""}, {"another country", append(frame(protocol.Hello{Version: 1, Country: "ES", To: "PT", Now: time.Now()}), frame("{}")...), "its key is that of FR"},
		{"clock of another year", append(frame(protocol.Hello{Version: 1, Country: "FR", To: "PT"}), frame("{}")...), "clocks"},
		{"a question that is none", ask("\x00\x01"), "malformed question"}, {"a list", ask("[]"), "malformed question"}, {"a field twice", ask(`{"offset":1,"offset":2}`), "malformed question"},
		{"before the start", ask(ScanAsk{Release: releaseID, SHA256: h[0], Offset: -1}), "malformed question"}, {"past the end", ask(ScanAsk{Release: releaseID, SHA256: h[0], Offset: 100_001}), "the scan has 100000 bytes"},
		{"far past the end", ask(ScanAsk{Release: releaseID, SHA256: h[0], Offset: 1 << 62}), "the scan has 100000 bytes"},
		{"another release", ask(ScanAsk{Release: "01900000-0000-7000-8000-000000004553", SHA256: h[0]}), ErrNoScan.Error()}, {"another scan", ask(ScanAsk{Release: releaseID, SHA256: strings.Repeat("0a", 32)}), ErrNoScan.Error()},
		{"a path", ask(ScanAsk{Release: "../../etc/passwd", SHA256: h[0]}), "malformed question"},
	} {
		s := b.openScan()
		if _, err := s.Write(c.send); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s)
		switch {
		case err != nil && timedOut(err):
			t.Errorf("%s: the stream was left open", c.name)
		case c.says == "" && bytes.Contains(got, []byte("refusal")), c.says != "" && !bytes.Contains(got, []byte(c.says)):
			t.Errorf("%s: PT said %q, %v; want %q", c.name, got, err, c.says)
		case bytes.Contains(got, []byte("scan 0")), bytes.Contains(got, []byte("nobody's business")):
			t.Errorf("%s: PT said %.200q", c.name, got)
		}
		_ = s.Reset()
	}
	if got, err := b.f.nodes["ES"].fetch("PT", h[0], 0, 100_000); err != nil || len(got) != 100_000 {
		t.Errorf("ES got %d bytes, %v", len(got), err)
	}
}

// TestFetcherThatNeverReads: it holds a place until it makes no progress for too long, never more than its own places, and nobody else's.
func TestFetcherThatNeverReads(t *testing.T) {
	t.Parallel()
	const large = 96 << 20 // more than any window takes
	l, h := newLarder(large, 1000)
	b := serving(t, l, nil, impatient)
	ask := append(frame(goodHello()), frame(ScanAsk{Release: releaseID, SHA256: h[0]})...)
	var held []network.Stream
	for range maxScanStreams {
		s := b.openScan()
		if _, err := s.Write(ask); err != nil {
			t.Fatal(err)
		}
		held = append(held, s)
	}
	eventually(t, "both streams are served", func() bool { return l.opened.Load() == maxScanStreams })
	pt := b.f.nodes["PT"].x
	s := b.openScan()
	if _, err := s.Write(ask); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); !bytes.Contains(got, []byte("too many streams")) && l.opened.Load() == maxScanStreams {
		t.Errorf("a stream beyond its places: %.200q, %v", got, err)
	}
	if got, err := b.f.nodes["ES"].fetch("PT", h[1], 0, 1000); err != nil || len(got) != 1000 {
		t.Errorf("ES got %d bytes, %v", len(got), err)
	}
	eventually(t, "its places are free again", func() bool {
		pt.scans.mu.Lock()
		defer pt.scans.mu.Unlock()
		return pt.scans.peers["FR"] == 0 && pt.scans.bytes == 0
	})
	for _, s := range held {
		_ = s.Reset()
	}
	if l.sent.Load() != 1 { // that of ES
		t.Errorf("%d scans were sent", l.sent.Load())
	}
}

// TestScanStops: what is revoked, and who is suspended, gets not one frame more than is on its way.
func TestScanStops(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"revoked", "suspended"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			const large = 96 << 20
			l, h := newLarder(large)
			b := serving(t, l, nil)
			s := b.openScan()
			if _, err := s.Write(append(frame(goodHello()), frame(ScanAsk{Release: releaseID, SHA256: h[0]})...)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, s, 1<<20); err != nil {
				t.Fatal(err)
			}
			pt := b.f.nodes["PT"]
			if how == "revoked" {
				l.revoked.Store(true)
			} else {
				addrs := map[protocol.Country][]string{"PT": pt.x.Addresses(), "ES": b.f.nodes["ES"].x.Addresses(), "FR": nil}
				b.f.enact(addrs, "FR")
				pt.x.RosterChanged()
			}
			// A reset stream ends with an error, one whose connection is closed may end like a file: what counts is that the scan does not come.
			if n, err := io.Copy(io.Discard, s); n >= large-(2<<20) {
				t.Errorf("%d more bytes came, %v", n, err)
			}
			eventually(t, "the place is free again", func() bool {
				pt.x.scans.mu.Lock()
				defer pt.x.scans.mu.Unlock()
				return pt.x.scans.bytes == 0
			})
			if l.sent.Load() != 0 {
				t.Error("it counts as sent")
			}
		})
	}
}

// TestBadOwner plays the owner: PT takes nothing that is not what was released, and waits for nobody for ever.
func TestBadOwner(t *testing.T) {
	t.Parallel()
	hello := func(s network.Stream) {
		h := goodHello()
		h.Now = time.Now()
		_, _ = s.Write(frame(h))
	}
	long := bytes.Repeat([]byte{'x'}, scanFrame)
	behaviours := map[string]struct {
		serve func(s network.Stream)
		says  string
	}{
		"another size":          {func(s network.Stream) { hello(s); _, _ = s.Write(frame(scanHead{Size: 1 << 40})) }, "it was released with"},
		"no size":               {func(s network.Stream) { hello(s); _, _ = s.Write(frame(scanHead{})) }, "it was released with"},
		"a refusal that steers": {func(s network.Stream) { hello(s); _, _ = s.Write(frame(`{"refusal":"no\u001b[2J"}`)) }, "refused by the other node"},
		"more bytes than said": {func(s network.Stream) {
			hello(s)
			_, _ = s.Write(frame(scanHead{Size: 100_000}))
			writeAll(s, long, long)
		}, "bytes where"},
		"one frame more": {func(s network.Stream) {
			hello(s)
			_, _ = s.Write(frame(scanHead{Size: 100_000}))
			writeAll(s, long, long[:100_000-scanFrame], []byte("more"))
		}, "more bytes than the scan has"},
		"fewer bytes than said": {func(s network.Stream) {
			hello(s)
			_, _ = s.Write(frame(scanHead{Size: 100_000}))
			writeAll(s, long)
			_ = s.Close()
		}, "are missing"},
		"empty frames for ever": {func(s network.Stream) {
			hello(s)
			_, _ = s.Write(frame(scanHead{Size: 100_000}))
			writeAll(s, nil, nil)
		}, "a frame of 0 bytes"},
		"a frame of 1 GB": {func(s network.Stream) {
			hello(s)
			_, _ = s.Write(frame(scanHead{Size: 100_000}))
			_, _ = s.Write(announced(1 << 30))
		}, "larger than allowed"},
		"half a frame": {func(s network.Stream) {
			hello(s)
			_, _ = s.Write(frame(scanHead{Size: 100_000}))
			_, _ = s.Write(announced(1000))
		}, "bytes are missing"},
		"silence after the hello": {func(s network.Stream) { hello(s) }, "wait for the size"},
		"no hello":                {func(network.Stream) {}, "wait for hello"},
		"garbage for a hello":     {func(s network.Stream) { _, _ = s.Write(frame("\x00garbage")) }, "malformed"},
	}
	l, _ := newLarder()
	var serve atomic.Pointer[func(network.Stream)]
	b := serving(t, l, func(s network.Stream) { (*serve.Load())(s) }, impatient)
	pt := b.f.nodes["PT"]
	for name, c := range behaviours {
		serve.Store(&c.serve)
		got, err := pt.fetch("FR", strings.Repeat("0a", 32), 0, 100_000)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if len(got) > 100_000 {
			t.Errorf("%s: %d bytes were taken", name, len(got))
		}
	}
}

func writeAll(s network.Stream, frames ...[]byte) {
	for _, f := range frames {
		_ = protocol.WriteFrame(s, f)
	}
}

func FuzzScanAsk(f *testing.F) {
	f.Add([]byte(`{"release":"` + releaseID + `","sha256":"` + strings.Repeat("0a", 32) + `","offset":1}`))
	f.Add([]byte(`{"offset":-1}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeScanAsk(b)
		if err != nil && !errors.Is(err, errScanAsk) {
			t.Errorf("%q: %v", b, err)
		}
		if err == nil && (a.Offset < 0 || len(a.SHA256) != 64 || protocol.CheckID(a.Release) != nil) {
			t.Errorf("%+v", a)
		}
	})
}

func FuzzScanHead(f *testing.F) {
	f.Add([]byte(`{"size":1}`))
	f.Add([]byte(`{"refusal":"no\u001b"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeScanHead(b); err == nil && (len(h.Refusal) > maxRefusal || strings.ContainsAny(h.Refusal, "\x1b\n")) {
			t.Errorf("%+v", h)
		}
	})
}
