package tracing

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

func TestTraceCrossesABorderAndComesBack(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		t.Run(map[bool]string{false: "without a break", true: "with a restart between all steps"}[restarts], func(t *testing.T) {
			bs := newBureaus(t, "PT", "ES")
			pt, es := bs[0], bs[1]
			between := func() {
				if restarts {
					pt.restart()
					es.restart()
				}
			}
			ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "k1", soldInGermany))
			between()
			tr := ok[*Trace](t)(pt.NewTrace(t.Context(), investigator, "k1", ask("ES", "A810482"))) // 8 read for B
			if tr.Number != "PT-T-2026-000001" || tr.State != Submitted || tr.Direction != Outgoing || tr.Counterpart != "ES" || tr.Request.Priority != "routine" {
				t.Fatalf("%+v", tr)
			}
			between()
			deliver(t, pt, es)
			between()

			in := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.Number))
			if in.ID != tr.ID || in.State != Submitted || in.Direction != Incoming || in.Counterpart != "PT" || in.Request.Narrative != "under the floor" || in.Case != "" {
				t.Fatalf("incoming: %+v", in)
			}
			if len(in.Matches) != 1 || in.Matches[0].Reference != "ES-RA-7" || in.Matches[0].Rung != LookAlike || len(in.Matches[0].Remarks) != 0 {
				t.Fatalf("matches: %+v, %s", in.Matches, in.MatchNote)
			}
			if es.events("own records searched") != 1 || in.Answer != nil {
				t.Errorf("the search of own records is not in the log once, or the node answered by itself: %+v", in.Answer)
			}
			if _, err := es.Answer(t.Context(), operator, "early", tr.Number, Answer{Record: "ES-RA-7"}); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "trace ack") {
				t.Errorf("an answer before the acknowledgement: %v", err)
			}
			between()

			ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "k2", tr.Number, "we look at it"))
			between()
			again := ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "k2", tr.Number, "we look at it")) // the client retries
			if again.State != Acknowledged || len(again.Timeline) != 4 {
				t.Fatalf("%+v", again)
			}
			if _, err := es.Acknowledge(t.Context(), operator, "k3", tr.Number, ""); !errors.Is(err, desk.ErrConflict) {
				t.Errorf("a second acknowledgement: %v", err)
			}
			deliver(t, es, pt)
			between()
			if out := ok[*Trace](t)(pt.Trace(t.Context(), investigator, tr.ID)); out.State != Acknowledged || out.Timeline[1].Note != "we look at it" || out.Timeline[1].Country != "ES" {
				t.Fatalf("acknowledged: %+v", out)
			}

			ok[*Trace](t)(es.Answer(t.Context(), operator, "k4", tr.ID, Answer{Record: "ES-RA-7", Note: "see chain"}))
			between()
			deliver(t, es, pt)
			between()
			done := ok[*Trace](t)(pt.Trace(t.Context(), investigator, tr.Number))
			a := done.Answer
			if done.State != Completed || a == nil || a.Record != "ES-RA-7" || a.Status != "stolen" || len(a.Chain) != 3 || a.Firearm.Model != "CZ 99" {
				t.Fatalf("answered: %+v, %+v", done, a)
			}
			wantDays := int(now.AddDate(0, 0, -10).Truncate(24*time.Hour).Sub(time.Date(1998, 1, 10, 0, 0, 0, 0, time.UTC)).Hours() / 24)
			if a.TimeToCrime == nil || *a.TimeToCrime != wantDays {
				t.Errorf("time to crime %v, want %d", a.TimeToCrime, wantDays)
			}
			if a.Diversion != "the legal chain ends with the first purchaser in ES on 1998-01-10; reported stolen on 2025-05-04" {
				t.Errorf("point of diversion %q", a.Diversion)
			}
			if a.Chain[2].Name != "" || a.Chain[1].Name != "Waffen Huber" {
				t.Errorf("the first purchaser's name left without being released: %+v", a.Chain)
			}
			events := []Event{}
			for _, s := range done.Timeline {
				events = append(events, s.Event)
				if (s.By == "") == (s.Country == "") || s.At.IsZero() {
					t.Errorf("a step is of one of the own people or of a country, and stamped: %+v", s)
				}
			}
			if !slices.Equal(events, []Event{Submit, Acknowledge, Begin, AnswerCompleted}) {
				t.Errorf("timeline %v", events)
			}
			if deliver(t, pt, es)+deliver(t, es, pt) != 0 {
				t.Error("something was still waiting")
			}
			for _, b := range bs {
				verifier := ok[note.Verifier](t)(note.NewVerifier(b.LogKey()))
				ok[store.AuditReport](t)(b.Store.VerifyAudit(t.Context(), verifier, nil))
			}
			if pt.events("trace request submitted") != 1 || es.events("trace request acknowledged") != 1 || es.events("trace request answered: COMPLETED") != 1 {
				t.Error("an act is not in the log exactly once")
			}
		})
	}
}

