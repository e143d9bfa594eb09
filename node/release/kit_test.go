package release

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"proofmark/correlate"
	"proofmark/crypto"
	"proofmark/node/ballistics"
	"proofmark/node/bureautest"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/node/tracing"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// begin is 7 s after a whole tick.
var begin = time.Date(2026, 3, 1, 12, 0, 7, 0, time.UTC)

var (
	tech  = desk.Actor{Name: "tech", Roles: []string{policy.Technician}}
	exam1 = desk.Actor{Name: "exam1", Roles: []string{policy.Examiner}}
	exam2 = desk.Actor{Name: "exam2", Roles: []string{policy.Examiner}}
	ncb   = desk.Actor{Name: "ncb", Roles: []string{policy.NCBOperator}}
)

// bureau is one country's releases.
type bureau struct {
	*bureautest.Bureau
	*Service
	t     testing.TB
	f     *federation
	lab   *ballistics.Service
	quota int
	steps []string // of every look, separated by requests
	line  func(b []byte) ([]byte, error)
}

// federation goes by a clock that stands still unless it is moved.
type federation struct {
	*bureautest.Federation
	t       testing.TB
	bureaus map[protocol.Country]*bureau
}

// rules are the default policy with more in a file of its own.
func rules(t testing.TB, more string, without ...string) *policy.Engine {
	t.Helper()
	files := fstest.MapFS{"99-more.cedar": {Data: []byte(more)}}
	for _, name := range bureautest.Must(fs.Glob(policy.DefaultFiles(), "*.cedar")) {
		text := bureautest.Must(fs.ReadFile(policy.DefaultFiles(), name))
		for _, w := range without {
			text = bytes.ReplaceAll(text, []byte(w), nil)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	e, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newFederation(t testing.TB, countries ...protocol.Country) *federation {
	t.Helper()
	f := &federation{Federation: bureautest.New(t, bureautest.NewClock(begin, 0), countries...), t: t, bureaus: map[protocol.Country]*bureau{}}
	for _, one := range f.Bureaus {
		b := &bureau{Bureau: one, t: t, f: f, quota: 20}
		b.open()
		f.bureaus[one.Country] = b
	}
	return f
}

func (b *bureau) open() {
	b.t.Helper()
	b.Bureau.Open(nil)
	tracing.New(b.Desk, b.Out)
	b.lab = ballistics.New(b.Desk, b.Out, b.Clock.Now)
	b.Service = New(Options{Desk: b.Desk, Out: b.Out, Now: b.Clock.Now, Fetch: b.over, Quota: b.quota, Chunk: protocol.MinScanChunk})
	b.looked = func(step string) { b.steps = append(b.steps, step) }
}

// over is the network: bytes come straight out of the other bureau, in frames of odd sizes, through line.
func (b *bureau) over(ctx context.Context, from protocol.Country, release string, scan protocol.ReleasedScan, offset int64, take func([]byte) error, done func() error) error {
	src, err := b.f.bureaus[from].Service.Open(ctx, b.Country, release, scan.SHA256, offset)
	if err != nil {
		return errors.Join(ErrRefused, err)
	}
	all, err := src.Read()
	if err != nil {
		return err
	}
	for all = all[offset:]; len(all) > 0; {
		frame := all[:min(3001, len(all))]
		all = all[len(frame):]
		if err := src.Standing(); err != nil {
			return err
		}
		if b.line != nil {
			if frame, err = b.line(frame); err != nil {
				return err
			}
		}
		if err := take(frame); err != nil {
			return err
		}
	}
	err = done()
	src.Sent(err == nil)
	return err
}

func (f *federation) carry(from, to protocol.Country) {
	f.t.Helper()
	f.bureaus[from].Carry(f.bureaus[to].Bureau)
}

// shot stands for a scan: what it shows does not matter here, and its chunks are all different.
var shot = sync.OnceValue(func() []byte {
	b := make([]byte, 150_001)
	if _, err := mathrand.NewChaCha8([32]byte{3}).Read(b); err != nil {
		panic(err)
	}
	return b
})

// The laboratory's records as it keeps them; making them its own way takes longer than anything a test does with them.
var (
	signatures   = store.NewCollection[ballistics.Signature]("signature")
	acquisitions = store.NewCollection("acquisition", store.Index[ballistics.Acquisition]{Name: "exhibit", Keys: func(a *ballistics.Acquisition) []string { return []string{a.Exhibit} }})
)

// enrol makes an exhibit with a scan and publishes its signature, which it returns.
func (b *bureau) enrol() (signature string) {
	b.t.Helper()
	err := b.Store.Update(b.t.Context(), func(tx *store.Tx) error {
		hash, err := tx.PutBlob(shot())
		if err != nil {
			return err
		}
		exhibit := bureautest.Must(protocol.NewID(tx.Now(), tx.Random()))
		signature = bureautest.Must(protocol.NewDocumentID(b.Country, tx.Now(), tx.Random()))
		a := &ballistics.Acquisition{ID: exhibit, Exhibit: exhibit, Number: "E-1", ROI: correlate.BreechFace, Scans: []ballistics.Scan{{File: "e1.x3p", Hash: hash, Bytes: len(shot())}}, Signature: signature}
		sig := &ballistics.Signature{ID: signature, Country: b.Country, Own: true, Exhibit: exhibit, ROI: a.ROI, Number: a.Number, Case: "C-1"}
		body := &protocol.SignatureBody{Exhibit: exhibit, ROI: string(a.ROI), Kind: protocol.CartridgeCase, Origin: protocol.Evidence, Calibre: "9 mm Luger", FiringPin: protocol.Unknown,
			Pattern: protocol.Unknown, Algorithm: "none", Signature: []byte{1}, Quality: 1}
		facts := dispatch.Facts{Purpose: Purpose, Actor: tech.Name, Event: begin.AddDate(0, 0, -2), Attributes: map[string]any{"calibre": body.Calibre, "origin": body.Origin, "handling": []string{},
			"offence": "homicide", "terrorism": false, "customs": false, "trafficking": false, "group_size": int64(0)}}
		return errors.Join(acquisitions.Put(tx, a.ID, a), signatures.Put(tx, signature, sig), b.Out.IssueAs(tx, signature, protocol.TypeSignature, body, facts))
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return signature
}

// ask has a bureau ask for a scan, delivers the request and lets the owner judge it.
func (b *bureau) ask(signature string, owner protocol.Country) *Request {
	b.t.Helper()
	r, err := b.Request(b.t.Context(), exam1, "", Ask{Signature: signature, Reason: "side by side"})
	if err != nil {
		b.t.Fatal(err)
	}
	b.f.carry(b.Country, owner)
	b.f.bureaus[owner].judge()
	return r
}

func (b *bureau) judge() {
	b.t.Helper()
	if err := b.Judge(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bureau) show(ref string) *Request {
	b.t.Helper()
	r, err := b.Show(b.t.Context(), exam1, ref)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// entries finds what a log says of scans.
func (b *bureau) entries(event string) []store.AuditRecord {
	b.t.Helper()
	var out []store.AuditRecord
	for _, e := range bureautest.Must(b.Store.QueryAudit(b.t.Context(), store.AuditQuery{Limit: 1000})) {
		if e.Event == event {
			out = append(out, e)
		}
	}
	return out
}

// answers are the signed refusals that a bureau holds, by request.
func (b *bureau) answers() map[string]*dispatch.Record {
	b.t.Helper()
	out := map[string]*dispatch.Record{}
	err := b.Store.View(func(tx *store.Tx) error {
		for _, r := range dispatch.Documents.By(tx, "status-type", string(dispatch.Accepted)+"/"+string(protocol.TypeScanRefusal)) {
			payload, _, err := crypto.Unverified(r.JWS, crypto.TypeDocument, protocol.MaxMessage)
			if err != nil {
				return err
			}
			doc, err := protocol.Open(payload, r.Disclosures)
			if err != nil {
				return err
			}
			body, err := protocol.BodyOf[protocol.ScanRefusalBody](doc)
			if err != nil {
				return err
			}
			out[body.Request] = r
		}
		return tx.Err()
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// context_ is what a Fetch is given first.
type context_ = context.Context

// forge sends a document past the service, as a hostile member could.
func (b *bureau) forge(to protocol.Country, typ protocol.Type, body protocol.Body) {
	b.t.Helper()
	b.Issue(typ, body, dispatch.Facts{To: to, Purpose: Purpose, Actor: "test"})
}
