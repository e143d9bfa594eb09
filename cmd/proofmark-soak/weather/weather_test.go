package weather

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rig is a proxy on loopback before an echo over TCP and UDP that remembers what it was sent.
type rig struct {
	*Proxy
	sky atomic.Pointer[Sky]

	mu    sync.Mutex
	heard [][]byte // by connection or datagram
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	var tcp net.Listener
	var udp *net.UDPConn
	pair := func() uint16 { // a port that is free for both
		for range 50 {
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			port := uint16(l.Addr().(*net.TCPAddr).Port)
			u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback(port)))
			if err == nil {
				tcp, udp = l, u
				return port
			}
			l.Close()
		}
		t.Fatal("no free port")
		return 0
	}
	target := pair()
	targetTCP, targetUDP := tcp, udp
	front := pair()
	tcp.Close()
	udp.Close()
	r := &rig{}
	r.sky.Store(&Sky{})
	go r.echoTCP(targetTCP)
	go r.echoUDP(targetUDP)
	r.Proxy = &Proxy{Node: 1, Listen: loopback(front), Target: loopback(target), Who: func(netip.Addr) int { return 0 }, Bind: func(int) netip.Addr { return netip.Addr{} },
		Sky: func(from, _ int) Sky {
			if from == 0 { // towards the node only
				return *r.sky.Load()
			}
			return Sky{}
		}, Count: &Figures{}}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); targetTCP.Close(); targetUDP.Close() })
	return r
}

func (r *rig) hear(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, bytes.Clone(b))
}

func (r *rig) count(b []byte) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.heard {
		if bytes.Equal(h, b) {
			n++
		}
	}
	return n
}

func (r *rig) echoTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var all []byte
			b := make([]byte, 1024)
			for {
				n, err := c.Read(b)
				all = append(all, b[:n]...)
				if err != nil {
					r.hear(all)
					return
				}
				_, _ = c.Write(b[:n])
			}
		}()
	}
}

func (r *rig) echoUDP(c *net.UDPConn) {
	b := make([]byte, 2048)
	for {
		n, src, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			r.hear(b[:n])
			_, _ = c.WriteToUDPAddrPort(b[:n], src)
		}
	}
}

// speak sends a message over TCP and returns the echo.
func (r *rig) speak(t *testing.T, msg []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp4", r.Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: ", what)
		}
	}
}

var msg = []byte("one message that passes the proxy")

func TestFineWeather(t *testing.T) {
	r := newRig(t)
	if got := r.speak(t, msg); !bytes.Equal(got, msg) {
		t.Errorf("%q", got)
	}
	c, err := net.Dial("udp4", r.Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 100)
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b); err != nil || !bytes.Equal(b[:n], msg) {
		t.Errorf("%q %v", b[:n], err)
	}
	if n := r.Count.Flipped.Load() + r.Count.Repeated.Load() + r.Count.Replayed.Load() + r.Count.Lost.Load(); n != 0 {
		t.Errorf("%d faults in fine weather", n)
	}
}

func TestFlip(t *testing.T) {
	r := newRig(t)
	r.sky.Store(&Sky{Flip: 1})
	got := r.speak(t, msg)
	differ := 0
	for i := range msg {
		for x := got[i] ^ msg[i]; x != 0; x &= x - 1 {
			differ++
		}
	}
	if differ != int(r.Count.Flipped.Load()) || differ == 0 {
		t.Errorf("%d bits differ, %d were flipped", differ, r.Count.Flipped.Load())
	}
}

func TestReplay(t *testing.T) {
	r := newRig(t)
	r.sky.Store(&Sky{Replay: true})
	r.speak(t, msg)
	eventually(t, "the node hears the same connection again", func() bool { return r.count(msg) >= 2 })
	if r.Count.Replayed.Load() == 0 {
		t.Error("a replay was not counted")
	}
}

func TestDisorderRepeatsDatagrams(t *testing.T) {
	r := newRig(t)
	r.sky.Store(&Sky{Disorder: true})
	c, err := net.Dial("udp4", r.Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "a datagram comes twice", func() bool {
		_, _ = c.Write(msg)
		return r.Count.Repeated.Load() > 0 && r.Count.Delayed.Load() > 0 && r.count(msg) > 1
	})
}

func TestLoss(t *testing.T) {
	r := newRig(t)
	r.sky.Store(&Sky{Loss: 1})
	c, err := net.Dial("udp4", r.Listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "datagrams are lost", func() bool {
		_, _ = c.Write(msg)
		return r.Count.Lost.Load() > 5
	})
	if r.count(msg) != 0 {
		t.Error("a datagram passed where all are lost")
	}
	done := make(chan []byte)
	go func() { done <- r.speak(t, msg) }()
	eventually(t, "a connection is there", func() bool { return r.Count.Connections.Load() > 0 })
	r.sky.Store(&Sky{}) // what was held back passes
	if got := <-done; !bytes.Equal(got, msg) {
		t.Errorf("%q", got)
	}
}
