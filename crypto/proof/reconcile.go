package proof

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"proofmark/protocol"
)

// Limits of a comparison.
const (
	MaxRows  = 2 << 20 // of one statement
	maxItems = 2000    // that are named one by one
)

// Gathered is a whole statement, ready to be compared.
type Gathered struct {
	Statement
	rows map[Lane][]row
	n    int
}

// row is Row, smaller: a statement may have millions.
type row struct {
	entry    int64
	seq      uint64
	hash     [32]byte
	document string
	at       time.Time
	erased   bool
	counted  uint64
}

// Add takes the next page of the statement.
func (g *Gathered) Add(p *Page) error {
	if err := g.Statement.Add(p); err != nil {
		return err
	}
	if g.n += len(p.Rows); g.n > MaxRows {
		return fmt.Errorf("statement of %s: more than %d rows", p.From, MaxRows)
	}
	if g.rows == nil {
		g.rows = map[Lane][]row{}
	}
	for _, r := range p.Rows {
		c := row{entry: r.Entry, seq: r.Seq, document: r.Document, at: r.At, erased: r.Erased, counted: r.Counted}
		if _, err := hex.Decode(c.hash[:], []byte(r.Hash)); err != nil {
			return fmt.Errorf("statement of %s: %w", p.From, err)
		}
		g.rows[p.Lane] = append(g.rows[p.Lane], c)
	}
	p.Rows = nil
	return nil
}

// State is what the comparison found of one message.
type State string

// The states. Explained and UnderWay are no contradiction.
const (
	Agreed    State = "in both"
	UnderWay  State = "under way"         // sent, and not yet received when the statement was made
	Explained State = "explained"         // one log has it, the other had it: the body of its entry was erased, or it was refused and counted
	Missing   State = "missing"           // one log has it, the other one does not, and nothing explains it
	Different State = "different content" // both logs have the number, with another hash
)

// Reconciliation is both countries' logs of one channel pair beside each other.
type Reconciliation struct {
	A     Side         `json:"a"`
	B     Side         `json:"b"`
	Lanes []LaneResult `json:"lanes"`
	Items []Item       `json:"items"`          // every message that is not in both, the first 2,000
	More  int          `json:"more,omitempty"` // that are not named
	Agree bool         `json:"agree"`          // nothing is missing and nothing differs
}

// Side is one country's statement.
type Side struct {
	Country protocol.Country `json:"country"`
	At      time.Time        `json:"at"`
	Size    int64            `json:"size"` // entries of its log
}

// LaneResult counts the messages of one channel in one direction.
type LaneResult struct {
	From     protocol.Country `json:"from"`
	To       protocol.Country `json:"to"`
	Channel  protocol.Channel `json:"channel"`
	Sent     uint64           `json:"sent"`     // the last number, as the sender says
	Received uint64           `json:"received"` // as the receiver says
	Count    map[State]int    `json:"count"`

	// Strip shows the lane in at most 200 parts of equal length, each with the worst state in it at either side; for a picture.
	Strip []Part `json:"strip"`
}

// Part is a piece of a lane.
type Part struct {
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	AtFrom State  `json:"at_from"` // in the sender's log
	AtTo   State  `json:"at_to"`   // in the receiver's
}

// Item is one message that is not in both logs alike.
type Item struct {
	From     protocol.Country `json:"from"`
	To       protocol.Country `json:"to"`
	Channel  protocol.Channel `json:"channel"`
	Seq      uint64           `json:"seq"`
	State    State            `json:"state"`
	In       protocol.Country `json:"in,omitempty"` // whose log has it; empty where both have it, differently
	Entry    int64            `json:"entry"`        // of that log; of the sender's where both have it
	Document string           `json:"document"`
	At       time.Time        `json:"at"`
	Why      string           `json:"why"`
}

// Reconcile compares two whole statements, each of one country about the other.
func Reconcile(a, b *Gathered) (*Reconciliation, error) {
	if !a.Complete() || !b.Complete() {
		return nil, fmt.Errorf("%w: it ends early", ErrStatement)
	}
	if a.From != b.With || a.With != b.From {
		return nil, fmt.Errorf("%w: one is of %s with %s, the other of %s with %s: they speak of different channels", ErrStatement, a.From, a.With, b.From, b.With)
	}
	r := &Reconciliation{A: Side{a.From, a.At, a.Size}, B: Side{b.From, b.At, b.Size}, Items: []Item{}, Agree: true}
	for _, from := range []*Gathered{a, b} {
		to := b
		if from == b {
			to = a
		}
		usedFrom, usedTo := map[int64]uint64{}, map[int64]uint64{}
		for _, ch := range protocol.Channels {
			r.lane(&pair{ch: ch, from: side(from, Lane{Sent, ch}, usedFrom), to: side(to, Lane{Received, ch}, usedTo)})
		}
	}
	return r, nil
}

// logged is one side of a lane.
type logged struct {
	country protocol.Country
	at      time.Time
	size    int64
	head    uint64
	rows    []row // with a number, by number

	erased, counted gaps
}

