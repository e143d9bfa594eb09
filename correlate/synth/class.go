package synth

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Process is how a breech face was made.
type Process string

// Processes, and the pattern that each leaves.
const (
	Milled     Process = "milled"      // parallel, with feed marks
	FaceMilled Process = "face-milled" // arched, with feed marks
	Filed      Process = "filed"       // crossed strokes of changing direction
	Broached   Process = "broached"    // parallel and straight all the way, without feed marks
	Turned     Process = "turned"      // concentric, turned or ground
	Cast       Process = "cast"        // granular: cast, sintered or blasted
	Polished   Process = "polished"    // smooth: what polishing left over
)

// Pattern is the class of a breech face's machining marks, in the field's words.
type Pattern string

// Patterns of the processes.
const (
	Parallel   Pattern = "parallel"
	Arched     Pattern = "arched"
	Crossed    Pattern = "crossed"
	Concentric Pattern = "concentric"
	Granular   Pattern = "granular"
	Smooth     Pattern = "smooth"
)

func (p Process) pattern() Pattern {
	switch p {
	case Milled, Broached:
		return Parallel
	case FaceMilled:
		return Arched
	case Filed:
		return Crossed
	case Turned:
		return Concentric
	case Polished:
		return Smooth
	}
	return Granular
}

// feeds tells whether the process leaves marks of a regular feed.
func (p Process) feeds() bool { return p == Milled || p == FaceMilled || p == Turned }

// ApertureShape is the outline of the firing-pin aperture.
type ApertureShape string

// Shapes of apertures.
const (
	Round       ApertureShape = "round"
	Rectangular ApertureShape = "rectangular"
	Elliptical  ApertureShape = "elliptical"
)

// PinShape is the form of the firing pin's tip.
type PinShape string

// Shapes of pins' tips.
const (
	Hemispherical PinShape = "hemispherical"
	Conical       PinShape = "conical"
	Box           PinShape = "rectangular" // flat and rectangular
	Chisel        PinShape = "chisel"      // an edge along v
)

// Class is what all firearms of a make and model have in common. The classes of
// [Classes] are plausible; none claims to be a real make. Lengths in metres; u
// runs across the slide and v along the way the barrel drops.
type Class struct {
	Name     string
	Process  Process
	Pitch    float64 // of the feed; 0: drawn from 90 to 220 µm
	Cusp     float64 // RMS height of the feed marks; 0: drawn from 0.32 to 0.42 µm
	Relief   float64 // of all marks of the face against those of the Fadul set; 0: 1
	Aperture ApertureShape
	Width    float64 // of the aperture along u; 0: drawn, about 2.4 mm
	Height   float64 // along v; the same as Width for a round one
	Pin      PinShape
	PinWidth float64 // of the tip: twice its radius, or its size along u; 0: 1.9 mm
	PinDepth float64 // below the face; 0: 0.32 mm
	// Shear is the barrel's drop while the primer still stands in the aperture
	// (metres), which planes a striated facet; 0: none.
	Shear float64
}

// Classes returns the named presets.
func Classes() []Class {
	return []Class{
		{Name: "pistol-milled", Process: Milled, Aperture: Round, Pin: Hemispherical},
		{Name: "pistol-face-milled", Process: FaceMilled, Aperture: Round, Pin: Hemispherical},
		{Name: "pistol-cast", Process: Cast, Aperture: Round, Pin: Hemispherical},
		{Name: "pistol-filed", Process: Filed, Aperture: Round, Width: 2.0e-3, Pin: Conical, PinWidth: 1.5e-3, PinDepth: 0.26e-3},
		{Name: "pistol-broached", Process: Broached, Relief: 1.2, Aperture: Elliptical, Width: 1.8e-3, Height: 2.3e-3, Pin: Hemispherical, PinWidth: 1.6e-3, Shear: 0.18e-3},
		{Name: "striker-rectangular", Process: Cast, Relief: 0.45, Aperture: Rectangular, Width: 1.5e-3, Height: 2.3e-3, Pin: Box, PinWidth: 0.75e-3, PinDepth: 0.30e-3, Shear: 0.35e-3},
		{Name: "striker-round-shear", Process: Milled, Aperture: Round, Width: 2.0e-3, Pin: Hemispherical, PinWidth: 1.7e-3, PinDepth: 0.28e-3, Shear: 0.30e-3},
		{Name: "revolver-turned", Process: Turned, Pitch: 110e-6, Aperture: Round, Width: 1.9e-3, Pin: Hemispherical, PinWidth: 1.5e-3, PinDepth: 0.28e-3},
		{Name: "chisel-pin", Process: Filed, Relief: 0.8, Aperture: Round, Width: 2.1e-3, Pin: Chisel, PinWidth: 1.3e-3, PinDepth: 0.28e-3},
		{Name: "polished", Process: Polished, Aperture: Round, Width: 2.1e-3, Pin: Hemispherical, PinWidth: 1.7e-3},
	}
}

