package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// grownLaw is a law of n rules, as a bureau's grows: nine in ten are agreements with one country each, the others are for all.
func grownLaw(n int) map[string]string {
	files := map[string]string{}
	var b strings.Builder
	for i := range n {
		code := memberCode(i * 7)
		switch i % 10 {
		case 0:
			fmt.Fprintf(&b, "@id(\"general-%d\") @handling(\"H0\") @retain(\"P%dD\") @redact(\"agency place\")\npermit (principal is Country, action == Action::\"share\", resource is Signature)\nwhen { resource.calibre == \"9x19\" && resource.group_size >= %d };\n", i, 365+i, i%3)
		case 1:
			fmt.Fprintf(&b, "@id(\"operation-%d\") @handling(\"H2\")\npermit (principal in Operation::\"PT-O-2026-%06d\", action == Action::\"share\", resource is Signature)\nwhen { !resource.terrorism };\n", i, i)
		case 2:
			fmt.Fprintf(&b, "@id(\"never-%d\")\nforbid (principal == Country::%q, action == Action::\"share\", resource)\nwhen { resource has border_km && resource.border_km > %d };\n", i, code, 1000+i)
		case 3:
			fmt.Fprintf(&b, "@id(\"accept-%d\")\npermit (principal == Country::%q, action == Action::\"accept\", resource)\nwhen { resource has offence && resource.offence != \"x%d\" };\n", i, code, i)
		default:
			fmt.Fprintf(&b, "@id(\"agreement-%d\") @handling(\"H0 H2\") @retain(\"P%dD\")\npermit (principal == Country::%q, action == Action::\"share\", resource is Signature)\nwhen { [\"evidence\", \"test-fire\"].contains(resource.origin) && resource.age_days < %d };\n", i, 100+i, code, 400+i)
		}
		if i%100 == 99 {
			files[fmt.Sprintf("%04d.cedar", i)] = b.String()
			b.Reset()
		}
	}
	if b.Len() > 0 {
		files["rest.cedar"] = b.String()
	}
	return files
}

// memberCode is one of 200 different codes.
func memberCode(i int) string { i %= 200; return string([]byte{'A' + byte(i/20), 'A' + byte(i%20)}) }

// BenchmarkDecide asks whether one signature goes to each of 200 members: by 200 rules, by ten times as many, and by the default policy.
func BenchmarkDecide(b *testing.B) {
	ask := func(b *testing.B, e *Engine) {
		questions := make([]Request, 200)
		for i := range questions {
			questions[i] = signatureTo(memberCode(i), map[string]any{"border_km": int64(12)})
			questions[i].Principal.Operations = running("PT-O-2026-000011", opB)
		}
		took := make([]time.Duration, 0, b.N)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			start := time.Now()
			if d := e.Decide(questions[i%len(questions)]); !d.Allow || len(d.Errors) > 0 {
				b.Fatal(d)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		for _, p := range []struct {
			name string
			at   int
		}{{"p50-µs", len(took) / 2}, {"p99-µs", len(took) * 99 / 100}, {"max-µs", len(took) - 1}} {
			b.ReportMetric(float64(took[p.at].Nanoseconds())/1000, p.name)
		}
	}
	for _, n := range []int{200, 2000} {
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) { ask(b, engine(b, grownLaw(n))) })
	}
	b.Run("default", func(b *testing.B) { ask(b, Default()) })
}
