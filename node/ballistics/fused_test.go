package ballistics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"proofmark/correlate"
	"proofmark/correlate/fuse"
	"proofmark/correlate/synth"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// picture is the signature of a made-up mark: the firearm's noise, and the shot's so many times as strong, on a sector of so many degrees.
func picture(t *testing.T, roi correlate.ROI, firearm, shot uint64, noise, span float64) []byte {
	t.Helper()
	pixels := synth.Picture{Firearm: firearm, Shot: shot, Noise: noise, Span: span}.Pixels(correlate.SignatureSide)
	s, err := correlate.SignatureFromPixels(correlate.SignatureFacts{ROI: roi, Origin: correlate.OriginAperture, Aperture: 500, RMS: 1, Quality: 0.9, Levels: 6}, pixels)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// enrol enters a signature of an exhibit, with the job of its correlation; own exhibits are entered with their first one.
func (b *bench) enrol(t *testing.T, n int, country protocol.Country, exhibit string, roi correlate.ROI, bytes []byte, firearm string) string {
	t.Helper()
	algorithm, _ := correlate.AlgorithmOf(roi)
	s := &Signature{ID: fmt.Sprintf("0198f2a4-0000-7000-8000-%08x%x", n, string(country)), Country: country, Own: country == "PT", Exhibit: exhibit, ROI: roi, Kind: protocol.CartridgeCase,
		Origin: protocol.Evidence, Class: classOf("9x19", "circular", "unknown"), Algorithm: algorithm, Quality: 0.9, Bytes: bytes, Received: time.Now()}
	if firearm != "" {
		s.Origin = protocol.TestFire
	}
	err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		if s.Own {
			s.Number = "N-" + exhibit
			if err := exhibits.Put(tx, exhibit, &Exhibit{ID: exhibit, Number: s.Number, Case: "C-1", Kind: s.Kind, Origin: s.Origin, Firearm: firearm}); err != nil {
				return err
			}
		}
		return b.enter(tx, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func (b *bench) correlated(t *testing.T) {
	t.Helper()
	if err := b.correlateAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if idle, err := b.Idle(); !idle || err != nil {
		t.Fatalf("something was not correlated, %v: %s", err, b.said())
	}
}

func (b *bench) fusedOf(t *testing.T, exhibit string) *Fused {
	t.Helper()
	f, err := b.Fused(t.Context(), tech, CandidateFilter{Exhibit: exhibit})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fusedOrder(f *Fused) string {
	var names []string
	for _, e := range f.Fused {
		names = append(names, e.Exhibit)
	}
	return strings.Join(names, " ")
}

func find(t *testing.T, f *Fused, exhibit string) *FusedExhibit {
	t.Helper()
	for _, e := range f.Fused {
		if e.Exhibit == exhibit {
			return e
		}
	}
	t.Fatalf("%s is not in the list %s", exhibit, fusedOrder(f))
	return nil
}

// The mate's breech face is hardly marked and its firing pin is clear; regions come one after the other and one goes again.
func TestFusedOverRegionsAsTheyComeAndGo(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	const face, pin = correlate.BreechFace, correlate.FiringPin
	b.enrol(t, 1, "PT", "q", face, picture(t, face, 1, 101, 1.5, 60), "")
	b.enrol(t, 2, "ES", "mate", face, picture(t, face, 1, 102, 1.5, 60), "")
	b.enrol(t, 3, "ES", "lookalike", face, picture(t, face, 1, 103, 0.9, 60), "")
	b.enrol(t, 4, "FR", "mate", face, picture(t, face, 9, 104, 1, 60), "") // the same pseudonym in another country is another exhibit
	b.correlated(t)
	f := b.fusedOf(t, "N-q")
	if got := fusedOrder(f); !strings.HasPrefix(got, "ES/lookalike ES/mate FR/mate") || len(f.Candidates) != 3 || f.Fused[0].Other.Country != "ES" || f.Fused[0].Pairs[f.Fused[0].BestPair()] != "awaits-primary" {
		t.Fatalf("by the breech face alone: %s, first %+v", got, f.Fused[0])
	}
	b.enrol(t, 5, "PT", "q", pin, picture(t, pin, 11, 105, 0.5, 360), "")
	mate := b.enrol(t, 6, "ES", "mate", pin, picture(t, pin, 11, 106, 0.5, 360), "")
	b.correlated(t)
	f = b.fusedOf(t, "N-q")
	if got := fusedOrder(f); !strings.HasPrefix(got, "ES/mate ES/lookalike") {
		t.Errorf("with the firing pin: %s", got)
	}
	if r := f.Fused[0].Regions; len(r) != 2 || r[0].ROI != string(pin) || r[0].Rank != 1 || r[1].ROI != string(face) || r[1].Rank != 2 || r[0].Pair == r[1].Pair {
		t.Errorf("the regions of the first: %+v", r)
	}
	if f.Fused[0].Weight != f.Fused[0].Own || f.Fused[0].Own <= f.Fused[0].Regions[0].Weight {
		t.Errorf("%+v", f.Fused[0].Ranked)
	}
	b.withdrawID(t, mate)
	f = b.fusedOf(t, "N-q")
	if got := fusedOrder(f); !strings.HasPrefix(got, "ES/lookalike ES/mate") || len(find(t, f, "ES/mate").Regions) != 1 {
		t.Errorf("after the withdrawal of the firing pin: %s, %+v", got, find(t, f, "ES/mate").Regions)
	}
}

// A region that stands beyond its own list is compared for the fused one.
func TestARegionBeyondItsListStillSpeaks(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	const face, pin = correlate.BreechFace, correlate.FiringPin
	b.enrol(t, 1, "PT", "q", face, picture(t, face, 1, 100, 0.3, 60), "")
	b.enrol(t, 2, "PT", "q", pin, picture(t, pin, 2, 100, 0.3, 60), "")
	b.enrol(t, 3, "ES", "mate", face, picture(t, face, 1, 101, 0.3, 60), "")
	b.enrol(t, 4, "ES", "mate", pin, picture(t, pin, 2, 101, 0.8, 60), "")
	b.correlated(t)
	if len(find(t, b.fusedOf(t, "N-q"), "ES/mate").Regions) != 2 {
		t.Fatal("both regions are on their lists at first")
	}
	err := b.store.Update(t.Context(), func(tx *store.Tx) error { // as trim does when twenty better ones have come to both lists
		for id, c := range candidates.All(tx) {
			if c.ROI == pin {
				if err := candidates.Delete(tx, id); err != nil {
					return err
				}
			}
		}
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	e := find(t, b.fusedOf(t, "N-q"), "ES/mate")
	var ranks []string
	for _, r := range e.Regions {
		ranks = append(ranks, fmt.Sprintf("%s %d %v", r.ROI, r.Rank, r.Pair != ""))
	}
	if got := strings.Join(ranks, ", "); got != "breech-face 1 true, firing-pin 0 false" {
		t.Errorf("the mate's regions: %s", got)
	}
}

// Test fires of one recovered firearm support each other, and so does what a confirmed hit joins; what people excluded does not weigh.
func TestExhibitsOfOneFirearmSupportEachOther(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	b.load(t)
	const face = correlate.BreechFace
	b.enrol(t, 1, "PT", "q", face, picture(t, face, 1, 101, 1.2, 60), "")
	b.enrol(t, 2, "PT", "t1", face, picture(t, face, 1, 102, 1.2, 60), "F-1")
	b.enrol(t, 3, "PT", "t2", face, picture(t, face, 1, 103, 1.2, 60), "F-1")
	b.enrol(t, 4, "PT", "t3", face, picture(t, face, 1, 104, 1.2, 60), "F-2")
	es := b.enrol(t, 5, "ES", "e", face, picture(t, face, 1, 105, 1.2, 60), "")
	b.correlated(t)
	f := b.fusedOf(t, "N-q")
	t1, t3 := find(t, f, "PT/t1"), find(t, f, "PT/t3")
	if len(t1.From) != 1 || t1.From[0].Exhibit != "PT/t2" || t1.Support != fuse.Damping*find(t, f, "PT/t2").Own || len(t3.From) != 0 || f.Firearm != nil {
		t.Errorf("t1 %+v, t3 %+v, same firearm %v", t1.Ranked, t3.Ranked, f.Firearm)
	}
	// Both test fires of F-1 are asked with one of them.
	f = b.fusedOf(t, "N-t1")
	if e := find(t, f, "ES/e"); len(e.From) != 1 || e.From[0].Query != "PT/t2" || fmt.Sprint(f.Firearm) != "[N-t2 (PT)]" {
		t.Errorf("asked for t1: %+v, same firearm %v", e.Ranked, f.Firearm)
	}
	// A hit between the evidence and Spain's exhibit.
	var pair string
	err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		for id, c := range candidates.ByPrefix(tx, "ranked", es+"/") {
			if sig, err := signatures.Get(tx, c.A); err == nil && sig.Exhibit == "q" {
				pair = id
			}
		}
		return leads.Put(tx, pair, &Lead{Pair: pair, Counterpart: "ES", State: LeadHit, Hit: &Hit{HitBody: protocol.HitBody{Conclusion: protocol.Identification}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	f = b.fusedOf(t, "N-q")
	if e := find(t, f, "PT/t3"); len(e.From) != 1 || e.From[0].Query != "ES/e" || fmt.Sprint(f.Firearm) != "[an exhibit (ES)]" {
		t.Errorf("after the hit: %+v, same firearm %v", e.Ranked, f.Firearm)
	}
	find(t, f, "ES/e") // stays in the list
	for _, who := range []desk.Actor{tech, exam1} {
		for _, v := range f.Candidates {
			if v.Other.Exhibit != "N-t3" {
				continue
			}
			if _, err := b.Review(t.Context(), who, "", NewReview{Pair: v.Pair, Verdict: protocol.VerdictExcluded}); err != nil {
				t.Fatal(err)
			}
		}
	}
	f = b.fusedOf(t, "N-q")
	if e := find(t, f, "PT/t3"); e.Own != 0 || len(e.Regions) != 0 || e.Support == 0 {
		t.Errorf("excluded by two people, but for the hit's other side: %+v", e.Ranked)
	}
	if _, err := b.Fused(t.Context(), tech, CandidateFilter{}); err == nil {
		t.Error("a list of no exhibit")
	}
	if _, err := b.Fused(t.Context(), desk.Actor{Name: "aud", Roles: []string{"auditor"}}, CandidateFilter{Exhibit: "N-q"}); err == nil {
		t.Error("an auditor sees candidates")
	}
}

// The worklist orders candidates of all regions by what chance would do, and not by scores on different scales.
func TestWorklistAcrossRegions(t *testing.T) {
	b := openBench(t, t.TempDir())
	defer b.close(t)
	bulletAtChance, faceOfMates := &Candidate{Pair: "1"}, &Candidate{Pair: "2"}
	bulletAtChance.Score, bulletAtChance.Algorithm = 0.33, "proofmark-lea/1"
	faceOfMates.Score, faceOfMates.Algorithm = 0.32, correlate.Algorithm
	var got string
	err := b.store.Update(t.Context(), func(tx *store.Tx) error {
		for _, c := range []*Candidate{bulletAtChance, faceOfMates, {Pair: "3"}} {
			if err := candidates.Put(tx, c.Pair, c); err != nil {
				return err
			}
		}
		for id := range candidates.ByPrefix(tx, "worklist", "open/") {
			got += id
		}
		return tx.Err()
	})
	if err != nil || got != "213" {
		t.Errorf("order %s, %v", got, err)
	}
}
