package scim

import (
	"slices"
	"sync"
)

// Bounds of an orderCache: a client that walks through a sorted list of a
// million resources asks for the same order a thousand times.
const (
	maxOrders         = 16
	maxOrderPositions = 8 << 20 // in all orders together, four bytes each
)

// An orderCache keeps sort orders of whole lists, those used last. It holds on
// to no view: the orders of one that is gone fall out in time. The zero
// orderCache is empty and ready.
type orderCache struct {
	mu     sync.Mutex
	orders []keptOrder // the one used last comes first
	total  int         // positions in all of them
}

// An orderKey names a sort order of a list.
type orderKey struct {
	view  string // directory.View.ID
	types uint8  // 1<<type of those sorted together
	order string
}

type keptOrder struct {
	key    orderKey
	places []uint32
}

// get gives the order, if it is kept. It must not be changed.
func (c *orderCache) get(k orderKey) ([]uint32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.orders, func(o keptOrder) bool { return o.key == k })
	if i < 0 {
		return nil, false
	}
	found := c.orders[i]
	copy(c.orders[1:], c.orders[:i])
	c.orders[0] = found
	return found.places, true
}

// put keeps an order, which nobody changes from then on, and drops those used
// longest ago if there are too many.
func (c *orderCache) put(k orderKey, places []uint32) {
	if len(places) > maxOrderPositions {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.orders, func(o keptOrder) bool { return o.key == k }) {
		return // another request was faster
	}
	c.orders = slices.Insert(c.orders, 0, keptOrder{k, places})
	c.total += len(places)
	for len(c.orders) > maxOrders || c.total > maxOrderPositions {
		last := len(c.orders) - 1
		c.total -= len(c.orders[last].places)
		c.orders[last] = keptOrder{}
		c.orders = c.orders[:last]
	}
}
