package witness

import (
	"context"
	"encoding/json"
	"flag"
	"slices"
	"sync"
	"testing"
	"time"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
)

var witnessMembers = flag.Int("members", 200, "members of the federation that BenchmarkWitnessing measures")

// BenchmarkWitnessing says what witnessing costs a node by the injected clock: a day in which its log rests, and an hour in which it grows every minute. What
// it sends as a log is measured at the log, what it pays as a witness at all of its witnesses together: on average a node witnesses as many logs as witness
// its own. Greetings (two frames a talk) are the exchange's and not counted.
func BenchmarkWitnessing(b *testing.B) {
	var countries []protocol.Country
	for i := range 26 * 26 {
		if c, err := protocol.ParseCountry(string([]byte{'A' + byte(i/26), 'A' + byte(i%26)})); err == nil && c != "PT" && len(countries) < *witnessMembers-1 {
			countries = append(countries, c)
		}
	}
	for _, busy := range []bool{false, true} {
		b.Run(map[bool]string{false: "a day at rest", true: "an hour of growth"}[busy], func(b *testing.B) {
			for b.Loop() {
				witnessing(b, countries, busy)
			}
		})
	}
}

func witnessing(b *testing.B, countries []protocol.Country, busy bool) {
	var names []string
	for _, c := range countries {
		names = append(names, string(c))
	}
	chosen := rules.Choose("proofmark.PT", names, rules.Chosen)
	f := federationOf(b, b.TempDir(), func(c protocol.Country) bool { return c == "PT" || slices.Contains(chosen, string(c)) }, append(countries, "PT")...)
	pt := f.bureaus["PT"]
	var mu sync.Mutex
	var talks, messages, bytes, signatures int
	talk := pt.o.Talk
	pt.o.Talk = func(ctx context.Context, to protocol.Country, next func([]byte) ([]byte, error)) error {
		return talk(ctx, to, func(answer []byte) ([]byte, error) {
			q, err := next(answer)
			mu.Lock()
			defer mu.Unlock()
			if answer == nil {
				talks++
			}
			for _, m := range [][]byte{q, answer} {
				if m != nil {
					messages++
					bytes += len(m)
				}
			}
			if q != nil {
				signatures++ // of the head
			}
			var a struct{ Cosignature string }
			if json.Unmarshal(answer, &a) == nil && a.Cosignature != "" {
				signatures++
			}
			return q, err
		})
	}
	step, steps := time.Minute, 24*60
	if busy {
		steps = 60
	}
	pt.grow(100)
	for range 70 {
		f.add(step)
		check(b, pt.look(context.Background()))
	}
	talks, messages, bytes, signatures = 0, 0, 0, 0
	commits := func() (own, others int64) {
		for c, m := range f.bureaus {
			if c == "PT" {
				own = m.store.Commits()
			} else {
				others += m.store.Commits()
			}
		}
		return own, others
	}
	own, others := commits()
	grown := int64(0)
	for range steps {
		f.add(step)
		if busy {
			pt.grow(1)
			grown++
		}
		check(b, pt.look(context.Background()))
	}
	ownAfter, othersAfter := commits()
	b.ReportMetric(float64(talks), "talks")
	b.ReportMetric(float64(messages), "messages")
	b.ReportMetric(float64(bytes)/1000, "kB")
	b.ReportMetric(float64(signatures), "signatures")
	b.ReportMetric(float64(ownAfter-own-grown), "commits-as-log")
	b.ReportMetric(float64(othersAfter-others), "commits-as-witness")
}
