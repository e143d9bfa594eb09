// Package weather is what the network of a soak suffers that packet filters cannot do: a proxy in front of each node for TCP and UDP that delays, reorders,
// repeats, replays, loses and changes what passes. It refuses to know what the bytes mean, and what a node is.
package weather

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Sky is the weather on one way, from one node to another.
type Sky struct {
	Delay    time.Duration // of each piece, up to
	Disorder bool          // datagrams overtake each other and come twice, connections overtake each other
	Flip     float64       // chance that a bit of a piece is flipped
	Replay   bool          // what passed is played to its receiver once more
	Loss     float64       // chance that a datagram is lost; a TCP connection is held back at 1
}

// Figures count what the weather did.
type Figures struct {
	Connections, Datagrams, Flipped, Repeated, Replayed, Delayed, Lost atomic.Int64
}

// Unknown is the number of a node that the proxy cannot tell from its address.
const Unknown = -1

// Proxy stands before one node.
type Proxy struct {
	Node   int                       // before which it stands
	Listen netip.AddrPort            // TCP and UDP
	Target netip.AddrPort            // the node's own address
	Who    func(netip.Addr) int      // which node has an address
	Bind   func(node int) netip.Addr // from which address to dial on behalf of a node; invalid: any
	Sky    func(from, to int) Sky    // asked for every piece
	Count  *Figures

	tcp    net.Listener
	udp    *net.UDPConn
	closed chan struct{}
	open   sync.Map // of every connection, to be closed
	wg     sync.WaitGroup
}

// Start listens and serves until Close.
func (p *Proxy) Start() error {
	p.closed = make(chan struct{})
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(p.Listen))
	if err != nil {
		return err
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(p.Listen))
	if err != nil {
		tcp.Close()
		return err
	}
	p.tcp, p.udp = tcp, udp
	p.wg.Go(p.serveTCP)
	p.wg.Go(p.serveUDP)
	return nil
}

// Close ends every connection.
func (p *Proxy) Close() {
	close(p.closed)
	p.tcp.Close()
	p.udp.Close()
	p.open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
	p.wg.Wait()
}

// keep remembers a connection to be closed with the proxy; false when it is closed already.
func (p *Proxy) keep(c net.Conn) bool {
	p.open.Store(c, nil)
	select {
	case <-p.closed:
		p.drop(c)
		return false
	default:
		return true
	}
}

func (p *Proxy) drop(c net.Conn) {
	p.open.Delete(c)
	c.Close()
}

// pause waits, or returns false at the proxy's end.
func (p *Proxy) pause(d time.Duration) bool {
	select {
	case <-p.closed:
		return false
	case <-time.After(d):
		return true
	}
}

// flip changes one bit of b in place with the sky's chance.
func (p *Proxy) flip(s Sky, b []byte) {
	if s.Flip > 0 && len(b) > 0 && rand.Float64() < s.Flip {
		b[rand.IntN(len(b))] ^= 1 << rand.IntN(8)
		p.Count.Flipped.Add(1)
	}
}

// some is a random part of d.
func some(d time.Duration) time.Duration { return time.Duration(rand.Float64() * float64(d)) }

// local is the address to dial from on behalf of a node, nil for any.
func (p *Proxy) local(node int) netip.Addr {
	if node == Unknown {
		return netip.Addr{}
	}
	return p.Bind(node)
}
