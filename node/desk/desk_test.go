package desk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"proofmark/crypto"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	begin    = time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)
	tina     = Actor{Name: "tina", Roles: []string{policy.Technician}}
	edgar    = Actor{Name: "edgar", Roles: []string{policy.Examiner}}
	oscar    = Actor{Name: "oscar", Roles: []string{policy.NCBOperator}}
	exhibitA = policy.Resource{Type: policy.KindExhibit, ID: "E-1"}
)

// rig is a desk over a store on disk.
type rig struct {
	t   testing.TB
	dir string
	now time.Time
	*Desk
}

// random is a source that the store's goroutines may share and that is the same in every run.
type random struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (r *random) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Read(b)
}

func newRig(t testing.TB) *rig {
	t.Helper()
	engine := policy.Default()
	r := &rig{t: t, dir: t.TempDir(), now: begin, Desk: &Desk{Policy: func() *policy.Engine { return engine }, Country: "PT"}}
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	src := &random{src: rand.NewChaCha8([32]byte{1})}
	keys, err := crypto.GenerateKeys(src)
	if err != nil {
		r.t.Fatal(err)
	}
	signer, err := keys.LogSigner("proofmark.PT")
	if err != nil {
		r.t.Fatal(err)
	}
	if r.Store, err = store.Open(store.Options{Dir: r.dir, Key: make([]byte, 32), Now: func() time.Time { return r.now }, Random: src, Signer: signer}); err != nil {
		r.t.Fatal(err)
	}
	s := r.Store
	r.t.Cleanup(func() { _ = s.Close() })
}

func (r *rig) log() []store.AuditRecord {
	r.t.Helper()
	out, err := r.Store.QueryAudit(context.Background(), store.AuditQuery{Limit: 10_000})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Reverse(out)
	return out
}

// keys lists what acts wrote.
func (r *rig) keys() (out []string) {
	r.t.Helper()
	err := r.Store.View(func(tx *store.Tx) error {
		for k := range tx.Scan("", "") {
			out = append(out, k)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

type result struct {
	N    int
	Note string
}

// write is the content of an act: it writes a key and an audit entry.
func write(runs *int, key string) func(tx *store.Tx) (*result, error) {
	return func(tx *store.Tx) (*result, error) {
		*runs++
		tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActCollect, Decision: "permit"}, AuditBody: protocol.AuditBody{Event: "done", Object: key}})
		return &result{*runs, key}, tx.Put(key, []byte("x"))
	}
}

func TestDoIsDoneOncePerKey(t *testing.T) {
	r := newRig(t)
	act := Act{Actor: tina, Key: "k1", Action: policy.ExhibitAdd, Resource: exhibitA, Request: map[string]string{"number": "E-1"}}
	runs := 0
	for i := range 3 {
		got, err := Do(t.Context(), r.Desk, act, write(&runs, "a"))
		if err != nil || got.N != 1 || got.Note != "a" || runs != 1 {
			t.Fatalf("%d: %+v, %v, %d runs", i, got, err, runs)
		}
		if i == 1 {
			if err := r.Store.Close(); err != nil {
				t.Fatal(err)
			}
			r.open() // the client retries after a crash
		}
	}
	if len(r.log()) != 1 {
		t.Errorf("%d entries of one act", len(r.log()))
	}
	for name, change := range map[string]func(a *Act){
		"other content": func(a *Act) { a.Request = map[string]string{"number": "E-2"} },
		"other object":  func(a *Act) { a.Resource.ID = "E-2" },
		"other kind":    func(a *Act) { a.Resource.Type = policy.KindCase },
		"other act":     func(a *Act) { a.Action = policy.CaseAdd },
		"other purpose": func(a *Act) { a.Purpose = "curiosity" },
	} {
		a := act
		change(&a)
		if _, err := Do(t.Context(), r.Desk, a, write(&runs, "b")); !errors.Is(err, ErrConflict) || runs != 1 {
			t.Errorf("%s: %v, %d runs", name, err, runs)
		}
	}
	other, none := act, act
	other.Actor.Name, none.Key = "tomas", ""
	for _, a := range []Act{other, none, none} {
		if _, err := Do(t.Context(), r.Desk, a, write(&runs, "c")); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 4 {
		t.Errorf("%d runs: keys are a person's own, and an empty one is none", runs)
	}
	if _, err := Do(t.Context(), r.Desk, Act{Actor: tina, Action: policy.ExhibitAdd, Request: make(chan int)}, write(&runs, "d")); err == nil || runs != 4 {
		t.Error("a request that cannot be written down was run")
	}
}

func TestARepetitionUnderOtherRolesGetsNoResult(t *testing.T) {
	r := newRig(t)
	act := Act{Actor: tina, Key: "k", Action: policy.ExhibitAdd, Resource: exhibitA}
	runs := 0
	act.Actor.Roles = []string{policy.Technician, policy.Examiner}
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); err != nil {
		t.Fatal(err)
	}
	act.Actor.Roles = []string{policy.Examiner, policy.Technician}
	if got, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); err != nil || got.N != 1 {
		t.Errorf("the same roles in another order: %+v, %v", got, err)
	}
	act.Actor.Roles = []string{policy.Auditor}
	if got, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); !errors.Is(err, ErrConflict) || got != nil || runs != 1 {
		t.Errorf("a role that was lost: %+v, %v, %d runs", got, err, runs)
	}
}

