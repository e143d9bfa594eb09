package evaluate

import (
	"fmt"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
	"proofmark/correlate/shear"
	"proofmark/correlate/x3p"
)

// method is how marks of one region become comparable.
type method interface {
	algorithm() string
	// encode makes a signature of a scan, or of the part of its marks that a
	// sector keeps. A signature comes with its quality even where that is too low.
	encode(scan *x3p.Scan, part *correlate.Sector) ([]byte, correlate.Quality, error)
	// open makes a signature ready for comparisons.
	open(signature []byte) (imprint, error)
}

// imprint is a signature ready for comparisons with others of its method.
type imprint interface {
	against(other imprint) calibrate.Features
}

// methodOf finds how a region is compared.
func methodOf(roi correlate.ROI) (method, error) {
	if name, ok := correlate.AlgorithmOf(roi); ok {
		return areal{roi, name}, nil
	}
	if roi == correlate.ApertureShear {
		return striated{}, nil
	}
	return nil, fmt.Errorf("evaluate %s: %w", roi, correlate.ErrUnsupportedROI)
}

// areal compares pictures of surfaces.
type areal struct {
	roi  correlate.ROI
	name string
}

func (a areal) algorithm() string { return a.name }

func (a areal) encode(scan *x3p.Scan, part *correlate.Sector) ([]byte, correlate.Quality, error) {
	sig, q, err := correlate.EncodeWith(scan, a.roi, correlate.Options{Sector: part})
	if err != nil {
		return nil, q, err
	}
	packed, err := sig.MarshalBinary()
	return packed, q, err
}

func (a areal) open(signature []byte) (imprint, error) {
	sig, err := correlate.DecodeSignature(signature)
	if err != nil {
		return nil, err
	}
	return face{correlate.NewTemplate(sig)}, nil
}

// face is an areal mark.
type face struct{ *correlate.Template }

func (f face) against(other imprint) calibrate.Features {
	return calibrate.FeaturesOf(correlate.Compare(f.Template, other.(face).Template))
}

// striated compares profiles across the striae of aperture shear.
type striated struct{}

func (striated) algorithm() string { return shear.Algorithm }

func (striated) encode(scan *x3p.Scan, part *correlate.Sector) ([]byte, correlate.Quality, error) {
	m, q, err := shear.Encode(scan, correlate.Options{Sector: part})
	if err != nil {
		return nil, correlate.Quality{}, err
	}
	b, err := m.MarshalBinary()
	return b, correlate.Quality{
		Score: q.Score, ValidShare: q.ValidShare, RMS: q.RMS, AreaMM2: q.AreaMM2,
		Reasons: q.Reasons, Accept: q.Accept, OriginX: q.CentreX, OriginY: q.CentreY,
	}, err
}

func (striated) open(signature []byte) (imprint, error) {
	m, err := shear.Decode(signature)
	if err != nil {
		return nil, err
	}
	return striae{m}, nil
}

// striae is a mark of aperture shear.
type striae struct{ *shear.Mark }

func (s striae) against(other imprint) calibrate.Features {
	return calibrate.Features{Score: shear.Compare(s.Mark, other.(striae).Mark).Score}
}