func TestNothingFoundAndPurchaserReleased(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	ok[*Firearm](t)(es.AddFirearm(t.Context(), operator, "", soldInGermany))
	none := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", ask("ES", "ZZ99999")))
	some := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", ask("ES", "AB10482")))
	if some.Number != "PT-T-2026-000002" {
		t.Errorf("number %s", some.Number)
	}
	deliver(t, pt, es)
	for _, tr := range []*Trace{none, some} {
		ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "", tr.Number, ""))
	}
	for _, bad := range []Answer{{}, {Outcome: "SOLVED"}, {Outcome: "COMPLETED"}, {Outcome: "UNSUCCESSFUL"}, {Outcome: "UNSUCCESSFUL", Record: "ES-RA-7"},
		{Outcome: "UNSUCCESSFUL", Reasons: []string{"LAZY"}}} {
		if _, err := es.Answer(t.Context(), operator, "", none.Number, bad); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("answer %+v: %v", bad, err)
		}
	}
	if _, err := es.Answer(t.Context(), operator, "", none.Number, Answer{Record: "ES-RA-8"}); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("answer from a record that is not there: %v", err)
	}
	ok[*Trace](t)(es.Answer(t.Context(), operator, "", none.Number, Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}))
	ok[*Trace](t)(es.Answer(t.Context(), operator, "", some.Number, Answer{Record: "ES-RA-7", Outcome: "PARTIAL", Reasons: []string{"RECORDS_LOST"}, WithPurchaser: true, Diversion: "shop closed"}))
	deliver(t, es, pt)
	list := ok[[]*Trace](t)(pt.ListTraces(t.Context(), investigator, TraceFilter{Direction: Outgoing}))
	if len(list) != 2 || list[0].ID != some.ID || list[0].State != PartialTrace || list[1].State != Unsuccessful {
		t.Fatalf("%+v", list)
	}
	if a := list[0].Answer; a.Chain[2].Name != "Juan Pérez" || a.Diversion != "shop closed" {
		t.Errorf("%+v", a)
	}
	for _, c := range []struct {
		f    TraceFilter
		want int
	}{{TraceFilter{}, 2}, {TraceFilter{Open: true}, 0}, {TraceFilter{State: Unsuccessful}, 1}, {TraceFilter{Direction: Incoming}, 0}, {TraceFilter{Counterpart: "FR"}, 0}, {TraceFilter{Limit: 1}, 1}} {
		if got := ok[[]*Trace](t)(pt.ListTraces(t.Context(), investigator, c.f)); len(got) != c.want {
			t.Errorf("%+v lists %d, want %d", c.f, len(got), c.want)
		}
	}
}

