package mirror

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"scimbridge/scim/directory"
	"scimbridge/scim/guid"
	"scimbridge/sync/store"
)

// How memberships come into a draft. Those that changed are applied one by one;
// where users of nested groups are members (Scope.Flatten) a change of one
// membership is one of all users below the member in all groups above the
// group. Everything is made anew only where the picture knows nothing of this
// state's memberships, or shows them in the other way.

// flatMark is in the fingerprint of pictures with flattened groups.
const flatMark = " nested=flatten"

// memberships puts the memberships into the draft, and decides again on whom a
// change of membership may have brought into the scope or left out of it.
func (r *renderer) memberships(since uint64) error {
	if since == 0 {
		return r.joinAll()
	}
	changed, err := r.changedEdges(since)
	if err != nil {
		return err
	}
	scope := &r.m.cfg.Scope
	if !scope.Flatten {
		for _, e := range changed {
			r.edge(e)
		}
	}
	if scope.Flatten || scope.byMembership() && !r.all {
		if err := r.reconsider(changed); err != nil {
			return err
		}
	}
	return r.rejoin()
}

// warnOfGroups tells of groups that the scope goes by and the tenant does not
// have: an id may have a slip in it.
func (r *renderer) warnOfGroups() error {
	lost, err := r.scope.lost()
	for _, id := range lost {
		r.m.log.Warn("group of users.member_of is not in the tenant, and so has no members", "id", id)
	}
	return err
}

// changedEdges gives the memberships that changed. They are read to the end
// before anything is asked about them, and what ended is told to the closure.
func (r *renderer) changedEdges(since uint64) (changed []store.Edge, err error) {
	for e, err := range r.store.Edges(r.ctx, r.m.cfg.Name, since) {
		if err != nil {
			return nil, err
		}
		changed = append(changed, e)
		if e.Removed {
			r.scope.groups.ended(e.Group, e.Member)
		}
	}
	return changed, nil
}

// joinAll joins all memberships that there are.
func (r *renderer) joinAll() error {
	group, served := "", false // of the last one: a group's come one after the other
	for e, err := range r.store.Edges(r.ctx, r.m.cfg.Name, 0) {
		switch {
		case err != nil:
			return err
		case e.Removed:
		case !r.m.cfg.Scope.Flatten:
			if e.Group != group {
				group, served = e.Group, r.serves(e.Group)
			}
			if served && ours(e) {
				r.draft.Join(e.Group, e.Member)
			}
		default:
			if err := r.joinAbove(e); err != nil {
				return err
			}
		}
	}
	if r.current == nil {
		return nil
	}
	return r.dropStrangeMembers()
}

// joinAbove makes a member of a group, unless it is one, a member of all groups
// above that one.
func (r *renderer) joinAbove(e store.Edge) error {
	isGroup, err := r.scope.groups.isGroup(e)
	if err != nil || isGroup || e.Type != "user" && e.Type != "" {
		return err
	}
	above, err := r.scope.groups.groupsAbove(e.Group)
	for _, g := range above {
		r.join(g, e.Member)
	}
	return err
}

// edge joins or ends a membership.
func (r *renderer) edge(e store.Edge) {
	switch {
	case e.Removed:
		r.leave(e.Group, e.Member)
	case ours(e):
		r.join(e.Group, e.Member)
	}
}

// ours says whether a member can be a resource of ours: devices, contacts and the
// like are none.
func ours(e store.Edge) bool { return e.Type == "user" || e.Type == "group" || e.Type == "" }

// join and leave pass over groups that are not served: a group that comes to be
// served is joined whole.
func (r *renderer) join(group, member string) {
	if r.serves(group) {
		r.draft.Join(group, member)
	}
}

func (r *renderer) leave(group, member string) {
	if r.serves(group) {
		r.draft.Leave(group, member)
	}
}

// serves says whether the draft, as far as it is made, has a resource.
func (r *renderer) serves(id string) bool {
	if !r.m.cfg.Scope.Groups {
		return false
	}
	if r.draft.Holds(id) {
		return true
	}
	if r.current == nil || r.gone[id] {
		return false
	}
	_, known := r.current.ByID(id)
	return known
}

