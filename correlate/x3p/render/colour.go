package render

import (
	"image/color"
	"math"
)

var (
	ink   = color.RGBA{0x22, 0x2a, 0x33, 0xff}
	faint = color.RGBA{0x6b, 0x75, 0x80, 0xff}
)

// noData marks a missing point: pale, with stripes that no relief has.
func noData(x, y int) color.RGBA {
	if (x+y)%10 < 2 {
		return color.RGBA{0xcf, 0xd6, 0xde, 0xff}
	}
	return color.RGBA{0xec, 0xef, 0xf3, 0xff}
}

// stone is the grey of a relief without colours, with a breath of blue in the
// shadows and of yellow in the lights.
func stone(light float64) color.RGBA {
	v := math.Pow(max(0, min(1, light)), 0.9)
	return color.RGBA{channel(0.015 + 0.975*v), channel(0.025 + 0.955*v), channel(0.05 + 0.90*v), 0xff}
}

func channel(v float64) uint8 { return uint8(math.Round(255 * max(0, min(1, v)))) }

// stops are the colours of heights from low to high in Oklab (lightness, green to
// red, blue to yellow). Lightness rises evenly, so that the order of heights can
// be told by everybody and in print.
var stops = [...][3]float64{
	{0.36, 0.005, -0.110},
	{0.48, -0.050, -0.085},
	{0.60, -0.085, -0.010},
	{0.72, -0.050, 0.075},
	{0.82, 0.015, 0.120},
	{0.92, 0.020, 0.075},
}

// heightColour is the colour of a height, 0 lowest, 1 highest, as linear light.
func heightColour(at float64) [3]float64 {
	at *= float64(len(stops) - 1)
	k := min(int(at), len(stops)-2)
	f := at - float64(k)
	var c [3]float64
	for i := range c {
		c[i] = (1-f)*stops[k][i] + f*stops[k+1][i]
	}
	return linear(c)
}

// linear turns Oklab into linear sRGB (matrices of B. Ottosson, 2020).
func linear(lab [3]float64) [3]float64 {
	l := cube(lab[0] + 0.3963377774*lab[1] + 0.2158037573*lab[2])
	m := cube(lab[0] - 0.1055613458*lab[1] - 0.0638541728*lab[2])
	s := cube(lab[0] - 0.0894841775*lab[1] - 1.2914855480*lab[2])
	return [3]float64{
		4.0767416621*l - 3.3077115913*m + 0.2309699292*s,
		-1.2684380046*l + 2.6097574011*m - 0.3413193965*s,
		-0.0041960863*l - 0.7034186147*m + 1.7076147010*s,
	}
}

func cube(v float64) float64 { return v * v * v }

// lit darkens or brightens a colour; light is 1 where the surface is level.
func lit(c [3]float64, light float64) color.RGBA {
	light = math.Pow(max(0, light), 1.6)
	return color.RGBA{channel(gamma(c[0] * light)), channel(gamma(c[1] * light)), channel(gamma(c[2] * light)), 0xff}
}

// gamma is the transfer curve of sRGB.
func gamma(v float64) float64 {
	if v <= 0.0031308 {
		return 12.92 * max(0, v)
	}
	return 1.055*math.Pow(v, 1/2.4) - 0.055
}
