package demo

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"

	"proofmark/correlate"
	"proofmark/correlate/x3p"
)

// relief is a breech face in the frame of a drawing: heights in µm on a square raster, row-major; cover tells how much of each point was measured, 0 to 1.
type relief struct {
	n     int
	step  float64 // µm from point to point
	z     []float64
	cover []float64
}

// placed is a scan and how it lies in the drawing's frame: turned about its aperture's centre and shifted, as Pose has it.
type placed struct {
	scan   *x3p.Scan
	centre [2]float64 // of the aperture, µm from the scan's centre
	pose   correlate.Pose
}

// into maps a point of the drawing's frame (µm from the first mark's aperture) to the scan's columns and rows: the inverse of the pose, which is p ↦ R·p + shift.
func (p *placed) into(x, y float64) (col, row float64) {
	sin, cos := math.Sincos(p.pose.Rotation * math.Pi / 180)
	x, y = x-p.pose.ShiftX, y-p.pose.ShiftY
	x, y = x*cos+y*sin, y*cos-x*sin
	col = (x+p.centre[0])/(p.scan.IncX*1e6) + float64(p.scan.SizeX-1)/2
	row = (y+p.centre[1])/(p.scan.IncY*1e6) + float64(p.scan.SizeY-1)/2
	return col, row
}

// outOf is the inverse of into.
func (p *placed) outOf(col, row float64) (x, y float64) {
	sin, cos := math.Sincos(p.pose.Rotation * math.Pi / 180)
	x = (col-float64(p.scan.SizeX-1)/2)*p.scan.IncX*1e6 - p.centre[0]
	y = (row-float64(p.scan.SizeY-1)/2)*p.scan.IncY*1e6 - p.centre[1]
	return x*cos - y*sin + p.pose.ShiftX, x*sin + y*cos + p.pose.ShiftY
}

// view is the square of the frame that a drawing shows, in µm.
type view struct{ x, y, half float64 }

// viewOf is the smallest view that shows all measured points of the scans, with a margin for the cells at the rim.
func viewOf(faces ...*placed) view {
	left, right, top, bottom := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, f := range faces {
		for i, z := range f.scan.Z {
			if z-z == 0 {
				x, y := f.outOf(float64(i%f.scan.SizeX), float64(i/f.scan.SizeX))
				left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
			}
		}
	}
	return view{(left + right) / 2, (top + bottom) / 2, 1.07 * max(right-left, bottom-top) / 2}
}

// smoothing is the σ of the Gaussian that takes the instrument's noise out of a drawing, in µm; the marks that are compared begin at 80 µm.
const smoothing = 10.0

// lay brings the scan into the view at n points a side.
func (p *placed) lay(v view, n int) *relief {
	z, weight := smooth(p.scan)
	r := &relief{n: n, step: 2 * v.half / float64(n), z: make([]float64, n*n), cover: make([]float64, n*n)}
	for i := range r.z {
		x := v.x - v.half + (float64(i%n)+0.5)*r.step
		y := v.y - v.half + (float64(i/n)+0.5)*r.step
		col, row := p.into(x, y)
		c, w := math.Floor(col), math.Floor(row)
		var sum, near float64
		for k := range 4 {
			at, down := int(c)+k%2, int(w)+k/2
			if at < 0 || at >= p.scan.SizeX || down < 0 || down >= p.scan.SizeY {
				continue
			}
			share := (1 - math.Abs(col-float64(at))) * (1 - math.Abs(row-float64(down)))
			j := down*p.scan.SizeX + at
			sum, near = sum+share*weight[j]*z[j], near+share*weight[j]
		}
		if near > 0.05 {
			r.z[i] = sum / near
		}
		r.cover[i] = min(max((near-0.35)/0.3, 0), 1) // closes single lost points, and softens the rim
	}
	return r
}

// smooth is the scan in µm, low-passed over its measured points, and how much was measured around each point.
func smooth(s *x3p.Scan) (z, weight []float64) {
	z, weight = make([]float64, len(s.Z)), make([]float64, len(s.Z))
	for i, h := range s.Z {
		if h-h == 0 {
			z[i], weight[i] = h*1e6, 1
		}
	}
	along(z, weight, s.SizeX, 1, s.SizeX, s.SizeY, smoothing/(s.IncX*1e6))
	along(z, weight, s.SizeY, s.SizeX, 1, s.SizeX, smoothing/(s.IncY*1e6))
	for i, w := range weight {
		if w > 1e-6 {
			z[i] /= w
		}
	}
	return z, weight
}