func TestTheSameKeyAtTheSameTime(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	runs := 0
	for range 16 {
		wg.Go(func() {
			got, err := Do(context.Background(), r.Desk, Act{Actor: tina, Key: "k", Action: policy.ExhibitAdd, Resource: exhibitA}, write(&runs, "a"))
			if err != nil || got.N != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if runs != 1 || len(r.log()) != 1 {
		t.Errorf("%d runs, %d entries", runs, len(r.log()))
	}
}

func TestAFailedActIsNotRemembered(t *testing.T) {
	r := newRig(t)
	act := Act{Actor: tina, Key: "k", Action: policy.ExhibitAdd, Resource: exhibitA}
	runs := 0
	_, err := Do(t.Context(), r.Desk, act, func(tx *store.Tx) (*result, error) {
		if _, err := write(&runs, "a")(tx); err != nil {
			return nil, err
		}
		return nil, Invalid("no")
	})
	if !errors.Is(err, ErrInvalid) || len(r.keys()) != 0 || len(r.log()) != 0 {
		t.Fatalf("%v; left behind: %v, %d entries", err, r.keys(), len(r.log()))
	}
	if got, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); err != nil || got.N != 2 {
		t.Errorf("the retry: %+v, %v", got, err)
	}
}

func TestARefusalIsAuditedAndNothingElseIsWritten(t *testing.T) {
	r := newRig(t)
	runs := 0
	act := Act{Actor: edgar, Key: "k", Action: policy.ExhibitAdd, Resource: exhibitA, Purpose: "criminal-investigation"}
	for i := range 2 {
		got, err := Do(t.Context(), r.Desk, act, write(&runs, "a"))
		if !errors.Is(err, ErrForbidden) || got != nil || runs != 0 || len(r.keys()) != 0 {
			t.Fatalf("%+v, %v, %d runs, wrote %v", got, err, runs, r.keys())
		}
		for _, says := range []string{"edgar (examiner)", "exhibit:add", "no policy permits it", "Ask"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q does not say %q", err, says)
			}
		}
		log := r.log()
		if len(log) != i+1 {
			t.Fatalf("%d entries of %d refusals", len(log), i+1)
		}
		if e := log[i]; e.Action != protocol.ActDeny || e.Decision != "deny" || e.Ground != "policy" || e.Actor != "edgar" || e.Object != "E-1" || e.Kind != policy.KindExhibit ||
			e.Event != "refused exhibit:add" || e.PolicyVer == "" || e.Purpose != "criminal-investigation" {
			t.Errorf("%+v", e)
		}
	}
	act.Actor.Roles = append(act.Actor.Roles, policy.Technician) // the role was given meanwhile
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); err != nil || runs != 1 {
		t.Errorf("a refusal was remembered under the key: %v", err)
	}
	act.Actor.Roles = []string{policy.Auditor, policy.Technician}
	act.Key = ""
	_, err := Do(t.Context(), r.Desk, act, write(&runs, "b"))
	if !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "forbidden by auditors-read-the-log-only") {
		t.Errorf("%v", err)
	}
	if log := r.log(); len(log[len(log)-1].Policies) == 0 {
		t.Error("the entry does not name the policy")
	}
	act.Actor.Roles = []string{"king"}
	if _, err = Do(t.Context(), r.Desk, act, write(&runs, "b")); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "could not be evaluated") {
		t.Errorf("%v", err)
	}
}

