package node

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/node/ballistics"
	"proofmark/node/control"
)

var publishMembers = flag.String("publish", "2,20,200", "numbers of members of the federation in which BenchmarkPublish publishes")

// BenchmarkPublish says what a publication costs the publisher alone: the technician's command until it returns, and processor time, where all members are
// out of reach and every one of them gets an intent. What the command takes with two members is the scan and its signature; the rest is the members'. Run it
// with -benchtime 10x or more.
func BenchmarkPublish(b *testing.B) {
	for _, text := range strings.Split(*publishMembers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 {
			b.Fatalf("-publish=%s: not a number of members", text)
		}
		b.Run("members="+text, func(b *testing.B) {
			pt := newBureau(b, "PT")
			pt.start()
			pt.login(roles)
			pt.know(n)
			maker := synth.NewMaker(1)
			var took []time.Duration
			var busy time.Duration
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				scan := pt.prepare(fmt.Sprintf("E-%d", i), maker.Firearm(1).Fire(uint64(i)+1, synth.Shot{}))
				b.StartTimer()
				start, used := time.Now(), processorTime(b)
				if _, err := control.Upload[*ballistics.Acquisition](b.Context(), pt.people["tech"], "acquire", "",
					ballistics.NewAcquisition{Exhibit: fmt.Sprintf("E-%d", i), ROI: "breech-face", Scans: []ballistics.File{{Name: "scan.x3p", Size: int64(len(scan))}}}, scan); err != nil {
					b.Fatal(err)
				}
				took, busy = append(took, time.Since(start)), busy+processorTime(b)-used
			}
			b.ReportMetric(ms(took, 50), "acquire-p50-ms")
			b.ReportMetric(busy.Seconds()*1000/float64(len(took)), "processor-ms")
			pt.halt()
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
