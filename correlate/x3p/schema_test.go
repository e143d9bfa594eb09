package x3p

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mainXML returns main.xml of a container.
func mainXML(t testing.TB, b []byte) []byte {
	t.Helper()
	box, err := openContainer(strings.NewReader(string(b)), int64(len(b)), DefaultLimits(), func(kind, string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	text, err := box.readAll(box.main, "main.xml", DefaultLimits().MaxXML)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func problems(text []byte) (list []string, err error) {
	err = validate(text, DefaultLimits().MaxDepth, func(path, problem string) { list = append(list, path+" "+problem) })
	return list, err
}

// variants are scans whose writing exercises every branch of the writer.
func variants() map[string]*Scan {
	whole, bare, sparse := surface(5, 4), surface(3, 2), surface(2, 2)
	bare.Meta = Meta{}
	sparse.Meta.Creator, sparse.Meta.Comment = "", ""
	odd := surface(1, 1)
	odd.IncX, odd.IncY = 1.5625e-6/3, 1e-300
	odd.Meta.Comment = "<&>\"' \u0000\u202e µ\r\n\ttab"
	odd.Meta.Date = "2011-01-24T13:00:00.123456789012+14:00"
	return map[string]*Scan{"whole": whole, "bare": bare, "sparse": sparse, "odd": odd}
}

func TestWrittenFollowsTheSchema(t *testing.T) {
	for name, s := range variants() {
		if list, err := problems(mainXML(t, written(t, s))); len(list) > 0 || err != nil {
			t.Errorf("%s: %q, %v", name, list, err)
		}
		if r := CheckBytes(written(t, s), Limits{}); !r.Conforms() || len(r.Findings) > 0 && name != "odd" {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
}

// breaks are edits of a conforming document, each with what the schema says to it.
var breaks = []struct{ from, to, want string }{
	{"p:ISO5436_2", "p:ISO5436", ` is "ISO5436" in`},
	{"2008/ISO5436_2\"", "2009/ISO5436_2\"", `2009/ISO5436_2", the schema wants`},
	{"<Revision>ISO5436 - 2000</Revision>", "", "Record1/Revision is missing"},
	{"SUR", "AREA", `Record1/FeatureType "AREA" is none of PRF, SUR, PCL`},
	{"<CX>", "<CX><AxisType>I</AxisType>", "Record1/Axes/CX/AxisType is given twice"},
	{"<DataType>D</DataType><Increment>1e-6</Increment>", "<Increment>1e-6</Increment><DataType>D</DataType>", "Record1/Axes/CX/DataType stands after Increment"},
	{"1e-6", "0x1p-2", `Record1/Axes/CX/Increment "0x1p-2" is not a number`},
	{"1e-6", "1,5", `Record1/Axes/CX/Increment "1,5" is not a number`},
	{"<Offset/>", "<Offset>infinity</Offset>", `"infinity" is not a number`},
	{"</Axes>", "<Origin>NW</Origin></Axes>", "Record1/Axes/Origin is not in the schema"},
	{"</Axes>", "<Rotation><r11>1.5</r11></Rotation></Axes>", `Record1/Axes/Rotation/r11 "1.5" is not between -1 and 1`},
	{"</Axes>", "<Rotation><r11>1</r11></Rotation></Axes>", "Record1/Axes/Rotation/r33 is missing"},
	{"<SizeX>3<", "<SizeX>-3<", `Record3/MatrixDimension/SizeX "-3" is not a whole number`},
	{"<MatrixDimension>", "<ListDimension>6</ListDimension><MatrixDimension>", "Record3/MatrixDimension stands beside ListDimension"},
	{"</MD5ChecksumPointData>", "0</MD5ChecksumPointData>", "is not an MD5 of 32"},
	{"</DataLink>", "<ValidPointsLink>v</ValidPointsLink></DataLink>", "Record3/DataLink/MD5ChecksumValidPoints is missing"},
	{"<DataLink>", "<DataLink xmlns='x'>", `Record3/DataLink is in namespace "x"`},
	{"<Record4><ChecksumFile>md5checksum.hex</ChecksumFile></Record4>", "", "Record4 is missing"},
	{"<Record3>", "<Record3 xmlns=''></Record3><Record3>", "Record3/DataLink or DataList is missing"},
	{"<Record3>", "<Record2><Date>2024-05-31</Date></Record2><Record3>", `Record2/Date "2024-05-31" is not a date and time`},
	{"<Record3>", "<Record2><Date>2024-02-30T00:00:00</Date></Record2><Record3>", "is not a date and time"},
	{"<Record3>", "<Record2><Date>2024-02-03T00:00:00,5</Date></Record2><Record3>", "is not a date and time"},
	{"<Record3>", "<Record2><Date>2024-02-03T00:00:00+14:30</Date></Record2><Record3>", "is not a date and time"},
	{"<Record3>", "<Record2><ProbingSystem><Type>optical</Type></ProbingSystem></Record2><Record3>", `Record2/ProbingSystem/Type "optical" is none of`},
	{"<Record3>", "<Record2></Record2><Record3>", "Record2/Instrument is missing"},
}

func TestSchemaBreaks(t *testing.T) {
	good := file{}
	// The samples of the other tests have an empty Offset, which is no double.
	list, err := problems(good.xml())
	if err != nil || !slices.Equal(list, []string{`Record1/Axes/CY/Offset "" is not a number`}) {
		t.Fatalf("%q, %v", list, err)
	}
	for _, c := range breaks {
		list, err := problems(file{edit: map[string]string{c.from: c.to}}.xml())
		if err != nil || !slices.ContainsFunc(list, func(p string) bool { return strings.Contains(p, c.want) }) {
			t.Errorf("%s → %s: %q, %v; want %q", c.from, c.to, list, err, c.want)
		}
	}
	many := strings.Repeat("<x/>", 3*maxProblems)
	list, err = problems(file{edit: map[string]string{"</Axes>": many + "</Axes>"}}.xml())
	if err != nil || len(list) != maxProblems+1 || !strings.Contains(list[maxProblems], "problems more") {
		t.Errorf("%d problems of very many, %v", len(list), err)
	}
}

func TestDatum(t *testing.T) {
	for text, good := range map[string]bool{
		"": true, "1": true, "-1.5e-06;+.5;3": true, "1e-6": true, ";1": true, "1.": false, "NaN": false, "1;": false, "1e12345": false, "a": false, "1,2": false,
	} {
		if got := datum(text) == ""; got != good {
			t.Errorf("%q: good %v, want %v", text, got, good)
		}
	}
}

// xmllint, where it is installed, must come to the same verdict as the check in
// Go: on what the writer writes, on each break above, and on the real files.
func TestXmllintAgrees(t *testing.T) {
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Log("xmllint is not installed (scripts/need-xmllint): only the check in Go has run")
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "main.xml")
	run := func(text []byte, args ...string) error {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command(lint, append(args, "--noout", "--nonet", path)...).Run()
	}
	for name, s := range variants() {
		if err := run(mainXML(t, written(t, s))); err != nil {
			t.Errorf("%s is not well-formed: %v", name, err)
		}
	}
	scans := realScans(t)
	if scans == "" {
		t.Log("the schema is not here: only the form of the XML is compared")
		return
	}
	xsd := filepath.Join(scans, "format-samples", "iso5436_2.xsd")
	texts := map[string][]byte{"as the tests write it": file{}.xml()}
	for name, s := range variants() {
		texts[name] = mainXML(t, written(t, s))
	}
	for _, c := range breaks {
		// What is tried is the break alone, so the empty Offset is filled first.
		xml := strings.ReplaceAll(string(file{edit: map[string]string{c.from: c.to}}.xml()), "<Offset/>", "<Offset>0</Offset>")
		texts[c.to] = []byte(xml)
	}
	paths, err := filepath.Glob(filepath.Join(scans, "*", "*.x3p"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scans: %v", err)
	}
	kinds := map[string]int{}
	for _, p := range paths {
		if kinds[filepath.Dir(p)]++; kinds[filepath.Dir(p)] > 3 && filepath.Base(filepath.Dir(p)) != "format-samples" {
			continue // many of a kind
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(p)] = mainXML(t, b)
	}
	for name, text := range texts {
		list, err := problems(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := run(text, "--schema", xsd); (err == nil) != (len(list) == 0) {
			t.Errorf("%s: xmllint says %v, the check in Go %q", name, err, list)
		}
	}
}
