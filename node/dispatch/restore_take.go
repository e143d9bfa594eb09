package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"proofmark/crypto"
	"proofmark/protocol"
	"proofmark/store"
)

// fetch is how far this restored node has come in asking one peer: the messages of each channel, then the documents.
type fetch struct {
	restore restore
	theirs  *protocol.Standing // the peer's, signed: how far it has what this node had sent
	signed  string
	channel int    // index of the channel that is being fetched; behind the last one, documents
	after   uint64 // message behind which the page that was asked for last begins
	last    string // document
	counts  struct{ messages, erased, documents int }
}

// AskPage is the next question to a peer after this node's restore.
func (d *Dispatch) AskPage(a *Asked) ([]byte, error) {
	ask := protocol.RestoreAsk{Restore: a.fetch.restore.ID, Last: a.fetch.last}
	if a.fetch.channel < len(protocol.Channels) {
		ask.Channel = protocol.Channels[a.fetch.channel]
		err := d.Store.View(func(tx *store.Tx) error {
			head, err := tx.InHead(string(a.peer), string(ask.Channel))
			ask.After, a.fetch.after = head.Seq, head.Seq
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return json.Marshal(ask)
}

// TakePage takes the answer, and reports whether there is more to ask; with the last one the peer has helped, and the exchange with it goes on.
func (d *Dispatch) TakePage(ctx context.Context, a *Asked, page []byte) (more bool, err error) {
	p, err := protocol.DecodeRestorePage(page)
	if err != nil {
		return false, d.refused(ctx, a.peer, "what came after the backup", err)
	}
	f := a.fetch
	if f.channel < len(protocol.Channels) {
		err = d.takeMessages(ctx, a, protocol.Channels[f.channel], p)
		if err == nil && p.End {
			f.channel++
		}
	} else {
		if err = d.takeDocuments(ctx, a, p); err == nil && p.End {
			err = d.helped(ctx, a)
			return false, err
		}
		f.last = p.Last
	}
	if err == nil && !p.End && len(p.Messages)+len(p.Documents) == 0 && p.Last == "" {
		err = fmt.Errorf("%w: an empty page that is not the last", protocol.ErrBadMessage)
	}
	if err != nil {
		return false, d.refused(ctx, a.peer, "what came after the backup", err)
	}
	return true, nil
}

// takeMessages applies what the peer had sent before, in its order: the chain of hashes goes on from where this node is, each document bears its issuer's
// signature.
func (d *Dispatch) takeMessages(ctx context.Context, a *Asked, ch protocol.Channel, p *protocol.RestorePage) error {
	keys, err := d.keysOf(a.peer, d.Now())
	if err != nil {
		return err
	}
	list := make([]incoming, len(p.Messages))
	for i, m := range p.Messages {
		list[i].hash = m.Hash
		if m.Bytes == nil {
			continue
		}
		if protocol.MessageHash(m.Bytes) != m.Hash {
			return fmt.Errorf("message %d: %w: its bytes have another hash", m.Seq, ErrForged)
		}
		msg, err := protocol.DecodeMessage(m.Bytes)
		if err != nil {
			return fmt.Errorf("message %d: %w", m.Seq, err)
		}
		if msg.From != a.peer || msg.To != d.Country || msg.Channel != ch || msg.Seq != m.Seq {
			return fmt.Errorf("message %d: %w: it belongs to %s>%s/%s %d", m.Seq, ErrForged, msg.From, msg.To, msg.Channel, msg.Seq)
		}
		list[i].msg = msg
		list[i].header, list[i].opened, list[i].fault = d.openDocument(msg, keys)
	}
	f := a.fetch
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		if over, err := d.over(tx, a); err != nil || over {
			return err
		}
		for i, m := range p.Messages {
			head, err := tx.InHead(string(a.peer), string(ch))
			if err != nil {
				return err
			}
			if m.Seq > f.after && m.Seq <= head.Seq { // over another connection it came first
				continue
			}
			if m.Seq != head.Seq+1 || list[i].msg != nil && list[i].msg.Prev != head.Head {
				return fmt.Errorf("message %d, this node has %d: %w", m.Seq, head.Seq, ErrFork)
			}
			if list[i].msg == nil {
				f.counts.erased++
				tx.Audit(protocol.AuditEntry{
					AuditHeader: protocol.AuditHeader{Action: protocol.ActReceive, Counterpart: string(a.peer), Decision: "permit", Ground: "restore"},
					AuditBody: protocol.AuditBody{Actor: "node", Kind: "exchange", Object: string(a.peer), Channel: string(ch), MessageSeq: m.Seq,
						Event: "message of before the restore is lost: its sender cannot make it again", Details: map[string]string{"message": m.Hash}}})
			} else {
				f.counts.messages++
				if err := d.receive(tx, list[i]); err != nil {
					return fmt.Errorf("message %d: %w", m.Seq, err)
				}
			}
			if err := tx.AdvanceIn(string(a.peer), string(ch), m.Seq, m.Hash); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeDocuments puts back what this country had issued and the peer holds. A document that the backup does not know is addressed to whoever returned it:
// the facts that policy would be asked about are lost, so it is offered to nobody else.
func (d *Dispatch) takeDocuments(ctx context.Context, a *Asked, p *protocol.RestorePage) error {
	var docs []*protocol.Document
	for _, r := range p.Documents {
		payload, ok := d.ownSigned(r.JWS, crypto.TypeDocument)
		if !ok {
			return fmt.Errorf("%w: a document that this country has not signed", ErrForged)
		}
		doc, err := protocol.Open(payload, r.Disclosures)
		if doc == nil || doc.Issuer != d.Country {
			return fmt.Errorf("%w: a document of this country's cannot be opened: %w", ErrForged, errors.Join(err))
		}
		docs = append(docs, doc)
	}
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		if over, err := d.over(tx, a); err != nil || over {
			return err
		}
		for i, doc := range docs {
			if err := d.putBack(tx, a, doc, p.Documents[i]); err != nil {
				return fmt.Errorf("%s: %w", doc.ID, err)
			}
		}
		return nil
	})
}

func (d *Dispatch) putBack(tx *store.Tx, a *Asked, doc *protocol.Document, r protocol.RestoredDocument) error {
	rec, err := Documents.Get(tx, doc.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		a.fetch.counts.documents++
		rec = &Record{ID: doc.ID, Type: doc.Type, Issuer: d.Country, Status: Own, JWS: r.JWS, Disclosures: r.Disclosures, At: doc.Issued,
			Facts: &Facts{To: a.peer, Purpose: doc.Purpose, Kind: string(doc.Type), Object: doc.ID, Actor: "node",
				Handling: protocol.ReadHandling(r.Terms.Handling, d.Country)}}
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActCollect, Counterpart: string(a.peer), Decision: "permit", Ground: "restore"},
			AuditBody: protocol.AuditBody{Actor: "node", Kind: string(doc.Type), Object: doc.ID, Event: "own document came back from its recipient after the restore",
				Documents: []string{doc.ID}, Handling: rec.Facts.Handling.Codes()}})
	case err != nil:
		return err
	case rec.Status != Own && rec.Status != Recalled || rec.JWS != r.JWS:
		return fmt.Errorf("%w: another document has its id here", ErrForged)
	default:
		rec.Disclosures = union(rec.Disclosures, r.Disclosures)
	}
	if err := Documents.Put(tx, doc.ID, rec); err != nil {
		return err
	}
	if doc.Type == protocol.TypeWithdrawal {
		if err := d.withdrawAgain(tx, rec, doc); err != nil {
			return err
		}
	}
	// It went out after the backup: what is queued there goes no more.
	if _, err := tx.Unqueue(string(a.peer), string(protocol.ChannelOf(doc.Type)), doc.ID); err != nil {
		return err
	}
	id := deliveryID(doc.ID, a.peer)
	dl, err := Deliveries.Get(tx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if dl == nil || dl.State != Delivered {
		dl = &Delivery{Document: doc.ID, Peer: a.peer, Channel: protocol.ChannelOf(doc.Type), State: Delivered, Terms: r.Terms, Queued: doc.Issued, Sent: doc.Issued, Received: tx.Now()}
	}
	return Deliveries.Put(tx, id, dl)
}

// withdrawAgain takes back what this country had taken back after its backup: otherwise a member that joins later would be offered it. Every holder that
// the backup knows is told once more, which changes nothing where it was told before.
func (d *Dispatch) withdrawAgain(tx *store.Tx, notice *Record, doc *protocol.Document) error {
	var body protocol.WithdrawalBody
	if err := json.Unmarshal(doc.Body, &body); err != nil {
		return fmt.Errorf("%w: %w", protocol.ErrBadDocument, err)
	}
	rec, err := Documents.Get(tx, body.Document)
	if errors.Is(err, store.ErrNotFound) || err == nil && (rec.Status != Own || protocol.DocumentHash(rec.JWS) != body.SHA256) {
		return nil // issued after the backup and erased everywhere since, or taken back here too
	}
	if err != nil {
		return err
	}
	if _, _, err := d.tellHolders(tx, rec, notice); err != nil {
		return err
	}
	opened := d.opened(rec)
	rec.Status = Recalled
	rec.Withdrawn = &Withdrawn{Document: doc.ID, Reason: body.Reason, Note: body.Note, At: doc.Issued, By: "node"}
	if err := Documents.Put(tx, rec.ID, rec); err != nil {
		return err
	}
	tx.Audit(protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Decision: "permit", Ground: groundWithdrawal},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: string(rec.Type), Object: rec.ID, Case: caseOf(rec), Documents: []string{rec.ID, doc.ID},
			Event: "withdrawn again after the restore: " + body.Reason}})
	_, err = d.end(tx, Ending{ID: rec.ID, Type: rec.Type, Issuer: d.Country, Own: true, Cause: CauseWithdrawn, Reason: body.Reason, Document: opened})
	return err
}

