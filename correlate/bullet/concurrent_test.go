package bullet

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestGalleryChangesWhileItIsSearched(t *testing.T) {
	g := crowd(t, 6, 60)
	r := rand.New(rand.NewPCG(3, 7))
	q, extra := NewTemplate(randomBullet(r, 6)), randomBullet(r, 6)
	var wg sync.WaitGroup
	for k := range 3 {
		wg.Go(func() {
			for i := range 6 {
				if k == 0 {
					id := fmt.Sprintf("other %d", 3*i)
					g.Remove(id)
					if err := g.Put(id, extra); err != nil {
						t.Error(err)
					}
					g.Remove("nobody")
					if err := g.Save(io.Discard); err != nil {
						t.Error(err)
					}
				} else if f, err := g.Search(context.Background(), q, Search{Keep: 3}); err != nil || len(f) != 3 {
					t.Errorf("%d found, %v", len(f), err)
				}
			}
		})
	}
	wg.Wait()
	if g.Len() != 60 {
		t.Errorf("%d bullets", g.Len())
	}
	if err := g.Put("other 7", extra); err != nil || g.Len() != 60 {
		t.Errorf("a replacement adds: %d, %v", g.Len(), err)
	}
	for i := range 60 {
		g.Remove(fmt.Sprintf("other %d", i))
	}
	if f, err := g.Search(context.Background(), q, Search{Keep: 3}); err != nil || len(f) != 0 || g.Len() != 0 {
		t.Errorf("an empty gallery finds %v, %v", f, err)
	}
}
