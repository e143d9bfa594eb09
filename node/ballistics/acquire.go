package ballistics

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"proofmark/correlate"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// Acquire reads the scans of a region, makes its signature and writes scans, acquisition, signature, the signed publication with its outbox entries,
// the correlation job and the audit entries in one transaction. The same scans of the same region again change nothing.
func (s *Service) Acquire(ctx context.Context, who desk.Actor, key string, n NewAcquisition) (*Acquisition, error) {
	roi, err := correlate.ParseROI(n.ROI)
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	n.Scans = slices.Clone(n.Scans) // its hashes are computed here
	if n.Mask != nil {
		mask := *n.Mask
		n.Mask = &mask
	}
	if err := n.check(roi); err != nil {
		return nil, err
	}
	act := desk.Act{Actor: who, Key: key, Action: policy.Acquire, Resource: policy.Resource{Type: policy.KindExhibit, ID: n.Exhibit}, Purpose: Purpose,
		Request: struct {
			NewAcquisition
			Identity string `json:"identity"`
		}{n, n.identity()}}

	// Computing waits for no transaction, and is spared where its outcome is known already.
	var made *encoded
	var draft *dispatch.Draft
	if wanted, err := s.wanted(&n, roi); err != nil {
		return nil, err
	} else if wanted {
		if err := s.desk.Allowed(ctx, act); err != nil {
			return nil, err
		}
		if made, err = s.encode(ctx, &n, roi); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			return nil, s.desk.Refuse(ctx, act, "unusable-scan", err)
		}
		draft = s.draft(who, roi, &n, made)
	}
	var fresh *Signature
	acq, err := desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Acquisition, error) {
		e, err := findExhibit(tx, n.Exhibit)
		if err != nil {
			return nil, err
		}
		if !hasRegion(e.Kind, roi) {
			return nil, desk.Invalid("exhibit %s is a %s: it has no %s", e.Number, e.Kind, roi)
		}
		if old, err := oneBy(tx, acquisitions, "scan", scanKey(e.ID, roi, n.identity()), "acquisition"); err == nil {
			return old, nil
		} else if !errors.Is(err, desk.ErrNotFound) {
			return nil, err
		}
		if made == nil {
			return nil, desk.Conflict("exhibit %s changed while it was acquired: repeat the command", n.Exhibit)
		}
		var a *Acquisition
		a, fresh, err = s.record(tx, who, e, roi, &n, made, draft)
		return a, err
	})
	if err != nil {
		return nil, err
	}
	if fresh != nil {
		s.nudge()
	}
	return acq, nil
}

// wanted tells whether the files have to be encoded: not for an exhibit that is not there or lacks the region, which the authorised act itself
// reports, and not where the acquisition is known.
func (s *Service) wanted(n *NewAcquisition, roi correlate.ROI) (wanted bool, err error) {
	err = s.desk.Store.View(func(tx *store.Tx) error {
		e, err := findExhibit(tx, n.Exhibit)
		if err != nil {
			if errors.Is(err, desk.ErrNotFound) {
				return nil
			}
			return err
		}
		if !hasRegion(e.Kind, roi) {
			return nil
		}
		_, err = oneBy(tx, acquisitions, "scan", scanKey(e.ID, roi, n.identity()), "acquisition")
		if errors.Is(err, desk.ErrNotFound) {
			wanted, err = true, nil
		}
		return err
	})
	return wanted, err
}

// draft composes and signs the publication, where that can be done: what stands in its way the authorised act itself reports.
func (s *Service) draft(who desk.Actor, roi correlate.ROI, n *NewAcquisition, made *encoded) (draft *dispatch.Draft) {
	_ = s.desk.Store.View(func(tx *store.Tx) error {
		e, err := findExhibit(tx, n.Exhibit)
		if err != nil {
			return err
		}
		body, facts, err := s.publication(tx, who, e, roi, n, made)
		if err == nil {
			draft, err = s.out.Draft(tx, protocol.TypeSignature, body, facts)
		}
		return err
	})
	return draft
}