// ClassNamed returns the preset of this name.
func ClassNamed(name string) (Class, error) {
	var known []string
	for _, c := range Classes() {
		if c.Name == name {
			return c, nil
		}
		known = append(known, c.Name)
	}
	return Class{}, fmt.Errorf("no class of firearms is called %q; there are %q", name, known)
}

// Maker draws a maker of this class from a seed.
func (c Class) Maker(seed uint64) *Maker {
	return c.draw(seed, stream("maker of "+string(c.Process), seed))
}

func (c Class) draw(seed uint64, r *rand.Rand) *Maker {
	m := &Maker{
		seed:      seed,
		class:     c,
		direction: math.Pi * r.Float64(),
		pitch:     between(r, 90e-6, 220e-6),
		cusp:      between(r, 0.32e-6, 0.42e-6),
		arch:      between(r, 4e-3, 9e-3),
		striae:    between(r, 0.3, 0.5),
		edge:      between(r, 1.19e-3, 1.25e-3),
		drag:      2 * math.Pi * r.Float64(),
	}
	pick := func(v *float64, given float64) {
		if given != 0 {
			*v = given
		}
	}
	pick(&m.pitch, c.Pitch)
	pick(&m.cusp, c.Cusp)
	pick(&m.edge, c.Width/2)
	m.relief = 1
	pick(&m.relief, c.Relief)
	if c.Shear > 0 { // the barrel drops along v
		m.drag = math.Pi / 2
	}
	if c.PinWidth == 0 {
		m.class.PinWidth = 1.9e-3
	}
	if c.PinDepth == 0 {
		m.class.PinDepth = 0.32e-3
	}
	m.halfV = m.edge
	if c.Aperture == Rectangular || c.Aperture == Elliptical {
		pick(&m.halfV, c.Height/2)
	}
	if !c.Process.feeds() {
		m.cusp = 0
	}
	switch c.Process {
	case Cast:
		m.striae = 0
	case Broached, Filed:
		m.striae = between(r, 0.75, 0.9)
	case Polished:
		m.relief *= 0.2
	}
	return m
}

// outside is the distance of a point of the slide's frame from the aperture's
// edge in metres, negative within; for ellipses to first order.
func (m *Maker) outside(u, v float64) float64 {
	switch m.class.Aperture {
	case Rectangular:
		const corner = 0.15e-3
		du, dv := math.Abs(u)-m.edge+corner, math.Abs(v)-m.halfV+corner
		return math.Hypot(max(du, 0), max(dv, 0)) + min(max(du, dv), 0) - corner
	case Elliptical:
		a, b := u/m.edge, v/m.halfV
		f, g := math.Hypot(a, b), math.Hypot(a/m.edge, b/m.halfV)
		if g == 0 {
			return -min(m.edge, m.halfV)
		}
		return f * (f - 1) / g
	}
	return math.Hypot(u, v) - m.edge
}

// reach is how far the aperture extends along v at u, metres.
func (m *Maker) reach(u float64) float64 {
	if m.class.Aperture == Rectangular {
		return m.halfV
	}
	return m.halfV * math.Sqrt(max(0, 1-u*u/(m.edge*m.edge)))
}
