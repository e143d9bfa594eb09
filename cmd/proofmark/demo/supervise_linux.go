package demo

import "syscall"

// ownLife keeps a terminal's Ctrl-C from the daemons, which are stopped in order, and has the kernel stop them where the demo itself is killed.
func ownLife() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
