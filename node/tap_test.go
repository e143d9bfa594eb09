package node

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
)

// tap is a stream multiplexer that keeps in clear what its host writes, by the peer that it goes to: every protocol of the host passes through it.
type tap struct {
	mu   sync.Mutex
	sent map[peer.ID][]*flow
}

// flow is what was written into one stream and not taken yet.
type flow struct{ b []byte }

func (t *tap) NewConn(c net.Conn, isServer bool, scope network.PeerScope) (network.MuxedConn, error) {
	conn, err := yamux.DefaultTransport.NewConn(c, isServer, scope)
	if err != nil {
		return nil, err
	}
	return &tappedConn{conn, t, c.(interface{ RemotePeer() peer.ID }).RemotePeer()}, nil
}

type tappedConn struct {
	network.MuxedConn
	tap *tap
	to  peer.ID
}

func (c *tappedConn) OpenStream(ctx context.Context) (network.MuxedStream, error) {
	s, err := c.MuxedConn.OpenStream(ctx)
	return c.watch(s), err
}

func (c *tappedConn) AcceptStream() (network.MuxedStream, error) {
	s, err := c.MuxedConn.AcceptStream()
	return c.watch(s), err
}

func (c *tappedConn) watch(s network.MuxedStream) network.MuxedStream {
	if s == nil {
		return nil
	}
	f := new(flow)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.sent[c.to] = append(c.tap.sent[c.to], f)
	return &tappedStream{s, c.tap, f}
}

type tappedStream struct {
	network.MuxedStream
	tap *tap
	f   *flow
}

func (s *tappedStream) Write(b []byte) (int, error) {
	s.tap.mu.Lock()
	s.f.b = append(s.f.b, b...)
	s.tap.mu.Unlock()
	return s.MuxedStream.Write(b)
}

// take returns what was written to a peer since the last call, stream by stream. While nothing is under way, no document is cut in two by it.
func (t *tap) take(to peer.ID) (all [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.sent[to] {
		if len(f.b) > 0 {
			all, f.b = append(all, f.b), nil
		}
	}
	return all
}

var (
	zstdMagic  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	base64Runs = regexp.MustCompile(`[A-Za-z0-9_+/-]{20,}`)
)

// unwrap shows bytes, and whatever is in them compressed or encoded, over and over, to see.
func unwrap(b []byte, depth int, see func([]byte)) {
	see(b)
	if depth == 0 {
		return
	}
	for rest := b; ; {
		i := bytes.Index(rest, zstdMagic)
		if i < 0 {
			break
		}
		rest = rest[i:]
		if r, err := zstd.NewReader(bytes.NewReader(rest), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err == nil {
			plain, _ := io.ReadAll(r) // what follows the frame is no part of it
			r.Close()
			unwrap(plain, depth-1, see)
		}
		rest = rest[len(zstdMagic):]
	}
	for _, run := range base64Runs.FindAll(b, -1) {
		text := strings.NewReplacer("+", "-", "/", "_").Replace(string(run))
		if len(text)%4 == 1 {
			text = text[:len(text)-1]
		}
		if plain, err := base64.RawURLEncoding.DecodeString(text); err == nil {
			unwrap(plain, depth-1, see)
		}
	}
}

// TestUnwrap: the eyes of the leak test are open.
func TestUnwrap(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "CNRYABCDEFGHIJ2345"
	inner := base64.RawURLEncoding.EncodeToString([]byte(`["salt of twenty-two letters","place","` + secret + `"]`))
	document := "eyJhbGciOiJFZERTQSJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"disclosures":["`+inner+`"]}`)) + ".c2ln"
	for name, b := range map[string][]byte{
		"plain":      []byte("a " + secret + " b"),
		"compressed": append([]byte("frame "), encoder.EncodeAll([]byte(`"`+document+`"`), nil)...),
		"standard":   []byte(`"` + base64.StdEncoding.EncodeToString([]byte("\xff\xfe\xfd"+secret)) + `"`),
	} {
		found := false
		unwrap(b, 6, func(b []byte) { found = found || bytes.Contains(b, []byte(secret)) })
		if !found {
			t.Errorf("%s: not found", name)
		}
	}
}
