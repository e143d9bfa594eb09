package index

import (
	"context"
	"errors"
	"io"

	"proofmark/correlate"
	"proofmark/correlate/shear"
)

// shears are marks of aperture shear. Every search compares all of them, so they are kept whole.
type shears struct{ *shear.Gallery }

func newShears(correlate.Fetch) gallery { return shears{shear.NewGallery()} }

func loadShears(r io.Reader, _ correlate.Fetch) (gallery, error) {
	g, err := shear.LoadGallery(r)
	if err != nil {
		return nil, err
	}
	return shears{g}, nil
}

func checkShear(b []byte) error {
	_, err := shear.Decode(b)
	return err
}

func (s shears) put(id string, c correlate.Class, bytes []byte) (bool, error) {
	m, err := shear.Decode(bytes)
	if err != nil {
		return false, err
	}
	err = s.Put(id, c, m)
	if errors.Is(err, shear.ErrBelowGate) {
		return false, nil
	}
	return err == nil, err
}

func (s shears) remove(id string)       { s.Remove(id) }
func (s shears) len() int               { return s.Len() }
func (s shears) save(w io.Writer) error { return s.Save(w) }

func (s shears) search(ctx context.Context, q query) ([]Found, error) {
	m, err := shear.Decode(q.bytes)
	if err != nil {
		return nil, err
	}
	list, err := s.Search(ctx, m, q.class, q.keep, q.admit)
	if errors.Is(err, shear.ErrBelowGate) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]Found, len(list))
	for i, f := range list {
		c := f.Comparison
		if q.older(f.ID) {
			c = c.Exchanged()
		}
		out[i] = Found{f.ID, Finding{Score: c.Score, Algorithm: c.Algorithm, Shear: &c}}
	}
	return out, nil
}

func compareShears(a, b []byte) (Finding, error) {
	first, err := shear.Decode(a)
	if err != nil {
		return Finding{}, err
	}
	second, err := shear.Decode(b)
	if err != nil {
		return Finding{}, err
	}
	c := shear.Compare(first, second)
	return Finding{Score: c.Score, Algorithm: c.Algorithm, Shear: &c}, nil
}
