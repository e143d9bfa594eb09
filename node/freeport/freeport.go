// Package freeport finds ports of loopback for the nodes of tests. It owns the choice alone: who listens there is for its caller.
package freeport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
)

// The ports that are given lie below those that systems hand to outgoing connections (Linux: 32768 on), so that none is taken between its choice and the
// moment when a node listens on it.
const (
	first = 16_000
	room  = 16_000
	block = 400 // ports of one process, before it meets another one's
)

var given atomic.Int32

func init() { given.Store(int32(os.Getpid() % (room / block) * block)) }

// Find returns a port on which neither UDP nor TCP is in use on 127.0.0.1, and which no other call of this process has got.
func Find() (int, error) {
	for range room {
		port := first + int(given.Add(1))%room
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
	return 0, fmt.Errorf("no port of loopback from %d to %d is free for both UDP and TCP", first, first+room-1)
}
