package proof

// maxParts bounds the parts of a lane's picture.
const maxParts = 200

// severity orders the states for a part that stands for several messages.
var severity = map[State]int{Agreed: 1, UnderWay: 2, Explained: 3, Missing: 4, Different: 5}

// strip gathers the worst state in each part of a lane.
type strip struct {
	parts []Part
	width uint64
}

func newStrip(p *pair) *strip {
	last := max(p.from.head, p.to.head)
	for _, s := range []*logged{p.from, p.to} {
		if n := len(s.rows); n > 0 {
			last = max(last, s.rows[n-1].seq)
		}
	}
	s := &strip{parts: []Part{}, width: 1 + (max(last, 1)-1)/maxParts}
	if last == 0 {
		return s
	}
	for first := uint64(1); ; first += s.width {
		s.parts = append(s.parts, Part{First: first, Last: first + min(s.width-1, last-first)})
		if last-first < s.width {
			return s
		}
	}
}

func (s *strip) mark(seq uint64, from, to State) {
	part := &s.parts[(seq-1)/s.width]
	if severity[from] > severity[part.AtFrom] {
		part.AtFrom = from
	}
	if severity[to] > severity[part.AtTo] {
		part.AtTo = to
	}
}
