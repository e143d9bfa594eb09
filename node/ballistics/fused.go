package ballistics

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"proofmark/correlate/fuse"
	"proofmark/node/desk"
	"proofmark/node/index"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Fused is the ranked list of one own exhibit over all its regions, and over the exhibits that are known to be of its firearm.
type Fused struct {
	Exhibit    string           `json:"exhibit"`
	Fused      []*FusedExhibit  `json:"fused"`      // the other exhibits, the best first
	Candidates []*CandidateView `json:"candidates"` // the lists of its regions
	// Firearm are the other exhibits that are known to be of this exhibit's firearm: test fires of one recovered firearm, and confirmed hits.
	Firearm []string `json:"firearm,omitempty"`
}

// FusedExhibit is one other exhibit. What its owner withheld is missing, and is not needed: its exhibit's pseudonym tells which signatures belong together.
type FusedExhibit struct {
	fuse.Ranked
	Other Side              `json:"other"`
	Pairs map[string]string `json:"pairs"` // the state of each pair of a region that people may review

	// Handling is what the owners of everything that was fused demand: both exhibits' regions, and those of the query's firearm.
	Handling protocol.Handling `json:"handling"`
	protocol.Said
}

// Marks implements protocol.Marked.
func (f *FusedExhibit) Marks() (protocol.Handling, []string) {
	return f.Handling, []string{f.Other.Signature}
}

// BestPair is the pair of the strongest region, or one that people decided where none weighs; "" where there is no pair.
func (f *FusedExhibit) BestPair() string {
	for _, r := range f.Regions {
		if r.Pair != "" {
			return r.Pair
		}
	}
	for _, pair := range slices.Sorted(maps.Keys(f.Pairs)) { // decided by people
		return pair
	}
	return ""
}

// Fused ranks the exhibits that resemble one of this node's: all regions together, supported by other exhibits of the same firearms. It is made anew of what
// there is: a region that comes later or goes changes the list, and the rest stays. Pairs that people have decided to be of different firearms, or unsuitable,
// do not weigh.
func (s *Service) Fused(ctx context.Context, who desk.Actor, f CandidateFilter) (*Fused, error) {
	if f.Exhibit == "" {
		return nil, desk.Invalid("say which exhibit (--exhibit NUMBER)")
	}
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 100
	}
	act := desk.Act{Actor: who, Action: policy.CandidatesList, Resource: policy.Resource{Type: policy.KindCandidate, ID: f.Exhibit}, Purpose: Purpose}
	entry := protocol.AuditEntry{AuditBody: protocol.AuditBody{Kind: policy.KindCandidate, Object: f.Exhibit, Event: "candidates listed, regions fused"}}
	return desk.Read(ctx, s.desk, act, entry, func(tx *store.Tx) (*Fused, error) {
		lists, err := listsOf(tx, CandidateFilter{Exhibit: f.Exhibit})
		if err != nil {
			return nil, err
		}
		e, err := findExhibit(tx, f.Exhibit)
		if err != nil {
			return nil, err
		}
		out := &Fused{Exhibit: e.Number, Fused: []*FusedExhibit{}, Candidates: []*CandidateView{}}
		for _, list := range lists {
			if out.Candidates, err = page(tx, out.Candidates, who, f.Limit, "ranked", list+"/", list); err != nil {
				return nil, err
			}
		}
		g := &fusion{tx: tx, country: s.desk.Country, query: exhibitKey(s.desk.Country, e.ID), best: map[string]*Signature{}, pairs: map[string]map[string]string{}}
		if err := g.gather(ctx); err != nil {
			return nil, err
		}
		for _, r := range fuse.Rank(g.query, g.list, g.firearms.of) {
			if len(out.Fused) == f.Limit {
				break
			}
			v := &FusedExhibit{Ranked: r, Pairs: g.pairs[r.Exhibit], Handling: g.handling(r.Exhibit)}
			if sig := g.best[r.Exhibit]; sig != nil {
				v.Other = sideOf(sig)
			}
			if v.Pairs == nil {
				v.Pairs = map[string]string{}
			}
			out.Fused = append(out.Fused, v)
		}
		out.Firearm = g.names()
		return out, nil
	})
}

