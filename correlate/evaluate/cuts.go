package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"proofmark/correlate"
	"proofmark/correlate/x3p"
)

// cut is one way to make partial queries of whole scans.
type cut struct {
	share    float64 // % of the measured points that are kept
	fragment bool    // the scan is cut and encoded anew; otherwise its marks are cut
	seed     uint64  // of the direction
}

// cutting is what a cut left of one mark.
type cutting struct {
	packed  []byte // nil where nothing could be encoded
	below   bool   // the quality gate would refuse it
	area    float64
	offMark float64 // µm between its origin and the whole scan's
}

// cuts lists the ways in which the options cut queries. The first one's figures
// are those of the evaluation.
func (o *Options) cuts() []cut {
	var out []cut
	for _, share := range o.Sectors {
		for seed := range uint64(max(o.Seeds, 1)) {
			out = append(out, cut{share, o.Fragment, o.Seed + seed})
		}
	}
	if o.Fragment {
		for _, c := range slices.Clone(out) {
			out = append(out, cut{c.share, false, c.seed})
		}
	}
	return out
}

// of cuts the scan of mark i, whose whole signature has quality q.
func (c cut) of(scan *x3p.Scan, how method, q correlate.Quality, i int) cutting {
	direction := rand.New(rand.NewPCG(c.seed, uint64(i))).Float64() * 360
	part := &correlate.Sector{From: direction, Share: c.share / 100}
	if c.fragment {
		scan, part = cutSector(scan, q.OriginX, q.OriginY, c.share/100, direction), nil
	}
	packed, found, err := how.encode(scan, part)
	if err != nil {
		return cutting{}
	}
	return cutting{packed, !found.Accept, found.AreaMM2, math.Hypot(found.OriginX-q.OriginX, found.OriginY-q.OriginY)}
}

// CutFigures are what queries cut in one way gave.
type CutFigures struct {
	Share    float64 `json:"share"`    // % of the measured points
	Fragment bool    `json:"fragment"` // cut out of the scan, not of its marks
	Seed     uint64  `json:"seed"`
	Below    int     `json:"below_gate"` // compared all the same
	Lost     int     `json:"lost"`       // nothing left to encode: in no figure
	// Of the cut queries' origins from the whole scans', µm.
	OriginMedian *float64 `json:"origin_error_median"`
	OriginMax    *float64 `json:"origin_error_max"`
	AreaMedian   *float64 `json:"area_median_mm2"`
	Separation
	Hits
}

// useCut makes the cut of the given number the marks' queries.
func useCut(p parallel, marks []*mark, how method, number int) error {
	errs := make([]error, len(marks))
	err := p.named("preparing cut queries").each(len(marks), func(i int) {
		m := marks[i]
		if m.whole == nil {
			return
		}
		m.query, m.area = nil, m.cuts[number].area
		if packed := m.cuts[number].packed; packed != nil {
			m.query, errs[i] = how.open(packed)
		}
	})
	for _, e := range errs {
		if err == nil && e != nil {
			err = fmt.Errorf("open a cut query: %w", e)
		}
	}
	return err
}

// describeCut counts what a cut left.
func describeCut(marks []*mark, c cut, number int) CutFigures {
	f := CutFigures{Share: c.share, Fragment: c.fragment, Seed: c.seed}
	var off, area []float64
	for _, m := range marks {
		if m.whole == nil {
			continue
		}
		k := m.cuts[number]
		switch {
		case k.packed == nil:
			f.Lost++
			continue
		case k.below:
			f.Below++
		}
		off, area = append(off, k.offMark), append(area, k.area)
	}
	if len(off) > 0 {
		f.OriginMedian, f.OriginMax, f.AreaMedian = new(middle(off)), new(slices.Max(off)), new(middle(area))
	}
	return f
}

// middle of values: the upper one of two; there must be one.
func middle(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// PartialArea sums up the seeds of one share and setting.
type PartialArea struct {
	Share    float64 `json:"share"`
	Fragment bool    `json:"fragment"`
	Seeds    int     `json:"seeds"`
	AUC      *Spread `json:"auc"`
	EER      *Spread `json:"eer"`
	Found    *Spread `json:"tpr_at_fpr0"`
	Rank1    *Spread `json:"rank1"`
	Gap      *Spread `json:"gap"`
	Area     *Spread `json:"area_median_mm2"`
}

// Spread of a figure over seeds.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func spreadOf(cuts []CutFigures, figure func(CutFigures) *float64) *Spread {
	var v []float64
	for _, c := range cuts {
		if x := figure(c); x != nil {
			v = append(v, *x)
		}
	}
	if len(v) == 0 {
		return nil
	}
	return &Spread{slices.Min(v), middle(v), slices.Max(v)}
}

// byPartialArea sums the cuts up, in their order.
func byPartialArea(cuts []CutFigures) []PartialArea {
	var out []PartialArea
	for len(cuts) > 0 {
		n := 1
		for n < len(cuts) && cuts[n].Share == cuts[0].Share && cuts[n].Fragment == cuts[0].Fragment {
			n++
		}
		of := func(figure func(CutFigures) *float64) *Spread { return spreadOf(cuts[:n], figure) }
		out = append(out, PartialArea{
			Share: cuts[0].Share, Fragment: cuts[0].Fragment, Seeds: n,
			AUC:   of(func(c CutFigures) *float64 { return c.AUC }),
			EER:   of(func(c CutFigures) *float64 { return c.EER }),
			Found: of(func(c CutFigures) *float64 { return c.TPRAtFPR0 }),
			Rank1: of(func(c CutFigures) *float64 { return c.Rank1 }),
			Gap:   of(func(c CutFigures) *float64 { return c.Gap }),
			Area:  of(func(c CutFigures) *float64 { return c.AreaMedian }),
		})
		cuts = cuts[n:]
	}
	return out
}

// faceRadius in µm bounds what counts as the mark when a share of it is cut out:
// the signature's frame reaches as far.
const faceRadius = 2190.0

// cutSector keeps a sector of a scan around a centre (µm from the first corner):
// from the direction start (degrees) on as far as it takes to hold the share of
// the valid points. The cut scan is encoded anew, without the whole one's centre
// or segmentation, as a fragment would be.
func cutSector(scan *x3p.Scan, cx, cy, share, start float64) *x3p.Scan {
	cut := *scan
	cut.Z = slices.Clone(scan.Z)
	angle := func(i int) (float64, bool) {
		x := (float64(i%scan.SizeX)+0.5)*scan.IncX*1e6 - cx
		y := (float64(i/scan.SizeX)+0.5)*scan.IncY*1e6 - cy
		return math.Mod(math.Atan2(y, x)*180/math.Pi-start+720, 360), math.Hypot(x, y) <= faceRadius && !math.IsNaN(scan.Z[i])
	}
	var angles []float64
	for i := range cut.Z {
		if a, ok := angle(i); ok {
			angles = append(angles, a)
		}
	}
	slices.Sort(angles)
	end := 0.0
	if n := int(share * float64(len(angles))); n > 0 {
		end = angles[n-1]
	}
	for i := range cut.Z {
		if a, ok := angle(i); !ok || a > end {
			cut.Z[i] = math.NaN()
		}
	}
	return &cut
}
