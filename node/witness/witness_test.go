package witness

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rules "proofmark/crypto/witness"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

func TestMembersCosignEachOther(t *testing.T) {
	t.Parallel()
	f := newFederation(t, t.TempDir(), "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	if v, err := pt.Save(t.Context(), desk.Actor{Name: "A", Roles: []string{policy.Auditor}}); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("saved %+v, %v", v, err)
	}
	for _, b := range f.bureaus {
		b.grow(5)
	}
	f.turn()
	s := pt.state()
	if s.Wanted != 2 || s.Cosigned == nil || !s.Cosigned.Enough || len(s.Cosigned.By) != 2 || s.Cosigned.By[0].Country != "ES" || len(s.Alarms) > 0 {
		t.Fatalf("%+v", s)
	}
	ring, _, err := es.keyring()
	check(t, err)
	if o, err := ring.Open([]byte(s.Cosigned.Note)); err != nil || o.Country != "PT" || len(o.Cosignatures) != 2 || o.N != s.Cosigned.Size {
		t.Errorf("%+v, %v", o, err)
	}

	// An idle federation stays idle: cosigning leaves no entries, and nothing is offered again within the hour.
	f.turn()
	before := pt.size() + es.size() + fr.size()
	for range 20 {
		f.turn()
	}
	if after := pt.size() + es.size() + fr.size(); after != before {
		t.Errorf("%d entries came of nothing but witnessing", after-before)
	}
	first := pt.state().Cosigned.By[0].At
	f.add(time.Hour)
	f.turn()
	if again := pt.state().Cosigned.By[0].At; !again.After(first) {
		t.Errorf("after an hour the cosignature is still of %s", again)
	}

	// A witness that was away takes up the log where it is.
	f.leave("FR", true)
	was := pt.size()
	for range 3 {
		pt.grow(4)
		f.turn()
	}
	if pt.size() != was+12 {
		t.Errorf("a witness that is away makes %d entries", pt.size()-was-12)
	}
	s = pt.state()
	if s.Cosigned.Enough && s.Cosigned.Size == s.Entries {
		t.Errorf("enough without FR: %+v", s.Cosigned)
	}
	f.leave("FR", false)
	pt.grow(1)
	f.turn()
	if s = pt.state(); !s.Cosigned.Enough || s.Cosigned.Size != s.Entries || len(s.Alarms) > 0 {
		t.Errorf("%+v", s)
	}
	if v := fr.view("PT"); v.Size != pt.size() || v.LogState.Evidence+v.Alarms > 0 {
		t.Errorf("FR holds %+v", v)
	}
	for _, who := range []string{policy.Auditor, policy.Administrator, policy.NCBOperator, policy.Technician} {
		_, err := pt.Status(t.Context(), desk.Actor{Name: "A", Roles: []string{who}})
		if (err == nil) != (who != policy.Technician) {
			t.Errorf("%s: %v", who, err)
		}
	}
}

func TestAnOldCopyIsProved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFederation(t, dir, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.grow(10)
	f.turn()
	old := filepath.Join(dir, "old")
	pt.copyTo(old)
	pt.grow(10)
	f.leave("FR", true) // which therefore has not seen what is lost
	f.turn()
	lost := pt.size()
	pt.putBack(old)
	pt.grow(2)
	f.turn()
	v := es.view("PT")
	if v.Alarms != 1 || len(v.Evidence) != 1 || v.Evidence[0].Verdict != "rollback" || v.Evidence[0].First != lost || v.Evidence[0].Then >= lost || v.Evidence[0].From != "ES" {
		t.Fatalf("ES: %+v", v)
	}
	if v.Size != lost || v.Refused != "rollback" {
		t.Errorf("ES goes by %d, refused as %q", v.Size, v.Refused)
	}
	// PT has been shown its own signature.
	if v := pt.view("PT"); v.Alarms != 1 || v.Evidence[0].From != "ES" {
		t.Errorf("PT: %+v", v)
	}
	if fig, err := pt.Figures(); err != nil || fig.OwnAlarms != 1 {
		t.Errorf("%+v, %v", fig, err)
	}
	// FR learns it from the others, believing nobody, though PT's old copy is consistent with all that FR knows.
	f.leave("FR", false)
	f.turn()
	f.turn()
	v = fr.view("PT")
	if v.Alarms != 1 || v.Evidence[0].From == "FR" {
		t.Fatalf("FR: %+v", v)
	}
	log, _ := es.ring.Log("PT")
	if found, err := v.Evidence[0].Evidence.Check(log.Verifier); err != nil || found.Verdict != rules.Rollback {
		t.Errorf("%+v, %v", found, err)
	}
	// Grown beyond what was lost it is a fork, and proved to be one.
	pt.grow(20)
	f.turn()
	if v = es.view("PT"); v.Size != lost || v.Alarms != 2 || v.Evidence[1].Verdict != "fork" || v.Evidence[1].Then <= lost {
		t.Errorf("ES: %+v", v)
	}
	grown := es.size()
	for range 10 {
		pt.grow(1)
		f.turn()
	}
	if more := es.size() - grown; more > 4 { // what the others found is told once
		t.Errorf("a log that goes on contradicting itself made %d entries", more)
	}
}

func TestADeclaredRestoreBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFederation(t, dir, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.grow(10)
	f.turn()
	old, older := filepath.Join(dir, "old"), filepath.Join(dir, "older")
	pt.copyTo(old)
	pt.copyTo(older)
	declare := func(id string) {
		c, err := pt.store.Checkpoint()
		check(t, err)
		pt.restored = &protocol.Restored{ID: id, At: f.now(), Made: f.now(), Checkpoint: string(c)}
	}
	pt.grow(10)
	f.turn()
	lost := pt.size()
	f.leave("FR", true)

	// First without a word, then declared: what was an alarm is explained, and stays.
	pt.putBack(old)
	pt.grow(1)
	f.turn()
	if v := es.view("PT"); v.Alarms != 1 {
		t.Fatalf("ES: %+v", v)
	}
	declare("00000000000000000000000000000001")
	check(t, pt.settleOwn(t.Context()))
	pt.grow(3)
	f.turn()
	v := es.view("PT")
	if v.Alarms != 0 || len(v.Evidence) != 1 || v.Evidence[0].Explained != pt.restored.ID || len(v.Restores) != 1 || v.Size != pt.size() || v.Size >= lost {
		t.Fatalf("ES: %+v", v)
	}
	// Both checkpoints and the declaration prove the restore to anybody.
	r := v.Restores[0]
	log, _ := es.ring.Log("PT")
	if found, err := (rules.Evidence{First: r.First, Then: r.Then, Head: r.Head}).Check(log.Verifier); err != nil || found.Restored == nil || found.First.N != lost {
		t.Errorf("%+v, %v", found, err)
	}
	if fig, err := pt.Figures(); err != nil || fig.OwnAlarms != 0 {
		t.Errorf("PT alarms about itself after its restore: %+v, %v", fig, err)
	}
	// FR, away until now, still holds what was lost. The log has grown beyond it, and says why it is another.
	pt.grow(20)
	f.leave("FR", false)
	f.turn()
	f.turn()
	if v := fr.view("PT"); v.Alarms != 0 || len(v.Restores) != 1 || v.Size <= lost {
		t.Errorf("FR: %+v", v)
	}
	if s := pt.state(); !s.Cosigned.Enough || len(s.Alarms) > 0 {
		t.Errorf("PT: %+v", s)
	}
	// The same restore does not excuse the next old copy.
	f.leave("FR", true)
	pt.putBack(older)
	pt.grow(1)
	f.turn()
	if v := es.view("PT"); v.Alarms != 1 || len(v.Restores) != 1 {
		t.Errorf("ES: %+v", v)
	}
}

