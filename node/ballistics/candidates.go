package ballistics

import (
	"context"
	"errors"
	"time"

	"proofmark/node/desk"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Side is one signature of a candidate as a reviewer may see it: what its owner disclosed.
type Side struct {
	Signature string             `json:"signature"`
	Country   protocol.Country   `json:"country"`
	Own       bool               `json:"own"`
	Exhibit   string             `json:"exhibit,omitempty"` // exhibit number, where known
	Case      string             `json:"case,omitempty"`
	Agency    string             `json:"agency,omitempty"`
	Origin    string             `json:"origin"`
	Calibre   string             `json:"calibre"`
	Offence   string             `json:"offence,omitempty"`
	Place     string             `json:"place,omitempty"`
	Occurred  *protocol.Interval `json:"occurred,omitempty"`
	Quality   float64            `json:"quality"`
	Received  time.Time          `json:"received"`
	Expires   time.Time          `json:"expires,omitzero"`
	Withdrawn time.Time          `json:"source_withdrawn,omitzero"` // by its owner
	Withheld  []string           `json:"withheld,omitempty"`        // fields of its document that its owner's policy withholds
}

// CandidateView is a candidate as one person sees it: a second reviewer does not see what the first one found.
type CandidateView struct {
	Candidate
	Own     Side   `json:"own"`
	Other   Side   `json:"other"`
	Rank    int    `json:"rank"`       // of the other side in the list of the own side
	RankRev int    `json:"rank_other"` // of the own side in the list of the other side
	State   string `json:"state"`      // awaits-primary, awaits-secondary, awaits-third, decided, source-withdrawn
	Hidden  int    `json:"hidden_reviews,omitempty"`
	Lead    string `json:"lead,omitempty"` // state of the lead, where there is one

	protocol.Said
}

// Marks implements protocol.Marked.
func (v *CandidateView) Marks() (protocol.Handling, []string) {
	return v.Handling, []string{v.Other.Signature, v.Own.Signature}
}

// CandidateFilter chooses candidates.
type CandidateFilter struct {
	Exhibit   string `json:"exhibit,omitempty"`   // ranked list of an own exhibit, by number or id
	Signature string `json:"signature,omitempty"` // ranked list of one signature, own or foreign
	Decided   bool   `json:"decided,omitempty"`   // of the worklist: also those that were decided, after those that await a review
	Limit     int    `json:"limit,omitempty"`
}

// Candidates lists candidates: one signature's ranked list, or the worklist of all that await a review, the strongest first.
func (s *Service) Candidates(ctx context.Context, who desk.Actor, f CandidateFilter) ([]*CandidateView, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 100
	}
	object := f.Exhibit + f.Signature
	act := desk.Act{Actor: who, Action: policy.CandidatesList, Resource: policy.Resource{Type: policy.KindCandidate, ID: object}, Purpose: Purpose}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindCandidate, Object: object, Event: "candidates listed"}}
	return desk.Read(ctx, s.desk, act, entry, func(tx *store.Tx) ([]*CandidateView, error) {
		lists, err := listsOf(tx, f)
		if err != nil {
			return nil, err
		}
		out := []*CandidateView{}
		if lists == nil {
			if out, err = page(tx, out, who, f.Limit, "worklist", "open/", ""); err != nil || !f.Decided {
				return out, err
			}
			return page(tx, out, who, f.Limit, "worklist", "decided/", "")
		}
		for _, list := range lists {
			if out, err = page(tx, out, who, f.Limit, "ranked", list+"/", list); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// page appends the candidates of one list, seen from one side, up to the limit.
func page(tx *store.Tx, out []*CandidateView, who desk.Actor, limit int, index, prefix, side string) ([]*CandidateView, error) {
	for _, c := range candidates.ByPrefix(tx, index, prefix) {
		if len(out) == limit {
			break
		}
		v, err := view(tx, c, who, side)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, tx.Err()
}

// listsOf names the signatures whose ranked lists are asked for; nil for the worklist.
func listsOf(tx *store.Tx, f CandidateFilter) ([]string, error) {
	switch {
	case f.Signature != "":
		if has, err := signatures.Has(tx, f.Signature); err != nil || !has {
			return nil, errors.Join(err, desk.NotFound("there is no signature %q in this node", f.Signature))
		}
		return []string{f.Signature}, nil
	case f.Exhibit != "":
		e, err := findExhibit(tx, f.Exhibit)
		if err != nil {
			return nil, err
		}
		lists := []string{}
		for id, sig := range signatures.By(tx, "exhibit", e.ID) {
			if sig.Own {
				lists = append(lists, id)
			}
		}
		if len(lists) == 0 {
			return nil, errors.Join(tx.Err(), desk.NotFound("exhibit %s has no signature yet: scan it (proofmark exhibit show %s says how)", e.Number, e.Number))
		}
		return lists, tx.Err()
	}
	return nil, nil
}

// Candidate shows one candidate; the first view is stamped.
func (s *Service) Candidate(ctx context.Context, who desk.Actor, pair string) (*CandidateView, error) {
	act := onCandidate(desk.Act{Actor: who, Action: policy.CandidatesView}, pair)
	return desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*CandidateView, error) {
		c, err := findCandidate(tx, pair)
		if err != nil {
			return nil, err
		}
		if c.Viewed.IsZero() {
			c.Viewed = tx.Now()
			if err := candidates.Put(tx, c.Pair, c); err != nil {
				return nil, err
			}
		}
		tx.Audit(protocol.AuditEntry{
			AuditHeader: protocol.AuditHeader{Action: protocol.ActConsult, Counterpart: s.foreign(c.Country), Decision: "permit", Ground: "policy"},
			AuditBody: protocol.AuditBody{Actor: who.Name, Kind: policy.KindCandidate, Object: c.Pair, Event: "candidate viewed", Purpose: Purpose,
				Handling: c.Handling.Codes()},
		})
		return view(tx, c, who, "")
	})
}

// findCandidate accepts a pair identity or an unambiguous beginning of one.
func findCandidate(tx *store.Tx, pair string) (*Candidate, error) {
	if len(pair) == 32 {
		c, err := candidates.Get(tx, pair)
		if errors.Is(err, store.ErrNotFound) {
			return nil, noCandidate(pair)
		}
		return c, err
	}
	if len(pair) < 6 {
		return nil, desk.Invalid("candidate %q: give the pair's identity, or at least its first six digits", pair)
	}
	var found *Candidate
	for id, c := range candidates.AllAfter(tx, before(pair)) {
		if len(id) < len(pair) || id[:len(pair)] != pair {
			break
		}
		if found != nil {
			return nil, desk.Invalid("candidate %s is ambiguous: %s and %s begin with it", pair, found.Pair, c.Pair)
		}
		found = c
	}
	if found == nil {
		return nil, errors.Join(tx.Err(), noCandidate(pair))
	}
	return found, tx.Err()
}

// before is a string just below every string that begins with prefix.
func before(prefix string) string {
	b := []byte(prefix)
	b[len(b)-1]--
	return string(b) + "\xff"
}

// describe tells policy who reviewed a candidate already, and under which codes it stands.
func describe(pair string) func(tx *store.Tx) (policy.Resource, error) {
	return func(tx *store.Tx) (policy.Resource, error) {
		c, err := findCandidate(tx, pair)
		if err != nil {
			return policy.Resource{}, err
		}
		return policy.Resource{Type: policy.KindCandidate, ID: c.Pair, Attributes: map[string]any{
			"reviewers": reviewersOf(c), "handling": c.Handling.Codes(), "owner": string(c.Country)}}, nil
	}
}

// onCandidate is a person's act on a candidate. Whoever may not view it is not told whether it is there.
func onCandidate(a desk.Act, pair string) desk.Act {
	a.Purpose, a.Describe, a.Resource = Purpose, describe(pair), policy.Resource{Type: policy.KindCandidate, ID: asked(pair)}
	a.Hidden = &desk.Hidden{Absent: noCandidate(pair), View: policy.CandidatesView}
	return a
}

func noCandidate(pair string) error {
	return desk.NotFound("there is no candidate %s in this node", asked(pair))
}

// asked is a name as the log keeps it that somebody asked for: of any length, and of nothing that is there.
func asked(ref string) string { return ref[:min(len(ref), 60)] }

func reviewersOf(c *Candidate) []string {
	out := []string{}
	for _, r := range c.Reviews {
		out = append(out, r.By)
	}
	return out
}

// view shows a candidate from the side of list (a signature id), or from its own side.
func view(tx *store.Tx, c *Candidate, who desk.Actor, list string) (*CandidateView, error) {
	a, err := signatures.Get(tx, c.A)
	if err != nil {
		return nil, err
	}
	b, err := signatures.Get(tx, c.B)
	if err != nil {
		return nil, err
	}
	if list == c.B || list == "" && !a.Own {
		a, b = b, a
	}
	v := &CandidateView{Candidate: *c, Own: sideOf(a), Other: sideOf(b), State: c.state()}
	if v.Rank, err = rankOf(tx, a.ID, c.Pair); err != nil {
		return nil, err
	}
	if v.RankRev, err = rankOf(tx, b.ID, c.Pair); err != nil {
		return nil, err
	}
	v.Reviews, v.Hidden = visible(c, who)
	lead, err := leads.Get(tx, c.Pair)
	switch {
	case err == nil:
		v.Lead = string(lead.State)
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	return v, nil
}

func sideOf(s *Signature) Side {
	return Side{Signature: s.ID, Country: s.Country, Own: s.Own, Exhibit: s.Number, Case: s.Case, Agency: s.Agency, Origin: s.Origin, Calibre: s.Class.Calibre,
		Offence: s.Offence, Place: s.Place, Occurred: s.Occurred, Quality: s.Quality, Received: s.Received, Expires: s.Expires, Withdrawn: s.Withdrawn, Withheld: s.Withheld}
}
