package ballistics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/shear"
	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
	"proofmark/node/desk"
)

// encoded is what computing made of the files before the transaction.
type encoded struct {
	bytes      []byte
	quality    Quality
	scans      []Scan // as the acquisition keeps them
	instrument string
}

// encodings is how many acquisitions are computed at once: a large scan takes a gigabyte while it is.
const encodings = 2

// encode makes the signature of an acquisition's files, once there is a place for it.
func (s *Service) encode(ctx context.Context, n *NewAcquisition, roi correlate.ROI) (*encoded, error) {
	select {
	case s.encoding <- struct{}{}:
		defer func() { <-s.encoding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m := methods[roi]
	if m.encode == nil {
		return nil, desk.Invalid("the %s cannot be encoded: there is no way yet from its scan to a signature. The exhibit's other regions can be acquired; keep the scan in the laboratory", roi)
	}
	made, err := m.encode(n, roi)
	if err != nil {
		return nil, err
	}
	if n.Instrument != "" {
		made.instrument = n.Instrument
	}
	return made, nil
}

// open reads one scan file within limits.
func (f *File) open() (*x3p.Scan, Scan, error) {
	scan, err := x3p.Decode(f.Content, x3p.Options{Limits: x3p.DefaultLimits()})
	if err == nil {
		err = scan.CheckUnits()
	}
	if err != nil {
		return nil, Scan{}, desk.Invalid("%s: %v", f.Name, err)
	}
	return scan, Scan{File: f.Name, Hash: f.hash, Bytes: len(f.Content), Resolution: scan.IncX * 1e6, Warnings: scan.Warnings}, nil
}

func instrumentOf(scan *x3p.Scan) string {
	return strings.TrimSpace(scan.Meta.Manufacturer + " " + scan.Meta.Model)
}

// encodeAreal makes the signature of a region that package correlate compares as a picture.
func encodeAreal(n *NewAcquisition, roi correlate.ROI) (*encoded, error) {
	file := &n.Scans[0]
	scan, kept, err := file.open()
	if err != nil {
		return nil, err
	}
	var how correlate.Options
	if how.Mask, err = n.drawn(scan); err != nil {
		return nil, err
	}
	sig, q, err := correlate.EncodeWith(scan, roi, how)
	if err != nil {
		return nil, desk.Invalid("%s: %v", file.Name, err)
	}
	if !q.Accept {
		return nil, belowGate(file, q.Score, q.Reasons)
	}
	b, err := sig.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	return &encoded{bytes: b, scans: []Scan{kept}, instrument: instrumentOf(scan), quality: Quality{Score: q.Score, Reasons: q.Reasons, Areal: &q}}, nil
}

func belowGate(file *File, score float64, reasons []string) error {
	return desk.Invalid("%s: quality %.2f is below the gate: %s. Clean or re-light the exhibit and scan it again.", file.Name, score, strings.Join(reasons, "; "))
}

// encodeShear makes the signature of the striae beside the aperture.
func encodeShear(n *NewAcquisition, _ correlate.ROI) (*encoded, error) {
	file := &n.Scans[0]
	scan, kept, err := file.open()
	if err != nil {
		return nil, err
	}
	var how correlate.Options
	if how.Mask, err = n.drawn(scan); err != nil {
		return nil, err
	}
	mark, q, err := shear.Encode(scan, how)
	if err != nil {
		return nil, desk.Invalid("%s: %v", file.Name, err)
	}
	if !q.Accept {
		return nil, belowGate(file, q.Score, q.Reasons)
	}
	b, err := mark.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	return &encoded{bytes: b, scans: []Scan{kept}, instrument: instrumentOf(scan), quality: Quality{Score: q.Score, Reasons: q.Reasons, Shear: &q}}, nil
}

// drawn reads the mask that a person drew on a scan; nil where there is none.
func (n *NewAcquisition) drawn(scan *x3p.Scan) (*edit.Mask, error) {
	if n.Mask == nil {
		return nil, nil
	}
	m, err := edit.DrawnPNG(n.Mask.Content, scan)
	if err != nil {
		return nil, desk.Invalid("%s: %v", n.Mask.Name, err)
	}
	if !slices.Contains(m.Keep, true) {
		return nil, desk.Invalid("%s: mask: it is dark everywhere: draw light what belongs to the region", n.Mask.Name)
	}
	return &m, nil
}

// goodLand is the RMS in µm from which a land's marks are as good as they need to be. Lands of Hamby set 44 have 0.14 to 0.69 µm; the gate is at
// bullet.MinRMS.
const goodLand = 0.5

// encodeLands makes the signature of a bullet of the scans of its lands. A land that cannot be encoded or is too weak keeps its place and its reason.
func encodeLands(n *NewAcquisition, _ correlate.ROI) (*encoded, error) {
	made := &encoded{}
	lands := make([]*bullet.Land, len(n.Scans))
	sum := 0.0
	for i := range n.Scans {
		f := &n.Scans[i]
		if f.missing() {
			made.scans = append(made.scans, Scan{Land: &bullet.Quality{Reasons: []string{"there is no scan of this land"}}})
			made.quality.Reasons = append(made.quality.Reasons, landName(n.Scans, i)+": there is no scan of it")
			continue
		}
		scan, kept, err := f.open()
		if err != nil {
			return nil, err
		}
		if made.instrument == "" {
			made.instrument = instrumentOf(scan)
		}
		land, q, err := bullet.EncodeLand(scan)
		if errors.Is(err, bullet.ErrNotALand) {
			q = bullet.Quality{Reasons: []string{err.Error()}}
		} else if err != nil {
			return nil, desk.Invalid("%s: %v", f.Name, err)
		}
		lands[i], kept.Land = land, &q
		made.scans = append(made.scans, kept)
		if q.Accept {
			sum += min(q.RMS/goodLand, 1) * math.Sqrt(q.ValidShare)
		} else {
			made.quality.Reasons = append(made.quality.Reasons, landName(n.Scans, i)+" is below the gate and not compared: "+strings.Join(q.Reasons, "; "))
		}
	}
	made.quality.Score = sum / float64(len(lands))
	b, err := bullet.NewBullet(lands)
	if err != nil {
		return nil, tooFew(0, made)
	}
	if passing := b.Passing(); passing < bullet.MinLands {
		return nil, tooFew(passing, made)
	}
	if made.bytes, err = b.MarshalBinary(); err != nil {
		return nil, fmt.Errorf("signature of %d lands: %w", len(lands), err)
	}
	return made, nil
}

func tooFew(passing int, made *encoded) error {
	return desk.Invalid("%d of %d lands pass the quality gate, at least %d must: %s. Clean the bullet, scan these lands again where their striae are strongest (often near the base), and acquire all lands together.",
		passing, len(made.scans), bullet.MinLands, strings.Join(made.quality.Reasons, ". "))
}
