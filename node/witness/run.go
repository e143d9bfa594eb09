package witness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	rules "proofmark/crypto/witness"
	"proofmark/protocol"
	"proofmark/store"
)

// How much goes on at once, and how long a member is left alone after it did not take what it was told.
const (
	talksAtOnce = 8
	tellPause   = time.Minute
)

// rounds is what Run remembers of offering: one checkpoint goes to all witnesses, so that their cosignatures come together under it.
type rounds struct {
	offered rules.Checkpoint               // zero: no round yet
	begun   time.Time                      // by the node's clock
	next    map[protocol.Country]time.Time // when a witness is asked again in this round; not in here: it was not asked yet
	failed  map[protocol.Country]int       // how often a witness did not cosign, one time after the other
	later   map[protocol.Country]time.Time // members that are told of evidence no earlier
	recall  map[protocol.Country]time.Time // members that are asked for what they hold no earlier
}

// Run offers this node's checkpoints and tells of evidence until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	switch err := s.settleOwn(ctx); {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, store.ErrDiskReserve): // a node that starts with a full disk is there to be looked at
		s.o.Log.Warn("evidence against this node's log is settled by the next start", "reason", err)
	default:
		return fmt.Errorf("evidence against this node's log: %w", err)
	}
	tick := time.NewTicker(s.o.Pace.Look)
	defer tick.Stop()
	for {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("witnessing", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look does what is due.
func (s *Service) look(ctx context.Context) error {
	ring, r, err := s.keyring()
	if errors.Is(err, errNoRoster) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.recollect(ctx, ring, r); err != nil {
		s.o.Log.Info("what members hold is not known yet", "err", err)
	}
	var near []protocol.Country
	asked := s.witnesses(r)
	for _, c := range asked {
		if s.o.Connected(c) {
			near = append(near, c)
		}
	}
	if err := s.begin(len(near) > 0); err != nil {
		return err
	}
	now := s.o.Now()
	due := slices.DeleteFunc(near, func(c protocol.Country) bool { return s.offered.N == 0 || now.Before(s.next[c]) })
	return errors.Join(s.ask(ctx, ring, due, s.wanted(len(asked)), now), s.tell(ctx, ring))
}

// ask offers the round's checkpoint to those witnesses and keeps what they give: in one transaction, or in several where some of them take their time.
func (s *Service) ask(ctx context.Context, ring *rules.Keyring, due []protocol.Country, wanted int, now time.Time) error {
	if len(due) == 0 {
		return nil
	}
	s.mu.Lock()
	for _, c := range due {
		s.asked[c] = now
	}
	s.mu.Unlock()
	results := make(chan outcome, len(due))
	go func() {
		defer close(results)
		each(due, func(c protocol.Country) { results <- s.offer(ctx, ring, c, s.offered) })
	}()
	var faults error
	var got []outcome
	keep := func() {
		faults = errors.Join(faults, s.take(ctx, got, wanted))
		got = nil
	}
	soon := time.NewTicker(s.o.Pace.Look)
	defer soon.Stop()
	for {
		select {
		case o, more := <-results:
			if !more {
				keep()
				return faults
			}
			pause := 2 * s.o.Pace.Still // until the next round
			if o.err == nil {
				delete(s.failed, o.witness)
			} else {
				pause = s.o.Pace.again(s.failed[o.witness])
				s.failed[o.witness]++
				if ctx.Err() == nil {
					s.o.Log.Info("a witness did not cosign", "witness", o.witness, "err", o.err)
				}
			}
			s.next[o.witness] = now.Add(pause)
			got = append(got, o)
		case <-soon.C:
			keep()
		}
	}
}

// again says how long a witness is left alone that has failed so often before: one that is about to be ready is not waited for a minute.
func (p Pace) again(failed int) time.Duration {
	pause := p.Look
	for ; failed >= 0 && pause < p.Grown; failed-- {
		pause *= 2
	}
	return min(pause, p.Grown)
}

// begin begins a new round where one is due and somebody is there to cosign.
func (s *Service) begin(somebody bool) error {
	age := s.o.Now().Sub(s.begun)
	if !somebody || s.offered.N > 0 && age >= 0 && age < s.o.Pace.Grown {
		return nil
	}
	var c rules.Checkpoint
	err := s.o.Desk.Store.View(func(tx *store.Tx) (err error) {
		c, err = s.checkpoint(tx)
		return err
	})
	if err != nil {
		return err
	}
	if c.Tree == s.offered.Tree && age >= 0 && age < s.o.Pace.Still {
		return nil
	}
	s.offered, s.begun = c, s.o.Now()
	clear(s.next)
	return nil
}

// each runs f for all, a few at once.
func each(of []protocol.Country, f func(protocol.Country)) {
	var wg sync.WaitGroup
	places := make(chan struct{}, talksAtOnce)
	for _, c := range of {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			f(c)
		})
	}
	wg.Wait()
}

// tell passes evidence on to every connected member that does not know it yet.
func (s *Service) tell(ctx context.Context, ring *rules.Keyring) error {
	news := map[protocol.Country][]Record{}
	err := s.o.Desk.Store.View(func(tx *store.Tx) error {
		for _, r := range unexplained(tx, ring) { // acknowledging it is for people here alone
			for _, log := range ring.Logs() {
				c := protocol.Country(log.Country)
				if c != s.country && c != r.From && !r.Told[c] && len(news[c]) < 4 {
					news[c] = append(news[c], r)
				}
			}
		}
		return tx.Err()
	})
	if err != nil || len(news) == 0 {
		return err
	}
	now := s.o.Now()
	var to []protocol.Country
	for c := range news {
		pause := s.later[c].Sub(now)
		if s.o.Connected(c) && (pause <= 0 || pause > tellPause) { // longer: the clock was set back
			to = append(to, c)
			s.later[c] = now.Add(tellPause)
		}
	}
	slices.Sort(to)
	var mu sync.Mutex
	var faults error
	each(to, func(c protocol.Country) {
		if err := s.tellOne(ctx, c, news[c]); err != nil && ctx.Err() == nil {
			mu.Lock()
			defer mu.Unlock()
			faults = errors.Join(faults, fmt.Errorf("tell %s of evidence: %w", c, err))
		}
	})
	return faults
}

func (s *Service) tellOne(ctx context.Context, to protocol.Country, news []Record) error {
	var known []string
	left := news
	err := s.o.Talk(ctx, to, func(b []byte) ([]byte, error) {
		if b != nil {
			a, err := decodeAnswer(b)
			if err != nil {
				return nil, err
			}
			if a.Verdict != noted {
				return nil, fmt.Errorf("refused: %s", a.Refusal)
			}
			known, left = append(known, left[0].ID), left[1:]
		}
		if len(left) == 0 {
			return nil, nil
		}
		return json.Marshal(ask{Accused: left[0].Country, Evidence: &left[0].Evidence})
	})
	if len(known) == 0 {
		return err
	}
	return errors.Join(err, s.o.Desk.Store.Update(ctx, func(tx *store.Tx) error {
		for _, id := range known {
			r, err := Evidences.Get(tx, id)
			if errors.Is(err, store.ErrNotFound) {
				continue // it made room for other evidence meanwhile
			}
			if err != nil {
				return err
			}
			if err := r.toldBy(tx, to); err != nil {
				return err
			}
		}
		return nil
	}))
}

func sortRecords(list []Record) {
	slices.SortFunc(list, func(a, b Record) int {
		if a.Country != b.Country {
			return strings.Compare(string(a.Country), string(b.Country))
		}
		return a.At.Compare(b.At)
	})
}