// names are the exhibits of the query's firearm but for the query, as people call them.
func (g *fusion) names() []string {
	var out []string
	for _, key := range g.members[1:] {
		country, _, _ := strings.Cut(key, "/")
		name := "an exhibit"
		for _, sig := range g.signatures(key) {
			if sig.Number != "" {
				name = sig.Number
			}
		}
		out = append(out, name+" ("+country+")")
	}
	return out
}

// handling unites what is demanded of another exhibit, of the query and of what supports it.
func (g *fusion) handling(exhibit string) protocol.Handling {
	var all protocol.Handling
	for _, key := range append([]string{exhibit}, g.members...) {
		for _, sig := range g.signatures(key) {
			all = protocol.UnionHandling(all, sig.handling())
		}
	}
	return all
}

// exhibitKey names an exhibit among those of all countries.
func exhibitKey(c protocol.Country, exhibit string) string { return string(c) + "/" + exhibit }

func keyOf(s *Signature) string { return exhibitKey(s.Country, s.Exhibit) }

// fusion gathers what is known of a query and of the exhibits of its firearm.
type fusion struct {
	tx      *store.Tx
	country protocol.Country
	query   string

	firearms firearms
	members  []string // the exhibits of the query's firearm, the query first
	list     []fuse.Comparison
	best     map[string]*Signature        // of each other exhibit, to show it by
	pairs    map[string]map[string]string // of each other exhibit: the state of its pairs with the query
}

func (g *fusion) gather(ctx context.Context) error {
	if err := g.firearms.hits(g.tx); err != nil {
		return err
	}
	if err := g.firearm(g.query); err != nil {
		return err
	}
	members, err := g.sameFirearm()
	if err != nil {
		return err
	}
	g.members = members
	for _, member := range members {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.candidatesOf(member); err != nil {
			return err
		}
	}
	for _, c := range g.list {
		if err := g.firearm(c.Exhibit); err != nil {
			return err
		}
	}
	return g.complete(ctx)
}

