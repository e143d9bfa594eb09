package dispatch

import (
	"errors"

	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Permissions finds the document by which a country permitted that information of its own is passed on to another one: about any of the documents and
// objects named. "" where there is none that holds now.
type Permissions func(tx *store.Tx, owner, to protocol.Country, about []string) (string, error)

// UsePermissions has transfers that another country must permit judged by what it has permitted; it is called while the node is assembled. Without it
// nothing is permitted.
func (d *Dispatch) UsePermissions(p Permissions) { d.permissions = p }

// Handling is what the owners of a received document's information demand.
func (in Received) Handling() protocol.Handling {
	return protocol.ReadHandling(in.Terms.Handling, in.From)
}

// Handling is what the owners of a foreign document's information demand; of an own document, what it was issued with.
func (r *Record) Handling(own protocol.Country) protocol.Handling {
	switch {
	case r.Facts != nil:
		codes, _ := policy.Native(r.Facts.Attributes["handling"]).([]string) // all that an earlier program kept
		if r.Facts.Handling != nil {
			codes = nil
		}
		return protocol.UnionHandling(r.Facts.Handling.OwnedBy(own), protocol.MarkedBy(own, codes...))
	case r.Terms != nil:
		return protocol.ReadHandling(r.Terms.Handling, r.Issuer)
	}
	return nil
}

// markings is what is demanded of an own document: what it was issued with, and what stands now on the foreign documents that it is based on, whose
// owners may have become stricter since.
func (d *Dispatch) markings(tx *store.Tx, rec *Record) (protocol.Handling, error) {
	all := rec.Handling(d.Country)
	if rec.Facts == nil {
		return all, nil
	}
	for _, id := range rec.Facts.Based {
		source, err := Documents.Get(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue // erased: what it demanded was written down when this document was issued
		}
		if err != nil {
			return nil, err
		}
		all = protocol.UnionHandling(all, source.Handling(d.Country))
	}
	return all, nil
}

// Bound is what stands on an own document that would go to a country.
type Bound struct {
	Handling    protocol.Handling           // everything that is demanded of it
	Foreign     protocol.Handling           // of that, what other countries demand
	Permissions map[protocol.Country]string // the documents by which some of them permit this transfer
}

// Bound finds what is demanded of an own document and what was permitted, for a question about passing it on to a country.
func (d *Dispatch) Bound(tx *store.Tx, rec *Record, to protocol.Country) (Bound, error) {
	handling, err := d.markings(tx, rec)
	if err != nil {
		return Bound{}, err
	}
	b := Bound{Handling: handling, Foreign: handling.Without(d.Country)}
	b.Permissions, err = d.permitted(tx, rec, b.Foreign, to)
	return b, err
}

// permitted asks for the permission of each country whose H2 stands against a transfer.
func (d *Dispatch) permitted(tx *store.Tx, rec *Record, foreign protocol.Handling, to protocol.Country) (map[protocol.Country]string, error) {
	if d.permissions == nil {
		return nil, nil
	}
	var out map[protocol.Country]string
	for _, owner := range foreign.Owners(protocol.NoOnward) {
		if owner == to {
			continue
		}
		id, err := d.permissions(tx, owner, to, append([]string{rec.ID, rec.Facts.Object}, rec.Facts.Based...))
		if err != nil {
			return nil, err
		}
		if id != "" {
			if out == nil {
				out = map[protocol.Country]string{}
			}
			out[owner] = id
		}
	}
	return out, nil
}
