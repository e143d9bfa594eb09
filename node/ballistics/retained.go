package ballistics

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"proofmark/node/dispatch"
	"proofmark/node/retention"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Retained keeps cases: a case is purged with its incidents, exhibits, scans, signatures, candidates and leads.
type Retained struct {
	s     *Service
	scans Scans
}

// Scans is what was made of other countries' requests for the scans behind a signature; whoever keeps that erases it with the signature's case.
type Scans struct {
	Plan  func(tx *store.Tx, signature string) (objects, documents, blocked []string, err error)
	Erase func(tx *store.Tx, signature string) error
}

// Retained describes this service's own records to whoever decides on their retention.
func (s *Service) Retained(scans Scans) Retained { return Retained{s, scans} }

// Kinds implements retention.Keeper.
func (Retained) Kinds() []string { return []string{policy.KindCase} }

// Kept implements retention.Keeper.
func (k Retained) Kept(tx *store.Tx, each func(retention.Record) bool) error {
	for _, c := range cases.All(tx) {
		r, err := k.record(tx, c)
		if err != nil {
			return err
		}
		if !each(r) {
			break
		}
	}
	return tx.Err()
}

// Find implements retention.Keeper.
func (k Retained) Find(tx *store.Tx, kind, ref string) (retention.Record, error) {
	c, err := cases.Get(tx, ref)
	if errors.Is(err, store.ErrNotFound) {
		c, err = oneBy(tx, cases, "reference", ref, "case")
	}
	if err != nil {
		return retention.Record{}, err
	}
	return k.record(tx, c)
}

// record says when something last happened to a case.
func (k Retained) record(tx *store.Tx, c *Case) (retention.Record, error) {
	r := retention.Record{Kind: policy.KindCase, Rule: "case", ID: c.ID, Reference: c.Reference, Changed: c.Created, Last: "the case was opened"}
	latest := func(t time.Time, what string) {
		if t.After(r.Changed) {
			r.Changed, r.Last = t, what
		}
	}
	for _, i := range incidents.By(tx, "case", c.Reference) {
		latest(i.Created, "an incident was entered")
	}
	for _, e := range exhibits.By(tx, "case", c.Reference) {
		latest(e.Entered, "an exhibit was entered")
		for _, a := range acquisitions.By(tx, "exhibit", e.ID) {
			latest(a.At, "an exhibit was scanned")
			if a.Signature == "" {
				continue
			}
			for _, l := range leads.By(tx, "signature", a.Signature) {
				latest(l.Timeline[len(l.Timeline)-1].At, "the last step of a lead")
			}
		}
	}
	return r, tx.Err()
}

// parts of a case.
type parts struct {
	exhibits     []*Exhibit
	acquisitions []*Acquisition
	signatures   []*Signature // own
	candidates   []*Candidate
	leads        []*Lead
}

func (k Retained) parts(tx *store.Tx, c *Case) (*parts, error) {
	p := &parts{}
	for _, e := range exhibits.By(tx, "case", c.Reference) {
		p.exhibits = append(p.exhibits, e)
	}
	pairs := map[string]bool{}
	for _, e := range p.exhibits {
		for _, a := range acquisitions.By(tx, "exhibit", e.ID) {
			p.acquisitions = append(p.acquisitions, a)
		}
		for _, sig := range signatures.By(tx, "exhibit", e.ID) {
			if !sig.Own {
				continue
			}
			p.signatures = append(p.signatures, sig)
			for _, c := range candidates.ByPrefix(tx, "ranked", sig.ID+"/") {
				if !pairs[c.Pair] {
					pairs[c.Pair] = true
					p.candidates = append(p.candidates, c)
				}
			}
			for pair, l := range leads.By(tx, "signature", sig.ID) {
				if !slices.ContainsFunc(p.leads, func(o *Lead) bool { return o.Pair == pair }) {
					p.leads = append(p.leads, l)
				}
			}
		}
	}
	return p, tx.Err()
}

// aboutLeads are the types of documents that this country issues about a lead or an exhibit beside its signature.
var aboutLeads = []protocol.Type{protocol.TypeLead, protocol.TypeLeadAck, protocol.TypeLeadRetraction, protocol.TypeFeedback, protocol.TypeHit}

