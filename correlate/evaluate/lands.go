package evaluate

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"time"

	"proofmark/correlate/bullet"
	"proofmark/correlate/calibrate"
)

// BulletFigures are what whole bullets give, over all phases.
type BulletFigures struct {
	Bullets        int            `json:"bullets"`
	Comparable     int            `json:"comparable"` // three lands or more above the gate
	SamePairs      int            `json:"same_pairs"`
	DifferentPairs int            `json:"different_pairs"`
	Inconclusive   int            `json:"inconclusive"` // contrast below 0.1
	AUC            *float64       `json:"auc"`
	SameMin        *float64       `json:"same_min"`
	DifferentMax   *float64       `json:"different_max"`
	Gap            *float64       `json:"gap"`
	ContrastMin    *float64       `json:"same_contrast_min"`
	Pairs          []BulletPair   `json:"pairs,omitempty"` // same-source pairs, 1,000 at most
	Growth         []BulletGrowth `json:"growth,omitempty"`
}

// BulletPair is one comparison of two bullets.
type BulletPair struct {
	A          string  `json:"a"`
	B          string  `json:"b"`
	Score      float64 `json:"score"`
	Phase      int     `json:"phase"`
	Contrast   float64 `json:"contrast"`
	Counted    int     `json:"counted"`
	Conclusive bool    `json:"conclusive"`
}

// shownBulletPairs bounds the list of same-source pairs.
const shownBulletPairs = 1000

// labelledBullet is a bullet of the table with its marks by land, −1 where one
// is not there.
type labelledBullet struct {
	name, source string
	marks        []int
	template     *bullet.Template
	passing      int
}

// checkLands refuses what is defined for breech faces alone.
func (o *Options) checkLands() error {
	if len(o.Sectors) > 0 || o.Model != nil {
		return fmt.Errorf("evaluate %s: cut queries and calibrations are for cartridge cases: leave them out", o.ROI)
	}
	return nil
}

// runLands measures land engraved areas: land against land, bullet against bullet.
func runLands(ctx context.Context, folder fs.FS, set []Labelled, o Options) (*Evaluation, error) {
	if err := o.checkLands(); err != nil {
		return nil, err
	}
	p := parallel{ctx: ctx, progress: o.Progress}
	count, err := landNumbers(set)
	if err != nil {
		return nil, err
	}
	e := &Evaluation{marks: make([]*mark, len(set))}
	if err := p.named("encoding lands").each(len(set), func(i int) { e.marks[i] = readLand(folder, set[i]) }); err != nil {
		return nil, err
	}
	if allMissing(e.marks) {
		return nil, notInFolder(set)
	}
	bullets, err := e.assemble(count)
	if err != nil {
		return nil, err
	}
	e.describe(set, o, bullet.Algorithm)
	e.Exhibits = len(bullets)
	known, err := e.compareBullets(p, bullets)
	if err != nil {
		return nil, err
	}
	if err := e.compareLands(p, bullets, known); err != nil {
		return nil, err
	}
	if err := e.separate(p, o.Seed); err != nil {
		return nil, err
	}
	e.group()
	e.rankAll(false)
	if err := e.searchBullets(p, o, bullets); err != nil {
		return nil, err
	}
	if o.Now != nil {
		if err := e.clockLands(ctx, folder, o); err != nil {
			return nil, err
		}
	}
	e.remark(o)
	e.Notes = append(e.Notes,
		"Pairs are of single lands of different bullets. Which lands of two bullets of one barrel are the same is not in the table: it is taken from the phase at which the two agree best, where that is conclusive, so a wrong phase would not be noticed here; without one their pairs are left out.",
		fmt.Sprintf("Lands below %.2f µm RMS are never compared: read the rejections beside every other figure.", bullet.MinRMS),
		"No likelihood ratios: the calibration is defined on breech faces.")
	return e, nil
}

