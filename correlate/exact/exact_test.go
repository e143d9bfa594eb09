package exact

import (
	"hash/fnv"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestExactFunctions(t *testing.T) {
	for x := 0.0; x > -40; x -= 0.37 {
		if got, want := ExpNeg(x), math.Exp(x); math.Abs(got-want) > 1e-12*want {
			t.Errorf("exp(%g) = %g, want %g", x, got, want)
		}
	}
	if ExpNeg(-1000) != 0 {
		t.Error("exp(−1000) is not 0")
	}
	for d := -725.0; d < 725; d += 7.3 {
		sin, cos := SinCosDeg(d)
		ws, wc := math.Sincos(d * math.Pi / 180)
		if math.Abs(sin-ws) > 1e-12 || math.Abs(cos-wc) > 1e-12 {
			t.Errorf("%g°: %g, %g, want %g, %g", d, sin, cos, ws, wc)
		}
	}
	for x := -0.99; x < 0.9901; x += 0.0137 {
		if got, want := Atanh(x), math.Atanh(x); math.Abs(got-want) > 1e-13 {
			t.Errorf("artanh(%g) = %g, want %g", x, got, want)
		}
	}
}

// TestSameBits holds the functions to the bits they have had on the first
// architecture, over arguments that need no rounding to be written down.
func TestSameBits(t *testing.T) {
	h := fnv.New64a()
	add := func(v float64) {
		b := math.Float64bits(v)
		for range 8 {
			h.Write([]byte{byte(b)})
			b >>= 8
		}
	}
	for i := range 4096 {
		add(ExpNeg(-float64(i) / 128))
		sin, cos := SinCosDeg(float64(i-2048) / 4)
		add(sin)
		add(cos)
		add(Atanh(float64(i-2048) / 2100))
	}
	s := Sequence(1)
	for range 64 {
		add(float64(s.Below(1 << 30)))
	}
	if got, want := h.Sum64(), uint64(wantBits); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

const wantBits = 0xaacf0cca0d56b76f

// TestNoFusedProducts reads the compiler's output for architectures that fuse
// x*y+z where the source lets them: none may be left on the way from scan to score.
func TestNoFusedProducts(t *testing.T) {
	fused := regexp.MustCompile(`\t(F|FN|WF|VF)(N?M)(ADD|SUB)[A-Z0-9]*\t`)
	for _, p := range []struct{ pkg, function string }{
		{"proofmark/correlate/exact", "exact.Atanh"},
		{"proofmark/correlate", "correlate.Compare"},
		{"proofmark/correlate/bullet", "bullet.Compare"},
		{"proofmark/correlate/shear", "shear.Compare"},
	} {
		for _, arch := range []string{"arm64", "ppc64le"} {
			cmd := exec.Command("go", "build", "-gcflags="+p.pkg+"=-S", p.pkg)
			cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("build %s for %s: %v\n%.500s", p.pkg, arch, err, out)
			}
			if !strings.Contains(string(out), p.function) {
				t.Fatalf("%s, %s: the compiler printed no assembly", p.pkg, arch)
			}
			for line := range strings.Lines(string(out)) {
				if fused.MatchString(line) {
					t.Errorf("%s: %s", arch, line)
				}
			}
		}
	}
}
