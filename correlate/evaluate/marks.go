package evaluate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/x3p"
)

// mark is one labelled scan on its way to comparison.
type mark struct {
	Labelled
	quality correlate.Quality
	bytes   int
	whole   *correlate.Template // nil where the gate or the reader rejected it
	query   *correlate.Template // whole, or cut to a sector; nil where nothing was left of it
	rejects []string            // why whole is nil
	cutOff  float64             // µm between the centres found in the cut and in the whole scan
	cutLost string              // why query is nil or below the gate
	land    *bullet.Land        // of a bullet; nil where it was rejected
	patch   *patch              // where distractors are wanted
}

// Rejection is a scan that is not compared, and why.
type Rejection struct {
	Scan    string   `json:"scan"`
	Reasons []string `json:"reasons"`
}

// readMarks reads and encodes every scan of the table. A scan that cannot be
// used is a rejection; one that is not there is an error.
func readMarks(p parallel, folder fs.FS, set []Labelled, o Options) ([]*mark, error) {
	marks := make([]*mark, len(set))
	errs := make([]error, len(set))
	err := p.named("encoding scans").each(len(set), func(i int) {
		marks[i], errs[i] = readMark(folder, set[i], o, rand.New(rand.NewPCG(o.Seed, uint64(i))))
	})
	return marks, errors.Join(err, errors.Join(errs...))
}

func readMark(folder fs.FS, l Labelled, o Options, rng *rand.Rand) (*mark, error) {
	m := &mark{Labelled: l}
	reject := func(reasons ...string) (*mark, error) {
		m.rejects = reasons
		return m, nil
	}
	b, err := readScan(folder, l.Scan)
	if err != nil {
		return nil, err
	}
	scan, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		return reject("unreadable: " + err.Error())
	}
	sig, q, err := correlate.Encode(scan, o.ROI)
	m.quality = q
	if err != nil {
		return reject(err.Error())
	}
	packed, err := sig.MarshalBinary()
	if err != nil {
		return reject(err.Error())
	}
	m.bytes = len(packed)
	if !q.Accept {
		return reject(append([]string{fmt.Sprintf("quality %.2f", q.Score)}, q.Reasons...)...)
	}
	m.whole = correlate.NewTemplate(sig)
	m.query = m.whole
	if o.Distractors > 0 {
		m.patch = newPatch(scan, q.OriginX, q.OriginY)
	}
	if o.Sector > 0 {
		m.query = nil
		part, cut, err := correlate.Encode(cutSector(scan, q.OriginX, q.OriginY, o.Sector/100, rng.Float64()*360), o.ROI)
		if err != nil {
			m.cutLost = err.Error()
			return m, nil
		}
		if !cut.Accept {
			m.cutLost = fmt.Sprintf("quality %.2f", cut.Score)
		}
		m.cutOff = math.Hypot(cut.OriginX-q.OriginX, cut.OriginY-q.OriginY)
		m.query = correlate.NewTemplate(part)
	}
	return m, nil
}

// readScan reads a file of the folder within the format's limit.
func readScan(folder fs.FS, name string) ([]byte, error) {
	limit := x3p.DefaultLimits().MaxFile
	f, err := folder.Open(name)
	if err != nil {
		return nil, fmt.Errorf("scan %s of the truth table: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("scan %s has more than %d bytes", name, limit)
	}
	return b, nil
}

// faceRadius in µm bounds what counts as the mark when a share of it is cut out:
// the signature's frame reaches as far.
const faceRadius = 2190.0

// cutSector keeps a sector of a scan around a centre (µm from the first corner):
// from the direction start (degrees) on as far as it takes to hold the share of
// the valid points. The cut scan is encoded anew, without the whole one's centre
// or segmentation, as a partial mark would be.
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
