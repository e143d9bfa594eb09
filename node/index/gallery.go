package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/shear"
)

// ErrNotComparable: this program does not know the algorithm for this region. Such a signature is kept for the day it does.
var ErrNotComparable = errors.New("signatures of this region and algorithm cannot be compared by this program")

// kind is what a gallery holds: signatures of different regions or algorithms are never compared.
type kind struct {
	roi       correlate.ROI
	algorithm string
}

func (k kind) compare(l kind) int {
	return cmp.Or(cmp.Compare(k.roi, l.roi), cmp.Compare(k.algorithm, l.algorithm))
}

// method is how signatures of one kind are held and compared.
type method struct {
	empty func(correlate.Fetch) gallery
	load  func(io.Reader, correlate.Fetch) (gallery, error)
	check func([]byte) error // of foreign bytes
	// compare tells a pair from the first one's point of view.
	compare func(a, b []byte) (Finding, error)
}

var known = map[kind]method{
	{correlate.BreechFace, correlate.Algorithm}:         areal(correlate.BreechFace),
	{correlate.FiringPin, correlate.FiringPinAlgorithm}: areal(correlate.FiringPin),
	{correlate.ApertureShear, shear.Algorithm}:          {newShears, loadShears, checkShear, compareShears},
	{correlate.LEA, bullet.Algorithm}:                   {newBullets, loadBullets, checkBullet, compareBullets},
}

// Check reads the bytes of a signature as its region and algorithm demand. ErrNotComparable says that they are unknown here, any other error
// what is wrong with the bytes.
func Check(roi correlate.ROI, algorithm string, bytes []byte) error {
	m, ok := known[kind{roi, algorithm}]
	if !ok {
		return fmt.Errorf("%s by %.64q: %w", roi, algorithm, ErrNotComparable)
	}
	return m.check(bytes)
}

// Compare compares two signatures of one region and algorithm without any search, told from the first one's point of view. Errors: ErrNotComparable, or
// what is wrong with the bytes.
func Compare(roi correlate.ROI, algorithm string, a, b []byte) (Finding, error) {
	m, ok := known[kind{roi, algorithm}]
	if !ok {
		return Finding{}, fmt.Errorf("%s by %.64q: %w", roi, algorithm, ErrNotComparable)
	}
	return m.compare(a, b)
}

// Comparable reports whether this program compares signatures of a region by an algorithm.
func Comparable(roi correlate.ROI, algorithm string) bool {
	_, ok := known[kind{roi, algorithm}]
	return ok
}

// gallery holds signatures of one kind. Its methods may be called from any goroutine.
type gallery interface {
	// put adds a signature; false where too little is left on it to be compared with anything.
	put(id string, c correlate.Class, bytes []byte) (bool, error)
	remove(id string)
	len() int
	// search ranks what admit lets through, best first, ties by id. Findings are told from the query's point of view, or from the other
	// side's where older says that it comes first.
	search(ctx context.Context, q query) ([]Found, error)
	save(w io.Writer) error
}

type query struct {
	class correlate.Class
	bytes []byte
	keep  int
	admit func(id string) bool
	older func(id string) bool // may be called from any goroutine
}

// marks are areal marks of one region of a cartridge case.
type marks struct {
	*correlate.Gallery
	roi correlate.ROI
}

func areal(roi correlate.ROI) method {
	return method{
		empty: func(fetch correlate.Fetch) gallery { return marks{correlate.NewFetchingGallery(fetch), roi} },
		load: func(r io.Reader, fetch correlate.Fetch) (gallery, error) {
			g, err := correlate.LoadGallery(r, fetch)
			if err != nil {
				return nil, err
			}
			return marks{g, roi}, nil
		},
		check: func(b []byte) error {
			_, err := decodeMark(roi, b)
			return err
		},
		compare: func(a, b []byte) (Finding, error) {
			p, err := decodeMark(roi, a)
			if err != nil {
				return Finding{}, err
			}
			q, err := decodeMark(roi, b)
			if err != nil {
				return Finding{}, err
			}
			c := correlate.Compare(correlate.NewTemplate(p), correlate.NewTemplate(q))
			return Finding{Score: c.Score, Algorithm: c.Algorithm, Comparison: &c}, nil
		},
	}
}

