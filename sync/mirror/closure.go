package mirror

import (
	"context"
	"fmt"
	"slices"

	"scimbridge/sync/store"
)

// assignedTo is the id under which the store keeps who is assigned to an
// application: as members of a group that is no object.
func assignedTo(appID string) string { return "assigned:" + appID }

// A closure answers who is in which groups, directly or through others, by what
// is stored. It asks upwards, from a member to her groups, since those are few
// and the same for many; what it learns of groups it remembers, so that it is
// good for one state of the store only.
//
// Groups that were removed lead nowhere, but for the questions that end in
// Ever: these take the memberships that ended since a picture for holding yet,
// and removed groups for being there, so that they find every way that there
// was or is.
type closure struct {
	ctx    context.Context
	store  store.Store
	source string

	live    map[string]bool     // group -> it is there
	parents map[string][]string // group -> what it is a direct member of
	above   map[string][]string // group -> all live groups above it, itself included
	ever    map[string][]string // likewise, of aboveEver

	endedUp, endedDown map[string][]string // member -> groups that she left; group -> who left it
}

func newClosure(ctx context.Context, s store.Store, source string) *closure {
	return &closure{
		ctx: ctx, store: s, source: source, live: make(map[string]bool), parents: make(map[string][]string),
		above: make(map[string][]string), ever: make(map[string][]string),
		endedUp: make(map[string][]string), endedDown: make(map[string][]string),
	}
}

// ended tells of a membership that ended since.
func (c *closure) ended(group, member string) {
	c.endedUp[member] = append(c.endedUp[member], group)
	c.endedDown[group] = append(c.endedDown[group], member)
}

// isLive says whether there is a group of that id.
func (c *closure) isLive(id string) (bool, error) {
	live, known := c.live[id]
	if known {
		return live, nil
	}
	obj, found, err := c.store.Object(c.ctx, c.source, store.Group, id)
	if err != nil {
		return false, fmt.Errorf("looking up a group: %w", err)
	}
	live = found && obj.Removed == nil
	c.live[id] = live
	return live, nil
}

// isGroup says whether a member is a group, there or removed.
func (c *closure) isGroup(e store.Edge) (bool, error) {
	if e.Type != "group" && e.Type != "" {
		return false, nil
	}
	_, found, err := c.store.Object(c.ctx, c.source, store.Group, e.Member)
	return found, err
}

// direct gives what an object is a direct member of, groups that are not there
// included.
func (c *closure) direct(id string) (groups []string, err error) {
	for e, err := range c.store.MemberOf(c.ctx, c.source, id) {
		if err != nil {
			return nil, err
		}
		groups = append(groups, e.Group)
	}
	return groups, nil
}

func (c *closure) directOfGroup(id string) ([]string, error) {
	if parents, known := c.parents[id]; known {
		return parents, nil
	}
	parents, err := c.direct(id)
	if err == nil {
		c.parents[id] = parents
	}
	return parents, err
}

// climb gives the groups that can be reached from some, these included. A group
// that is reached again is not climbed again, so that cycles end.
func (c *closure) climb(from []string, enter func(id string) (bool, error), next func(id string) ([]string, error)) ([]string, error) {
	var all []string
	seen := make(map[string]bool)
	for queue := slices.Clone(from); len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		if seen[id] {
			continue
		}
		seen[id] = true
		ok, err := enter(id)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		all = append(all, id)
		more, err := next(id)
		if err != nil {
			return nil, err
		}
		queue = append(queue, more...)
	}
	return all, nil
}

// groupsAbove gives a live group and all live groups above it; nothing for one
// that is not there.
func (c *closure) groupsAbove(group string) ([]string, error) {
	if all, known := c.above[group]; known {
		return all, nil
	}
	all, err := c.climb([]string{group}, c.isLive, c.directOfGroup)
	if err == nil {
		c.above[group] = all
	}
	return all, err
}

// groupsOf gives all live groups that a user is in, directly or not.
func (c *closure) groupsOf(user string) (map[string]bool, error) {
	direct, err := c.direct(user)
	if err != nil {
		return nil, err
	}
	return c.union(direct, c.groupsAbove)
}

func (c *closure) union(groups []string, above func(string) ([]string, error)) (map[string]bool, error) {
	all := make(map[string]bool)
	for _, g := range groups {
		more, err := above(g)
		if err != nil {
			return nil, err
		}
		for _, id := range more {
			all[id] = true
		}
	}
	return all, nil
}

