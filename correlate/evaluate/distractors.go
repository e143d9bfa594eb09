package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/x3p"
)

// The grid of a patch, the part of a scan that a signature looks at.
const (
	patchPitch = 12.5 // µm, as fine as the marks that are kept need
	patchSide  = 352  // 4.4 mm
)

// patch is a scan brought onto a small grid around its centre: heights in µm
// with mean 0, NaN where missing.
type patch struct {
	z  []float32
	sd float64 // of the heights
}

func newPatch(scan *x3p.Scan, cx, cy float64) *patch {
	sum, n := make([]float64, patchSide*patchSide), make([]int, patchSide*patchSide)
	px, py := scan.IncX*1e6, scan.IncY*1e6
	if px > patchPitch || py > patchPitch { // coarser than the grid: nearest point
		for i := range sum {
			x := int(math.Floor(((float64(i%patchSide)+0.5-patchSide/2)*patchPitch + cx) / px))
			y := int(math.Floor(((float64(i/patchSide)+0.5-patchSide/2)*patchPitch + cy) / py))
			if x >= 0 && y >= 0 && x < scan.SizeX && y < scan.SizeY && !math.IsNaN(scan.At(x, y)) {
				sum[i], n[i] = scan.At(x, y)*1e6, 1
			}
		}
	} else {
		for i, z := range scan.Z {
			x := int(math.Floor(((float64(i%scan.SizeX)+0.5)*px-cx)/patchPitch)) + patchSide/2
			y := int(math.Floor(((float64(i/scan.SizeX)+0.5)*py-cy)/patchPitch)) + patchSide/2
			if x >= 0 && y >= 0 && x < patchSide && y < patchSide && !math.IsNaN(z) {
				sum[y*patchSide+x] += z * 1e6
				n[y*patchSide+x]++
			}
		}
	}
	var mean, square, count float64
	for i := range sum {
		if n[i] > 0 {
			sum[i] /= float64(n[i])
			mean, square, count = mean+sum[i], square+sum[i]*sum[i], count+1
		}
	}
	mean /= max(count, 1)
	p := &patch{z: make([]float32, len(sum)), sd: math.Sqrt(max(square/max(count, 1)-mean*mean, 1e-12))}
	for i := range sum {
		p.z[i] = float32(math.NaN())
		if n[i] > 0 {
			p.z[i] = float32(sum[i] - mean)
		}
	}
	return p
}

// at is bilinear in µm from the centre, NaN beside the valid points.
func (p *patch) at(x, y float64) float64 {
	fx, fy := x/patchPitch+patchSide/2-0.5, y/patchPitch+patchSide/2-0.5
	ix, iy := int(math.Floor(fx)), int(math.Floor(fy))
	if ix < 0 || iy < 0 || ix+1 >= patchSide || iy+1 >= patchSide {
		return math.NaN()
	}
	u, v := fx-float64(ix), fy-float64(iy)
	i := iy*patchSide + ix
	a, b, c, d := float64(p.z[i]), float64(p.z[i+1]), float64(p.z[i+patchSide]), float64(p.z[i+patchSide+1])
	return (a*(1-u)+b*u)*(1-v) + (c*(1-u)+d*u)*v
}

// strange is how a distractor looks at a patch: mirrored, so that no true
// correspondence is left, turned, and bent by slow waves of tens of µm.
type strange struct {
	sin, cos float64
	waves    [4]struct{ kx, ky, phase, dx, dy float64 }
}

func newStrange(rng *rand.Rand) (s strange) {
	s.sin, s.cos = math.Sincos(rng.Float64() * 2 * math.Pi)
	for i := range s.waves {
		w := &s.waves[i]
		k, direction := 2*math.Pi/(900+900*rng.Float64()), rng.Float64()*2*math.Pi
		w.kx, w.ky, w.phase = k*math.Cos(direction), k*math.Sin(direction), rng.Float64()*2*math.Pi
		w.dx, w.dy = rng.NormFloat64()*25, rng.NormFloat64()*25
	}
	return s
}

func (s *strange) place(x, y float64) (float64, float64) {
	bx, by := x, y
	for _, w := range s.waves {
		f := math.Sin(w.kx*x + w.ky*y + w.phase)
		bx, by = bx+w.dx*f, by+w.dy*f
	}
	return -(s.cos*bx - s.sin*by), s.sin*bx + s.cos*by
}

// distractor mixes two warped, mirrored patches into the scan of a mark that
// nobody made: its outline is the first one's.
func distractor(a, b *patch, rng *rand.Rand) *x3p.Scan {
	wa, wb := newStrange(rng), newStrange(rng)
	sin, cos := math.Sincos((25 + 40*rng.Float64()) * math.Pi / 180)
	gain := sin * a.sd / b.sd
	s := &x3p.Scan{SizeX: patchSide, SizeY: patchSide, IncX: patchPitch * 1e-6, IncY: patchPitch * 1e-6, Z: make([]float64, patchSide*patchSide)}
	for i := range s.Z {
		x, y := (float64(i%patchSide)+0.5-patchSide/2)*patchPitch, (float64(i/patchSide)+0.5-patchSide/2)*patchPitch
		z := cos * a.at(wa.place(x, y))
		if other := b.at(wb.place(x, y)); !math.IsNaN(other) {
			z += gain * other
		}
		s.Z[i] = z * 1e-6
	}
	return s
}

