package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/membership"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// locked is a source of randomness that several goroutines may share.
type locked struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (r *locked) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Read(b)
}

var chief = desk.Actor{Name: "chief", Roles: []string{policy.Administrator}}

// ceremony makes rosters that one holder signs.
type ceremony struct {
	f     *federation
	key   *roster.HolderKey
	chain [][]byte // versions from 1 on
}

var ceremonyKey = sync.OnceValues(func() (*roster.HolderKey, error) {
	private, _, err := roster.NewHolder("Ana", []byte("seven red lamps"), rand.NewChaCha8([32]byte{3}))
	if err != nil {
		return nil, err
	}
	return roster.OpenHolder(private, []byte("seven red lamps"))
})

func (c *ceremony) ok(err error) {
	c.f.t.Helper()
	if err != nil {
		c.f.t.Fatal(err)
	}
}

// entry is what a node says of itself, signed.
func (f *federation) entry(c protocol.Country, addrs []string, from time.Time) string {
	f.t.Helper()
	k := f.nodes[c].keys
	entry, err := roster.SignMember(roster.Member{Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{peerOf(f.t, k).String()}, Addresses: addrs,
		SigningKeys: []json.RawMessage{k.SigningJWK()}, SealingKeys: []json.RawMessage{k.SealingJWK()}, LogKey: k.LogVerifierKey("proofmark." + string(c)),
		ValidFrom: from, ValidUntil: f.begun.Add(24 * time.Hour)}, k.Signer())
	if err != nil {
		f.t.Fatal(err)
	}
	return entry
}

// newCeremony makes version 1 of the nodes that are open, with the addresses that each pair may use: nil stands for all.
func newCeremony(f *federation, addrs map[protocol.Country][]string) *ceremony {
	f.t.Helper()
	c := &ceremony{f: f}
	var err error
	c.key, err = ceremonyKey()
	c.ok(err)
	d, err := roster.Create("test", []roster.Holder{c.key.Holder()}, 1, f.begun.Add(-30*time.Minute), f.begun.Add(24*time.Hour))
	c.ok(err)
	for country, a := range addrs {
		c.ok(d.Add(f.entry(country, a, f.begun.Add(-time.Hour)), f.begun))
	}
	c.sign(d)
	return c
}

func (c *ceremony) sign(d *roster.Document) []byte {
	c.f.t.Helper()
	c.ok(d.Sign(c.key))
	b, err := d.Marshal()
	c.ok(err)
	c.chain = append(c.chain, b)
	return b
}

func (c *ceremony) draft(after int, now time.Time) *roster.Document {
	c.f.t.Helper()
	prev, err := roster.Parse(c.chain[after-1])
	c.ok(err)
	d, err := prev.Next(now)
	c.ok(err)
	return d
}

// more adds n versions.
func (c *ceremony) more(n int) {
	c.f.t.Helper()
	for range n {
		c.sign(c.draft(len(c.chain), c.f.begun))
	}
}

func (c *ceremony) anchor() string {
	c.f.t.Helper()
	d, err := roster.Parse(c.chain[0])
	c.ok(err)
	return d.Hash()
}

// member gives a node a roster of its own in a real store; installed says how many versions it starts with.
func (n *node) join(c *ceremony, installed int) *membership.Service {
	t := n.f.t
	t.Helper()
	private, _, err := note.GenerateKey(rand.NewChaCha8([32]byte{7, n.c[0]}), "proofmark."+string(n.c))
	c.ok(err)
	signer, err := note.NewSigner(private)
	c.ok(err)
	st, err := store.Open(store.Options{Dir: t.TempDir(), Key: bytes.Repeat([]byte{5}, 32), Random: &locked{src: rand.NewChaCha8([32]byte{8, n.c[0]})}, Signer: signer,
		MemTable: 8 << 20, Cache: 4 << 20, Now: n.time})
	c.ok(err)
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	engine := policy.Default()
	m, err := membership.New(&desk.Desk{Store: st, Policy: func() *policy.Engine { return engine }, Country: n.c})
	c.ok(err)
	if installed > 0 {
		_, err = m.Install(context.Background(), chief, "", c.chain[:installed], c.anchor())
		c.ok(err)
	}
	n.members = m
	return m
}

