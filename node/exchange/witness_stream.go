package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/time/rate"

	"proofmark/protocol"
)

// WitnessProtocol carries checkpoints to the members that cosign them, and evidence against logs. Whoever opens the stream says hello and asks; the other
// side says hello and answers, question by question. What is asked and answered is not the exchange's business.
const WitnessProtocol p2pprotocol.ID = "/proofmark/witness/1.0.0"

// Bounds of a stream of WitnessProtocol.
const (
	MaxWitnessFrame  = 40 << 10 // bytes of a question or an answer
	maxWitnessRounds = 8        // questions on one stream
	witnessServed    = 2        // streams of one member at once
)

var errHasty = errors.New("more questions than this node answers; try again in a minute")

// witnessing bounds the questions of one member that are answered.
type witnessing struct {
	allowed *rate.Limiter
	served  chan struct{}
}

func (w *witnessing) init() {
	w.allowed, w.served = rate.NewLimiter(rate.Every(time.Second), 30), make(chan struct{}, witnessServed)
}

func (x *Exchange) serveWitness(s network.Stream) {
	x.attend(s, "a log's witness", (*link).answerWitness)
}

func (l *link) answerWitness(s network.Stream) error {
	p := within(s, l.x.pace.hello)
	b, err := protocol.ReadFrame(p, protocol.MaxHello)
	if err != nil {
		return fmt.Errorf("wait for hello: %w", noEOF(err))
	}
	h, err := protocol.DecodeHello(b)
	if err == nil {
		err = checkHello(h, l.member.Load(), l.x.o.Country, l.x.o.Now())
	}
	if err != nil {
		return l.refuseHello(p, err)
	}
	select {
	case l.witness.served <- struct{}{}:
		defer func() { <-l.witness.served }()
	default:
		return l.refuseHello(p, errTooMany)
	}
	if err := writeJSON(p, l.x.hello(l.country, "")); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	l.greeted(h)
	for range maxWitnessRounds {
		ask, err := protocol.ReadFrame(within(s, l.x.pace.answer), MaxWitnessFrame)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for a question: %w", err)
		}
		if !l.witness.allowed.Allow() {
			return errHasty
		}
		answer, err := l.x.o.Witness(l.life, l.country, ask)
		if err != nil {
			return err
		}
		if err := protocol.WriteFrame(within(s, l.x.pace.hello), answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return nil
}

// AskWitness talks with a member over cosignatures and evidence: next is called with nil and then with each answer, and gives the next question; nil ends
// the talk.
func (x *Exchange) AskWitness(ctx context.Context, to protocol.Country, next func(answer []byte) (ask []byte, err error)) error {
	first, err := next(nil)
	if err != nil || first == nil {
		return err
	}
	return x.visit(ctx, to, WitnessProtocol, first, func(l *link, s pipe) error {
		for range maxWitnessRounds {
			answer, err := protocol.ReadFrame(within(s, l.x.pace.answer), MaxWitnessFrame)
			if err != nil {
				return fmt.Errorf("wait for the answer: %w", noEOF(err))
			}
			ask, err := next(answer)
			if err != nil || ask == nil {
				return err
			}
			if err := protocol.WriteFrame(within(s, l.x.pace.hello), ask); err != nil {
				return fmt.Errorf("ask: %w", err)
			}
		}
		return fmt.Errorf("%w: no end after %d questions", errBadAnswer, maxWitnessRounds)
	})
}