// landNumbers checks that every scan has its bullet and land, once, and returns
// the number of lands of a barrel: the highest land of the table.
func landNumbers(set []Labelled) (int, error) {
	count := 0
	seen := map[[2]string]bool{}
	source := map[string]string{}
	for _, l := range set {
		n, err := strconv.Atoi(l.Land)
		if err != nil || n < 1 || n > bullet.MaxLands || l.Bullet == "" {
			return 0, fmt.Errorf("%w: scan %s has bullet %q and land %q: lands are numbered from 1 to %d around each bullet", ErrBadTruth, l.Scan, l.Bullet, l.Land, bullet.MaxLands)
		}
		if s, ok := source[l.Bullet]; ok && s != l.Source {
			return 0, fmt.Errorf("%w: bullet %q comes from %q and from %q: give each bullet a name of its own", ErrBadTruth, l.Bullet, s, l.Source)
		}
		if seen[[2]string{l.Bullet, strconv.Itoa(n)}] {
			return 0, fmt.Errorf("%w: land %d of bullet %q stands there twice", ErrBadTruth, n, l.Bullet)
		}
		seen[[2]string{l.Bullet, strconv.Itoa(n)}], source[l.Bullet] = true, l.Source
		count = max(count, n)
	}
	return count, nil
}

func readLand(folder fs.FS, l Labelled) *mark {
	m := &mark{Labelled: l}
	scan, ok := m.decode(folder)
	if !ok {
		return m
	}
	land, q, err := bullet.EncodeLand(scan)
	switch {
	case err != nil:
		m.rejects = []string{err.Error()}
	case !q.Accept:
		m.rejects = append([]string{fmt.Sprintf("%.2f µm RMS", q.RMS)}, q.Reasons...)
	default:
		m.land = land
	}
	return m
}

// assemble makes bullets of the lands that passed, in the table's order.
func (e *Evaluation) assemble(count int) ([]*labelledBullet, error) {
	var out []*labelledBullet
	byName := map[string]*labelledBullet{}
	for i, m := range e.marks {
		b := byName[m.Bullet]
		if b == nil {
			b = &labelledBullet{name: m.Bullet, source: m.Source, marks: slices.Repeat([]int{-1}, count)}
			byName[m.Bullet] = b
			out = append(out, b)
		}
		n, err := strconv.Atoi(m.Land)
		if err != nil {
			return nil, err
		}
		b.marks[n-1] = i
	}
	for _, b := range out {
		lands := make([]*bullet.Land, count)
		for n, i := range b.marks {
			if i >= 0 && e.marks[i].land != nil {
				lands[n] = e.marks[i].land
				b.passing++
			}
		}
		if b.passing == 0 {
			continue
		}
		whole, err := bullet.NewBullet(lands)
		if err != nil {
			return nil, fmt.Errorf("bullet %s: %w", b.name, err)
		}
		packed, err := whole.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("bullet %s: %w", b.name, err)
		}
		for _, i := range b.marks {
			if i >= 0 && e.marks[i].land != nil {
				e.marks[i].packed = packed
			}
		}
		b.template = bullet.NewTemplate(whole)
	}
	return out, nil
}

