//go:build !race

package bullet

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSignatureRoundTripToTheBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		lands := make([]*Land, rapid.IntRange(1, MaxLands).Draw(t, "lands"))
		for i := range lands {
			if i == 0 || rapid.IntRange(0, 3).Draw(t, "absent") > 0 {
				lands[i] = randomLand(r, rapid.IntRange(2*leastSamples, MaxSamples).Draw(t, "samples"))
			}
		}
		b, err := NewBullet(lands)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := b.MarshalBinary()
		if err != nil || len(raw) > MaxSignatureSize {
			t.Fatalf("%d bytes, %v", len(raw), err)
		}
		got, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, b) {
			t.Fatal("decoded bullet differs")
		}
	})
}

func TestSignatureSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var lands []*Land
	for n := 1; n <= MaxLands; n++ {
		lands = append(lands, randomLand(r, MaxSamples))
		raw, _ := mustBullet(t, lands...).MarshalBinary()
		if want := 8 + 164*n; len(raw) != want {
			t.Errorf("%d widest lands: %d bytes, want %d", n, len(raw), want)
		}
		if n == 6 && len(raw) > 1000 {
			t.Errorf("six lands: %d bytes", len(raw))
		}
	}
	raw, _ := mustBullet(t, randomLand(r, 296)).MarshalBinary()
	if len(raw)-headerSize != 152 {
		t.Errorf("a land of 1,850 µm: %d bytes, want 152", len(raw)-headerSize)
	}
}

func TestNewBulletRefuses(t *testing.T) {
	l := randomLand(rand.New(rand.NewPCG(1, 3)), 300)
	for what, lands := range map[string][]*Land{
		"no lands": nil, "none there": {nil, nil}, "nine": {l, l, l, l, l, l, l, l, l},
	} {
		if _, err := NewBullet(lands); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	good, _ := mustBullet(t, randomLand(r, 299), nil, randomLand(r, 300)).MarshalBinary()
	second := headerSize + recordHeader + 150
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	for _, c := range []struct {
		what   string
		change func([]byte) []byte
		says   string
	}{
		{"empty", func([]byte) []byte { return nil }, "shorter than the header"},
		{"magic", set(0, 'X'), `begin with "PML"`},
		{"version", set(3, 2), "format version 2"},
		{"region", set(4, 1), "region code 1"},
		{"no lands", set(5, 0), "0 lands"},
		{"nine lands", set(5, 9), "9 lands"},
		{"none present", set(6, 0), "presence bits"},
		{"a fourth of three", set(6, 0x0d), "presence bits"},
		{"reserved", set(7, 1), "reserved"},
		{"too few samples", set(headerSize+2, 63, 0), "land 1 at byte 8: 63 samples"},
		{"too many samples", set(headerSize+2, 0x41, 1), "321 samples"},
		{"huge count", set(second+2, 0xff, 0xff), "land 3 at byte 162: 65535 samples"},
		{"unused half", func(b []byte) []byte { b[second-1] |= 0x10; return b }, "unused half"},
		{"missing first sample", func(b []byte) []byte { b[headerSize+recordHeader] |= 15; return b }, "missing samples at an end"},
		{"missing last sample", func(b []byte) []byte { b[len(b)-1] |= 0xf0; return b }, "missing samples at an end"},
		{"all missing but the ends", func(b []byte) []byte {
			for i := headerSize + recordHeader + 1; i < second-1; i++ {
				b[i] = 0xff
			}
			return b
		}, "samples that are not missing"},
		{"flat", func(b []byte) []byte {
			for i := second + recordHeader; i < len(b); i++ {
				b[i] = 0x77
			}
			return b
		}, "no striae"},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }, "are left"},
		{"cut in a record's header", func(b []byte) []byte { return b[:second+2] }, "shorter than the record's header"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "1 bytes follow"},
		{"far too long", func(b []byte) []byte { return append(b, make([]byte, 2000)...) }, "at most"},
	} {
		_, err := Decode(c.change(bytes.Clone(good)))
		if !errors.Is(err, ErrBadSignature) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.what, err, c.says)
		}
	}
	if _, err := Decode(good); err != nil {
		t.Error(err)
	}
}

// Whatever is accepted is canonical and can be compared.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 5))
	for n := 1; n <= MaxLands; n += 2 {
		raw, _ := randomBullet(r, n).MarshalBinary()
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
	}
	f.Add([]byte("PML\x01\x02\x01\x01\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrBadSignature) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, _ := b.MarshalBinary()
		if !bytes.Equal(again, raw) {
			t.Fatal("accepted bytes are not the canonical form")
		}
		tm := NewTemplate(b)
		if c := CompareAll(tm, tm); c.Counted > 0 && c.Score < 0.3 {
			t.Fatalf("a bullet does not agree with itself: %+v", c)
		}
	})
}

func TestRandomBytesNeverPanic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	good, _ := randomBullet(r, 6).MarshalBinary()
	accepted := 0
	for range 20_000 {
		raw := bytes.Clone(good[:headerSize+r.IntN(len(good)-headerSize+1)])
		for range 1 + r.IntN(4) {
			raw[r.IntN(len(raw))] = byte(r.Uint32())
		}
		if _, err := Decode(raw); err == nil {
			accepted++
		}
	}
	if accepted == 20_000 {
		t.Error("everything was accepted")
	}
}

// The signature that the specification prints.
func TestSignatureOfTheSpecification(t *testing.T) {
	q := make([]int8, 64)
	for i := range q {
		q[i] = int8(7 - 14*(i%2))
	}
	l, err := newLand(300, q)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := mustBullet(t, l).MarshalBinary()
	want := append([]byte{0x50, 0x4d, 0x4c, 1, 2, 1, 1, 0, 0x2c, 1, 0x40, 0}, bytes.Repeat([]byte{0x0e}, 32)...)
	if !bytes.Equal(raw, want) {
		t.Errorf("% x", raw)
	}
}
