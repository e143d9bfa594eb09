package membership

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// learns fails the test unless the documents from a member are taken in without an error.
func (n *node) learns(from string, documents ...[]byte) Learned {
	n.t.Helper()
	l, err := n.Learn(ctx, from, documents)
	n.ok(err)
	return l
}

// rejecting is the version after prev that says it does not follow others.
func (f federation) rejecting(prev []byte, others ...[]byte) []byte {
	f.t.Helper()
	d, err := f.parse(prev).Next(start)
	f.ok(err)
	for _, o := range others {
		f.ok(d.Reject(f.parse(o)))
	}
	return f.sign(d, 2)
}

func TestLearn(t *testing.T) {
	n := newNode(t)
	v1 := n.first("Test", "PT", "ES")
	v2 := n.next(v1, 2)
	v3 := n.next(v2, 2, "FR")
	v4 := n.next(v3, 2)
	if _, err := n.Learn(ctx, "ES", [][]byte{v1, v2}); !errors.Is(err, ErrNotJoined) {
		t.Errorf("a node without an anchor learnt: %v", err)
	}
	n.installs(n.hash(v1), v1)
	changes := 0
	n.OnChange(func() { changes++ })
	if l := n.learns("ES", v3, v2, v1); l.Added != 2 || l.Forks != 0 || l.Held != nil || n.Current().Version != 3 || changes != 1 {
		t.Errorf("learnt %+v, version %d, %d changes", l, n.Current().Version, changes)
	}
	if l := n.learns("dht", v3, v2); l.Added != 0 || changes != 1 {
		t.Errorf("the same again: %+v", l)
	}
	got := n.entries(store.AuditQuery{Actor: "node", Action: string(protocol.ActAdminister)})
	if len(got) != 1 || got[0].Details["from"] != "ES" || got[0].Object != n.hash(v3) {
		t.Errorf("entries %+v", got)
	}
	for what, docs := range map[string][][]byte{
		"too few signatures":  {n.less(v4)},
		"a gap":               {n.next(v4, 2)},
		"another federation":  {n.first("Another", "PT")},
		"garbage":             {[]byte("{}")},
		"nothing":             nil,
		"an unsigned fork":    {n.less(n.next(v2, 2, "DE"))},
		"an older one's fork": {n.less(n.next(v1, 2, "DE"))},
	} {
		if l, err := n.Learn(ctx, "ES", docs); err == nil || l.Added+l.Forks > 0 {
			t.Errorf("%s: %+v, %v", what, l, err)
		}
	}
	if got := n.entries(store.AuditQuery{Decision: "deny"}); len(got) != 1 || got[0].Counterpart != "ES" {
		t.Errorf("a member that sends rubbish fills the log: %d entries", len(got))
	}
	n.now = start.Add(time.Hour)
	_, _ = n.Learn(ctx, "ES", [][]byte{n.less(v4)})
	if got := n.entries(store.AuditQuery{Decision: "deny"}); len(got) != 2 {
		t.Errorf("an hour later: %d entries, want 2", len(got))
	}
	if hashes := n.Hashes(); !slices.Equal(hashes, []string{n.hash(v1), n.hash(v2), n.hash(v3)}) {
		t.Errorf("hashes %q", hashes)
	}
	if after, err := n.After(1); err != nil || !slices.EqualFunc(after, [][]byte{v2, v3}, bytes.Equal) {
		t.Errorf("after version 1: %d documents, %v", len(after), err)
	}
	if after, err := n.After(7); err != nil || len(after) != 0 {
		t.Errorf("after version 7: %d documents, %v", len(after), err)
	}
}