// record writes everything that one acquisition leaves behind. The draft is taken if it says what is to be published; it may be nil.
func (s *Service) record(tx *store.Tx, who desk.Actor, e *Exhibit, roi correlate.ROI, n *NewAcquisition, made *encoded, draft *dispatch.Draft) (*Acquisition, *Signature, error) {
	for _, f := range n.files() {
		if f.missing() {
			continue
		}
		if _, err := tx.PutBlob(f.Content); err != nil {
			return nil, nil, fmt.Errorf("keep %s: %w", f.Name, err)
		}
	}
	id, err := protocol.NewID(tx.Now(), tx.Random())
	if err != nil {
		return nil, nil, err
	}
	body, facts, err := s.publication(tx, who, e, roi, n, made)
	if err != nil {
		return nil, nil, err
	}
	if draft, err = s.out.Redraft(tx, draft, protocol.TypeSignature, body, facts); err != nil {
		return nil, nil, err
	}
	sigID := draft.ID()
	algorithm := methods[roi].algorithm
	a := &Acquisition{ID: id, Exhibit: e.ID, Number: e.Number, ROI: roi, Scans: made.scans, Identity: n.identity(), Instrument: made.instrument,
		Operator: who.Name, Quality: made.quality, Replica: n.Replica, Certificate: n.Certificate,
		Signature: sigID, Algorithm: algorithm, Bytes: len(made.bytes), Purpose: Purpose, At: tx.Now()}
	entry := collected(who, "acquisition", id, e.Case, "scan acquired")
	scans, mask := n.hashes()
	entry.Details = map[string]string{"exhibit": e.Number, "roi": string(roi), "scan": scans, "signature": sigID, "algorithm": algorithm}
	if n.Mask != nil {
		a.Mask = &Scan{File: n.Mask.Name, Hash: mask, Bytes: len(n.Mask.Content)}
		entry.Details["mask"] = mask
	}
	if err := acquisitions.Put(tx, id, a); err != nil {
		return nil, nil, err
	}
	tx.Audit(entry)
	if err := s.out.IssueDraft(tx, draft); err != nil {
		return nil, nil, err
	}
	sig := &Signature{ID: sigID, Country: s.desk.Country, Own: true, Exhibit: e.ID, ROI: roi, Kind: e.Kind, Origin: e.Origin, Class: classOf(e.Calibre, e.FiringPin, e.Pattern),
		Algorithm: algorithm, Quality: made.quality.Score, Bytes: made.bytes, Handling: e.Handling.OwnedBy(s.desk.Country), Received: tx.Now(),
		Number: e.Number, Case: e.Case, Agency: body.Agency, Offence: body.Offence, Place: body.Place, Occurred: body.Occurred, Make: makeOf(body)}
	return a, sig, s.enter(tx, sig)
}

// enter keeps a signature together with the job of correlating it.
func (s *Service) enter(tx *store.Tx, sig *Signature) error {
	if err := signatures.Put(tx, sig.ID, sig); err != nil {
		return err
	}
	tx.OnCommit(s.nudge)
	return jobs.Put(tx, sig.ID, &job{Signature: sig.ID, Queued: tx.Now()})
}

// publication says what may be told of an exhibit, and what policy must know to decide what will be.
func (s *Service) publication(tx *store.Tx, who desk.Actor, e *Exhibit, roi correlate.ROI, n *NewAcquisition, made *encoded) (*protocol.SignatureBody, dispatch.Facts, error) {
	body := &protocol.SignatureBody{Exhibit: e.ID, ROI: string(roi), Kind: e.Kind, Origin: e.Origin, Calibre: e.Calibre, FiringPin: e.FiringPin, Pattern: e.Pattern,
		Algorithm: methods[roi].algorithm, Signature: made.bytes, Quality: made.quality.Score, Replica: n.Replica, CaseReference: e.Case, ExhibitNumber: e.Number}
	attrs := map[string]any{"calibre": e.Calibre, "origin": e.Origin, "operations": append([]string{}, e.Operations...),
		"offence": "", "terrorism": false, "customs": false, "trafficking": false, "group_size": int64(0)}
	facts := dispatch.Facts{Attributes: attrs, Handling: e.Handling.OwnedBy(s.desk.Country), Purpose: Purpose, Kind: policy.KindExhibit, Object: e.ID, Case: e.Case, Actor: who.Name}
	c, err := oneBy(tx, cases, "reference", e.Case, "case")
	if err != nil {
		return nil, facts, err
	}
	body.Agency = c.Agency
	if e.Origin == protocol.TestFire {
		f, err := recovered(tx, e.Firearm)
		if err != nil {
			return nil, facts, err
		}
		description, occurred := f.FirearmDescription, f.Recovery.Occurred
		body.Firearm, body.Occurred, body.Place = &description, &occurred, f.Recovery.Place
	} else {
		i, err := incidents.Get(tx, e.Incident)
		if err != nil {
			return nil, facts, err
		}
		occurred := i.Occurred
		body.Occurred, body.Place, body.Offence = &occurred, i.Place, i.Offence
		attrs["offence"], attrs["terrorism"], attrs["customs"] = i.Offence, i.Terrorism, i.Customs
		attrs["trafficking"], attrs["group_size"] = i.Trafficking, i.GroupSize
		if i.BorderKM != nil {
			attrs["border_km"] = *i.BorderKM
		}
	}
	facts.Event = body.Occurred.To
	return body, facts, nil
}

// makeOf is the make of the firearm that a publication names; of evidence, and where it is withheld, none.
func makeOf(body *protocol.SignatureBody) string {
	if body.Firearm == nil {
		return ""
	}
	return body.Firearm.Make
}

// classOf gives the class characteristics that are filtered before anything is compared.
func classOf(calibre, firingPin, pattern string) correlate.Class {
	return correlate.Class{Calibre: calibre, FiringPin: firingPin, Pattern: pattern}
}
