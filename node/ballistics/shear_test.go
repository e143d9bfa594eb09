package ballistics

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/shear"
	"proofmark/correlate/x3p"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// facet is a scan of striae that an aperture's edge drew: the same for the same edge but for a shift, a tilt and noise of each shot.
func facet(t *testing.T, edge, shot uint64, height float64) []byte {
	t.Helper()
	const nx, ny, pitch = 320, 160, 3.125e-6
	gun, own := rand.New(rand.NewPCG(edge, 1)), rand.New(rand.NewPCG(edge, 100+shot))
	striae := make([]float64, 2*nx)
	for k := 1; k < 60; k++ { // wavelengths from 20 to 2,000 µm, the middle ones the strongest
		size, phase := height*gun.NormFloat64()/math.Hypot(1, 8/float64(k)), 2*math.Pi*gun.Float64()
		for i := range striae {
			striae[i] += size * math.Sin(2*math.Pi*float64(k*i)/float64(len(striae))+phase)
		}
	}
	shift, slope := own.IntN(12), 0.02*own.NormFloat64()
	s := &x3p.Scan{SizeX: nx, SizeY: ny, IncX: pitch, IncY: pitch, Z: make([]float64, nx*ny)}
	for i := range s.Z {
		x, y := i%nx, i/nx
		s.Z[i] = 1e-6*(striae[x+shift]+0.03*own.NormFloat64()) + slope*float64(y)*pitch
	}
	var b bytes.Buffer
	if err := x3p.Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (l *lab) acquireShear(number string, scan []byte) (*Acquisition, error) {
	return l.Acquire(l.t.Context(), tech, "", NewAcquisition{Exhibit: number, ROI: "aperture-shear", Scans: []File{{Name: number + ".x3p", Content: scan}}})
}

// TestRegionsOfOneExhibitAreSeparateAcquisitions: the aperture shear finds its mate abroad, and the breech face of the same exhibit stays out of it.
func TestRegionsOfOneExhibitAreSeparateAcquisitions(t *testing.T) {
	both := labs(t, "PT", "ES")
	pt, es := both[0], both[1]
	pt.crime("PT-1")
	es.crime("ES-1")
	pt.exhibit("P1", "PT-1")
	es.exhibit("E1", "ES-1")
	es.exhibit("E2", "ES-1")
	face := pt.acquire("P1", shot(t, 5, 1))
	a, err := pt.acquireShear("P1", facet(t, 1, 1, 0.1))
	if err != nil {
		t.Fatal(err)
	}
	b, err := es.acquireShear("E1", facet(t, 1, 2, 0.1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := es.acquireShear("E2", facet(t, 2, 1, 0.1)); err != nil {
		t.Fatal(err)
	}
	if a.ID == face.ID || a.Algorithm != shear.Algorithm || a.Quality.Shear == nil || a.Quality.Areal != nil || a.Bytes > shear.MaxSignatureSize {
		t.Errorf("%+v", a)
	}
	carry(t, pt, es)
	carry(t, es, pt)
	pt.settle()
	es.settle()
	pair := protocol.PairID(a.Signature, b.Signature)
	mine, err := pt.Candidate(t.Context(), exam1, pair)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := es.Candidate(t.Context(), exam1, pair)
	if err != nil {
		t.Fatal(err)
	}
	if mine.Rank != 1 || theirs.Rank != 1 || mine.Shear == nil || mine.Score < 0.5 || mine.Score != theirs.Score || mine.Shear.Lag != theirs.Shear.Lag || mine.ROI != correlate.ApertureShear {
		t.Errorf("PT found %+v at rank %d, ES %+v at rank %d", mine.Shear, mine.Rank, theirs.Shear, theirs.Rank)
	}
	if lr := mine.LikelihoodRatio; lr == nil || lr.Calibrated || !strings.Contains(lr.Reason, "no model was fitted for the aperture-shear") {
		t.Errorf("%+v", lr)
	}
	if p, err := pt.Picture(t.Context(), exam1, pair); err != nil || !bytes.Contains(p.SVG, []byte("<svg")) {
		t.Errorf("picture: %v", err)
	}
	if list, err := pt.Candidates(t.Context(), exam1, CandidateFilter{Signature: face.Signature}); err != nil || len(list) != 0 {
		t.Errorf("the breech face was compared with %d marks, %v", len(list), err)
	}
	if _, err := pt.acquireShear("P1", facet(t, 3, 1, 0.001)); !errors.Is(err, desk.ErrInvalid) {
		t.Errorf("weak striae: %v", err)
	}
}

// TestWhatBecomesKnownIsCompared: a signature that was kept because its algorithm was unknown is queued by the first start that knows it; what then turns
// out to be none stays where it was, with the reason, and keeps nothing from starting.
func TestWhatBecomesKnownIsCompared(t *testing.T) {
	pt := labs(t, "PT", "ES")[0]
	foreign := func(id string, bytes []byte) *Signature {
		return &Signature{ID: id, Country: "ES", Exhibit: "x" + id, ROI: correlate.BreechFace, Kind: protocol.CartridgeCase, Origin: protocol.Evidence, Algorithm: correlate.Algorithm, Bytes: bytes,
			NotCompared: "this node does not know the algorithm " + correlate.Algorithm}
	}
	err := pt.Store.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(signatures.Put(tx, "good", foreign("good", faceBytes(t, 5, 1))), signatures.Put(tx, "bad", foreign("bad", []byte("junk"))))
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := pt.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = pt.Store.View(func(tx *store.Tx) error {
			good, err := signatures.Get(tx, "good")
			if err != nil {
				return err
			}
			bad, err := signatures.Get(tx, "bad")
			if err != nil {
				return err
			}
			waits, err := jobs.Has(tx, "good")
			if good.NotCompared != "" || !waits || !strings.Contains(bad.NotCompared, "not a valid signature") {
				t.Errorf("good: %q, queued %v; bad: %q", good.NotCompared, waits, bad.NotCompared)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
