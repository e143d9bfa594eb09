package tracing

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
	operator     = desk.Actor{Name: "olga", Roles: []string{policy.NCBOperator}}
	investigator = desk.Actor{Name: "ivan", Roles: []string{policy.Investigator}}
	technician   = desk.Actor{Name: "tina", Roles: []string{policy.Technician}}
)

// bureau is one country's tracing.
type bureau struct {
	*bureautest.Bureau
	*Service
	t testing.TB
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

func newBureaus(t testing.TB, countries ...protocol.Country) (out []*bureau) {
	t.Helper()
	for _, one := range bureautest.New(t, bureautest.NewClock(now, time.Millisecond), countries...).Bureaus {
		b := &bureau{Bureau: one, t: t}
		b.open()
		out = append(out, b)
	}
	return out
}

func (b *bureau) open() {
	b.t.Helper()
	b.Open(nil)
	b.Service = New(b.Desk, b.Out)
	if err := b.Resume(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// restart closes the store and opens everything anew from what is on disk.
func (b *bureau) restart() {
	b.t.Helper()
	if err := b.Store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// deliver carries what waits in from for to, has to search for what it asks, and returns how many batches went.
func deliver(t *testing.T, from, to *bureau) int {
	t.Helper()
	n := from.Carry(to.Bureau)
	if err := to.SearchArrived(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// events counts the audit entries with an event, in a bureau's log.
func (b *bureau) events(event string) int {
	b.t.Helper()
	n := 0
	for _, r := range b.Events(store.AuditQuery{Limit: 1000}) {
		if r.Event == event {
			n++
		}
	}
	return n
}

// forge sends a document past the service, as a hostile member could.
func (b *bureau) forge(to protocol.Country, typ protocol.Type, body protocol.Body) string {
	b.t.Helper()
	return b.Issue(typ, body, dispatch.Facts{To: to, Purpose: Purpose, Actor: "test"})
}

var soldInGermany = NewFirearm{
	Reference: "ES-RA-7", Status: "stolen", StatusDate: time.Date(2025, 5, 4, 0, 0, 0, 0, time.UTC), Case: "ES-C-1",
	FirearmDescription: protocol.FirearmDescription{Kind: "pistol", Make: "Crvena Zastava", Model: "CZ 99", Calibre: "9x19", Serial: "AB 10482", CountryOfManufacture: "RS", Year: 1996},
	Custody: []protocol.CustodyStep{
		{Role: "manufacturer", Country: "RS", Name: "Zastava Arms", Date: time.Date(1996, 2, 1, 0, 0, 0, 0, time.UTC)},
		{Role: "retailer", Country: "DE", Name: "Waffen Huber", Date: time.Date(1997, 3, 4, 0, 0, 0, 0, time.UTC)},
		{Role: "first-purchaser", Country: "ES", Name: "Juan Pérez", Date: time.Date(1998, 1, 10, 0, 0, 0, 0, time.UTC)},
	},
}

// ask is a request that lacks nothing.
func ask(to protocol.Country, serial string) NewTrace {
	return NewTrace{To: to, Firearm: protocol.FirearmDescription{Kind: "pistol", Make: "Zastava", Model: "CZ 99", Calibre: "9 mm Luger", Serial: serial, CountryOfManufacture: "RS"},
		LegalJustification: "found in an arms cache", Circumstances: "search of a flat", IntendedUse: "prosecution", Agency: "PJ Lisboa", Case: "PT-C-9",
		RecoveryPlace: "Lisboa", RecoveryDate: &protocol.Interval{From: now.AddDate(0, 0, -10), To: now.AddDate(0, 0, -9)}, Narrative: "under the floor", Officer: "Insp. Silva", Possessor: "unknown man"}
}
