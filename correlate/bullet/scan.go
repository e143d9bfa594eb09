package bullet

// The first pass tries lengths as they are and 2 % longer and shorter: a mate is
// found within about one per cent of any. Measured on generated bullets: chanceCoarse
// is the mean coarse score of lands of different barrels, scanAllowance what the
// other two scales give chance more.
const (
	chanceCoarse  = 3.4
	scanAllowance = 0.15
)

var scanStretches = [3]int{0, -4, 4}

// scan is a query ready for the first pass.
type scan struct {
	bullet       *Bullet
	arrangements []Arrangement
	scales       int                             // of scanStretches
	probes       [2][len(scanStretches)][]*probe // as recorded, mirrored; nil where a land is not usable
}

func newScan(b *Bullet, arrangements []Arrangement, sameScale bool) *scan {
	s := &scan{bullet: b, arrangements: arrangements, scales: len(scanStretches)}
	if sameScale {
		s.scales = 1
	}
	for _, how := range arrangements {
		side := how.side()
		if s.probes[side][0] != nil {
			continue
		}
		for k := range s.scales {
			s.probes[side][k] = make([]*probe, b.Count())
		}
		for i, l := range b.lands {
			if !b.usable(i) {
				continue
			}
			if how.Mirrored {
				l = l.Mirrored()
			}
			var row quarterRow
			row.interpolate(l)
			p := profile{l, new(heights), new(heights)}
			for k := range s.scales {
				p.stretch(&row, scanStretches[k])
				s.probes[side][k][i] = newProbe(p.whole.ternary())
			}
		}
	}
	return s
}

// score is the best phase's coarse score over all scales, with the same allowances
// for chance as the comparison makes: −1000 where no phase has enough lands.
func (s *scan) score(kernel kernel, it *item) float64 {
	best := -1000.0
	for side := range s.probes {
		for k, probes := range s.probes[side][:s.scales] {
			var grid [MaxLands][MaxLands]float64
			for i, p := range probes {
				if p == nil {
					continue
				}
				for j := range it.codes {
					if it.usable>>j&1 != 0 {
						grid[i][j] = kernel.best(p, &it.codes[j])
					}
				}
			}
			for _, how := range s.arrangements {
				if how.side() != side {
					continue
				}
				for phase := range len(it.codes) {
					c := choice{arrangement: how, phase: phase}
					sum := 0.0
					for i, p := range probes {
						if j := c.partner(i, len(it.codes)); p != nil && it.usable>>j&1 != 0 {
							sum += grid[i][j]
							c.counted++
						}
					}
					if c.counted < MinLands {
						continue
					}
					score := chanceCoarse + float64((sum/float64(c.counted)-chanceCoarse)*scatter[c.counted])
					if k > 0 {
						score -= scanAllowance
					}
					best = max(best, score)
				}
			}
		}
	}
	return best
}
