package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	p2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"proofmark/crypto/proof"
	"proofmark/protocol"
)

// ReconcileProtocol carries a member's statement of what the two have exchanged: greeting and question of the one who asks, greeting and one signed page
// of the other. Each page has a stream of its own, so that what was broken off goes on with the next question.
const ReconcileProtocol p2pprotocol.ID = "/proofmark/reconcile/1.0.0"

const (
	maxPageQuestion = 512
	maxPageAnswer   = proof.MaxPage + 8*maxRefusal
)

// statementDesk lets each member have one page made at a time.
type statementDesk struct {
	mu   sync.Mutex
	busy map[protocol.Country]bool
}

func (d *statementDesk) begin(c protocol.Country) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[c] {
		return false
	}
	if d.busy == nil {
		d.busy = map[protocol.Country]bool{}
	}
	d.busy[c] = true
	return true
}

func (d *statementDesk) end(c protocol.Country) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, c)
}

// serveReconcile handles one incoming stream, on a goroutine of libp2p's.
func (x *Exchange) serveReconcile(s network.Stream) {
	x.attend(s, "the statement of a channel", (*link).answerReconcile)
}

func (l *link) answerReconcile(s network.Stream) error {
	if !l.x.statements.begin(l.country) {
		return errTooMany
	}
	defer l.x.statements.end(l.country)
	h, ask, err := l.greetAsked(within(s, l.x.pace.hello), maxPageQuestion)
	if err != nil {
		return err
	}
	page, err := l.x.o.Statement(l.life, l.country, ask)
	out := pageAnswer{Page: string(page)}
	if err != nil {
		out = pageAnswer{Refusal: tellable(err)}
	}
	if werr := writeJSON(within(s, l.x.pace.answer), out); werr != nil {
		return errors.Join(err, fmt.Errorf("answer: %w", werr))
	}
	if err != nil {
		return saidError{err}
	}
	l.greeted(h)
	return nil
}

// pageAnswer is one of the two.
type pageAnswer struct {
	Page    string `json:"page,omitempty"` // compact JWS
	Refusal string `json:"refusal,omitempty"`
}

func decodePageAnswer(b []byte) (pageAnswer, error) {
	var a pageAnswer
	if err := protocol.CheckJSON(b, maxPageAnswer, 1); err != nil {
		return a, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return pageAnswer{}, fmt.Errorf("%w: %w", errBadAnswer, err)
	}
	if (a.Page == "") == (a.Refusal == "") {
		return pageAnswer{}, fmt.Errorf("%w: want a page or a refusal", errBadAnswer)
	}
	return a, nil
}

// FetchStatement asks a member for one page of its statement. Who signed it, and what it says, is for the caller to verify.
func (x *Exchange) FetchStatement(ctx context.Context, from protocol.Country, ask []byte) (page []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*x.pace.hello+x.pace.answer)
	defer cancel()
	err = x.visit(ctx, from, ReconcileProtocol, ask, func(l *link, s pipe) error {
		b, err := protocol.ReadFrame(within(s, l.x.pace.answer), maxPageAnswer)
		if err != nil {
			return fmt.Errorf("wait for the page: %w", noEOF(err))
		}
		a, err := decodePageAnswer(b)
		switch {
		case err != nil:
			return err
		case a.Refusal != "":
			return refusedError{printable(a.Refusal, maxRefusal)}
		}
		page = []byte(a.Page)
		return nil
	})
	return page, err
}
