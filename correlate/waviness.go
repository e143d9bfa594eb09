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
	w0 := alongRows(weight, nx, ny, k0, even)
	w1 := alongRows(weight, nx, ny, k1, odd)
	w2 := alongRows(weight, nx, ny, k2, even)
	z0 := alongRows(z, nx, ny, k0, even)
	z1 := alongRows(z, nx, ny, k1, odd)
	room := make([]float64, 9*nx)
	line := func(i int) []float64 { return room[i*nx : (i+1)*nx] }
	w, wx, wy, wxx, wxy, wyy, h, hx, hy := line(0), line(1), line(2), line(3), line(4), line(5), line(6), line(7), line(8)
	out := make([]float64, len(z))
	for y := range ny {
		at := func(to, rows, k []float64, p parity) { columnsAt(to, rows, y, ny, k, p) }
		at(w, w0, k0, even)
		at(wx, w1, k0, even)
		at(wy, w0, k1, odd)
		at(wxx, w2, k0, even)
		at(wxy, w1, k1, odd)
		at(wyy, w0, k2, even)
		at(h, z0, k0, even)
		at(hx, z1, k0, even)
		at(hy, z0, k1, odd)
		for i := range nx {
			if weight[y*nx+i] == 0 {
				continue
			}
			// In window widths, so that the equations are of one size.
			sx, sy, sxy := wx[i]/sigma, wy[i]/sigma, wxy[i]/sigma/sigma
			ridge := float64(slopeRidge * w[i])
			long := h[i] / w[i]
			plane, ok := solve3([3][4]float64{
				{w[i], sx, sy, h[i]},
				{sx, wxx[i]/sigma/sigma + ridge, sxy, hx[i] / sigma},
				{sy, sxy, wyy[i]/sigma/sigma + ridge, hy[i] / sigma},
			})
			if ok {
				long = plane[0]
			}
			out[y*nx+i] = long
		}
	}
	return out
}
