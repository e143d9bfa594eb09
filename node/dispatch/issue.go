package dispatch

import (
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
	id, err := protocol.NewDocumentID(d.Country, tx.Now(), tx.Random())
	if err != nil {
		return "", fmt.Errorf("issue %s: %w", t, err)
	}
	return id, d.IssueAs(tx, id, t, body, f)
}

// IssueAs issues a document under an id that the caller made beforehand, for records that carry it.
func (d *Dispatch) IssueAs(tx *store.Tx, id string, t protocol.Type, body protocol.Body, f Facts) error {
	rec, err := d.compose(tx, id, t, body, f)
	if err != nil {
		return err
	}
	return d.issue(tx, rec)
}

// issue keeps a document that is composed and sends it on its way.
func (d *Dispatch) issue(tx *store.Tx, rec *Record) error {
	var dec policy.Decision
	to := rec.Facts.To
	if to != "" {
		if !d.isMember(to, tx.Now()) {
			return desk.Invalid("%s is not an active member of the roster in force; `proofmark roster show` lists the members", to)
		}
		if dec = d.mayShare(tx, rec, to); !dec.Allow && !held(dec) {
			return desk.Withheld(to, dec, "sharing policy does not let this %s go to %s: %s", rec.Type, to, why(dec))
		}
	}
	if err := Documents.Insert(tx, rec.ID, rec); err != nil {
		return fmt.Errorf("issue %s: %w", rec.Type, err)
	}
	switch {
	case to == "":
		return d.offer(tx, rec)
	case held(dec):
		return d.hold(tx, rec, to, dec, nil)
	}
	return d.queue(tx, rec, to, dec, nil)
}

// compose makes and signs a document; nothing is kept or sent.
func (d *Dispatch) compose(tx *store.Tx, id string, t protocol.Type, body protocol.Body, f Facts) (*Record, error) {
	h := protocol.Header{ID: id, Type: t, Issuer: d.Country, Issued: tx.Now(), Purpose: f.Purpose}
	payload, disclosures, err := protocol.Compose(h, body, tx.Random())
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	jws, err := d.signer().Sign(crypto.TypeDocument, payload)
	if err != nil {
		return nil, fmt.Errorf("issue %s: %w", t, err)
	}
	return &Record{ID: id, Type: t, Issuer: d.Country, Status: Own, JWS: jws, Disclosures: disclosures, Facts: &f, At: tx.Now()}, nil
}

// queue sends a document on its way to a country under the decision that permits it: as an intent, or straight as a message where the channel flows. wait
// is what two people's approval had come to, where one was needed.
func (d *Dispatch) queue(tx *store.Tx, rec *Record, peer protocol.Country, dec policy.Decision, wait *Wait) error {
	ch := protocol.ChannelOf(rec.Type)
	dl := &Delivery{Document: rec.ID, Peer: peer, Channel: ch, State: Queued, Queued: tx.Now(), Wait: wait}
	if d.OnQueued != nil {
		tx.OnCommit(func() { d.OnQueued(peer, ch) })
	}
	if done, err := d.straight(tx, rec, dl, dec); done || err != nil {
		return err
	}
	if err := tx.Enqueue(string(peer), string(ch), rec.ID); err != nil {
		return fmt.Errorf("queue %s %s for %s: %w", rec.Type, rec.ID, peer, err)
	}
	return Deliveries.Put(tx, deliveryID(rec.ID, peer), dl)
}

// deny records that policy does not let a document go to a country.
func (d *Dispatch) deny(tx *store.Tx, rec *Record, peer protocol.Country, dec policy.Decision) error {
	return d.keepBack(tx, rec, peer, dec, "policy", "not shared: "+why(dec))
}

// keepBack records in the log and in the delivery that a document does not go to a country.
func (d *Dispatch) keepBack(tx *store.Tx, rec *Record, peer protocol.Country, dec policy.Decision, ground, event string) error {
	e := d.entry(rec, peer, dec)
	e.Action, e.Decision, e.Ground, e.Event = protocol.ActDeny, "deny", ground, event
	tx.Audit(e)
	running, err := d.operations(tx, peer)
	if err != nil {
		return err
	}
	return Deliveries.Put(tx, deliveryID(rec.ID, peer), &Delivery{Document: rec.ID, Peer: peer, Channel: protocol.ChannelOf(rec.Type),
		State: Denied, Policy: d.Policy().Version(), Operations: numbersOf(running), Queued: tx.Now()})
}

// mayShare asks the policy in force about one document and one recipient. Withdrawals and their confirmations are owed to whoever holds the thing,
// whatever policy says.
func (d *Dispatch) mayShare(tx *store.Tx, rec *Record, peer protocol.Country) policy.Decision {
	if duty(rec.Type) {
		return policy.Decision{Allow: true}
	}
	q, err := d.question(tx, rec, peer)
	if err != nil {
		return policy.Decision{Errors: []string{err.Error()}}
	}
	return judge(d.Policy(), rec, q)
}