func TestFork(t *testing.T) {
	n := newNode(t)
	v1 := n.first("Test", "PT", "ES")
	ours, theirs := n.next(v1, 2, "FR"), n.next(v1, 3, "DE")
	theirs3 := n.next(theirs, 2)
	n.installs(n.hash(v1), v1, ours)
	if l := n.learns("ES", theirs); l.Forks != 1 || l.Added != 0 {
		t.Fatalf("learnt %+v", l)
	}
	// What follows the other is evidence too; the same again is nothing new.
	if l := n.learns("ES", theirs, theirs3); l.Forks != 1 {
		t.Errorf("learnt %+v", l)
	}
	if l := n.learns("FR", theirs3, theirs); l.Forks != 0 {
		t.Errorf("again %+v", l)
	}
	n.close()
	n.open()
	found := n.Forks()
	if len(found) != 2 || n.Hash() != n.hash(ours) || n.Figures().Forks != 2 {
		t.Fatalf("%d forks after a restart, in force %s", len(found), n.Hash())
	}
	f := found[0]
	if f.Version != 2 || f.From != "ES" || f.Hash != n.hash(theirs) || f.Ours != n.hash(ours) || !slices.Equal(f.Signers, []string{"Lisbon", "Madrid", "Paris"}) || !slices.Equal(f.OursSigners, []string{"Lisbon", "Madrid"}) {
		t.Errorf("evidence %+v", f)
	}
	warned := strings.Join(n.Warnings(start), "\n")
	for _, want := range []string{"two rosters of version 2", n.parse(theirs).Fingerprint(), n.parse(ours).Fingerprint(), "Lisbon, Madrid, Paris", "Do not choose"} {
		if !strings.Contains(warned, want) {
			t.Errorf("warnings %q lack %q", warned, want)
		}
	}
	if got := n.entries(store.AuditQuery{Decision: "deny", Actor: "node"}); len(got) != 2 || got[0].Ground != "fork" {
		t.Errorf("entries %+v", got)
	}
	// Nothing follows by itself, nor by a file, until the key holders have said which one they follow.
	next := n.next(ours, 2)
	if l := n.learns("FR", next); l.Added != 0 || l.Held == nil || !strings.Contains(l.Held.Error(), "--reject") {
		t.Errorf("the next version with the fork open: %+v", l)
	}
	if _, err := n.Install(ctx, chief, "", [][]byte{next}, ""); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), n.parse(theirs).Fingerprint()) {
		t.Errorf("installed by a person: %v", err)
	}
	decided := n.rejecting(ours, theirs)
	if l := n.learns("FR", decided); l.Added != 1 || l.Held != nil {
		t.Errorf("the decision: %+v", l)
	}
	if n.Hash() != n.hash(decided) || n.Figures().Forks != 0 || n.Forks()[0].ResolvedBy != 3 || n.Forks()[1].ResolvedBy != 3 {
		t.Errorf("after the decision: %+v", n.Forks())
	}
	if w := n.Warnings(start); len(w) != 0 {
		t.Errorf("warnings after the decision %q", w)
	}
}

// Two successors at once: none is installed, and neither later by itself.
func TestForkAhead(t *testing.T) {
	n := newNode(t)
	v1 := n.first("Test", "PT")
	a, b := n.next(v1, 2, "FR"), n.next(v1, 2, "DE")
	n.installs(n.hash(v1), v1)
	if l := n.learns("dht", a, b); l.Added != 0 || l.Forks != 2 {
		t.Fatalf("learnt %+v", l)
	}
	if l := n.learns("ES", a); l.Added != 0 || l.Held == nil {
		t.Errorf("one of them alone: %+v", l)
	}
	decided := n.rejecting(a, b)
	if l := n.learns("ES", a, decided); l.Added != 2 || n.Hash() != n.hash(decided) || n.Figures().Forks != 0 {
		t.Errorf("the decision: %+v, forks %+v", l, n.Forks())
	}
}

func TestResolve(t *testing.T) {
	f := federation{t, holderKeys()}
	v1 := f.first("Test", "PT", "ES")
	a, b := f.next(v1, 2, "FR"), f.next(v1, 2, "DE")
	b3 := f.next(b, 2)
	decided, other := f.rejecting(a, b), f.rejecting(b, a)
	later := f.rejecting(decided)

	follower := newNode(t) // of what the holders chose: an installation
	follower.installs(f.hash(v1), v1, a)
	if in, err := follower.Resolve(ctx, chief, "k", [][]byte{decided}); err != nil || in.Version != 3 {
		t.Errorf("on the side that is followed: %v", err)
	}

	n := newNode(t)
	n.installs(f.hash(v1), v1, b)
	_, err := n.Resolve(ctx, chief, "", [][]byte{decided})
	if !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), "version 2 of the other side") {
		t.Errorf("without what lies between: %v", err)
	}
	if _, err := n.Resolve(ctx, chief, "", [][]byte{a, f.less(decided)}); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("a decision with one signature: %v", err)
	}
	if l := n.learns("ES", a); l.Forks != 1 {
		t.Fatalf("learnt %+v", l)
	}
	if l, _ := n.Learn(ctx, "ES", [][]byte{a, decided}); l.Added != 0 || n.Hash() != f.hash(b) {
		t.Error("a node changed sides by itself")
	}
	if _, err := n.Resolve(ctx, desk.Actor{Name: "anna"}, "", [][]byte{decided}); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("by anybody: %v", err)
	}
	n.learns("ES", b3)
	n.installs("", f.rejecting(b, a)) // it goes on with the other side: version 3 against version 3
	if _, err := n.Resolve(ctx, chief, "", [][]byte{decided}); !errors.Is(err, desk.ErrConflict) || !strings.Contains(err.Error(), "later than both") {
		t.Errorf("a decision that is not later: %v", err)
	}
	in, err := n.Resolve(ctx, chief, "k", [][]byte{later, decided})
	if err != nil || in.Version != 4 || n.Hash() != f.hash(later) {
		t.Fatalf("changed sides: %+v, %v", in, err)
	}
	if again, err := n.Resolve(ctx, chief, "k", [][]byte{later, decided}); err != nil || again.Version != 4 {
		t.Errorf("the same command again: %v", err)
	}
	n.close()
	n.open()
	chain, err := n.Chain()
	n.ok(err)
	if !slices.EqualFunc(chain, [][]byte{v1, a, decided, later}, bytes.Equal) {
		t.Error("the chain is not that of the side that was chosen")
	}
	kept := map[string]bool{}
	for _, x := range n.Forks() {
		kept[x.Hash] = true
	}
	if !kept[f.hash(b)] || !kept[f.hash(other)] {
		t.Errorf("what was left is not kept: %+v", n.Forks())
	}
}

