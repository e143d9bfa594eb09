//go:build unix && !linux

package demo

import "syscall"

// ownLife keeps a terminal's Ctrl-C from the daemons, which are stopped in order.
func ownLife() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
