package graphtest

import (
	"encoding/json"
	"iter"
	"slices"
)

// Object is a directory object as the tenant holds it: the model that a test
// compares a client's picture with.
type Object struct {
	ID   string
	Type string // "user", "group", "device", "servicePrincipal", "orgContact"
	// Removed is "" for a live object, "changed" for one in the recycle bin,
	// "deleted" for one gone for good.
	Removed string
	// Properties holds what was ever set, as compact JSON; null is a property
	// that was cleared. Relationships and id are not in it.
	Properties map[string]json.RawMessage
}

// Text is a string property; "" when it is not set or no string.
func (o Object) Text(name string) string {
	var s string
	if json.Unmarshal(o.Properties[name], &s) != nil {
		return ""
	}
	return s
}

// Bool is a boolean property; false when it is not set or no boolean.
func (o Object) Bool(name string) bool { return string(o.Properties[name]) == "true" }

// Member is a link to a directory object.
type Member struct {
	ID   string
	Type string // as in [Object]
}

// User is the user of that id in any state; false when there never was one.
func (t *Tenant) User(id string) (Object, bool) { return t.find(kindUser, id) }

// Group is the group of that id in any state; false when there never was one.
func (t *Tenant) Group(id string) (Object, bool) { return t.find(kindGroup, id) }

// Users yields the live users in the order of their creation. The tenant may
// be changed meanwhile.
func (t *Tenant) Users() iter.Seq[Object] { return t.all(kindUser) }

// Groups yields the live groups in the order of their creation.
func (t *Tenant) Groups() iter.Seq[Object] { return t.all(kindGroup) }

// UserCount is the number of live users.
func (t *Tenant) UserCount() int { return t.counted(kindUser) }

// GroupCount is the number of live groups.
func (t *Tenant) GroupCount() int { return t.counted(kindGroup) }

// Members are the direct members of a group that are live, by id. (Those in
// the recycle bin stay in members@delta, but an endpoint must not serve them.)
func (t *Tenant) Members(group string) []Member {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.membersOf(t.objects[t.must(kindGroup, group)].group.members)
}

// MembersTransitive are the live direct members and those of nested groups,
// the nested groups themselves included, each once, by id. The group itself is
// not among them, even where groups form a cycle.
func (t *Tenant) MembersTransitive(group string) []Member {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.membersOf(t.reach(t.must(kindGroup, group)))
}

// reach are the numbers of all direct and indirect live members.
func (t *Tenant) reach(group uint32) []uint32 {
	seen := map[uint32]bool{group: true}
	var found []uint32
	for queue := []uint32{group}; len(queue) > 0; queue = queue[1:] {
		for _, m := range t.objects[queue[0]].group.members {
			if seen[m] || t.objects[m].state != live {
				continue
			}
			seen[m] = true
			found = append(found, m)
			if t.objects[m].group != nil {
				queue = append(queue, m)
			}
		}
	}
	slices.Sort(found)
	return found
}

// Manager is the id of the user's manager; "" when there is none, or when the
// manager is deleted.
func (t *Tenant) Manager(id string) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if o := t.managerOf(t.objects[t.must(kindUser, id)]); o != nil {
		return o.id
	}
	return ""
}

// Pages is how many pages a first round of "users" or "groups" has in a calm
// tenant: one entry for each live object, and one more for each further part
// of a big group, at PageSize entries a page, but at least one.
func (t *Tenant) Pages(collection string) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	k, entries := collectionKind(collection), 0
	for _, o := range t.objects {
		if o.kind == k && o.state == live && !o.unborn {
			entries++
			if o.group != nil {
				entries += max(0, parts(len(o.group.members), t.opts.MembersPerPart)-1)
			}
		}
	}
	return max(1, parts(entries, t.opts.PageSize))
}

// parts is how many parts of that size hold n things.
func parts(n, size int) int { return (n + size - 1) / size }

func (t *Tenant) managerOf(o *object) *object {
	if o.manager == 0 || t.objects[o.manager-1].state != live {
		return nil
	}
	return t.objects[o.manager-1]
}

func (t *Tenant) counted(k kind) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.count[k]
}

func (t *Tenant) find(k kind, id string) (Object, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n, ok := t.byID[id]
	if !ok || t.objects[n].kind != k {
		return Object{}, false
	}
	return t.export(t.objects[n]), true
}

func (t *Tenant) export(o *object) Object {
	out := Object{ID: o.id, Type: typeNames[o.kind], Removed: o.state.reason(),
		Properties: map[string]json.RawMessage{}}
	for _, f := range t.pack.unpack(nil, o.data, nil) {
		out.Properties[t.cats[o.kind].names[f.name]] = slices.Clone(json.RawMessage(f.value))
	}
	return out
}

func (t *Tenant) all(k kind) iter.Seq[Object] {
	return func(yield func(Object) bool) {
		for n := 0; ; n++ {
			o, more := t.next(k, &n)
			if !more || !yield(o) {
				return
			}
		}
	}
}

// next exports the first live object from number n on, and moves n to it.
func (t *Tenant) next(k kind, n *int) (Object, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for ; *n < len(t.objects); *n++ {
		if o := t.objects[*n]; o.kind == k && o.state == live {
			return t.export(o), true
		}
	}
	return Object{}, false
}

func (t *Tenant) membersOf(numbers []uint32) []Member {
	out := make([]Member, 0, len(numbers))
	for _, m := range numbers {
		if o := t.objects[m]; o.state == live {
			out = append(out, Member{o.id, typeNames[o.kind]})
		}
	}
	slices.SortFunc(out, func(a, b Member) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}
