package correlate

import (
	"container/list"
	"sync"
)

// cachedTemplates bounds the expanded templates a gallery keeps, at most 250 kB
// each: 64 MB.
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
	key      *byte // the first byte of a packed entry, which it keeps alive
	template *Template
}

func newTemplateCache(room int) *templateCache {
	return &templateCache{room: room, order: list.New(), byKey: map[*byte]*list.Element{}}
}

// template returns an entry's template, expanding it where it is not at hand.
func (c *templateCache) template(p packedEntry) *Template {
	key := &p[0]
	c.mu.Lock()
	if e := c.byKey[key]; e != nil {
		c.order.MoveToFront(e)
		c.mu.Unlock()
		return e.Value.(*cached).template
	}
	c.mu.Unlock()
	t := p.template()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil { // somebody else was faster
		return e.Value.(*cached).template
	}
	c.byKey[key] = c.order.PushFront(&cached{key, t})
	if c.order.Len() > c.room {
		oldest := c.order.Back()
		delete(c.byKey, c.order.Remove(oldest).(*cached).key)
	}
	return t
}
