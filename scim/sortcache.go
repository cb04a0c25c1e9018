package scim

import (
	"slices"
	"sync"

	"scimbridge/scim/directory"
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
	typ   directory.Type
	order string
}

type keptOrder struct {
	key       orderKey
	positions []int32
}

// get gives a copy of the order, if it is kept.
func (c *orderCache) get(k orderKey) ([]int, bool) {
	c.mu.Lock()
	i := slices.IndexFunc(c.orders, func(o keptOrder) bool { return o.key == k })
	if i < 0 {
		c.mu.Unlock()
		return nil, false
	}
	found := c.orders[i]
	copy(c.orders[1:], c.orders[:i])
	c.orders[0] = found
	c.mu.Unlock()

	positions := make([]int, len(found.positions))
	for j, p := range found.positions {
		positions[j] = int(p)
	}
	return positions, true
}

// put keeps an order, and drops those used longest ago if there are too many.
func (c *orderCache) put(k orderKey, positions []int) {
	if len(positions) > maxOrderPositions {
		return
	}
	kept := keptOrder{k, make([]int32, len(positions))}
	for i, p := range positions {
		kept.positions[i] = int32(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.orders, func(o keptOrder) bool { return o.key == k }) {
		return // another request was faster
	}
	c.orders = slices.Insert(c.orders, 0, kept)
	c.total += len(positions)
	for len(c.orders) > maxOrders || c.total > maxOrderPositions {
		last := len(c.orders) - 1
		c.total -= len(c.orders[last].positions)
		c.orders[last] = keptOrder{}
		c.orders = c.orders[:last]
	}
}
