//go:build !race

package correlate

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/correlate/x3p/edit"
)

// spoilt is a copy of a scan with other heights; f gets µm from the corner and the
// height in µm, NaN where missing.
func spoilt(s *x3p.Scan, f func(x, y, z float64) float64) *x3p.Scan {
	out := *s
	out.Z = make([]float64, len(s.Z))
	for i, z := range s.Z {
		x, y := (float64(i%s.SizeX)+0.5)*s.IncX*1e6, (float64(i/s.SizeX)+0.5)*s.IncY*1e6
		out.Z[i] = f(x, y, z*1e6) / 1e6
	}
	return &out
}

func tilted(s *x3p.Scan, towards, degrees float64) *x3p.Scan {
	slope := math.Tan(degrees * math.Pi / 180)
	sin, cos := math.Sincos(towards * math.Pi / 180)
	return spoilt(s, func(x, y, z float64) float64 { return z + slope*(cos*x+sin*y) })
}

func resampled(t *testing.T, s *x3p.Scan, pitch float64) *x3p.Scan {
	t.Helper()
	out, err := edit.Resample(s, pitch*1e-6)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// trouble is what befalls a raw scan of a primer. at is the aperture's centre and
// radius in µm.
type trouble struct {
	name string
	do   func(t *testing.T, s *x3p.Scan, at centre) *x3p.Scan
	off  float64 // µm that the origin may move
	keep float64 // share of the mate's score that must be left
	says string
}

var troubles = []trouble{
	{"as it is", func(_ *testing.T, s *x3p.Scan, _ centre) *x3p.Scan { return s }, 0, 1, ""},
	{"tilted 5°", func(_ *testing.T, s *x3p.Scan, _ centre) *x3p.Scan { return tilted(s, 30, 5) }, 30, 0.9, ""},
	{"tilted 10°", func(_ *testing.T, s *x3p.Scan, _ centre) *x3p.Scan { return tilted(s, -70, 10) }, 40, 0.9, ""},
	{"pitch 2 µm", func(t *testing.T, s *x3p.Scan, _ centre) *x3p.Scan { return resampled(t, s, 2) }, 30, 0.9, ""},
	{"pitch 6.25 µm", func(t *testing.T, s *x3p.Scan, _ centre) *x3p.Scan { return resampled(t, s, 6.25) }, 30, 0.9, ""},
	{"pitch 10 µm", func(t *testing.T, s *x3p.Scan, _ centre) *x3p.Scan { return resampled(t, s, 10) }, 40, 0.85, ""},
	{"dropouts 20 %", func(_ *testing.T, s *x3p.Scan, _ centre) *x3p.Scan {
		r := rand.New(rand.NewPCG(1, 1))
		return spoilt(s, func(_, _, z float64) float64 {
			if r.IntN(5) == 0 {
				return math.NaN()
			}
			return z
		})
	}, 30, 0.9, ""},
	{"dropouts in spots", func(_ *testing.T, s *x3p.Scan, _ centre) *x3p.Scan {
		lost := texture(77)
		return spoilt(s, func(x, y, z float64) float64 {
			if lost.at(x*3, y*3) > 0.85 {
				return math.NaN()
			}
			return z
		})
	}, 40, 0.8, ""},
	{"spikes 0.2 %", func(_ *testing.T, s *x3p.Scan, _ centre) *x3p.Scan {
		r := rand.New(rand.NewPCG(2, 2))
		return spoilt(s, func(_, _, z float64) float64 {
			if r.IntN(500) == 0 {
				return z + 60*(r.Float64()-0.5)
			}
			return z
		})
	}, 40, 0.75, ""},
	{"ridge around the aperture", func(_ *testing.T, s *x3p.Scan, at centre) *x3p.Scan {
		return spoilt(s, func(x, y, z float64) float64 {
			r := math.Hypot(x-at.x, y-at.y) - at.radius
			if x > at.x || r < 0 {
				return z
			}
			return z + 25*math.Exp(-r*r/(60*60))
		})
	}, 90, 0.7, ""},
	{"drag opens the aperture", func(_ *testing.T, s *x3p.Scan, at centre) *x3p.Scan {
		return spoilt(s, func(x, y, z float64) float64 {
			if y > at.y && math.Abs(x-at.x) < 250 {
				return z - 40*math.Max(0, 1-math.Abs(x-at.x)/250)
			}
			return z
		})
	}, 80, 0.7, ""},
	{"headstamp and rim in view", func(_ *testing.T, s *x3p.Scan, at centre) *x3p.Scan {
		return spoilt(s, func(x, y, z float64) float64 {
			if r := math.Hypot(x-at.x, y-at.y); r > 1950 && z-z != 0 {
				return 60 + 20*math.Sin(x/90)*math.Sin(y/130)
			}
			return z
		})
	}, 30, 0.9, ""},
	{"upside down", func(_ *testing.T, s *x3p.Scan, _ centre) *x3p.Scan {
		return spoilt(s, func(_, _, z float64) float64 { return -z })
	}, 60, 0, "upside down"},
}

// rawPair is two raw scans of one firearm and one of another.
func rawPairs(t *testing.T) map[string][3]*x3p.Scan {
	f, g := synth.NewMaker(3).Firearm(1), synth.NewMaker(3).Firearm(2)
	whole := func(f *synth.Firearm, seed uint64) *x3p.Scan {
		return f.Fire(seed, synth.Shot{Whole: true, Instrument: synth.Instrument{Pitch: 6.25e-6, Field: 4.2e-3}})
	}
	out := map[string][3]*x3p.Scan{"generated": {whole(f, 1), whole(f, 2), whole(g, 3)}}
	if realScans(t, "fadul") != nil && !raceDetector {
		read := func(name string) *x3p.Scan { return readScan(t, "fadul-raw/fadul-"+name+".raw.x3p") }
		out["real"] = [3]*x3p.Scan{read("1-1"), read("1-2"), read("2-1")}
	}
	return out
}

// TestRawScansInTrouble spoils a raw scan in the ways that instruments and
// cartridges do: it must enrol, keep its origin and find its mate.
func TestRawScansInTrouble(t *testing.T) {
	for name, scans := range rawPairs(t) {
		good, q, err := Encode(scans[0], BreechFace)
		if err != nil {
			t.Fatal(err)
		}
		at := centre{x: q.OriginX, y: q.OriginY, radius: good.Facts().Aperture}
		mate, stranger := mustTemplate(t, scans[1]), mustTemplate(t, scans[2])
		clean := Compare(NewTemplate(good), mate).Score
		if clean < 0.45 {
			t.Errorf("%s: mates score %.3f", name, clean)
		}
		for i, c := range troubles {
			if raceDetector && i%5 > 0 {
				continue // the figures are the plain run's
			}
			sig, got, err := Encode(c.do(t, scans[0], at), BreechFace)
			if err != nil {
				t.Errorf("%s, %s: %v", name, c.name, err)
				continue
			}
			tmpl := NewTemplate(sig)
			m, s := Compare(tmpl, mate).Score, Compare(tmpl, stranger).Score
			off := math.Hypot(got.OriginX-at.x, got.OriginY-at.y)
			t.Logf("%-9s %-26s origin moved %4.0f µm (kind %d), %.2f mm², mate %.3f, stranger %.3f, %v", name, c.name, off, sig.centre, got.AreaMM2, m, s, got.Reasons)
			if off > c.off || m < c.keep*clean || s > 0.25 || (c.keep > 0 && !got.Accept) {
				t.Errorf("%s, %s: origin moved %.0f µm, mate %.3f of %.3f, stranger %.3f, %+v", name, c.name, off, m, clean, s, got)
			}
			if c.says == "" != !strings.Contains(strings.Join(got.Reasons, "; "), "upside down") {
				t.Errorf("%s, %s: %v", name, c.name, got.Reasons)
			}
		}
	}
}

// Raw scans find their mates first among all processed ones, and themselves
// processed.
func TestRawFindsProcessed(t *testing.T) {
	set := realScans(t, "fadul")
	if set == nil || raceDetector {
		f := synth.NewMaker(5).Firearm(1)
		raw := mustTemplate(t, f.Fire(1, synth.Shot{Whole: true}))
		if c := Compare(raw, mustTemplate(t, f.Fire(2, synth.Shot{}))); c.Score < 0.45 {
			t.Errorf("generated: mate %.3f", c.Score)
		}
		if c := Compare(raw, mustTemplate(t, synth.NewMaker(5).Firearm(2).Fire(3, synth.Shot{}))); c.Score > 0.25 {
			t.Errorf("generated: stranger %.3f", c.Score)
		}
		return
	}
	sources := map[string]string{}
	for _, l := range set {
		sources[strings.TrimSuffix(l.name, ".x3p")] = l.source
	}
	for _, name := range []string{"fadul-1-1", "fadul-1-2", "fadul-2-1"} {
		raw := mustTemplate(t, readScan(t, "fadul-raw/"+name+".raw.x3p"))
		own, least, most := 0.0, 1.0, 0.0
		for _, l := range set {
			c := Compare(raw, NewTemplate(l.signature(t))).Score
			switch {
			case l.name == name+".x3p":
				own = c
			case l.source == sources[name]:
				least = min(least, c)
			default:
				most = max(most, c)
			}
		}
		t.Logf("%s: own %.3f, mates from %.3f, strangers to %.3f", name, own, least, most)
		if own < 0.65 || least < 0.4 || most > 0.25 {
			t.Errorf("%s: own %.3f, mates from %.3f, strangers to %.3f", name, own, least, most)
		}
	}
}
