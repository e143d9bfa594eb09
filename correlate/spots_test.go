//go:build !race

package correlate

import (
	"testing"

	"pgregory.net/rapid"
)

// What is picked stands out, each clearest first, far enough apart, peaks and valleys
// for themselves; nothing clearer is left out but for lack of room.
func TestPickTakesTheClearest(t *testing.T) {
	for _, g := range []*spotGrid{scanGrid, polarGrid} {
		rapid.Check(t, func(t *rapid.T) {
			clear := make([]int8, g.samples())
			words := make([]uint64, len(clear))
			fill(rapid.Uint64().Draw(t, "seed"), words)
			empty := rapid.Uint64Range(0, 100).Draw(t, "per cent empty")
			for i, w := range words {
				if w>>32%100 >= empty {
					clear[i] = int8(w%105) - 52
				}
			}
			c := g.pick(clear)
			held := uint16(0)
			for half, sign := range [2]int8{1, -1} {
				var chosen []int
				last := int8(127)
				for i, spot := range c.spots[half*scanHalf : (half+1)*scanHalf] {
					if spot == g.standIn(half) {
						last = 0
						continue
					}
					held++
					at := int(spot) / lanes
					v := clear[at] * sign
					if spot%lanes != 0 || v < leastSpot || v > last {
						t.Fatalf("spot %d of half %d stands out by %d after %d", i, half, v, last)
					}
					last = v
					chosen = append(chosen, at)
				}
				near := func(i, j int) bool {
					d := (i - j + g.directions) % g.directions
					return i/g.directions == j/g.directions && min(d, g.directions-d) < g.gap[i/g.directions]
				}
				for n, i := range chosen {
					for _, j := range chosen[:n] {
						if near(i, j) {
							t.Fatalf("samples %d and %d are too near", i, j)
						}
					}
				}
				for i, v := range clear {
					covered := false
					for _, j := range chosen {
						covered = covered || near(i, j)
					}
					if v*sign > max(last, leastSpot-1) && !covered {
						t.Fatalf("sample %d stands out by %d and was left for %d", i, v*sign, last)
					}
				}
			}
			if held != c.held {
				t.Fatalf("%d spots held, %d said", held, c.held)
			}
		})
	}
}

// A mark that is turned by whole steps has all its spots where the table says, and a
// blank one none.
func TestScanScoresAMarkByItself(t *testing.T) {
	for _, q := range []*Template{
		mustTemplate(t, texture(3).scan(view{pitch: 12.5})),
		mustTemplate(t, texture(3).scan(view{pitch: 12.5, sector: 90})),
	} {
		q.polar()
		v := new(votes)
		eachKernel(t, func(t *testing.T, k kernel) {
			// No displacement of the first scan is nought, one of the closer is.
			all := excess(votesBase-uint32(q.codes.spots.held), q.codes.spots.held)
			first := newScanTable(q, scanPoses[atFirst][reachTight]).score(k, v, &q.codes.spots)
			near := newScanTable(q, scanPoses[closer][reachTight]).score(k, v, &q.codes.spots)
			if near != all || first > near || first < 0.6*near {
				t.Errorf("%.2f at first, %.2f closer, %.2f if all spots agreed", first, near, all)
			}
			blank := scanGrid.pick(make([]int8, scanGrid.samples()))
			if s := newScanTable(q, scanPoses[atFirst][reachTight]).score(k, v, &blank); s != 0 || blank.held != 0 {
				t.Errorf("a mark without spots scores %.2f", s)
			}
		})
	}
}

// Entries in lanes score as each of them alone, whatever stands beside them.
func TestTurnedScanKeepsEntriesApart(t *testing.T) {
	g, all := smallGallery(t, 5, 2)
	q := mustTemplate(t, texture(1).scan(view{rotation: 100, pitch: 12.5, sector: 70}))
	scan := newTurnedScan(q, reachTight)
	eachKernel(t, func(t *testing.T, k kernel) {
		var alone, together []float32
		var mates, others float32
		sheet := newTurnedSheet()
		for i := range g.Len() {
			b, at := g.now.Load().at(i)
			one := make([]float32, 1)
			sheet.lay(scan, 0, b.polarOf(at))
			sheet.score(scan, k, one)
			alone = append(alone, one[0])
			if b.ids[at][:3] == "f00" {
				mates = max(mates, one[0])
			} else {
				others = max(others, one[0])
			}
		}
		for from := 0; from < g.Len(); from += lanes {
			n := min(lanes, g.Len()-from)
			for i := range n {
				b, at := g.now.Load().at(from + i)
				sheet.lay(scan, i, b.polarOf(at))
			}
			scores := make([]float32, n)
			sheet.score(scan, k, scores)
			together = append(together, scores...)
		}
		for i := range alone {
			if alone[i] != together[i] {
				t.Errorf("entry %d: %.3f alone, %.3f among others", i, alone[i], together[i])
			}
		}
		if mates < others+1 {
			t.Errorf("of %d entries a mate scores %.2f, others up to %.2f", len(all), mates, others)
		}
	})
}