// decodeMark reads an areal signature that must be of this region.
func decodeMark(roi correlate.ROI, b []byte) (*correlate.Signature, error) {
	s, err := correlate.DecodeSignature(b)
	if err == nil && s.ROI() != roi {
		return nil, fmt.Errorf("%w: it is of a %s and said to be of a %s", correlate.ErrBadSignature, s.ROI(), roi)
	}
	return s, err
}

func (m marks) put(id string, c correlate.Class, bytes []byte) (bool, error) {
	s, err := decodeMark(m.roi, bytes)
	if err != nil {
		return false, err
	}
	m.PutSignature(id, c, s)
	return true, nil
}

func (m marks) remove(id string)       { m.Remove(id) }
func (m marks) len() int               { return m.Len() }
func (m marks) save(w io.Writer) error { return m.Save(w) }

func (m marks) search(ctx context.Context, q query) ([]Found, error) {
	s, err := decodeMark(m.roi, q.bytes)
	if err != nil {
		return nil, err
	}
	list, err := m.SearchTold(ctx, correlate.NewTemplate(s), q.class, q.keep, q.admit, q.older)
	if err != nil {
		return nil, err
	}
	out := make([]Found, len(list))
	for i, f := range list {
		out[i] = Found{f.ID, Finding{Score: f.Score, Algorithm: f.Algorithm, Comparison: &f.Comparison}}
	}
	return out, nil
}

// bullets are land engraved areas.
type bullets struct{ *bullet.Gallery }

func newBullets(fetch correlate.Fetch) gallery {
	return bullets{bullet.NewFetchingGallery(bullet.Fetch(fetch))}
}

func loadBullets(r io.Reader, fetch correlate.Fetch) (gallery, error) {
	g, err := bullet.LoadGallery(r, bullet.Fetch(fetch))
	if err != nil {
		return nil, err
	}
	return bullets{g}, nil
}

func checkBullet(b []byte) error {
	_, err := bullet.Decode(b)
	return err
}

func compareBullets(a, b []byte) (Finding, error) {
	p, err := bullet.Decode(a)
	if err != nil {
		return Finding{}, err
	}
	q, err := bullet.Decode(b)
	if err != nil {
		return Finding{}, err
	}
	c := bullet.CompareAll(bullet.NewTemplate(p), bullet.NewTemplate(q))
	return Finding{Score: c.Score, Algorithm: c.Algorithm, Bullets: &c}, nil
}

func (b bullets) put(id string, c correlate.Class, bytes []byte) (bool, error) {
	s, err := bullet.Decode(bytes)
	if err != nil {
		return false, err
	}
	err = b.PutClass(id, bullet.Class{Calibre: c.Calibre}, s)
	if errors.Is(err, bullet.ErrBelowGate) {
		return false, nil
	}
	return err == nil, err
}

func (b bullets) remove(id string)       { b.Remove(id) }
func (b bullets) len() int               { return b.Len() }
func (b bullets) save(w io.Writer) error { return b.Save(w) }

func (b bullets) search(ctx context.Context, q query) ([]Found, error) {
	s, err := bullet.Decode(q.bytes)
	if err != nil {
		return nil, err
	}
	// Bureaus number lands and lay scans in their own ways, and nothing on the wire says how: all four are tried.
	list, err := b.Search(ctx, bullet.NewTemplate(s), bullet.Search{Keep: q.keep, Arrangements: true, Class: bullet.Class{Calibre: q.class.Calibre}, Admit: q.admit})
	if errors.Is(err, bullet.ErrBelowGate) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]Found, len(list))
	for i, f := range list {
		c := f.Comparison
		if q.older(f.ID) {
			c = c.Exchanged(s.Count())
		}
		out[i] = Found{f.ID, Finding{Score: c.Score, Algorithm: c.Algorithm, Bullets: &c}}
	}
	return out, nil
}

func sorted(sums map[Count]int) []Count {
	out := []Count{}
	for c, n := range sums {
		c.Signatures = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Count) int {
		if a.Comparable != b.Comparable {
			if a.Comparable {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.ROI, b.ROI), cmp.Compare(a.Algorithm, b.Algorithm))
	})
	return out
}
