package correlate

import (
	"math/bits"
	"testing"

	"proofmark/correlate/exact"

	"pgregory.net/rapid"
)

// word64 draws words with many and with few bits, all and none among them.
func word64() *rapid.Generator[uint64] {
	return rapid.Custom(func(t *rapid.T) uint64 {
		w := rapid.Uint64().Draw(t, "w")
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return w & rapid.Uint64().Draw(t, "and")
		case 1:
			return 0
		case 2:
			return ^uint64(0)
		}
		return w
	})
}

// fill spreads a seed over words; drawing each would take too long.
func fill(seed uint64, words []uint64) {
	s := exact.Sequence(seed)
	for i := range words {
		words[i] = s.Next()
	}
}

func eachKernel(t *testing.T, do func(t *testing.T, k kernel)) {
	t.Logf("kernels of this processor: %v", kernels)
	for _, k := range kernels {
		t.Run("kernel="+k.String(), func(t *testing.T) { do(t, k) })
	}
}

// Every kernel counts what a loop over single poses counts.
func TestKernelsVoteAlike(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernel) {
		rapid.Check(t, func(t *rapid.T) {
			samples := rapid.IntRange(2, 60).Draw(t, "samples")
			column := make([]uint64, columnWords(samples))
			fill(rapid.Uint64().Draw(t, "table"), column)
			for i := range samples { // some that agree everywhere or nowhere
				if w := word64().Draw(t, "sample"); w == 0 || w == ^uint64(0) {
					for lane := range lanes {
						column[i*lanes+lane] = w
					}
				}
			}
			var spots [scanSpots]uint16
			s := exact.Sequence(rapid.Uint64().Draw(t, "spots"))
			few := rapid.IntRange(1, samples).Draw(t, "few")
			for i := range spots {
				spots[i] = uint16(s.Below(few) * lanes)
			}
			var got votes
			k.vote(&got, &column[0], &spots)
			fewest := uint32(1 << votePlanes)
			for lane := range lanes {
				fewestHere := uint32(1 << votePlanes)
				for pose := range 64 {
					want, have := uint32(votesBase), uint32(0)
					for i, spot := range spots {
						if up := column[int(spot)+lane]>>pose&1 == 1; up == (i < scanHalf) {
							want--
						}
					}
					for p := range got {
						have |= uint32(got[p][lane]>>pose&1) << p
					}
					if have != want {
						t.Fatalf("lane %d, pose %d: %d, want %d", lane, pose, have, want)
					}
					fewestHere = min(fewestHere, want)
				}
				if n := got.fewestOf(lane); n != fewestHere {
					t.Fatalf("lane %d: the fewest %d, want %d", lane, n, fewestHere)
				}
				fewest = min(fewest, fewestHere)
			}
			if n := got.fewest(); n != fewest {
				t.Fatalf("the fewest %d, want %d", n, fewest)
			}
		})
	})
}

func TestKernelsTallyAlike(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernel) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(1, rings).Draw(t, "rings")
			query := make([]uint64, n*ringWords*2*lanes)
			ref := make([]uint64, n*ringWords*2)
			fill(rapid.Uint64().Draw(t, "query"), query)
			for i := range ref {
				ref[i] = word64().Draw(t, "ref")
			}
			if rapid.Bool().Draw(t, "full") { // the largest counts there are
				for i := range query {
					query[i] = ^uint64(0)
				}
			}
			var got, want tallies
			for i := range n * ringWords {
				for lane := range lanes {
					both := query[2*lanes*i+lanes+lane] & ref[2*i+1]
					want[lane] += uint64(bits.OnesCount64(both))
					want[lanes+lane] += uint64(bits.OnesCount64((query[2*lanes*i+lane] ^ ref[2*i]) & both))
				}
			}
			used := rapid.IntRange(1, lanes).Draw(t, "used")
			k.tally(&got, &query[0], &ref[0], n, used)
			for lane := used; lane < lanes; lane++ { // no one asks for these
				got[lane], got[lanes+lane] = want[lane], want[lanes+lane]
			}
			if got != want {
				t.Fatalf("%v, want %v", got, want)
			}
		})
	})
}

// Poses far beside the raster and the extreme heights are among them.
func TestKernelsAgreeAlike(t *testing.T) {
	eachKernel(t, func(t *testing.T, k kernel) {
		rapid.Check(t, func(t *rapid.T) {
			s := exact.Sequence(rapid.Uint64().Draw(t, "seed"))
			var query raster
			for i := range query {
				switch s.Below(3) {
				case 0:
					query[i] = int8(s.Below(209) - 104)
				case 1:
					query[i] = 104
				}
			}
			marks := make([]mark, 16*rapid.IntRange(1, 40).Draw(t, "sixteens"))
			for i := range marks {
				marks[i] = mark{x: int16(2*s.Below(side) + 1 - side), y: int16(2*s.Below(side) + 1 - side), v: int16(s.Below(209) - 104)}
			}
			reach := rapid.SampledFrom([]int32{0, 30, 300, 5000}).Draw(t, "reach")
			at := pose{int32(s.Below(turnUnits)), offset{int32(s.Below(int(2*reach+1))) - reach, int32(s.Below(int(2*reach+1))) - reach}}.placing()
			var got, want [4]int32
			for _, m := range marks {
				x := (int(at.x[0])*int(m.x) + int(at.x[1])*int(m.y) + int(at.tx)) >> 14
				y := (int(at.y[0])*int(m.x) + int(at.y[1])*int(m.y) + int(at.ty)) >> 14
				if x < 0 || x >= rasterSide || y < 0 || y >= rasterSide {
					continue
				}
				if v := int32(query[y*rasterSide+x]); v != missing {
					want = [4]int32{want[0] + 1, want[1] + int32(m.v)*int32(m.v), want[2] + v*v, want[3] + v*int32(m.v)}
				}
			}
			k.agree(&got, &query, &marks[0], len(marks), &at)
			if got != want {
				t.Fatalf("%v, want %v", got, want)
			}
		})
	})
}

// Compare gives the same bits by every kernel.
func TestKernelsCompareAlike(t *testing.T) {
	a := mustTemplate(t, texture(5).scan(view{noise: 60, pitch: 12.5}))
	b := mustTemplate(t, texture(5).scan(view{rotation: 77, noise: 61, pitch: 12.5}))
	want := Compare(a, b)
	defer func(k kernel) { fastest = k }(fastest)
	eachKernel(t, func(t *testing.T, k kernel) {
		fastest = k
		if got := Compare(a, b); got.Score != want.Score || got.Pose != want.Pose || got.CongruentCells != want.CongruentCells {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}