// reconsider decides again on those whom changes of membership concern.
func (r *renderer) reconsider(changed []store.Edge) error {
	concerned := make(map[string]bool)
	groups := make(map[string]bool)
	for _, e := range changed {
		if ok, err := r.matters(e.Group); err != nil {
			return err
		} else if !ok {
			continue
		}
		isGroup, err := r.scope.groups.isGroup(e)
		switch {
		case err != nil:
			return err
		case !isGroup:
			concerned[e.Member] = true
		default:
			groups[e.Member] = true
		}
	}
	for _, id := range r.turned {
		if ok, err := r.matters(id); err != nil {
			return err
		} else if ok {
			groups[id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		if err := r.scope.groups.eachBelowEver(id, func(member string) { concerned[member] = true }); err != nil {
			return err
		}
		if err := r.again(store.Group, id); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(concerned)) {
		if err := r.reconsiderUser(id); err != nil {
			return err
		}
	}
	return nil
}

// matters says whether it may matter who is in a group.
func (r *renderer) matters(group string) (bool, error) {
	scope := &r.m.cfg.Scope
	if scope.Flatten || scope.Assigned != "" && group == assignedTo(scope.Assigned) {
		return true, nil
	}
	above, err := r.scope.groups.groupsAboveEver(group)
	if err != nil {
		return false, err
	}
	for _, id := range above {
		if r.scope.roots[id] || scope.Assigned != "" && id == assignedTo(scope.Assigned) {
			return true, nil
		}
	}
	return false, nil
}

// again renders what did not change itself, since a rule by membership may see
// it otherwise.
func (r *renderer) again(kind store.Kind, id string) error {
	if r.all || !r.m.cfg.Scope.byMembership() {
		return nil
	}
	obj, known, err := r.store.Object(r.ctx, r.m.cfg.Name, kind, id)
	if err != nil || !known {
		return err
	}
	return r.object(obj)
}

// reconsiderUser decides on one user, and where groups are flattened puts her
// into just those that she is in now.
func (r *renderer) reconsiderUser(id string) error {
	if err := r.again(store.User, id); err != nil || !r.m.cfg.Scope.Flatten {
		return err
	}
	candidates, err := r.scope.groups.groupsOfEver(id)
	if err != nil {
		return err
	}
	now, err := r.scope.groups.groupsOf(id)
	if err != nil {
		return err
	}
	for g := range candidates {
		if now[g] {
			r.join(g, id)
		} else {
			r.leave(g, id)
		}
	}
	return nil
}

// rejoin joins the memberships of those who were not served before.
func (r *renderer) rejoin() error {
	for _, id := range r.newUsers {
		if r.m.cfg.Scope.Flatten {
			groups, err := r.scope.groups.groupsOf(id)
			if err != nil {
				return err
			}
			for g := range groups {
				r.join(g, id)
			}
		} else if err := r.edges(r.store.MemberOf(r.ctx, r.m.cfg.Name, id)); err != nil {
			return err
		}
	}
	for _, id := range r.newGroups {
		if r.m.cfg.Scope.Flatten {
			if err := r.scope.groups.eachBelow(id, func(user string) { r.join(id, user) }); err != nil {
				return err
			}
			continue
		}
		for _, edges := range []iter.Seq2[store.Edge, error]{r.store.MemberOf(r.ctx, r.m.cfg.Name, id), r.store.Members(r.ctx, r.m.cfg.Name, id)} {
			if err := r.edges(edges); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *renderer) edges(edges iter.Seq2[store.Edge, error]) error {
	for e, err := range edges {
		if err != nil {
			return err
		}
		r.edge(e)
	}
	return nil
}

// dropStrangeMembers takes out of the groups that stay served whom this state
// does not have in them, or not in this way.
func (r *renderer) dropStrangeMembers() error {
	v := directory.NewView(r.current)
	for i := range v.Len(directory.Group) {
		res := v.At(directory.Group, i)
		if !r.serves(res.ID()) {
			continue
		}
		if err := r.dropStrangeMembersOf(res); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) dropStrangeMembersOf(res directory.Resource) error {
	members := guid.NewTable[int32](r.m.cfg.Picture.Lists(), 0)
	defer members.Close()
	if r.m.cfg.Scope.Flatten {
		if err := r.scope.groups.eachBelow(res.ID(), func(id string) { members.Set(id, 0) }); err != nil {
			return err
		}
	} else {
		for e, err := range r.store.Members(r.ctx, r.m.cfg.Name, res.ID()) {
			if err != nil {
				return err
			}
			members.Set(e.Member, 0)
		}
	}
	for element := range res.Elements() {
		var member struct{ Value string }
		if err := json.Unmarshal(element, &member); err != nil {
			return fmt.Errorf("reading the members of group %s: %w", res.ID(), err)
		}
		if !members.Has(member.Value) {
			r.draft.Leave(res.ID(), member.Value)
		}
	}
	return nil
}