func TestDescribeTellsPolicyOfTheObject(t *testing.T) {
	r := newRig(t)
	runs := 0
	described := func(reviewers ...string) func(tx *store.Tx) (policy.Resource, error) {
		return func(tx *store.Tx) (policy.Resource, error) {
			return policy.Resource{Type: policy.KindCandidate, ID: "pair", Attributes: map[string]any{"reviewers": reviewers}}, nil
		}
	}
	act := Act{Actor: edgar, Action: policy.ReviewSecondary, Describe: described("tina")}
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); err != nil {
		t.Error(err)
	}
	act.Describe = described("tina", "edgar")
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "b")); !errors.Is(err, ErrForbidden) || runs != 1 {
		t.Errorf("the first reviewer gave the second review: %v", err)
	}
	if log := r.log(); log[len(log)-1].Object != "pair" || log[len(log)-1].Decision != "deny" {
		t.Errorf("%+v", log[len(log)-1])
	}
	act.Describe = func(tx *store.Tx) (policy.Resource, error) {
		_, err := tx.Get("nowhere")
		return policy.Resource{}, err
	}
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "c")); !errors.Is(err, ErrNotFound) || runs != 1 {
		t.Errorf("%v", err)
	}
	if log := r.log(); log[len(log)-1].Ground != "not-found" || log[len(log)-1].Actor != "edgar" {
		t.Errorf("whoever asks for what is not there leaves no entry: %+v", log[len(log)-1])
	}
}

func TestTwoPersonApprovalIsNotGivenByOne(t *testing.T) {
	r := newRig(t)
	runs := 0
	act := Act{Actor: oscar, Action: policy.PolicyApply}
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "two people (policy-changes") || runs != 0 {
		t.Errorf("%v", err)
	}
	if log := r.log(); len(log) != 1 || log[0].Ground != "approval" {
		t.Errorf("%+v", log)
	}
	act.TwoPeople = true
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); err != nil || runs != 1 {
		t.Error(err)
	}
	act.Actor = tina
	if _, err := Do(t.Context(), r.Desk, act, write(&runs, "a")); !errors.Is(err, ErrForbidden) {
		t.Errorf("an approval gave a right: %v", err)
	}
}

// Nothing is shown that the log does not know of: the entry is durable before anything is read.
func TestReadIsRecordedFirst(t *testing.T) {
	r := newRig(t)
	act := Act{Actor: tina, Action: policy.ExhibitView, Resource: exhibitA, Purpose: "criminal-investigation"}
	got, err := Read(t.Context(), r.Desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: "exhibit", Object: "E-1", Event: "viewed", Actor: "somebody else"}},
		func(tx *store.Tx) (int, error) {
			checkpoint, err := tx.Checkpoint()
			if err != nil || !strings.Contains(string(checkpoint), "\n1\n") {
				t.Errorf("read before the entry was in the log: %s, %v", checkpoint, err)
			}
			if err := tx.Put("x", nil); !errors.Is(err, store.ErrReadOnly) {
				t.Errorf("a view can write: %v", err)
			}
			return len(r.log()), nil
		})
	if err != nil || got != 1 {
		t.Fatalf("%d entries while reading, %v", got, err)
	}
	if e := r.log()[0]; e.Action != protocol.ActConsult || e.Actor != "tina" || e.Decision != "permit" || e.Purpose != "criminal-investigation" || len(e.Policies) != 1 || e.PolicyVer == "" {
		t.Errorf("%+v", e)
	}
	read := false
	act.Actor = oscar
	if _, err := Read(t.Context(), r.Desk, act, protocol.AuditEntry{}, func(*store.Tx) (int, error) { read = true; return 0, nil }); !errors.Is(err, ErrForbidden) || read {
		t.Errorf("%v, read: %t", err, read)
	}
	if log := r.log(); len(log) != 2 || log[1].Action != protocol.ActDeny {
		t.Errorf("%+v", log)
	}
	act.Actor = tina
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), r.Desk, act, protocol.AuditEntry{}, func(*store.Tx) (int, error) { read = true; return 0, nil }); !errors.Is(err, store.ErrClosed) || read {
		t.Errorf("%v, read without an entry: %t", err, read)
	}
}

func TestRefuseRecordsTheReasonOfAWorkflow(t *testing.T) {
	r := newRig(t)
	reason := Invalid("the scan is blurred")
	if err := r.Refuse(t.Context(), Act{Actor: tina, Action: policy.Acquire, Resource: exhibitA}, "unusable-scan", reason); !errors.Is(err, ErrInvalid) || err.Error() != reason.Error() {
		t.Error(err)
	}
	missing := Act{Actor: tina, Action: policy.Acquire, Resource: exhibitA, Describe: func(tx *store.Tx) (policy.Resource, error) {
		_, err := tx.Get("nowhere")
		return policy.Resource{}, err
	}}
	if err := r.Refuse(t.Context(), missing, "unusable-scan", reason); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	for _, e := range r.log() {
		if e.Action != protocol.ActDeny || e.Ground != "unusable-scan" || e.Object != "E-1" || e.Actor != "tina" {
			t.Errorf("%+v", e)
		}
	}
	if len(r.log()) != 2 {
		t.Errorf("%d entries of two refusals", len(r.log()))
	}
}

