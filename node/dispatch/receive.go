package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// decompressor refuses to produce more than a batch may hold, whatever the bytes claim.
var decompressor, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(protocol.MaxBatch), zstd.WithDecoderConcurrency(2)) // fails only on bad options

// incoming is a message that was verified outside the transaction.
type incoming struct {
	msg    *protocol.Message
	hash   string
	header protocol.Header    // of the document, as far as it could be read
	doc    *protocol.Document // nil where it could not be opened
	fault  error              // why not; the message still takes its place in the channel
}

// AcceptBatch verifies a batch and applies its messages in their order, each exactly once, and returns the signed cumulative receipt for the
// channel. Messages received before are skipped. With ErrGap nothing was applied, and the receipt tells the sender where to resume.
func (d *Dispatch) AcceptBatch(ctx context.Context, from protocol.Country, manifest string, payload []byte) (receipt string, err error) {
	keys, err := d.keysOf(from, d.Now())
	if err != nil {
		return "", err
	}
	m, err := d.openManifest(from, keys, manifest)
	if err != nil {
		return "", err
	}
	list, err := d.openBatch(m, keys, payload)
	if err != nil {
		return "", fmt.Errorf("batch from %s (%s %d): %w", from, m.Channel, m.First, err)
	}
	err = d.Store.Update(ctx, func(tx *store.Tx) error { return d.apply(tx, from, m, list) })
	if err != nil && !errors.Is(err, ErrGap) {
		return "", fmt.Errorf("batch from %s (%s %d): %w", from, m.Channel, m.First, err)
	}
	receipt, rerr := d.CurrentReceipt(ctx, from, m.Channel)
	return receipt, errors.Join(err, rerr)
}

func (d *Dispatch) openManifest(from protocol.Country, keys crypto.KeySet, manifest string) (*protocol.Manifest, error) {
	b, _, err := crypto.Verify(manifest, crypto.TypeBatch, keys, 2*protocol.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("batch from %s: %w: %w", from, ErrForged, err)
	}
	m, err := protocol.DecodeManifest(b)
	if err != nil {
		return nil, fmt.Errorf("batch from %s: %w", from, err)
	}
	if m.From != from || m.To != d.Country {
		return nil, fmt.Errorf("batch from %s: %w: it was signed for the way from %s to %s", from, ErrForged, m.From, m.To)
	}
	return m, nil
}

// openBatch decompresses, splits and verifies every message and document. What is wrong with the chain refuses the batch; what is wrong with
// one document is kept beside it.
func (d *Dispatch) openBatch(m *protocol.Manifest, keys crypto.KeySet, payload []byte) ([]incoming, error) {
	if len(payload) > protocol.MaxBatch {
		return nil, fmt.Errorf("%w: %d compressed bytes, the limit is %d", protocol.ErrBadMessage, len(payload), protocol.MaxBatch)
	}
	if sum := sha256.Sum256(payload); hex.EncodeToString(sum[:]) != m.SHA256 {
		return nil, fmt.Errorf("%w: the bytes are not those that were signed", ErrForged)
	}
	joined, err := decompressor.DecodeAll(payload, make([]byte, 0, m.Size))
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", protocol.ErrBadMessage, err)
	}
	if len(joined) != m.Size {
		return nil, fmt.Errorf("%w: %d bytes after decompression, %d announced", protocol.ErrBadMessage, len(joined), m.Size)
	}
	raw, err := protocol.SplitMessages(joined, m.Count)
	if err != nil {
		return nil, err
	}
	out := make([]incoming, len(raw))
	for i, b := range raw {
		msg, err := protocol.DecodeMessage(b)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", m.First+uint64(i), err)
		}
		if msg.From != m.From || msg.To != m.To || msg.Channel != m.Channel || msg.Seq != m.First+uint64(i) {
			return nil, fmt.Errorf("message %d: %w: it belongs to %s>%s/%s %d", m.First+uint64(i), ErrForged, msg.From, msg.To, msg.Channel, msg.Seq)
		}
		if i > 0 && msg.Prev != out[i-1].hash {
			return nil, fmt.Errorf("message %d: %w: it does not follow the message before it", msg.Seq, ErrForged)
		}
		out[i] = incoming{msg: msg, hash: protocol.MessageHash(b)}
		out[i].header, out[i].doc, out[i].fault = openDocument(msg, keys)
	}
	if out[len(out)-1].hash != m.Head {
		return nil, fmt.Errorf("%w: the last message is not the head that was signed", ErrForged)
	}
	return out, nil
}

