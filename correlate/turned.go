package correlate

import (
	"slices"

	"proofmark/correlate/exact"
)

// turnedScan is the scan with its roles turned round, for a query that is a partial
// mark: few of an entry's spots would lie within it. So the query's own spots, picked
// around each displaced centre, are looked for in the entries: lanes are entries, the
// three columns the thirds of a turn. Where an entry has no sign it is drawn.
type turnedScan struct {
	codes []spotCode // of each displacement
	used  []uint16   // samples that are a spot at any of them
	drawn [rings][ringWords]uint64
}

func newTurnedScan(q *Template, r reach) *turnedScan {
	t := &turnedScan{}
	used := make([]bool, polarGrid.samples()+2)
	for _, at := range reachShifts[r] {
		c := polarGrid.pick(polarGrid.at(q.signRaster(), at))
		for _, spot := range c.spots {
			used[spot/lanes] = true
		}
		t.codes = append(t.codes, c)
	}
	for i, u := range used[:polarGrid.samples()] {
		if u {
			t.used = append(t.used, uint16(i))
		}
	}
	rng := exact.Sequence(2)
	for ring := range t.drawn {
		for w := range t.drawn[ring] {
			t.drawn[ring][w] = rng.Next()
		}
	}
	return t
}

// turnedSheet is a goroutine's room for entries side by side.
type turnedSheet struct {
	words []uint64
	votes votes
	code  polarCode
}

func newTurnedSheet() *turnedSheet {
	size := columnWords(polarGrid.samples())
	s := &turnedSheet{words: make([]uint64, ringWords*size)}
	for column := range slices.Chunk(s.words, size) {
		for lane := range lanes {
			column[int(polarGrid.standIn(1))+lane] = ^uint64(0)
		}
	}
	return s
}

// lay puts an entry's signs into a lane: bit k of a sample's three words is the sign
// it has where a query turned by k has the sample.
func (s *turnedSheet) lay(t *turnedScan, lane int, entry packedPolar) {
	entry.unpack(&s.code)
	size := columnWords(polarGrid.samples())
	first, second, third := s.words[lane:size], s.words[size+lane:2*size], s.words[2*size+lane:]
	ring := -1
	var round [2 * ringWords]uint64
	for _, i := range t.used {
		if r := int(i) / turns; r != ring {
			ring = r
			for w := range ringWords {
				sign, mask := s.code.sign[r][w], s.code.mask[r][w]
				round[w] = sign&mask | t.drawn[r][w]&^mask
				round[w+ringWords] = round[w]
			}
		}
		k := int(i) % turns
		w, off := k>>6, uint(k&63)
		a, b, c, d := round[w], round[w+1], round[w+2], round[(w+3)%(2*ringWords)]
		at := int(i) * lanes
		first[at] = a>>off | b<<1<<(63-off)
		second[at] = b>>off | c<<1<<(63-off)
		third[at] = c>>off | d<<1<<(63-off)
	}
}

// score is, for each entry laid, the most by which agreeing exceed differing spots
// over all poses, in standard deviations of chance.
func (s *turnedSheet) score(t *turnedScan, k kernel, scores []float32) {
	clear(scores)
	size := columnWords(polarGrid.samples())
	for i := range t.codes {
		c := &t.codes[i]
		best := [lanes]uint32{}
		for lane := range best {
			best[lane] = votesBase
		}
		for first := 0; first < len(s.words); first += size {
			k.vote(&s.votes, &s.words[first], &c.spots)
			for lane := range scores {
				best[lane] = min(best[lane], s.votes.fewestOf(lane))
			}
		}
		for lane := range scores {
			scores[lane] = max(scores[lane], excess(best[lane], c.held))
		}
	}
}
