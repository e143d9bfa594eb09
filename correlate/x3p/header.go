package x3p

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// axis describes one of CX, CY and CZ.
type axis struct {
	absolute bool    // its coordinate is stored with every point
	kind     byte    // I int16, L int32, F float32, D float64
	inc, off float64 // metres; inc is 1 where the file has none
}

// value turns a stored number into metres. Increments scale integers alone: on
// floats they were meaningless before Amendment 1, and files carry stray ones.
func (a axis) value(v float64) float64 {
	if a.kind == 'I' || a.kind == 'L' {
		v *= a.inc
	}
	return v + a.off
}

func (a axis) width() int {
	switch a.kind {
	case 'I':
		return 2
	case 'L', 'F':
		return 4
	}
	return 8
}

// header is what main.xml says about the points.
type header struct {
	x, y, z      axis
	sizeX, sizeY int
	inline       bool // points stand in main.xml as a list
	datums       int  // their number, when inline
	leaves       map[string]string
}

func (h *header) points() int { return h.sizeX * h.sizeY }

const (
	pathDatum    = "Record3/DataList/Datum"
	pathPoints   = "Record3/DataLink/PointDataLink"
	pathPointsMD = "Record3/DataLink/MD5ChecksumPointData"
	pathValid    = "Record3/DataLink/ValidPointsLink"
	pathValidMD  = "Record3/DataLink/MD5ChecksumValidPoints"
	pathFeature  = "Record1/FeatureType"
	pathList     = "Record3/ListDimension"
	pathMatrix   = "Record3/MatrixDimension/"
	pathSumFile  = "Record4/ChecksumFile"
)

// keep lists the elements whose text is kept; the rest of the document costs no
// memory, whatever its size.
var keep = func() map[string]bool {
	k := map[string]bool{
		pathFeature: true, pathList: true, pathPoints: true, pathPointsMD: true,
		pathValid: true, pathValidMD: true, pathSumFile: true,
	}
	for _, a := range []string{"CX", "CY", "CZ"} {
		for _, e := range []string{"AxisType", "DataType", "Increment", "Offset"} {
			k["Record1/Axes/"+a+"/"+e] = true
		}
	}
	for _, e := range []string{"SizeX", "SizeY", "SizeZ"} {
		k[pathMatrix+e] = true
	}
	for i := 1; i <= 3; i++ {
		for j := 1; j <= 3; j++ {
			k[fmt.Sprintf("Record1/Axes/Rotation/r%d%d", i, j)] = true
		}
	}
	for _, m := range metaFields(&Meta{}) {
		k[m.path] = true
	}
	return k
}()

type metaField struct {
	path string
	text *string
}

// metaFields lists Record2 in the order of the schema.
func metaFields(m *Meta) []metaField {
	return []metaField{
		{"Record2/Date", &m.Date},
		{"Record2/Creator", &m.Creator},
		{"Record2/Instrument/Manufacturer", &m.Manufacturer},
		{"Record2/Instrument/Model", &m.Model},
		{"Record2/Instrument/Serial", &m.Serial},
		{"Record2/Instrument/Version", &m.Version},
		{"Record2/CalibrationDate", &m.CalibrationDate},
		{"Record2/ProbingSystem/Type", &m.ProbingType},
		{"Record2/ProbingSystem/Identification", &m.ProbingID},
		{"Record2/Comment", &m.Comment},
	}
}

// parseHeader reads main.xml without the points that may stand in it.
func parseHeader(text []byte, l Limits, warn warner) (*header, error) {
	h := &header{leaves: map[string]string{}}
	others := 0
	root, err := walk(text, l.MaxDepth, func(path, text []byte) error {
		if string(path) == pathDatum {
			h.datums++
			return nil
		}
		if others++; others > maxElements {
			return fault(ErrTooLarge, "main.xml", "more than %d elements apart from data points", maxElements)
		}
		if string(path) == "Record3/DataList" {
			h.inline = true
		}
		if !keep[string(path)] {
			return nil
		}
		if _, twice := h.leaves[string(path)]; twice {
			return fault(nil, inMain(string(path)), "is given twice")
		}
		if len(text) > maxLeaf {
			return fault(ErrTooLarge, inMain(string(path)), "text longer than %d bytes", maxLeaf)
		}
		h.leaves[string(path)] = string(text)
		return nil
	})
	if err != nil {
		return nil, err
	}
	switch root {
	case "":
		return nil, fault(ErrNotX3P, "main.xml", "holds no element")
	case "ISO5436_2":
	default:
		warn(departs, "main.xml: root element is %q instead of ISO5436_2", root)
	}
	if err := h.checkFeature(); err != nil {
		return nil, err
	}
	if err := h.parseAxes(warn); err != nil {
		return nil, err
	}
	return h, h.parseMatrix(l, warn)
}

