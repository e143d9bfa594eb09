package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"proofmark/crypto"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// DocumentFilter chooses documents.
type DocumentFilter struct {
	Status Status        `json:"status,omitempty"`
	Type   protocol.Type `json:"type,omitempty"`
	After  string        `json:"after,omitempty"` // id: the next page
	Limit  int           `json:"limit,omitempty"`
}

// Listed is one line of a list of documents: nothing of their content.
type Listed struct {
	ID       string           `json:"id"`
	Document string           `json:"document,omitempty"` // what a document that was not accepted says its id is
	Type     protocol.Type    `json:"type"`
	Issuer   protocol.Country `json:"issuer"`
	Status   Status           `json:"status"`
	Reason   string           `json:"reason,omitempty"`
	At       time.Time        `json:"at"`
	Until    time.Time        `json:"until,omitzero"` // of a foreign document: erased then, unless held
	Held     bool             `json:"held,omitempty"` // under a legal hold

	// Handling is what the owners of its information demand, with the owner of each code; Based are the documents that an own one was made of.
	Handling protocol.Handling `json:"handling,omitempty"`
	Based    []string          `json:"based_on,omitempty"`
	protocol.Said
}

// Marks implements protocol.Marked.
func (l *Listed) Marks() (protocol.Handling, []string) {
	return l.Handling, append([]string{l.ID}, l.Based...)
}

// Shown is a document as it is held here: what this country may know of it, and how far it went.
type Shown struct {
	Listed
	Header   *protocol.Header `json:"header,omitempty"`   // nil where it cannot be read
	Body     json.RawMessage  `json:"body,omitempty"`     // with everything that was disclosed
	Withheld []string         `json:"withheld,omitempty"` // of a foreign document: fields of the body that its country's policy withholds
	Closed   int              `json:"closed"`             // digests without a disclosure, decoys among them
	Terms    *protocol.Terms  `json:"terms,omitempty"`
	SHA256   string           `json:"sha256,omitempty"` // of a document that this country's policy refused: its content is not kept

	Deliveries []*Delivery `json:"deliveries,omitempty"`
	Hold       *Hold       `json:"hold,omitempty"`
	Withdrawn  *Withdrawn  `json:"withdrawn,omitempty"`
	Holders    []Holder    `json:"holders,omitempty"` // of an own document that was withdrawn: how far each holder is
}

// Saved is a document for a file, with all that verifying it takes.
type Saved struct {
	ID          string                `json:"id"`
	JWS         string                `json:"jws"`
	Disclosures []protocol.Disclosure `json:"disclosures"`
	Handling    protocol.Handling     `json:"handling"`
	Based       []string              `json:"based_on,omitempty"`
	Key         json.RawMessage       `json:"key"` // the issuer's public key (JWK), from the roster in force or this node's own
	protocol.Said
}

// Marks implements protocol.Marked.
func (s *Saved) Marks() (protocol.Handling, []string) {
	return s.Handling, append([]string{s.ID}, s.Based...)
}

const (
	usualPage = 100
	largePage = 1000
)

// List lists documents by their ids.
func (d *Dispatch) List(tx *store.Tx, f DocumentFilter) ([]Listed, error) {
	if f.Limit <= 0 {
		f.Limit = usualPage
	}
	f.Limit = min(f.Limit, largePage)
	var from iter.Seq2[string, *Record]
	if f.Status != "" && f.Type != "" {
		from = Documents.ByAfter(tx, "status-type", string(f.Status)+"/"+string(f.Type), f.After)
	} else {
		from = Documents.AllAfter(tx, f.After)
	}
	out := []Listed{}
	for _, r := range from {
		if len(out) == f.Limit {
			break
		}
		if (f.Status == "" || r.Status == f.Status) && (f.Type == "" || r.Type == f.Type) {
			l, err := d.listed(tx, r)
			if err != nil {
				return nil, err
			}
			out = append(out, l)
		}
	}
	return out, tx.Err()
}

func (d *Dispatch) listed(tx *store.Tx, r *Record) (Listed, error) {
	handling, err := d.markings(tx, r)
	return Listed{ID: r.ID, Document: r.Document, Type: r.Type, Issuer: r.Issuer, Status: r.Status, Reason: r.Reason, At: r.At, Until: r.retention(), Held: r.Hold != nil,
		Handling: handling, Based: r.based()}, err
}