// along convolves lines of length n with a Gaussian of σ points: their points lie stride apart, the lines next apart, and there are so many of them.
func along(z, weight []float64, n, stride, next, lines int, sigma float64) {
	reach := int(math.Ceil(3 * sigma))
	kernel, sum := make([]float64, 2*reach+1), 0.0
	for k := range kernel {
		kernel[k] = math.Exp(-float64((k-reach)*(k-reach)) / (2 * sigma * sigma))
		sum += kernel[k]
	}
	a, b := make([]float64, n), make([]float64, n)
	for line := range lines {
		for i := range n {
			a[i], b[i] = 0, 0
			for k, g := range kernel {
				if j := i + k - reach; j >= 0 && j < n {
					a[i] += g / sum * z[line*next+j*stride]
					b[i] += g / sum * weight[line*next+j*stride]
				}
			}
		}
		for i := range n {
			z[line*next+i*stride], weight[line*next+i*stride] = a[i], b[i]
		}
	}
}

// Light and matter of a drawing.
const (
	steepen  = 9.0 // slopes are this many times steeper than measured: marks are a micrometre high and a hundred wide
	azimuth  = 225 // degrees from x towards y: the light comes from the upper left
	altitude = 42  // degrees above the surface
	quality  = 80  // of JPEG
)

var (
	plate = color.RGBA{0x15, 0x18, 0x1d, 0xff} // what lies behind a face
	metal = [3]color.RGBA{{0x1f, 0x16, 0x0e, 0xff}, {0xa8, 0x83, 0x4c, 0xff}, {0xff, 0xf3, 0xd4, 0xff}}
)

// shade lights the relief from one side (Lambert's law) and colours it as brass.
func (r *relief) shade() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, r.n, r.n))
	sinA, cosA := math.Sincos(azimuth * math.Pi / 180)
	sinH, cosH := math.Sincos(altitude * math.Pi / 180)
	for y := range r.n {
		for x := range r.n {
			i := y*r.n + x
			l, rt, u, d := r.near(i, -1, x > 0), r.near(i, 1, x < r.n-1), r.near(i, -r.n, y > 0), r.near(i, r.n, y < r.n-1)
			gx, gy := steepen*(rt-l)/(2*r.step), steepen*(d-u)/(2*r.step)
			light := max(0, (-gx*cosA*cosH-gy*sinA*cosH+sinH)/math.Sqrt(gx*gx+gy*gy+1))
			img.SetRGBA(x, y, blend(plate, brass(light), r.cover[i]))
		}
	}
	return img
}

// near is the height of a neighbour, or the point's own where nothing was measured.
func (r *relief) near(i, step int, inside bool) float64 {
	if inside && r.cover[i+step] > 0 {
		return r.z[i+step]
	}
	return r.z[i]
}

// brass is the colour of the metal under a light of 0 to 1; a level surface gets sin(altitude), the middle.
func brass(light float64) color.RGBA {
	level := math.Sin(altitude * math.Pi / 180)
	if light < level {
		return blend(metal[0], metal[1], light/level)
	}
	return blend(metal[1], metal[2], (light-level)/(1-level))
}

func blend(a, b color.RGBA, t float64) color.RGBA {
	mix := func(a, b uint8) uint8 { return uint8(float64(a) + t*(float64(b)-float64(a)) + 0.5) }
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
}

func encodeJPEG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality})
	return b.Bytes(), err
}

// cellSide is the side of correlate's congruent cells in µm.
const cellSide = 406.25

// gridTurn is how the cells' squares lie in the frame: they are cut from one of the two marks, along its own axes, so they are turned as that mark is. It is
// 0 or rotation (degrees), whichever the distances between the centres fit better.
func gridTurn(cells []correlate.Cell, rotation float64) float64 {
	misfit := func(turn float64) (sum float64) {
		sin, cos := math.Sincos(turn * math.Pi / 180)
		for _, c := range cells {
			x, y := c.X-cells[0].X, c.Y-cells[0].Y
			x, y = (x*cos+y*sin)/cellSide, (y*cos-x*sin)/cellSide
			sum += math.Abs(x-math.Round(x)) + math.Abs(y-math.Round(y))
		}
		return sum
	}
	if misfit(rotation) < misfit(0) {
		return rotation
	}
	return 0
}