func TestOverrideTakesItsDays(t *testing.T) {
	n := newNode(t)
	v1 := n.first("Test", "PT", "ES")
	n.installs(n.hash(v1), v1)
	lost := countryKeys("ES after the fire")
	d, err := n.parse(v1).Next(start)
	n.ok(err)
	n.ok(d.Announce(member(lost, "ES", start.Add(time.Hour), start.AddDate(2, 0, 0))))
	v2 := n.sign(d, 2)
	is := func(when string, in bool) {
		t.Helper()
		n.ok(n.Tick())
		m, _ := n.Current().ByCountry("ES")
		keys, err := m.KeySet()
		n.ok(err)
		if keys.Has(lost.Signer().KeyID()) != in {
			t.Errorf("%s: the new keys are in effect: %v, want %v", when, !in, in)
		}
	}
	n.now = start.AddDate(0, 0, 5) // the holders kept it to themselves for five days
	changes := 0
	n.OnChange(func() { changes++ })
	if l := n.learns("ES", v2); l.Added != 1 {
		t.Fatalf("learnt %+v", l)
	}
	is("at once", false)
	if w := strings.Join(n.Warnings(n.now), "\n"); !strings.Contains(w, "in 7 days") || !strings.Contains(w, "2026-03-14") || !strings.Contains(w, "If ES has not lost its keys") {
		t.Errorf("warnings %q", w)
	}
	n.now = start.AddDate(0, 0, 8)
	is("seven days after it was written", false)
	// A version that lists the new keys has to wait as well.
	folded, err := n.parse(v2).Next(n.now)
	n.ok(err)
	v3 := n.sign(folded, 2)
	if l := n.learns("FR", v3); l.Added != 0 || l.Held == nil || !strings.Contains(l.Held.Error(), "2026-03-14") {
		t.Errorf("a version that lists the keys: %+v", l)
	}
	n.now = start.AddDate(0, 0, 12)
	is("seven days after it was seen", true)
	if changes != 2 {
		t.Errorf("%d changes, want 2", changes)
	}
	n.close()
	n.open()
	is("after a restart", true)
	if l := n.learns("FR", v3); l.Added != 1 || l.Held != nil {
		t.Errorf("then: %+v", l)
	}
	is("listed", true)

	// A newcomer knows no other keys; somebody who was away has the days of its own.
	newcomer := newNode(t)
	newcomer.now = n.now
	newcomer.installs(n.hash(v1), v1, v2, v3)
	away := newNode(t)
	away.now = n.now
	away.installs(n.hash(v1), v1)
	if l := away.learns("FR", v2, v3); l.Added != 1 || l.Held == nil || away.Current().Version != 2 {
		t.Errorf("after an absence: %+v", l)
	}
	away.now = n.now.Add(roster.OverrideDelay)
	if l := away.learns("FR", v2, v3); l.Added != 1 || l.Held != nil {
		t.Errorf("a week later: %+v", l)
	}
}

// placesLate has FR announce two addresses, and the first carrier held up between its commit and what follows it until the second one is done. It returns what is in
// force then.
func (n *node) placesLate(at time.Time, record func(country, address string, at time.Time) string) []string {
	n.t.Helper()
	var changed bool
	place := func(address string, at time.Time, before func()) error {
		return n.desk.Store.Update(ctx, func(tx *store.Tx) error {
			tx.OnCommit(before)
			_, err := n.place(tx, record("ES", address, at), desk.Node.Name, "FR", &changed)
			return err
		})
	}
	later := at.Add(time.Minute)
	n.ok(place("/ip4/192.0.2.4/tcp/4931", at, func() { n.ok(place("/ip4/192.0.2.5/tcp/4931", later, func() {})) }))
	return n.Announced(later)["ES"]
}

