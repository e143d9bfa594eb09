package dispatch

import (
	"slices"

	"proofmark/protocol"
	"proofmark/store"
)

// CourtPermissions finds the permission of an owner that something about one of the documents named is used in court now; nil where there is none.
type CourtPermissions func(tx *store.Tx, owner protocol.Country, about []string) (*protocol.Court, error)

// UseCourtPermissions has what may be used in court judged by what owners have permitted; it is called while the node is assembled. Without it nothing is
// permitted.
func (d *Dispatch) UseCourtPermissions(p CourtPermissions) { d.court = p }

// Court says for each other country whose H1 stands on something whether this one may use it in court. about are the documents and objects that a permission
// may name; of codes whose owner is not known, the countries that issued them are asked.
func (d *Dispatch) Court(tx *store.Tx, h protocol.Handling, about []string) ([]protocol.Court, error) {
	var out []protocol.Court
	for _, owner := range h.Owners(protocol.NotInCourt) {
		if owner == d.Country {
			continue
		}
		owners := []protocol.Country{owner}
		if owner == "" {
			owners = issuers(about, d.Country)
		}
		found := false
		for _, o := range owners {
			if d.court == nil {
				break
			}
			use, err := d.court(tx, o, about)
			if err != nil {
				return nil, err
			}
			if use != nil {
				out, found = append(out, *use), true
			}
		}
		if !found && (owner != "" || len(owners) > 0 || len(about) == 0) {
			out = append(out, protocol.Court{Owner: owner, Holder: d.Country, Document: d.askable(owner, about)})
		}
	}
	return out, nil
}

// issuers are the other countries whose documents stand among ids.
func issuers(ids []string, own protocol.Country) []protocol.Country {
	var out []protocol.Country
	for _, id := range ids {
		if c, err := protocol.IssuerOf(id); err == nil && c != own && !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// askable is the document about which an owner can permit something: one of its own, or one that this country made.
func (d *Dispatch) askable(owner protocol.Country, about []string) string {
	for _, of := range []protocol.Country{owner, d.Country} {
		for _, id := range about {
			if c, err := protocol.IssuerOf(id); err == nil && (c == of || of == "" && c != d.Country) {
				return id
			}
		}
	}
	return ""
}
