package edit

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"proofmark/correlate/x3p"
)

// Form is the shape that levelling takes off.
type Form int

const (
	AsMeasured Form = iota // nothing
	Plane                  // tilt
	Curve                  // tilt and curvature: a second-order surface
)

const (
	levelPoints = 20_000 // points that the fit looks at
	levelRounds = 8      // reweightings; the fit stands still after four or five
	tukey       = 4.685  // of Tukey's biweight: 95 % efficiency for normal noise
)

// Level subtracts the form that fits the bulk of the heights best: least squares,
// reweighted with Tukey's biweight so that a firing-pin hole or a rim does not
// tilt it. A scan with too few heights for the fit is returned without change.
func Level(s *x3p.Scan, form Form) (*x3p.Scan, error) {
	terms := map[Form]int{AsMeasured: 0, Plane: 3, Curve: 6}[form]
	out, err := empty(s, s.SizeX, s.SizeY, s.IncX, s.IncY)
	if err != nil {
		return nil, fmt.Errorf("level: %w", err)
	}
	copy(out.Z, s.Z)
	if terms == 0 {
		return out, nil
	}
	c := fit(s, terms)
	if c == nil {
		return out, nil
	}
	var b [6]float64
	for i := range out.Z {
		basis(s, i, &b)
		for k, v := range c {
			out.Z[i] -= v * b[k]
		}
	}
	return out, nil
}

// basis holds 1, x, y, x², xy, y² of point i, with x and y from −1 to 1.
func basis(s *x3p.Scan, i int, b *[6]float64) {
	x := 2*(float64(i%s.SizeX)+0.5)/float64(s.SizeX) - 1
	y := 2*(float64(i/s.SizeX)+0.5)/float64(s.SizeY) - 1
	*b = [6]float64{1, x, y, x * x, x * y, y * y}
}

// fit returns the coefficients of the form, or nil where the points do not
// determine it.
func fit(s *x3p.Scan, terms int) []float64 {
	var at []int
	// A stride that shares no factor with the width walks over all columns.
	stride := max(1, len(s.Z)/levelPoints)
	for stride > 1 && gcd(stride, s.SizeX) != 1 {
		stride--
	}
	for i := 0; i < len(s.Z); i += stride {
		if !math.IsNaN(s.Z[i]) {
			at = append(at, i)
		}
	}
	weight, residual := make([]float64, len(at)), make([]float64, len(at))
	for i := range weight {
		weight[i] = 1
	}
	var found []float64
	for range levelRounds {
		c := leastSquares(s, at, weight, terms)
		if c == nil {
			return found
		}
		found = c
		var b [6]float64
		for k, i := range at {
			basis(s, i, &b)
			residual[k] = s.Z[i]
			for t, v := range c {
				residual[k] -= v * b[t]
			}
		}
		spread := median(residual)
		if spread == 0 {
			return found
		}
		for k, r := range residual {
			u := r / (tukey * 1.4826 * spread)
			weight[k] = max(0, 1-u*u) * max(0, 1-u*u)
		}
	}
	return found
}

func leastSquares(s *x3p.Scan, at []int, weight []float64, terms int) []float64 {
	normal, right := mat.NewSymDense(terms, nil), mat.NewVecDense(terms, nil)
	var b [6]float64
	for k, i := range at {
		basis(s, i, &b)
		for p := range terms {
			right.SetVec(p, right.AtVec(p)+weight[k]*b[p]*s.Z[i])
			for q := p; q < terms; q++ {
				normal.SetSym(p, q, normal.At(p, q)+weight[k]*b[p]*b[q])
			}
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(normal) || chol.Cond() > 1e10 {
		return nil
	}
	var c mat.VecDense
	if err := chol.SolveVecTo(&c, right); err != nil {
		return nil
	}
	return c.RawVector().Data
}

// median of the absolute values.
func median(v []float64) float64 {
	a := make([]float64, len(v))
	for i, r := range v {
		a[i] = math.Abs(r)
	}
	slices.Sort(a)
	return a[len(a)/2]
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
