package ballistics

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"strings"
	"testing"

	"proofmark/correlate/bullet"
	"proofmark/correlate/synth"
	"proofmark/correlate/x3p"
	"proofmark/node/desk"
	"proofmark/protocol"
	"proofmark/store"
)

// landFiles are generated scans of a bullet's lands, a strip of each; strength is that of the striae, 1 as usual.
func landFiles(t *testing.T, barrel, seed uint64, strength float64) []File {
	t.Helper()
	type key struct {
		barrel, seed uint64
		strength     float64
	}
	if v, ok := shots.Load(key{barrel, seed, strength}); ok {
		return v.([]File)
	}
	scans, _ := synth.NewBarrel(barrel, synth.Rifling{Strength: strength}).FireBullet(seed, synth.LandShot{Rows: 64})
	out := make([]File, len(scans))
	for i, s := range scans {
		var b bytes.Buffer
		if err := x3p.Write(&b, s); err != nil {
			t.Fatal(err)
		}
		out[i] = File{Name: fmt.Sprintf("land-%d.x3p", i+1), Content: b.Bytes(), Size: int64(b.Len())}
	}
	shots.Store(key{barrel, seed, strength}, out)
	return out
}

func (l *lab) bullet(number, ref string) {
	l.t.Helper()
	_, err := l.AddExhibit(l.t.Context(), tech, "", NewExhibit{Number: number, Case: ref, Kind: protocol.Bullet, Origin: protocol.Evidence, Calibre: "9 mm Luger"})
	if err != nil {
		l.t.Fatal(err)
	}
}

// oneLab is a laboratory with a bullet B1 and a cartridge case P1.
func oneLab(t *testing.T) *lab {
	t.Helper()
	pt := labs(t, "PT", "ES")[0]
	pt.crime("PT-1")
	pt.bullet("B1", "PT-1")
	pt.exhibit("P1", "PT-1")
	return pt
}

func (l *lab) acquireLands(number string, scans []File) (*Acquisition, error) {
	return l.Acquire(l.t.Context(), tech, "", NewAcquisition{Exhibit: number, ROI: "lea", Scans: scans})
}

// blobs says how many of some files the store keeps.
func (l *lab) blobs(scans []Scan) (n int) {
	l.t.Helper()
	err := l.Store.View(func(tx *store.Tx) error {
		for _, s := range scans {
			if s.Hash == "" {
				continue
			}
			b, err := tx.Blob(s.Hash)
			if err != nil || len(b) != s.Bytes {
				return fmt.Errorf("%s: %d bytes, %w", s.File, len(b), err)
			}
			n++
		}
		return nil
	})
	if err != nil {
		l.t.Error(err)
	}
	return n
}

