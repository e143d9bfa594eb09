package operations

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// plan is an operation that begins a day after the clock of newBureaus and lasts a month.
func plan(members ...protocol.Country) NewOperation {
	return NewOperation{Name: "Converted pistols", Purpose: "find the workshops", LegalBasis: "agreement of 3 May 2025", Members: members,
		From: begin.AddDate(0, 0, -9), Until: begin.AddDate(0, 1, 0), Handling: []string{"H2"}}
}

// founded founds an operation by two people.
func (b *bureau) founded(n NewOperation) *View {
	b.t.Helper()
	v := ok[*View](b.t)(b.Propose(b.t.Context(), olga, "p"+n.Name, n))
	if v.Phase != PhaseDraft || v.Pending == nil {
		b.t.Fatalf("proposed by one person: %+v", v)
	}
	return ok[*View](b.t)(b.Approve(b.t.Context(), otto, "a"+n.Name, v.Number))
}

func (b *bureau) joins(number string) {
	b.t.Helper()
	if v := ok[*View](b.t)(b.Accept(b.t.Context(), olga, "j1"+number, Note{Ref: number})); v.Phase != PhaseOffered || v.Pending == nil {
		b.t.Fatalf("accepted by one person: %+v", v)
	}
	ok[*View](b.t)(b.Approve(b.t.Context(), otto, "j2"+number, number))
}

// TestWhatIsSharedForAnOperationEndsWithIt is an operation's whole life by the clock: nothing before it begins, its members alone while it runs, no copy
// and no new sharing afterwards.
func TestWhatIsSharedForAnOperationEndsWithIt(t *testing.T) {
	all, clock := newBureaus(t, "PT", "ES", "FR")
	pt, es, fr := all[0], all[1], all[2]
	op := pt.founded(plan("ES", "FR")).Number
	rest(t, all...)
	id := pt.publish(op)
	es.joins(op)
	rest(t, all...)
	if es.held(id) != nil || fr.held(id) != nil {
		t.Fatal("shared before the operation began")
	}
	clock.Set(begin.AddDate(0, 0, -9))
	rest(t, all...)
	rec := es.held(id)
	if rec == nil || fr.held(id) != nil {
		t.Fatalf("ES has %v, FR, which did not accept, has %v", rec, fr.held(id))
	}
	if until := begin.AddDate(0, 1, 0); !rec.Terms.RetainUntil.Equal(until) || !slices.Equal(rec.Terms.Operations, []string{op}) || !slices.Contains(rec.Terms.Handling, "H2") {
		t.Errorf("terms at ES: %+v, want until %v", rec.Terms, until)
	}
	open := pt.publish() // without a tag: to everybody, and not bound to the operation
	fr.joins(op)
	rest(t, all...)
	if fr.held(id) == nil || fr.held(open) == nil || len(fr.held(open).Terms.Operations) != 0 {
		t.Error("FR has joined and lacks what it may have")
	}

	// What waits when the operation ends is asked about again, and stays.
	late := pt.publish(op)
	clock.Set(begin.AddDate(0, 1, 0))
	rest(t, all...)
	for _, b := range []*bureau{es, fr} {
		if b.held(id) != nil || b.held(late) != nil {
			t.Errorf("%s holds a copy after the end", b.Country)
		}
		if b.held(open) == nil {
			t.Errorf("%s lost what was not shared for the operation", b.Country)
		}
		if v := ok[*View](t)(b.Show(t.Context(), tina, op)); v.Phase != PhaseEnded {
			t.Errorf("%s: %s", b.Country, v.Phase)
		}
	}
	erased := ok[[]store.AuditRecord](t)(es.Store.QueryAudit(t.Context(), store.AuditQuery{Limit: 1000}))
	if !slices.ContainsFunc(erased, func(r store.AuditRecord) bool { return r.Action == protocol.ActErase && r.Object == id }) {
		t.Error("the erasure is not in the log of ES")
	}
	if !slices.ContainsFunc(erased, func(r store.AuditRecord) bool { return r.Event == "operation ended: its time is over" }) {
		t.Error("the end is not in the log of ES")
	}
}

