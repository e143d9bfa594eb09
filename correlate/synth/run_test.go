//go:build !race

package synth

import (
	"math"
	"testing"
)

// alike is the correlation of two faces' heights.
func alike(a, b *Firearm) float64 {
	var n, sa, sb, aa, bb, ab float64
	for i := range a.z {
		p, q := float64(a.z[i]), float64(b.z[i])
		if p == 0 || q == 0 {
			continue
		}
		n, sa, sb, aa, bb, ab = n+1, sa+p, sb+q, aa+p*p, bb+q*q, ab+p*q
	}
	return (ab - sa*sb/n) / math.Sqrt((aa-sa*sa/n)*(bb-sb*sb/n))
}

// Faces k apart in a run correlate at Share·Carry^k, less what folding takes.
func TestRunCarriesOver(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"pistol-cast", "pistol-broached"} {
		c, err := ClassNamed(class)
		if err != nil {
			t.Fatal(err)
		}
		m := c.Maker(1)
		run := m.Run(7, 4, Tool{Share: 0.6, Carry: 0.8})
		for k := 1; k < len(run); k++ {
			got, linear := alike(run[0], run[k]), 0.6*math.Pow(0.8, float64(k))
			if got > linear+0.06 || got < 0.75*linear-0.06 {
				t.Errorf("%s: faces %d apart correlate at %.3f, the metal at %.3f", class, k, got, linear)
			}
			t.Logf("%s: %d apart %.3f, before folding %.3f", class, k, got, linear)
		}
		alone := m.Run(7, 2, Tool{})
		if v := alike(alone[0], alone[1]); math.Abs(v) > 0.05 {
			t.Errorf("%s: a tool that leaves nothing makes faces correlate at %.3f", class, v)
		}
		again := m.Run(7, 2, Tool{Share: 0.6, Carry: 0.8})
		if !sameBits(run[1].Fire(1, Shot{}), again[1].Fire(1, Shot{})) {
			t.Errorf("%s: the second slide depends on how many come after it", class)
		}
	}
}

// Use changes a face slowly, and what was done stays done.
func TestWearOverRounds(t *testing.T) {
	t.Parallel()
	f := NewMaker(1).Firearm(1)
	if f.After(0) != f {
		t.Error("no rounds changed a firearm")
	}
	few, many := f.After(1000), f.After(10000)
	if a, b := alike(f, few), alike(f, many); a < 0.9 || b > a-0.1 || b < 0.4 {
		t.Errorf("after 1,000 rounds a face correlates with itself at %.3f, after 10,000 at %.3f", a, b)
	}
	if !sameBits(few.After(9000).Fire(1, Shot{}), many.Fire(1, Shot{})) {
		t.Error("1,000 and 9,000 rounds are not 10,000")
	}
	if c, _ := ClassNamed("striker-round-shear"); true {
		g := c.Maker(1).Firearm(1)
		worn, middle := g.After(20000), pinSide*pinSide/2+pinSide/2
		if worn.shear()[1000] == g.shear()[1000] || worn.pin().z[middle] == g.pin().z[middle] {
			t.Error("20,000 rounds left aperture edge or firing pin as they were")
		}
	}
}

// What the cartridge does: a harder primer takes less and no fine marks; texture,
// letters and lacquer are the cartridge's and hide some of the firearm's.
func TestAmmunition(t *testing.T) {
	t.Parallel()
	f := NewMaker(2).Firearm(3)
	shot := func(a Ammunition) surface {
		a.Spread = -1
		return newSurface(f.Fire(1, Shot{Rotation: 360, Contact: 1, Noise: -1, Ammunition: a}))
	}
	plain, _ := shot(Ammunition{}).bands()
	hard, _ := shot(Ammunition{Hardness: 2.5}).bands()
	if hard[1] > 0.8*plain[1] || hard[3] > 0.8*plain[3] {
		t.Errorf("a hard primer shows %.3f of %.3f µm at 25–40 µm and %.3f of %.3f at 80–140", hard[1], plain[1], hard[3], plain[3])
	}
	soft, firm := newCartridge(stream("test"), Ammunition{Hardness: 0.7}), newCartridge(stream("test"), Ammunition{Hardness: 2.5})
	if soft.finest != 0 || firm.finest < 10e-6 || soft.gain < 1 {
		t.Errorf("a soft primer takes marks from %g m at %.2f times the height, a hard one from %g m", soft.finest, soft.gain, firm.finest)
	}
	if rolled, _ := shot(Ammunition{Texture: 0.8e-6}).bands(); rolled[2] < 1.1*plain[2] {
		t.Errorf("rolled sheet lifts 40–80 µm from %.3f to %.3f µm only", plain[2], rolled[2])
	}
	if coated, _ := shot(Ammunition{Coat: 5e-6}).bands(); coated[2] > 0.95*plain[2] {
		t.Errorf("5 µm of lacquer leave %.3f of %.3f µm at 40–80", coated[2], plain[2])
	}
	bare, stamped := shot(Ammunition{}), shot(Ammunition{Letters: 3, Brand: 2})
	deep := 0.0
	for i, m := range stamped.mask {
		if m > 0 && bare.mask[i] > 0 {
			deep = max(deep, bare.z[i]-stamped.z[i])
		}
	}
	if deep < 4 {
		t.Errorf("letters are %.1f µm deep", deep)
	}
	kinds := map[bool]int{}
	for seed := range uint64(20) {
		kinds[NewAmmunition(seed).Texture > 0]++
	}
	if kinds[true] == 0 || kinds[false] == 0 {
		t.Errorf("of twenty brands %d have a texture", kinds[true])
	}
}
