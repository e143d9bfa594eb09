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
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// read a bullet's lands.
func (r *reading) read(t *Template, mirrored bool, stretch int) {
	r.template, r.stretch, r.plain = t, stretch, !mirrored && stretch == 0
	for i, l := range t.bullet.lands {
		switch {
		case l == nil:
			r.profiles[i] = profile{}
		case r.plain:
			r.profiles[i] = t.profiles[i]
		default:
			r.profiles[i] = profile{l, &r.room[i][0], &r.room[i][1]}
			if mirrored {
				r.profiles[i].land = l.Mirrored()
			}
			r.profiles[i].fill(stretch)
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
