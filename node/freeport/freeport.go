// Package freeport finds ports of loopback for the nodes of tests. It owns the choice alone: who listens there is for its caller.
package freeport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
)

// The ports that are given lie below those that systems hand to outgoing connections (Linux: 32768 on), so that none is taken between its choice and the
// moment when a node listens on it, and below those of the demo. For the same reason every process gives from blocks of its own: it owns a block while it
// listens on the block's claim, a port that is never given.
const (
	first  = 16_000
	block  = 100 // ports
	blocks = 40
	claims = first - blocks
)

// start says which claim a process tries first: processes that begin together do not all try the same ones.
var start = os.Getpid()

// own is what this process gives from.
var own struct {
	mu     sync.Mutex
	next   int            // port
	end    int            // of the block
	claims []net.Listener // held until the process ends
}

// Find returns a port on which neither UDP nor TCP is in use on 127.0.0.1, and which no other call on this machine gets while this process lives.
func Find() (int, error) {
	own.mu.Lock()
	defer own.mu.Unlock()
	for {
		if own.next == own.end {
			if err := claim(); err != nil {
				return 0, err
			}
		}
		port := own.next
		own.next++
		at := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp4", at)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp4", at)
		if err == nil {
			err = u.Close()
		}
		if errors.Join(err, l.Close()) == nil {
			return port, nil
		}
	}
}

// claim makes a block this process's own.
func claim() error {
	for i := range blocks {
		n := (start + i) % blocks
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", claims+n))
		if err != nil {
			continue
		}
		own.claims = append(own.claims, l)
		own.next = first + n*block
		own.end = own.next + block
		return nil
	}
	return fmt.Errorf("no block of %d ports from %d to %d of loopback is free: other processes hold their claims, ports %d to %d",
		block, first, first+blocks*block-1, claims, first-1)
}