// rosters is what node.rosters gives an exchange.
func (n *node) rosters() *Rosters {
	m := n.members
	return &Rosters{
		Hashes: m.Hashes, After: m.After,
		Learn: func(ctx context.Context, from string, documents [][]byte) (int, error) {
			l, err := m.Learn(ctx, from, documents)
			return l.Added, err
		},
		Judge: func(document []byte) (int, Verdict, error) {
			version, v, err := m.Judge(document)
			return version, Verdict(v), err
		},
		Announced:      func() map[protocol.Country][]string { return m.Announced(n.time()) },
		Announcements:  func() []string { return m.Announcements(n.time()) },
		LearnAddresses: m.LearnAddresses,
		CheckAddresses: func(record string) (roster.AddressRecord, error) { return m.Current().Addresses(record, n.time()) },
	}
}

// openMembers opens the nodes' hosts, then gives each its roster: versions says how many of the chain each has.
func (f *federation) openMembers(versions map[protocol.Country]int, more int) *ceremony {
	f.t.Helper()
	addrs := map[protocol.Country][]string{}
	for c, n := range f.nodes {
		n.pace.rosters = time.Hour // the table is looked into on news alone, unless a test says otherwise
		n.open()
		addrs[c] = n.x.Addresses()
	}
	c := newCeremony(f, addrs)
	c.more(more)
	for country, n := range f.nodes {
		m := n.join(c, versions[country])
		n.x.o.Roster, n.x.o.RosterHash, n.x.o.Rosters = m.Current, m.Hash, n.rosters()
		m.OnChange(n.x.RosterChanged)
	}
	return c
}

func (n *node) version() int { return len(n.members.Hashes()) }

// A member that was away for three versions gets them, with the chain between, from the only one that it is connected to.
func TestRosterThroughOneMember(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 4, "FR": 4}, 3)
	pt, es := f.nodes["PT"], f.nodes["ES"]
	pt.x.dht.Validator = nothing{} // not through the table
	es.run()
	pt.run()
	eventually(t, "PT has version 4", func() bool { return pt.version() == 4 })
	if pt.members.Hash() != es.members.Hash() {
		t.Error("another roster than that of ES")
	}
	// To a dialler a connection stands for a moment before it hears that it was dropped.
	eventually(t, "FR, which does not run, hangs up", func() bool { return !f.connected("PT", "FR") })
	eventually(t, "the same roster on both sides", func() bool { return pt.x.Peers()[0].OtherRoster == "" || pt.x.Peers()[1].OtherRoster == "" })
	pt.post.queue("ES", protocol.Urgent, "a")
	f.delivered("PT", "ES", protocol.Urgent, []string{"a"})
}

// nothing is a table that holds no records.
type nothing struct{}

func (nothing) Validate(string, []byte) error        { return errNoRecord }
func (nothing) Select(string, [][]byte) (int, error) { return 0, errNoRecord }

// Members that do not speak of rosters to each other find them in the table.
func TestRosterThroughTable(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	c := f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 1, "FR": 1}, 3)
	for _, n := range f.nodes {
		n.x.pace.rosters = 300 * time.Millisecond
		n.run()
		n.x.host.RemoveStreamHandler(RosterProtocol)
	}
	eventually(t, "all connected", func() bool { return f.connected("PT", "ES") && f.connected("PT", "FR") && f.connected("ES", "FR") })
	if _, err := f.nodes["FR"].members.Install(context.Background(), chief, "", c.chain, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all have version 4", func() bool { return f.nodes["PT"].version() == 4 && f.nodes["ES"].version() == 4 })
}

// What is installed at one member is in force everywhere a moment later.
func TestRosterSpreads(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR", "IT")
	c := f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 1, "FR": 1, "IT": 1}, 0)
	for _, n := range f.nodes {
		n.run()
	}
	eventually(t, "PT is connected", func() bool { return f.connected("PT", "ES") && f.connected("PT", "FR") && f.connected("PT", "IT") })
	d := c.draft(1, f.begun)
	c.ok(d.SetStatus("IT", roster.Suspended, f.begun))
	if _, err := f.nodes["ES"].members.Install(context.Background(), chief, "", [][]byte{c.sign(d)}, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "PT and FR have version 2", func() bool { return f.nodes["PT"].version() == 2 && f.nodes["FR"].version() == 2 })
	eventually(t, "nobody is connected to the suspended one", func() bool {
		return len(f.nodes["IT"].x.host.Network().Conns()) == 0
	})
	if v := f.nodes["IT"].version(); v > 2 {
		t.Errorf("IT has version %d", v)
	}
}