// Plan implements retention.Keeper.
func (k Retained) Plan(tx *store.Tx, r retention.Record) (retention.Plan, error) {
	plan := retention.Plan{Objects: []string{r.ID, r.Reference}, Cases: []string{r.Reference}}
	c, err := cases.Get(tx, r.ID)
	if err != nil {
		return plan, err
	}
	p, err := k.parts(tx, c)
	if err != nil {
		return plan, err
	}
	for id := range incidents.By(tx, "case", r.Reference) {
		plan.Objects = append(plan.Objects, id)
	}
	for _, e := range p.exhibits {
		plan.Objects = append(plan.Objects, e.ID, e.Number)
	}
	for _, a := range p.acquisitions {
		plan.Objects = append(plan.Objects, a.ID)
	}
	for _, sig := range p.signatures {
		plan.Documents = append(plan.Documents, sig.ID)
		objects, documents, blocked, err := k.scans.Plan(tx, sig.ID)
		if err != nil {
			return plan, err
		}
		plan.Objects, plan.Documents, plan.Blocked = append(plan.Objects, objects...), append(plan.Documents, documents...), append(plan.Blocked, blocked...)
	}
	mine := map[string]bool{}
	for _, cand := range p.candidates {
		mine[cand.Pair] = true
	}
	for _, l := range p.leads {
		mine[l.Pair] = true
		for _, id := range l.foreignDocuments(k.s.desk.Country) {
			doc, err := dispatch.Documents.Get(tx, id)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return plan, err
			}
			if doc.Hold != nil {
				plan.Blocked = append(plan.Blocked, fmt.Sprintf("document %s of %s, on which a lead of it rests, is under a legal hold (%s)", id, doc.Issuer, doc.Hold.Ground))
			}
		}
	}
	for pair := range mine {
		plan.Objects = append(plan.Objects, pair)
	}
	slices.Sort(plan.Objects)
	err = k.s.out.OwnDocuments(tx, aboutLeads, func(id string, f *dispatch.Facts) {
		if (mine[f.Object] || f.Case != "" && f.Case == r.Reference) && !slices.Contains(plan.Documents, id) {
			plan.Documents = append(plan.Documents, id)
		}
	})
	return plan, err
}

// Erase implements retention.Keeper.
func (k Retained) Erase(tx *store.Tx, r retention.Record) error {
	c, err := cases.Get(tx, r.ID)
	if err != nil {
		return err
	}
	p, err := k.parts(tx, c)
	if err != nil {
		return err
	}
	var faults []error
	for _, cand := range p.candidates {
		faults = append(faults, candidates.Delete(tx, cand.Pair))
	}
	for _, l := range p.leads {
		faults = append(faults, leads.Delete(tx, l.Pair))
	}
	for _, cand := range p.candidates {
		for _, id := range []string{cand.A, cand.B} {
			faults = append(faults, dropRemains(tx, id))
		}
	}
	for _, sig := range p.signatures {
		if has, err := jobs.Has(tx, sig.ID); err != nil || has {
			faults = append(faults, err, jobs.Delete(tx, sig.ID))
		}
		faults = append(faults, signatures.Delete(tx, sig.ID), k.scans.Erase(tx, sig.ID))
		tx.OnCommit(func() { k.s.index.Release(sig.ID) })
	}
	for _, a := range p.acquisitions {
		for _, scan := range a.Scans {
			if scan.Hash != "" {
				faults = append(faults, tx.DeleteBlob(scan.Hash))
			}
		}
		if a.Mask != nil {
			faults = append(faults, tx.DeleteBlob(a.Mask.Hash))
		}
		faults = append(faults, acquisitions.Delete(tx, a.ID))
	}
	for _, e := range p.exhibits {
		faults = append(faults, exhibits.Delete(tx, e.ID))
	}
	var ids []string
	for id := range incidents.By(tx, "case", c.Reference) {
		ids = append(ids, id)
	}
	for _, id := range ids {
		faults = append(faults, incidents.Delete(tx, id))
	}
	return errors.Join(append(faults, tx.Err(), cases.Delete(tx, c.ID))...)
}

// dropRemains deletes what is left of a foreign signature whose bytes were erased, once no candidate rests on it.
func dropRemains(tx *store.Tx, id string) error {
	sig, err := signatures.Get(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (sig.Own || sig.Bytes != nil) {
		return nil
	}
	if err != nil {
		return err
	}
	for range candidates.ByPrefix(tx, "ranked", id+"/") {
		return tx.Err()
	}
	return errors.Join(tx.Err(), signatures.Delete(tx, id))
}

// FirearmInUse tells whether an exhibit was test-fired from a firearm: its record is part of that case.
func FirearmInUse(tx *store.Tx, reference string) (string, error) {
	for _, e := range exhibits.By(tx, "firearm", reference) {
		return fmt.Sprintf("exhibit %s of case %s was test-fired from it: purge the case first", e.Number, e.Case), tx.Err()
	}
	return "", tx.Err()
}

var _ retention.Keeper = Retained{}