// groupsAboveEver is groupsAbove over all ways that there are or were.
func (c *closure) groupsAboveEver(group string) ([]string, error) {
	if all, known := c.ever[group]; known {
		return all, nil
	}
	all, err := c.climb([]string{group}, func(string) (bool, error) { return true, nil }, func(id string) ([]string, error) {
		parents, err := c.directOfGroup(id)
		return slices.Concat(parents, c.endedUp[id]), err
	})
	if err == nil {
		c.ever[group] = all
	}
	return all, err
}

// groupsOfEver is groupsOf over all ways that there are or were.
func (c *closure) groupsOfEver(user string) (map[string]bool, error) {
	direct, err := c.direct(user)
	if err != nil {
		return nil, err
	}
	return c.union(slices.Concat(direct, c.endedUp[user]), c.groupsAboveEver)
}

// eachBelow visits the members of a group that are no groups, directly or not: users,
// and what else can be a member. Somebody may be visited more than once.
func (c *closure) eachBelow(group string, visit func(id string)) error {
	return c.descend(group, visit, c.isLive, func(string) []string { return nil })
}

// eachBelowEver is eachBelow over all ways that there are or were.
func (c *closure) eachBelowEver(group string, visit func(id string)) error {
	return c.descend(group, visit, func(id string) (bool, error) {
		_, found, err := c.store.Object(c.ctx, c.source, store.Group, id)
		return found, err
	}, func(id string) []string { return c.endedDown[id] })
}

// descend visits what is below a group. What enter refuses is no group that
// leads on; if it is no group at all it is a member.
func (c *closure) descend(group string, visit func(id string), enter func(string) (bool, error), ended func(string) []string) error {
	seen := map[string]bool{group: true}
	if ok, err := enter(group); !ok || err != nil {
		return err
	}
	for queue := []string{group}; len(queue) > 0; queue = queue[1:] {
		subgroups, err := c.leaves(queue[0], visit)
		if err != nil {
			return err
		}
		for _, id := range ended(queue[0]) {
			subgroups = append(subgroups, store.Edge{Member: id})
		}
		for _, e := range subgroups {
			if seen[e.Member] {
				continue
			}
			seen[e.Member] = true
			isGroup, err := c.isGroup(e)
			if err != nil {
				return err
			}
			if !isGroup {
				visit(e.Member)
				continue
			}
			if ok, err := enter(e.Member); err != nil {
				return err
			} else if ok {
				queue = append(queue, e.Member)
			}
		}
	}
	return nil
}

// leaves visits a group's direct members that are known to be no groups, and gives the
// others: most are, and there may be a million.
func (c *closure) leaves(group string, visit func(id string)) (others []store.Edge, err error) {
	for e, err := range c.store.Members(c.ctx, c.source, group) {
		switch {
		case err != nil:
			return nil, err
		case e.Type == "group" || e.Type == "":
			others = append(others, e) // asked about afterwards: a read holds a connection to the store
		default:
			visit(e.Member)
		}
	}
	return others, nil
}

// members gives a group's direct members. They are read to the end before any
// other question, for a read holds a connection to the store.
func (c *closure) members(group string) (all []store.Edge, err error) {
	for e, err := range c.store.Members(c.ctx, c.source, group) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// wayUp gives one shortest way from a user up to one of some groups: the ids
// from that group down, without the user; nil if there is none.
func (c *closure) wayUp(user string, to func(group string) bool) ([]string, error) {
	direct, err := c.direct(user)
	if err != nil {
		return nil, err
	}
	below := make(map[string]string) // group -> the one that led to it
	for queue := slices.Clone(direct); len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		if live, err := c.isLive(id); err != nil {
			return nil, err
		} else if !live {
			continue
		}
		if to(id) {
			way := []string{id}
			for at := below[id]; at != ""; at = below[at] {
				way = append(way, at)
			}
			return way, nil
		}
		parents, err := c.directOfGroup(id)
		if err != nil {
			return nil, err
		}
		for _, p := range parents {
			if _, known := below[p]; !known && !slices.Contains(direct, p) {
				below[p] = id
				queue = append(queue, p)
			}
		}
	}
	return nil, nil
}
