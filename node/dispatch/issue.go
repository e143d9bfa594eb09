package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Issue composes and signs a document, keeps it, and queues an intent for each country that policy permits: all in the caller's
// transaction. A document for one addressee that policy refuses is an error, and nothing is issued.
func (d *Dispatch) Issue(tx *store.Tx, t protocol.Type, body protocol.Body, f Facts) (string, error) {
	id, err := protocol.NewID(tx.Now(), tx.Random())
	if err != nil {
		return "", fmt.Errorf("issue %s: %w", t, err)
	}
	return id, d.IssueAs(tx, id, t, body, f)
}

// IssueAs issues a document under an id that the caller made beforehand, for records that carry it.
func (d *Dispatch) IssueAs(tx *store.Tx, id string, t protocol.Type, body protocol.Body, f Facts) error {
	h := protocol.Header{ID: id, Type: t, Issuer: d.Country, Issued: tx.Now(), Purpose: f.Purpose}
	payload, disclosures, err := protocol.Compose(h, body, tx.Random())
	if err != nil {
		return desk.Invalid("%v", err)
	}
	jws, err := d.Signer.Sign(crypto.TypeDocument, payload)
	if err != nil {
		return fmt.Errorf("issue %s: %w", t, err)
	}
	rec := &Record{ID: id, Type: t, Issuer: d.Country, Status: Own, JWS: jws, Disclosures: disclosures, Facts: &f, At: tx.Now()}
	if err := Documents.Put(tx, id, rec); err != nil {
		return fmt.Errorf("issue %s: %w", t, err)
	}
	if f.To != "" {
		if !slices.Contains(d.members(tx.Now()), f.To) {
			return desk.Invalid("%s is not an active member of the roster in force; `proofmark roster show` lists the members", f.To)
		}
		dec := d.mayShare(tx, rec, f.To)
		if !dec.Allow {
			return desk.Forbidden("sharing policy does not let this %s go to %s: %s", t, f.To, why(dec))
		}
		return d.queue(tx, rec, f.To)
	}
	return d.offer(tx, rec)
}

// offer queues a document for every active member that policy permits and that has not been offered it under the policy in force.
func (d *Dispatch) offer(tx *store.Tx, rec *Record) error {
	version := d.Policy().Version()
	for _, peer := range d.members(tx.Now()) {
		known, err := Deliveries.Get(tx, deliveryID(rec.ID, peer))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && (known.State != Denied || known.Policy == version) {
			continue
		}
		dec := d.mayShare(tx, rec, peer)
		if dec.Allow {
			if err := d.queue(tx, rec, peer); err != nil {
				return err
			}
			continue
		}
		if err := d.deny(tx, rec, peer, dec); err != nil {
			return err
		}
	}
	return nil
}

