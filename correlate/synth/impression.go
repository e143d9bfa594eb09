package synth

import (
	"math"
	"math/rand/v2"
	"slices"
)

// local is what the shot's own fields say at one point: lateral flow in metres,
// pressure in standard deviations, the rest in metres of height.
type local struct {
	flowU, flowV, pressure, form, residue, primer float64
}

// rows fills the n × n heights in µm.
func (p *impression) rows(z []float64) {
	n := p.n
	buf := make([]float64, 6*n)
	flowU, flowV, pressure, form, residue, primer := buf[:n], buf[n:2*n], buf[2*n:3*n], buf[3*n:4*n], buf[4*n:5*n], buf[5*n:]
	pressed := p.pressure.columns(1, p.x0, n)
	for row := range n {
		y := p.x0 + float64(row)*pitch
		clear(buf)
		p.warp[0].addRow(flowU, y)
		p.warp[1].addRow(flowV, y)
		pressed.addRow(pressure, y)
		p.form.row(form, y)
		p.residue.row(residue, y)
		p.primer.row(primer, y)
		for i := range n {
			z[row*n+i] = p.height(p.x0+float64(i)*pitch, y, local{flowU[i], flowV[i], pressure[i], form[i], residue[i], primer[i]})
		}
	}
}

// height returns the height in µm at a point of the scan (metres from its
// centre), NaN beyond the primer and in the aperture.
func (p *impression) height(x, y float64, at local) float64 {
	if x*x+y*y > p.radius*p.radius {
		return math.NaN()
	}
	u, v := p.toSlide(x, y)
	u, v = u+at.flowU, v+at.flowV
	aperture := p.firearm.maker.aperture
	rho := math.Hypot(u, v)
	if rho < aperture-0.1e-3 {
		return math.NaN()
	}
	rimU, rimV := u*aperture/rho, v*aperture/rho
	d := rho - aperture - 4e-6*p.edge.at(rimU, rimV)
	if d < 0 {
		return math.NaN()
	}
	contact := smoothStep((at.pressure-p.touch)/0.6 + 0.5)
	face := p.firearm.at(u, v)
	if face > 0 {
		face *= 1 - p.shot.Wear
	}
	// Harder pressed is deeper: contrast varies over a real impression.
	depth := 1 + 0.25*math.Tanh(at.pressure)
	z := 1e6 * at.form
	if contact > 0 {
		z += contact * (depth*face + 1e6*at.residue)
	}
	if contact < 1 {
		const untouched = 0.1 // µm above the imprint's mean
		z += (1 - contact) * (untouched + 1e6*at.primer)
	}
	if d < 0.15e-3 {
		z += p.lipRMS * 2 * max(0, p.lip.at(rimU, rimV)) * math.Exp(-d/20e-6)
	}
	if side := (u*p.dragCos + v*p.dragSin) / rho; side > 0 && d < 0.4e-3 {
		across, along := v*p.dragCos-u*p.dragSin, u*p.dragCos+v*p.dragSin
		z += p.dragRMS * side * side * math.Exp(-d/100e-6) * p.drag.at(across, along)
	}
	return z
}

// touchPressure finds the pressure that the wanted share of the ring exceeds.
func (p *impression) touchPressure() float64 {
	switch {
	case p.shot.Contact >= 1:
		return math.Inf(-1)
	case p.shot.Contact <= 0:
		return math.Inf(1)
	}
	const grid = 64
	var ring []float64
	for j := range grid {
		for i := range grid {
			x, y := (2*(float64(i)+0.5)/grid-1)*p.radius, (2*(float64(j)+0.5)/grid-1)*p.radius
			if u, v := p.toSlide(x, y); math.Hypot(x, y) <= p.radius && math.Hypot(u, v) >= p.firearm.maker.aperture {
				ring = append(ring, p.pressure.at(x, y))
			}
		}
	}
	if len(ring) == 0 { // the aperture fills the scan: nothing to touch
		return math.Inf(1)
	}
	slices.Sort(ring)
	return ring[min(int(float64(len(ring))*(1-p.shot.Contact)), len(ring)-1)]
}

func smoothStep(t float64) float64 {
	t = min(max(t, 0), 1)
	return t * t * (3 - 2*t)
}

// measure is the instrument: it loses what is too steep for its aperture (NA 0.30
// takes light from slopes up to about 0.35) and some spots more, adds noise and
// outliers, takes off the mean, and turns µm into metres.
func measure(r *rand.Rand, z []float64, n int, s Shot) {
	const steepest = 0.35 * pitch * 1e6 // µm per point
	lost := make([]bool, len(z))
	for y := range n {
		for x := range n {
			i := y*n + x
			if math.IsNaN(z[i]) {
				continue
			}
			dx, dy := difference(z, i, 1, x, n), difference(z, i, n, y, n)
			lost[i] = dx*dx+dy*dy > steepest*steepest
		}
	}
	const spot = 9 // points that one lost spot takes on the average
	for range int(s.Dropout * float64(len(z)) / spot) {
		x, y, radius := r.IntN(n), r.IntN(n), between(r, 0.5, 2.6)
		for dy := -2; dy <= 2; dy++ {
			for dx := -2; dx <= 2; dx++ {
				if i, j := x+dx, y+dy; i >= 0 && j >= 0 && i < n && j < n && float64(dx*dx+dy*dy) <= radius*radius {
					lost[j*n+i] = true
				}
			}
		}
	}
	sum, kept := 0.0, 0
	for i := range z {
		if lost[i] {
			z[i] = math.NaN()
		}
		if math.IsNaN(z[i]) {
			continue
		}
		z[i] += s.Noise * 1e6 * r.NormFloat64()
		if r.Float64() < 2e-4 && s.Noise > 0 {
			z[i] += between(r, -6, 6)
		}
		sum += z[i]
		kept++
	}
	mean := sum / float64(max(kept, 1))
	for i := range z {
		z[i] = (z[i] - mean) * 1e-6
	}
}

// difference is the slope per point along one axis from the neighbours there are.
func difference(z []float64, i, step, at, n int) float64 {
	lo, hi, span := z[i], z[i], 0.0
	if at > 0 && !math.IsNaN(z[i-step]) {
		lo, span = z[i-step], span+1
	}
	if at < n-1 && !math.IsNaN(z[i+step]) {
		hi, span = z[i+step], span+1
	}
	return (hi - lo) / max(span, 1)
}