func TestForeignDocumentsThatDoNotBelongAreRefused(t *testing.T) {
	bs := newBureaus(t, "PT", "ES", "FR")
	pt, es, fr := bs[0], bs[1], bs[2]
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", ask("ES", "AB10482")))
	deliver(t, pt, es)
	unknown := ok[string](t)(protocol.NewID(now, rand.Reader))
	ack := func(id string) *protocol.TraceStatusBody {
		return &protocol.TraceStatusBody{Request: id, Status: "ACKNOWLEDGED"}
	}
	answer := func(id string) *protocol.TraceAnswerBody {
		return &protocol.TraceAnswerBody{Request: id, Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}
	}
	check := func(b *bureau, typ protocol.Type, want ...string) {
		t.Helper()
		got := b.Refused(typ)
		for _, w := range want {
			if !slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, w) }) {
				t.Errorf("%s refused %s for %q, want one with %q", b.Country, typ, got, w)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s refused %d of %s, want %d: %q", b.Country, len(got), typ, len(want), got)
		}
	}

	fr.forge("PT", protocol.TypeTraceStatus, ack(tr.ID))
	fr.forge("PT", protocol.TypeTraceAnswer, answer(tr.ID))
	fr.forge("PT", protocol.TypeTraceStatus, ack(unknown))
	es.forge("PT", protocol.TypeTraceAnswer, answer(tr.ID)) // before its acknowledgement
	pt.forge("ES", protocol.TypeTraceStatus, ack(tr.ID))    // the asker acknowledges its own request
	deliver(t, fr, pt)
	deliver(t, es, pt)
	deliver(t, pt, es)
	check(pt, protocol.TypeTraceStatus, "was sent to ES; FR has no say", "never made")
	check(pt, protocol.TypeTraceAnswer, "was sent to ES; FR has no say", "SUBMITTED cannot be")
	check(es, protocol.TypeTraceStatus, "not of this country")
	if got := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID)); got.State != Submitted || len(got.Timeline) != 1 || got.Answer != nil {
		t.Fatalf("refused documents changed the trace: %+v", got)
	}

	es.forge("PT", protocol.TypeTraceStatus, ack(tr.ID))
	es.forge("PT", protocol.TypeTraceAnswer, answer(tr.ID))
	es.forge("PT", protocol.TypeTraceAnswer, answer(tr.ID)) // another answer, after the trace has ended
	es.forge("PT", protocol.TypeTraceStatus, ack(tr.ID))
	deliver(t, es, pt)
	check(pt, protocol.TypeTraceStatus, "was sent to ES; FR has no say", "never made", "UNSUCCESSFUL cannot be")
	check(pt, protocol.TypeTraceAnswer, "was sent to ES; FR has no say", "SUBMITTED cannot be", "UNSUCCESSFUL cannot be")
	if got := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.ID)); got.State != Unsuccessful || len(got.Timeline) != 4 {
		t.Fatalf("%+v", got)
	}
}

