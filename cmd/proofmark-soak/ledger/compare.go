package ledger

import (
	"fmt"
	"slices"
	"strings"

	"proofmark/protocol"
)

// Compare holds both ends of every lane against each other and against both logs, entry by entry.
func Compare(books map[protocol.Country]*Books) (Totals, []Finding) {
	c := &comparison{books: books, totals: Totals{ByType: map[string]int{}, ByChannel: map[string]int{}}}
	for _, b := range books {
		c.totals.Entries += b.Entries
		if b.LogFault != "" {
			c.find(Log, string(b.Country), "the audit log does not verify: %s", b.LogFault)
		}
		if b.IndexFault != "" {
			c.find(Log, string(b.Country), "the database contradicts itself: %s", b.IndexFault)
		}
		for _, d := range b.Documents {
			if d.Status != "own" && d.Status != "withdrawn" && d.Status != "accepted" {
				c.find(Refused, fmt.Sprintf("%s from %s", b.Country, d.Issuer), "%s %s is %s: %s", d.Type, d.Named, d.Status, d.Reason)
			}
		}
	}
	for from := range books {
		for to := range books {
			if from != to {
				for _, ch := range protocol.Channels {
					c.lane(Lane{from, to, ch})
				}
			}
		}
	}
	c.effects()
	slices.SortFunc(c.findings, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return c.totals, c.findings
}

type comparison struct {
	books    map[protocol.Country]*Books
	totals   Totals
	findings []Finding
}

func (c *comparison) find(class, where, format string, args ...any) {
	c.findings = append(c.findings, Finding{class, where, fmt.Sprintf(format, args...)})
}

func (c *comparison) lane(l Lane) {
	from, to := c.books[l.From], c.books[l.To]
	sent, received := from.Sent[l], to.Received[l]
	out, in := from.Out[l], to.In[l]
	if len(sent) == 0 && len(received) == 0 && out.Seq == 0 && in.Seq == 0 && out.Queued == 0 {
		return
	}
	c.totals.Lanes++
	c.totals.Messages += len(sent)
	c.totals.Received += len(received)
	c.totals.ByChannel[string(l.Channel)] += len(sent)
	where := l.String()
	if out.Queued > 0 {
		c.find(Lost, where, "%d documents are still queued", out.Queued)
	}
	if out.Seq != in.Seq || out.Hash != in.Hash {
		c.find(Lost, where, "the sender is at %d (%.12s), the receiver at %d (%.12s)", out.Seq, out.Hash, in.Seq, in.Hash)
	}
	c.sequence(where, "sent", sent, out.Seq)
	c.sequence(where, "received", received, in.Seq)
	for i, h := range from.Hashes[l] {
		if i < len(sent) && sent[i].Hash != h {
			c.find(Tampered, where, "message %d: the sender's log says %.12s, its channel %.12s", i+1, sent[i].Hash, h)
		}
	}
	if n := len(from.Hashes[l]); uint64(n) != out.Seq {
		c.find(Lost, where, "the sender's channel is at %d and holds %d hashes", out.Seq, n)
	}
	c.pairs(l, sent, received)
	c.receipts(l, sent, out)
	c.deliveries(l, sent)
}

// sequence finds what is missing, comes twice or out of order in one log.
func (c *comparison) sequence(where, what string, list []Entry, upTo uint64) {
	seen := map[uint64]bool{}
	last := uint64(0)
	for _, e := range list {
		switch {
		case seen[e.Seq]:
			c.find(Duplicated, where, "message %d is %s twice in the log (again in entry %d)", e.Seq, what, e.Index)
		case e.Seq < last:
			c.find(Disordered, where, "message %d is %s after message %d (entry %d)", e.Seq, what, last, e.Index)
		}
		seen[e.Seq] = true
		last = max(last, e.Seq)
	}
	for seq := uint64(1); seq <= max(upTo, last); seq++ {
		if !seen[seq] {
			c.find(Lost, where, "message %d is nowhere %s in the log", seq, what)
		}
	}
	if last > upTo {
		c.find(Lost, where, "the log has message %d %s, the channel is at %d", last, what, upTo)
	}
}

// pairs holds each message that was sent against the one that was received, with the document it carried.
func (c *comparison) pairs(l Lane, sent, received []Entry) {
	got := map[uint64]Entry{}
	for _, e := range received {
		got[e.Seq] = e
	}
	carried := map[string]uint64{}
	for _, s := range sent {
		r, ok := got[s.Seq]
		if !ok {
			c.find(Lost, l.String(), "message %d was sent and not received", s.Seq)
			continue
		}
		if s.Hash != r.Hash {
			c.find(Tampered, l.String(), "message %d left as %.12s and arrived as %.12s", s.Seq, s.Hash, r.Hash)
		}
		kept := len(r.Documents) == 1 && r.Documents[0] == "message-"+r.Hash // not accepted: reported with its reason already
		if !kept && !slices.Equal(s.Documents, r.Documents) {
			c.find(Tampered, l.String(), "message %d carried %v and brought %v", s.Seq, s.Documents, r.Documents)
		}
		for _, id := range s.Documents {
			if before, twice := carried[id]; twice {
				c.find(Duplicated, l.String(), "document %s was sent in messages %d and %d", id, before, s.Seq)
			}
			carried[id] = s.Seq
			if !kept {
				c.document(l, id)
			}
		}
	}
}

// document holds a document at its holder against the one that its owner issued.
func (c *comparison) document(l Lane, id string) {
	own, ok := c.books[l.From].Documents[id]
	held, has := c.books[l.To].Documents[id]
	if ok {
		c.totals.ByType[string(own.Type)]++
	}
	if own.Withdrawal != "" {
		c.withdrawn(l, id, own.Withdrawal)
		return
	}
	switch {
	case !ok:
		c.find(Lost, l.String(), "document %s was sent, and its owner does not hold it", id)
	case !has:
		c.find(Lost, l.String(), "document %s (%s) was delivered, and its recipient does not hold it", id, own.Type)
	case own.JWS != "" && own.JWS != held.JWS && held.JWS != "":
		c.find(Tampered, l.String(), "document %s is not the one that was issued", id)
	}
}

// withdrawn: the holder has the withdrawal and nothing of the document, and its owner has the confirmation.
func (c *comparison) withdrawn(l Lane, id, withdrawal string) {
	to := c.books[l.To]
	if _, held := to.Documents[id]; held {
		c.find(Unerased, l.String(), "document %s was withdrawn, and its recipient holds it still", id)
	}
	if stone := to.Stones[id]; stone.Withdrawal != withdrawal {
		c.find(Unerased, l.String(), "document %s was withdrawn by %s, its recipient knows of %q", id, withdrawal, stone.Withdrawal)
	}
	for _, d := range c.books[l.From].Deliveries {
		if d.Document == withdrawal && d.Lane.To == l.To {
			if d.Outcome == "ERASED" || d.Outcome == "NOT_HELD" {
				c.totals.Erased++
				return
			}
			c.find(Unerased, l.String(), "the withdrawal %s of document %s is %s, and its recipient has confirmed %q", withdrawal, id, d.State, d.Outcome)
			return
		}
	}
	c.find(Unerased, l.String(), "the recipient of document %s was never told of its withdrawal", id)
}

// receipts: each says the hash of the message it goes up to, no document is acknowledged twice, and the last one is for everything.
func (c *comparison) receipts(l Lane, sent []Entry, out Head) {
	hash := map[uint64]string{}
	open := map[string]bool{}
	for _, s := range sent {
		hash[s.Seq] = s.Hash
		for _, id := range s.Documents {
			open[id] = true
		}
	}
	last := uint64(0)
	for _, r := range c.books[l.From].Receipts[l] {
		if r.Seq <= last {
			c.find(Disordered, l.String(), "a receipt for %d follows one for %d (entry %d)", r.Seq, last, r.Index)
		}
		if hash[r.Seq] != r.Hash {
			c.find(Tampered, l.String(), "the receipt for message %d names %.12s, sent was %.12s", r.Seq, r.Hash, hash[r.Seq])
		}
		c.totals.Receipted += int(r.Seq - min(last, r.Seq))
		last = max(last, r.Seq)
		for _, id := range r.Documents {
			if !open[id] {
				c.find(Duplicated, l.String(), "document %s is acknowledged twice, or was never sent (entry %d)", id, r.Index)
			}
			delete(open, id)
		}
	}
	if last != out.Seq || out.Acked != out.Seq {
		c.find(Unreceipted, l.String(), "%d messages were sent, the log has receipts up to %d, the channel up to %d", out.Seq, last, out.Acked)
	}
	for id := range open {
		c.find(Unreceipted, l.String(), "no receipt names document %s", id)
	}
}

func (c *comparison) deliveries(l Lane, sent []Entry) {
	seq := map[string]uint64{}
	for _, s := range sent {
		for _, id := range s.Documents {
			seq[id] = s.Seq
		}
	}
	known := map[string]bool{}
	for _, d := range c.books[l.From].Deliveries {
		if d.Lane != l {
			continue
		}
		known[d.Document] = true
		switch {
		case d.State == "denied":
		case d.State == "withdrawn" && seq[d.Document] == 0 && c.books[l.From].Documents[d.Document].Withdrawal != "": // before it left
		case d.State != "delivered":
			c.find(Lost, l.String(), "document %s stands as %s", d.Document, d.State)
		case d.Seq != seq[d.Document]:
			c.find(Disordered, l.String(), "document %s stands as message %d, the log says %d", d.Document, d.Seq, seq[d.Document])
		}
	}
	for id := range seq {
		if !known[id] {
			c.find(Lost, l.String(), "document %s was sent and nothing is written down of its delivery", id)
		}
	}
}
