package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"proofmark/node/control"
	"proofmark/node/desk"
	"proofmark/node/exchange"
)

func somebody() *person {
	return &person{name: "x", bureau: &bureau{country: pt, dir: "nowhere"}}
}

// TestInsist: the same key until the node itself answers; its refusal is final.
func TestInsist(t *testing.T) {
	keys := map[string]int{}
	tries := 0
	v, err := insist(t.Context(), somebody(), "act", func(_ context.Context, key string) (int, error) {
		keys[key]++
		switch tries++; tries {
		case 1:
			return 0, fmt.Errorf("%w: killed", control.ErrNoDaemon)
		case 2:
			return 0, errors.New("broke off")
		}
		return 7, nil
	})
	if v != 7 || err != nil || tries != 3 || len(keys) != 1 {
		t.Errorf("%d, %v, %d tries, keys %v", v, err, tries, keys)
	}
	tries = 0
	_, err = insist(t.Context(), somebody(), "act", func(context.Context, string) (int, error) {
		tries++
		return 0, desk.Forbidden("not you")
	})
	if !errors.Is(err, desk.ErrForbidden) || tries != 1 || err.Error() != "act, x of PT: not you" {
		t.Errorf("%v after %d tries", err, tries)
	}
	cause := errors.New("the daemon of PT cannot be kept running")
	ctx, fail := context.WithCancelCause(t.Context())
	_, err = insist(ctx, somebody(), "act", func(context.Context, string) (int, error) {
		fail(cause)
		return 0, control.ErrNoDaemon
	})
	if !errors.Is(err, cause) {
		t.Errorf("after the end: %v", err)
	}
}

func TestAwait(t *testing.T) {
	n := 0
	if err := await(t.Context(), "it is so", time.Minute, func() (bool, error) { n++; return n == 3, nil }); err != nil || n != 3 {
		t.Errorf("%v after %d looks", err, n)
	}
	if err := await(t.Context(), "it is so", 0, func() (bool, error) { return false, nil }); err == nil || !strings.Contains(err.Error(), "in vain until it is so") {
		t.Error(err)
	}
	broken := errors.New("broken")
	if err := await(t.Context(), "it is so", time.Minute, func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	no := fmt.Errorf("act, x of PT: %w", desk.Forbidden("not you"))
	if words, err := refused(no, "it", desk.ErrForbidden); err != nil || words != "not you" {
		t.Errorf("%q, %v", words, err)
	}
	if _, err := refused(nil, "it", desk.ErrForbidden); err == nil || err.Error() != "it was not refused" {
		t.Error(err)
	}
	if _, err := refused(no, "it", desk.ErrInvalid); err == nil || !errors.Is(err, desk.ErrForbidden) {
		t.Error(err)
	}
}

// TestStrangerWouldHear: a host that does serve strangers is heard by the probe that finds the nodes silent.
func TestStrangerWouldHear(t *testing.T) {
	newHost := func(options ...libp2p.Option) host.Host {
		key, _, err := libp2pcrypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		h, err := libp2p.New(append(options, libp2p.Identity(key), libp2p.DisableMetrics())...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
		return h
	}
	open := newHost(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"))
	open.SetStreamHandler(exchange.Protocol, func(s network.Stream) {
		_, _ = s.Write([]byte("come in"))
		_ = s.Close()
	})
	stranger := newHost(libp2p.NoListenAddrs)
	for _, a := range open.Addrs() {
		if n := listen(t.Context(), stranger, peer.AddrInfo{ID: open.ID(), Addrs: []multiaddr.Multiaddr{a}}); n != 7 {
			t.Errorf("%s: heard %d bytes, want 7", a, n)
		}
	}
}
