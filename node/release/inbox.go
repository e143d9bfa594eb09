package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/protocol"
	"proofmark/store"
)

// receiveRequest files a request and does nothing else: the receipt that goes back after it must not tell by its time what was found. It is judged
// afterwards, beside.
func (s *Service) receiveRequest(tx *store.Tx, in dispatch.Received) error {
	body, err := protocol.BodyOf[protocol.ScanRequestBody](in.Document)
	if err != nil {
		return desk.Invalid("%v", err)
	}
	if has, err := requests.Has(tx, in.Document.ID); err != nil || has {
		return err
	}
	if err := protocol.CheckNumber(body.Number, in.From, "S"); err != nil {
		return desk.Invalid("%v", err)
	}
	today, err := count(tx, in.From)
	if err != nil {
		return err
	}
	if today > answered*s.quota {
		s.tally.note(in.From, "quota", "a scan request beyond the day's quota, not answered", s.now()) // the document is refused: nothing is committed here
		return desk.Forbidden("%d scan requests of %s today: the quota is %d", today, in.From, s.quota)
	}
	r := &Request{ID: in.Document.ID, Number: body.Number, Direction: Incoming, Counterpart: in.From, State: Filed, Signature: body.Signature, Purpose: in.Document.Purpose,
		Reason: body.Reason, Created: tx.Now(), Due: s.due(tx.Now())}
	r.note(Step{Event: "received", At: tx.Now(), Country: in.From, Document: r.ID})
	if today > s.quota {
		r.State, r.Ground, r.Refusal = Refusing, "quota", &Refusal{Code: protocol.ScanQuota, By: desk.Node.Name, At: tx.Now()}
		tx.OnCommit(func() { s.tally.note(in.From, "quota", "a scan request beyond the day's quota", s.now()) })
	}
	tx.OnCommit(func() {
		signal(s.filed)
		signal(s.wake)
	})
	return requests.Insert(tx, r.ID, r)
}

// counted is how many requests a country sent on a day.
type counted struct {
	Day string `json:"day"`
	N   int    `json:"n"`
}

// count adds one to the requests of a country today and returns their number.
func count(tx *store.Tx, from protocol.Country) (int, error) {
	key := "release/quota/" + string(from)
	var c counted
	switch b, err := tx.Get(key); {
	case err == nil:
		if err := json.Unmarshal(b, &c); err != nil {
			return 0, fmt.Errorf("requests of %s today: %w", from, err)
		}
	case !errors.Is(err, store.ErrNotFound):
		return 0, err
	}
	if day := tx.Now().UTC().Format(time.DateOnly); c.Day != day {
		c = counted{Day: day}
	}
	c.N++
	b, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	return c.N, tx.Put(key, b)
}