// TestAnOperationEndsSooner: a member leaves, then the founder ends it; copies end at once, each country's where they must.
func TestAnOperationEndsSooner(t *testing.T) {
	all, clock := newBureaus(t, "PT", "ES", "FR")
	pt, es, fr := all[0], all[1], all[2]
	op := pt.founded(plan("ES", "FR")).Number
	rest(t, all...)
	es.joins(op)
	fr.joins(op)
	clock.Set(begin)
	rest(t, all...)
	ofPT, ofES := pt.publish(op), es.publish(op)
	rest(t, all...)
	if es.held(ofPT) == nil || fr.held(ofPT) == nil || fr.held(ofES) == nil || pt.held(ofES) == nil {
		t.Fatal("not shared while it runs")
	}
	if _, err := es.End(t.Context(), olga, "e", Note{Ref: op, Note: "over"}); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("a member ends it for all: %v", err)
	}
	if _, err := es.Leave(t.Context(), olga, "l0", Note{Ref: op}); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("left without a reason: %v", err)
	}
	for range 2 { // the same command again
		if v := ok[*View](t)(es.Leave(t.Context(), olga, "l", Note{Ref: op, Note: "the court forbids it"})); v.Phase != PhaseLeft {
			t.Fatal(v.Phase)
		}
	}
	more := pt.publish(op)
	rest(t, all...)
	if es.held(ofPT) != nil || es.held(more) != nil || fr.held(ofES) != nil || pt.held(ofES) != nil {
		t.Error("ES has left: a copy of its own stays abroad, or one of others with it")
	}
	if fr.held(ofPT) == nil || fr.held(more) == nil {
		t.Error("between PT and FR it goes on")
	}
	if _, err := es.Accept(t.Context(), olga, "again", Note{Ref: op}); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("joined again: %v", err)
	}
	ok[*View](t)(pt.End(t.Context(), olga, "e", Note{Ref: op, Note: "the workshops were found"}))
	last := pt.publish(op)
	rest(t, all...)
	if fr.held(ofPT) != nil || fr.held(more) != nil || fr.held(last) != nil {
		t.Error("FR holds copies of an operation that was ended")
	}
	if v := ok[*View](t)(fr.Show(t.Context(), olga, op)); v.Phase != PhaseEnded || v.Ended.Reason != "the workshops were found" {
		t.Errorf("%+v", v)
	}
}

func TestTwoPeopleAndRoles(t *testing.T) {
	all, clock := newBureaus(t, "PT", "ES")
	pt, es := all[0], all[1]
	if _, err := pt.Propose(t.Context(), tina, "k0", plan("ES")); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician proposes: %v", err)
	}
	for name, change := range map[string]func(n *NewOperation){
		"no legal basis": func(n *NewOperation) { n.LegalBasis = " " }, "alone": func(n *NewOperation) { n.Members = nil },
		"ended before": func(n *NewOperation) { n.Until = begin.AddDate(-1, 0, 0) }, "no end": func(n *NewOperation) { n.Until = time.Time{} },
	} {
		n := plan("ES")
		change(&n)
		if _, err := pt.Propose(t.Context(), olga, "k"+name, n); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	v := ok[*View](t)(pt.Propose(t.Context(), olga, "k1", plan("ES")))
	for _, who := range []desk.Actor{olga, tina} {
		if _, err := pt.Approve(t.Context(), who, "k2", v.Number); !errors.Is(err, desk.ErrForbidden) {
			t.Errorf("%s approves: %v", who.Name, err)
		}
	}
	rest(t, all...)
	if list := ok[[]*View](t)(es.List(t.Context(), tina)); len(list) != 0 {
		t.Fatalf("ES knows of a draft: %+v", list[0])
	}
	// One whom policy keeps from being told is no member.
	pt.Engine = silent(t)
	if _, err := pt.Approve(t.Context(), otto, "k3", v.Number); !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), "OperationDocument") {
		t.Errorf("founded although nobody may be told: %v", err)
	}
	pt.Engine = policy.Default()
	for range 2 {
		if v = ok[*View](t)(pt.Approve(t.Context(), otto, "k4", v.Number)); v.Phase != PhaseWaiting {
			t.Fatalf("%+v", v)
		}
	}
	rest(t, all...)
	if v = ok[*View](t)(es.Show(t.Context(), tina, v.Number)); v.Phase != PhaseOffered || v.Members[1].State != "founder" || v.Members[0].State != "invited" {
		t.Errorf("at ES: %+v", v)
	}
	ok[*View](t)(es.Accept(t.Context(), olga, "k5", Note{Ref: v.ID}))
	ok[*View](t)(es.Reject(t.Context(), otto, "k6", Note{Ref: v.ID, Note: "no"}))
	if _, err := es.Approve(t.Context(), otto, "k7", v.ID); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("approved after it was rejected: %v", err)
	}
	ok[*View](t)(es.Accept(t.Context(), olga, "k8", Note{Ref: v.ID}))
	clock.Set(begin.AddDate(0, 2, 0))
	if _, err := es.Approve(t.Context(), otto, "k9", v.ID); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("approved after its end: %v", err)
	}
	if _, err := es.Leave(t.Context(), olga, "k10", Note{Ref: v.ID, Note: "x"}); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("left after its end: %v", err)
	}
}

