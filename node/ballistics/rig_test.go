package ballistics

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"

	libp2pcrypto "github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
)

// clock is the time of all bureaus of a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Millisecond)
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// lab is one country's laboratory on a real store, without a network.
type lab struct {
	t       *testing.T
	country protocol.Country
	keys    *crypto.Keys
	store   *store.Store
	out     *dispatch.Dispatch
	tracing *tracing.Service
	engine  *policy.Engine
	*Service
}

// labs makes laboratories that know each other as members.
func labs(t *testing.T, clk *clock, countries ...protocol.Country) []*lab {
	t.Helper()
	var all []*lab
	now := clk.Now()
	_, public, err := roster.NewHolder("holder", []byte("a passphrase for tests"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	holder, err := roster.ParseHolder(public)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := roster.Create("test", []roster.Holder{holder}, 1, now, now.AddDate(20, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var members *roster.Roster
	for _, c := range countries {
		keys, err := crypto.GenerateKeys(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := roster.SignMember(roster.Member{Country: string(c), Name: "NCB " + string(c), PeerIDs: []string{peerOf(t, keys.HostKey())}, Addresses: []string{"/ip4/127.0.0.1/tcp/4931"},
			SigningKeys: []json.RawMessage{keys.SigningJWK()}, SealingKeys: []json.RawMessage{keys.SealingJWK()}, LogKey: keys.LogVerifierKey("proofmark." + string(c)),
			ValidFrom: now, ValidUntil: now.AddDate(20, 0, 0)}, keys.Signer())
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Add(entry, now); err != nil {
			t.Fatal(err)
		}
		all = append(all, &lab{t: t, country: c, keys: keys})
	}
	members = doc.Roster()
	for _, l := range all {
		l.engine = policy.Default()
		signer, err := l.keys.LogSigner("proofmark." + string(l.country))
		if err != nil {
			t.Fatal(err)
		}
		l.store, err = store.Open(store.Options{Dir: t.TempDir(), Key: bytes.Repeat([]byte{7}, 32), Now: clk.Now, Random: rand.Reader, Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.store.Close() })
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		current := func() *policy.Engine { return l.engine }
		d := &desk.Desk{Store: l.store, Policy: current, Country: l.country, Log: log}
		l.out = dispatch.New(dispatch.Options{Country: l.country, Store: l.store, Signer: l.keys.Signer(), Policy: current, Roster: func() *roster.Roster { return members },
			Now: clk.Now, Random: rand.Reader, Log: log})
		l.tracing = tracing.New(d, l.out)
		l.Service = New(d, l.out, clk.Now)
	}
	return all
}

func peerOf(t *testing.T, k libp2pcrypto.PrivKey) string {
	id, err := peer.IDFromPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// carry delivers everything from one laboratory to another on one channel, and the receipts back.
func carry(t *testing.T, from, to *lab, channels ...protocol.Channel) {
	t.Helper()
	if len(channels) == 0 {
		channels = protocol.Channels
	}
	for _, ch := range channels {
		for {
			b, err := from.out.NextBatch(t.Context(), to.country, ch)
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				break
			}
			receipt, err := to.out.AcceptBatch(t.Context(), from.country, b.Manifest, b.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if err := from.out.AcceptReceipt(t.Context(), to.country, receipt); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// agree has two bureaus tell each other the time, in receipts that say nothing new.
func agree(t *testing.T, a, b *lab) {
	t.Helper()
	for _, way := range [][2]*lab{{a, b}, {b, a}} {
		receipt, err := way[1].out.CurrentReceipt(t.Context(), way[0].country, protocol.Urgent)
		if err == nil {
			err = way[0].out.AcceptReceipt(t.Context(), way[1].country, receipt)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// settle correlates whatever waits.
func (l *lab) settle() {
	l.t.Helper()
	if err := l.correlateAll(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

var (
	tech   = desk.Actor{Name: "tech", Roles: []string{policy.Technician}}
	exam1  = desk.Actor{Name: "exam1", Roles: []string{policy.Examiner}}
	exam2  = desk.Actor{Name: "exam2", Roles: []string{policy.Examiner}}
	exam3  = desk.Actor{Name: "exam3", Roles: []string{policy.Examiner}}
	ncb    = desk.Actor{Name: "ncb", Roles: []string{policy.NCBOperator}}
	invest = desk.Actor{Name: "invest", Roles: []string{policy.Investigator}}
)

// crime opens a case with one incident.
func (l *lab) crime(ref string) {
	l.t.Helper()
	if _, err := l.AddCase(l.t.Context(), tech, "", NewCase{Reference: ref, Agency: "Judicial Police"}); err != nil {
		l.t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	_, err := l.AddIncident(l.t.Context(), tech, "", NewIncident{Case: ref, Occurred: protocol.Interval{From: at, To: at.Add(time.Hour)}, Place: "Place " + ref, Offence: "homicide"})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) exhibit(number, ref string) {
	l.t.Helper()
	if _, err := l.AddExhibit(l.t.Context(), tech, "", NewExhibit{Number: number, Case: ref, Origin: protocol.Evidence, Calibre: "9 mm Luger"}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) acquire(number string, scan []byte) *Acquisition {
	l.t.Helper()
	a, err := l.Acquire(l.t.Context(), tech, "", NewAcquisition{Exhibit: number, ROI: "breech-face", Scans: []File{{Name: number + ".x3p", Content: scan}}})
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

// shots keeps generated scans: making one takes longer than anything a test does with it.
var shots sync.Map

// shot is a generated scan of a firearm's breech face.
func shot(t *testing.T, firearm, seed uint64) []byte {
	t.Helper()
	return shotOf(firearm, seed)
}

func shotOf(firearm, seed uint64) []byte {
	key := [2]uint64{firearm, seed}
	if b, ok := shots.Load(key); ok {
		return b.([]byte)
	}
	var buf bytes.Buffer
	if err := x3p.Write(&buf, synth.NewMaker(1).Firearm(firearm).Fire(seed, synth.Shot{})); err != nil {
		panic(err)
	}
	shots.Store(key, buf.Bytes())
	return buf.Bytes()
}

func (l *lab) events(q store.AuditQuery) []store.AuditRecord {
	l.t.Helper()
	found, err := l.store.QueryAudit(context.Background(), q)
	if err != nil {
		l.t.Fatal(err)
	}
	return found
}
