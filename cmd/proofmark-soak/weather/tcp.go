package weather

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	piece      = 16 << 10 // bytes read at once
	remembered = 64 << 10 // bytes of a connection that can be replayed
	overtaken  = 1500 * time.Millisecond
	replayWait = 2 * time.Second // a replayed connection is listened to for so long
	dialWithin = 5 * time.Second
)

func (p *Proxy) serveTCP() {
	for {
		c, err := p.tcp.Accept()
		if err != nil {
			return
		}
		p.Count.Connections.Add(1)
		p.wg.Go(func() { p.connection(c) })
	}
}

// memory is the beginning of what a dialler sent.
type memory struct {
	mu sync.Mutex
	b  []byte
}

func (m *memory) add(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b = append(m.b, b[:min(len(b), remembered-len(m.b))]...)
}

func (m *memory) get() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b[:len(m.b):len(m.b)]
}

func (p *Proxy) connection(c net.Conn) {
	defer p.drop(c)
	if !p.keep(c) {
		return
	}
	from := Unknown
	if a, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		from = p.Who(a.Addr().Unmap())
	}
	if s := p.Sky(from, p.Node); s.Disorder && !p.pause(some(overtaken)) { // a later connection may overtake this one
		return
	}
	up, err := p.dial(from)
	if err != nil {
		return
	}
	defer p.drop(up)
	if !p.keep(up) {
		return
	}
	var said memory
	var wg sync.WaitGroup
	wg.Go(func() { p.pump(up, c, from, p.Node, &said) })
	wg.Go(func() { p.pump(c, up, p.Node, from, nil) })
	wg.Wait()
	if p.Sky(from, p.Node).Replay {
		p.replay(from, said.get())
	}
}

func (p *Proxy) dial(from int) (net.Conn, error) {
	d := net.Dialer{Timeout: dialWithin}
	if a := p.local(from); a.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	}
	return d.DialContext(context.Background(), "tcp4", p.Target.String())
}

// pump carries one direction, and ends both.
func (p *Proxy) pump(dst, src net.Conn, from, to int, said *memory) {
	defer dst.Close()
	defer src.Close()
	b := make([]byte, piece)
	replayed := false
	for {
		n, err := src.Read(b)
		if n > 0 {
			s := p.Sky(from, to)
			for s.Loss >= 1 { // nothing passes for now; TCP would send it again
				if !p.pause(100 * time.Millisecond) {
					return
				}
				s = p.Sky(from, to)
			}
			if s.Delay > 0 {
				p.Count.Delayed.Add(1)
				if !p.pause(some(s.Delay)) {
					return
				}
			}
			if said != nil {
				said.add(b[:n])
				if s.Replay && !replayed { // while the first one is still open
					replayed = true
					if b := said.get(); len(b) > 0 {
						p.wg.Go(func() { p.replay(from, b) })
					}
				}
			}
			p.flip(s, b[:n])
			if _, werr := dst.Write(b[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// replay plays to the node once more what somebody sent it before.
func (p *Proxy) replay(from int, said []byte) {
	c, err := p.dial(from)
	if err != nil {
		return
	}
	defer p.drop(c)
	if !p.keep(c) {
		return
	}
	p.Count.Replayed.Add(1)
	if err := c.SetDeadline(time.Now().Add(replayWait)); err != nil {
		return
	}
	if _, err := c.Write(said); err == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}