// based are what an owner's permission may name beside a document itself: what it is about, and what it was made of.
func (r *Record) based() []string {
	if r.Facts == nil {
		return nil
	}
	out := slices.Clone(r.Facts.Based)
	if _, err := protocol.IssuerOf(r.Facts.Object); err == nil && r.Facts.Object != r.ID {
		out = append(out, r.Facts.Object)
	}
	return out
}

func find(tx *store.Tx, id string) (*Record, error) {
	r, err := Documents.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) {
		if t, terr := Tombstones.Get(tx, id); terr == nil {
			return nil, desk.NotFound("document %.80s was withdrawn by %s on %s (%s) and is not held here; the withdrawal is document %s", id, t.Issuer, t.At.Format(time.DateOnly), t.Reason, t.Withdrawal)
		}
		return nil, NoDocument(id)
	}
	return r, err
}

// NoDocument says that there is no document of an id.
func NoDocument(id string) error {
	return desk.NotFound("there is no document %.80s in this node: `proofmark document list` shows their ids", id)
}

// Show opens one document. What cannot be read of it is left out; its reason says why.
func (d *Dispatch) Show(tx *store.Tx, id string) (*Shown, error) {
	r, err := find(tx, id)
	if err != nil {
		return nil, err
	}
	l, err := d.listed(tx, r)
	if err != nil {
		return nil, err
	}
	out := &Shown{Listed: l, Terms: r.Terms, Hold: r.Hold, Withdrawn: r.Withdrawn, SHA256: r.SHA256}
	if payload, _, err := crypto.Unverified(r.JWS, crypto.TypeDocument, 2*protocol.MaxDocument); err == nil { // verified when it came
		doc, err := protocol.Open(payload, r.Disclosures)
		if doc != nil {
			out.Header = &doc.Header
		}
		if err == nil {
			out.Body, out.Closed = doc.Body, doc.Withheld
			if r.Terms != nil {
				out.Withheld = Received{Document: doc, Terms: *r.Terms}.Withheld()
			}
		}
	}
	for _, dl := range DeliveriesOf(tx, r.ID) {
		out.Deliveries = append(out.Deliveries, dl)
	}
	if r.Status == Recalled {
		out.Holders = holders(tx, r.Withdrawn.Document)
	}
	return out, tx.Err()
}

// Save returns a document with its issuer's key. A document whose signature was refused cannot be saved: nobody issued it.
func (d *Dispatch) Save(tx *store.Tx, id string) (*Saved, error) {
	r, err := find(tx, id)
	if err != nil {
		return nil, err
	}
	if r.JWS == "" {
		return nil, desk.Conflict("of document %.80s nothing but its hash is kept: %s", id, r.Reason)
	}
	key, err := d.keyFor(r)
	if err != nil {
		return nil, err
	}
	handling, err := d.markings(tx, r)
	if err != nil {
		return nil, err
	}
	return &Saved{ID: r.ID, JWS: r.JWS, Disclosures: append([]protocol.Disclosure{}, r.Disclosures...), Handling: handling, Based: r.based(), Key: key}, nil
}

// keyFor finds the key under which a document verifies.
func (d *Dispatch) keyFor(r *Record) (json.RawMessage, error) {
	candidates := []json.RawMessage{d.signer().JWK()}
	if r.Status != Own && r.Status != Recalled {
		candidates = nil
		if now := d.Roster(); now != nil {
			if m, ok := now.ByCountry(string(r.Issuer)); ok {
				candidates = m.SigningKeys
			}
		}
	}
	for _, key := range candidates {
		set, err := crypto.NewKeySet(key)
		if err != nil {
			return nil, fmt.Errorf("key of %s: %w", r.Issuer, err)
		}
		if _, _, err := crypto.Verify(r.JWS, crypto.TypeDocument, set, 2*protocol.MaxDocument); err == nil {
			return key, nil
		}
	}
	return nil, desk.Conflict("document %.80s does not verify under any key that %s has in the roster in force", r.ID, r.Issuer)
}
