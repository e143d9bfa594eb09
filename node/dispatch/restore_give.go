package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// Limits of one page for a restored peer.
const (
	pageRoom    = 768 << 10 // bytes of messages or documents, beside one that may be larger
	pageExamine = 4096      // documents looked at
	lookback    = 24 * time.Hour
)

// givers remembers for restored peers which document had which number: it is looked up for page after page.
type givers struct {
	mu   sync.Mutex
	sent map[string]map[uint64]string // restore, peer and channel → number → delivery
}

// AnswerPage gives a peer that has declared a restore one page of what it lost: what this node had sent to it, or what it holds from it.
func (d *Dispatch) AnswerPage(_ context.Context, from protocol.Country, ask []byte) ([]byte, error) {
	a, err := protocol.DecodeRestoreAsk(ask)
	if err != nil {
		return nil, err
	}
	if _, err := d.keysOf(from, d.Now()); err != nil {
		return nil, err
	}
	page := &protocol.RestorePage{}
	err = d.Store.View(func(tx *store.Tx) error {
		known, err := d.declaration(tx, from)
		if err != nil {
			return err
		}
		if known == nil || known.ID != a.Restore {
			return fmt.Errorf("%w: %s has not declared this restore here", ErrForged, from)
		}
		if a.Channel != "" {
			return d.giveMessages(tx, from, a, page)
		}
		return d.giveDocuments(tx, from, a, known.Made.Add(-lookback), page)
	})
	if err != nil {
		return nil, fmt.Errorf("what %s had: %w", from, err)
	}
	return json.Marshal(page)
}

// giveMessages makes acknowledged messages again, byte for byte: their bytes were dropped with the receipt, their hashes are kept. Where the document
// was erased, or sent once more with other disclosures, the hash alone goes.
func (d *Dispatch) giveMessages(tx *store.Tx, to protocol.Country, a *protocol.RestoreAsk, page *protocol.RestorePage) error {
	out, err := tx.OutHead(string(to), string(a.Channel))
	if err != nil {
		return err
	}
	numbers, err := d.numbers(tx, to, a)
	if err != nil {
		return err
	}
	room := pageRoom
	for seq := a.After + 1; seq <= out.Acked && len(page.Messages) < protocol.MaxRestoredPage && room > 0; seq++ {
		hash, err := tx.MessageHash(string(to), string(a.Channel), seq)
		if err != nil {
			return err
		}
		m := protocol.RestoredMessage{Seq: seq, Hash: hash}
		if m.Bytes, err = d.again(tx, to, a.Channel, seq, hash, numbers[seq]); err != nil {
			return err
		}
		room -= len(m.Bytes) + 128
		page.Messages = append(page.Messages, m)
	}
	page.End = a.After+uint64(len(page.Messages)) >= out.Acked
	return nil
}

// numbers maps a channel's numbers to deliveries, by one look at all deliveries for each restore.
func (d *Dispatch) numbers(tx *store.Tx, to protocol.Country, a *protocol.RestoreAsk) (map[uint64]string, error) {
	key := a.Restore + "/" + string(to) + "/" + string(a.Channel)
	d.givers.mu.Lock()
	defer d.givers.mu.Unlock()
	if known := d.givers.sent[key]; known != nil {
		return known, nil
	}
	found := map[uint64]string{}
	for id, dl := range Deliveries.All(tx) {
		if dl.Peer == to && dl.Channel == a.Channel && dl.Seq > a.After {
			found[dl.Seq] = id
		}
	}
	if tx.Err() != nil {
		return nil, tx.Err()
	}
	if d.givers.sent == nil || len(d.givers.sent) > 16 {
		d.givers.sent = map[string]map[uint64]string{}
	}
	d.givers.sent[key] = found
	return found, nil
}

// again makes the message anew; nil where it would not be the same.
func (d *Dispatch) again(tx *store.Tx, to protocol.Country, ch protocol.Channel, seq uint64, hash, delivery string) ([]byte, error) {
	if delivery == "" {
		return nil, nil
	}
	dl, err := Deliveries.Get(tx, delivery)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec, err := Documents.Get(tx, dl.Document)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	prev := ""
	if seq > 1 {
		if prev, err = tx.MessageHash(string(to), string(ch), seq-1); errors.Is(err, store.ErrNotFound) {
			return nil, nil // from before a restore of this node's own
		} else if err != nil {
			return nil, err
		}
	}
	kept, _, err := protocol.Choose(rec.Disclosures, dl.Withheld)
	if err != nil {
		return nil, nil //nolint:nilerr // the record was cut down since
	}
	b, got, err := protocol.Message{From: d.Country, To: to, Channel: ch, Seq: seq, Prev: prev, Terms: dl.Terms, Document: rec.JWS, Disclosures: kept}.Encode()
	if err != nil || got != hash {
		return nil, nil //nolint:nilerr // the same
	}
	return b, nil
}

// giveDocuments gives back what the peer had issued and this node holds, as far as it was received after the peer's backup, with a day's margin.
func (d *Dispatch) giveDocuments(tx *store.Tx, to protocol.Country, a *protocol.RestoreAsk, since time.Time, page *protocol.RestorePage) error {
	room, examined := pageRoom, 0
	page.Last, page.End = a.Last, true
	for id, rec := range Documents.AllAfter(tx, a.Last) {
		if examined == pageExamine || room <= 0 || len(page.Documents) == protocol.MaxRestoredPage {
			page.End = false
			break
		}
		examined++
		page.Last = id
		if rec.Issuer != to || rec.Status == Own || rec.At.Before(since) || rec.JWS == "" {
			continue
		}
		if _, _, err := crypto.Unverified(rec.JWS, crypto.TypeDocument, 2*protocol.MaxDocument); err != nil {
			continue
		}
		r := protocol.RestoredDocument{JWS: rec.JWS, Disclosures: rec.Disclosures}
		if rec.Terms != nil {
			r.Terms = *rec.Terms
		}
		room -= len(rec.JWS) + 512
		for _, s := range rec.Disclosures {
			room -= len(s)
		}
		page.Documents = append(page.Documents, r)
	}
	return tx.Err()
}
