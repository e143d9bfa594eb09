package demo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/evaluate"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/ballistics"
	"proofmark/protocol"
)

// realBullets is where scans of bullets lie beside a folder of real cartridge cases.
const realBullets = "hamby44"

// BulletPair is what became of two bullets of one barrel that were acquired in two countries.
type BulletPair struct {
	Source     string  `json:"source"` // the scans' folder, or "generator"
	Acquired   int     `json:"acquired"`
	Bytes      int     `json:"bytes_per_signature"` // mean
	Rank       int     `json:"rank"`                // of the mate in the list in PT
	RankAbroad int     `json:"rank_abroad"`         // and of its mate in ES
	Score      float64 `json:"score"`               // the same on both sides
	Contrast   float64 `json:"contrast"`            // with the second phase
	Lands      int     `json:"lands"`               // that were counted
}

// bulletLot is one bullet of the day with the scans of its lands in their order.
type bulletLot struct {
	lot
	lands []string // paths
}

// gatherBullets finds two real bullets of one barrel beside the real cartridge cases, or simulates two and one of another barrel, in whose
// lists the first two must find each other.
func (f *federation) gatherBullets() (list []*bulletLot, origin string, err error) {
	if f.o.Scans != "" {
		dir := filepath.Join(filepath.Dir(filepath.Clean(f.o.Scans)), realBullets)
		if list, err = readBullets(dir); !errors.Is(err, os.ErrNotExist) {
			return list, realBullets, err
		}
	}
	list, err = generateBullets(filepath.Join(f.root, "scans"), f.o.Seed)
	return list, "generator", err
}

// readBullets takes the first two complete bullets of one barrel from a folder with truth.csv (scan,source,bullet,land).
func readBullets(dir string) ([]*bulletLot, error) {
	file, err := os.Open(filepath.Join(dir, truthFile))
	if err != nil {
		return nil, fmt.Errorf("bullets: %w", err)
	}
	defer file.Close()
	set, err := evaluate.ReadTruth(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	found := map[string][]*bulletLot{} // by barrel
	byBullet := map[string]*bulletLot{}
	for _, l := range set {
		b := byBullet[l.Bullet]
		if b == nil {
			b = &bulletLot{lot: lot{scan: scan{name: l.Bullet, source: l.Source}}}
			byBullet[l.Bullet] = b
			found[l.Source] = append(found[l.Source], b)
		}
		if n, err := strconv.Atoi(l.Land); err == nil && n == len(b.lands)+1 {
			b.lands = append(b.lands, filepath.Join(dir, l.Scan))
		}
	}
	for _, l := range set {
		whole := slices.DeleteFunc(slices.Clone(found[l.Source]), func(b *bulletLot) bool { return len(b.lands) < bullet.MinLands })
		if len(whole) >= 2 {
			return whole[:2], nil
		}
	}
	return nil, fmt.Errorf("%s lists no two bullets of one barrel with their lands in order: use another folder, or remove it", file.Name())
}

// Simulated bullets: their barrels' striae are clear, and a strip of each land is scanned.
const (
	bulletStrength = 2
	bulletRows     = 128
)

// generateBullets writes the scans of three bullets, the first two of one barrel, into dir.
func generateBullets(dir string, seed uint64) ([]*bulletLot, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("generated bullets: %w", err)
	}
	list := make([]*bulletLot, 3)
	err := each([]int{0, 1, 2}, func(i int) error {
		barrel := seed*2 + uint64(i/2)
		b := &bulletLot{lot: lot{scan: scan{name: fmt.Sprintf("bullet-%d", i+1), source: fmt.Sprintf("barrel-%d", i/2+1)}}}
		scans, _ := synth.NewBarrel(barrel, synth.Rifling{Strength: bulletStrength}).FireBullet(uint64(i), synth.LandShot{Rows: bulletRows})
		for j, s := range scans {
			var w bytes.Buffer
			if err := x3p.Write(&w, s); err != nil {
				return fmt.Errorf("generated %s, land %d: %w", b.name, j+1, err)
			}
			path := filepath.Join(dir, fmt.Sprintf("%s-land-%d.x3p", b.name, j+1))
			if err := os.WriteFile(path, w.Bytes(), 0o600); err != nil {
				return fmt.Errorf("generated bullet: %w", err)
			}
			b.lands = append(b.lands, path)
		}
		list[i] = b
		return nil
	})
	return list, err
}

