package index

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"proofmark/correlate"
	"proofmark/correlate/bullet"
	"proofmark/correlate/shear"
	"proofmark/correlate/synth"
	"proofmark/protocol"
)

// face is the signature of a made-up breech face. Scans would take too long here.
func face(tb testing.TB, firearm, shot uint64) []byte {
	tb.Helper()
	pixels := synth.Picture{Firearm: firearm, Shot: shot, Noise: 0.5, Span: 360}.Pixels(correlate.SignatureSide)
	s, err := correlate.SignatureFromPixels(correlate.SignatureFacts{ROI: correlate.BreechFace, Origin: correlate.OriginAperture, Aperture: 500, RMS: 1, Quality: 0.9, Levels: 6}, pixels)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := s.MarshalBinary()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// slug is the signature of a made-up bullet of six lands, its first land the barrel's turn-th; see docs/signature-lea.md for its form.
func slug(tb testing.TB, barrel, shot uint64, turn int) []byte {
	tb.Helper()
	const lands, samples = 6, 320
	out := []byte{'P', 'M', 'L', 1, 2, lands, 1<<lands - 1, 0}
	for i := range lands {
		land := uint64((i + turn) % lands)
		gun, own := rand.New(rand.NewPCG(barrel, land)), rand.New(rand.NewPCG(barrel, 100*shot+land+50))
		out = binary.LittleEndian.AppendUint16(out, 600) // nm RMS
		out = binary.LittleEndian.AppendUint16(out, samples)
		z := 0.0
		var low byte
		for k := range samples {
			z = 0.7*z + 3*gun.NormFloat64()
			v := byte(7 + math.Round(max(-7, min(7, z+1.5*own.NormFloat64()))))
			if k%2 == 0 {
				low = v
				continue
			}
			out = append(out, low|v<<4)
		}
	}
	if _, err := bullet.Decode(out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// edge is the signature of a made-up aperture shear; see docs/signature-shear.md for its form.
func edge(tb testing.TB, firearm, shot uint64) []byte {
	tb.Helper()
	const samples = 160
	gun, own := rand.New(rand.NewPCG(firearm, 7)), rand.New(rand.NewPCG(firearm, 1000+shot))
	out := []byte{'P', 'M', 'A', 1, 3, 200}
	out = binary.LittleEndian.AppendUint16(out, 600) // nm RMS
	out = binary.LittleEndian.AppendUint16(out, samples)
	z := 0.0
	var low byte
	for k := range samples {
		z = 0.7*z + 3*gun.NormFloat64()
		v := byte(7 + math.Round(max(-7, min(7, z+1.5*own.NormFloat64()))))
		if k%2 == 0 {
			low = v
			continue
		}
		out = append(out, low|v<<4)
	}
	if _, err := shear.Decode(out); err != nil {
		tb.Fatal(err)
	}
	return out
}

func shearOf(country protocol.Country, id string, bytes []byte) Entry {
	e := caseOf(country, id, bytes)
	e.ROI, e.Algorithm = correlate.ApertureShear, shear.Algorithm
	return e
}

// kept is where the tests' indexes fetch signatures: whatever was last made under an id.
var kept = struct {
	sync.Mutex
	bytes map[string][]byte
}{bytes: map[string][]byte{}}

func keep(id string, bytes []byte) {
	kept.Lock()
	defer kept.Unlock()
	kept.bytes[id] = bytes
}

func fetchKept(_ context.Context, ids []string) ([][]byte, error) {
	kept.Lock()
	defer kept.Unlock()
	out := make([][]byte, len(ids))
	for i, id := range ids {
		out[i] = kept.bytes[id]
	}
	return out, nil
}

func empty() *Index { return New(fetchKept) }

// caseOf is evidence, a cartridge case with nothing known of its class.
func caseOf(country protocol.Country, id string, bytes []byte) Entry {
	keep(id, bytes)
	return Entry{ID: id, Exhibit: "of " + id, Bytes: bytes, Facts: Facts{Country: country, Own: country == "PT", ROI: correlate.BreechFace, Kind: protocol.CartridgeCase,
		Origin: protocol.Evidence, Algorithm: correlate.Algorithm}}
}

func bulletOf(country protocol.Country, id string, bytes []byte) Entry {
	e := caseOf(country, id, bytes)
	e.ROI, e.Kind, e.Algorithm = correlate.LEA, protocol.Bullet, bullet.Algorithm
	return e
}

func hold(tb testing.TB, x *Index, entries ...Entry) {
	tb.Helper()
	for _, e := range entries {
		if err := x.Hold(e); err != nil {
			tb.Fatal(err)
		}
	}
}

func search(tb testing.TB, x *Index, e Entry) []Found {
	tb.Helper()
	found, err := x.Search(context.Background(), e.ID, e.Bytes, 20)
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

func TestEachRegionIsSearchedForItself(t *testing.T) {
	x := empty()
	c, b := caseOf("PT", "1", face(t, 5, 1)), bulletOf("PT", "2", slug(t, 1, 1, 0))
	strange := caseOf("ES", "7", []byte("what another algorithm makes"))
	strange.Algorithm = "other/9"
	few := bulletOf("ES", "8", firstLands(t, slug(t, 1, 2, 0), 2))
	hold(t, x, c, b, caseOf("ES", "3", face(t, 5, 2)), caseOf("ES", "4", face(t, 6, 1)), bulletOf("ES", "5", slug(t, 1, 2, 2)),
		bulletOf("ES", "6", slug(t, 2, 1, 0)), strange, few)

	if got := search(t, x, c); len(got) != 2 || got[0].ID != "3" || got[0].Comparison == nil || got[0].Bullets != nil || got[0].Algorithm != correlate.Algorithm ||
		got[0].Score <= got[1].Score || got[0].Score != got[0].Comparison.Score {
		t.Errorf("a breech face found %+v", got)
	}
	got := search(t, x, b)
	if len(got) != 2 || got[0].ID != "5" || got[0].Bullets == nil || got[0].Comparison != nil || got[0].Algorithm != bullet.Algorithm || got[0].Score != got[0].Bullets.Score {
		t.Fatalf("a bullet found %+v", got)
	}
	if f := got[0].Bullets; !f.Conclusive || f.Phase != 4 || len(f.Lands) != 6 || got[0].Inconclusive() != nil {
		t.Errorf("the mate, its lands two places on, agrees as %+v", f)
	}
	if f := got[1]; f.Bullets.Contrast < bullet.MinContrast != (len(f.Inconclusive()) > 0) {
		t.Errorf("contrast %.2f, said to be inconclusive because of %q", f.Bullets.Contrast, f.Inconclusive())
	}
	for _, e := range []Entry{strange, few} {
		if got := search(t, x, e); got != nil {
			t.Errorf("%s found %+v", e.ID, got)
		}
	}
	want := []Count{{correlate.BreechFace, correlate.Algorithm, true, 3}, {correlate.LEA, bullet.Algorithm, true, 3},
		{correlate.BreechFace, "other/9", false, 1}, {correlate.LEA, bullet.Algorithm, false, 1}}
	if got := x.Counts(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	x.Release("3")
	x.Release("3")
	if got := search(t, x, c); len(got) != 1 || got[0].ID != "4" || x.Holds("3") {
		t.Errorf("after the mate's release: %+v", got)
	}
	if _, err := x.Search(t.Context(), "3", c.Bytes, 20); !errors.Is(err, ErrNotHeld) {
		t.Errorf("a query that is not held: %v", err)
	}
}

// firstLands keeps the first lands of a bullet.
func firstLands(tb testing.TB, b []byte, n int) []byte {
	tb.Helper()
	whole, err := bullet.Decode(b)
	if err != nil {
		tb.Fatal(err)
	}
	lands := make([]*bullet.Land, whole.Count())
	for i := range n {
		lands[i] = whole.Land(i)
	}
	s, err := bullet.NewBullet(lands)
	if err != nil {
		tb.Fatal(err)
	}
	out, _ := s.MarshalBinary()
	return out
}

// A pair is told from the older signature's side, whichever of the two is searched for, so that two countries tell it alike.
func TestAPairIsToldFromTheOlderSide(t *testing.T) {
	for name, pair := range map[string][2]func(protocol.Country, string) Entry{
		"breech faces": {func(c protocol.Country, id string) Entry { return caseOf(c, id, face(t, 5, 1)) }, func(c protocol.Country, id string) Entry { return caseOf(c, id, face(t, 5, 2)) }},
		"bullets":      {func(c protocol.Country, id string) Entry { return bulletOf(c, id, slug(t, 1, 1, 0)) }, func(c protocol.Country, id string) Entry { return bulletOf(c, id, slug(t, 1, 2, 2)) }},
		"shears":       {func(c protocol.Country, id string) Entry { return shearOf(c, id, edge(t, 1, 1)) }, func(c protocol.Country, id string) Entry { return shearOf(c, id, edge(t, 1, 2)) }},
	} {
		x := empty()
		older, newer := pair[0]("PT", "1"), pair[1]("ES", "2")
		hold(t, x, older, newer)
		a, b := search(t, x, older), search(t, x, newer)
		if len(a) != 1 || len(b) != 1 {
			t.Fatalf("%s: found %+v and %+v", name, a, b)
		}
		if !reflect.DeepEqual(a[0].Finding, b[0].Finding) {
			t.Errorf("%s: told as %+v and as %+v", name, a[0].Finding, b[0].Finding)
		}
	}
}

// Compared by itself, a pair is told as a search tells it.
func TestComparedByItself(t *testing.T) {
	x := empty()
	list := []Entry{caseOf("PT", "1", face(t, 5, 1)), caseOf("ES", "2", face(t, 5, 2)), bulletOf("PT", "3", slug(t, 1, 1, 0)), bulletOf("ES", "4", slug(t, 1, 2, 2)),
		shearOf("PT", "5", edge(t, 1, 1)), shearOf("ES", "6", edge(t, 1, 2))}
	hold(t, x, list...)
	for i := 0; i < len(list); i += 2 {
		a, b := list[i], list[i+1]
		got, err := Compare(a.ROI, a.Algorithm, a.Bytes, b.Bytes)
		if want := search(t, x, b); err != nil || !reflect.DeepEqual(got, want[0].Finding) {
			t.Errorf("%s: %+v, %v; the search tells %+v", a.ROI, got, err, want[0].Finding)
		}
		for _, broken := range [][2][]byte{{a.Bytes, nil}, {nil, b.Bytes}} {
			if _, err := Compare(a.ROI, a.Algorithm, broken[0], broken[1]); err == nil || errors.Is(err, ErrNotComparable) {
				t.Errorf("%s: bytes that are none: %v", a.ROI, err)
			}
		}
	}
	if _, err := Compare(correlate.LEA, "other/9", nil, nil); !errors.Is(err, ErrNotComparable) {
		t.Errorf("an unknown algorithm: %v", err)
	}
}

func TestWhatMayBeCompared(t *testing.T) {
	query := caseOf("PT", "1", face(t, 5, 1))
	query.Class.Calibre = "9 mm Luger"
	for _, c := range []struct {
		name   string
		change func(e *Entry)
		want   bool
	}{
		{"a foreign exhibit", func(e *Entry) {}, true},
		{"a foreign exhibit of the same id", func(e *Entry) { e.Exhibit = query.Exhibit }, true},
		{"another own exhibit", func(e *Entry) { e.Country, e.Own = "PT", true }, true},
		{"the same exhibit", func(e *Entry) { e.Country, e.Own, e.Exhibit = "PT", true, query.Exhibit }, false},
		{"a test fire", func(e *Entry) { e.Origin = protocol.TestFire }, true},
		{"another name of the calibre", func(e *Entry) { e.Class.Calibre = "9x19" }, true},
		{"another calibre", func(e *Entry) { e.Class.Calibre = ".45 ACP" }, false},
		{"a bare bore that fits", func(e *Entry) { e.Class.Calibre = "9 mm" }, true},
		{"a bare bore that does not", func(e *Entry) { e.Class.Calibre = "7.62 mm" }, false},
		{"a bullet by mistake", func(e *Entry) { e.Kind = protocol.Bullet }, false},
		{"another algorithm", func(e *Entry) { e.Algorithm = "other/9" }, false},
		{"another region", func(e *Entry) { e.ROI = correlate.EjectorMark }, false},
	} {
		x := empty()
		other := caseOf("ES", "2", face(t, 5, 2))
		c.change(&other)
		hold(t, x, query, other)
		if got := search(t, x, query); len(got) == 1 != c.want {
			t.Errorf("%s: found %d", c.name, len(got))
		}
	}
	for name, change := range map[string]func(a, b *Entry){
		"foreign with foreign":     func(a, b *Entry) { a.Country, a.Own = "FR", false },
		"test fire with test fire": func(a, b *Entry) { a.Origin, b.Origin = protocol.TestFire, protocol.TestFire },
		"firing pins of other shape": func(a, b *Entry) {
			a.Class.FiringPin, b.Class.FiringPin = "circular", "rectangular"
		},
	} {
		x := empty()
		a, b := query, caseOf("ES", "2", face(t, 5, 2))
		change(&a, &b)
		hold(t, x, a, b)
		if got := search(t, x, a); len(got) != 0 {
			t.Errorf("%s: found %+v", name, got)
		}
	}
}

func TestForeignBytesAreChecked(t *testing.T) {
	good := map[correlate.ROI][2]any{correlate.ApertureShear: {shear.Algorithm, edge(t, 1, 1)}, correlate.BreechFace: {correlate.Algorithm, face(t, 5, 1)}, correlate.LEA: {bullet.Algorithm, slug(t, 1, 1, 0)}}
	for roi, v := range good {
		algorithm, bytes := v[0].(string), v[1].([]byte)
		if err := Check(roi, algorithm, bytes); err != nil || !Comparable(roi, algorithm) {
			t.Errorf("%s: %v", roi, err)
		}
		for name, b := range map[string][]byte{"cut short": bytes[:len(bytes)-1], "nothing": nil, "a byte more": append(slices.Clone(bytes), 0)} {
			if err := Check(roi, algorithm, b); err == nil || errors.Is(err, ErrNotComparable) {
				t.Errorf("%s, %s: %v", roi, name, err)
			}
			if err := empty().Hold(Entry{ID: "1", Bytes: b, Facts: Facts{ROI: roi, Algorithm: algorithm}}); err == nil {
				t.Errorf("%s, %s: it was held", roi, name)
			}
		}
		if err := Check(roi, "other/9", bytes); !errors.Is(err, ErrNotComparable) {
			t.Errorf("%s by another algorithm: %v", roi, err)
		}
	}
	if err := Check(correlate.FiringPin, correlate.FiringPinAlgorithm, face(t, 5, 1)); !errors.Is(err, correlate.ErrBadSignature) {
		t.Errorf("a breech face as a firing pin: %v", err)
	}
	if err := Check(correlate.LEA, correlate.Algorithm, face(t, 5, 1)); !errors.Is(err, ErrNotComparable) {
		t.Errorf("a breech face as lands: %v", err)
	}
}
