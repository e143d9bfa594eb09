package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"proofmark/node/dispatch"
	"proofmark/protocol"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	const least, most = 200 * time.Millisecond, time.Minute
	for _, c := range []struct {
		failures int
		chance   float64
		want     time.Duration
	}{
		{0, 0, least}, {1, 0, least}, {2, 0, 2 * least}, {3, 0, 4 * least}, {9, 0, 51200 * time.Millisecond},
		{10, 0, most}, {1000000, 0, most}, {1, 1, least / 2}, {1000, 1, most / 2}, {1, 0.5, 150 * time.Millisecond},
	} {
		if got := backoff(c.failures, least, most, c.chance); got != c.want {
			t.Errorf("backoff(%d, chance %v) = %s, want %s", c.failures, c.chance, got, c.want)
		}
	}
}

func TestCheckHello(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	remote := &member{country: "FR"}
	good := protocol.Hello{Version: protocol.ExchangeVersion, Country: "FR", To: "PT", Roster: "sha256:any", Now: now}
	if err := checkHello(&good, remote, "PT", now); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func(*protocol.Hello)
		want error
	}{
		{"version", func(h *protocol.Hello) { h.Version = 0 }, errVersion},
		{"country", func(h *protocol.Hello) { h.Country = "ES" }, errIdentity},
		{"no country", func(h *protocol.Hello) { h.Country = "" }, errIdentity},
		{"audience", func(h *protocol.Hello) { h.To = "FR" }, errIdentity},
		{"ahead", func(h *protocol.Hello) { h.Now = now.Add(10*time.Minute + time.Second) }, errClock},
		{"behind", func(h *protocol.Hello) { h.Now = now.Add(-10*time.Minute - time.Second) }, errClock},
		{"refusal", func(h *protocol.Hello) { h.Refusal = "no" }, refusedError{"no"}},
	} {
		h := good
		c.do(&h)
		if err := checkHello(&h, remote, "PT", now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	h := good
	h.Now = now.Add(9 * time.Minute)
	if err := checkHello(&h, remote, "PT", now); err != nil {
		t.Errorf("nine minutes apart: %v", err)
	}
}

// What the other side reads of our errors is about its own doing, never about our insides.
func TestTellable(t *testing.T) {
	t.Parallel()
	secret := errors.New("open /var/lib/proofmark/000012.vlog: no space left")
	for _, c := range []struct {
		err  error
		want string
	}{
		{secret, "it could not take it now; its own log says why"},
		{fmt.Errorf("%w: %w", errNoMemory, secret), errNoMemory.Error()},
		{fmt.Errorf("message 7: %w", dispatch.ErrGap), "message 7: " + dispatch.ErrGap.Error()},
		{panicError{value: secret}, "it could not take it now; its own log says why"},
		{errBusy, errBusy.Error()},
	} {
		if got := tellable(c.err); got != c.want {
			t.Errorf("tellable(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("connect: %w", swarm.ErrNoAddresses), "gives no address"},
		{fmt.Errorf("connect: %w", swarm.ErrGaterDisallowedConnection), "not an active member"},
		{errors.New("dial tcp4 127.0.0.1:1: connect: connection refused"), "nothing listens"},
		{context.DeadlineExceeded, "no answer in time"},
		{fmt.Errorf("wait: %w", network.ErrReset), "closed the connection"},
		{fmt.Errorf("wait: %w", io.ErrUnexpectedEOF), "closed the connection"},
		{fmt.Errorf("open: %w", refusedError{"clocks"}), "refused by the other node: clocks"},
		{errors.New("first line\nsecond line\x1b"), "first line"},
		{errNoProgress, errNoProgress.Error()},
	} {
		if got := plain(c.err); !strings.Contains(got, c.want) || strings.ContainsAny(got, "\n\x1b") {
			t.Errorf("plain(%v) = %q, want %q in one line", c.err, got, c.want)
		}
	}
}

// The gravest trouble is shown, and it goes away where it came from.
func TestReport(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	var r report
	if !r.fault("bulk", errNoProgress, now.Add(time.Minute)) || r.fault("bulk", errNoProgress, now.Add(2*time.Minute)) {
		t.Error("a fault is news once")
	}
	r.fault(incoming, errBusy, time.Time{})
	r.fault(connecting, context.DeadlineExceeded, now.Add(time.Second))
	if st := r.snapshot(); !strings.Contains(st.LastError, "no answer in time") || !st.NextTry.Equal(now.Add(time.Second)) {
		t.Errorf("status %+v", st)
	}
	if !r.contact(now, "sha256:other", true) || r.contact(now, "sha256:other", true) {
		t.Error("another roster is news once")
	}
	if st := r.snapshot(); st.LastError != errNoProgress.Error() || !st.NextTry.Equal(now.Add(2*time.Minute)) || st.OtherRoster != "sha256:other" {
		t.Errorf("status %+v", st)
	}
	r.contact(now, "sha256:ours", false)
	r.well("bulk", now)
	r.well(incoming, now.Add(time.Hour))
	if st := r.snapshot(); st.LastError != "" || !st.NextTry.IsZero() || st.OtherRoster != "" || !st.LastContact.Equal(now.Add(time.Hour)) {
		t.Errorf("status %+v", st)
	}
	r.delivered(protocol.Bulk, 7, now)
	r.delivered(protocol.Bulk, 5, now.Add(time.Hour)) // an older count changes nothing
	if st := r.snapshot(); len(st.Channels) != 2 || st.Channels[1] != (ChannelStatus{Channel: protocol.Bulk, Delivered: 7, Last: now}) {
		t.Errorf("channels %+v", st.Channels)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	var p precedence
	p.init()
	ctx := context.Background()
	yields := func(most time.Duration) chan struct{} {
		through := make(chan struct{})
		go func() { p.yield(ctx, most); close(through) }()
		return through
	}
	<-yields(time.Hour) // nothing urgent
	p.want()
	p.want()
	waiting := yields(time.Hour)
	select {
	case <-waiting:
		t.Fatal("bulk did not wait for what is urgent")
	case <-time.After(20 * time.Millisecond):
	}
	<-yields(time.Millisecond) // for at most so long
	p.done()
	p.done()
	<-waiting
	<-yields(time.Hour)
}

func TestLanes(t *testing.T) {
	t.Parallel()
	n := newLanes()
	for range fastLane {
		if _, err := enter(context.Background(), n.fast); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := enter(ctx, n.fast); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more in a full lane: %v", err)
	}
	leave, err := enter(context.Background(), n.slow)
	if err != nil {
		t.Fatalf("the lane for slow members beside a full one: %v", err)
	}
	leave()
	if len(n.slow) != 0 {
		t.Error("the place was not given back")
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Ação nº 5", "Ação nº 5"}, {"a\nb\x1b[0m\u202e", "a b [0m "}, {"\xff", "?"}, {"ãããã", "ãã"},
	} {
		most := 40
		if c.in == "ãããã" {
			most = 5
		}
		if got := printable(c.in, most); got != c.want {
			t.Errorf("printable(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, s := range []string{`{"receipt":"eyJ.e30.x"}`, `{"refusal":"no"}`, `{}`, `{"receipt":1}`, `[]`, `{"receipt":"a","receipt":"b"}`, `{"refusal":"\u001b[2J"}`, ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil {
			if !errors.Is(err, errBadAnswer) {
				t.Fatalf("%v is not errBadAnswer", err)
			}
			return
		}
		if a.Receipt == "" && a.Refusal == "" || len(a.Refusal) > maxRefusal || !utf8.ValidString(a.Refusal) || strings.ContainsAny(a.Refusal, "\x1b\n\x00") {
			t.Fatalf("accepted %+v", a)
		}
	})
}

// FuzzOpening feeds bytes to what a stream's receiver reads first: a greeting and a channel's name.
func FuzzOpening(f *testing.F) {
	h := goodHello()
	h.Now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Add(append(frame(h), frame("urgent")...))
	f.Add(frame(h))
	f.Add(announced(1 << 40))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		first, err := protocol.ReadFrame(r, protocol.MaxHello)
		if err != nil {
			return
		}
		hello, err := protocol.DecodeHello(first)
		if err != nil {
			return
		}
		if checkHello(hello, &member{country: "FR"}, "PT", h.Now) != nil {
			return
		}
		if hello.Country != "FR" || hello.To != "PT" || hello.Version != protocol.ExchangeVersion || hello.Refusal != "" {
			t.Fatalf("let in: %+v", hello)
		}
		second, err := protocol.ReadFrame(r, maxChannel)
		if err != nil {
			return
		}
		if ch, err := decodeChannel(second); err == nil && ch != protocol.Urgent && ch != protocol.Bulk {
			t.Fatalf("channel %q", ch)
		}
	})
}