func side(g *Gathered, l Lane, used map[int64]uint64) *logged {
	s := &logged{country: g.From, at: g.At, size: g.Size, head: g.head[l].Head}
	var erased, counted []row
	for _, r := range g.rows[l] {
		switch {
		case r.erased:
			erased = append(erased, r)
		case r.counted > 0:
			counted = append(counted, r)
		default:
			s.rows = append(s.rows, r)
		}
	}
	s.erased, s.counted = newGaps(erased, used), newGaps(counted, used)
	slices.SortStableFunc(s.rows, func(x, y row) int { return cmp.Compare(x.seq, y.seq) })
	return s
}

// pair is a lane with its two sides.
type pair struct {
	ch       protocol.Channel
	from, to *logged
}

func (r *Reconciliation) lane(p *pair) {
	out := LaneResult{From: p.from.country, To: p.to.country, Channel: p.ch, Sent: p.from.head, Received: p.to.head, Count: map[State]int{}, Strip: []Part{}}
	strip := newStrip(p)
	i, j := 0, 0
	for i < len(p.from.rows) || j < len(p.to.rows) {
		var it Item
		var atFrom, atTo State
		switch {
		case j == len(p.to.rows) || i < len(p.from.rows) && p.from.rows[i].seq < p.to.rows[j].seq:
			x := p.from.rows[i]
			it = p.item(x, p.from.country)
			it.State, it.Why = p.onlySent(x, j)
			atFrom, atTo = Agreed, it.State
			i = after(p.from.rows, i)
		case i == len(p.from.rows) || p.to.rows[j].seq < p.from.rows[i].seq:
			x := p.to.rows[j]
			it = p.item(x, p.to.country)
			it.State, it.Why = p.onlyReceived(x, i)
			atFrom, atTo = it.State, Agreed
			j = after(p.to.rows, j)
		default:
			it = p.item(p.from.rows[i], "")
			it.State, it.Why = p.both(i, j)
			atFrom, atTo = it.State, it.State
			i, j = after(p.from.rows, i), after(p.to.rows, j)
		}
		out.Count[it.State]++
		strip.mark(it.Seq, atFrom, atTo)
		r.note(it)
	}
	out.Strip = strip.parts
	r.Lanes = append(r.Lanes, out)
}

func (r *Reconciliation) note(it Item) {
	if it.State == Agreed {
		return
	}
	r.Agree = r.Agree && it.State != Missing && it.State != Different
	if len(r.Items) < maxItems {
		r.Items = append(r.Items, it)
	} else {
		r.More++
	}
}

func (p *pair) item(x row, in protocol.Country) Item {
	return Item{From: p.from.country, To: p.to.country, Channel: p.ch, Seq: x.seq, In: in, Entry: x.entry, Document: x.document, At: x.at}
}

// after is the place behind all rows with the number at i: a log that was restored may have it twice.
func after(rows []row, i int) int {
	seq := rows[i].seq
	for i < len(rows) && rows[i].seq == seq {
		i++
	}
	return i
}

func (p *pair) both(i, j int) (State, string) {
	hash := p.from.rows[i].hash
	for _, s := range [][]row{p.from.rows[i:after(p.from.rows, i)], p.to.rows[j:after(p.to.rows, j)]} {
		for _, x := range s {
			if x.hash != hash {
				return Different, fmt.Sprintf("the logs hold the hashes %x and %x under this number: one of the two was rewritten", hash, p.to.rows[j].hash)
			}
		}
	}
	return Agreed, ""
}

// onlySent judges a message that the receiver's log does not have; j is where it would stand there.
func (p *pair) onlySent(x row, j int) (State, string) {
	if x.seq > p.to.head {
		return UnderWay, fmt.Sprintf("%s had received up to %d", p.to.country, p.to.head)
	}
	return p.to.explains(j)
}

// onlyReceived judges a message that the sender's log does not have; i is where it would stand there.
func (p *pair) onlyReceived(x row, i int) (State, string) {
	if x.seq > p.from.head && x.at.After(p.from.at.Add(-protocol.MaxClockSkew)) {
		return UnderWay, "it was sent after the statement of " + string(p.from.country)
	}
	if x.seq > p.from.head {
		return Missing, fmt.Sprintf("%s says that it has sent no more than %d: its log is older than what it has sent", p.from.country, p.from.head)
	}
	return p.from.explains(i)
}

// explains looks for an entry that lies where the missing one would: erased since, or one that counts what was refused.
func (s *logged) explains(at int) (State, string) {
	from, to := int64(-1), s.size
	if at > 0 {
		from = s.rows[at-1].entry
	}
	if at < len(s.rows) {
		to = s.rows[at].entry
	}
	if g, ok := s.erased.take(from, to); ok {
		return Explained, fmt.Sprintf("the body of entry %d in the log of %s, which stands where it would stand, was erased", g.entry, s.country)
	}
	if g, ok := s.counted.take(from, s.size); ok {
		return Explained, fmt.Sprintf("%s counted it in entry %d, among what it did not keep one by one", s.country, g.entry)
	}
	return Missing, fmt.Sprintf("the log of %s has no entry of it, and its neighbours are there", s.country)
}
