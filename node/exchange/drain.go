package exchange

import (
	"context"
	"sync"
	"time"

	"proofmark/node/dispatch"
)

// inFlight is how many batches of a channel travel at once: while the other side works on one, the next is on its way.
const inFlight = 2

// travelling is a batch that was sent and not answered.
type travelling struct {
	*dispatch.Batch
	sent  time.Time
	leave func() // gives back its place among those that are held in memory
}

// delivery is one round of sending on a stream: until nothing waits.
type delivery struct {
	s       *sender
	ses     *session
	ctx     context.Context
	under   []travelling  // at most inFlight, the oldest first
	answers chan answered // to the oldest
	last    uint64        // of the batch that was answered before
	before  time.Time     // when it was
}

// drain sends batch after batch until nothing waits and everything is acknowledged.
func (s *sender) drain(ses *session) error {
	d := &delivery{s: s, ses: ses, ctx: s.l.life, answers: make(chan answered, 1)}
	defer func() {
		for _, t := range d.under {
			t.leave()
		}
	}()
	for look := true; ; {
		if look && len(d.under) < inFlight {
			sent, err := d.send()
			if err != nil {
				return err
			}
			if !sent && len(d.under) == 0 {
				return nil
			}
			// What is queued after a batch was read is told by a signal; unless something waited behind it then, there is nothing to look for.
			look = sent && !d.under[len(d.under)-1].Alone
			continue
		}
		queued := s.queued
		if len(d.under) == inFlight {
			queued = nil // it is looked at when there is room
		}
		select {
		case <-queued:
			look = true
		case a := <-d.answers:
			if err := d.take(a); err != nil {
				return err
			}
			look = true
		}
	}
}

// send sends the next batch, if there is one and it may go now.
func (d *delivery) send() (sent bool, err error) {
	b, leave, err := d.next()
	if b == nil || err != nil {
		return false, err
	}
	follows := len(d.under) > 0
	if err := d.ses.send(b, follows); err != nil {
		leave()
		if follows { // the other side may have said why it reads no more
			if told := d.take(<-d.answers); told != nil {
				return false, told
			}
		}
		return false, err
	}
	d.under = append(d.under, travelling{b, time.Now(), leave})
	if !follows {
		d.ses.listen(b, d.answers)
	}
	return true, nil
}

// next takes a batch from the mail. A bulk batch takes its place among those that are held in memory at once, after urgent ones; one that would follow
// another does not wait for a place: it goes when that is answered.
func (d *delivery) next() (b *dispatch.Batch, leave func(), err error) {
	s, mail, follows := d.s, d.s.l.x.o.Mail, len(d.under) > 0
	leave, ok, err := s.place(d.ctx, follows)
	if err != nil || !ok {
		return nil, nil, err
	}
	if follows {
		b, err = mail.BatchAfter(d.ctx, s.l.country, s.ch, d.under[len(d.under)-1].Last)
	} else {
		b, err = mail.NextBatch(d.ctx, s.l.country, s.ch)
	}
	switch {
	case err == nil && b == nil && !follows:
		s.acknowledged(s.last)
	case err == nil && b != nil && !follows:
		if s.first == 0 {
			s.first = b.First
		}
		s.acknowledged(b.First - 1) // also by the receipt of an earlier stream's end
		if b.Last <= d.last {
			err = errNoProgress
		}
	}
	if b == nil || err != nil {
		leave()
		return nil, nil, err
	}
	s.last = max(s.last, b.Last)
	return b, leave, nil
}

// take takes in the answer to the oldest batch.
func (d *delivery) take(a answered) error {
	s, t := d.s, d.under[0]
	d.under = d.under[1:]
	t.leave()
	if a.err != nil {
		return a.err
	}
	if len(d.under) > 0 {
		d.ses.listen(d.under[0].Batch, d.answers)
	}
	if begun := latest(t.sent, d.before); s.bulk() {
		s.l.report.setSlow(time.Since(begun) > s.l.x.pace.slow)
	}
	if a.Receipt != "" {
		if err := s.l.x.o.Mail.AcceptReceipt(d.ctx, s.l.country, a.Receipt); err != nil {
			return err
		}
	}
	if a.Refusal != "" {
		return refusedError{a.Refusal}
	}
	d.last, d.before = t.Last, time.Now()
	s.acknowledged(t.Last)
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// acknowledged notes how far the other side has the channel.
func (s *sender) acknowledged(upTo uint64) {
	if s.first > 0 && upTo >= s.first {
		s.l.report.delivered(s.ch, upTo-s.first+1, s.l.x.o.Now())
	}
}

// place takes a bulk batch's place: after urgent ones, and in the lane for prompt members or for slow ones. Who holds a place among the prompt for too
// long loses it, and queues among the slow until a batch goes quickly again. A batch that follows another takes a free place or none.
func (s *sender) place(ctx context.Context, follows bool) (leave func(), ok bool, err error) {
	if !s.bulk() {
		return func() {}, true, nil
	}
	lane, slow := s.l.x.lanes.fast, s.l.x.pace.slow
	if s.l.report.isSlow() {
		lane, slow = s.l.x.lanes.slow, 0
	}
	if follows {
		if s.l.urgent.waits() || !tryEnter(lane) {
			return nil, false, nil
		}
		leave, slow = func() { <-lane }, 2*slow
	} else {
		s.l.urgent.yield(ctx, s.l.x.pace.yield)
		if leave, err = enter(ctx, lane); err != nil {
			return nil, false, err
		}
	}
	once := sync.OnceFunc(leave)
	if slow == 0 {
		return once, true, nil
	}
	late := time.AfterFunc(slow, func() {
		s.l.report.setSlow(true)
		once()
	})
	return func() {
		late.Stop()
		once()
	}, true, nil
}
