//go:build !soak

package main

import "time"

// wallClock is the one place where the command line asks for the time.
func wallClock() time.Time { return time.Now() }
