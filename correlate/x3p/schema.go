package x3p

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// element is one declaration of the schema of ISO 5436-2 (namespace of 2008,
// taken over by ISO 25178-72): a leaf with the form of its text, or a sequence.
type element struct {
	name  string
	value value
	parts []part
}

// part is one place in a sequence: an element, or one of two.
type part struct {
	either   []*element
	optional bool
	many     bool
	with     string // the part is required where this sibling stands
}

func leaf(name string, v value) *element       { return &element{name: name, value: v} }
func node(name string, parts ...part) *element { return &element{name: name, parts: parts} }
func one(either ...*element) part              { return part{either: either} }
func optional(e *element) part                 { return part{either: []*element{e}, optional: true} }
func many(e *element) part                     { return part{either: []*element{e}, many: true} }
func together(e *element, with string) part {
	return part{either: []*element{e}, optional: true, with: with}
}

func (p part) names() (names []string) {
	for _, e := range p.either {
		names = append(names, e.name)
	}
	return names
}

func (p part) find(name string) *element {
	for _, e := range p.either {
		if e.name == name {
			return e
		}
	}
	return nil
}

var schema = func() *element {
	axis := func(name string) *element {
		return node(name, one(leaf("AxisType", oneOf("A", "I"))), optional(leaf("DataType", oneOf("I", "L", "F", "D"))),
			optional(leaf("Increment", double)), optional(leaf("Offset", double)))
	}
	rotation := node("Rotation")
	for i := 1; i <= 3; i++ {
		for j := 1; j <= 3; j++ {
			rotation.parts = append(rotation.parts, one(leaf(fmt.Sprintf("r%d%d", i, j), cosine)))
		}
	}
	return node("ISO5436_2",
		one(node("Record1",
			one(leaf("Revision", anyText)), one(leaf("FeatureType", oneOf("PRF", "SUR", "PCL"))),
			one(node("Axes", one(axis("CX")), one(axis("CY")), one(axis("CZ")), optional(rotation))))),
		optional(node("Record2",
			one(leaf("Date", dateTime)), optional(leaf("Creator", anyText)),
			one(node("Instrument", one(leaf("Manufacturer", anyText)), one(leaf("Model", anyText)), one(leaf("Serial", anyText)), one(leaf("Version", anyText)))),
			one(leaf("CalibrationDate", dateTime)),
			one(node("ProbingSystem", one(leaf("Type", oneOf("Contacting", "NonContacting", "Software"))), one(leaf("Identification", anyText)))),
			optional(leaf("Comment", anyText)))),
		one(node("Record3",
			one(node("MatrixDimension", one(leaf("SizeX", unsignedLong)), one(leaf("SizeY", unsignedLong)), one(leaf("SizeZ", unsignedLong))),
				leaf("ListDimension", unsignedLong)),
			one(node("DataLink", one(leaf("PointDataLink", anyText)), one(leaf("MD5ChecksumPointData", md5Hex)),
				optional(leaf("ValidPointsLink", anyText)), together(leaf("MD5ChecksumValidPoints", md5Hex), "ValidPointsLink")),
				node("DataList", many(leaf("Datum", datum)))))),
		one(node("Record4", one(leaf("ChecksumFile", anyText)))),
		optional(leaf("VendorSpecificID", anyText)))
}()

// maxProblems bounds what is said about one document.
const maxProblems = 100

// validation is one walk along a document with the schema beside it.
type validation struct {
	open      []frame
	found     func(path, problem string)
	n         int  // problems so far
	qualified bool // an element with a namespace was reported; there are usually many
}

// frame is an element that has begun; decl is nil where the schema knows none.
type frame struct {
	decl     *element
	path     string
	seen     map[string]bool
	last     int // index of the furthest part that stood in it
	lastName string
}

// validate holds main.xml against the schema and reports every problem with the
// path of the element below the root ("" for the root). The error is of a
// document that cannot be parsed to its end.
func validate(text []byte, maxDepth int, found func(path, problem string)) error {
	v := &validation{found: found}
	_, err := visit(text, maxDepth, v.begin, func(path, text []byte) error {
		v.end(string(text))
		return nil
	})
	if err == nil && len(v.open) == 1 {
		v.end("")
	}
	if v.n > maxProblems {
		found("", fmt.Sprintf("and %d problems more", v.n-maxProblems))
	}
	return err
}

func (v *validation) report(path, format string, args ...any) {
	if v.n++; v.n <= maxProblems {
		v.found(path, fmt.Sprintf(format, args...))
	}
}

func (v *validation) begin(path []byte, e xml.StartElement) {
	f := frame{path: string(path), last: -1}
	if len(v.open) == 0 {
		f.decl = schema
		if e.Name.Local != schema.name || e.Name.Space != namespace {
			v.report("", "is %q in namespace %q, the schema wants %q in %q", e.Name.Local, e.Name.Space, schema.name, namespace)
		}
	} else {
		f.decl = v.child(&v.open[len(v.open)-1], e, f.path)
	}
	if f.decl != nil && f.decl.parts != nil {
		f.seen = map[string]bool{}
	}
	v.open = append(v.open, f)
}

// child finds the declaration of an element in its parent and checks its place.
func (v *validation) child(parent *frame, e xml.StartElement, path string) *element {
	name := e.Name.Local
	if parent.decl == nil {
		return nil // the stranger above it is reported
	}
	for i, p := range parent.decl.parts {
		decl := p.find(name)
		if decl == nil {
			continue
		}
		if e.Name.Space != "" && !v.qualified {
			v.qualified = true
			v.report(path, "is in namespace %q, the schema wants none below the root", e.Name.Space)
		}
		switch {
		case p.many:
		case parent.seen[name]:
			v.report(path, "is given twice")
		case i == parent.last:
			v.report(path, "stands beside %s, the schema wants one of them", parent.lastName)
		case i < parent.last:
			v.report(path, "stands after %s, the schema wants it before", parent.lastName)
		}
		if i > parent.last {
			parent.last, parent.lastName = i, name
		}
		parent.seen[name] = true
		return decl
	}
	v.report(path, "is not in the schema")
	return nil
}

func (v *validation) end(text string) {
	f := v.open[len(v.open)-1]
	v.open = v.open[:len(v.open)-1]
	if f.decl == nil {
		return
	}
	if f.decl.value != nil {
		if problem := f.decl.value(strings.Join(strings.Fields(text), " ")); problem != "" {
			v.report(f.path, "%s", problem)
		}
		return
	}
	for _, p := range f.decl.parts {
		seen := false
		for _, name := range p.names() {
			seen = seen || f.seen[name]
		}
		if !seen && (!p.optional || p.with != "" && f.seen[p.with]) {
			v.report(strings.TrimPrefix(f.path+"/"+strings.Join(p.names(), " or "), "/"), "is missing")
		}
	}
}