func TestLandsOfABulletAreOneAcquisition(t *testing.T) {
	pt := oneLab(t)
	lands := landFiles(t, 3, 1, 3)
	a, err := pt.acquireLands("B1", lands)
	if err != nil {
		t.Fatal(err)
	}
	if a.Algorithm != bullet.Algorithm || a.Bytes > 1000 || len(a.Scans) != 6 || !(a.Quality.Score > 0.3 && a.Quality.Score <= 1) {
		t.Errorf("%+v", a)
	}
	passing := 0
	for i, s := range a.Scans {
		if s.File != lands[i].Name || s.Land == nil || math.Abs(s.Resolution-1.5625) > 1e-9 {
			t.Errorf("land %d: %+v", i+1, s)
		} else if s.Land.Accept {
			passing++
		} else if !strings.Contains(strings.Join(a.Quality.Reasons, "\n"), fmt.Sprintf("land %d (%s) is below the gate and not compared: weak marks", i+1, s.File)) {
			t.Errorf("land %d is below the gate, and the reasons do not name it: %q", i+1, a.Quality.Reasons)
		}
	}
	if n := pt.blobs(a.Scans); n != 6 {
		t.Errorf("%d scans are kept", n)
	}
	err = pt.Store.View(func(tx *store.Tx) error {
		sig, err := signatures.Get(tx, a.Signature)
		if err != nil {
			return err
		}
		b, err := bullet.Decode(sig.Bytes)
		if err != nil || b.Count() != 6 || b.Passing() != passing || sig.ROI != "lea" || sig.Kind != protocol.Bullet || sig.Algorithm != bullet.Algorithm {
			t.Errorf("%d lands, %d pass, signature %+v, %v", b.Count(), b.Passing(), sig, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	entry := pt.Events(store.AuditQuery{Kind: "acquisition"})
	if len(entry) != 1 || len(strings.Fields(entry[0].Details["scan"])) != 6 || entry[0].Details["algorithm"] != bullet.Algorithm {
		t.Errorf("audit entries: %+v", entry)
	}

	again, err := pt.acquireLands("B1", lands)
	if err != nil || again.ID != a.ID || len(pt.Events(store.AuditQuery{Kind: "acquisition"})) != 1 {
		t.Errorf("the same scans again: %v, %v", again, err)
	}
	if n, err := pt.Out.Waiting("ES", protocol.Bulk); err != nil || n != 1 {
		t.Errorf("%d documents wait for ES, %v", n, err)
	}
	// Another order is another claim of how the lands lie around the bullet.
	turned := append(append([]File{}, lands[1:]...), lands[0])
	if other, err := pt.acquireLands("B1", turned); err != nil || other.ID == a.ID {
		t.Errorf("the same lands in another order: %v, %v", other, err)
	}
	// A land that is not there keeps its place.
	fragment, err := pt.acquireLands("B1", []File{lands[0], {}, lands[2], lands[3], {}, lands[5]})
	if err != nil || len(fragment.Scans) != 6 || fragment.Scans[1].File != "" || pt.blobs(fragment.Scans) != 4 || fragment.Bytes > a.Bytes*4/6+10 {
		t.Errorf("a bullet with two lands missing: %+v, %v", fragment, err)
	}
}

func TestAcquisitionsThatCannotBe(t *testing.T) {
	pt := oneLab(t)
	lands, weak := landFiles(t, 3, 1, 3), landFiles(t, 2, 1, 0.02)
	face := File{Name: "face.x3p", Content: shot(t, 5, 1)}
	for name, c := range map[string]struct {
		n    NewAcquisition
		says string
	}{
		"one land":         {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: lands[:1]}, "one land alone is never compared"},
		"two lands":        {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: lands[:2]}, "2 scans of 2 lands: at least 3"},
		"nine lands":       {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: append(append([]File{}, lands...), weak[:3]...)}, "up to 8 lands"},
		"two of six":       {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: []File{lands[0], {}, lands[2], {}, {}, {}}}, "2 scans of 6 lands"},
		"no scan":          {NewAcquisition{Exhibit: "B1", ROI: "lea"}, "0 scans of 0 lands"},
		"the same twice":   {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: []File{lands[0], lands[1], lands[0]}}, "land 1 (land-1.x3p) and land 3 (land-1.x3p) are the same scan"},
		"weak lands":       {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: weak}, "0 of 6 lands pass the quality gate, at least 3 must: land 1 (land-1.x3p) is below the gate and not compared: weak marks"},
		"four weak":        {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: []File{lands[0], weak[0], weak[1], weak[2], weak[3], lands[3]}}, "pass the quality gate, at least 3 must: land 2"},
		"no scan file":     {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: []File{lands[0], lands[1], {Name: "c.x3p", Content: []byte("c")}}}, "c.x3p: x3p: "},
		"of a case":        {NewAcquisition{Exhibit: "P1", ROI: "lea", Scans: lands}, "exhibit P1 is a cartridge-case: it has no lea"},
		"face of a bullet": {NewAcquisition{Exhibit: "B1", ROI: "breech-face", Scans: []File{face}}, "exhibit B1 is a bullet: it has no breech-face"},
		"two faces":        {NewAcquisition{Exhibit: "P1", ROI: "breech-face", Scans: []File{face, lands[0]}}, "takes one scan, 2 are named"},
		"no face":          {NewAcquisition{Exhibit: "P1", ROI: "breech-face", Scans: []File{{}}}, "takes one scan"},
		"ejector mark":     {NewAcquisition{Exhibit: "P1", ROI: "ejector-mark", Scans: []File{face}}, "the ejector-mark cannot be encoded"},
		"masked land":      {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: lands, Mask: &face}, "a mask is for regions of a cartridge case"},
		"no certificate":   {NewAcquisition{Exhibit: "B1", ROI: "lea", Scans: lands, Replica: true}, "a replica needs its certificate"},
		"huge":             {NewAcquisition{Exhibit: "P1", ROI: "breech-face", Scans: []File{{Name: "huge.x3p", Content: make([]byte, store.MaxBlob+1)}}}, "huge.x3p has 134217729 bytes"},
		"no exhibit":       {NewAcquisition{Exhibit: "X9", ROI: "breech-face", Scans: []File{face}}, `there is no exhibit "X9"`},
	} {
		_, err := pt.Acquire(t.Context(), tech, "", c.n)
		if err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, desk.ErrInvalid) && !errors.Is(err, desk.ErrNotFound) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	for _, number := range []string{"B1", "P1"} {
		if v, err := pt.Exhibit(t.Context(), tech, number); err != nil || len(v.Acquisitions) != 0 {
			t.Errorf("%s has %d acquisitions, %v", number, len(v.Acquisitions), err)
		}
	}
}