// scanBullets enters the bullets, the mates in PT and ES, and acquires the lands of each in one command.
func (f *federation) scanBullets(ctx context.Context) error {
	list, origin, err := f.gatherBullets()
	if err != nil {
		return err
	}
	for i, l := range list {
		l.country, l.origin = countries[i%len(countries)], protocol.Evidence
		l.caseRef = caseRefs()[l.country][0]
		l.number = l.caseRef + "/B01"
	}
	f.bullets, f.result.Bullets = list, &BulletPair{Source: origin, Acquired: len(list)}
	if err := each(list, func(l *bulletLot) error { return f.scanBullet(ctx, l) }); err != nil {
		return err
	}
	total := 0
	for _, l := range list {
		total += l.bytes
	}
	f.result.Bullets.Bytes = (total + len(list)/2) / len(list)
	return f.verify(total > 0, "%d bullets (%s) are scanned land by land too, each acquired in one command: %d bytes of signature on the average for all lands of one.",
		len(list), origin, f.result.Bullets.Bytes)
}

func (f *federation) scanBullet(ctx context.Context, l *bulletLot) error {
	b := f.bureaus[l.country]
	_, err := call[*ballistics.Exhibit](ctx, b.technician, "exhibit.add",
		ballistics.NewExhibit{Number: l.number, Case: l.caseRef, Kind: protocol.Bullet, Origin: l.origin, Calibre: calibre})
	if err != nil {
		return err
	}
	n := ballistics.NewAcquisition{Exhibit: l.number, ROI: string(correlate.LEA)}
	var files [][]byte
	for _, path := range l.lands {
		file, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("scan of %s: %w", l.number, err)
		}
		files = append(files, file)
		n.Scans = append(n.Scans, ballistics.File{Name: filepath.Base(path), Size: int64(len(file))})
	}
	a, err := upload[*ballistics.Acquisition](ctx, b.technician, "acquire", n, files...)
	if err != nil {
		return err
	}
	l.signature, l.bytes = a.Signature, a.Bytes
	return check(a.Signature != "" && a.Bytes <= bullet.MaxSignatureSize, "the acquisition of %s has a signature of %d bytes", l.number, a.Bytes)
}

// pairBullets sees that the two bullets of one barrel found each other across the border, each first in the other's list.
func (f *federation) pairBullets(ctx context.Context) error {
	a, b := f.bullets[0], f.bullets[1]
	here, rank, err := f.inList(ctx, a, b)
	if err != nil {
		return err
	}
	there, rankAbroad, err := f.inList(ctx, b, a)
	if err != nil {
		return err
	}
	r := f.result.Bullets
	r.Rank, r.RankAbroad = rank, rankAbroad
	if here == nil || there == nil || here.Bullets == nil {
		return fmt.Errorf("the bullets %s and %s of one barrel did not find each other", a.number, b.number)
	}
	r.Score, r.Contrast, r.Lands = here.Score, here.Bullets.Contrast, here.Bullets.Counted
	return f.verify(cmp.Or(here.Score-there.Score, float64(rank-1), float64(rankAbroad-1)) == 0 && here.Bullets.Conclusive,
		"A bullet in %s and one in %s came through one barrel, and found each other across the border, first in both lists: score %.2f, %s, one identity on both sides (%s).",
		a.country, b.country, here.Score, here.Agreement(), short(here.Pair))
}

// inList finds one bullet in the ranked list of another at the other's bureau, with its rank.
func (f *federation) inList(ctx context.Context, of, wanted *bulletLot) (*ballistics.CandidateView, int, error) {
	list, held, err := ranked(ctx, f.bureaus[of.country].technician, of.signature)
	if err != nil || !held {
		return nil, 0, errors.Join(err, check(held, "%s does not hold its own signature of %s", of.country, of.number))
	}
	i := slices.IndexFunc(list, func(c *ballistics.CandidateView) bool { return c.Other.Signature == wanted.signature })
	if i < 0 {
		return nil, 0, nil
	}
	return list[i], i + 1, nil
}
