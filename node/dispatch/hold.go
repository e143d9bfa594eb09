package dispatch

import (
	"strings"
	"unicode"

	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// maxGround bounds what a legal hold rests on, in bytes: it stands in confirmations.
const maxGround = 256

// Hold puts a foreign document under a legal hold, in the caller's transaction: neither its terms nor its owner's withdrawal erase it until the hold is
// released. The ground is told to the owner if it withdraws the document.
func (d *Dispatch) Hold(tx *store.Tx, who desk.Actor, id, ground string) (*Shown, error) {
	ground = strings.TrimSpace(ground)
	if ground == "" || len(ground) > maxGround || strings.ContainsFunc(ground, unprintable) {
		return nil, desk.Invalid("say what the hold rests on (--ground), in one line of at most %d bytes, such as a court's order and its number", maxGround)
	}
	rec, err := foreign(tx, id)
	if err != nil {
		return nil, err
	}
	if rec.Hold != nil {
		if rec.Hold.Ground == ground {
			return d.Show(tx, id)
		}
		return nil, desk.Conflict("document %.80s is held already, by %s on the ground of %q: release that hold first", id, rec.Hold.By, rec.Hold.Ground)
	}
	rec.Hold = &Hold{Ground: ground, By: who.Name, At: tx.Now()}
	if err := Documents.Put(tx, rec.ID, rec); err != nil {
		return nil, err
	}
	tx.Audit(holdEntry(rec, who, "legal hold: "+ground))
	return d.Show(tx, id)
}

// Release ends a legal hold. A document that its owner withdrew meanwhile is erased with it, and its owner is told; one whose retention has ended is
// erased by the next sweep.
func (d *Dispatch) Release(tx *store.Tx, who desk.Actor, id string) (*Shown, error) {
	rec, err := foreign(tx, id)
	if err != nil {
		return nil, err
	}
	if rec.Hold == nil {
		return nil, desk.Conflict("document %.80s is under no hold", id)
	}
	tx.Audit(holdEntry(rec, who, "legal hold released: "+rec.Hold.Ground))
	rec.Hold = nil
	if rec.Withdrawn == nil {
		if err := Documents.Put(tx, rec.ID, rec); err != nil {
			return nil, err
		}
		return d.Show(tx, id)
	}
	stone, err := Tombstones.Get(tx, rec.claimed())
	if err != nil {
		return nil, err
	}
	l, err := d.listed(tx, rec)
	if err != nil {
		return nil, err
	}
	shown := &Shown{Listed: l, Withdrawn: rec.Withdrawn}
	if err := Documents.Put(tx, rec.ID, rec); err != nil { // without its hold: erasing takes what is stored
		return nil, err
	}
	copies, err := copiesOf(tx, stone.ID, stone.Issuer)
	if err != nil {
		return nil, err
	}
	body, err := d.settle(tx, stone, copies)
	if err != nil {
		return nil, err
	}
	if err := Tombstones.Put(tx, stone.ID, stone); err != nil {
		return nil, err
	}
	return shown, d.confirm(tx, stone, body)
}

// claimed is the id under which the document's owner knows it.
func (r *Record) claimed() string {
	if r.Document != "" {
		return r.Document
	}
	return r.ID
}

// foreign finds a document of another country.
func foreign(tx *store.Tx, id string) (*Record, error) {
	rec, err := find(tx, id)
	switch {
	case err != nil:
		return nil, err
	case rec.Status == Own || rec.Status == Recalled:
		return nil, desk.Conflict("document %.80s is this country's own: no terms end it, and a hold is for what another country may take back", id)
	case rec.JWS == "":
		return nil, desk.Conflict("of document %.80s nothing but its hash is kept: %s", id, rec.Reason)
	case duty(rec.Type):
		return nil, desk.Invalid("a %s holds nothing of a case: it needs no hold", rec.Type)
	}
	return rec, nil
}

func holdEntry(rec *Record, who desk.Actor, event string) protocol.AuditEntry {
	return protocol.AuditEntry{
		AuditHeader: protocol.AuditHeader{Action: protocol.ActAlter, Counterpart: string(rec.Issuer), Decision: "permit", Ground: "legal-hold"},
		AuditBody: protocol.AuditBody{Actor: who.Name, Kind: string(rec.Type), Object: rec.ID, Event: event, Documents: []string{rec.ID},
			Details: map[string]string{"type": string(rec.Type)}},
	}
}

func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}