// silent is the default policy with a rule by which nobody is told of operations.
func silent(t testing.TB) *policy.Engine {
	t.Helper()
	files := map[string]string{"99-silent.cedar": `@id("silent") forbid (principal, action == Action::"share", resource is OperationDocument);`}
	for _, ref := range policy.Default().Policies() {
		files[ref.File] = string(ok[[]byte](t)(fs.ReadFile(policy.DefaultFiles(), ref.File)))
	}
	return ok[*policy.Engine](t)(policy.LoadTexts(files))
}

// TestHostileWords: what a member says of operations that are not its own, that it is not in, or that nobody founded.
func TestHostileWords(t *testing.T) {
	all, clock := newBureaus(t, "PT", "ES", "FR")
	pt, es, fr := all[0], all[1], all[2]
	v := pt.founded(plan("ES"))
	rest(t, all...)
	es.joins(v.Number)
	clock.Set(begin)
	rest(t, all...)
	body := func(change func(b *protocol.OperationBody)) *protocol.OperationBody {
		b := v.Body
		b.Members = []protocol.Country{"FR", "PT"}
		b.Number = "FR-O-2026-000001"
		change(&b)
		return &b
	}
	fr.forge(protocol.TypeOperation, body(func(b *protocol.OperationBody) { b.Number = v.Number }), "PT")                                  // another's number
	fr.forge(protocol.TypeOperation, body(func(b *protocol.OperationBody) { b.Members = []protocol.Country{"ES", "PT"} }), "PT")           // not in it itself
	fr.forge(protocol.TypeOperation, body(func(b *protocol.OperationBody) { b.Members = []protocol.Country{"ES", "FR"} }), "PT")           // PT is not named
	fr.forge(protocol.TypeOperation, body(func(b *protocol.OperationBody) {}), "PT")                                                       // the only sound one
	fr.forge(protocol.TypeOperation, body(func(b *protocol.OperationBody) { b.Name = "another" }), "PT")                                   // the same number again
	fr.forge(protocol.TypeOperationAcceptance, &protocol.OperationAcceptanceBody{Operation: v.ID, SHA256: strings.Repeat("0a", 32)}, "PT") // not named in it
	fr.forge(protocol.TypeOperationEnd, &protocol.OperationEndBody{Operation: v.ID, Reason: "mine now"}, "PT")
	es.forge(protocol.TypeOperationEnd, &protocol.OperationEndBody{Operation: strings.Replace(v.ID, v.ID[:8], "00000000", 1), Reason: "x"}, "PT") // nobody founded it
	rest(t, all...)
	want := map[protocol.Type][]string{
		protocol.TypeOperation:           {"begin with FR-O-", "not among them", "does not name PT", "another operation with the number"},
		protocol.TypeOperationAcceptance: {"does not name FR"},
		protocol.TypeOperationEnd:        {"does not name FR", "never founded"},
	}
	for typ, says := range want {
		got := pt.Refused(typ)
		for _, s := range says {
			if !slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, s) }) {
				t.Errorf("%s: no refusal says %q: %q", typ, s, got)
			}
		}
		if len(got) != len(says) {
			t.Errorf("%s: %d refusals: %q", typ, len(got), got)
		}
	}
	if got := ok[*View](t)(pt.Show(t.Context(), olga, v.Number)); got.Phase != PhaseRunning || len(got.Members) != 2 {
		t.Errorf("%+v", got)
	}
}

// A member's acceptance and end may overtake what they are about, which comes from another country.
func TestWordsOvertakeTheOperation(t *testing.T) {
	all, clock := newBureaus(t, "PT", "ES", "FR")
	pt, es, fr := all[0], all[1], all[2]
	v := pt.founded(plan("ES", "FR"))
	rest(t, pt, es)
	es.joins(v.Number)
	es.Carry(fr.Bureau)
	if list := ok[[]*View](t)(fr.List(t.Context(), olga)); len(list) != 0 {
		t.Fatalf("FR shows what it has not got: %+v", list[0])
	}
	rest(t, all...)
	fr.joins(v.Number)
	clock.Set(begin)
	id := es.publish(v.Number)
	rest(t, all...)
	if fr.held(id) == nil {
		t.Error("ES and FR are both in it, and nothing was shared")
	}
	// Another text under the same id would not be what was accepted.
	if err := fr.Store.Update(t.Context(), func(tx *store.Tx) error {
		o, err := operations.Get(tx, v.ID)
		if err != nil {
			return err
		}
		o.Parts["ES"].SHA256 = strings.Repeat("0a", 32)
		running := fr.runningAfter(tx, o)
		if len(running) != 0 {
			t.Errorf("runs with a country that accepted another text: %v", running)
		}
		return errors.New("only looked at")
	}); err == nil {
		t.Error("changed")
	}
}
