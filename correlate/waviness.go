package correlate

// slopeRidge, in the window's variance, holds the fitted plane level where the
// points under the window do not tell its slope.
const slopeRidge = 0.02

// waviness is the long-wave part of the heights z at the points of weight 1 (z is 0
// elsewhere): the value there of the plane fitted through the points in a Gaussian
// window, the linear profile filter by Gaussian regression of degree 1 (as
// ISO 16610-31, without its robust weights). sigma is in points.
//
// A mere weighted mean takes, at the edge of the face or of a partial mark, the
// heights of one side for the height at the edge, and so leaves a rim wherever the
// surface slopes. On the real set the plane raises mates' correlation by 0.02 and
// lowers the highest of others; no constant was chosen for it but slopeRidge.
func waviness(z, weight []float64, nx, ny int, sigma float64) []float64 {
	k0 := gaussKernel(sigma)
	k1, k2 := make([]float64, len(k0)), make([]float64, len(k0))
	for i, k := range k0 {
		k1[i] = float64(k * float64(i))
		k2[i] = float64(k * float64(i*i))
	}
	w0 := alongRows(weight, nx, ny, k0, addPair)
	w1 := alongRows(weight, nx, ny, k1, addDifference)
	z0 := alongRows(z, nx, ny, k0, addPair)
	column := func(rows, k []float64) []float64 { return alongColumns(rows, nx, ny, k, addPair) }
	odd := func(rows []float64) []float64 { return alongColumns(rows, nx, ny, k1, addDifference) }
	w, wx, wy := column(w0, k0), column(w1, k0), odd(w0)
	wxx, wxy, wyy := column(alongRows(weight, nx, ny, k2, addPair), k0), odd(w1), column(w0, k2)
	h, hx, hy := column(z0, k0), column(alongRows(z, nx, ny, k1, addDifference), k0), odd(z0)
	out := make([]float64, len(z))
	for i := range out {
		if weight[i] == 0 {
			continue
		}
		// In window widths, so that the equations are of one size.
		sx, sy, sxy := wx[i]/sigma, wy[i]/sigma, wxy[i]/sigma/sigma
		ridge := float64(slopeRidge * w[i])
		out[i] = h[i] / w[i]
		plane, ok := solve3([3][4]float64{
			{w[i], sx, sy, h[i]},
			{sx, wxx[i]/sigma/sigma + ridge, sxy, hx[i] / sigma},
			{sy, sxy, wyy[i]/sigma/sigma + ridge, hy[i] / sigma},
		})
		if ok {
			out[i] = plane[0]
		}
	}
	return out
}