// The same document in a later message, as a sender that lost its memory would send it, changes nothing.
func TestLateDuplicatesChangeNothing(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", ask("ES", "AB10482")))
	deliver(t, pt, es)
	ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "", tr.ID, ""))
	ok[*Trace](t)(es.Answer(t.Context(), operator, "", tr.ID, Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}}))
	deliver(t, es, pt)
	before := [2]string{dump(t, pt, tr.ID), dump(t, es, tr.ID)}
	for _, p := range [][2]*bureau{{pt, es}, {es, pt}} {
		from, to := p[0], p[1]
		err := from.Store.Update(t.Context(), func(tx *store.Tx) error {
			for id, r := range dispatch.Documents.All(tx) {
				if r.Status == dispatch.Own {
					if err := tx.Enqueue(string(to.Country), string(protocol.Urgent), id); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if deliver(t, from, to) == 0 {
			t.Fatal("no duplicate was sent")
		}
	}
	if after := [2]string{dump(t, pt, tr.ID), dump(t, es, tr.ID)}; after != before {
		t.Errorf("duplicates changed\n%s\nto\n%s", before, after)
	}
	for _, typ := range []protocol.Type{protocol.TypeTraceRequest, protocol.TypeTraceStatus, protocol.TypeTraceAnswer} {
		if r := append(pt.Refused(typ), es.Refused(typ)...); len(r) > 0 {
			t.Errorf("duplicates of %s were refused: %q", typ, r)
		}
	}
	for _, b := range bs {
		if denied := ok[[]store.AuditRecord](t)(b.Store.QueryAudit(t.Context(), store.AuditQuery{Decision: "deny", Limit: 5})); len(denied) > 0 {
			t.Errorf("%s has duplicates in its log as refused: %+v", b.Country, denied)
		}
	}
}

func dump(t *testing.T, b *bureau, id string) string {
	t.Helper()
	return string(ok[[]byte](t)(json.Marshal(ok[*Trace](t)(b.Trace(t.Context(), operator, id)))))
}

func TestNewTraceSaysWhatIsMissingBeforeAnythingIsSent(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt := bs[0]
	for _, c := range []struct {
		name   string
		change func(n *NewTrace)
		class  error
		want   []string
	}{
		{"no description", func(n *NewTrace) { n.Firearm = protocol.FirearmDescription{} }, desk.ErrInvalid, []string{"kind", "make", "calibre", "serial number"}},
		{"no number and no marks", func(n *NewTrace) { n.Firearm.Serial, n.Firearm.SerialState = "", Obliterated }, desk.ErrInvalid, []string{"marks"}},
		{"contradicting serial", func(n *NewTrace) { n.Firearm.SerialState = NotMarked }, desk.ErrInvalid, []string{"NOT_MARKED and there is a number"}},
		{"no justification", func(n *NewTrace) { n.LegalJustification = "" }, desk.ErrInvalid, []string{"legal_justification"}},
		{"urgent without reason", func(n *NewTrace) { n.Priority = "urgent" }, desk.ErrInvalid, []string{"priority_reason"}},
		{"to itself", func(n *NewTrace) { n.To = "PT" }, desk.ErrInvalid, []string{"firearm search"}},
		{"to no country", func(n *NewTrace) { n.To = "pt" }, desk.ErrInvalid, []string{"capitals"}},
		{"to a stranger", func(n *NewTrace) { n.To = "DE" }, desk.ErrInvalid, []string{"not an active member"}},
		{"of no record", func(n *NewTrace) { n.Record = "PT-X" }, desk.ErrNotFound, []string{"PT-X"}},
	} {
		n := ask("ES", "AB10482")
		c.change(&n)
		_, err := pt.NewTrace(t.Context(), operator, "k-"+c.name, n)
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", c.name, err, w)
			}
		}
	}
	if list := ok[[]*Trace](t)(pt.ListTraces(t.Context(), operator, TraceFilter{})); len(list) != 0 || deliver(t, pt, bs[1]) != 0 {
		t.Errorf("something was stored or sent: %+v", list)
	}
}

func TestNewTraceTakesFromTheOwnRecord(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt := bs[0]
	f := soldInGermany
	f.Reference, f.Status, f.Custody = "PT-RA-1", "recovered", nil
	f.Recovery = &Recovery{Place: "Porto", Occurred: protocol.Interval{From: now.AddDate(0, 0, -3), To: now.AddDate(0, 0, -2)}, Circumstances: "in a car"}
	rec := ok[*Firearm](t)(pt.AddFirearm(t.Context(), operator, "", f))
	if rec.Recovery.Entered.IsZero() || rec.SerialCanonical != "AB10482" || rec.SerialState != Clear {
		t.Errorf("%+v", rec)
	}
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "k", NewTrace{To: "ES", Record: rec.ID, LegalJustification: "j", Circumstances: "c", IntendedUse: "u", Agency: "a"}))
	if tr.Firearm != "PT-RA-1" || tr.Request.Firearm.Serial != "AB 10482" || tr.Request.RecoveryPlace != "Porto" || tr.Case != f.Case {
		t.Errorf("%+v", tr)
	}
	same := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "k", NewTrace{To: "ES", Record: rec.ID, LegalJustification: "j", Circumstances: "c", IntendedUse: "u", Agency: "a"}))
	if same.ID != tr.ID {
		t.Error("a retried command made a second trace")
	}
}