// openDocument verifies the issuer's signature and opens the document with the disclosures that came with it.
func openDocument(msg *protocol.Message, keys crypto.KeySet) (protocol.Header, *protocol.Document, error) {
	payload, _, err := crypto.Verify(msg.Document, crypto.TypeDocument, keys, 2*protocol.MaxDocument)
	if err != nil {
		return protocol.Header{}, nil, fmt.Errorf("document: %w: %w", ErrForged, err)
	}
	doc, err := protocol.Open(payload, msg.Disclosures)
	if err != nil {
		if doc != nil {
			return doc.Header, nil, err
		}
		return protocol.Header{}, nil, err
	}
	if doc.Issuer != msg.From {
		return doc.Header, nil, fmt.Errorf("document: %w: issued by %s, sent by %s", ErrForged, doc.Issuer, msg.From)
	}
	return doc.Header, doc, nil
}

// apply runs in the store's writer: everything slow was done before.
func (d *Dispatch) apply(tx *store.Tx, from protocol.Country, m *protocol.Manifest, list []incoming) error {
	head, err := tx.InHead(string(from), string(m.Channel))
	if err != nil {
		return err
	}
	for _, in := range list {
		switch {
		case in.msg.Seq < head.Seq:
			continue
		case in.msg.Seq == head.Seq:
			if in.hash != head.Head {
				return fmt.Errorf("message %d: %w", in.msg.Seq, ErrFork)
			}
			continue
		case in.msg.Seq > head.Seq+1:
			return fmt.Errorf("message %d, this node has %d: %w", in.msg.Seq, head.Seq, ErrGap)
		case in.msg.Prev != head.Head:
			return fmt.Errorf("message %d: %w", in.msg.Seq, ErrFork)
		}
		if err := d.receive(tx, in); err != nil {
			return fmt.Errorf("message %d: %w", in.msg.Seq, err)
		}
		if err := tx.AdvanceIn(string(from), string(m.Channel), in.msg.Seq, in.hash); err != nil {
			return err
		}
		head.Seq, head.Head = in.msg.Seq, in.hash
	}
	return nil
}

// receive applies one message. The document is applied, or kept as refused or unread with the reason; a fault of the document never stops
// the channel, a fault of the store does.
func (d *Dispatch) receive(tx *store.Tx, in incoming) error {
	rec := &Record{ID: in.header.ID, Type: in.header.Type, Issuer: in.msg.From, Status: Accepted, JWS: in.msg.Document,
		Disclosures: in.msg.Disclosures, Terms: &in.msg.Terms, At: tx.Now()}
	e := protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActReceive, Counterpart: string(in.msg.From), Decision: "permit", Ground: "policy"},
		AuditBody: protocol.AuditBody{Actor: "node", Kind: string(in.header.Type), Event: "received", Channel: string(in.msg.Channel),
			MessageSeq: in.msg.Seq, Handling: in.msg.Terms.Handling, Purpose: in.header.Purpose,
			Details: map[string]string{"message": in.hash, "type": string(in.header.Type)}},
	}
	fault := in.fault
	if fault == nil {
		fault = d.accept(tx, in, rec, &e)
	}
	switch {
	case fault == nil:
	case errors.Is(fault, protocol.ErrUnknownType), errors.Is(fault, protocol.ErrNewerSchema):
		rec.Status, rec.Reason = Unread, fault.Error()
		e.Event, e.Ground = "kept unread", "unknown-type"
	case rejects(fault):
		rec.Status, rec.Reason = Refused, fault.Error()
		e.Action, e.Decision, e.Event = protocol.ActDeny, "deny", "refused: "+fault.Error()
		if e.Ground == "policy" && !errors.Is(fault, desk.ErrForbidden) {
			e.Ground = "invalid"
		}
	default:
		return fault
	}
	if rec.ID == "" { // nothing of the document could be read: it is kept under the message's hash
		rec.ID = "message-" + in.hash
	}
	known, err := Documents.Get(tx, rec.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && (known.Issuer != rec.Issuer || known.JWS != rec.JWS || known.Status == Accepted) {
		rec = known // the copy that was applied stays; accept has said what happened
	}
	e.Documents, e.Object = []string{rec.ID}, rec.ID
	if err := Documents.Put(tx, rec.ID, rec); err != nil {
		return err
	}
	tx.Audit(e)
	return nil
}

