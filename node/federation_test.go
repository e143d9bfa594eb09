package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"time"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/crypto"
	"proofmark/crypto/roster"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/freeport"
	"proofmark/node/membership"
	"proofmark/node/people"
	"proofmark/node/witness"
	"proofmark/protocol"
)

const (
	testPassphrase = "a passphrase for tests only"
	testSecret     = "a secret of one person"
)

// bureau is one country's node under test, with a client for each person.
type bureau struct {
	t       testing.TB
	country string
	dir     string
	node    *Node
	stop    context.CancelFunc
	done    chan error
	people  map[string]*control.Client
	scans   scanPace
	muxer   network.Multiplexer // nil: the usual one
	log     *slog.Logger
	now     func() time.Time // nil: the wall clock

	witnessing witness.Pace
}

// newBureau makes a node on free loopback ports; it is not started.
func newBureau(t testing.TB, country string, adjust ...func(*Config)) *bureau {
	t.Helper()
	return makeBureau(t, filepath.Join(shortTemp(t), country), country, adjust...)
}

// makeBureau makes a node in a folder.
func makeBureau(t testing.TB, dir, country string, adjust ...func(*Config)) *bureau {
	t.Helper()
	c := DefaultConfig(country, "NCB "+country)
	port := freePort(t)
	c.Network.Listen = []string{fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port), fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port)}
	c.Store.ReserveMB = 1
	for _, change := range adjust {
		change(&c)
	}
	err := Init(t.Context(), dir, InitOptions{Config: c, Passphrase: []byte(testPassphrase), Admin: "admin", Secret: []byte(testSecret), Cost: crypto.TestCost, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return &bureau{t: t, country: country, dir: dir, people: map[string]*control.Client{}}
}

// shortTemp is a temporary folder with a short path: a Unix socket's path is limited.
func shortTemp(t testing.TB) string {
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := freeport.Find()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (b *bureau) start() {
	b.t.Helper()
	b.open()
	b.run()()
}

// open gives the node its database and its ports; it talks to nobody before run.
func (b *bureau) open() {
	b.t.Helper()
	n, err := Open(b.dir, []byte(testPassphrase), Options{Cost: crypto.TestCost, scans: b.scans, muxer: b.muxer, Log: b.log, Now: b.now, witnessing: b.witnessing})
	if err != nil {
		b.t.Fatal(err)
	}
	b.node = n
}

// run starts what was opened; what it returns waits until people can log in.
func (b *bureau) run() (wait func()) {
	b.t.Helper()
	n := b.node
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.done = stop, make(chan error, 1)
	ready := make(chan struct{})
	go func() { b.done <- n.Run(ctx, func() { close(ready) }) }()
	b.t.Cleanup(b.halt)
	return func() {
		select {
		case <-ready:
		case err := <-b.done:
			b.stop = nil
			b.t.Fatal(err)
		}
	}
}

func (b *bureau) halt() {
	if b.stop == nil {
		return
	}
	b.stop()
	if err := <-b.done; err != nil {
		b.t.Errorf("%s: stop: %v", b.country, err)
	}
	b.stop = nil
}

// login opens the administrator's session and makes an account for each role.
func (b *bureau) login(roles map[string]string) {
	b.t.Helper()
	admin := b.session(control.LoginRequest{Name: "admin", Secret: testSecret})
	b.people["admin"] = admin
	for name, role := range roles {
		code := call[control.UserCode](b.t, admin, "user.add", control.UserRequest{Name: name, Roles: []string{role}})
		b.people[name] = b.session(control.LoginRequest{Name: name, Secret: testSecret + " " + name, Code: code.Code})
	}
}

func (b *bureau) session(r control.LoginRequest) *control.Client {
	b.t.Helper()
	c := control.Dial(b.dir)
	b.t.Cleanup(c.Close)
	c.Token = call[people.Session](b.t, c, "login", r).Token
	return c
}

func call[Resp, Req any](t testing.TB, c *control.Client, name string, req Req) Resp {
	t.Helper()
	key, err := protocol.NewID(time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := control.Call[Resp](t.Context(), c, name, key, req)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return resp
}

// compose signs a roster of the bureaus by two of two holders, whose private keys it returns as they lie in files.
func compose(t testing.TB, bureaus ...*bureau) (doc *roster.Document, private [][]byte) {
	t.Helper()
	var keys []*roster.HolderKey
	var holders []roster.Holder
	for _, name := range []string{"A. Silva", "B. Moreau"} {
		p, _, err := roster.NewHolder(name, []byte(testPassphrase), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k, err := roster.OpenHolder(p, []byte(testPassphrase))
		if err != nil {
			t.Fatal(err)
		}
		keys, holders, private = append(keys, k), append(holders, k.Holder()), append(private, p)
	}
	now := time.Now()
	doc, err := roster.Create("test federation", holders, 2, now, now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bureaus {
		entry, err := os.ReadFile(MemberPath(b.dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := doc.Add(string(entry), now); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range keys {
		if err := doc.Sign(k); err != nil {
			t.Fatal(err)
		}
	}
	return doc, private
}

// federate signs a roster of the bureaus by two of two holders and installs it everywhere.
func federate(t testing.TB, bureaus ...*bureau) (doc *roster.Document, keys []*roster.HolderKey) {
	t.Helper()
	doc, private := compose(t, bureaus...)
	for _, p := range private {
		k, err := roster.OpenHolder(p, []byte(testPassphrase))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	raw, err := doc.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bureaus {
		in := call[*membership.Installed](t, b.people["admin"], "roster.install", control.InstallRequest{Documents: [][]byte{raw}, Anchor: doc.Hash()})
		if len(in.Warnings) > 0 {
			t.Errorf("%s: warnings on installing: %q", b.country, in.Warnings)
		}
	}
	return doc, keys
}

// prepare makes case, incident and exhibit, and the bytes of a scan of it.
func (b *bureau) prepare(number string, scan *x3p.Scan) []byte {
	b.t.Helper()
	tech := b.people["tech"]
	call[*ballistics.Case](b.t, tech, "case.add", ballistics.NewCase{Reference: b.country + "-1", Agency: "Judicial Police"})
	if len(call[[]*ballistics.Incident](b.t, tech, "incident.list", control.CaseRef{Case: b.country + "-1"})) == 0 {
		when := time.Now().Add(-48 * time.Hour)
		call[*ballistics.Incident](b.t, tech, "incident.add", ballistics.NewIncident{Case: b.country + "-1", Occurred: protocol.Interval{From: when, To: when.Add(time.Hour)},
			Place: "Secret Street 7", Offence: "homicide"})
	}
	call[*ballistics.Exhibit](b.t, tech, "exhibit.add", ballistics.NewExhibit{Number: number, Case: b.country + "-1", Origin: protocol.Evidence, Calibre: "9 mm Luger"})
	var buf bytes.Buffer
	if err := x3p.Write(&buf, scan); err != nil {
		b.t.Fatal(err)
	}
	return buf.Bytes()
}

// enrol prepares an exhibit and acquires a scan of it.
func (b *bureau) enrol(number string, scan *x3p.Scan) *ballistics.Acquisition {
	b.t.Helper()
	return b.enrolRegion(number, "breech-face", scan)
}

// patience is how long a test waits: longer than the waits between tries of nodes, also on a loaded machine.
const patience = 3 * time.Minute

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %v", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *bureau) candidates(signature string) []*ballistics.CandidateView {
	b.t.Helper()
	list, err := control.Call[[]*ballistics.CandidateView](b.t.Context(), b.people["tech"], "candidates.list", "", ballistics.CandidateFilter{Signature: signature})
	if err != nil {
		return nil // not received yet
	}
	return list
}

var roles = map[string]string{"tech": "technician", "exam1": "examiner", "exam2": "examiner", "inv": "investigator", "op": "ncb-operator", "aud": "auditor"}

// TestExhibitCrossesBorder is the main job from scan to hit between two countries, over real hosts, stores and command sockets.
func TestExhibitCrossesBorder(t *testing.T) {
	pt, es := newBureau(t, "PT"), newBureau(t, "ES")
	for _, b := range []*bureau{pt, es} {
		b.start()
		b.login(roles)
	}
	federate(t, pt, es)

	gun := synth.NewMaker(1).Firearm(7)
	other := synth.NewMaker(1).Firearm(8)
	a := pt.enrol("PT-E1", gun.Fire(1, synth.Shot{}))
	pt.enrol("PT-E2", other.Fire(1, synth.Shot{}))
	b := es.enrol("ES-E1", gun.Fire(2, synth.Shot{}))

	pair := protocol.PairID(a.Signature, b.Signature)
	for _, side := range []*bureau{pt, es} {
		own, foreign := a.Signature, b.Signature
		if side == es {
			own, foreign = foreign, own
		}
		eventually(t, "the candidate at "+side.country, func() bool {
			list := side.candidates(own)
			return len(list) > 0 && list[0].Pair == pair && list[0].Other.Signature == foreign
		})
	}
	shown := pt.candidates(a.Signature)[0]
	if shown.Other.Place != "" || shown.Other.Case != "" || shown.Other.Exhibit != "" || shown.Other.Agency != "" {
		t.Errorf("the default policy withholds place, case, exhibit number and agency; PT sees %+v", shown.Other)
	}
	if shown.Other.Offence != "homicide" {
		t.Errorf("the default policy releases the offence; PT sees %q", shown.Other.Offence)
	}

	// Two people find a lead; the same person cannot be both.
	lead := ballistics.NewReview{Pair: pair, Verdict: protocol.VerdictLead}
	call[*ballistics.CandidateView](t, pt.people["tech"], "candidates.review", lead)
	if _, err := control.Call[*ballistics.CandidateView](t.Context(), pt.people["tech"], "candidates.review", "", ballistics.NewReview{Pair: pair, Verdict: protocol.VerdictExcluded}); err == nil {
		t.Error("one person made both reviews")
	}
	if _, err := control.Call[*ballistics.Lead](t.Context(), pt.people["exam1"], "lead.release", "", control.LeadRequest{Pair: pair}); err == nil {
		t.Error("a lead was released after one review")
	}
	if v := call[*ballistics.CandidateView](t, pt.people["exam1"], "candidates.show", control.Ref{Ref: pair[:12]}); len(v.Reviews) != 0 || v.Hidden != 1 {
		t.Errorf("the second review is not blind: %+v", v.Reviews)
	}
	call[*ballistics.CandidateView](t, pt.people["exam1"], "candidates.review", lead)
	if l := call[*ballistics.Lead](t, pt.people["exam1"], "lead.release", control.LeadRequest{Pair: pair}); l.Sent.Body.Caveat != protocol.Caveat {
		t.Errorf("the lead carries the caveat %q", l.Sent.Body.Caveat)
	}
	state := func(b *bureau) ballistics.LeadState {
		l, err := control.Call[*ballistics.Lead](t.Context(), b.people["inv"], "lead.show", "", control.Ref{Ref: pair})
		if err != nil {
			return ""
		}
		return l.State
	}
	eventually(t, "the lead at ES", func() bool { return state(es) == ballistics.LeadReceived })
	call[*ballistics.Lead](t, es.people["op"], "lead.ack", control.LeadRequest{Pair: pair, Text: "on it"})
	eventually(t, "the acknowledgement at PT", func() bool { return state(pt) == ballistics.LeadAcknowledged })
	call[*ballistics.Lead](t, es.people["inv"], "lead.feedback", control.LeadRequest{Pair: pair, Code: "GUN_RECOVERED"})
	eventually(t, "the feedback at PT", func() bool {
		l := call[*ballistics.Lead](t, pt.people["inv"], "lead.show", control.Ref{Ref: pair})
		return len(l.Feedback) == 1 && l.Feedback[0].Code == "GUN_RECOVERED" && l.Feedback[0].From == "ES"
	})
	confirm := ballistics.NewConfirmation{Pair: pair, Conclusion: "identification", Items: []string{"PT-E1", "cast of ES-E1"}, Where: "LPC Lisbon"}
	call[*ballistics.Lead](t, pt.people["exam1"], "hit.confirm", confirm)
	if _, err := control.Call[*ballistics.Lead](t.Context(), pt.people["exam1"], "hit.confirm", "", ballistics.NewConfirmation{Pair: pair, Conclusion: "again", Items: []string{"x"}, Where: "y"}); err == nil {
		t.Error("one person confirmed and verified")
	}
	if s := state(pt); s == ballistics.LeadHit {
		t.Error("a hit without a verifier")
	}
	call[*ballistics.Lead](t, pt.people["exam2"], "hit.confirm", ballistics.NewConfirmation{Pair: pair})
	eventually(t, "the hit at ES", func() bool { return state(es) == ballistics.LeadHit })

	for _, b := range []*bureau{pt, es} {
		v := call[control.AuditVerified](t, b.people["aud"], "audit.verify", control.None{})
		if !v.Verified || v.Entries < 20 {
			t.Errorf("%s: audit log: %+v", b.country, v)
		}
		if _, err := control.Call[[]*ballistics.CandidateView](t.Context(), b.people["admin"], "candidates.list", "", ballistics.CandidateFilter{}); err == nil {
			t.Errorf("%s: the administrator saw candidates", b.country)
		}
	}

	// A restart keeps everything and does nothing twice.
	before := len(pt.candidates(a.Signature))
	pt.halt()
	pt.start()
	pt.people["tech"] = pt.session(control.LoginRequest{Name: "tech", Secret: testSecret + " tech"})
	pt.people["inv"] = pt.session(control.LoginRequest{Name: "inv", Secret: testSecret + " inv"})
	if after := len(pt.candidates(a.Signature)); after != before {
		t.Errorf("%d candidates before the restart, %d after", before, after)
	}
	if s := state(pt); s != ballistics.LeadHit {
		t.Errorf("after the restart the lead is %s", s)
	}
}
