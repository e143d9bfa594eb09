package exchange

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multiaddr"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

func TestStatusOfQueues(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	blank := func() PeerStatus {
		return PeerStatus{Country: "ES", Channels: []ChannelStatus{{Channel: protocol.Urgent}, {Channel: protocol.Bulk}}}
	}
	queues := map[channelOf]dispatch.Queue{
		{"ES", protocol.Urgent}: {Intents: 1, Oldest: now.Add(-time.Minute), CaughtUp: true},
		{"ES", protocol.Bulk}:   {Intents: 60, Unacknowledged: 15, Acknowledged: 25, Oldest: now.Add(-time.Hour)},
		{"FR", protocol.Bulk}:   {Intents: 9, Oldest: now.Add(-24 * time.Hour)},
	}
	st := blank()
	st.queued(queues, true, now)
	if st.LagSeconds != 3600 || st.Channels[0].LagSeconds != 60 || st.Channels[0].Queued != 1 || st.Channels[1].Queued != 75 || st.Channels[1].Unacknowledged != 15 {
		t.Errorf("%+v", st)
	}
	if st.Sync == nil || *st.Sync != (SyncStatus{Delivered: 25, Total: 100}) {
		t.Errorf("first synchronisation: %+v", st.Sync)
	}
	q := queues[channelOf{"ES", protocol.Bulk}]
	q.CaughtUp, q.Oldest = true, now.Add(time.Hour) // its clock was set back since
	queues[channelOf{"ES", protocol.Bulk}] = q
	st = blank()
	if st.queued(queues, true, now); st.Sync != nil || st.LagSeconds != 60 || st.Channels[1].LagSeconds != 0 {
		t.Errorf("a later backlog: %+v", st)
	}
	st = blank()
	if st.queued(nil, false, now); st.Channels[0].Queued != -1 || st.LagSeconds != 0 {
		t.Errorf("not counted: %+v", st)
	}
}

func TestTransportInWords(t *testing.T) {
	t.Parallel()
	const relay = "/ip4/192.0.2.1/udp/4931/quic-v1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN/p2p-circuit"
	for addr, want := range map[string]string{"/ip4/192.0.2.1/udp/4931/quic-v1": "quic", "/ip4/192.0.2.1/tcp/4931": "tcp", relay: "relay"} {
		if got := transport(multiaddr.StringCast(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

// Whatever fails, an operator reads one line without riddles, and what to do.
func TestTroubleInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err      error
		says, do string
	}{
		{fmt.Errorf("connect: %w", swarm.ErrNoAddresses), "no address for it", doAddress},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), "nothing listens", doReach},
		{swarm.ErrAllDialsFailed, "no answer in time", doReach},
		{swarm.ErrGaterDisallowedConnection, "not an active member", doRoster},
		{network.ErrReset, "closed the connection", doRoster},
		{refusedError{"closed for the holidays"}, "closed for the holidays", doTheirs},
		{fmt.Errorf("hello: %w: by an hour", errClock), "clocks differ", doClock},
		{fmt.Errorf("%w: 2", errVersion), "another version", doUpdate},
		{fmt.Errorf("batch: %w", dispatch.ErrFork), "channel forked", doCall},
		{fmt.Errorf("receipt: %w", dispatch.ErrFalseReceipt), "receipt", doCall},
		{fmt.Errorf("batch: %w", dispatch.ErrForged), "verification failed", doMember},
		{fmt.Errorf("batch: %w", dispatch.ErrNotMember), "not an active member", doRoster},
		{fmt.Errorf("answer: %w", protocol.ErrFrameTooLarge), "larger than allowed", doMember},
		{errors.New("one\nsecond line"), "one", doOurs},
	} {
		what, do := explain(c.err)
		if !strings.Contains(what, c.says) || do != c.do || strings.Contains(what, "\n") {
			t.Errorf("%v: %q, %q", c.err, what, do)
		}
	}
}
