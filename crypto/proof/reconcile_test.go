package proof

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"proofmark/protocol"
)

// told is what a country says in a test: its lanes with their heads and rows.
type told map[Lane]struct {
	head uint64
	rows []Row
}

func hashFor(seq uint64, variant string) string {
	return protocol.MessageHash(fmt.Appendf(nil, "%d %s", seq, variant))
}

// messages are rows with these numbers, three entries apart.
func messages(numbers ...uint64) []Row {
	out := make([]Row, len(numbers))
	for i, n := range numbers {
		out[i] = Row{Entry: int64(3 * n), Seq: n, Hash: hashFor(n, ""), Document: fmt.Sprintf("doc-%d", n), At: noon}
	}
	return out
}

// gather makes a statement of pages of at most two rows, sends it through its signed form, and reads it as a checker does.
func (b *bureau) gather(tr *Trust, with protocol.Country, says told) *Gathered {
	b.t.Helper()
	g := &Gathered{}
	for _, l := range Lanes {
		rows, after := says[l].rows, int64(0)
		for {
			p := Page{From: b.country, With: with, At: noon, Size: 1000, Lane: l, Head: says[l].head, After: after, Next: 1000}
			if len(rows) > 2 {
				p.Rows, rows, p.Next = rows[:2], rows[2:], rows[2].Entry
			} else {
				p.Rows, rows = rows, nil
			}
			signed, err := SignPage(p, b.keys.Signer())
			b.must(err)
			opened, err := tr.OpenPage(signed)
			b.must(err)
			b.must(g.Add(opened))
			if after = p.Next; after == p.Size {
				break
			}
		}
	}
	return g
}

