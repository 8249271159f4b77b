package ledger

import (
	"container/list"
	"sync"
)

// lru keeps the values that were used last, up to a total cost. It is safe for concurrent use.
type lru[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	cost  int
	order list.List // of *lruItem, most recently used first
	items map[K]*list.Element
}

type lruItem[K comparable, V any] struct {
	key  K
	v    V
	cost int
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, items: make(map[K]*list.Element)}
}

func (c *lru[K, V]) get(key K) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*lruItem[K, V]).v, true
}

func (c *lru[K, V]) put(key K, v V, cost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.items[key] != nil || cost > c.max {
		return
	}
	c.items[key] = c.order.PushFront(&lruItem[K, V]{key, v, cost})
	for c.cost += cost; c.cost > c.max; {
		e := c.order.Back()
		it := c.order.Remove(e).(*lruItem[K, V])
		delete(c.items, it.key)
		c.cost -= it.cost
	}
}