// over tells that the peer has helped already, asked over another connection: the exchange with it goes on, and what it says of the time before is no news.
func (d *Dispatch) over(tx *store.Tx, a *Asked) (bool, error) {
	own, err := d.restoring(tx, a.peer)
	return err == nil && (own == nil || own.ID != a.fetch.restore.ID), err
}

// helped ends the restore towards one peer: numbering goes on behind what the peer has received, by its signature, and the log says what was lost.
func (d *Dispatch) helped(ctx context.Context, a *Asked) error {
	f := a.fetch
	return d.Store.Update(ctx, func(tx *store.Tx) error {
		if over, err := d.over(tx, a); err != nil || over {
			return err
		}
		for _, claim := range f.theirs.Channels {
			if err := d.resume(tx, a, claim); err != nil {
				return err
			}
		}
		details := map[string]string{"restore": f.restore.ID, "entries": strconv.FormatInt(f.restore.Entries, 10), "standing": f.signed,
			"messages again": strconv.Itoa(f.counts.messages), "messages lost": strconv.Itoa(f.counts.erased), "own documents back": strconv.Itoa(f.counts.documents)}
		event := fmt.Sprintf("restore witnessed by %s", a.peer)
		if was, _, err := d.openCheckpoint(d.Country, f.theirs.Seen); err == nil {
			details["checkpoint known before"] = f.theirs.Seen
			if was > f.restore.Entries {
				details["entries lost"] = strconv.FormatInt(was-f.restore.Entries, 10)
				event += fmt.Sprintf(": it knew a log of %d entries, %d of them are lost", was, was-f.restore.Entries)
			}
		}
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActAdminister, Counterpart: string(a.peer), Decision: "permit", Ground: "restore"},
			AuditBody:   protocol.AuditBody{Actor: "node", Kind: "exchange", Object: string(a.peer), Event: event, Details: details}})
		if d.OnQueued != nil {
			tx.OnCommit(func() {
				for _, ch := range protocol.Channels {
					d.OnQueued(a.peer, ch)
				}
			})
		}
		return tx.Put(rawHelped+string(a.peer), []byte(f.restore.ID))
	})
}

