package x3p

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"strconv"
)

// missing is the one NaN that stands for a missing height, whatever payload the
// file used.
var missing = math.NaN()

// record is the layout of one stored point: the absolute axes in the order X, Y, Z.
type record struct {
	axes  []axis
	names []string
	width int // bytes in the binary form
}

func (h *header) record() record {
	var r record
	for _, a := range []struct {
		axis axis
		name string
	}{{h.x, "X"}, {h.y, "Y"}, {h.z, "Z"}} {
		if a.axis.absolute {
			r.axes = append(r.axes, a.axis)
			r.names = append(r.names, a.name)
			r.width += a.axis.width()
		}
	}
	return r
}

// heightsOnly drops the lateral axes: files exist that call them absolute and
// store heights alone.
func (h *header) heightsOnly() record {
	return record{axes: []axis{h.z}, names: []string{"Z"}, width: h.z.width()}
}

// number reads one little-endian value.
func number(b []byte, kind byte) float64 {
	switch kind {
	case 'I':
		return float64(int16(binary.LittleEndian.Uint16(b)))
	case 'L':
		return float64(int32(binary.LittleEndian.Uint32(b)))
	case 'F':
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// readBinary fills z from data.bin. Points whose lateral coordinates are stored
// too are handed to the grid, which may be nil otherwise. It returns how many
// heights were infinite: Alicona writes ±Inf for a missing point.
func readBinary(r io.Reader, rec record, z []float64, g *grid) (infinite int, err error) {
	buf := make([]byte, (64<<10)/rec.width*rec.width)
	for i := 0; i < len(z); {
		n := min(len(buf), (len(z)-i)*rec.width)
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			return 0, err
		}
		if len(rec.axes) == 1 {
			infinite += decodeHeights(buf[:n], rec.axes[0], z[i:])
			i += n / rec.width
			continue
		}
		for b := buf[:n]; len(b) > 0; i++ {
			for k, a := range rec.axes {
				v := a.value(number(b, a.kind))
				b = b[a.width():]
				if rec.names[k] != "Z" {
					g.put(rec.names[k], i, v)
					continue
				}
				if math.IsInf(v, 0) {
					infinite++
				}
				z[i] = finite(v)
			}
		}
	}
	// The ZIP library compares length and CRC when it meets the end.
	if n, err := r.Read(buf[:1]); n != 0 || err != io.EOF {
		if err == nil || err == io.EOF {
			err = errTrailing
		}
		return infinite, err
	}
	return infinite, nil
}

// decodeHeights is the loop for the usual layout, a height per point and nothing else.
func decodeHeights(b []byte, a axis, z []float64) (infinite int) {
	w := a.width()
	for i := 0; len(b) >= w; i++ {
		v := a.value(number(b, a.kind))
		b = b[w:]
		if v-v != 0 { // NaN or infinite
			if math.IsInf(v, 0) {
				infinite++
			}
			v = missing
		}
		z[i] = v
	}
	return infinite
}

func finite(v float64) float64 {
	if v-v != 0 {
		return missing
	}
	return v
}

// maskInvalid clears the heights whose bit is zero: bit i stands in byte i/8,
// lowest bit first.
func maskInvalid(bits []byte, z []float64) {
	for i := range z {
		if bits[i>>3]>>(i&7)&1 == 0 {
			z[i] = missing
		}
	}
}

// readInline fills z from the list in main.xml; the caller has compared the
// number of entries with the matrix.
func readInline(text []byte, maxDepth int, h *header, z []float64, g *grid) error {
	rec, i := h.record(), 0
	_, err := walk(text, maxDepth, func(path, text []byte) error {
		if string(path) != pathDatum {
			return nil
		}
		point := i
		i++
		if len(text) == 0 {
			z[point] = missing
			return nil
		}
		use := rec
		fields := bytes.Split(text, []byte(";"))
		if len(fields) == 1 {
			use = h.heightsOnly()
		}
		if len(fields) != len(use.axes) {
			return fault(nil, inMain(pathDatum), "point %d: %d coordinates, the axes call for %d", point, len(fields), len(rec.axes))
		}
		for k, f := range fields {
			v, err := strconv.ParseFloat(string(bytes.TrimSpace(f)), 64)
			if err != nil {
				return fault(nil, inMain(pathDatum), "point %d: %.40q is not a number", point, f)
			}
			v = use.axes[k].value(v)
			if use.names[k] == "Z" {
				z[point] = finite(v)
			} else {
				g.put(use.names[k], point, v)
			}
		}
		return nil
	})
	return err
}
