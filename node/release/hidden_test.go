package release

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/bureautest"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

func TestTicks(t *testing.T) {
	s := &Service{tick: 15 * time.Second}
	for _, c := range []struct{ settled, due string }{
		{"12:00:00", "12:00:15"}, {"12:00:00.000000001", "12:00:30"}, {"12:00:07", "12:00:30"}, {"12:00:14.999999999", "12:00:30"}, {"12:00:15", "12:00:30"}, {"23:59:59", "00:00:15"},
	} {
		at := bureautest.Must(time.Parse("15:04:05.999999999", c.settled))
		due := s.due(at)
		if got := due.Format("15:04:05"); got != c.due || due.Sub(at) < s.tick || due.Sub(at) >= 2*s.tick {
			t.Errorf("settled at %s: due at %s, %v later; want %s", c.settled, got, due.Sub(at), c.due)
		}
	}
}

// TestJudgement: the true ground of each finding, and what of it is told.
func TestJudgement(t *testing.T) {
	yes := findings{own: true, told: true, there: true}
	yes.answer.Allow, yes.share.Allow = true, true
	for _, c := range []struct {
		name    string
		change  func(f *findings)
		outcome outcome
		code    string
		ground  string
	}{
		{"permitted", func(f *findings) {}, permit, "", "policy"},
		{"two people, by the one rule", func(f *findings) { f.answer.Obligations.Approval = "two-person" }, askPeople, "", "policy"},
		{"two people, by the other", func(f *findings) { f.share.Obligations.Approval = "two-person" }, askPeople, "", "policy"},
		{"not there", func(f *findings) { f.own = false }, refuse, protocol.ScanUnknown, "no-such-exhibit"},
		{"never told", func(f *findings) { f.told = false }, refuse, protocol.ScanUnknown, "not-told"},
		{"never told, and denied", func(f *findings) { f.told, f.share.Allow = false, false }, refuse, protocol.ScanUnknown, "not-told"},
		{"not answered", func(f *findings) { f.answer.Allow = false }, refuse, protocol.ScanPolicy, "policy"},
		{"not shared", func(f *findings) { f.share.Allow = false }, refuse, protocol.ScanPolicy, "policy"},
		{"a rule that fails", func(f *findings) { f.share.Errors = []string{"x"} }, refuse, protocol.ScanPolicy, "policy-error"},
		{"scan gone", func(f *findings) { f.there = false }, refuse, protocol.ScanUnknown, "no-scan"},
	} {
		f := yes
		c.change(&f)
		if v := judge("PT", &f); v.outcome != c.outcome || v.code != c.code || v.ground != c.ground {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
	f := yes
	f.answer.Obligations.Handling, f.answer.Obligations.RetainFor = []string{"H0", "H2"}, 48*time.Hour
	f.share.Obligations.Handling, f.share.Obligations.RetainFor = []string{"H0", "H1"}, 24*time.Hour
	f.bound.Handling = protocol.MarkedBy("FR", "H3")
	if v := judge("PT", &f); !slices.Equal(v.handling.Codes(), []string{"H0", "H1", "H2", "H3"}) || !slices.Equal(v.handling.Owners("H3"), []protocol.Country{"FR"}) || v.retain != 24*time.Hour {
		t.Errorf("restrictions are united: %+v", v)
	}
}

// hidden makes a federation in which ES told PT of an exhibit, and FR not. It returns the signature and one of which there is nothing.
func hidden(t *testing.T) (f *federation, signature, nothing string) {
	f = newFederation(t, "ES", "PT", "FR")
	es := f.bureaus["ES"]
	es.Engine = rules(t, `forbid (principal == Country::"FR", action == Action::"share", resource is Signature);`)
	signature = es.enrol()
	f.carry("ES", "PT")
	f.carry("ES", "FR")
	return f, signature, bureautest.Must(protocol.NewDocumentID("ES", begin, rand.Reader))
}

// TestHiddenAnswersAreAlike: a country that was never told of an exhibit, one that asks for what never was, and one that asks for what was withdrawn get
// answers of one form, one size and one moment, after the same steps; only the owner's log knows the difference.
func TestHiddenAnswersAreAlike(t *testing.T) {
	f, signature, nothing := hidden(t)
	es, fr, pt := f.bureaus["ES"], f.bureaus["FR"], f.bureaus["PT"]
	es.steps = nil
	third := bureautest.Must(protocol.NewDocumentID("ES", begin.Add(time.Hour), rand.Reader)) // as if of later
	asked := map[string]*Request{}
	var steps [][]string
	for name, id := range map[string]string{"exists, never told": signature, "never was": nothing, "never was, either": third} {
		asked[name] = fr.ask(id, "ES")
		steps = append(steps, es.steps)
		es.steps = nil
	}
	for _, s := range steps {
		if len(s) == 0 || !slices.Equal(s, steps[0]) {
			t.Errorf("looked at %v, and for another request at %v", s, steps[0])
		}
	}

	tick := time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC) // asked at 12:00:07
	for _, at := range []time.Time{begin, tick.Add(-15 * time.Second), tick.Add(-time.Nanosecond)} {
		f.Clock.Set(at)
		if err := es.Answer(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.carry("ES", "FR")
		if n := len(fr.answers()); n != 0 {
			t.Fatalf("%d answers left before the tick, at %v", n, at)
		}
	}
	f.Clock.Set(tick)
	if err := es.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.carry("ES", "FR")
	answers := fr.answers()
	for name, r := range asked {
		a := answers[r.ID]
		if a == nil {
			t.Fatalf("%s: not answered on the tick", name)
		}
		if one := answers[asked["never was"].ID]; len(a.JWS) != len(one.JWS) || a.Type != one.Type || !slices.Equal(a.Terms.Handling, one.Terms.Handling) || len(a.Disclosures) != len(one.Disclosures) {
			t.Errorf("%s: an answer of %d bytes, another has %d", name, len(a.JWS), len(one.JWS))
		}
		got := fr.show(r.ID)
		if got.State != Refused || got.Refusal.Code != protocol.ScanUnknown || got.Refusal.Note != "" || !got.Refusal.At.Equal(tick) {
			t.Errorf("%s: %+v", name, got.Refusal)
		}
	}
	grounds := map[string]string{"exists, never told": "not-told", "never was": "no-such-exhibit", "never was, either": "no-such-exhibit"}
	for _, e := range es.entries("scan not released") {
		for name, r := range asked {
			if e.Object == r.ID && (e.Ground != grounds[name] || e.Details["told"] != protocol.ScanUnknown || e.Counterpart != "FR") {
				t.Errorf("%s: the log says %q", name, e.Ground)
			}
		}
	}
	if n := len(es.entries("scan not released")); n != 3 {
		t.Errorf("%d entries, want 3", n)
	}

	// Withdrawn: PT was told of it, and now asks for what is no longer there.
	withdraw(t, es, signature)
	r := pt.ask(signature, "ES")
	f.Clock.Set(tick.Add(time.Hour))
	if err := es.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.carry("ES", "PT")
	a := pt.answers()[r.ID]
	if a == nil || len(a.JWS) != len(answers[asked["never was"].ID].JWS) || pt.show(r.ID).Refusal.Code != protocol.ScanUnknown {
		t.Errorf("withdrawn: %+v", pt.show(r.ID))
	}
	if g := es.show(r.ID).Ground; g != "no-such-exhibit" {
		t.Errorf("withdrawn: the owner's record says %q", g)
	}
}

// withdraw takes an own document back.
func withdraw(t *testing.T, b *bureau, id string) {
	t.Helper()
	err := b.Store.Update(t.Context(), func(tx *store.Tx) error {
		_, err := b.Out.Withdraw(tx, exam1, id, dispatch.Withdrawal{Reason: protocol.ReasonCourtOrder})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryRefusalLeavesOnATick: those with a reason too, of policy and of people; and nobody is told by a person's haste.
func TestEveryRefusalLeavesOnATick(t *testing.T) {
	f, signature, nothing := hidden(t)
	es, pt := f.bureaus["ES"], f.bureaus["PT"]
	es.Engine = rules(t, `forbid (principal == Country::"PT", action == Action::"share", resource is Scan);`)
	denied, none := pt.ask(signature, "ES"), pt.ask(nothing, "ES")
	f.Clock.Set(begin.Add(time.Minute)) // 12:01:07: a node that was busy past its ticks
	if err := es.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.carry("ES", "PT")
	a, b := pt.show(denied.ID), pt.show(none.ID)
	if a.Refusal == nil || a.Refusal.Code != protocol.ScanPolicy || b.Refusal == nil || b.Refusal.Code != protocol.ScanUnknown || !a.Refusal.At.Equal(b.Refusal.At) {
		t.Fatalf("denied by policy: %+v; not there: %+v", a.Refusal, b.Refusal)
	}

	es.Engine = rules(t, "")
	asked := pt.ask(signature, "ES") // 12:01:07
	if s := es.show(asked.ID).State; s != Awaiting {
		t.Fatalf("the request is %s", s)
	}
	f.Clock.Set(begin.Add(time.Hour)) // 13:00:07
	for _, bad := range [][2]string{{"BORED", ""}, {protocol.ScanQuota, ""}, {protocol.ScanOther, ""}, {protocol.ScanUnknown, "a note"}, {protocol.ScanLaw, "\x1b[2J"}} {
		if _, err := es.Refuse(t.Context(), ncb, "", asked.ID, bad[0], bad[1]); err == nil {
			t.Errorf("refused for %q with the note %q", bad[0], bad[1])
		}
	}
	if _, err := es.Refuse(t.Context(), tech, "", asked.ID, protocol.ScanLaw, ""); err == nil || !strings.Contains(err.Error(), "scan:refuse") {
		t.Errorf("a technician refused: %v", err)
	}
	r, err := es.Refuse(t.Context(), ncb, "", asked.Number, protocol.ScanInvestigation, "until the trial")
	if err != nil || !r.Due.Equal(time.Date(2026, 3, 1, 13, 0, 30, 0, time.UTC)) {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := es.Approve(t.Context(), exam1, "", asked.ID, ""); err == nil || !strings.Contains(err.Error(), "nothing to decide") {
		t.Errorf("approved after the refusal: %v", err)
	}
	for _, step := range []struct {
		at   time.Time
		want State
	}{{r.Due.Add(-time.Nanosecond), Requested}, {r.Due, Refused}} {
		f.Clock.Set(step.at)
		if err := es.Answer(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.carry("ES", "PT")
		if got := pt.show(asked.ID); got.State != step.want {
			t.Errorf("at %v it is %s", step.at, got.State)
		}
	}
	if got := pt.show(asked.ID).Refusal; got.Code != protocol.ScanInvestigation || got.Note != "until the trial" {
		t.Errorf("%+v", got)
	}
	if _, err := es.Show(t.Context(), tech, asked.ID); err == nil {
		t.Error("a technician saw a request")
	}
}

// TestQuota: beyond it a country is told so on the tick, whatever it asks for; far beyond it is told nothing. Both are counted in the log.
func TestQuota(t *testing.T) {
	f, signature, _ := hidden(t)
	es, fr := f.bureaus["ES"], f.bureaus["FR"]
	es.Service.quota = 2
	var last *Request
	for i := range 10 {
		id := signature
		if i > 0 {
			id = bureautest.Must(protocol.NewDocumentID("ES", begin, rand.Reader))
		}
		last = fr.ask(id, "ES")
	}
	f.Clock.Set(begin.Add(time.Minute))
	if err := es.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.carry("ES", "FR")
	codes := map[string]int{}
	for _, r := range bureautest.Must(fr.Requests(t.Context(), exam1)) {
		if r.Refusal == nil {
			codes["none"]++
		} else {
			codes[r.Refusal.Code]++
		}
	}
	if codes[protocol.ScanUnknown] != 2 || codes[protocol.ScanQuota] != 6 || codes["none"] != 2 {
		t.Errorf("told %v", codes)
	}
	if fr.show(last.ID).State != Requested {
		t.Error("the request far beyond the quota was answered")
	}
	for range 2 { // the second time there is nothing left to write
		if err := es.FlushRefusals(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	q := bureautest.Must(es.Store.QueryAudit(t.Context(), store.AuditQuery{Limit: 1000, Decision: "deny"}))
	var counted []string
	for _, e := range q {
		if e.Ground == "quota" || e.Ground == "budget" {
			counted = append(counted, e.Ground+" "+e.Counterpart+" "+e.Details["times"])
		}
	}
	slices.Sort(counted)
	if want := []string{"budget FR 1", "quota FR 2"}; !slices.Equal(counted, want) { // the other refusals of the hour come with its end
		t.Errorf("counted %q, want %q", counted, want)
	}
	f.Clock.Set(begin.Add(26 * time.Hour))
	if r := fr.ask(bureautest.Must(protocol.NewDocumentID("ES", begin, rand.Reader)), "ES"); es.show(r.ID).Ground != "no-such-exhibit" {
		t.Error("what was asked a day ago still counts")
	}
}

// A suspended country's requests are judged and not answered.
func TestNoAnswerToASuspendedCountry(t *testing.T) {
	f, signature, _ := hidden(t)
	es, fr := f.bureaus["ES"], f.bureaus["FR"]
	r := fr.ask(signature, "ES")
	f.Enact("FR")
	f.Clock.Set(begin.Add(time.Minute))
	if err := es.Answer(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := es.show(r.ID)
	if got.State != Refused || got.Refusal.Document != "" || !strings.Contains(got.Timeline[len(got.Timeline)-1].Event, "not answered") {
		t.Errorf("%+v", got)
	}
}