// accept asks policy about an incoming document and hands it to its workflow.
func (d *Dispatch) accept(tx *store.Tx, in incoming, rec *Record, e *protocol.AuditEntry) error {
	known, err := Documents.Get(tx, in.doc.ID)
	switch {
	case err == nil && (known.Issuer != in.msg.From || known.JWS != in.msg.Document):
		return desk.Conflict("another document has the id %s already", in.doc.ID)
	case err == nil && known.Status == Accepted:
		// The same document again, with more disclosures or other terms: a wider release of what is held.
		e.Event = "received again"
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	}
	dec := d.Policy().Decide(policy.Request{
		Principal: policy.Principal{Country: string(in.msg.From)},
		Action:    policy.Accept,
		Resource:  policy.Resource{Type: string(in.doc.Type), ID: in.doc.ID, Attributes: d.attributesOf(in.doc, in.msg.Terms)},
		Purpose:   in.doc.Purpose,
		Now:       tx.Now(),
	})
	e.Policies, e.PolicyVer = desk.PolicyRefs(dec), d.Policy().Version()
	if !dec.Allow {
		return desk.Forbidden("policy does not accept it: %s", why(dec))
	}
	t := in.msg.Terms
	own := terms(dec, t.Handling, tx.Now()) // this country's own law may be stricter than the owner's terms
	t.Handling = own.Handling
	if !own.RetainUntil.IsZero() && (t.RetainUntil.IsZero() || own.RetainUntil.Before(t.RetainUntil)) {
		t.RetainUntil = own.RetainUntil
	}
	if !t.RetainUntil.IsZero() && !t.RetainUntil.After(tx.Now()) {
		return desk.Invalid("its retention ended on %s, before it arrived", t.RetainUntil.Format(time.DateOnly))
	}
	rec.Terms = &t
	h, ok := d.handlers[in.doc.Type]
	if !ok {
		return fmt.Errorf("%w: %s has no workflow in this node", protocol.ErrUnknownType, in.doc.Type)
	}
	return tx.Nested(func(tx *store.Tx) error {
		return h(tx, Received{From: in.msg.From, Document: in.doc, Terms: t})
	})
}

// rejects tells a fault of the document from a fault of this node.
func rejects(err error) bool {
	for _, class := range []error{ErrForged, desk.ErrForbidden, desk.ErrInvalid, desk.ErrNotFound, desk.ErrConflict,
		protocol.ErrBadDocument, protocol.ErrBadDisclosure} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// attributesOf gathers what policy may know of a foreign document: its owner withheld the rest.
func (d *Dispatch) attributesOf(doc *protocol.Document, t protocol.Terms) map[string]any {
	attrs := map[string]any{"owner": string(doc.Issuer), "addressee": string(d.Country), "handling": append([]string{}, t.Handling...)}
	var known struct {
		Calibre string                       `json:"calibre"`
		Offence string                       `json:"offence"`
		Origin  string                       `json:"origin"`
		Firearm *protocol.FirearmDescription `json:"firearm"`
	}
	if json.Unmarshal(doc.Body, &known) != nil {
		return attrs
	}
	if known.Calibre == "" && known.Firearm != nil {
		known.Calibre = known.Firearm.Calibre
	}
	for k, v := range map[string]string{"calibre": known.Calibre, "offence": known.Offence, "origin": known.Origin} {
		if v != "" {
			attrs[k] = v
		}
	}
	return attrs
}

// CurrentReceipt signs how far this node has received a channel.
func (d *Dispatch) CurrentReceipt(ctx context.Context, from protocol.Country, ch protocol.Channel) (string, error) {
	d.receipts.Lock()
	defer d.receipts.Unlock()
	r := protocol.Receipt{From: from, To: d.Country, Channel: ch, At: d.Now().UTC()}
	err := d.Store.View(func(tx *store.Tx) error {
		head, err := tx.InHead(string(from), string(ch))
		r.UpTo, r.Head = head.Seq, head.Head
		return err
	})
	if err != nil {
		return "", fmt.Errorf("receipt for %s: %w", from, err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("receipt for %s: %w", from, err)
	}
	return d.Signer.Sign(crypto.TypeReceipt, b)
}