func TestErrorsAreClassified(t *testing.T) {
	r := newRig(t)
	strange := errors.New("strange")
	for _, c := range []struct{ err, class error }{
		{store.ErrNotFound, ErrNotFound}, {store.ErrKeyReused, ErrConflict}, {store.ErrDuplicate, ErrConflict}, {store.ErrTooLarge, ErrInvalid},
		{fmt.Errorf("%w: %w", Conflict("taken"), store.ErrNotFound), ErrConflict}, {NotFound("gone"), ErrNotFound}, {Forbidden("no"), ErrForbidden},
		{store.ErrDiskReserve, store.ErrDiskReserve}, {strange, strange},
	} {
		fail := func(*store.Tx) (int, error) { return 0, fmt.Errorf("exhibit E-1: %w", c.err) }
		_, err := Do(t.Context(), r.Desk, Act{Actor: tina, Action: policy.ExhibitAdd}, fail)
		_, rerr := Read(t.Context(), r.Desk, Act{Actor: tina, Action: policy.ExhibitView}, protocol.AuditEntry{}, fail)
		for _, err := range []error{err, rerr} {
			if !errors.Is(err, c.class) || !strings.HasPrefix(err.Error(), "exhibit E-1: ") {
				t.Errorf("%v became %v, want a %v", c.err, err, c.class)
			}
		}
	}
}

// A policy that asks for a purpose is told the act's.
func TestPurposeReachesPolicy(t *testing.T) {
	r := newRig(t)
	engine, err := policy.Load(fstest.MapFS{"p.cedar": {Data: []byte(`permit (principal is User, action == Action::"exhibit:add", resource) when { context.purpose == "criminal-investigation" };`)}})
	if err != nil {
		t.Fatal(err)
	}
	r.Policy = func() *policy.Engine { return engine }
	runs := 0
	for purpose, class := range map[string]error{"criminal-investigation": nil, "": ErrForbidden, "curiosity": ErrForbidden} {
		if _, err := Do(t.Context(), r.Desk, Act{Actor: tina, Action: policy.ExhibitAdd, Purpose: purpose}, write(&runs, "a")); !errors.Is(err, class) {
			t.Errorf("%q: %v", purpose, err)
		}
	}
}

func TestWhereTheLawWantsAReasonItIsGivenAndKept(t *testing.T) {
	r := newRig(t)
	xavier := Actor{Name: "xavier", Roles: []string{policy.Auditor}}
	act := Act{Actor: xavier, Action: policy.AuditExport, Resource: policy.Resource{Type: policy.KindAudit}}
	look := func() error {
		_, err := Read(t.Context(), r.Desk, act, protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindAudit, Event: "exported"}}, func(*store.Tx) (bool, error) { return true, nil })
		return err
	}
	for _, why := range []string{"", "  \t"} {
		act.Actor.Justification = why
		if err := look(); !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), "--why TEXT") || !strings.Contains(err.Error(), "audit-exports") {
			t.Errorf("%q: %v", why, err)
		}
	}
	act.Actor.Justification = "yearly report of the data protection officer"
	if err := look(); err != nil {
		t.Fatal(err)
	}
	log := r.log()
	if len(log) != 3 || log[0].Ground != "justification" || log[0].Decision != "deny" || log[2].Justification != act.Actor.Justification || log[2].Decision != "permit" {
		t.Errorf("%+v", log)
	}
}

// What an act leaves in the log names the decision that permitted it, also where the act itself does not; what another decision or the node left stays.
func TestEntriesOfAnActNameItsDecision(t *testing.T) {
	r := newRig(t)
	who := tina
	who.Justification = "received today"
	_, err := Do(t.Context(), r.Desk, Act{Actor: who, Action: policy.ExhibitAdd, Resource: exhibitA}, func(tx *store.Tx) (bool, error) {
		for _, e := range []protocol.AuditBody{{Actor: "tina", Event: "own"}, {Actor: "node", Event: "the node's"}, {Actor: "tina", Event: "decided elsewhere", PolicyVer: "v", Justification: "j"}} {
			tx.Audit(protocol.AuditEntry{AuditHeader: protocol.AuditHeader{Action: protocol.ActCollect, Decision: "permit"}, AuditBody: e})
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	log := r.log()
	if e := log[0]; len(e.Policies) == 0 || !strings.HasPrefix(e.Policies[0], "technicians (") || e.PolicyVer == "" || e.Justification != "received today" {
		t.Errorf("%+v", e)
	}
	if e := log[1]; len(e.Policies) > 0 || e.PolicyVer != "" || e.Justification != "" {
		t.Errorf("%+v", e)
	}
	if e := log[2]; len(e.Policies) > 0 || e.PolicyVer != "v" || e.Justification != "j" {
		t.Errorf("%+v", e)
	}
}