// StillShared asks the policy in force about a document that was issued before: whether it would go to that country now.
func (d *Dispatch) StillShared(tx *store.Tx, id string, to protocol.Country) (policy.Decision, error) {
	rec, err := Documents.Get(tx, id)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("document %s: %w", id, err)
	}
	known, err := Deliveries.Get(tx, deliveryID(id, to))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return policy.Decision{}, err
	}
	return d.lift(tx, rec, known, d.mayShare(tx, rec, to))
}

// judge asks a policy. An approval by two people that it demands and that has not happened is a denial, which held tells from others.
func judge(engine *policy.Engine, rec *Record, q policy.Request) policy.Decision {
	dec := engine.Decide(q)
	if dec.Allow && (dec.Obligations.Approval == policy.TwoPerson || rec.Facts.NeedsTwo) && !rec.Facts.TwoPeople {
		dec.Allow = false
		dec.Errors = append(dec.Errors, unapproved)
	}
	if dec.Allow {
		if err := separable(rec.Type, dec.Obligations.Redact); err != nil {
			dec.Allow = false
			dec.Errors = append(dec.Errors, err.Error())
		}
	}
	return dec
}

// separable tells whether documents of a type can go without what a policy withholds.
func separable(t protocol.Type, withheld []string) error {
	for word, why := range protocol.Inseparable(t) {
		if slices.Contains(withheld, word) {
			return fmt.Errorf("policy withholds the %s of a %s, which cannot go without it: %s; let the policy release that field, or share no %[2]s", strings.ReplaceAll(word, "_", " "), t, why)
		}
	}
	return nil
}

// question is whether a document may be shared with a country, with all that is known of it.
func (d *Dispatch) question(tx *store.Tx, rec *Record, peer protocol.Country) (policy.Request, error) {
	principal, err := d.Principal(tx, peer)
	if err != nil {
		return policy.Request{}, err
	}
	bound, err := d.Bound(tx, rec, peer)
	if err != nil {
		return policy.Request{}, err
	}
	attrs := map[string]any{"owner": string(d.Country)}
	for k, v := range rec.Facts.Attributes {
		if v = policy.Native(v); v != nil {
			attrs[k] = v
		}
	}
	attrs["handling"] = bound.Handling.Codes()
	if _, ok := attrs["operations"]; !ok && rec.Type == protocol.TypeSignature { // an earlier program knew none
		attrs["operations"] = []string{}
	}
	if !rec.Facts.Event.IsZero() {
		attrs["age_days"] = max(0, int64(tx.Now().Sub(rec.Facts.Event)/(24*time.Hour)))
	}
	if rec.Facts.To != "" {
		attrs["addressee"] = string(rec.Facts.To)
	}
	return policy.Request{
		Principal: principal,
		Action:    policy.Share,
		Resource:  policy.Resource{Type: string(rec.Type), ID: rec.ID, Attributes: attrs},
		Purpose:   rec.Facts.Purpose,
		Now:       tx.Now(),

		Foreign:     bound.Foreign,
		Permissions: bound.Permissions,
	}, nil
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
	case len(dec.Errors)+len(dec.Owners) > 0:
		return strings.Join(slices.Concat(dec.Errors, dec.Owners), "; ")
	case len(dec.Policies) > 0:
		return "forbidden by " + strings.Join(desk.PolicyRefs(dec), ", ")
	}
	return "no policy permits it"
}

// chosen is what a decision lets a country read of a document: the disclosures it may have, and the names of those it may not; and of all fields of the
// type those that are withheld from it, whether the document has them or not.
func chosen(rec *Record, dec policy.Decision) (kept []protocol.Disclosure, missing, withheld []string, err error) {
	withheld = protocol.WithheldBy(rec.Type, dec.Obligations.Redact)
	kept, missing, err = protocol.Choose(rec.Disclosures, withheld)
	return kept, missing, withheld, err
}

// terms turns the obligations of a permit into what the recipient is bound to, as the sender of a message writes them: by is the country whose policy
// it is, already what is demanded of the document anyway.
func terms(dec policy.Decision, already protocol.Handling, by, sender protocol.Country, now time.Time) protocol.Terms {
	t := protocol.Terms{Handling: protocol.UnionHandling(already, protocol.MarkedBy(by, dec.Obligations.Handling...)).Texts(sender), RetainUntil: dec.Obligations.Until, Operations: dec.Obligations.Operations}
	if r := dec.Obligations.RetainFor; r > 0 && (t.RetainUntil.IsZero() || now.Add(r).Before(t.RetainUntil)) {
		t.RetainUntil = now.Add(r)
	}
	if !t.RetainUntil.IsZero() {
		t.RetainUntil = t.RetainUntil.UTC().Truncate(time.Second)
	}
	return t
}