// A witness that was away for two restores is told of the one that explains what it holds.
func TestTwoRestoresMissed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFederation(t, dir, "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.grow(10)
	old := filepath.Join(dir, "old")
	pt.copyTo(old)
	pt.grow(10)
	f.turn()
	f.leave("FR", true)
	restore := func(id string) {
		f.add(time.Minute)
		pt.restored = &protocol.Restored{ID: id, At: f.now(), Made: f.now(), Checkpoint: string(must(pt.store.Checkpoint()))}
		check(t, pt.settleOwn(t.Context()))
	}
	pt.putBack(old)
	restore("00000000000000000000000000000001")
	pt.grow(30)
	f.turn()
	restore("00000000000000000000000000000002") // of a backup that is whole
	pt.grow(3)
	f.turn()
	f.leave("FR", false)
	f.turn()
	f.turn()
	for _, b := range []*bureau{es, fr} {
		if v := b.view("PT"); v.Alarms != 0 || len(v.Restores) != 1 || v.Restores[0].ID[31] != '1' || v.Size != pt.size() {
			t.Errorf("%s: %+v", b.c, v)
		}
	}
	// Neither of the two explains what comes then.
	older := filepath.Join(dir, "older")
	pt.copyTo(older)
	pt.grow(5)
	f.turn()
	pt.putBack(older)
	f.turn()
	for _, b := range []*bureau{es, fr} {
		if v := b.view("PT"); v.Alarms != 1 || len(v.Restores) != 1 {
			t.Errorf("%s: %+v", b.c, v)
		}
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	f := newFederation(t, t.TempDir(), "PT", "ES", "FR")
	pt := f.bureaus["PT"]
	talk, asked := pt.o.Talk, map[protocol.Country]int{}
	var mu sync.Mutex
	pt.o.Talk = func(ctx context.Context, to protocol.Country, next func([]byte) ([]byte, error)) error {
		mu.Lock()
		asked[to]++
		mu.Unlock()
		return talk(ctx, to, next)
	}
	run := func(d, step time.Duration, grow int) map[protocol.Country]int {
		clear(asked)
		for range d / step {
			f.add(step)
			pt.grow(grow)
			check(t, pt.look(t.Context()))
		}
		return asked
	}
	if n := run(10*time.Minute, 5*time.Second, 1); n["ES"] != 10 || n["FR"] != 10 {
		t.Errorf("a log that grows was offered %v times in ten minutes", n)
	}
	if n := run(5*time.Hour, time.Minute, 0); n["ES"] < 5 || n["ES"] > 6 {
		t.Errorf("a log that does not grow was offered %v times in five hours", n)
	}
	// Who does not answer is asked again soon, then less and less often, at last once a minute; and the others are not bothered by it.
	f.mu.Lock()
	delete(f.bureaus, "FR")
	f.mu.Unlock()
	pt.o.Connected = func(protocol.Country) bool { return true }
	f.add(time.Hour)
	if n := run(time.Minute, 5*time.Second, 0); n["FR"] < 3 || n["FR"] > 5 || n["ES"] != 1 {
		t.Errorf("in the minute after one went silent: %v", n)
	}
	if n := run(10*time.Minute, 5*time.Second, 0); n["FR"] < 9 || n["FR"] > 11 || n["ES"] != 0 {
		t.Errorf("with one who does not answer: %v", n)
	}
	// A clock that is set back holds nothing up.
	f.add(-3 * time.Hour)
	if n := run(2*time.Minute, 5*time.Second, 1); n["ES"] < 2 || n["ES"] > 4 {
		t.Errorf("after the clock was set back: %v", n)
	}
}

func TestNobodyIsHarmed(t *testing.T) {
	t.Parallel()
	f := newFederation(t, t.TempDir(), "PT", "ES", "FR")
	pt, es, fr := f.bureaus["PT"], f.bureaus["ES"], f.bureaus["FR"]
	pt.grow(5)
	fr.grow(7)
	f.turn()
	f.turn()
	held := es.view("PT")
	good := pt.question(rules.Empty(), nil)
	var tree rules.Tree
	check(t, es.store.View(func(tx *store.Tx) error {
		log, _ := es.ring.Log("PT")
		h, err := es.holding(tx, log)
		tree = h.tree
		return err
	}))
	var o ask
	check(t, json.Unmarshal(pt.question(tree, nil), &o))
	with := func(change func(*ask)) []byte {
		c := o
		change(&c)
		b, err := json.Marshal(c)
		check(t, err)
		return b
	}
	var other ask
	check(t, json.Unmarshal(fr.question(rules.Empty(), nil), &other))
	before := es.size()
	for name, q := range map[string][]byte{
		"garbage":                []byte("}{"),
		"nothing":                []byte("{}"),
		"deep":                   []byte(strings.Repeat("[", 10_000)),
		"large":                  []byte(`{"checkpoint":"` + strings.Repeat("x", maxAsk) + `"}`),
		"another log's":          with(func(a *ask) { a.Checkpoint, a.Head = other.Checkpoint, other.Head }),
		"another log's head":     with(func(a *ask) { a.Head = other.Head }),
		"unsigned":               with(func(a *ask) { a.Checkpoint, _, _ = strings.Cut(a.Checkpoint, "\n\n") }),
		"a proof from elsewhere": with(func(a *ask) { a.Proof = append(a.Proof, tree.Hash) }),
		"evidence of nothing":    []byte(`{"accused":"PT","evidence":{"first":"","then":""}}`),
		"evidence against XX":    []byte(`{"accused":"XX","evidence":{"first":"","then":""}}`),
		"an honest pair":         must(json.Marshal(ask{Accused: "PT", Evidence: &rules.Evidence{First: held.Note, Then: o.Checkpoint, Head: o.Head, Proof: o.Proof}})),
		"both at once":           with(func(a *ask) { a.Accused, a.Evidence = "PT", &rules.Evidence{} }),
	} {
		if a := es.answerTo("PT", q); a.Refusal == "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := es.answerTo("PT", good); a.Held != held.Note {
		t.Errorf("a log that knows nothing of what is held is told %+v", a)
	}
	if a := es.answerTo("FR", good); a.Refusal == "" {
		t.Errorf("FR offers PT's log: %+v", a)
	}
	if after := es.view("PT"); after.Note != held.Note || after.LogState.Evidence > 0 || es.size() != before+1 { // the view's own entry
		t.Errorf("it changed something: %+v, %d entries more", after, es.size()-before)
	}
	if a := es.answerTo("PT", pt.question(tree, nil)); a.Cosignature == "" {
		t.Errorf("and then the honest one gets %+v", a)
	}
	// A log that vouches for a proof that does not hold has proved that against itself.
	pt.grow(3)
	a := es.answerTo("PT", pt.question(must(es.heldTree("PT")), func(o *rules.Offer) {
		o.Proof[0][0] ^= 1
		o.Head.Proof = rules.ProofSum(o.Proof)
	}))
	if v := es.view("PT"); a.Verdict != "unproven" || v.Alarms != 1 || v.Evidence[0].Verdict != "unproven" {
		t.Errorf("%+v, %+v", a, v)
	}
}

func (s *Service) heldTree(c string) (tree rules.Tree, err error) {
	ring, _, err := s.keyring()
	if err != nil {
		return tree, err
	}
	err = s.o.Desk.Store.View(func(tx *store.Tx) error {
		log, _ := ring.Log(c)
		h, err := s.holding(tx, log)
		tree = h.tree
		return err
	})
	return tree, err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A hostile witness cannot make an honest log look bad: it shows what it likes, and gets nothing that contradicts.
func TestAHostileWitnessGetsNoEvidence(t *testing.T) {
	t.Parallel()
	f := newFederation(t, t.TempDir(), "PT", "ES")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.grow(9)
	early := string(must(pt.store.Checkpoint()))
	pt.grow(9)
	ring, _, err := pt.keyring()
	check(t, err)
	log, _ := ring.Log("PT")
	for name, say := range map[string]string{
		"an early one":           string(must(json.Marshal(answer{Held: early}))),
		"another's":              string(must(json.Marshal(answer{Held: string(must(es.store.Checkpoint()))}))),
		"an invented one":        string(must(json.Marshal(answer{Held: strings.Replace(early, "\n9\n", "\n9999\n", 1)}))),
		"nothing":                `{"held":"nothing"}`,
		"a verdict":              `{"verdict":"rollback"}`,
		"words":                  `{"refusal":"\u001b[31mno\n\n"}`,
		"garbage":                `{`,
		"two things":             `{"held":"nothing","refusal":"x"}`,
		"a cosignature of none":  `{"cosignature":"— proofmark.ES AAAA\n"}`,
		"a great deal":           `{"refusal":"` + strings.Repeat("x", maxAnswer) + `"}`,
		"itself as a cosignatur": string(must(json.Marshal(answer{Cosignature: strings.SplitAfter(early, "\n\n")[1]}))),
	} {
		asked := 0
		pt.o.Talk = func(_ context.Context, _ protocol.Country, next func([]byte) ([]byte, error)) error {
			q, err := next(nil)
			for err == nil && q != nil {
				if asked++; asked > 10 {
					t.Fatalf("%s: asked without end", name)
				}
				var a ask
				check(t, json.Unmarshal(q, &a))
				for _, first := range []string{early, a.Checkpoint} {
					if f, err := (rules.Evidence{First: first, Then: a.Checkpoint, Head: a.Head, Proof: a.Proof}).Check(log.Verifier); err == nil {
						t.Errorf("%s: evidence of %v", name, f.Verdict)
					}
				}
				q, err = next([]byte(say))
			}
			return err
		}
		c := rules.Checkpoint{}
		check(t, pt.store.View(func(tx *store.Tx) (err error) { c, err = pt.checkpoint(tx); return err }))
		out := pt.offer(t.Context(), ring, "ES", c)
		if out.err == nil {
			t.Errorf("%s: taken for a cosignature", name)
		}
		check(t, pt.take(t.Context(), []outcome{out}, 1))
	}
	if s := pt.state(); s.Cosigned != nil || len(s.Alarms) > 0 || strings.ContainsAny(s.Witnesses[0].Fault, "\x1b\n") {
		t.Errorf("%+v", s)
	}
}