// firearm joins an own test fire with its recovered firearm.
func (g *fusion) firearm(key string) error {
	id, own := strings.CutPrefix(key, string(g.country)+"/")
	if !own {
		return nil
	}
	e, err := exhibits.Get(g.tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Firearm != "" {
		g.firearms.join(key, "firearm/"+e.Firearm)
	}
	return nil
}

// sameFirearm lists the query and all that hits and test fires join with it, step by step.
func (g *fusion) sameFirearm() ([]string, error) {
	members, seen := []string{g.query}, map[string]bool{g.query: true}
	add := func(key string) {
		if !seen[key] {
			seen[key] = true
			members = append(members, key)
		}
	}
	for i := 0; i < len(members); i++ {
		if err := g.firearm(members[i]); err != nil {
			return nil, err
		}
		if id, own := strings.CutPrefix(members[i], string(g.country)+"/"); own {
			e, err := exhibits.Get(g.tx, id)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			if err == nil && e.Firearm != "" {
				for id := range exhibits.By(g.tx, "firearm", e.Firearm) {
					add(exhibitKey(g.country, id))
				}
			}
		}
		for _, other := range g.firearms.edges[members[i]] {
			if !strings.HasPrefix(other, "firearm/") {
				add(other)
			}
		}
	}
	return members, g.tx.Err()
}

// candidatesOf takes in the ranked lists of all signatures of an exhibit.
func (g *fusion) candidatesOf(key string) error {
	for _, sig := range g.signatures(key) {
		rank := 0
		for _, c := range candidates.ByPrefix(g.tx, "ranked", sig.ID+"/") {
			rank++
			otherID := c.A
			if otherID == sig.ID {
				otherID = c.B
			}
			other, err := signatures.Get(g.tx, otherID)
			if err != nil {
				return err
			}
			exhibit := keyOf(other)
			found := fuse.Comparison{Query: key, Exhibit: exhibit}
			if c.Outcome != protocol.VerdictExcluded && c.Outcome != protocol.VerdictUnsuitable {
				found.Regions = []fuse.Region{{ROI: string(c.ROI), Algorithm: c.Algorithm, Score: c.Score, Rank: rank, Pair: c.Pair}}
			}
			g.list = append(g.list, found)
			if g.best[exhibit] == nil || !g.best[exhibit].Own && len(g.best[exhibit].Number) < len(other.Number) {
				g.best[exhibit] = other
			}
			if key == g.query {
				if g.pairs[exhibit] == nil {
					g.pairs[exhibit] = map[string]string{}
				}
				state := c.state()
				if c.Outcome != "" {
					state = string(c.Outcome)
				}
				g.pairs[exhibit][c.Pair] = state
			}
		}
	}
	return g.tx.Err()
}

// signatures of an exhibit; the ids of exhibits are pseudonyms of their countries.
func (g *fusion) signatures(key string) []*Signature {
	country, id, _ := strings.Cut(key, "/")
	var out []*Signature
	for _, sig := range signatures.By(g.tx, "exhibit", id) {
		if string(sig.Country) == country {
			out = append(out, sig)
		}
	}
	return out
}

// complete compares the regions that the query and an exhibit on its lists have in common, where they stand on the list of another region only: beyond the
// best twenty a region may still speak.
func (g *fusion) complete(ctx context.Context) error {
	own := g.signatures(g.query)
	compared, others := map[[2]string]bool{}, []string{}
	for _, c := range g.list {
		if c.Query != g.query {
			continue
		}
		if !compared[[2]string{c.Exhibit, ""}] {
			compared[[2]string{c.Exhibit, ""}] = true
			others = append(others, c.Exhibit)
		}
		for _, r := range c.Regions {
			compared[[2]string{c.Exhibit, r.ROI}] = true
		}
	}
	for _, exhibit := range others {
		for _, b := range g.signatures(exhibit) {
			for _, a := range own {
				if a.ROI != b.ROI || a.Algorithm != b.Algorithm || a.restricted() || b.restricted() || compared[[2]string{exhibit, string(a.ROI)}] || ctx.Err() != nil {
					continue
				}
				has, err := candidates.Has(g.tx, protocol.PairID(a.ID, b.ID))
				if err != nil {
					return err
				}
				if has {
					continue // people decided that it does not weigh
				}
				f, err := index.Compare(a.ROI, a.Algorithm, a.Bytes, b.Bytes)
				if err != nil {
					continue // not comparable: it is absent
				}
				g.list = append(g.list, fuse.Comparison{Query: g.query, Exhibit: exhibit,
					Regions: []fuse.Region{{ROI: string(a.ROI), Algorithm: f.Algorithm, Score: f.Score}}})
			}
		}
	}
	return errors.Join(ctx.Err(), g.tx.Err())
}

// firearms knows which exhibits are of one firearm: those that are joined, directly or by others.
type firearms struct {
	edges map[string][]string
	names map[string]string
}

func (f *firearms) join(a, b string) {
	if f.edges == nil {
		f.edges = map[string][]string{}
	}
	f.edges[a], f.edges[b] = append(f.edges[a], b), append(f.edges[b], a)
	f.names = nil
}

// hits joins the exhibits of confirmed hits.
func (f *firearms) hits(tx *store.Tx) error {
	for _, l := range leads.All(tx) {
		if l.Hit == nil || l.Hit.Conclusion != protocol.Identification {
			continue
		}
		c, err := candidates.Get(tx, l.Pair)
		if errors.Is(err, store.ErrNotFound) {
			continue // it came as a lead, and the other side's signature is not here
		}
		if err != nil {
			return err
		}
		a, err := signatures.Get(tx, c.A)
		if err != nil {
			return err
		}
		b, err := signatures.Get(tx, c.B)
		if err != nil {
			return err
		}
		f.join(keyOf(a), keyOf(b))
	}
	return tx.Err()
}

// of names an exhibit's firearm by the smallest of what is joined; "" where nothing is.
func (f *firearms) of(exhibit string) string {
	if f.names == nil {
		f.names = map[string]string{}
		for start := range f.edges {
			if f.names[start] != "" {
				continue
			}
			group, least := []string{start}, start
			seen := map[string]bool{start: true}
			for i := 0; i < len(group); i++ {
				least = min(least, group[i])
				for _, next := range f.edges[group[i]] {
					if !seen[next] {
						seen[next] = true
						group = append(group, next)
					}
				}
			}
			for _, e := range group {
				f.names[e] = least
			}
		}
	}
	return f.names[exhibit]
}
