package bullet

import (
	"bytes"
	"fmt"
)

// Template is a bullet made ready for comparisons. It is immutable.
type Template struct {
	bullet   *Bullet
	packed   []byte
	profiles []profile // empty where a land is not there
}

// NewTemplate makes a bullet ready for comparisons.
func NewTemplate(b *Bullet) *Template {
	t := &Template{bullet: b, profiles: make([]profile, b.Count())}
	t.packed, _ = b.MarshalBinary() // never fails
	for i, l := range b.lands {
		if l != nil {
			t.profiles[i] = newProfile(l)
		}
	}
	return t
}

// Bullet of the template.
func (t *Template) Bullet() *Bullet { return t.bullet }

// Arrangement is how the second of two bullets was recorded relative to the first.
type Arrangement struct {
	Mirrored   bool `json:"mirrored"`   // its scans run the other way across the striae
	Descending bool `json:"descending"` // its lands are numbered the other way around
}

var (
	asRecorded      = []Arrangement{{}}
	allArrangements = []Arrangement{{}, {Mirrored: true}, {Descending: true}, {Mirrored: true, Descending: true}}
)

// LandPair is one entry of a comparison's map: which land lies on which.
type LandPair struct {
	A int `json:"a"` // number of the first bullet's land, from 1
	B int `json:"b"` // of the second's
	LandComparison
	// Counted: both lands pass the quality gate. The others are shown and not counted.
	Counted bool `json:"counted"`
}

// Comparison is what a comparison of two bullets found at the best phase.
type Comparison struct {
	// Score is the mean Z of six counted lands; of another number the mean is drawn to
	// or from ChanceZ as much as chance scatters more or less there, so that bullets and
	// fragments stand in one list. 0 where nothing could be compared.
	Score float64 `json:"score"`
	// Phase: land i of the first bullet (from 1) lies on land i + Phase of the
	// second, or Phase − i + 2 where its lands descend, counted around the barrel.
	Phase int `json:"phase"`
	// Stretch is by how many per cent lengths across the striae are greater on the
	// second bullet's scans than on the first's, −3 to 3 in halves. Score and the lands' Z
	// are with it taken off.
	Stretch  float64 `json:"stretch"`
	Contrast float64 `json:"contrast"` // Score of the best phase less that of the second
	Counted  int     `json:"counted"`  // lands that entered Score
	Arrangement
	Lands []LandPair `json:"lands,omitempty"` // by A; all that are there on both bullets
	// Conclusive: at least three lands were counted and Contrast is at least 0.1.
	// It says that a phase was found, not that the bullets match.
	Conclusive bool     `json:"conclusive"`
	Reasons    []string `json:"reasons,omitempty"` // why it is not
	Algorithm  string   `json:"algorithm"`
}

// Compare finds the phase at which two bullets agree best, both taken as they
// were recorded. It is symmetric to the bit: exchanging the bullets exchanges A
// and B, and Phase and Lag turn round with them. Bullets of different numbers of
// lands are not compared, nor are lands below the quality gate.
func Compare(a, b *Template) Comparison { return compare(a, b, asRecorded) }

// CompareAll is Compare over the four arrangements that sets are recorded in; the
// result says which one it was. The contrast is with the second best of all
// phases of all arrangements.
func CompareAll(a, b *Template) Comparison { return compare(a, b, allArrangements) }

func compare(a, b *Template, arrangements []Arrangement) Comparison {
	if bytes.Compare(a.packed, b.packed) > 0 {
		return match(b, a, arrangements).exchanged(a.bullet.Count())
	}
	return match(a, b, arrangements)
}

// match compares with the roles settled.
func match(a, b *Template, arrangements []Arrangement) Comparison {
	out := Comparison{Algorithm: Algorithm}
	n := a.bullet.Count()
	if n != b.bullet.Count() {
		out.Reasons = []string{fmt.Sprintf("barrels of %d and %d lands: another class", min(n, b.bullet.Count()), max(n, b.bullet.Count()))}
		return out
	}
	r := readings.Get().(*reading)
	defer r.release()
	best, second := bestWays(a, b, arrangements, r)
	if best.counted == 0 {
		p, q := a.bullet.Passing(), b.bullet.Passing() // told alike whoever compares
		out.Reasons = []string{fmt.Sprintf("no phase brings %d lands together that pass the quality gate: %d and %d pass", MinLands, min(p, q), max(p, q))}
		return out
	}
	out.Score, out.Phase, out.Counted, out.Arrangement = best.score, best.phase, best.counted, best.arrangement
	out.Stretch = float64(best.stretch) / 2
	if second.counted == 0 {
		out.Reasons = append(out.Reasons, "inconclusive: no second phase to contrast with")
	} else if out.Contrast = best.score - second.score; out.Contrast < MinContrast {
		out.Reasons = append(out.Reasons, fmt.Sprintf("inconclusive: contrast %.2f with the second phase, at least %.1f is needed", out.Contrast, MinContrast))
	}
	out.Conclusive = len(out.Reasons) == 0
	r.read(b, best.arrangement.Mirrored, best.stretch)
	for i := range n {
		j := best.partner(i, n)
		if a.bullet.lands[i] != nil && b.bullet.lands[j] != nil {
			out.Lands = append(out.Lands, LandPair{i + 1, j + 1, r.compare(a.profiles[i], j), a.bullet.usable(i) && b.bullet.usable(j)})
		}
	}
	return out
}

// exchanged tells a comparison from the other bullet's point of view.
func (c Comparison) exchanged(n int) Comparison {
	if !c.Descending && c.Counted > 0 {
		c.Phase = (n - c.Phase) % n
	}
	c.Stretch = negate(c.Stretch)
	turned := make([]LandPair, 0, len(c.Lands))
	for a := 1; a <= n; a++ { // in the order of the other bullet's lands
		for _, p := range c.Lands {
			if p.B != a {
				continue
			}
			p.A, p.B = p.B, p.A
			if !c.Mirrored {
				p.Lag = negate(p.Lag)
			}
			turned = append(turned, p)
		}
	}
	c.Lands = turned
	if len(turned) == 0 {
		c.Lands = nil
	}
	return c
}