func TestReconcile(t *testing.T) {
	pt, fr := newBureau(t, "PT"), newBureau(t, "FR")
	tr := trust(t, fr, pt)
	out, in := Lane{Sent, protocol.Bulk}, Lane{Received, protocol.Bulk}
	rewritten := messages(1, 2, 3)
	rewritten[1].Hash = hashFor(2, "rewritten")
	twice := append(messages(1, 2, 3), Row{Entry: 500, Seq: 2, Hash: hashFor(2, ""), At: noon})
	late := messages(1, 2, 3, 4)
	late[3].At = noon.Add(-time.Hour)
	for name, c := range map[string]struct {
		sent     []Row
		sentHead uint64
		got      []Row
		gotHead  uint64
		count    map[State]int
		says     string
	}{
		"nothing at all":       {nil, 0, nil, 0, map[State]int{}, ""},
		"all in both":          {messages(1, 2, 3), 3, messages(1, 2, 3), 3, map[State]int{Agreed: 3}, ""},
		"twice after restore":  {twice, 3, messages(1, 2, 3), 3, map[State]int{Agreed: 3}, ""},
		"not arrived":          {messages(1, 2, 3), 3, messages(1), 1, map[State]int{Agreed: 1, UnderWay: 2}, "FR had received up to 1"},
		"sent since":           {messages(1, 2), 2, messages(1, 2, 3), 3, map[State]int{Agreed: 2, UnderWay: 1}, "sent after the statement of PT"},
		"the sender is older":  {messages(1, 2), 2, late, 4, map[State]int{Agreed: 2, UnderWay: 1, Missing: 1}, "its log is older than what it has sent"},
		"dropped at receiver":  {messages(1, 2, 3), 3, messages(1, 3), 3, map[State]int{Agreed: 2, Missing: 1}, "the log of FR has no entry of it"},
		"dropped at sender":    {messages(1, 3), 3, messages(1, 2, 3), 3, map[State]int{Agreed: 2, Missing: 1}, "the log of PT has no entry of it"},
		"last dropped":         {messages(1, 2, 3), 3, messages(1, 2), 3, map[State]int{Agreed: 2, Missing: 1}, "the log of FR"},
		"first dropped":        {messages(2, 3), 3, messages(1, 2, 3), 3, map[State]int{Agreed: 2, Missing: 1}, "the log of PT"},
		"rewritten":            {messages(1, 2, 3), 3, rewritten, 3, map[State]int{Agreed: 2, Different: 1}, "one of the two was rewritten"},
		"erased at receiver":   {messages(1, 2, 3), 3, []Row{messages(1)[0], {Entry: 5, Erased: true}, messages(3)[0]}, 3, map[State]int{Agreed: 2, Explained: 1}, "entry 5 in the log of FR"},
		"erased at sender":     {[]Row{messages(1)[0], {Entry: 5, Erased: true}, messages(3)[0]}, 3, messages(1, 2, 3), 3, map[State]int{Agreed: 2, Explained: 1}, "entry 5 in the log of PT"},
		"erased elsewhere":     {messages(1, 2, 3), 3, []Row{{Entry: 2, Erased: true}, messages(1)[0], messages(3)[0]}, 3, map[State]int{Agreed: 2, Missing: 1}, "no entry of it"},
		"one erased, two gone": {messages(1, 2, 3, 4), 4, []Row{messages(1)[0], {Entry: 7, Erased: true}, messages(4)[0]}, 4, map[State]int{Agreed: 2, Explained: 1, Missing: 1}, "no entry of it"},
		"counted":              {messages(1, 2, 3, 4), 4, []Row{messages(1)[0], messages(4)[0], {Entry: 90, Counted: 2}}, 4, map[State]int{Agreed: 2, Explained: 2}, "counted it in entry 90"},
		"more than counted":    {messages(1, 2, 3, 4), 4, []Row{messages(1)[0], messages(4)[0], {Entry: 90, Counted: 1}}, 4, map[State]int{Agreed: 2, Explained: 1, Missing: 1}, "no entry of it"},
	} {
		t.Run(name, func(t *testing.T) {
			pt.t, fr.t = t, t
			a := pt.gather(tr, "FR", told{out: {c.sentHead, c.sent}})
			b := fr.gather(tr, "PT", told{in: {c.gotHead, c.got}})
			r, err := Reconcile(a, b)
			if err != nil {
				t.Fatal(err)
			}
			lane := r.Lanes[1]
			if lane.From != "PT" || lane.To != "FR" || lane.Channel != protocol.Bulk || fmt.Sprint(lane.Count) != fmt.Sprint(c.count) {
				t.Errorf("got %+v, want %v", lane, c.count)
			}
			if r.Agree != (c.count[Missing]+c.count[Different] == 0) {
				t.Errorf("agree: %v", r.Agree)
			}
			var why []string
			for _, it := range r.Items {
				why = append(why, it.Why)
			}
			if !strings.Contains(strings.Join(why, "\n"), c.says) || (c.says == "") != (len(why) == 0) {
				t.Errorf("it says %q, want %q", why, c.says)
			}
			back, err := Reconcile(b, a)
			if err != nil || back.Agree != r.Agree || len(back.Items) != len(r.Items) {
				t.Errorf("the other way round: %+v, %v", back, err)
			}
		})
	}
}

