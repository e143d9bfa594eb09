package evaluate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/x3p"
)

// mark is one labelled scan on its way to comparison.
type mark struct {
	Labelled
	quality correlate.Quality
	packed  []byte   // the signature; nil where nothing could be encoded
	whole   imprint  // nil where it is not compared
	query   imprint  // whole, or cut; nil where nothing was left of it
	area    float64  // mm² of query
	rejects []string // why whole is nil
	missing bool     // the scan is not in the folder
	cuts    []cutting
	land    *bullet.Land // of a bullet; nil where it was rejected
}

// exhibit names the item that a mark is on.
func (l Labelled) exhibit() string {
	if l.Exhibit != "" {
		return l.Exhibit
	}
	return l.Scan
}

// Rejection is a scan that is not compared, and why.
type Rejection struct {
	Scan    string   `json:"scan"`
	Reasons []string `json:"reasons"`
}

// readMarks reads and encodes every scan of the table, whole and cut. A scan that
// cannot be used is a rejection with its reason.
func readMarks(p parallel, folder fs.FS, set []Labelled, how method, cuts []cut) ([]*mark, error) {
	marks := make([]*mark, len(set))
	if err := p.named("encoding scans").each(len(set), func(i int) { marks[i] = readMark(folder, set[i], how, cuts, i) }); err != nil {
		return nil, err
	}
	// A scan under two names would be its own best mate.
	seen := map[string]*mark{}
	for _, m := range marks {
		if m.whole == nil {
			continue
		}
		if first := seen[string(m.packed)]; first != nil {
			why := "the same scan as " + first.Scan
			if first.Source != m.Source {
				why += ", which the table gives to another source: one of the labels is wrong"
			}
			m.rejects, m.whole, m.query = []string{why}, nil, nil
			continue
		}
		seen[string(m.packed)] = m
	}
	return marks, nil
}

// allMissing tells whether the folder holds none of the scans.
func allMissing(marks []*mark) bool {
	return !slices.ContainsFunc(marks, func(m *mark) bool { return !m.missing })
}

// notInFolder is the error of a folder that holds none of the table's scans.
func notInFolder(set []Labelled) error {
	return fmt.Errorf("none of the table's %d scans is in the folder, the first is %s: %w; are table and folder of one set?", len(set), set[0].Scan, fs.ErrNotExist)
}

func readMark(folder fs.FS, l Labelled, how method, cuts []cut, i int) *mark {
	m := &mark{Labelled: l}
	scan, ok := m.decode(folder)
	if !ok {
		return m
	}
	packed, q, err := how.encode(scan, nil)
	m.quality, m.packed, m.area = q, packed, q.AreaMM2
	if err != nil {
		m.rejects = []string{err.Error()}
		return m
	}
	if !q.Accept {
		m.rejects = append([]string{fmt.Sprintf("quality %.2f", q.Score)}, q.Reasons...)
		return m
	}
	if m.whole, err = how.open(packed); err != nil {
		m.rejects = []string{err.Error()}
		return m
	}
	m.query = m.whole
	for _, c := range cuts {
		m.cuts = append(m.cuts, c.of(scan, how, q, i))
	}
	return m
}

// decode reads the mark's scan; where that fails the mark is rejected.
func (m *mark) decode(folder fs.FS) (*x3p.Scan, bool) {
	b, err := readScan(folder, m.Scan)
	if err != nil {
		m.missing = errors.Is(err, fs.ErrNotExist)
		m.rejects = []string{err.Error()}
		if m.missing {
			m.rejects = []string{"not in the folder"}
		}
		return nil, false
	}
	scan, err := x3p.Decode(b, x3p.Options{})
	if err != nil {
		m.rejects = []string{"unreadable: " + err.Error()}
		return nil, false
	}
	return scan, true
}

// readScan reads a file of the folder within the format's limit. A table made on
// Windows may part folders by backslashes.
func readScan(folder fs.FS, name string) ([]byte, error) {
	limit := x3p.DefaultLimits().MaxFile
	f, err := folder.Open(name)
	if other := strings.ReplaceAll(name, `\`, "/"); err != nil && other != name && fs.ValidPath(other) {
		if g, otherErr := folder.Open(other); otherErr == nil {
			f, err = g, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return b, nil
}
