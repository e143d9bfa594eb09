package dispatch

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

const sharesAll = `permit (principal is Country, action == Action::"share", resource);`

// TestRetentionOfEveryType: a copy of any type ends when its owner's policy or the reader's own law says, whichever is sooner; not a second before, and with
// an entry. Its owner, who asks for it afterwards, is told by a signed confirmation that it is not held; one who takes it back sooner, that it was erased.
func TestRetentionOfEveryType(t *testing.T) {
	types := sampled(t)
	f := newFederation(t, "PT", "ES", "FR", "KE")
	pt := f.bureaus["PT"]
	pt.rules(`@retain("P4D") ` + sharesAll)
	days := map[protocol.Country]int{"ES": 2, "FR": 4, "KE": 4}
	f.bureaus["ES"].accepts(`@retain("P2D")`) // its own law is stricter, and KE's is laxer
	f.bureaus["KE"].accepts(`@retain("P6D")`)
	ids := map[protocol.Country][]string{}
	for to := range days {
		for _, typ := range types {
			id, err := pt.issueSample(typ, to)
			if err != nil {
				t.Fatalf("%s: %v", typ, err)
			}
			ids[to] = append(ids[to], id)
		}
		exchanged(pt, f.bureaus[to])
	}
	for to, n := range days {
		for i, id := range ids[to] {
			if rec := f.bureaus[to].record(id); rec == nil || rec.Status != Accepted || !rec.Terms.RetainUntil.Equal(begin.AddDate(0, 0, n)) {
				t.Errorf("%s at %s: %+v", types[i], to, rec)
			}
			if d := pt.delivery(id, to); !d.Terms.RetainUntil.Equal(begin.AddDate(0, 0, 4)) {
				t.Errorf("%s: its owner has on record that %s keeps it until %s", types[i], to, d.Terms.RetainUntil)
			}
		}
	}

	// What ES is to give back sooner.
	var back []string
	for i, typ := range types {
		if !protocol.Withdrawable(typ) {
			continue
		}
		back = append(back, ids["ES"][i])
		pt.withdraw(ids["ES"][i])
	}
	exchanged(pt, f.bureaus["ES"])
	exchanged(f.bureaus["ES"], pt)
	for _, id := range back {
		if h := pt.holders(id)["ES"]; h.State != HolderErased || f.bureaus["ES"].record(id) != nil {
			t.Errorf("%s: the owner was told %+v", id, h)
		}
	}

	kept := func(to protocol.Country) (n int) {
		for _, id := range ids[to] {
			if f.bureaus[to].record(id) != nil {
				n++
			}
		}
		return n
	}
	sweep := func() {
		for to := range days {
			f.bureaus[to].sweep()
		}
	}
	all := len(types)
	for _, step := range []struct {
		after  time.Duration
		es, fr int
	}{{48*time.Hour - time.Second, all - len(back), all}, {time.Second, 0, all}, {48*time.Hour - time.Second, 0, all}, {time.Second, 0, 0}} {
		f.clock.add(step.after)
		sweep()
		if es, fr, ke := kept("ES"), kept("FR"), kept("KE"); es != step.es || fr != step.fr || ke != step.fr {
			t.Errorf("at %s ES has %d, FR %d and KE %d; want %d, %d, %[4]d", f.clock.now(), es, fr, ke, step.es, step.fr)
		}
	}
	for to, bureau := range f.bureaus {
		want := map[protocol.Country]int{"ES": all - len(back), "FR": all, "KE": all}[to]
		if n := bureau.entries(func(r store.AuditRecord) bool { return r.Action == protocol.ActErase && r.Ground == "retention" }); n != want {
			t.Errorf("%d erasures in the log of %s, want %d", n, to, want)
		}
	}
	var asked []string
	for i, typ := range types {
		if protocol.Withdrawable(typ) {
			asked = append(asked, ids["FR"][i])
			pt.withdraw(ids["FR"][i])
		}
	}
	exchanged(pt, f.bureaus["FR"])
	exchanged(f.bureaus["FR"], pt)
	for _, id := range asked {
		if h := pt.holders(id)["FR"]; h.State != HolderWithout {
			t.Errorf("%s: the owner was told %+v", id, h)
		}
	}
}

// accepts has a bureau take in everything under the terms of its own law.
func (b *bureau) accepts(terms string) {
	b.f.t.Helper()
	b.rules(terms + ` permit (principal is Country, action == Action::"accept", resource);`)
}

// TestHandlingOfEveryType: the codes of the owner's policy, of what the document was made of and of the reader's own law arrive with every type, and H2 keeps
// whatever is made of it from a third country, of whatever type that is.
func TestHandlingOfEveryType(t *testing.T) {
	types := sampled(t)
	f := newFederation(t, "PT", "ES", "FR")
	pt, es := f.bureaus["PT"], f.bureaus["ES"]
	pt.rules(`@handling("H1 H2") ` + sharesAll)
	es.rules(sharesAll + ` @handling("H0") permit (principal is Country, action == Action::"accept", resource);`)
	ids := map[protocol.Type]string{}
	for _, typ := range types {
		id, err := pt.issueSample(typ, "ES")
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		ids[typ] = id
	}
	exchanged(pt, es)
	want := protocol.UnionHandling(protocol.MarkedBy("PT", "H1", "H2"), protocol.MarkedBy("ES", "H0"))
	for typ, id := range ids {
		rec := es.record(id)
		if rec == nil || !slices.Equal(rec.Handling("ES"), want) {
			t.Errorf("%s is held under %v, want %v", typ, rec.Handling("ES"), want)
			continue
		}
		if got := es.got[slices.IndexFunc(es.got, func(in Received) bool { return in.Document.ID == id })]; !slices.Equal(got.Handling(), want) {
			t.Errorf("%s: its workflow was told %v", typ, got.Handling())
		}
		_, err := es.about("FR", id)
		if !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), "H2 of PT") {
			t.Errorf("what was made of a %s of PT under H2 to FR: %v", typ, err)
		}
		back, err := es.about("PT", id)
		if err != nil {
			t.Errorf("what was made of a %s, to its owner: %v", typ, err)
			continue
		}
		if rec := es.record(back); !slices.Equal(mustMarkings(es, rec), want) {
			t.Errorf("what was made of a %s carries %v", typ, mustMarkings(es, rec))
		}
	}
	// And whatever its own type is.
	source := ids[protocol.TypeSignature]
	for _, typ := range types {
		s := samples()[typ]
		err := es.store.Update(t.Context(), func(tx *store.Tx) error {
			_, err := es.Issue(tx, typ, s.body(es), Facts{To: "FR", Actor: "olga", Kind: "object", Object: "o", Attributes: s.at, Based: []string{source}})
			return err
		})
		if !errors.Is(err, desk.ErrForbidden) || !strings.Contains(err.Error(), "H2 of PT") {
			t.Errorf("a %s made of H2 information: %v", typ, err)
		}
	}
}

func mustMarkings(b *bureau, rec *Record) (out protocol.Handling) {
	b.view(func(tx *store.Tx) (err error) {
		out, err = b.markings(tx, rec)
		return err
	})
	return out
}