// compareBullets compares every two bullets with enough lands. It returns which
// marks lie on each other, for pairs of one barrel whose phase is conclusive.
func (e *Evaluation) compareBullets(p parallel, bullets []*labelledBullet) (map[[2]*labelledBullet]map[[2]int]bool, error) {
	type pair struct {
		a, b *labelledBullet
		c    bullet.Comparison
	}
	f := &BulletFigures{Bullets: len(bullets)}
	var pairs []pair
	for i, a := range bullets {
		if a.passing >= bullet.MinLands {
			f.Comparable++
		}
		for _, b := range bullets[:i] {
			if a.passing >= bullet.MinLands && b.passing >= bullet.MinLands {
				pairs = append(pairs, pair{a: b, b: a})
			}
		}
	}
	if err := p.named("comparing bullets").each(len(pairs), func(i int) {
		pairs[i].c = bullet.Compare(pairs[i].a.template, pairs[i].b.template)
	}); err != nil {
		return nil, err
	}
	known := map[[2]*labelledBullet]map[[2]int]bool{}
	var same, different []float64
	contrast := math.Inf(1)
	for _, x := range pairs {
		if !x.c.Conclusive {
			f.Inconclusive++
		}
		if x.a.source != x.b.source {
			different = append(different, x.c.Score)
			continue
		}
		same, contrast = append(same, x.c.Score), min(contrast, x.c.Contrast)
		if len(f.Pairs) < shownBulletPairs {
			f.Pairs = append(f.Pairs, BulletPair{x.a.name, x.b.name, x.c.Score, x.c.Phase, x.c.Contrast, x.c.Counted, x.c.Conclusive})
		}
		if x.c.Conclusive {
			on := map[[2]int]bool{}
			for _, l := range x.c.Lands {
				on[[2]int{x.a.marks[l.A-1], x.b.marks[l.B-1]}] = true
			}
			known[[2]*labelledBullet{x.a, x.b}] = on
		}
	}
	f.SamePairs, f.DifferentPairs = len(same), len(different)
	if len(same) > 0 {
		least := slices.Min(same)
		f.SameMin, f.ContrastMin = &least, &contrast
	}
	if len(different) > 0 {
		most := slices.Max(different)
		f.DifferentMax = &most
	}
	if len(same) > 0 && len(different) > 0 {
		f.AUC, f.Gap = new(areaUnder(rates(same, different))), new(*f.SameMin-*f.DifferentMax)
	}
	e.Bullets = f
	return known, nil
}

// compareLands compares the lands of every two bullets whose truth is known.
func (e *Evaluation) compareLands(p parallel, bullets []*labelledBullet, known map[[2]*labelledBullet]map[[2]int]bool) error {
	for i, b := range bullets {
		for _, a := range bullets[:i] {
			on, found := known[[2]*labelledBullet{a, b}]
			if a.source == b.source && !found {
				continue
			}
			for _, x := range a.marks {
				for _, y := range b.marks {
					if x < 0 || y < 0 || e.marks[x].land == nil || e.marks[y].land == nil {
						continue
					}
					e.Pairs = append(e.Pairs, Pair{calibrate.Pair{SourceA: a.source, SourceB: b.source}, x, y, on[[2]int{x, y}]})
				}
			}
		}
	}
	return p.named("comparing lands").each(len(e.Pairs), func(i int) {
		x := &e.Pairs[i]
		x.Score = bullet.CompareLands(e.marks[x.Query].land, e.marks[x.Other].land).Z
	})
}

// clockLands times encoding and comparison of lands on one core.
func (e *Evaluation) clockLands(ctx context.Context, folder fs.FS, o Options) error {
	var took []time.Duration
	for _, m := range e.marks {
		if m.land == nil || len(took) == clockedScans {
			continue
		}
		again := &mark{Labelled: m.Labelled}
		scan, ok := again.decode(folder)
		if !ok {
			return fmt.Errorf("scan %s changed while it was measured: %s", m.Scan, again.rejects[0])
		}
		begin := o.Now()
		if _, _, err := bullet.EncodeLand(scan); err != nil {
			return fmt.Errorf("scan %s changed while it was measured: %w", m.Scan, err)
		}
		took = append(took, o.Now().Sub(begin))
	}
	e.EncodeMS = median(took, 1e3)
	var fine, coarse []time.Duration
	for i := 0; i < len(e.Pairs) && ctx.Err() == nil; i += max(len(e.Pairs)/clockedPairs, 1) {
		a, b := e.marks[e.Pairs[i].Query].land, e.marks[e.Pairs[i].Other].land
		begin := o.Now()
		bullet.CompareLands(a, b)
		between := o.Now()
		bullet.CoarseScore(a, b)
		fine, coarse = append(fine, between.Sub(begin)), append(coarse, o.Now().Sub(between))
	}
	e.CompareUS, e.CoarseUS = median(fine, 1e6), median(coarse, 1e6)
	return ctx.Err()
}