// One erased entry stands in both channels of a direction; it explains one message.
func TestErasedEntryExplainsOnce(t *testing.T) {
	pt, fr := newBureau(t, "PT"), newBureau(t, "FR")
	tr := trust(t, fr, pt)
	gone := []Row{messages(1)[0], {Entry: 5, Erased: true}, messages(3)[0]}
	a := pt.gather(tr, "FR", told{{Sent, protocol.Urgent}: {3, messages(1, 2, 3)}, {Sent, protocol.Bulk}: {3, messages(1, 2, 3)}})
	b := fr.gather(tr, "PT", told{{Received, protocol.Urgent}: {3, gone}, {Received, protocol.Bulk}: {3, gone}})
	r, err := Reconcile(a, b)
	if err != nil || r.Lanes[0].Count[Explained]+r.Lanes[1].Count[Explained] != 1 || r.Agree {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestStrip(t *testing.T) {
	pt, fr := newBureau(t, "PT"), newBureau(t, "FR")
	tr := trust(t, fr, pt)
	var all, some []uint64
	for n := uint64(1); n <= 301; n++ {
		all = append(all, n)
		if n != 77 {
			some = append(some, n)
		}
	}
	r, err := Reconcile(pt.gather(tr, "FR", told{Lanes[1]: {301, messages(all...)}}), fr.gather(tr, "PT", told{Lanes[3]: {301, messages(some...)}}))
	if err != nil {
		t.Fatal(err)
	}
	strip := r.Lanes[1].Strip
	if len(strip) != 151 || strip[150].Last != 301 || strip[38].AtTo != Missing || strip[38].AtFrom != Agreed || strip[37].AtTo != Agreed {
		t.Errorf("%d parts, %+v, %+v", len(strip), strip[38], strip[len(strip)-1])
	}
}

func TestStatementHasEveryPage(t *testing.T) {
	pt, fr := newBureau(t, "PT"), newBureau(t, "FR")
	tr := trust(t, fr, pt)
	whole := Page{From: "PT", With: "FR", At: noon, Size: 9, Lane: Lanes[0], Next: 4, Rows: []Row{}}
	first := whole
	g := &Gathered{}
	if err := g.Add(&first); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(p *Page){
		"left out":        func(p *Page) { p.After = 5 },
		"the same again":  func(p *Page) { p.After = 0 },
		"another lane":    func(p *Page) { p.Lane, p.After = Lanes[1], 0 },
		"another size":    func(p *Page) { p.Size = 10 },
		"another country": func(p *Page) { p.With = "ES" },
	} {
		p := whole
		p.After, p.Next = 4, 9
		change(&p)
		if err := g.Add(&p); !errors.Is(err, ErrStatement) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Reconcile(g, g); !errors.Is(err, ErrStatement) {
		t.Errorf("half a statement was compared: %v", err)
	}
	if due := g.Due(); due.After != 4 || due.Size != 9 || due.Lane != Lanes[0] {
		t.Errorf("due is %+v", due)
	}
	signed, err := SignPage(whole, fr.keys.Signer())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.OpenPage(signed); !errors.Is(err, ErrUntrusted) {
		t.Errorf("FR speaks for PT: %v", err)
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"from":"PT","with":"FR","at":"2026-03-01T12:00:00Z","size":9,"root":"","direction":"sent","channel":"bulk","head":2,"acked":1,"after":0,"next":9,"rows":[{"entry":3,"seq":1,"hash":"` + hashFor(1, "") + `","document":"d","at":"2026-03-01T12:00:00Z"},{"entry":4,"erased":true}]}`))
	f.Add([]byte(`{"from":"PT","with":"FR","at":"2026-03-01T12:00:00Z","size":0,"root":"","direction":"received","channel":"urgent","head":0,"acked":0,"after":0,"next":0,"rows":[]}`))
	f.Add([]byte(`{"rows":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePage(b)
		if err != nil {
			return
		}
		g := &Gathered{}
		if p.Lane != Lanes[0] || p.After != 0 {
			return
		}
		if err := g.Add(p); err != nil {
			t.Errorf("a page that is well-formed is refused as the first: %v", err)
		}
	})
}

func FuzzAsk(f *testing.F) {
	f.Add([]byte(`{"direction":"sent","channel":"urgent","after":0,"size":0}`))
	f.Add([]byte(`{"direction":"received","channel":"bulk","after":4,"size":9}`))
	f.Add([]byte(`{"direction":"sent","channel":"x","after":-1,"size":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := DecodeAsk(b); err == nil && (a.After < 0 || a.After > a.Size || a.Lane.check() != nil) {
			t.Errorf("%+v", a)
		}
	})
}
