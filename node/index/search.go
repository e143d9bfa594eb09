package index

import (
	"context"
	"errors"
	"fmt"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/shear"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// ErrNotHeld: a query must be held before it is searched for, so that of two at once at least one finds the other.
var ErrNotHeld = errors.New("the signature is not held")

// Finding is what the comparison of two signatures found: its score, which is on the scale of its algorithm alone, and one of the comparisons.
type Finding struct {
	Score      float64               `json:"score"`
	Algorithm  string                `json:"algorithm"`
	Comparison *correlate.Comparison `json:"comparison,omitempty"` // of two areal marks
	Bullets    *bullet.Comparison    `json:"bullets,omitempty"`    // of two bullets
	Shear      *shear.Comparison     `json:"shear,omitempty"`      // of two marks of aperture shear
}

// Inconclusive says why a comparison ranks but says nothing by itself; nothing where it does.
func (f *Finding) Inconclusive() []string {
	if f.Bullets != nil && !f.Bullets.Conclusive {
		return f.Bullets.Reasons
	}
	return nil
}

// Agreement says in a few words what a score rests on.
func (f *Finding) Agreement() string {
	switch {
	case f.Comparison != nil:
		return fmt.Sprintf("%d/%d cells", f.Comparison.CongruentCells, f.Comparison.Cells)
	case f.Shear != nil:
		return fmt.Sprintf("correlation %.2f over %.0f µm", f.Shear.R, f.Shear.Overlap)
	case f.Bullets == nil:
		return ""
	case !f.Bullets.Conclusive:
		return fmt.Sprintf("%d lands, contrast %.2f: inconclusive", f.Bullets.Counted, f.Bullets.Contrast)
	}
	return fmt.Sprintf("%d lands, contrast %.2f", f.Bullets.Counted, f.Bullets.Contrast)
}

// Found is one entry of a ranked list.
type Found struct {
	ID string
	Finding
}

// Search ranks the signatures held against one of them and returns the best keep, best first, ties by id. Pairs are told from the point of view of
// the older signature, the one of the smaller id: so both sides of a border tell them alike. A signature that cannot be compared finds nothing.
func (x *Index) Search(ctx context.Context, id string, bytes []byte, keep int) ([]Found, error) {
	x.mu.RLock()
	own := keyOf(id)
	self, ok := x.held[own]
	x.mu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("search for %s: %w", id, ErrNotHeld)
	}
	if self.gallery == nil {
		return nil, nil
	}
	verdicts := map[*facts]bool{}
	found, err := self.gallery.search(ctx, query{class: self.class, bytes: bytes, keep: keep,
		admit: func(other string) bool {
			k := keyOf(other)
			x.mu.RLock()
			h, ok := x.held[k]
			x.mu.RUnlock()
			if !ok || k == own {
				return false
			}
			may, known := verdicts[h.facts]
			if !known {
				may = self.facts.mayCompare(h.facts)
				verdicts[h.facts] = may
			}
			return may && (h.exhibit != self.exhibit || h.Country != self.Country)
		},
		older: func(other string) bool { return other < id },
	})
	if err != nil {
		return nil, fmt.Errorf("search for %s: %w", id, err)
	}
	return found, nil
}

// mayCompare: never foreign with foreign, nor, by default, test fire with test fire, nor what class characteristics exclude. Region and
// algorithm agree, or the two would not lie in one gallery.
func (a *facts) mayCompare(b *facts) bool {
	return (a.Own || b.Own) && a.Kind == b.Kind && (a.Origin != protocol.TestFire || b.Origin != protocol.TestFire) &&
		!((a.bare || b.bare) && tracing.Excludes(a.Class.Calibre, b.Class.Calibre))
}

// filterClass puts the name of its identical family in a calibre's place: 9 mm Luger and 9×19 are one calibre. A bare bore such as "9 mm" filters nothing
// here; mayCompare judges it.
func filterClass(c correlate.Class) correlate.Class {
	if tracing.Bare(c.Calibre) {
		c.Calibre = ""
		return c
	}
	c.Calibre = tracing.Family(c.Calibre)
	return c
}
