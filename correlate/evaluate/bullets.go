package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"proofmark/correlate/bullet"
	"proofmark/correlate/synth"
)

// BulletGrowth is what searches of a gallery of bullets of one size found.
type BulletGrowth struct {
	Distractors   int      `json:"distractors"`
	Generated     int      `json:"generated"`  // of them: fired from simulated barrels, one each
	Recombined    int      `json:"recombined"` // made of lands of many barrels
	Gallery       int      `json:"gallery"`
	Hits                   // margins are of scores
	ListedMates   *float64 `json:"listed_recall"`  // mates among the best 50 that a search returns
	DistractorMax *float64 `json:"distractor_max"` // of a score with a query
	SearchMS      *float64 `json:"search_ms"`      // per query, all cores
}

// generatedBullets bounds those that a simulated barrel fires: each takes a
// whole encoding of its lands. The others are made of lands at hand.
const generatedBullets = 120

// searchBullets ranks each bullet's mates among the others, and among distractors
// where they are wanted.
func (e *Evaluation) searchBullets(p parallel, o Options, bullets []*labelledBullet) error {
	gallery := bullet.NewGallery()
	lands := 0
	for i, b := range bullets {
		if b.passing >= bullet.MinLands {
			lands = b.template.Bullet().Count()
			if err := gallery.Put(strconv.Itoa(i), b.template.Bullet()); err != nil {
				return err
			}
		}
	}
	if gallery.Len() == 0 {
		return nil
	}
	own, made := gallery.Len(), 0
	var stock [][]*bullet.Land // of generated bullets and of the set's, mirrored
	for _, size := range sizes(o.Distractors) {
		if size > 0 && stock == nil {
			var err error
			if stock, err = landStock(p, o, bullets, lands, min(o.Distractors, generatedBullets)); err != nil {
				return err
			}
		}
		if err := fillBullets(p, gallery, o.Seed, stock, lands, made, size, o.Distractors); err != nil {
			return err
		}
		made = size
		g := BulletGrowth{Distractors: made, Generated: min(made, generatedBullets), Gallery: own + made}
		g.Recombined = made - g.Generated
		if err := e.searchBulletsOnce(p, o, gallery, bullets, &g); err != nil {
			return err
		}
		e.Bullets.Growth = append(e.Bullets.Growth, g)
		// What a search returns stands on its short list: the recall is at least this.
		e.ShortlistRecall, e.ShortlistOf = g.ListedMates, gallery.Len()-1
	}
	return nil
}