// maskOf draws a picture, light where keep says so.
func maskOf(t *testing.T, nx, ny int, keep func(x, y int) bool) *File {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, nx, ny))
	for i := range m.Pix {
		if keep(i%nx, i/nx) {
			m.Pix[i] = 0xff
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return &File{Name: "mask.png", Content: b.Bytes()}
}

func TestAcquireWithADrawnMask(t *testing.T) {
	pt := oneLab(t)
	file := shot(t, 5, 1)
	scan, err := x3p.Decode(file, x3p.Options{})
	if err != nil {
		t.Fatal(err)
	}
	nx, ny := scan.SizeX, scan.SizeY
	acquire := func(mask *File) (*Acquisition, error) {
		return pt.Acquire(t.Context(), tech, "", NewAcquisition{Exhibit: "P1", ROI: "breech-face", Scans: []File{{Name: "face.x3p", Content: file}}, Mask: mask})
	}
	for name, c := range map[string]struct {
		mask *File
		says string
	}{
		"another size": {maskOf(t, nx-1, ny, func(int, int) bool { return true }), fmt.Sprintf("mask.png: mask: the picture has %d × %d pixels, the scan has %d × %d points", nx-1, ny, nx, ny)},
		"dark":         {maskOf(t, nx, ny, func(int, int) bool { return false }), "it is dark everywhere"},
		"no picture":   {&File{Name: "mask.png", Content: []byte("no picture")}, "mask.png: mask: the picture is no PNG picture"},
		"empty":        {&File{Name: "mask.png"}, "is no PNG picture"},
	} {
		if _, err := acquire(c.mask); !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	whole, err := acquire(nil)
	if err != nil {
		t.Fatal(err)
	}
	half := maskOf(t, nx, ny, func(x, _ int) bool { return x < nx/2 })
	cut, err := acquire(half)
	if err != nil {
		t.Fatal(err)
	}
	if cut.ID == whole.ID || cut.Signature == whole.Signature || cut.Quality.Areal.AreaMM2 > 0.7*whole.Quality.Areal.AreaMM2 {
		t.Errorf("half of the face has %.2f mm² of marks, the whole %.2f", cut.Quality.Areal.AreaMM2, whole.Quality.Areal.AreaMM2)
	}
	if cut.Mask == nil || pt.blobs([]Scan{*cut.Mask}) != 1 || whole.Mask != nil {
		t.Errorf("masks %+v and %+v", cut.Mask, whole.Mask)
	}
	if again, err := acquire(half); err != nil || again.ID != cut.ID {
		t.Errorf("the same scan under the same mask again: %v, %v", again, err)
	}
	entries := pt.Events(store.AuditQuery{Kind: "acquisition"})
	if len(entries) != 2 || entries[0].Details["mask"] != cut.Mask.Hash && entries[1].Details["mask"] != cut.Mask.Hash {
		t.Errorf("audit entries: %+v", entries)
	}
}

func TestTakeDividesAnUpload(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int64
		mask  int64 // −1: none
		body  string
		says  string
	}{
		"one":           {[]int64{3}, -1, "abc", ""},
		"three, mask":   {[]int64{1, 0, 2}, 1, "abcm", ""},
		"nothing":       {[]int64{0}, -1, "", ""},
		"too short":     {[]int64{1, 3}, -1, "abc", "3 bytes are announced, 2 are left"},
		"too long":      {[]int64{1, 1}, -1, "abc", "1 bytes of the upload belong to no file"},
		"negative":      {[]int64{-1, 4}, -1, "abc", "-1 bytes are announced"},
		"overflowing":   {[]int64{math.MaxInt64, math.MaxInt64}, -1, "abc", "are announced, 3 are left"},
		"mask too long": {[]int64{3}, 1, "abc", "1 bytes are announced, 0 are left"},
		"too many":      {make([]int64, 9), -1, "", "9 scans in one acquisition, at most 8"},
		"no files":      {nil, -1, "abc", "belong to no file"},
	} {
		var n NewAcquisition
		for _, s := range c.sizes {
			n.Scans = append(n.Scans, File{Size: s})
		}
		if c.mask >= 0 {
			n.Mask = &File{Size: c.mask}
		}
		err := n.Take([]byte(c.body))
		if c.says != "" {
			if !errors.Is(err, desk.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q", name, err, c.says)
			}
			continue
		}
		var back string
		for _, f := range n.files() {
			back += string(f.Content)
		}
		if err != nil || back != c.body {
			t.Errorf("%s: %q, %v", name, back, err)
		}
	}
}

func TestIdentityOfAnAcquisition(t *testing.T) {
	file := func(s string) File { return File{Name: s, Content: []byte(s)} }
	make3 := func(scans []File, mask string) NewAcquisition {
		n := NewAcquisition{Scans: scans}
		if mask != "" {
			f := file(mask)
			n.Mask = &f
		}
		for _, f := range n.files() {
			if !f.missing() {
				f.settle()
			}
		}
		return n
	}
	seen := map[string]string{}
	for name, n := range map[string]NewAcquisition{
		"one":               make3([]File{file("a")}, ""),
		"with a mask":       make3([]File{file("a")}, "m"),
		"with another mask": make3([]File{file("a")}, "n"),
		"two":               make3([]File{file("a"), file("b")}, ""),
		"two, turned":       make3([]File{file("b"), file("a")}, ""),
		"the mask a scan":   make3([]File{file("a"), file("m")}, ""),
		"one missing":       make3([]File{file("a"), {}}, ""),
		"missing first":     make3([]File{{}, file("a")}, ""),
	} {
		id := n.identity()
		if other, twice := seen[id]; twice || len(id) != 64 {
			t.Errorf("%s and %s are %s", name, other, id)
		}
		seen[id] = name
	}
	if n := make3([]File{file("a")}, ""); n.identity() != n.Scans[0].hash {
		t.Error("of one scan the identity is its hash")
	}
}
