package correlate

// An adaptive binary arithmetic coder, integers only. Bits are coded against
// 16-bit probabilities that move towards what was seen, fast at first.

// model is the adaptive probability of a bit being 1, in 1/65536.
type model struct {
	p uint16
	n uint8
}

const slowestRate = 5 // the probability moves by at least 1/2^5 of its error

func newModels(n int) []model {
	m := make([]model, n)
	for i := range m {
		m[i].p = 1 << 15
	}
	return m
}

func (m *model) update(bit int) {
	rate := uint(m.n/2) + 1
	if rate < slowestRate {
		m.n++
	} else {
		rate = slowestRate
	}
	if bit != 0 {
		m.p += (0xffff - m.p) >> rate
	} else {
		m.p -= m.p >> rate
	}
}

// split divides the interval [low, high] in proportion to p.
func (m *model) split(low, high uint32) uint32 {
	p := uint64(m.p)
	p = min(max(p, 64), 65536-64)
	return low + uint32(uint64(high-low)*p>>16)
}

type encoder struct {
	low, high uint32
	out       []byte
}

func newEncoder(dst []byte) *encoder { return &encoder{high: ^uint32(0), out: dst} }

func (e *encoder) bit(m *model, bit int) {
	mid := m.split(e.low, e.high)
	if bit != 0 {
		e.high = mid
	} else {
		e.low = mid + 1
	}
	m.update(bit)
	for (e.low^e.high)>>24 == 0 {
		e.out = append(e.out, byte(e.high>>24))
		e.low <<= 8
		e.high = e.high<<8 | 0xff
	}
}

// finish writes the fewest bytes that, followed by zeros, lie in the last
// interval, and drops trailing zeros, which the decoder supplies.
func (e *encoder) finish(start int) []byte {
	for n := 0; n <= 4; n++ {
		mask := uint32(uint64(0xffffffff) << (8 * (4 - n)))
		v := e.high & mask
		if v >= e.low {
			for i := range n {
				e.out = append(e.out, byte(v>>(24-8*i)))
			}
			break
		}
	}
	for len(e.out) > start && e.out[len(e.out)-1] == 0 {
		e.out = e.out[:len(e.out)-1]
	}
	return e.out
}

type decoder struct {
	low, high, code uint32
	in              []byte
}

func newDecoder(in []byte) *decoder {
	d := &decoder{high: ^uint32(0), in: in}
	for range 4 {
		d.code = d.code<<8 | uint32(d.next())
	}
	return d
}

func (d *decoder) next() byte {
	if len(d.in) == 0 {
		return 0
	}
	b := d.in[0]
	d.in = d.in[1:]
	return b
}

func (d *decoder) bit(m *model) int {
	mid := m.split(d.low, d.high)
	bit := 0
	if d.code <= mid {
		bit = 1
		d.high = mid
	} else {
		d.low = mid + 1
	}
	m.update(bit)
	for (d.low^d.high)>>24 == 0 {
		d.low <<= 8
		d.high = d.high<<8 | 0xff
		d.code = d.code<<8 | uint32(d.next())
	}
	return bit
}
