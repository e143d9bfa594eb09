package x3p

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// rough is a surface whose heights compress as badly as measured ones.
func rough(sizeX, sizeY int) *Scan {
	s := surface(sizeX, sizeY)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range s.Z {
		x, y := i%sizeX-sizeX/2, i/sizeX-sizeY/2
		if s.Z[i] = 1e-6 * r.NormFloat64(); 4*(x*x+y*y) > sizeX*sizeY {
			s.Z[i] = math.NaN()
		}
	}
	return s
}

func BenchmarkDecode(b *testing.B) {
	files := map[string][]byte{"generated 545×545": written(b, rough(545, 545))}
	if dir := realScans(b); dir != "" {
		for name, path := range map[string]string{"real 545×545": "fadul/fadul-1-1.x3p", "raw 1231×1223": "fadul-raw/fadul-1-1.raw.x3p"} {
			content, err := os.ReadFile(filepath.Join(dir, path))
			if err != nil {
				b.Fatal(err)
			}
			files[name] = content
		}
	}
	for name, content := range files {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(bytes.NewReader(content), int64(len(content)), Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	s := rough(545, 545)
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, s); err != nil {
			b.Fatal(err)
		}
	}
}
