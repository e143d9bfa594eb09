package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"proofmark/node/ballistics"
	"proofmark/node/desk"
	"proofmark/protocol"
)

// exchange waits until every publication has arrived and been correlated, and shows the first candidate list.
func (f *federation) exchange(ctx context.Context) error {
	if err := f.settle(ctx); err != nil {
		return err
	}
	list, err := f.worklist(ctx, f.bureaus[pt])
	if err != nil {
		return err
	}
	f.result.FirstCandidates = time.Since(f.begun).Seconds()
	if err := f.verify(len(list) > 0, "The first candidate list is there, %.1f seconds after the start. What the technician in Lisbon sees on top:", f.result.FirstCandidates); err != nil {
		return err
	}
	f.row("%4s  %-15s  %-24s  %5s  %s", "rank", "own exhibit", "other side", "score", "agreement")
	for i, c := range list[:min(8, len(list))] {
		f.row("%4d  %-15s  %-24s  %5.2f  %s", i+1, c.Own.Exhibit, otherSide(c), c.Score, c.Agreement())
	}
	received, err := f.countReceived(ctx)
	if err != nil {
		return err
	}
	f.result.SignaturesReceived = received
	if err := f.verify(received == len(f.lots)*(len(countries)-1), "Each node holds the signatures of both others: %d deliveries, none missing.", received); err != nil {
		return err
	}
	for _, c := range list {
		if o := c.Other; !o.Own && (o.Place != "" || o.Case != "" || o.Agency != "" || o.Exhibit != "" || o.Offence == "" && o.Origin == protocol.Evidence) {
			return fmt.Errorf("the candidate %s in PT tells what policy withholds, or withholds what it tells: %+v", c.Pair, o)
		}
	}
	f.shown("Policy withheld place, agency, case and exhibit number from the other countries, and told offence and date, which they need to judge urgency.")
	return nil
}

// otherSide names the other side of a candidate as far as its owner disclosed it.
func otherSide(c *ballistics.CandidateView) string {
	name := string(c.Other.Country) + ", " + c.Other.Origin
	if c.Other.Exhibit != "" {
		name = string(c.Other.Country) + ", " + c.Other.Exhibit
	}
	if c.Other.Offence != "" {
		name += ", " + c.Other.Offence
	}
	if r := []rune(name); len(r) > 24 {
		name = string(r[:23]) + "…"
	}
	return name
}

// settle waits until nothing is left to deliver or to correlate anywhere. A document leaves its sender's queue only after its receiver has stored it with
// the job of correlating it; so once all were idle, a second look that finds all idle says that nothing is under way.
func (f *federation) settle(ctx context.Context) error {
	quiet := 0
	return await(ctx, "everything is delivered and correlated", 3*time.Minute, func() (bool, error) {
		for _, c := range countries {
			s, err := f.bureaus[c].status(ctx)
			if err != nil {
				return false, err
			}
			if !s.Idle {
				quiet = 0
				return false, nil
			}
		}
		quiet++
		return quiet == 2, nil
	})
}

// worklist is what awaits a technician's review, the strongest first.
func (f *federation) worklist(ctx context.Context, b *bureau) ([]*ballistics.CandidateView, error) {
	return call[[]*ballistics.CandidateView](ctx, b.technician, "candidates.list", ballistics.CandidateFilter{Limit: 1000})
}

// ranked is one signature's ranked list at a node; nil and no error if the node does not hold the signature.
func ranked(ctx context.Context, p *person, signature string) (list []*ballistics.CandidateView, held bool, err error) {
	list, err = call[[]*ballistics.CandidateView](ctx, p, "candidates.list", ballistics.CandidateFilter{Signature: signature, Limit: 1000})
	if errors.Is(err, desk.ErrNotFound) {
		return nil, false, nil
	}
	return list, err == nil, err
}

// countReceived counts the foreign signatures that the nodes hold.
func (f *federation) countReceived(ctx context.Context) (int, error) {
	var mu sync.Mutex
	n := 0
	err := f.all(func(b *bureau) error {
		for _, l := range f.lots {
			if l.country == b.country {
				continue
			}
			_, held, err := ranked(ctx, b.technician, l.signature)
			if err != nil {
				return err
			}
			if held {
				mu.Lock()
				n++
				mu.Unlock()
			}
		}
		return nil
	})
	return n, err
}

// score asks each node for the ranked list of each of its own exhibits, and compares with the true sources.
func (f *federation) score(ctx context.Context) error {
	results := map[protocol.Country]*scoring{}
	for _, c := range countries {
		results[c] = &scoring{}
	}
	err := f.all(func(b *bureau) error {
		for _, l := range f.lots {
			if l.country != b.country {
				continue
			}
			list, held, err := ranked(ctx, b.technician, l.signature)
			if err != nil {
				return err
			}
			if !held {
				return fmt.Errorf("%s does not hold its own signature of %s", b.country, l.number)
			}
			entries := make([]entry, len(list))
			for i, c := range list {
				entries[i] = entry{c.Other.Signature, c.Score}
			}
			results[b.country].add(l.signature, entries, f.marks)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var sum scoring
	for _, c := range countries {
		r := results[c]
		f.row("%s: %d of %d mates abroad at rank 1, %d among the first ten", c, r.rank1, r.mates, r.top10)
		sum.mates, sum.rank1, sum.top10 = sum.mates+r.mates, sum.rank1+r.rank1, sum.top10+r.top10
	}
	f.result.Mates, f.result.MatesRank1, f.result.MatesTop10 = sum.mates, sum.rank1, sum.top10
	f.say("A mate's rank is 1 + the number of non-mates above it in that list. This says how these scans did, not how all firearms would.")
	if err := f.verify(sum.mates > 0 && sum.top10 > 0, "%d of %d (query, mate) pairs of cartridge cases across a border stand at rank 1.", sum.rank1, sum.mates); err != nil {
		return err
	}
	return f.pairBullets(ctx)
}
