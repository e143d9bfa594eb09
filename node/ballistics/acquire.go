package ballistics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/x3p"
	"proofmark/node/desk"
	"proofmark/node/dispatch"
	"proofmark/policy"
	"proofmark/protocol"
	"proofmark/store"
)

// NewAcquisition is a scan with what the technician says of it.
type NewAcquisition struct {
	Exhibit     string `json:"exhibit"` // number or id
	ROI         string `json:"roi"`
	File        string `json:"file"` // name of the scan file, for people
	Instrument  string `json:"instrument,omitempty"`
	Replica     bool   `json:"replica,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Scan        []byte `json:"-"`
}

// Acquire reads a scan, makes its signature and writes scan, acquisition, signature, the signed publication with its outbox entries, the correlation
// job and the audit entry in one transaction. The same scan of the same region again changes nothing.
func (s *Service) Acquire(ctx context.Context, who desk.Actor, key string, n NewAcquisition) (*Acquisition, error) {
	roi, err := correlate.ParseROI(n.ROI)
	if err != nil {
		return nil, desk.Invalid("%v", err)
	}
	if n.Replica && n.Certificate == "" {
		return nil, desk.Invalid("a replica needs its certificate (--certificate NUMBER)")
	}
	n.File = filepath.Base(n.File)
	sum := sha256.Sum256(n.Scan)
	hash := hex.EncodeToString(sum[:])
	act := desk.Act{Actor: who, Key: key, Action: policy.Acquire, Resource: policy.Resource{Type: policy.KindExhibit, ID: n.Exhibit}, Purpose: Purpose,
		Request: struct {
			NewAcquisition
			Scan string `json:"scan"`
		}{n, hash}}

	made, err := s.encode(n, roi)
	if err != nil {
		return nil, s.desk.Refuse(ctx, act, "unusable-scan", err)
	}
	var fresh *Signature
	acq, err := desk.Do(ctx, s.desk, act, func(tx *store.Tx) (*Acquisition, error) {
		e, err := findExhibit(tx, n.Exhibit)
		if err != nil {
			return nil, err
		}
		if e.Kind == protocol.CartridgeCase && roi == correlate.LEA || e.Kind == protocol.Bullet && roi != correlate.LEA {
			return nil, desk.Invalid("exhibit %s is a %s: it has no %s", e.Number, e.Kind, roi)
		}
		if old, err := oneBy(tx, acquisitions, "scan", scanKey(e.ID, roi, hash), "acquisition"); err == nil {
			return old, nil
		} else if !errors.Is(err, desk.ErrNotFound) {
			return nil, err
		}
		var a *Acquisition
		a, fresh, err = s.record(tx, who, e, roi, n, made)
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

// encoded is what computing made of a scan before the transaction.
type encoded struct {
	bytes      []byte
	quality    correlate.Quality
	resolution float64 // µm
	instrument string
	warnings   []string
}

func (s *Service) encode(n NewAcquisition, roi correlate.ROI) (*encoded, error) {
	scan, err := x3p.Decode(n.Scan, x3p.Options{Limits: x3p.DefaultLimits()})
	if err != nil {
		return nil, desk.Invalid("%s: %v", n.File, err)
	}
	if err := scan.CheckUnits(); err != nil {
		return nil, desk.Invalid("%s: %v", n.File, err)
	}
	sig, q, err := correlate.Encode(scan, roi)
	if err != nil {
		return nil, desk.Invalid("%s: %v", n.File, err)
	}
	if !q.Accept {
		return nil, desk.Invalid("%s: quality %.2f is below the gate: %s. Clean or re-light the exhibit and scan it again.", n.File, q.Score, strings.Join(q.Reasons, "; "))
	}
	b, err := sig.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.File, err)
	}
	inst := n.Instrument
	if inst == "" {
		inst = strings.TrimSpace(scan.Meta.Manufacturer + " " + scan.Meta.Model)
	}
	return &encoded{bytes: b, quality: q, resolution: scan.IncX * 1e6, instrument: inst, warnings: scan.Warnings}, nil
}

// record writes everything that one acquisition leaves behind.
func (s *Service) record(tx *store.Tx, who desk.Actor, e *Exhibit, roi correlate.ROI, n NewAcquisition, made *encoded) (*Acquisition, *Signature, error) {
	hash, err := tx.PutBlob(n.Scan)
	if err != nil {
		return nil, nil, fmt.Errorf("keep scan %s: %w", n.File, err)
	}
	id, err := protocol.NewID(tx.Now(), tx.Random())
	if err != nil {
		return nil, nil, err
	}
	sigID, err := protocol.NewDocumentID(s.desk.Country, tx.Now(), tx.Random())
	if err != nil {
		return nil, nil, err
	}
	body, facts, err := s.publication(tx, who, e, roi, n, made)
	if err != nil {
		return nil, nil, err
	}
	a := &Acquisition{ID: id, Exhibit: e.ID, Number: e.Number, ROI: roi, Scan: hash, ScanBytes: len(n.Scan), File: n.File, Instrument: made.instrument,
		Operator: who.Name, Resolution: made.resolution, Quality: made.quality, Warnings: made.warnings, Replica: n.Replica, Certificate: n.Certificate,
		Signature: sigID, Bytes: len(made.bytes), Purpose: Purpose, At: tx.Now()}
	if err := acquisitions.Put(tx, id, a); err != nil {
		return nil, nil, err
	}
	entry := collected(who, "acquisition", id, e.Case, "scan acquired")
	entry.Details = map[string]string{"exhibit": e.Number, "roi": string(roi), "scan": hash, "signature": sigID}
	tx.Audit(entry)
	if err := s.out.IssueAs(tx, sigID, protocol.TypeSignature, body, facts); err != nil {
		return nil, nil, err
	}
	sig := &Signature{ID: sigID, Country: s.desk.Country, Own: true, Exhibit: e.ID, ROI: roi, Kind: e.Kind, Origin: e.Origin, Class: classOf(e.Calibre, e.FiringPin, e.Pattern),
		Algorithm: correlate.Algorithm, Quality: made.quality.Score, Bytes: made.bytes, Handling: e.Handling, Received: tx.Now(),
		Number: e.Number, Case: e.Case, Agency: body.Agency, Offence: body.Offence, Place: body.Place, Occurred: body.Occurred}
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
func (s *Service) publication(tx *store.Tx, who desk.Actor, e *Exhibit, roi correlate.ROI, n NewAcquisition, made *encoded) (*protocol.SignatureBody, dispatch.Facts, error) {
	body := &protocol.SignatureBody{Exhibit: e.ID, ROI: string(roi), Kind: e.Kind, Origin: e.Origin, Calibre: e.Calibre, FiringPin: e.FiringPin, Pattern: e.Pattern,
		Algorithm: correlate.Algorithm, Signature: made.bytes, Quality: made.quality.Score, Replica: n.Replica, CaseReference: e.Case, ExhibitNumber: e.Number}
	attrs := map[string]any{"calibre": e.Calibre, "origin": e.Origin, "handling": append([]string{}, e.Handling...),
		"offence": "", "terrorism": false, "customs": false, "trafficking": false, "group_size": int64(0)}
	facts := dispatch.Facts{Attributes: attrs, Purpose: Purpose, Kind: policy.KindExhibit, Object: e.ID, Case: e.Case, Actor: who.Name}
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

// classOf gives the class characteristics that are filtered before anything is compared.
func classOf(calibre, firingPin, pattern string) correlate.Class {
	return correlate.Class{Calibre: calibre, FiringPin: firingPin, Pattern: pattern}
}