// Two rosters of one version: both sides see it, and each stays with its own.
func TestForkIsSeenOnBothSides(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	c := f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 1}, 0)
	a := c.sign(c.draft(1, f.begun))
	b := c.sign(c.draft(1, f.begun.Add(time.Minute)))
	pt, es := f.nodes["PT"], f.nodes["ES"]
	ctx := context.Background()
	for n, own := range map[*node][]byte{pt: a, es: b} {
		if _, err := n.members.Install(ctx, chief, "", [][]byte{own}, ""); err != nil {
			t.Fatal(err)
		}
	}
	ours, theirs := pt.members.Hash(), es.members.Hash()
	pt.run()
	es.run()
	for n, other := range map[*node]string{pt: theirs, es: ours} {
		eventually(t, "the fork is seen in "+string(n.c), func() bool {
			forks := n.members.Forks()
			return len(forks) == 1 && forks[0].Hash == other && forks[0].Version == 2
		})
	}
	if pt.members.Hash() != ours || es.members.Hash() != theirs {
		t.Error("a node changed sides")
	}
	pt.post.queue("ES", protocol.Bulk, "still served")
	f.delivered("PT", "ES", protocol.Bulk, []string{"still served"})
}

// A bureau moves: it is found at its new place by a member that knew only the old one and cannot be dialled by it.
func TestAnnouncedAddressIsFound(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	for _, n := range f.nodes {
		n.listen = onlyTCP
	}
	c := f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 1, "FR": 1}, 0)
	pt, es, fr := f.nodes["PT"], f.nodes["ES"], f.nodes["FR"]
	// FR never listened at the address that the roster gives: it has moved.
	d := c.draft(1, f.begun)
	c.ok(d.Add(f.entry("FR", []string{"/ip4/127.0.0.1/tcp/1"}, f.begun.Add(-time.Minute)), f.begun))
	c.ok(d.Add(f.entry("PT", []string{"/ip4/127.0.0.1/tcp/1"}, f.begun.Add(-time.Minute)), f.begun))
	v2 := c.sign(d)
	for _, n := range f.nodes {
		if _, err := n.members.Install(context.Background(), chief, "", [][]byte{v2}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []*node{es, pt, fr} {
		n.run()
	}
	eventually(t, "PT and FR are connected to ES", func() bool { return f.connected("PT", "ES") && f.connected("FR", "ES") })
	record, err := roster.SignAddresses(roster.AddressRecord{Country: "FR", Addresses: fr.x.Addresses(), Issued: time.Now().Add(time.Second), Until: f.begun.AddDate(0, 6, 0)}, fr.keys.Signer())
	c.ok(err)
	if _, err := fr.members.Announce(context.Background(), chief, "", record); err != nil {
		t.Fatal(err)
	}
	eventually(t, "PT knows where FR is", func() bool { return len(pt.members.Announcements(time.Now())) == 1 })
	pt.post.queue("FR", protocol.Urgent, "found you")
	f.delivered("PT", "FR", protocol.Urgent, []string{"found you"})
}

// A newcomer that is listed, and has nothing but the anchor, asks a member; nobody else gets in by a visit.
func TestVisit(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES", "FR")
	c := f.openMembers(map[protocol.Country]int{"ES": 3}, 2)
	pt, es := f.nodes["PT"], f.nodes["ES"]
	es.run()
	pt.run()
	ctx := context.Background()
	eventually(t, "ES lets members in", func() bool { return es.x.dir.Load() != nil })
	docs, versions, err := pt.x.Visit(ctx, es.x.Addresses()[0], 0)
	if err != nil || versions != 3 || len(docs) != 3 {
		t.Fatalf("visit: %d documents of %d versions, %v", len(docs), versions, err)
	}
	if _, err := pt.members.Install(ctx, chief, "", docs, c.anchor()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "PT is connected to ES", func() bool { return f.connected("PT", "ES") })
	stranger := newFederation(t, "SE")
	se := stranger.nodes["SE"]
	se.open()
	se.join(c, 0)
	se.x.o.Rosters = se.rosters()
	if _, _, err := se.x.Visit(ctx, es.x.Addresses()[0], 0); err == nil {
		t.Error("a country that is not listed got the roster")
	}
	for _, bad := range []string{"", "madrid", "/ip4/127.0.0.1/tcp/1"} {
		if _, _, err := pt.x.Visit(ctx, bad, 0); err == nil || !strings.Contains(err.Error(), "write it like") {
			t.Errorf("visit to %q: %v", bad, err)
		}
	}
	// Whom PT visits may be dialled, and does not come in by it.
	fr := f.nodes["FR"]
	id := fr.x.host.ID()
	fresh := newGater(se.x.dir, se.x.o.Log)
	fresh.host.Store(&id)
	if !fresh.InterceptPeerDial(id) || fresh.InterceptPeerDial(es.x.host.ID()) {
		t.Error("a visit opens the way to the one that is visited, and to nobody else")
	}
}

// After the roster's grace documents wait, connections stay, and nothing is lost.
func TestHeldUntilTheNextRoster(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	late := f.begun.Add(24*time.Hour + roster.Grace)
	c := f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 1}, 0)
	pt, es := f.nodes["PT"], f.nodes["ES"]
	d := c.draft(1, f.begun.Add(10*time.Minute)) // entries go on for longer than the roster
	for _, n := range f.nodes {
		m, _ := d.Roster().ByCountry(string(n.c))
		m.Member.ValidFrom, m.Member.ValidUntil = f.begun.Add(-time.Minute), late.AddDate(1, 0, 0)
		entry, err := roster.SignMember(m.Member, n.keys.Signer())
		c.ok(err)
		c.ok(d.Add(entry, f.begun))
	}
	v2 := c.sign(d)
	end := d.Roster().ValidUntil
	clock := func(at time.Time) {
		for _, n := range f.nodes {
			since := time.Now()
			n.setNow(func() time.Time { return at.Add(time.Since(since)) })
		}
	}
	for _, n := range f.nodes {
		if _, err := n.members.Install(context.Background(), chief, "", [][]byte{v2}, ""); err != nil {
			t.Fatal(err)
		}
	}
	clock(end.Add(roster.Grace - time.Hour)) // long expired, within its grace
	pt.run()
	es.run()
	pt.post.queue("ES", protocol.Bulk, "a")
	f.delivered("PT", "ES", protocol.Bulk, []string{"a"})
	clock(end.Add(roster.Grace))
	pt.post.queue("ES", protocol.Bulk, "b")
	eventually(t, "PT says why documents wait", func() bool { return strings.Contains(pt.x.Peers()[0].LastError, "grace is over") })
	if !f.connected("PT", "ES") || len(es.post.received("PT", protocol.Bulk)) != 1 {
		t.Error("the members are cut off, or a document went on")
	}
	v3 := c.sign(c.draft(2, end.Add(roster.Grace)))
	if _, err := es.members.Install(context.Background(), chief, "", [][]byte{v3}, ""); err != nil {
		t.Fatal(err)
	}
	f.delivered("PT", "ES", protocol.Bulk, []string{"a", "b"})
	if pt.version() != 3 {
		t.Errorf("PT has version %d", pt.version())
	}
}

func FuzzRosterHeads(f *testing.F) {
	for _, s := range []string{`{"version":3,"hash":"x","after":2}`, `{"version":2,"hashes":["a","b"],"count":1}`, `{"version":-1}`, `{"version":9,"hashes":[],"count":65}`, `{"version":2,"hash":"x","after":-1,"digest":"d","want":["a"]}`, `{"version":1,"hashes":["a"],"digest":"d","marks":["m"],"busy":true}`, `[[[[`, ``} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeHead[ask](b)
		answer, err := decodeHead[tell](b)
		if err != nil || answer.check() != nil {
			return
		}
		ours := []string{"a", "c", "d"}
		if v := answer.divergence(ours); v < 0 || v > len(ours) {
			t.Errorf("divergence at %d of %+v", v, answer)
		}
	})
}
