package ballistics

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"proofmark/correlate"
	"proofmark/correlate/calibrate"
	"proofmark/node/index"
	"proofmark/node/tracing"
	"proofmark/protocol"
)

// Calibration is a model that turns the scores of one region and algorithm into likelihood ratios.
type Calibration struct {
	File  string // in the folder of calibrations; empty for the program's own
	Hash  string // SHA-256 of the file, hex
	Model *calibrate.Model
}

// ReadCalibration reads a model file strictly: see calibrate.Parse.
func ReadCalibration(file string, b []byte) (Calibration, error) {
	m, err := calibrate.Parse(b)
	if err != nil {
		return Calibration{}, fmt.Errorf("%s: %w", file, err)
	}
	sum := sha256.Sum256(b)
	return Calibration{file, hex.EncodeToString(sum[:]), m}, nil
}

// Name says which calibration it is, to people.
func (c Calibration) Name() string {
	p := c.Model.Population
	where := c.File
	if where == "" {
		where = "built in"
	}
	return fmt.Sprintf("%s, version %s: %s by %s (%s)", p.Name, p.Version, c.Model.Region, c.Model.Algorithm, where)
}

// Calibrations are the models that a node goes by, in the order in which they are asked.
type Calibrations []Calibration

// DefaultCalibrations are the program's own.
var DefaultCalibrations = sync.OnceValue(func() Calibrations {
	b, err := calibrate.Default().Marshal()
	if err != nil {
		panic("ballistics: the program's own calibration: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return Calibrations{{Hash: hex.EncodeToString(sum[:]), Model: calibrate.Default()}}
})

// NewCalibrations puts a bureau's own models, ordered by file name, before the program's own. Two that speak for the same region, algorithm, make and
// calibre are refused: nobody could say which one a number rests on.
func NewCalibrations(own []Calibration) (Calibrations, error) {
	own = slices.Clone(own)
	slices.SortFunc(own, func(a, b Calibration) int { return strings.Compare(a.File, b.File) })
	for i, c := range own {
		for _, other := range own[:i] {
			if class, ok := c.overlap(other); ok {
				return nil, fmt.Errorf("%s and %s both speak for the %s of %s by %s: keep one of them", other.File, c.File, c.Model.Region, class, c.Model.Algorithm)
			}
		}
	}
	return append(own, DefaultCalibrations()...), nil
}

// serves tells whether a model was fitted on scores of a region by an algorithm.
func (c Calibration) serves(roi correlate.ROI, algorithm string) bool {
	return c.Model.Region == string(roi) && c.Model.Algorithm == algorithm
}

// overlap names a class that two models of one region and algorithm both hold.
func (c Calibration) overlap(d Calibration) (calibrate.Class, bool) {
	if !c.serves(correlate.ROI(d.Model.Region), d.Model.Algorithm) {
		return calibrate.Class{}, false
	}
	for _, k := range c.Model.Population.Classes {
		for _, l := range d.Model.Population.Classes {
			if sameMake(k.Make, l.Make) && sameCalibre(k.Calibre, l.Calibre) {
				return k, true
			}
		}
	}
	return calibrate.Class{}, false
}

func sameMake(a, b string) bool { return strings.EqualFold(a, b) || tracing.SameMake(a, b) }

func sameCalibre(a, b string) bool {
	return strings.EqualFold(a, b) || !tracing.Bare(a) && tracing.Family(a) != "" && tracing.Family(a) == tracing.Family(b)
}

// classIn is an exhibit's class in the words of a model's population, which compares them as they are written: Sturm, Ruger & Co. is its Ruger, and
// 9 mm Luger its 9x19. A bare bore names no cartridge, and says nothing.
func (c Calibration) classIn(s *Signature) calibrate.Class {
	out := calibrate.Class{Make: s.Make, Calibre: s.Class.Calibre}
	if tracing.Bare(out.Calibre) {
		out.Calibre = ""
	}
	for _, k := range c.Model.Population.Classes {
		if sameMake(k.Make, out.Make) {
			out.Make = k.Make
		}
		if sameCalibre(k.Calibre, out.Calibre) {
			out.Calibre = k.Calibre
		}
	}
	return out
}

// Evidence says what the models make of a comparison: of the first that speaks for the two exhibits, the likelihood ratio; or why there is none. The make
// of the firearm is known of test fires whose owner discloses it, and of evidence it is not: see calibrate.Model.Evaluate.
func (m Calibrations) Evidence(a, b *Signature, f *index.Finding) *protocol.LikelihoodRatio {
	var none *protocol.LikelihoodRatio
	for _, c := range m {
		if f.Comparison == nil || !c.serves(a.ROI, f.Algorithm) {
			continue
		}
		e := c.Model.Evaluate(calibrate.FeaturesOf(*f.Comparison), f.Algorithm, c.classIn(a), c.classIn(b))
		lr := &protocol.LikelihoodRatio{Calibrated: e.Calibrated, Log10LR: e.Log10LR, AtBound: e.AtBound, Reason: oneLine(e.Reason), Population: e.Population, Version: e.Version,
			Model: c.Hash, Limits: e.Limits}
		if e.Calibrated {
			return lr
		}
		if none == nil {
			none = lr
		}
	}
	if none == nil {
		return &protocol.LikelihoodRatio{Reason: uncalibrated(a.ROI, f.Algorithm)}
	}
	return none
}

// maxReason is what a document takes, in bytes.
const maxReason = 1000

// oneLine brings a reason, which quotes what owners and models say, into the form of a document's field.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '\u2028' || r == '\u2029' }), " ")
	if len(s) <= maxReason {
		return s
	}
	const more = " …"
	s = s[:maxReason-len(more)]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + more
}

// uncalibrated says why no model speaks for a region.
func uncalibrated(roi correlate.ROI, algorithm string) string {
	if roi == correlate.LEA {
		return "not calibrated: no set of bullets with known barrels is at hand that is large enough to fit a model for " + algorithm
	}
	return fmt.Sprintf("not calibrated: no model was fitted for the %s by %s; a bureau fits its own with proofmark calibrate", roi, algorithm)
}
