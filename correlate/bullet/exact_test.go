//go:build !race

package bullet

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestExactFunctions(t *testing.T) {
	for x := 0.0; x > -40; x -= 0.37 {
		if got, want := expNeg(x), math.Exp(x); math.Abs(got-want) > 1e-12*want {
			t.Errorf("exp(%g) = %g, want %g", x, got, want)
		}
	}
	if expNeg(-1000) != 0 {
		t.Error("exp(−1000) is not 0")
	}
	for x := -0.99; x < 0.9901; x += 0.0137 {
		if got, want := atanh(x), math.Atanh(x); math.Abs(got-want) > 1e-13 {
			t.Errorf("artanh(%g) = %g, want %g", x, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	for n := 1; n < 300; n++ {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(r.IntN(n)) // with ties
		}
		sorted := append([]float64(nil), v...)
		for i := range sorted { // insertion sort: independent of what is tested
			for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
				sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
			}
		}
		if got, want := median(v), (sorted[(n-1)/2]+sorted[n/2])/2; got != want {
			t.Fatalf("median of %d: %g, want %g", n, got, want)
		}
	}
}

// TestNoFusedProducts reads the compiler's output for architectures that fuse
// x*y+z where the source lets them: none may be left in this package.
func TestNoFusedProducts(t *testing.T) {
	fused := regexp.MustCompile(`\t(F|FN|WF|VF)(N?M)(ADD|SUB)[A-Z0-9]*\t`)
	for _, arch := range []string{"arm64", "ppc64le"} {
		cmd := exec.Command("go", "build", "-gcflags=-S", ".")
		cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("build for %s: %v\n%.500s", arch, err, out)
		}
		if !strings.Contains(string(out), "bullet.Compare") {
			t.Fatalf("%s: the compiler printed no assembly", arch)
		}
		for _, line := range strings.Split(string(out), "\n") {
			if fused.MatchString(line) {
				t.Errorf("%s: %s", arch, line)
			}
		}
	}
}
