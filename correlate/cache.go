package correlate

import (
	"container/list"
	"fmt"
	"sync"
)

// cachedTemplates bounds the expanded templates that a gallery keeps which keeps its
// signatures, at most 250 kB each: 64 MB. One that fetches them keeps none: of a large
// gallery, two queries rarely have an entry of their short lists in common.
const cachedTemplates = 256

// templateCache keeps the templates that were used last. An entry that is put
// again has new memory and so another key.
type templateCache struct {
	mu    sync.Mutex
	room  int
	order *list.List // of *cached, the one used last in front
	byKey map[*byte]*list.Element
}

type cached struct {
	key      *byte // the first byte of a signature, which it keeps alive
	template *Template
}

func newTemplateCache(room int) *templateCache {
	return &templateCache{room: room, order: list.New(), byKey: map[*byte]*list.Element{}}
}

// template returns an entry's template, expanding it where it is not at hand.
func (c *templateCache) template(signature []byte, polar packedPolar) (*Template, error) {
	key := &signature[0]
	c.mu.Lock()
	if e := c.byKey[key]; e != nil {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*cached).template, nil
	}
	c.mu.Unlock()
	t, err := expand(signature, polar)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil { // somebody else was faster
		return e.Value.(*cached).template, nil
	}
	c.byKey[key] = c.order.PushFront(&cached{key, t})
	if c.order.Len() > c.room {
		oldest := c.order.Back()
		delete(c.byKey, c.order.Remove(oldest).(*cached).key)
	}
	return t, nil
}

// expand makes a template of a signature whose polar code is known. Its picture was
// checked when it came in.
func expand(signature []byte, polar packedPolar) (*Template, error) {
	s, err := parseHeader(signature)
	if err != nil {
		return nil, fmt.Errorf("a signature of the gallery: %w", err)
	}
	s.decode(signature)
	t := newTemplate(s, signature)
	t.codes.polar = new(polarCode)
	polar.unpack(t.codes.polar)
	return t, nil
}
