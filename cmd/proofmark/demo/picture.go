package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"proofmark/correlate"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/node/control"
	"proofmark/node/durable"
	"proofmark/protocol"
)

// errRealScans: a picture goes into documents, and real exhibits do not.
var errRealScans = errors.New("the picture is drawn of simulated scans only: leave out --scans")

// facePixels is the side of a face's image: twice its place in the picture, so that it stays sharp on a fine screen.
const facePixels = plateSide * 2

// draw writes the picture of the day to the file that was asked for.
func (f *federation) draw(ctx context.Context) error {
	d, err := f.drawing(ctx)
	if err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	svg := d.svg()
	if err := durable.Replace(f.o.Picture, svg, 0o644); err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	f.say("The picture of this day is drawn in %s (%d kB).", f.o.Picture, len(svg)/1000)
	return nil
}

// drawing gathers what the picture shows: counts of the day, and the pair that became the hit as the examiner in PT sees it.
func (f *federation) drawing(ctx context.Context) (*drawing, error) {
	v, err := call[*ballistics.CandidateView](ctx, f.bureaus[pt].examiner, "candidates.show", control.Ref{Ref: f.pair})
	if err != nil {
		return nil, err
	}
	if v.Comparison == nil {
		return nil, fmt.Errorf("the pair %s is of %s: the picture shows breech faces", v.Pair, v.ROI)
	}
	r := f.result
	d := &drawing{exhibits: r.Exhibits, bytes: r.BytesPerSignature, scan: f.meanScan(), lead: r.Lead, hit: r.Hit, taken: r.Retracted, trace: r.Trace,
		found: *v.Comparison, rank: [2]int{v.Rank, v.RankRev}}
	for i, c := range casts {
		b := drawnBureau{country: c.country, name: c.name, log: r.Audit[string(c.country)]}
		for _, l := range f.lots {
			if l.country == c.country {
				b.exhibits++
				b.bytes += l.bytes
			}
		}
		b.bytes /= max(b.exhibits, 1)
		d.bureaus[i] = b
	}
	sides := [2]ballistics.Side{v.Own, v.Other}
	var faces [2]*placed
	for i, s := range sides {
		l, err := f.lotOf(s.Signature)
		if err != nil {
			return nil, err
		}
		if faces[i], err = f.place(l); err != nil {
			return nil, err
		}
		d.faces[i] = drawnFace{title: string(s.Country), lines: faceLines(l, s.Offence), first: s.Signature == v.A}
		if !d.faces[i].first {
			faces[i].pose = v.Comparison.Pose
		}
	}
	if err := d.light(faces); err != nil {
		return nil, err
	}
	return d, nil
}

// light makes the images of both faces, in one view.
func (d *drawing) light(faces [2]*placed) (err error) {
	d.view = viewOf(faces[0], faces[1])
	for i, p := range faces {
		if d.faces[i].jpeg, err = encodeJPEG(p.lay(d.view, facePixels).shade()); err != nil {
			return err
		}
	}
	return nil
}

// faceLines name an exhibit as the picture does.
func faceLines(l *lot, offence string) []string {
	if l.origin == protocol.TestFire {
		return []string{"test fire of a", "recovered pistol"}
	}
	return []string{"evidence from", "a scene", offence}
}

func (f *federation) lotOf(signature string) (*lot, error) {
	i := slices.IndexFunc(f.lots, func(l *lot) bool { return l.signature == signature })
	if i < 0 {
		return nil, fmt.Errorf("no exhibit of the day has the signature %s", signature)
	}
	return f.lots[i], nil
}

// place reads a generated scan, of which the generator knows where its aperture is.
func (f *federation) place(l *lot) (*placed, error) {
	if l.shot == (synth.Shot{}) {
		return nil, errRealScans
	}
	b, err := os.ReadFile(l.path)
	if err != nil {
		return nil, err
	}
	s, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.name, err)
	}
	return &placed{scan: s, centre: [2]float64{l.shot.ShiftX * 1e6, l.shot.ShiftY * 1e6}, pose: correlate.Pose{}}, nil
}
