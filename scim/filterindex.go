package scim

import (
	"cmp"
	"slices"
	"time"

	"scimbridge/scim/directory"
)

// A lookupPlan says how the indexes of a view give a superset of the resources
// for which a predicate holds.
type lookupPlan struct {
	how   lookupKind
	index directory.Index // of byIndex
	key   string          // of byID and byIndex
	since time.Time       // of bySince
	parts []*lookupPlan   // of byBest and byUnion
}

// A lookupKind is a way to find resources, the most selective first.
type lookupKind uint8

const (
	byNothing lookupKind = iota // no resource can match
	byID
	byIndex
	byUnion
	byBest // any one of the parts will do; sorted by kind
	bySince
)

// fewEnough is how many positions are checked one by one rather than looking
// whether another index gives fewer.
const fewEnough = 128

// indexed gives the plan for the leaf's test of an attribute's values, or nil.
func (l *leaf) indexed(t directory.Type, attr *attribute) *lookupPlan {
	of := &l.test
	if of.op != opEqual || attr.kind != kindString && attr.kind != kindReference || of.literal == "" || attr.top().extension {
		return nil
	}
	l.lookup = lookupPlan{how: byIndex, key: of.literal}
	switch path := attr.lowPath; {
	case path == "id":
		l.lookup.how = byID
	case path == "username" && t == directory.User:
		l.lookup.index = directory.ByUserName
	case path == "emails.value" && t == directory.User:
		l.lookup.index = directory.ByEmail
	case path == "displayname":
		l.lookup.index = directory.ByDisplayName
	// The remaining indexes are exact and serve exact attributes only.
	case !attr.caseExact:
		return nil
	case path == "externalid":
		l.lookup.index = directory.ByExternalID
	case path == "groups.value" && t == directory.User:
		l.lookup.index = directory.ByGroup
	case path == "members.value" && t == directory.Group:
		l.lookup.index = directory.ByMember
	default:
		return nil
	}
	return &l.lookup
}

// incremental says whether the filter finds only what changed since some time,
// as the delta reads of importers do. A nil filter finds everything.
func (f *filter) incremental() bool {
	if f == nil {
		return false
	}
	bounded := false
	for _, tf := range f.types {
		if tf == nil {
			continue
		}
		plan := tf.root.plan()
		if plan != nil && plan.how == byNothing {
			continue // no resource of that type is found at all
		}
		if bounded = plan.bounded(); !bounded {
			return false
		}
	}
	return bounded
}

// bounded says whether the plan goes by the time of change.
func (p *lookupPlan) bounded() bool {
	switch {
	case p == nil:
		return false
	case p.how == bySince:
		return true
	case p.how == byBest:
		return slices.ContainsFunc(p.parts, (*lookupPlan).bounded)
	case p.how == byUnion:
		return !slices.ContainsFunc(p.parts, func(part *lookupPlan) bool { return !part.bounded() })
	}
	return false
}

// The plans of the predicates.

func (c constant) plan() *lookupPlan {
	if c {
		return nil
	}
	return &lookupPlan{how: byNothing}
}

func (p *allParts) plan() *lookupPlan {
	var plans []*lookupPlan
	for _, part := range p.parts {
		if plan := part.plan(); plan != nil {
			plans = append(plans, plan)
		}
	}
	switch len(plans) {
	case 0:
		return nil
	case 1:
		return plans[0]
	}
	slices.SortStableFunc(plans, func(a, b *lookupPlan) int { return cmp.Compare(a.how, b.how) })
	return &lookupPlan{how: byBest, parts: plans}
}

func (p *anyParts) plan() *lookupPlan {
	plans := make([]*lookupPlan, len(p.parts))
	for i, part := range p.parts {
		if plans[i] = part.plan(); plans[i] == nil {
			return nil
		}
	}
	return &lookupPlan{how: byUnion, parts: plans}
}

func (p *notPart) plan() *lookupPlan       { return nil }
func (p *valueTest) plan() *lookupPlan     { return p.lookup }
func (p *linksTest) plan() *lookupPlan     { return p.lookup }
func (p *elementTest) plan() *lookupPlan   { return p.filter.plan() }
func (p *linkedElement) plan() *lookupPlan { return p.filter.plan() }

func (p *modifiedTest) plan() *lookupPlan {
	switch p.test.op {
	case opEqual, opGreater, opGreaterEqual:
		return &lookupPlan{how: bySince, since: p.test.time}
	}
	return nil
}

// ids appends the keys of the plan, of which an element must have one.
func (p *lookupPlan) ids(dst []string) []string {
	switch p.how {
	case byIndex:
		return append(dst, p.key)
	case byUnion:
		for _, part := range p.parts {
			dst = part.ids(dst)
		}
	case byBest:
		return p.parts[0].ids(dst)
	}
	return dst
}

// positions gives the plan's positions in the view, ascending.
func (p *lookupPlan) positions(v *directory.View, t directory.Type) []int {
	switch p.how {
	case byID:
		if r, ok := v.ByID(p.key); ok && r.Type() == t {
			return []int{r.Position()}
		}
	case byIndex:
		return v.Find(t, p.index, p.key)
	case bySince:
		return v.ModifiedSince(t, p.since)
	case byUnion:
		var all []int
		for _, part := range p.parts {
			all = append(all, part.positions(v, t)...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	case byBest:
		best := p.parts[0].positions(v, t)
		for _, part := range p.parts[1:] {
			if len(best) <= fewEnough {
				break
			}
			if other := part.positions(v, t); len(other) < len(best) {
				best = other
			}
		}
		return best
	}
	return nil
}

// candidates gives, ascending, the positions of resources of type t among which
// are all that the filter holds for, and true, if an index can tell; else
// false: every resource must be looked at.
func (f *filter) candidates(v *directory.View, t directory.Type) ([]int, bool) {
	plan := f.types[t].root.plan()
	if plan == nil {
		return nil, false
	}
	return plan.positions(v, t), true
}