func TestPolicyDecidesWhoMayAndWhomToAnswer(t *testing.T) {
	bs := newBureaus(t, "PT", "ES")
	pt, es := bs[0], bs[1]
	if _, err := pt.NewTrace(t.Context(), technician, "", ask("ES", "AB10482")); !errors.Is(err, desk.ErrForbidden) {
		t.Fatalf("a technician's trace: %v", err)
	}
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", ask("ES", "AB10482")))
	deliver(t, pt, es)
	for _, ref := range []string{tr.ID, "PT-T-2026-000099"} { // whether it is there or not must not show
		if _, err := es.Acknowledge(t.Context(), technician, "", ref, ""); !errors.Is(err, desk.ErrForbidden) {
			t.Errorf("a technician acknowledges %s: %v", ref, err)
		}
		if _, err := es.Trace(t.Context(), technician, ref); !errors.Is(err, desk.ErrForbidden) {
			t.Errorf("a technician sees %s: %v", ref, err)
		}
	}
	if _, err := es.Acknowledge(t.Context(), operator, "", "PT-T-2026-000099", ""); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("acknowledging what is not there: %v", err)
	}
	if _, err := pt.Acknowledge(t.Context(), operator, "", tr.ID, ""); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("acknowledging the own request: %v", err)
	}
	ok[*Trace](t)(es.Acknowledge(t.Context(), operator, "", tr.ID, ""))

	es.Engine = ok[*policy.Engine](t)(policy.Load(withPolicy(t, `@id("no-answers") forbid (principal == Country::"PT", action == Action::"answer", resource);`)))
	_, err := es.Answer(t.Context(), operator, "k", tr.ID, Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}})
	if !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), "answered") {
		t.Errorf("an answer that policy forbids: %v", err)
	}
	denials := ok[[]store.AuditRecord](t)(es.Store.QueryAudit(t.Context(), store.AuditQuery{Decision: "deny", Counterpart: "PT", Limit: 10}))
	if len(denials) != 1 || denials[0].Actor != operator.Name {
		t.Errorf("the refusal is not in the log once: %+v", denials)
	}
	if got := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID)); got.State != Acknowledged || got.Answer != nil {
		t.Errorf("a refused answer changed the trace: %+v", got)
	}
	es.Engine = policy.Default()
	if got := ok[*Trace](t)(es.Answer(t.Context(), operator, "k", tr.ID, Answer{Outcome: "UNSUCCESSFUL", Reasons: []string{"NO_RECORD"}})); got.State != Unsuccessful {
		t.Errorf("the same command once policy allows it: %+v", got)
	}
}

// withPolicy is the default policy with one more rule.
func withPolicy(t *testing.T, rule string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{"99-test.cedar": {Data: []byte(rule)}}
	files := policy.DefaultFiles()
	for _, name := range ok[[]string](t)(fs.Glob(files, "*.cedar")) {
		out[name] = &fstest.MapFile{Data: ok[[]byte](t)(fs.ReadFile(files, name))}
	}
	return out
}

func TestWiderReleaseAndAmbiguousNumbers(t *testing.T) {
	bs := newBureaus(t, "PT", "ES", "FR")
	pt, es, fr := bs[0], bs[1], bs[2]
	es.Engine = policy.Default()
	pt.Engine = ok[*policy.Engine](t)(policy.Load(withPolicy(t,
		`@id("keep-names") @redact("officer possessor") permit (principal == Country::"ES", action == Action::"share", resource is TraceRequest) when { resource.addressee == principal };`)))
	tr := ok[*Trace](t)(pt.NewTrace(t.Context(), operator, "", ask("ES", "AB10482")))
	deliver(t, pt, es)
	narrow := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID))
	if narrow.Request.Officer != "" || narrow.Request.Possessor != "" || narrow.Request.Narrative == "" || !slices.Equal(narrow.Withheld, []string{"officer", "possessor"}) {
		t.Fatalf("%+v", narrow.Request)
	}
	pt.Engine = policy.Default()
	err := pt.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.Enqueue("ES", string(protocol.Urgent), tr.ID) })
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, pt, es)
	wide := ok[*Trace](t)(es.Trace(t.Context(), operator, tr.ID))
	if wide.Request.Officer != "Insp. Silva" || wide.Withheld != nil || wide.Undisclosed != 0 || len(wide.Timeline) != len(narrow.Timeline)+1 || wide.State != Submitted {
		t.Errorf("%+v", wide)
	}

	body := tr.Request
	pt.forge("ES", protocol.TypeTraceRequest, &body) // PT gives its number twice
	deliver(t, pt, es)
	if _, err := es.Trace(t.Context(), operator, tr.Number); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "by its id") {
		t.Errorf("an ambiguous number: %v", err)
	}
	fr.forge("PT", protocol.TypeTraceRequest, &body) // and FR one that is PT's
	deliver(t, fr, pt)
	if list := ok[[]*Trace](t)(pt.ListTraces(t.Context(), operator, TraceFilter{Counterpart: "FR"})); len(list) != 0 {
		t.Errorf("FR's request under a number of PT was taken: %+v", list[0])
	}
	if got := ok[*Trace](t)(pt.Trace(t.Context(), operator, tr.Number)); got.ID != tr.ID {
		t.Error("a foreign number hides the own one")
	}
}