// OfferAll offers every own publication to members that have not been offered it yet: after a new roster or a new policy. It works in
// small transactions, so that other acts go between them.
func (d *Dispatch) OfferAll(ctx context.Context) error {
	const page = 64
	var ids []string
	err := d.Store.View(func(tx *store.Tx) error {
		for id, rec := range Documents.By(tx, "status-type", string(Own)+"/"+string(protocol.TypeSignature)) {
			if rec.Facts != nil && rec.Facts.To == "" {
				ids = append(ids, id)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("offer publications: %w", err)
	}
	for chunk := range slices.Chunk(ids, page) {
		err := d.Store.Update(ctx, func(tx *store.Tx) error {
			for _, id := range chunk {
				rec, err := Documents.Get(tx, id)
				if errors.Is(err, store.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if err := d.offer(tx, rec); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("offer publications: %w", err)
		}
	}
	return nil
}

func (d *Dispatch) queue(tx *store.Tx, rec *Record, peer protocol.Country) error {
	ch := protocol.ChannelOf(rec.Type)
	if err := tx.Enqueue(string(peer), string(ch), rec.ID); err != nil {
		return fmt.Errorf("queue %s %s for %s: %w", rec.Type, rec.ID, peer, err)
	}
	if d.OnQueued != nil {
		tx.OnCommit(func() { d.OnQueued(peer, ch) })
	}
	return Deliveries.Put(tx, deliveryID(rec.ID, peer), &Delivery{Document: rec.ID, Peer: peer, Channel: ch, State: Queued, Queued: tx.Now()})
}

// deny records that a document does not go to a country, in the log and in the delivery.
func (d *Dispatch) deny(tx *store.Tx, rec *Record, peer protocol.Country, dec policy.Decision) error {
	ground := "policy"
	if dec.Allow {
		ground = "approval"
	}
	e := d.entry(rec, peer, dec)
	e.Action, e.Decision, e.Ground, e.Event = protocol.ActDeny, "deny", ground, "not shared: "+why(dec)
	tx.Audit(e)
	return Deliveries.Put(tx, deliveryID(rec.ID, peer), &Delivery{Document: rec.ID, Peer: peer, Channel: protocol.ChannelOf(rec.Type),
		State: Denied, Policy: d.Policy().Version(), Queued: tx.Now()})
}

// mayShare asks policy about one document and one recipient. An approval by two people that policy demands and that has not happened is
// a denial.
func (d *Dispatch) mayShare(tx *store.Tx, rec *Record, peer protocol.Country) policy.Decision {
	attrs := map[string]any{"owner": string(d.Country)}
	for k, v := range rec.Facts.Attributes {
		attrs[k] = native(v)
	}
	if _, ok := attrs["handling"]; !ok {
		attrs["handling"] = []string{}
	}
	if !rec.Facts.Event.IsZero() {
		attrs["age_days"] = max(0, int64(tx.Now().Sub(rec.Facts.Event)/(24*time.Hour)))
	}
	if rec.Facts.To != "" {
		attrs["addressee"] = string(rec.Facts.To)
	}
	dec := d.Policy().Decide(policy.Request{
		Principal: policy.Principal{Country: string(peer)},
		Action:    policy.Share,
		Resource:  policy.Resource{Type: string(rec.Type), ID: rec.ID, Attributes: attrs},
		Purpose:   rec.Facts.Purpose,
		Now:       tx.Now(),
	})
	if dec.Allow && dec.Obligations.Approval == policy.TwoPerson && !rec.Facts.TwoPeople {
		dec.Allow = false
		dec.Errors = append(dec.Errors, "it needs the approval of two people first")
	}
	return dec
}

// native gives attributes that went through JSON the Go types that policy knows: whole numbers and lists of strings.
func native(v any) any {
	switch v := v.(type) {
	case float64:
		return int64(v)
	case int:
		return int64(v)
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return v
}

func (d *Dispatch) entry(rec *Record, peer protocol.Country, dec policy.Decision) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Counterpart: string(peer), Decision: "permit"},
		AuditBody: protocol.AuditBody{Actor: rec.Facts.Actor, Kind: rec.Facts.Kind, Object: rec.Facts.Object, Case: rec.Facts.Case,
			Purpose: rec.Facts.Purpose, Documents: []string{rec.ID}, Policies: desk.PolicyRefs(dec), PolicyVer: d.Policy().Version(),
			Details: map[string]string{"type": string(rec.Type)}},
	}
}

func why(dec policy.Decision) string {
	switch {
	case len(dec.Errors) > 0:
		return strings.Join(dec.Errors, "; ")
	case len(dec.Policies) > 0:
		return "forbidden by " + strings.Join(desk.PolicyRefs(dec), ", ")
	}
	return "no policy permits it"
}

// terms turns the obligations of a permit into what the recipient is bound to.
func terms(dec policy.Decision, already []string, now time.Time) protocol.Terms {
	handling := slices.Clone(dec.Obligations.Handling)
	handling = append(handling, already...)
	slices.Sort(handling)
	t := protocol.Terms{Handling: slices.Compact(handling)}
	if dec.Obligations.RetainFor > 0 {
		t.RetainUntil = now.Add(dec.Obligations.RetainFor).UTC().Truncate(time.Second)
	}
	return t
}
