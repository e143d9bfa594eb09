package operations

import (
	"testing"
	"time"

	"proofmark/node/bureautest"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

var (
	olga = desk.Actor{Name: "olga", Roles: []string{policy.NCBOperator}}
	otto = desk.Actor{Name: "otto", Roles: []string{policy.NCBOperator}}
	tina = desk.Actor{Name: "tina", Roles: []string{policy.Technician}}
)

// bureau is one country's operations.
type bureau struct {
	*bureautest.Bureau
	*Service
	t       testing.TB
	changes int
}

func ok[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newBureaus(t testing.TB, countries ...protocol.Country) ([]*bureau, *bureautest.Clock) {
	t.Helper()
	f := bureautest.New(t, bureautest.NewClock(begin.AddDate(0, 0, -10), time.Millisecond), countries...)
	var out []*bureau
	for _, one := range f.Bureaus {
		b := &bureau{Bureau: one, t: t}
		b.Open(func(o *dispatch.Options) {
			o.Operations = func(tx *store.Tx, with protocol.Country) ([]policy.Operation, error) { return b.Running(tx, with) }
		})
		b.Out.Handle(protocol.TypeSignature, func(*store.Tx, dispatch.Received) error { return nil })
		b.Service = New(b.Desk, b.Out, func() { b.changes++ })
		out = append(out, b)
	}
	return out, f.Clock
}

// rest carries what waits between all bureaus until nothing does, with the upkeep of each.
func rest(t testing.TB, all ...*bureau) {
	t.Helper()
	for again := true; again; {
		again = false
		for _, from := range all {
			if err := from.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := from.Out.OfferAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, to := range all {
				if to != from {
					again = from.Carry(to.Bureau) > 0 || again
				}
			}
		}
	}
}

// publish issues a signature that is tagged.
func (b *bureau) publish(tags ...string) string {
	b.t.Helper()
	var id string
	err := b.Store.Update(b.t.Context(), func(tx *store.Tx) (err error) {
		exhibit, err := protocol.NewID(tx.Now(), tx.Random())
		if err != nil {
			return err
		}
		body := &protocol.SignatureBody{Exhibit: exhibit, ROI: "breech-face", Kind: protocol.CartridgeCase, Origin: protocol.Evidence, Calibre: "9x19", FiringPin: "circular",
			Pattern: "parallel", Algorithm: "test", Signature: []byte("surface"), Quality: 0.5}
		id, err = b.Out.Issue(tx, protocol.TypeSignature, body, dispatch.Facts{Purpose: Purpose, Kind: policy.KindExhibit, Object: exhibit, Actor: "tina",
			Attributes: map[string]any{"calibre": "9x19", "origin": protocol.Evidence, "offence": "", "terrorism": false, "customs": false, "trafficking": false,
				"group_size": int64(0), "operations": append([]string{}, tags...)}, Event: tx.Now()})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// held is a document as it stands at a bureau; nil where it is not.
func (b *bureau) held(id string) (rec *dispatch.Record) {
	b.t.Helper()
	_ = b.Store.View(func(tx *store.Tx) error {
		rec, _ = dispatch.Documents.Get(tx, id)
		return nil
	})
	return rec
}

// forge sends a document past the service, as a hostile member could.
func (b *bureau) forge(typ protocol.Type, body protocol.Body, to protocol.Country) {
	b.t.Helper()
	b.Issue(typ, body, dispatch.Facts{Among: []protocol.Country{to}, Purpose: Purpose, Actor: "test", Attributes: map[string]any{"members": []string{string(to)}}})
}

// runningAfter is what would run with ES if an operation were as given.
func (b *bureau) runningAfter(tx *store.Tx, o *Operation) []policy.Operation {
	b.t.Helper()
	if err := operations.Put(tx, o.ID, o); err != nil {
		b.t.Fatal(err)
	}
	return ok[[]policy.Operation](b.t)(b.Running(tx, "ES"))
}