func TestAnnouncedAddresses(t *testing.T) {
	n := newNode(t)
	v1 := n.first("Test", "PT", "ES")
	record := func(country, address string, at time.Time) string {
		r, err := roster.SignAddresses(roster.AddressRecord{Country: country, Addresses: []string{address}, Issued: at, Until: at.AddDate(0, 6, 0)}, countryKeys(country).Signer())
		n.ok(err)
		return r
	}
	n.now = start.Add(time.Hour)
	first := record("ES", "/ip4/192.0.2.1/tcp/4931", n.now)
	if err := n.LearnAddresses(ctx, "ES", []string{first}); !errors.Is(err, ErrNotJoined) {
		t.Errorf("without a roster: %v", err)
	}
	n.installs(n.hash(v1), v1)
	changes := 0
	n.OnChange(func() { changes++ })
	n.ok(n.LearnAddresses(ctx, "FR", []string{first, record("ES", "/ip4/192.0.2.9/tcp/1", start), record("ES", "/ip4/192.0.2.2/tcp/1", n.now.Add(time.Second))}))
	n.ok(n.LearnAddresses(ctx, "FR", []string{first}))
	if got := n.Announced(n.now); len(got) != 1 || !slices.Equal(got["ES"], []string{"/ip4/192.0.2.1/tcp/4931"}) || changes != 1 {
		t.Errorf("announced %v after %d changes", got, changes)
	}
	if err := n.LearnAddresses(ctx, "ES", []string{record("FR", "/ip4/192.0.2.1/tcp/4931", n.now)}); err == nil {
		t.Error("a stranger's addresses were taken in")
	}
	n.now = n.now.Add(time.Hour)
	second := record("ES", "/ip4/192.0.2.3/tcp/4931", n.now)
	n.ok(n.LearnAddresses(ctx, "FR", []string{second, first}))
	n.now = n.now.Add(10 * time.Minute)
	if got := n.placesLate(n.now.Add(-5*time.Minute), record); !slices.Equal(got, []string{"/ip4/192.0.2.5/tcp/4931"}) {
		t.Errorf("of two announcements that came at once stands %v", got)
	}
	own := record("PT", "/ip4/192.0.2.50/tcp/4931", n.now)
	if _, err := n.Announce(ctx, desk.Actor{Name: "anna"}, "", own); !errors.Is(err, desk.ErrForbidden) {
		t.Errorf("announced by anybody: %v", err)
	}
	if a, err := n.Announce(ctx, chief, "k", own); err != nil || a.Country != "PT" {
		t.Errorf("own: %v", err)
	}
	if a, err := n.Announce(ctx, chief, "", record("PT", "/ip4/192.0.2.50/tcp/4931", n.now.Add(2*time.Second))); err != nil || !slices.Equal(a.Addresses, []string{"/ip4/192.0.2.50/tcp/4931"}) {
		t.Errorf("the same typed again: %v", err)
	}
	if _, err := n.Announce(ctx, chief, "", record("PT", "/ip4/192.0.2.51/tcp/4931", n.now.Add(2*time.Second))); !errors.Is(err, desk.ErrConflict) {
		t.Errorf("another within a minute: %v", err)
	}
	if _, err := n.Announce(ctx, chief, "", record("ES", "/ip4/192.0.2.60/tcp/4931", n.now.Add(5*time.Minute))); err == nil {
		t.Error("another country's announcement passed for this one's")
	}
	n.close()
	n.open()
	if got := n.Announcements(n.now); len(got) != 2 || got[0] == second || got[1] != own {
		t.Errorf("after a restart: %d announcements", len(got))
	}
	// The roster catches up: the entry is newer than the announcement.
	d, err := n.parse(v1).Next(n.now)
	n.ok(err)
	n.ok(d.Add(member(countryKeys("ES"), "ES", n.now.Add(time.Minute), start.AddDate(2, 0, 0)), n.now))
	n.ok(d.SetStatus("PT", roster.Suspended, n.now))
	n.installs("", n.sign(d, 2))
	if got := n.Announced(n.now.Add(2 * time.Minute)); len(got) != 0 {
		t.Errorf("announcements outlive the roster that caught up, or a suspension: %v", got)
	}
}