// Padded is what a search of a gallery padded with distractors found.
type Padded struct {
	Distractors    int     `json:"distractors"`
	Gallery        int     `json:"gallery"`
	Queries        int     `json:"queries"` // accepted marks with a mate in the gallery
	DistractorMax  float64 `json:"distractor_max"`
	SearchMS       float64 `json:"search_ms,omitempty"` // per query, all cores
	ListedMates    int     `json:"listed_mates"`
	ShouldBeListed int     `json:"mates_above_list_end"`
}

// errGate: the last mixture was encoded, but is too poor a mark.
var errGate = errors.New("quality too low")

// listed is how many entries a search of the padded gallery keeps.
const listed = 50

// pad searches a gallery of the set's marks and distractors and replaces each
// query's ranks with those it found there.
func (e *Evaluation) pad(p parallel, o Options, withMates []int, mates [][]float64) error {
	gallery := correlate.NewGallery()
	var patches []*mark
	for i, m := range e.marks {
		if m.whole != nil {
			gallery.Put(strconv.Itoa(i), correlate.Class{}, m.whole)
			patches = append(patches, m)
		}
	}
	errs := make([]error, o.Distractors)
	err := p.named("making distractors").each(o.Distractors, func(i int) {
		// A mixture can fail the gate: draw again, from the same stream.
		rng := rand.New(rand.NewPCG(o.Seed^0xd157, uint64(i)))
		for range 20 {
			a, b := patches[rng.IntN(len(patches))], patches[rng.IntN(len(patches))]
			if a.Source == b.Source {
				continue
			}
			sig, q, err := correlate.Encode(distractor(a.patch, b.patch, rng), o.ROI)
			if errs[i] = err; err == nil && q.Accept {
				gallery.Put("distractor "+strconv.Itoa(i), correlate.Class{}, correlate.NewTemplate(sig))
				return
			}
		}
		errs[i] = fmt.Errorf("distractor %d: twenty mixtures of the set's marks failed the quality gate (last: %w)", i, cmp.Or(errs[i], errGate))
	})
	for _, failed := range errs {
		if err == nil && failed != nil {
			err = failed
		}
	}
	if err != nil {
		return err
	}
	d := &Padded{Distractors: o.Distractors, Gallery: gallery.Len(), Queries: len(withMates), DistractorMax: math.Inf(-1)}
	e.Gallery = gallery.Len()
	var spent time.Duration
	for k, i := range withMates {
		q := e.marks[i]
		var begin time.Time
		if o.Now != nil {
			begin = o.Now()
		}
		found, err := gallery.Search(p.ctx, q.query, correlate.Class{}, listed, func(id string) bool { return id != strconv.Itoa(i) })
		if err != nil {
			return err
		}
		if o.Now != nil {
			spent += o.Now().Sub(begin)
		}
		e.queries[k] = e.inList(found, i, mates[i], gallery.Len()-1, d)
		if p.progress != nil {
			p.progress("searching", k+1, len(withMates))
		}
	}
	if o.Now != nil {
		d.SearchMS = float64(spent.Microseconds()) / 1000 / float64(len(withMates))
	}
	e.Padded = d
	if d.ShouldBeListed > 0 {
		recall := float64(d.ListedMates) / float64(d.ShouldBeListed)
		e.ShortlistRecall = &recall
	}
	return nil
}

// inList ranks a query's mates in the list of a search. A mate whose own score
// lies above the list's end would stand there if the coarse search had passed
// it on: the share that does is the short list's recall. One that is not listed
// is ranked behind the list.
func (e *Evaluation) inList(found []correlate.Found, query int, mates []float64, others int, d *Padded) ranked {
	source := e.marks[query].Source
	r := ranked{rest: others - len(mates)}
	var own, other []float64
	for _, f := range found {
		i, err := strconv.Atoi(f.ID)
		if err == nil && e.marks[i].Source == source {
			own = append(own, f.Score)
			continue
		}
		if err != nil {
			d.DistractorMax = max(d.DistractorMax, f.Score)
		}
		other = append(other, f.Score)
	}
	if len(own) > 0 {
		r.mates = rank(own, other).mates
	}
	end := math.Inf(-1)
	if len(found) == listed {
		end = found[len(found)-1].Score
	}
	d.ListedMates += len(own)
	for _, s := range mates {
		if s >= end {
			d.ShouldBeListed++
		}
	}
	for len(r.mates) < len(mates) {
		r.mates = append(r.mates, len(found)+1)
	}
	r.first = slices.Min(r.mates)
	r.above = r.first - 1
	return r
}
