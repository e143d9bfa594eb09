package custody

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"proofmark/node/backup"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

const day = 24 * time.Hour

// events of the log about custody, the oldest first.
func (b *bureau) events() (out []string) {
	b.t.Helper()
	records, err := b.store.QueryAudit(b.t.Context(), store.AuditQuery{Kind: "custody", Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range records {
		out = append(out, r.Event)
	}
	slices.Reverse(out)
	return out
}

// send gives a folder's chain to holders.
func (b *bureau) send(folder string, holders ...string) {
	b.t.Helper()
	for _, s := range must(b.Send(b.t.Context(), admin, Request{Folder: folder, Holders: holders}, nil)) {
		if s.Fault != "" {
			b.t.Fatal(s.Fault)
		}
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	raw := must(os.ReadFile(path))
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Asked daily, a holder proves what it has, although the owner's files are gone; what it lost or its disk changed is an alarm until it has it again.
func TestHoldersProveWhatTheyKeep(t *testing.T) {
	all := bureaus(t, "PT", "ES", "FR")
	pt, es, fr := all["PT"], all["ES"], all["FR"]
	es.options.Grants["PT"], fr.options.Grants["PT"] = 1<<20, 1<<20
	full := pt.make("full", "")
	one := pt.make("one", full.id)
	folder := pt.folderOf(full, one)
	pt.send(folder, "ES", "FR")
	away := folder + "-away"
	if err := os.Rename(folder, away); err != nil {
		t.Fatal(err)
	}
	asked := 0
	ask, silent := pt.o.Ask, error(nil)
	pt.o.Ask = func(ctx context.Context, h protocol.Country, q Question, size int64) (Proof, error) {
		asked++
		if silent != nil && h == "ES" {
			return Proof{}, silent
		}
		return ask(ctx, h, q, size)
	}
	round := func(wantAsked int) {
		t.Helper()
		asked = 0
		if err := pt.Round(t.Context()); err != nil || asked != wantAsked {
			t.Fatalf("%d questions, want %d, %v", asked, wantAsked, err)
		}
	}
	alarms := func(want ...string) {
		t.Helper()
		got := must(pt.Alarms())
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			ok = ok && strings.Contains(got[i], want[i])
		}
		if !ok {
			t.Fatalf("alarms: %q, want %q", got, want)
		}
	}
	round(4)
	round(0)
	alarms()
	status := must(pt.Status(t.Context(), admin))
	if len(status) != 2 || status[0].Check == nil || status[0].Check.Good != 2 || !status[0].Check.Proved.Equal(begin) || status[0].Alarm != "" {
		t.Errorf("%+v", status[0])
	}
	pt.now = begin.Add(day - time.Minute)
	round(0)
	pt.now = begin.Add(day)
	es.now = pt.now
	round(4)

	// ES's disk changes a byte of one file and loses the other.
	flip(t, filepath.Join(es.options.Dir, "PT", full.Name))
	if err := os.Remove(filepath.Join(es.options.Dir, "PT", one.Name)); err != nil {
		t.Fatal(err)
	}
	pt.now = pt.now.Add(day)
	es.now = pt.now
	round(4)
	alarms("ES does not have what it signed for: full.backup: the holder's disk has changed full.backup: send it again; one.backup: one.backup is missing")
	if got := es.events(); got[len(got)-1] != "sealed copy found damaged" {
		t.Errorf("the holder's log: %q", got)
	}
	if list := must(es.List(t.Context(), admin)); list[0].Complete || len(list[0].Missing) != 2 {
		t.Errorf("%+v", list)
	}
	// Silence proves nothing: the alarm stays, and the holder is asked again within the hour.
	silent = errors.New("not connected")
	pt.now = pt.now.Add(day)
	round(3)
	alarms("ES does not have what it signed for")
	pt.now = pt.now.Add(time.Hour)
	round(1)
	// Sent again, asked again.
	silent = nil
	if err := os.Rename(away, folder); err != nil {
		t.Fatal(err)
	}
	es.now = pt.now
	pt.send(folder, "ES")
	pt.now = pt.now.Add(time.Hour)
	round(2)
	alarms()
	if got := pt.events(); strings.Count(strings.Join(got, "\n"), "the holder does not have what it signed for") != 2 || got[len(got)-1] != "the holder proved that it has its copies" {
		t.Errorf("the owner's log: %q", got)
	}

	// A holder that evades is an alarm after a week.
	silent = errors.New("it would not answer")
	pt.now = pt.now.Add(7*day - time.Hour)
	es.now, fr.now = pt.now, pt.now
	round(3)
	alarms()
	pt.now = pt.now.Add(time.Hour)
	round(1)
	alarms("ES has not proved for 7 days that it keeps this node's backups: full.backup: it would not answer")
}

// A person and the clock ask at once: the holder is asked by one of them. Two answers find the same damage: it is in the log once.
func TestAPersonAndTheClockAskAtOnce(t *testing.T) {
	all := bureaus(t, "PT", "ES")
	pt, es := all["PT"], all["ES"]
	es.options.Grants["PT"] = 1 << 20
	full := pt.make("full", "")
	pt.send(pt.folderOf(full), "ES")
	due := must(pt.due())
	if len(due) != 1 {
		t.Fatalf("due: %v", due)
	}
	must(pt.Check(t.Context(), admin, nil)) // between the clock's look and its question
	if c, err := pt.check(t.Context(), "ES", due["ES"], true); c != nil || err != nil {
		t.Errorf("asked again: %+v, %v", c, err)
	}
	if n := strings.Count(strings.Join(pt.events(), "\n"), "the holder proved that it has its copies"); n != 1 {
		t.Errorf("the owner's log has %d proofs", n)
	}

	flip(t, filepath.Join(es.options.Dir, "PT", full.Name))
	var c *Copy
	if err := es.store.View(func(tx *store.Tx) (err error) {
		c, err = Copies.Get(tx, recordID("PT", full.id))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var found errgroup.Group
	for range 8 {
		found.Go(func() error { return es.damaged(t.Context(), c) })
	}
	if err := found.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(es.events(), "\n"), "sealed copy found damaged"); n != 1 {
		t.Errorf("the holder's log says %d times that it is damaged", n)
	}
}

// A person asks when a proof is wanted now; only who manages the node may.
func TestAPersonAsks(t *testing.T) {
	all := bureaus(t, "PT", "ES", "FR")
	pt, es := all["PT"], all["ES"]
	es.options.Grants["PT"] = 1 << 20
	full := pt.make("full", "")
	folder := pt.folderOf(full)
	if got, err := pt.Check(t.Context(), admin, nil); err != nil || len(got) != 0 {
		t.Errorf("nobody has anything: %+v, %v", got, err)
	}
	pt.send(folder, "ES")
	got, err := pt.Check(t.Context(), admin, []string{"ES"})
	if err != nil || len(got) != 1 || got[0].Good != 1 || got[0].Files != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for code, want := range map[string]error{"FR": desk.ErrNotFound, "DE": desk.ErrInvalid, "PT": desk.ErrInvalid, "es": desk.ErrInvalid} {
		if got, err := pt.Check(t.Context(), admin, []string{code}); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", code, got, err)
		}
	}
	tech := desk.Actor{Name: "tina", Roles: []string{policy.Technician}}
	if _, err := pt.Check(t.Context(), tech, nil); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician asks: %v", err)
	}
	if _, err := pt.Ready(t.Context(), tech, []string{"ES"}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("a technician looks up holders: %v", err)
	}
	if got, err := pt.Ready(t.Context(), admin, []string{"ES", "FR"}); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	for _, codes := range [][]string{nil, {"ES", "ES"}, {"PT"}, {"DE"}, {"XX", "ES"}, {"Spain"}} {
		if got, err := pt.Ready(t.Context(), admin, codes); !errors.Is(err, desk.ErrInvalid) {
			t.Errorf("%q: %v, %v", codes, got, err)
		}
	}
	// A holder that gives another block, or one of another file, has not proved anything.
	honest := pt.o.Ask
	other := pt.make("other", "")
	lies := map[string]func(p *Proof){
		"another byte":   func(p *Proof) { p.Block[0] ^= 1 },
		"nothing":        func(p *Proof) { *p = Proof{} },
		"another's file": func(p *Proof) { p.Block = other.raw[:len(p.Block)] },
		"a path":         func(p *Proof) { p.Path = append(p.Path, make([]byte, 32)) },
	}
	for name, lie := range lies {
		pt.o.Ask = func(ctx context.Context, h protocol.Country, q Question, size int64) (Proof, error) {
			p, err := honest(ctx, h, q, size)
			p.Block = append([]byte(nil), p.Block...)
			lie(&p)
			return p, err
		}
		es.proofs = budget{}
		if got, err := pt.Check(t.Context(), admin, nil); err != nil || got[0].Good != 0 || len(got[0].Faults) != 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	pt.o.Ask = honest
	// What was confirmed before its files could be read again cannot be asked for.
	if err := pt.store.Update(t.Context(), func(tx *store.Tx) error {
		c := must(Confirmations.Get(tx, recordID("ES", full.id)))
		c.Root = ""
		return Confirmations.Put(tx, recordID("ES", full.id), c)
	}); err != nil {
		t.Fatal(err)
	}
	if got, err = pt.Check(t.Context(), admin, nil); err != nil || got[0].Good != 0 || !strings.Contains(got[0].Silent, "custody send FOLDER") {
		t.Errorf("%+v, %v", got, err)
	}
	pt.send(folder, "ES")
	if got, err = pt.Check(t.Context(), admin, nil); err != nil || got[0].Good != 1 {
		t.Errorf("sent again: %+v, %v", got, err)
	}
}

// What may be asked of a holder is bounded, and says nothing of what it keeps for others.
func TestWhatAHolderAnswers(t *testing.T) {
	all := bureaus(t, "PT", "ES", "FR")
	pt, es := all["PT"], all["ES"]
	es.options.Grants["PT"] = 1 << 20
	full := pt.make("full", "")
	pt.send(pt.folderOf(full), "ES")
	q := Question{SHA256: full.SHA256}
	if p, err := es.Prove(t.Context(), "FR", q); err != nil || p.Missing == "" || p.Block != nil {
		t.Errorf("FR asks for what is PT's: %+v, %v", p, err)
	}
	for _, block := range []int64{-1, blocks(full.Size), 1 << 62} {
		if _, err := es.Prove(t.Context(), "PT", Question{SHA256: full.SHA256, Block: block}); !errors.As(err, new(Refusal)) {
			t.Errorf("block %d: %v", block, err)
		}
	}
	es.options.Grants["PT"] = full.Size
	for range provingShare {
		if p, err := es.Prove(t.Context(), "PT", q); err != nil || p.Block == nil {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if _, err := es.Prove(t.Context(), "PT", q); !errors.As(err, new(Refusal)) || !strings.Contains(err.Error(), "ask again tomorrow") {
		t.Errorf("asked too often: %v", err)
	}
	es.now = es.now.Add(day)
	if p, err := es.Prove(t.Context(), "PT", q); err != nil || p.Block == nil {
		t.Errorf("the day after: %+v, %v", p, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := es.Prove(ended, "PT", q); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if list := must(es.List(t.Context(), admin)); !list[0].Complete {
		t.Errorf("a question that was broken off condemned the copy: %+v", list)
	}
}

// Whoever controls the owner's machine begins a new, empty chain: the holder keeps the good one for its grace, says so in its receipts, and writes it out.
func TestAGoodChainOutlivesAnEmptyOne(t *testing.T) {
	all := bureaus(t, "PT", "ES")
	pt, es := all["PT"], all["ES"]
	es.options.Grants["PT"] = 1 << 20
	credible := true
	es.o.Credible = func(context.Context) (bool, error) { return credible, nil }
	full := pt.make("full", "")
	one := pt.make("one", full.id)
	pt.send(pt.folderOf(full, one), "ES")
	pt.now = begin.Add(day)
	es.now = pt.now
	bad := pt.make("bad", "")
	pt.send(pt.folderOf(bad), "ES")
	until := es.now.Add(DefaultGrace)
	status := must(pt.Status(t.Context(), admin))
	if r := status[0].Newest; r.ID != bad.id || r.Previous != full.id || !r.PreviousUntil.Equal(until) {
		t.Errorf("the receipt: %+v", r)
	}
	list := must(es.List(t.Context(), admin))
	if h := list[0]; !h.Complete || len(h.Files) != 1 || len(h.Before) != 1 || h.Before[0].Chain != full.id || h.Before[0].Files != 2 || !h.Before[0].Until.Equal(until) || h.Bytes != full.Size+one.Size+bad.Size {
		t.Errorf("%+v", h)
	}
	// Once more: the end of the good one does not move.
	es.now = es.now.Add(day)
	pt.now = es.now
	worse := pt.make("worse", "")
	pt.send(pt.folderOf(worse), "ES")
	more := pt.make("more", worse.id)
	if _, _, err := hand(t.Context(), es.Service, "PT", more.Offer, strings.NewReader(string(more.raw))); err != nil {
		t.Fatal(err)
	}
	list = must(es.List(t.Context(), admin))
	if h := list[0]; len(h.Files) != 2 || len(h.Before) != 2 || h.Before[0].Chain != full.id || !h.Before[0].Until.Equal(until) || h.Before[1].Chain != bad.id {
		t.Errorf("%+v", list[0])
	}
	out, err := es.Begin(t.Context(), admin, "PT", full.id[:8])
	if err != nil || len(out.Files) != 2 || out.Files[0].ID != full.id || backup.CheckOrder(out.Files) != nil {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err = es.Begin(t.Context(), admin, "PT", ""); err != nil || len(out.Files) != 2 || out.Files[0].ID != worse.id {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := es.Begin(t.Context(), admin, "PT", "no such"); !errors.Is(err, desk.ErrNotFound) {
		t.Errorf("no such chain: %v", err)
	}
	// A file of it that is lost may come again, and keeps its end.
	if err := os.Remove(filepath.Join(es.options.Dir, "PT", one.Name)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := hand(t.Context(), es.Service, "PT", one.Offer, strings.NewReader(string(one.raw))); err != nil {
		t.Fatal(err)
	}
	// Nothing goes while the clock is in doubt, nor a moment too early.
	expire := func(want int) {
		t.Helper()
		if err := es.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := es.files("PT"); len(got) != want {
			t.Errorf("at %s ES keeps %v, want %d", es.now, got, want)
		}
	}
	es.now = until
	expire(5)
	es.now = until.Add(time.Second)
	credible = false
	expire(5)
	credible = true
	expire(3)
	es.now = until.Add(day + time.Second)
	expire(2)
	if got := strings.Join(es.events(), "\n"); strings.Count(got, "sealed copy of an older chain removed") != 3 {
		t.Errorf("the holder's log: %s", got)
	}
	// Without room for both, a new chain waits.
	es.options.Grants["PT"] = worse.Size + more.Size + 10
	next := pt.make("next", "")
	if _, err := es.Take(t.Context(), "PT", next.Offer); !errors.As(err, new(Refusal)) || !strings.Contains(err.Error(), "ask the bureau for more") {
		t.Errorf("without room: %v", err)
	}
}

func TestWhenHoldersAreAskedAndWhenThatIsAnAlarm(t *testing.T) {
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	chain := []*Confirmed{{CustodyReceipt: protocol.CustodyReceipt{Holder: "ES", At: begin}}, {CustodyReceipt: protocol.CustodyReceipt{Holder: "ES", At: at(time.Hour)}}}
	for _, q := range []struct {
		name  string
		now   time.Time
		check *Check
		due   bool
		alarm string
	}{
		{"never asked", at(0), nil, true, ""},
		{"never asked for a week", at(7 * day), nil, true, "it was not asked"},
		{"well", at(25 * time.Hour), &Check{At: at(2 * time.Hour), Proved: at(2 * time.Hour)}, false, ""},
		{"a day later", at(26 * time.Hour), &Check{At: at(2 * time.Hour), Proved: at(2 * time.Hour)}, true, ""},
		{"a fault", at(3 * time.Hour), &Check{At: at(2 * time.Hour), Faults: []string{"a"}}, false, "does not have"},
		{"a fault, sent again", at(3 * time.Hour), &Check{At: at(time.Minute), Faults: []string{"a"}}, true, "does not have"},
		{"silent", at(150 * time.Minute), &Check{At: at(2 * time.Hour), Silent: "x"}, false, ""},
		{"silent for an hour", at(3 * time.Hour), &Check{At: at(2 * time.Hour), Silent: "x"}, true, ""},
		{"silent for a week", at(9 * day), &Check{At: at(9 * day), Proved: at(2 * day), Silent: "x"}, false, "for 7 days that it keeps this node's backups: x"},
		{"the clock set back", at(0), &Check{At: at(2 * day), Proved: at(2 * day)}, true, ""},
	} {
		if got := due(q.now, chain, q.check); got != q.due {
			t.Errorf("%s: due %v", q.name, got)
		}
		if got := alarm(q.now, chain, q.check); (got != "") != (q.alarm != "") || !strings.Contains(got, q.alarm) {
			t.Errorf("%s: alarm %q", q.name, got)
		}
	}
}

func BenchmarkProve(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	raw := make([]byte, 64<<20)
	_, _ = rand.Read(raw)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, _, err := prove(b.Context(), path, int64(len(raw)), 17); err != nil {
			b.Fatal(err)
		}
	}
}
