package bullet

import "math"

// Class holds the class characteristics of a barrel that exclude a pair before
// anything is compared; the number of lands is in the signature. An empty field,
// "unknown" or a width of 0 never excludes.
type Class struct {
	Calibre string
	Twist   string  // of the rifling: "L" or "R"
	Rifling string  // "conventional" or "polygonal"
	Width   float64 // of a land, µm: widths exclude where they differ by more than a tenth
}

const widthTolerance = 0.1

// admits tells whether two bullets may come from one barrel by their class.
func (c Class) admits(d Class) bool {
	return agree(c.Calibre, d.Calibre) && agree(c.Twist, d.Twist) && agree(c.Rifling, d.Rifling) &&
		(c.Width == 0 || d.Width == 0 || math.Abs(c.Width-d.Width) <= float64(widthTolerance*max(c.Width, d.Width)))
}

func agree(a, b string) bool {
	return a == b || a == "" || b == "" || a == "unknown" || b == "unknown"
}

// settled is the class with a width that can be none taken as not known.
func (c Class) settled() Class {
	if !(c.Width > 0) || math.IsInf(c.Width, 1) {
		c.Width = 0
	}
	return c
}
