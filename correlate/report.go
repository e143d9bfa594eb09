package correlate

import (
	"context"
	"slices"

	"proofmark/correlate/exact"
)

// Searched is what a search found and how it came to it.
type Searched struct {
	Found     []Found  // the ranked list, as Search returns it
	ShortList []string // ids of all that were compared finely, best first
	Admitted  int      // entries that class and caller let through
	Scanned   int      // of these went through the scan; 0 where there were too few to need it
	Swept     int      // of these had their whole polar code looked at; 0 where all were compared
}

// A Scan is the first stage of searches alone, made ready for one query, so that
// its cost per signature can be measured without what a query costs once.
type Scan struct{ s *search }

// ScanWork is what a Scan did.
type ScanWork struct {
	Kernel     string // the way of counting bits that ran
	Signatures int
	Words      int64 // 64-bit words of a query's table that were compared
}

// NewScan makes a query ready to be scanned against the gallery as it is now.
func (g *Gallery) NewScan(q *Template) *Scan {
	s := &search{g: g, ctx: context.Background(), contents: g.now.Load(), query: q, kernel: fastest}
	s.admit(Class{}, nil)
	for r := range reaches {
		s.table(atFirst, r)
	}
	return &Scan{s}
}

// Run scans every signature once on the calling goroutine. A cancelled context
// ends it with its error.
func (s *Scan) Run(ctx context.Context) (ScanWork, error) {
	done := ScanWork{Kernel: s.s.kernel.String()}
	score := s.s.scanner(atFirst)
	scores := make([]float32, scanStretch)
	for field := range slices.Chunk(s.s.field, scanStretch) {
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		score(field, scores)
		done.Signatures += len(field)
		for _, e := range field {
			done.Words += int64(wordsScanned(s.s.reach(s.s.contents.at(int(e)))))
		}
	}
	return done, nil
}

// CountWords does nothing but read n 64-bit words (rounded up to 4,096) from the
// nearest cache and count their bits, one by one, as fast as plain Go allows. Its
// time bounds what any scan that compares as many words one by one could reach.
func CountWords(n int64) (bits int64) {
	words := new([countedWords]uint64)
	s := exact.Sequence(1)
	for i := range words {
		words[i] = s.Next()
	}
	for ; n > 0; n -= countedWords {
		bits += countBits(words)
	}
	return bits
}
