package exchange

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"proofmark/crypto/roster"
	"proofmark/protocol"
)

var spreadMembers = flag.String("spread", "6", "numbers of members among which BenchmarkRosterSpreads spreads a roster, such as 10,20,40")

// told is what the members of a federation have sent about rosters since they were started, together.
type told struct{ heads, headBytes, documents, documentBytes int64 }

func (f *federation) told() (sum told) {
	for _, n := range f.nodes {
		r := &n.x.rumours
		sum.heads += r.heads.Load()
		sum.headBytes += r.headBytes.Load()
		sum.documents += r.documents.Load()
		sum.documentBytes += r.documentBytes.Load()
	}
	return sum
}

func (a told) less(b told) told {
	return told{a.heads - b.heads, a.headBytes - b.headBytes, a.documents - b.documents, a.documentBytes - b.documentBytes}
}

// spread runs a federation in which everybody has announced other addresses than the roster's, installs the next version at one member, and tells what was
// sent until nobody says anything more, and how long it took until all had it.
func spread(t testing.TB, n int) (told, time.Duration) {
	var countries []protocol.Country
	for i := range 26 * 26 {
		if c, err := protocol.ParseCountry(string([]byte{'A' + byte(i/26), 'A' + byte(i%26)})); err == nil && len(countries) < n {
			countries = append(countries, c)
		}
	}
	f := newFederation(t, countries...)
	versions := map[protocol.Country]int{}
	for _, c := range countries {
		versions[c] = 1
		f.nodes[c].pace = defaultPace
		f.nodes[c].listen = onlyTCP
	}
	c := f.openMembers(versions, 0)
	for _, m := range f.nodes {
		m.run()
	}
	wait := func(what string, done func() bool) {
		t.Helper()
		for until := time.Now().Add(5 * time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("not within five minutes: %s", what)
			}
		}
	}
	connected := func() bool {
		for _, m := range f.nodes {
			for _, p := range m.x.Peers() {
				if !p.Connected {
					return false
				}
			}
		}
		return true
	}
	var last told
	rest := func(what string) {
		since := time.Now()
		wait(what, func() bool {
			if now := f.told(); now != last {
				last, since = now, time.Now()
			}
			return time.Since(since) > 3*time.Second
		})
	}
	wait("everybody is connected", connected)
	for _, m := range f.nodes {
		record, err := roster.SignAddresses(roster.AddressRecord{Country: string(m.c), Addresses: m.x.Addresses(), Issued: f.begun.Add(time.Second), Until: f.begun.AddDate(0, 6, 0)}, m.keys.Signer())
		c.ok(err)
		_, err = m.members.Announce(context.Background(), chief, "", record)
		c.ok(err)
	}
	wait("everybody knows all addresses", func() bool {
		for _, m := range f.nodes {
			if len(m.members.Announcements(time.Now())) < n {
				return false
			}
		}
		return true
	})
	rest("the announcements are told")
	before, begun := last, time.Now()
	if _, err := f.nodes[countries[0]].members.Install(context.Background(), chief, "", [][]byte{c.sign(c.draft(1, f.begun))}, ""); err != nil {
		t.Fatal(err)
	}
	wait("the roster is in force everywhere", func() bool {
		for _, m := range f.nodes {
			if m.version() < 2 {
				return false
			}
		}
		return true
	})
	took := time.Since(begun)
	rest("the roster is told")
	return last.less(before), took
}

// A new version costs every member small messages to the others and about one document, and no announcements.
func TestRosterIsFetchedOnce(t *testing.T) {
	t.Parallel()
	const n = 6
	sum, _ := spread(t, n)
	if sum.documents > 2*n || sum.heads > 8*n*n || sum.headBytes > 400*sum.heads {
		t.Errorf("among %d members: %+v", n, sum)
	}
}

// Members that take their time with what they are given keep it from nobody else.
func TestRosterIsGivenBesideSlowMembers(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 3}, 2)
	pt, es := f.nodes["PT"], f.nodes["ES"]
	pt.x.dht.Validator = nothing{} // not through the table
	for range givers {
		es.x.giving <- struct{}{} // and they never come to an end
	}
	es.run()
	pt.run()
	eventually(t, "PT has version 3", func() bool { return pt.version() == 3 })
	if len(es.x.giving) != givers {
		t.Errorf("%d are given documents", len(es.x.giving))
	}
}

// The first announcement of all goes to members that know none, without the table and without any other news.
func TestFirstAnnouncementIsTold(t *testing.T) {
	t.Parallel()
	f := newFederation(t, "PT", "ES")
	c := f.openMembers(map[protocol.Country]int{"PT": 1, "ES": 1}, 0)
	pt, es := f.nodes["PT"], f.nodes["ES"]
	pt.x.dht.Validator, es.x.dht.Validator = nothing{}, nothing{}
	es.run()
	pt.run()
	eventually(t, "both have said that they have the same", func() bool {
		return f.connected("PT", "ES") && pt.x.link("ES").tidings.knows(pt.x.news()) && es.x.link("PT").tidings.knows(es.x.news())
	})
	record, err := roster.SignAddresses(roster.AddressRecord{Country: "ES", Addresses: es.x.Addresses(), Issued: time.Now().Add(time.Second), Until: f.begun.AddDate(0, 6, 0)}, es.keys.Signer())
	c.ok(err)
	if _, err := es.members.Announce(context.Background(), chief, "", record); err != nil {
		t.Fatal(err)
	}
	eventually(t, "PT knows where ES is", func() bool { return len(pt.members.Announcements(time.Now())) == 1 })
}

func TestDigest(t *testing.T) {
	a, b := marks([]string{"one", "two"}), marks([]string{"two", "one"})
	if digest(a) != digest(b) || digest(a) == digest(a[:1]) || digest(nil) != "" || a[0] == a[1] || a[0] != b[1] {
		t.Errorf("%v %v", a, b)
	}
}

// BenchmarkRosterSpreads says what each member sends until a new version of the roster is in force at all, beside what it puts into the table.
func BenchmarkRosterSpreads(b *testing.B) {
	for _, text := range strings.Split(*spreadMembers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 {
			b.Fatalf("-spread=%s: not a number of members", text)
		}
		b.Run(fmt.Sprint("members=", n), func(b *testing.B) {
			for b.Loop() {
				sum, took := spread(b, n)
				each := func(v int64) float64 { return float64(v) / float64(n) }
				b.ReportMetric(each(sum.heads), "heads/member")
				b.ReportMetric(each(sum.headBytes)/1000, "kB-heads/member")
				b.ReportMetric(each(sum.documents), "documents/member")
				b.ReportMetric(each(sum.documentBytes)/1000, "kB-documents/member")
				b.ReportMetric(took.Seconds(), "s-to-all")
			}
		})
	}
}
