package weather

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	largestDatagram = 64 << 10
	silent          = 90 * time.Second // a way on which nothing comes back for so long is forgotten
	twice           = 0.3              // chance that a datagram comes twice in disorder
	late            = 0.3              // chance that it is overtaken
	again           = 0.05             // chance that an old one is played once more with a new one
	kept            = 32               // old datagrams of a way
)

// way is one dialler's datagrams to the node and back.
type way struct {
	up   *net.UDPConn
	from int

	mu  sync.Mutex
	old [][]byte
}

func (p *Proxy) serveUDP() {
	ways := map[netip.AddrPort]*way{}
	var mu sync.Mutex
	b := make([]byte, largestDatagram)
	for {
		n, src, err := p.udp.ReadFromUDPAddrPort(b)
		if err != nil {
			select {
			case <-p.closed:
				return
			default:
				continue // the kernel reports here that nobody listens where a datagram was sent to
			}
		}
		p.Count.Datagrams.Add(1)
		mu.Lock()
		w := ways[src]
		mu.Unlock()
		if w == nil {
			if w, err = p.openWay(src); err != nil {
				continue
			}
			mu.Lock()
			ways[src] = w
			mu.Unlock()
			p.wg.Go(func() {
				p.back(w, src)
				mu.Lock()
				delete(ways, src)
				mu.Unlock()
				p.drop(w.up)
			})
		}
		p.carry(b[:n], p.Sky(w.from, p.Node), w, func(b []byte) { _, _ = w.up.Write(b) })
	}
}

func (p *Proxy) openWay(src netip.AddrPort) (*way, error) {
	from := p.Who(src.Addr().Unmap())
	var local *net.UDPAddr
	if a := p.local(from); a.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	}
	up, err := net.DialUDP("udp4", local, net.UDPAddrFromAddrPort(p.Target))
	if err != nil {
		return nil, err
	}
	if !p.keep(up) {
		return nil, net.ErrClosed
	}
	return &way{up: up, from: from}, nil
}

// back carries what the node answers.
func (p *Proxy) back(w *way, src netip.AddrPort) {
	b := make([]byte, largestDatagram)
	for {
		if err := w.up.SetReadDeadline(time.Now().Add(silent)); err != nil {
			return
		}
		n, err := w.up.Read(b)
		if err != nil {
			if e, ok := err.(net.Error); ok && !e.Timeout() {
				select {
				case <-p.closed:
					return
				case <-time.After(50 * time.Millisecond): // the node is down for the moment
					continue
				}
			}
			return
		}
		p.carry(b[:n], p.Sky(p.Node, w.from), nil, func(b []byte) { _, _ = p.udp.WriteToUDPAddrPort(b, src) })
	}
}

// carry sends one datagram through the weather. w remembers what can be replayed; nil on the way back.
func (p *Proxy) carry(b []byte, s Sky, w *way, send func([]byte)) {
	if s == (Sky{}) && w == nil {
		send(b)
		return
	}
	if s.Loss > 0 && rand.Float64() < s.Loss {
		p.Count.Lost.Add(1)
		return
	}
	b = slices.Clone(b)
	if w != nil {
		w.mu.Lock()
		if len(w.old) < kept {
			w.old = append(w.old, slices.Clone(b))
		} else {
			w.old[rand.IntN(kept)] = slices.Clone(b)
		}
		if s.Replay && rand.Float64() < again {
			old := w.old[rand.IntN(len(w.old))]
			p.Count.Replayed.Add(1)
			p.later(some(time.Second), old, send)
		}
		w.mu.Unlock()
	}
	if s.Disorder && rand.Float64() < twice {
		p.Count.Repeated.Add(1)
		p.later(some(200*time.Millisecond), slices.Clone(b), send)
	}
	p.flip(s, b)
	wait := some(s.Delay)
	if s.Disorder && rand.Float64() < late {
		wait += some(200 * time.Millisecond)
	}
	if wait == 0 {
		send(b)
		return
	}
	p.Count.Delayed.Add(1)
	p.later(wait, b, send)
}

// later sends b after d, unless the proxy has ended.
func (p *Proxy) later(d time.Duration, b []byte, send func([]byte)) {
	time.AfterFunc(d, func() {
		select {
		case <-p.closed:
		default:
			send(b)
		}
	})
}
