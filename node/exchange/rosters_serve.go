package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"proofmark/protocol"
)

// serveRosters answers a member.
func (x *Exchange) serveRosters(s network.Stream) {
	if x.o.Rosters == nil {
		_ = s.Reset()
		return
	}
	x.attend(s, "rosters", (*link).tellRosters)
}

func (l *link) tellRosters(s network.Stream) error {
	select {
	case l.tidings.served <- struct{}{}:
		defer func() { <-l.tidings.served }()
	default:
		return errTooMany
	}
	r, pace := l.x.o.Rosters, l.x.pace
	p := within(s, pace.hello)
	b, err := protocol.ReadFrame(p, maxAsk)
	if err != nil {
		return fmt.Errorf("wait for a question: %w", noEOF(err))
	}
	if !l.tidings.allowed.Allow() {
		return errBusy
	}
	q, err := decodeHead[ask](b)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(l.life, pace.answer)
	defer cancel()
	if err := r.LearnAddresses(ctx, string(l.country), q.Addresses); err != nil {
		l.x.o.Log.Info("announced addresses refused", "peer", l.country, "err", err)
	}
	ours, known := r.Hashes(), l.x.known()
	t := tell{Version: len(ours), Hashes: ours[max(0, len(ours)-maxHashes):], Digest: known.digest}
	if q.Version == 0 || q.Version > len(ours) || ours[q.Version-1] == q.Hash {
		t.Hashes = t.Hashes[max(0, len(t.Hashes)-1):]
	}
	if q.Digest != t.Digest {
		t.Marks = known.marks[:min(len(known.marks), maxMarks)]
	}
	if len(q.Want) <= maxMarks {
		wanted := map[string]bool{}
		for _, m := range q.Want {
			wanted[m] = true
		}
		for i, m := range known.marks {
			if wanted[m] {
				t.Addresses = append(t.Addresses, known.records[i])
			}
		}
	}
	t.Addresses = fitting(t.Addresses)
	docs, free, err := l.give(q, len(ours))
	if err != nil {
		return err
	}
	defer free()
	t.Busy, t.Count = docs == nil && q.After >= 0 && q.After < len(ours), len(docs)
	p = patient{pipe: s, progress: pace.progress, until: time.Now().Add(pace.answer)}
	if err := l.x.rumours.head(p, t); err != nil {
		return err
	}
	for _, d := range docs {
		if err := l.x.rumours.document(p, d); err != nil {
			return err
		}
	}
	if q.Version > len(ours) || q.Version > 0 && q.Version <= len(ours) && ours[q.Version-1] != q.Hash {
		l.tidings.tender.wake() // the member has something that this side does not
	}
	if q.After < 0 && len(q.Addresses) == 0 && len(q.Want) == 0 { // else it is about to have more
		l.tidings.heard(q.Hash + q.Digest)
	}
	return nil
}

// give reads the documents that are asked for, as many as fit; none while they go to enough others. free is called once they have gone. Who was sent away
// a few times is given them all the same: slow or hostile members that take their time must not keep a version from the rest.
func (l *link) give(q ask, have int) (docs [][]byte, free func(), err error) {
	free = func() {}
	if q.After < 0 || q.After >= have {
		return nil, free, nil
	}
	select {
	case l.x.giving <- struct{}{}:
		free = func() { <-l.x.giving }
	default:
		if l.tidings.away.Add(1) <= sentAway {
			return nil, free, nil
		}
	}
	l.tidings.away.Store(0)
	if docs, err = l.x.o.Rosters.After(q.After); err != nil {
		free()
		return nil, func() {}, err
	}
	room := roomRosters
	for i, d := range docs {
		if room -= len(d); room < 0 || i == 64 {
			return docs[:i], free, nil
		}
	}
	return docs, free, nil
}