// resume takes one channel up where the peer has it. This node's own signatures, which the peer shows, must agree.
func (d *Dispatch) resume(tx *store.Tx, a *Asked, claim protocol.ChannelStanding) error {
	peer, ch := string(a.peer), string(claim.Channel)
	in, err := tx.InHead(peer, ch)
	if err != nil {
		return err
	}
	for _, signed := range a.fetch.theirs.Shown {
		if payload, ok := d.ownSigned(signed, crypto.TypeBatch); ok {
			m, err := protocol.DecodeManifest(payload)
			if err == nil && m.To == a.peer && m.Channel == claim.Channel && m.First+uint64(m.Count)-1 == claim.Received && m.Head != claim.ReceivedHead {
				return fmt.Errorf("%w: %s says that message %d on the %s channel was another one than this node had signed", ErrForged, peer, claim.Received, ch)
			}
		}
		if payload, ok := d.ownSigned(signed, crypto.TypeReceipt); ok {
			r, err := protocol.DecodeReceipt(payload)
			if err == nil && r.From == a.peer && r.Channel == claim.Channel && (r.UpTo > in.Seq || r.UpTo == in.Seq && r.Head != in.Head) {
				return fmt.Errorf("%w: %s did not give back the messages that this node had received on the %s channel: %d of %d, or other ones", ErrForged, peer, ch, in.Seq, r.UpTo)
			}
		}
	}
	out, err := tx.OutHead(peer, ch)
	if err != nil || claim.Received == 0 || claim.Received < out.Seq {
		return err // what is fixed here goes out as ever
	}
	if claim.Received == out.Seq && claim.ReceivedHead != out.Head {
		return fmt.Errorf("message %d on the %s channel: %w", out.Seq, ch, ErrFork)
	}
	arrived, err := carried(tx, a.peer, claim.Channel, out.Seq, 0)
	if err != nil {
		return err
	}
	for _, dl := range arrived {
		dl.State, dl.Received = Delivered, tx.Now()
		if err := Deliveries.Put(tx, deliveryID(dl.Document, a.peer), dl); err != nil {
			return err
		}
	}
	return tx.ResumeOut(peer, ch, claim.Received, claim.ReceivedHead, nil)
}
