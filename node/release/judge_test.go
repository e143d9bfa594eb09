package release

import (
	"testing"

	"proofmark/protocol"
)

// TestAWithdrawalAtTheMomentOfJudgement: what was found of an exhibit may be gone before the request is settled by it; then nothing is released, and the answer
// is that to what never was.
func TestAWithdrawalAtTheMomentOfJudgement(t *testing.T) {
	f, signature, _ := hidden(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	es.Engine = rules(t, `permit (principal is Country, action in [Action::"share", Action::"answer"], resource is Scan);`, twoForScans...)
	before := es.looked
	es.looked = func(step string) {
		before(step)
		if step == "blobs" { // the last one
			es.looked = before
			withdraw(t, es, signature)
		}
	}
	r := pt.ask(signature, "ES")
	if got := es.show(r.ID); got.State != Refusing || got.Refusal.Code != protocol.ScanUnknown || got.Release != nil {
		t.Errorf("withdrawn while it was judged: %s %+v", got.State, got.Refusal)
	}
	if n := len(es.entries("scan released")); n != 0 {
		t.Errorf("the log has %d releases", n)
	}
}
