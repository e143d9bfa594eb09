package ballistics

import (
	"testing"

	"proofmark/protocol"
)

func TestOutcomeOfReviews(t *testing.T) {
	const L, I, X, U = protocol.VerdictLead, protocol.VerdictInconclusive, protocol.VerdictExcluded, protocol.VerdictUnsuitable
	for _, c := range []struct {
		name     string
		verdicts []protocol.Verdict
		decided  protocol.Verdict
		next     string
	}{
		{"nobody yet", nil, "", Primary},
		{"one is never enough, a lead least of all", []protocol.Verdict{L}, "", Secondary},
		{"one exclusion is not enough either", []protocol.Verdict{X}, "", Secondary},
		{"two agree on a lead", []protocol.Verdict{L, L}, L, ""},
		{"two agree on exclusion", []protocol.Verdict{X, X}, X, ""},
		{"disagreement asks a third person", []protocol.Verdict{L, X}, "", Third},
		{"the third agrees with the first", []protocol.Verdict{L, X, L}, L, ""},
		{"the third agrees with the second", []protocol.Verdict{L, X, X}, X, ""},
		{"three opinions end inconclusive", []protocol.Verdict{L, X, U}, I, ""},
	} {
		var reviews []Review
		for _, v := range c.verdicts {
			reviews = append(reviews, Review{Verdict: v})
		}
		if decided, next := outcome(reviews); decided != c.decided || next != c.next {
			t.Errorf("%s: decided %q, next %q; want %q, %q", c.name, decided, next, c.decided, c.next)
		}
	}
}