func (h *header) checkFeature() error {
	const need = "; comparison needs an areal surface: export it as SUR with MatrixDimension"
	switch f := h.leaves[pathFeature]; f {
	case "SUR":
	case "PRF":
		return fault(ErrNotSurface, inMain(pathFeature), "PRF is a profile, a single line of heights"+need)
	case "PCL":
		return fault(ErrNotSurface, inMain(pathFeature), "PCL is a point cloud without a grid"+need)
	case "":
		return fault(ErrNotX3P, inMain(pathFeature), "is missing")
	default:
		return fault(ErrNotSurface, inMain(pathFeature), "%.20q is unknown"+need, f)
	}
	if _, list := h.leaves[pathList]; list {
		return fault(ErrNotSurface, inMain(pathList), "an unordered list of points has no grid"+need)
	}
	return nil
}

func (h *header) parseAxes(warn warner) error {
	for _, a := range []struct {
		name string
		axis *axis
	}{{"CX", &h.x}, {"CY", &h.y}, {"CZ", &h.z}} {
		base := "Record1/Axes/" + a.name + "/"
		switch t := h.leaves[base+"AxisType"]; t {
		case "A":
			a.axis.absolute = true
		case "I":
		default:
			return fault(nil, inMain(base+"AxisType"), "%.20q is neither I nor A", t)
		}
		if a.name == "CZ" && !a.axis.absolute {
			warn(departs, "%s: I, but heights are absolute by definition; read as A", inMain(base+"AxisType"))
			a.axis.absolute = true
		}
		if err := h.parseAxis(base, a.axis); err != nil {
			return err
		}
	}
	if (h.z.kind == 'F' || h.z.kind == 'D') && h.z.inc != 1 {
		warn(remark, "main.xml: Record1/Axes/CZ/Increment: %g is not applied to floating-point heights", h.z.inc)
	}
	for i := 1; i <= 3; i++ {
		for j := 1; j <= 3; j++ {
			unit := 0.0
			if i == j {
				unit = 1
			}
			p := fmt.Sprintf("Record1/Axes/Rotation/r%d%d", i, j)
			if t, ok := h.leaves[p]; ok {
				if v, err := strconv.ParseFloat(t, 64); err != nil || v != unit {
					warn(remark, "%s: %.20q: the rotation is not applied", inMain(p), t)
				}
			}
		}
	}
	return nil
}

func (h *header) parseAxis(base string, a *axis) error {
	switch k := h.leaves[base+"DataType"]; {
	case len(k) == 1 && strings.Contains("ILFD", k):
		a.kind = k[0]
	case !a.absolute: // an incremental axis needs no type
	default:
		return fault(nil, inMain(base+"DataType"), "%.20q is none of I, L, F, D", k)
	}
	for _, e := range []struct {
		name   string
		value  *float64
		absent float64
	}{{"Increment", &a.inc, 1}, {"Offset", &a.off, 0}} {
		t := h.leaves[base+e.name]
		if t == "" { // absent, or an empty <Offset/>
			*e.value = e.absent
			continue
		}
		v, err := strconv.ParseFloat(t, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fault(nil, inMain(base+e.name), "%.40q is not a finite number", t)
		}
		*e.value = v
	}
	if !a.absolute {
		if h.leaves[base+"Increment"] == "" {
			return fault(nil, inMain(base+"Increment"), "is missing; an incremental axis needs its spacing in metres")
		}
		if a.inc <= 0 {
			return fault(nil, inMain(base+"Increment"), "%g is not a spacing; it must be above zero", a.inc)
		}
	}
	return nil
}

func (h *header) parseMatrix(l Limits, warn warner) error {
	size := map[string]uint64{}
	for _, e := range []string{"SizeX", "SizeY", "SizeZ"} {
		t := h.leaves[pathMatrix+e]
		if t == "" && e == "SizeZ" {
			warn(departs, "%s: is missing; taken for 1", inMain(pathMatrix+e))
			t = "1"
		}
		v, err := strconv.ParseUint(t, 10, 64)
		if err != nil || v == 0 {
			return fault(nil, inMain(pathMatrix+e), "%.40q is not a whole number above zero", t)
		}
		size[e] = v
	}
	if size["SizeZ"] != 1 {
		return fault(ErrNotSurface, inMain(pathMatrix+"SizeZ"), "%d layers; export a single one", size["SizeZ"])
	}
	over, n := bits.Mul64(size["SizeX"], size["SizeY"])
	if over != 0 || n > uint64(l.MaxPoints) {
		return fault(ErrTooLarge, inMain("Record3/MatrixDimension"), "%d × %d points, the limit is %d",
			size["SizeX"], size["SizeY"], l.MaxPoints)
	}
	h.sizeX, h.sizeY = int(size["SizeX"]), int(size["SizeY"])
	return nil
}
