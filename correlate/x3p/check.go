package x3p

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Finding is one thing that a check says about a file.
type Finding struct {
	Part     string // as in FormatError; empty where the problem names it
	Problem  string
	Standard bool // it departs from the standard
	Refused  bool // a peer does not accept the file for it
}

func (f Finding) String() string {
	if f.Part == "" {
		return f.Problem
	}
	return f.Part + ": " + f.Problem
}

// Report is what a check found.
type Report struct {
	Scan     *Scan // nil where the file holds no surface that can be read
	Findings []Finding
}

// Conforms tells whether nothing departs from the standard.
func (r Report) Conforms() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Standard })
}

// Refused tells whether a peer would refuse the file.
func (r Report) Refused() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Refused })
}

// Check holds a container against the standard and against what a peer accepts.
// Unlike [Read] it goes on after the first problem where it can: main.xml is
// held against the schema, element by element, and every checksum is compared.
func Check(r io.ReaderAt, size int64, l Limits) Report {
	d := &reader{limits: l.orDefault(), scan: &Scan{}}
	err := d.read(r, size)
	report := Report{}
	add := func(f Finding) { report.Findings = append(report.Findings, f) }
	if d.text != nil && !errors.Is(err, ErrTooLarge) {
		// A document that does not parse is reported by the reader.
		_ = validate(d.text, d.limits.MaxDepth, func(path, problem string) {
			part := inMain(path)
			if path == "" {
				part = partRoot
			}
			add(Finding{Part: part, Problem: problem, Standard: true})
		})
	}
	said := slices.Clone(report.Findings)
	for i, w := range d.scan.Warnings {
		k := d.kinds[i]
		if k == departs && slices.ContainsFunc(said, func(f Finding) bool { return strings.HasPrefix(w, f.Part) }) {
			continue // the schema has said it
		}
		add(Finding{Problem: w, Standard: k == departs || k == corrupt, Refused: k == suspect || k == corrupt})
	}
	if d.box != nil {
		d.checkContainer(add)
	}
	if d.head != nil {
		d.checkOrigin(add)
	}
	if err == nil {
		report.Scan = d.scan
		return report
	}
	f := Finding{Problem: err.Error(), Refused: true, Standard: !errors.Is(err, ErrNotSurface) && !errors.Is(err, ErrTooLarge)}
	var fe *FormatError
	if errors.As(err, &fe) {
		f.Part, f.Problem = fe.Part, fe.Reason
	}
	report.Findings = slices.DeleteFunc(report.Findings, func(s Finding) bool { return s.Part == f.Part && f.Standard })
	add(f)
	return report
}

// CheckBytes is [Check] for bytes in memory.
func CheckBytes(b []byte, l Limits) Report {
	return Check(bytes.NewReader(b), int64(len(b)), l)
}

const partRoot = "main.xml: root element"

// checkOrigin says where the scan lay in the instrument's coordinates: a Scan
// counts from its own corner. The offset of heights is applied.
func (d *reader) checkOrigin(add func(Finding)) {
	for _, a := range []struct {
		name string
		off  float64
	}{{"CX", d.head.x.off}, {"CY", d.head.y.off}} {
		if a.off != 0 {
			add(Finding{Part: inMain("Record1/Axes/" + a.name + "/Offset"), Problem: fmt.Sprintf("%g m is not kept: places are counted from the corner of the scan", a.off)})
		}
	}
}

// checkContainer says what the reader tolerates in silence: the form of the
// checksum file, and members that nothing in main.xml names.
func (d *reader) checkContainer(add func(Finding)) {
	named := map[string]bool{"main.xml": true, "md5checksum.hex": true, maskFile: true}
	if d.head != nil {
		for _, p := range []string{pathPoints, pathValid, pathSumFile} {
			link := strings.ReplaceAll(d.head.leaves[p], `\`, "/")
			named[strings.ToLower(path.Clean(link))] = true
		}
	}
	if fields := strings.Fields(d.sums); len(fields) == 1 {
		add(Finding{Part: "md5checksum.hex", Problem: "holds a bare digest, md5sum also writes the name main.xml", Standard: true})
	} else if len(fields) > 1 && strings.TrimPrefix(fields[1], "*") != "main.xml" {
		add(Finding{Part: "md5checksum.hex", Problem: fmt.Sprintf("is of %.40q, not of main.xml", fields[1]), Standard: true})
	}
	var strangers []string
	for name, f := range d.box.files {
		if !named[name] {
			strangers = append(strangers, f.Name)
		}
	}
	slices.Sort(strangers)
	const most = 10
	for i, name := range strangers {
		if i == most {
			add(Finding{Part: "container", Problem: fmt.Sprintf("and %d more that main.xml does not name", len(strangers)-most)})
			return
		}
		add(Finding{Part: "container", Problem: fmt.Sprintf("%.80q is not named by main.xml; it is ignored", name)})
	}
}
