package bullet

import "sync"

// reading is how a comparison reads the second bullet's lands: as they were
// recorded, or mirrored, or with lengths stretched. It is used again and again, since
// a comparison makes more than ten.
type reading struct {
	template *Template
	stretch  int
	plain    bool // as recorded: the template's own profiles
	profiles [MaxLands]profile
	room     [MaxLands][2]heights
	rows     [2][MaxLands]quarterRow // as recorded, mirrored
	lands    [2][MaxLands]*Land      // of which rows are made
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// release gives the reading back for other comparisons.
func (r *reading) release() {
	r.template, r.profiles, r.lands = nil, [MaxLands]profile{}, [2][MaxLands]*Land{}
	readings.Put(r)
}

// read a bullet's lands.
func (r *reading) read(t *Template, mirrored bool, stretch int) {
	if r.template != t {
		r.lands = [2][MaxLands]*Land{}
	}
	r.template, r.stretch, r.plain = t, stretch, !mirrored && stretch == 0
	for i, l := range t.bullet.lands {
		switch {
		case l == nil:
			r.profiles[i] = profile{}
		case r.plain:
			r.profiles[i] = t.profiles[i]
		default:
			side := Arrangement{Mirrored: mirrored}.side()
			if r.lands[side][i] == nil {
				if mirrored {
					l = l.Mirrored()
				}
				r.lands[side][i] = l
				r.rows[side][i].interpolate(l)
			}
			r.profiles[i] = profile{r.lands[side][i], &r.room[i][0], &r.room[i][1]}
			r.profiles[i].stretch(&r.rows[side][i], stretch)
		}
	}
}

// compare a land of the first bullet, both being there. Where nothing is stretched
// the roles are those of the two lands alone.
func (r *reading) compare(p profile, j int) LandComparison {
	if r.stretch == 0 {
		return p.compare(r.profiles[j])
	}
	return compareProfiles(p, r.profiles[j])
}

// grid is the Z of every land with every other, of those that pass the gate.
type grid [MaxLands][MaxLands]float64

func (r *reading) grid(a *Template) *grid {
	g := new(grid)
	for i := range a.bullet.lands {
		for j := range r.template.bullet.lands {
			if a.bullet.usable(i) && r.template.bullet.usable(j) {
				g[i][j] = r.compare(a.profiles[i], j).Z
			}
		}
	}
	return g
}
