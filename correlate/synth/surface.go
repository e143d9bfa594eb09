package synth

import (
	"math"
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
	pressed := p.pressure.columns(1, p.x0, p.step, n)
	for row := range n {
		y := p.x0 + float64(row)*p.step
		clear(buf)
		p.warp[0].addRow(flowU, y)
		p.warp[1].addRow(flowV, y)
		pressed.addRow(pressure, y)
		p.form.row(form, y)
		p.residue.row(residue, y)
		p.primer.row(primer, y)
		for i := range n {
			x := p.x0 + float64(i)*p.step
			lean := x*p.lean[0] + y*p.lean[1]
			z[row*n+i] = p.height(x, y, local{flowU[i], flowV[i], pressure[i] + lean, form[i], residue[i], primer[i]})
		}
	}
}

// height returns the height in µm at a point of the scan (metres from its
// centre), NaN where the scan was cropped.
func (p *impression) height(x, y float64, at local) float64 {
	if !p.shot.Whole && x*x+y*y > p.radius*p.radius {
		return math.NaN()
	}
	seat, sink := math.Hypot(x-p.seatX, y-p.seatY), 0.0
	const rounding = 0.09e-3
	if t := (seat - p.flat + rounding) / rounding; t > 0 {
		if p.shot.Whole && t > 1 {
			return p.head.height(x-p.seatX, y-p.seatY, seat-p.flat) + 1e6*at.primer
		}
		sink = 50 * t * t // µm
	}
	u, v := p.toSlide(x, y)
	u, v = u+at.flowU, v+at.flowV
	m := p.firearm.maker
	rho := max(math.Hypot(u, v), 1e-9)
	rimU, rimV := u*m.edge/rho, v*m.edge/rho
	d := m.outside(u, v) - 4e-6*p.edge.at(rimU, rimV)
	if !p.shot.Whole {
		const margin = 0.04e-3
		if d < margin || math.Hypot(u-p.cropU, v-p.cropV) < p.crop {
			return math.NaN()
		}
	} else if d < 0 {
		return p.inside(u, v, -d, p.lip.at(rimU, rimV), at)
	}
	z := p.face(u, v, x-p.seatX, y-p.seatY, at) - sink
	if d < 0.15e-3 {
		z += p.lipRMS * 2 * max(0, p.lip.at(rimU, rimV)) * math.Exp(-d/20e-6)
	}
	if side := (u*p.dragCos + v*p.dragSin) / rho; side > 0 && d < 0.4e-3 {
		across, along := v*p.dragCos-u*p.dragSin, u*p.dragCos+v*p.dragSin
		z += 1e6 * p.shot.Drag * side * side * math.Exp(-d/100e-6) * p.drag.at(across, along)
	}
	return z
}

// face is the imprint of the breech face in µm at (u, v) in the slide's frame,
// which is (x, y) from the primer's centre.
func (p *impression) face(u, v, x, y float64, at local) float64 {
	contact := smoothStep((at.pressure-p.touch)/0.6 + 0.5)
	face := interpolate(p.faces, side, u/pitch+side/2, v/pitch+side/2)
	if face > 0 {
		face *= 1 - p.shot.Wear
	}
	// Harder pressed is deeper: contrast varies over a real impression.
	depth := p.shot.Pressure * p.cartridge.gain * (1 + 0.25*math.Tanh(at.pressure))
	z := 1e6 * at.form
	if contact > 0 {
		z += contact * (depth*face + 1e6*at.residue)
	}
	if contact < 1 {
		const untouched = 0.1 // µm above the imprint's mean
		z += (1 - contact) * (untouched + 1e6*at.primer)
	}
	return p.cartridge.cover(z, x, y, contact)
}

// inside is the height in µm of a point of the aperture that lies e within its
// edge: flow-back, sheared or not, and the firing pin's impression in it.
func (p *impression) inside(u, v, e, lip float64, at local) float64 {
	b, m := &p.bowl, p.firearm.maker
	// The flow-back is uneven at the edge and even further in, and it is a dome.
	dome := (1 + 0.3*lip*math.Exp(-e/50e-6)) * (1 - math.Exp(-e/8e-6)) * (1 + 0.5*e/m.edge)
	plate := b.flow*dome + e*(u*b.leanU+v*b.leanV)/m.edge
	plate = 1e6 * (plate + 0.7*at.residue + at.primer)
	if m.class.Shear > 0 {
		plate = p.sheared(plate, u, v)
	}
	pinU, pinV := u-b.pinU, v-b.pinV
	// The pin drags its impression along as the barrel drops.
	sin, cos := math.Sincos(m.drag)
	along := pinU*cos + pinV*sin
	// The lowest of all forms swept up a slope.
	dragged := min(max(along-b.pin.heel(), 0), b.tail)
	pinU, pinV = pinU-dragged*cos, pinV-dragged*sin
	tip := 1e6 * (p.bowl.pin.form(pinU, pinV) - b.depth + rise*dragged)
	const round = 45 // µm of height over which the cup is drawn in
	z := smoothMin(plate, tip, round)
	if struck := smoothStep((plate - tip) / round); struck > 0 {
		gain := p.shot.Pressure
		if dragged > 0 {
			gain *= math.Exp(-dragged / 40e-6) // smeared
		}
		z += struck * (gain*p.bowl.pin.marks(pinU, pinV) + 0.6e6*at.residue)
	}
	return z
}

// sheared planes the flow-back that the aperture's edge passed over: a facet that
// rises from the edge inwards, with the edge's striae along the barrel's drop.
func (p *impression) sheared(plate, u, v float64) float64 {
	b, m := &p.bowl, p.firearm.maker
	e := m.reach(u) - v // from the edge, against the drop
	if v <= 0 || e > m.class.Shear {
		return plate
	}
	// Beside and beyond the facet the flow-back stands as it was.
	share := smoothStep((0.8*m.edge-math.Abs(u))/60e-6) * smoothStep((m.class.Shear-e)/20e-6)
	if share == 0 {
		return plate
	}
	striae := b.shear.at(u + b.slip + b.skew*e)
	facet := 1e6 * (3e-6 + b.facet*e + striae)
	return plate + share*(min(plate, facet)-plate)
}

// touchPressure finds the pressure that the wanted share of the face exceeds.
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
			if u, v := p.toSlide(x, y); math.Hypot(x, y) <= p.radius && p.firearm.maker.outside(u, v) >= 0 {
				ring = append(ring, p.pressure.at(x, y)+x*p.lean[0]+y*p.lean[1])
			}
		}
	}
	if len(ring) == 0 { // the aperture fills the scan: nothing to touch
		return math.Inf(1)
	}
	slices.Sort(ring)
	return ring[min(int(float64(len(ring))*(1-p.shot.Contact)), len(ring)-1)]
}