// landStock fires bullets from simulated barrels, and adds the set's own lands in
// mirror image, which are nobody's mates.
func landStock(p parallel, o Options, bullets []*labelledBullet, lands, n int) ([][]*bullet.Land, error) {
	stock := make([][]*bullet.Land, n)
	err := p.named("firing generated bullets").each(n, func(i int) {
		for try := range uint64(20) { // a weak barrel fails the gate: draw another
			barrel := synth.NewBarrel(o.Seed<<32+uint64(i)<<8+try, synth.Rifling{Lands: lands})
			scans, _ := barrel.FireBullet(1, synth.LandShot{Rows: 240})
			fired := make([]*bullet.Land, lands)
			passing := 0
			for k, s := range scans {
				if land, _, err := bullet.EncodeLand(s); err == nil {
					if fired[k] = land; land.Passes() {
						passing++
					}
				}
			}
			if passing >= bullet.MinLands {
				stock[i] = fired
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for i, fired := range stock {
		if fired == nil {
			return nil, fmt.Errorf("generated bullet %d: twenty barrels left no marks above the gate", i)
		}
	}
	for _, b := range bullets {
		if b.template == nil {
			continue
		}
		own := make([]*bullet.Land, lands)
		for k := range min(lands, b.template.Bullet().Count()) {
			if l := b.template.Bullet().Land(k); l != nil {
				own[k] = l.Mirrored()
			}
		}
		stock = append(stock, own)
	}
	return stock, nil
}

// fillBullets adds distractors number from to below to: the generated ones as
// they are, the others of lands drawn from the whole stock, mirrored by halves.
func fillBullets(p parallel, gallery *bullet.Gallery, seed uint64, stock [][]*bullet.Land, lands, from, to, all int) error {
	report := p.progress
	if report != nil {
		p.progress = func(stage string, done, _ int) { report(stage, from+done, all) }
	}
	var flat []*bullet.Land
	generated := min(all, generatedBullets)
	for i, b := range stock {
		for _, l := range b {
			if l == nil || !l.Passes() {
				continue
			}
			flat = append(flat, l)
			if i < generated {
				flat = append(flat, l.Mirrored())
			}
		}
	}
	errs := make([]error, to-from)
	err := p.named("making distractor bullets").each(to-from, func(k int) {
		i := from + k
		drawn := make([]*bullet.Land, lands)
		if i < generatedBullets {
			copy(drawn, stock[i])
		} else {
			rng := rand.New(rand.NewPCG(seed^0xb011e7, uint64(i)))
			for j := range drawn {
				drawn[j] = flat[rng.IntN(len(flat))]
			}
		}
		b, err := bullet.NewBullet(drawn)
		if err == nil {
			err = gallery.Put("d"+strconv.Itoa(i), b)
		}
		errs[k] = err
	})
	for i, failed := range errs {
		if err == nil && failed != nil {
			err = fmt.Errorf("distractor bullet %d: %w", from+i, failed)
		}
	}
	return err
}

// searchBulletsOnce lets every bullet that has a mate search the gallery.
func (e *Evaluation) searchBulletsOnce(p parallel, o Options, gallery *bullet.Gallery, bullets []*labelledBullet, g *BulletGrowth) error {
	var ranks []ranked
	var spent time.Duration
	mates, found := 0, 0
	searchers := searchingBullets(bullets)
	for n, i := range searchers {
		self := strconv.Itoa(i)
		var own []string
		for j, b := range bullets {
			if j != i && b.source == bullets[i].source && b.passing >= bullet.MinLands {
				own = append(own, strconv.Itoa(j))
			}
		}
		var begin time.Time
		if o.Now != nil {
			begin = o.Now()
		}
		list, err := gallery.Search(p.ctx, bullets[i].template, bullet.Search{Keep: listed, Admit: func(id string) bool { return id != self }})
		if err != nil {
			return fmt.Errorf("search with bullet %s: %w", bullets[i].name, err)
		}
		if o.Now != nil {
			spent += o.Now().Sub(begin)
		}
		var mine, others []float64
		for _, f := range list {
			switch {
			case slices.Contains(own, f.ID):
				mine = append(mine, f.Score)
				continue
			case f.ID[0] == 'd' && (g.DistractorMax == nil || f.Score > *g.DistractorMax):
				g.DistractorMax = new(f.Score)
			}
			others = append(others, f.Score)
		}
		mates, found = mates+len(own), found+len(mine)
		r := ranked{margin: math.NaN()}
		if len(mine) > 0 {
			r = rank(mine, others)
		}
		for len(r.mates) < len(own) { // behind the list
			r.mates = append(r.mates, len(others)+1)
		}
		r.query = i
		r.first, r.rest = slices.Min(r.mates), gallery.Len()-1-len(own)
		r.above = r.first - 1
		ranks = append(ranks, r)
		if p.progress != nil {
			p.progress(fmt.Sprintf("searching %d bullets", gallery.Len()), n+1, len(searchers))
		}
	}
	g.Hits = hitsOf(ranks)
	if mates > 0 {
		g.ListedMates = new(float64(found) / float64(mates))
		if o.Now != nil {
			g.SearchMS = new(float64(spent.Microseconds()) / 1000 / float64(len(ranks)))
		}
	}
	return nil
}

// searchingBullets are the bullets with a mate, spread evenly where they are many.
func searchingBullets(bullets []*labelledBullet) []int {
	count := map[string]int{}
	for _, b := range bullets {
		if b.passing >= bullet.MinLands {
			count[b.source]++
		}
	}
	var out []int
	for i, b := range bullets {
		if b.passing >= bullet.MinLands && count[b.source] > 1 {
			out = append(out, i)
		}
	}
	if n := len(out); n > searchedQueries {
		for i := range searchedQueries {
			out[i] = out[i*n/searchedQueries]
		}
		out = out[:searchedQueries]
	}
	return out
}
