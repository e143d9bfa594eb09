package bullet

import (
	"syscall"
	"time"
)

// cpuTime is the processor time this process has used. Benchmarks report it
// beside the clock's, which other work on the machine lengthens.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
