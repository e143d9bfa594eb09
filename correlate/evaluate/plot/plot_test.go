package plot

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func chart() Chart {
	return Chart{
		Title: "a < b & c", Subtitle: "sub", X: Axis{Label: "x", Min: -1, Max: 3}, Y: Axis{Label: "y", Min: 0, Max: 10},
		Series: []Series{
			{Name: "line", X: []float64{-1, 0, 3}, Y: []float64{0, 5, math.Inf(1)}, Colour: Blue},
			{Name: "step", Style: Step, X: []float64{0, 1, 2}, Y: []float64{1, 2, 3}, Colour: Green, Dashed: true},
			{Name: "bars", Style: Bars, X: []float64{0, 1, 2}, Y: []float64{4, 0, 0}, Colour: Orange},
			{Name: "here", Style: Mark, X: []float64{2}, Colour: Grey},
			{Name: "each", Style: Strip, X: []float64{0, 1}, Colour: Grey},
		},
	}
}

func TestChartIsValidAndSteady(t *testing.T) {
	svg := chart().SVG()
	if !bytes.Equal(svg, chart().SVG()) {
		t.Error("equal charts differ")
	}
	texts := map[string]bool{}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := tok.(xml.CharData); ok {
			texts[strings.TrimSpace(string(c))] = true
		}
	}
	for _, want := range []string{"a < b & c", "sub", "x", "y", "line", "step", "bars", "here", "each", "−1.0", "0.5", "10"} {
		if !texts[want] {
			t.Errorf("%q is not on the chart", want)
		}
	}
	if s := string(svg); strings.Contains(s, "Inf") || strings.Contains(s, "NaN") {
		t.Error("a number that is none")
	}
}

// The corners of the data are the corners of the frame.
func TestScale(t *testing.T) {
	c := chart()
	for _, p := range []struct{ x, y, px, py float64 }{{-1, 0, left, height - bottom}, {3, 10, width - right, top}, {1, 5, (left + width - right) / 2, (top + height - bottom) / 2}} {
		if x, y := c.px(p.x), c.py(p.y); math.Abs(x-p.px) > 1e-9 || math.Abs(y-p.py) > 1e-9 {
			t.Errorf("(%g, %g) lies at (%g, %g), want (%g, %g)", p.x, p.y, x, y, p.px, p.py)
		}
	}
	m := regexp.MustCompile(`d="M([\d.]+) ([\d.]+)L`).FindStringSubmatch(string(c.SVG()))
	if m == nil {
		t.Fatal("no line")
	}
	if x, _ := strconv.ParseFloat(m[1], 64); x != left {
		t.Errorf("the line begins at %g", x)
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		a    Axis
		want string
	}{
		{Axis{Min: 0, Max: 1}, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{Axis{Min: -3, Max: 3}, "−3 −2 −1 0 1 2 3"},
		{Axis{Min: 0, Max: 0.04}, "0.00 0.01 0.02 0.03 0.04"},
		{Axis{Min: 12, Max: 2600}, "500 1000 1500 2000 2500"},
		{Axis{Min: 1, Max: 1}, ""},
		{Axis{Min: 0, Max: math.Inf(1)}, ""},
		{Axis{Min: 0, Max: 9, Ticks: []Tick{{1, "one"}, {10, "beside"}}}, "one"},
	} {
		var got []string
		for _, k := range c.a.ticks(6) {
			got = append(got, k.Label)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%g to %g: %s, want %s", c.a.Min, c.a.Max, s, c.want)
		}
	}
}
