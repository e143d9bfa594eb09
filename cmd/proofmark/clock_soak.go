//go:build soak

package main

import (
	"os"
	"strings"
	"sync"
	"time"

	"proofmark/crypto"
)

// Secrets are stretched little: nodes of a soak start again every few seconds.
func init() { argonCost = crypto.TestCost }

// soakClock holds by how much this node's clock is wrong. It exists in programs built for the soak alone.
var soakClock struct {
	sync.Mutex
	read  time.Time // when the file was last looked at
	wrong time.Duration
}

// wallClock is wrong by the duration in the file that PROOFMARK_SOAK_CLOCK names, looked up ten times a second.
func wallClock() time.Time {
	now := time.Now()
	path := os.Getenv("PROOFMARK_SOAK_CLOCK")
	if path == "" {
		return now
	}
	c := &soakClock
	c.Lock()
	defer c.Unlock()
	if now.Sub(c.read) > 100*time.Millisecond {
		c.read = now
		if b, err := os.ReadFile(path); err == nil {
			if d, err := time.ParseDuration(strings.TrimSpace(string(b))); err == nil {
				c.wrong = d
			}
		}
	}
	return now.Add(c.wrong).Round(0) // without the monotonic reading, which does not jump
}
