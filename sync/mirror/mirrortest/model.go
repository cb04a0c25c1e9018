package mirrortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"scimbridge/scim/directory"
	"scimbridge/scim/mapping"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// A model is what a mirror does, as the simplest program would do it.
type model struct {
	tenant *graphtest.Tenant
	mapper *mapping.Mapper
	people *people

	served picture
	// names are the userNames that a user ever had: that of one who went may be
	// any of them, for Graph tells nothing of her but her id.
	names map[string]map[string]bool
	// stored are the states of the tenant that the store may hold: one, or
	// several where a commit was reported to have failed.
	stored []capture
}

// A capture is a tenant at one time.
type capture struct {
	users, groups map[string]thing
	members       map[string][]graphtest.Member // group -> its members
	assigned      []graphtest.Member            // to the application
}

// A thing is a user or group as the mapping renders her.
type thing struct {
	head   string
	led    reports
	name   string // JSON of displayName
	active bool
	traits traits
}

// A state is what is served.
type state map[string]served

type served struct {
	typ      directory.Type
	head     string
	led      reports // of one that is to be served
	links    string
	active   bool
	detached bool
	// names, of a detached one that is to be served, are those that she may
	// have: it may have been given to somebody else, and then she is not served.
	names map[string]bool
}

// reports are the heads of a user who names a manager, by his id: the one whom she
// has, and one who was purged, for whether Graph tells of that is left to chance.
// Whoever is not served is not named.
type reports struct {
	manager, purged string
	named           map[string]string
	// unsure: the manager was in the recycle bin, where a read by filter does not
	// find him.
	unsure bool
}

// name gives the head of a user beside what is served, where got is hers.
func (r *reports) name(head, got string, all state) string {
	if r.unsure && got == head {
		return head
	}
	if _, served := all[r.manager]; served && r.manager != "" {
		return r.named[r.manager]
	}
	if _, served := all[r.purged]; served && r.manager == "" && r.named[r.purged] == got {
		return got
	}
	return head
}

// capture takes the tenant as it is now.
func (m *model) capture() (capture, error) {
	c := capture{users: make(map[string]thing), groups: make(map[string]thing), members: make(map[string][]graphtest.Member)}
	users, groups := m.mapper.Select()
	for o := range m.tenant.Users() {
		t, err := m.user(selected(o, users), o.ID)
		if err != nil {
			return c, err
		}
		if m.names[o.ID] == nil {
			m.names[o.ID] = make(map[string]bool)
		}
		m.names[o.ID][directory.Fold(o.Text("userPrincipalName"))] = true
		t.traits = userTraits(o)
		c.users[o.ID] = t
	}
	for o := range m.tenant.Groups() {
		t, err := render(selected(o, groups), m.mapper.Group)
		if err != nil {
			return c, err
		}
		t.traits = groupTraits(o)
		c.groups[o.ID], c.members[o.ID] = t, m.tenant.Members(o.ID)
	}
	c.assigned = m.tenant.Assigned(clientID)
	return c, nil
}

// user renders a user, with each manager whom she may name and without.
func (m *model) user(props map[string]json.RawMessage, id string) (thing, error) {
	mapped := func(b []byte) (directory.Record, []mapping.Problem, error) { return m.mapper.User(b, false) }
	t, err := render(props, mapped)
	t.led = reports{manager: m.people.managers[id], purged: m.people.purged[id], named: make(map[string]string)}
	t.led.unsure = m.people.filtered && m.people.binned[t.led.manager]
	for _, manager := range []string{t.led.manager, t.led.purged} {
		if err != nil || manager == "" {
			continue
		}
		var led thing
		props["manager"] = json.RawMessage(fmt.Sprintf(`{"id":%q}`, manager))
		led, err = render(props, mapped)
		t.led.named[manager] = led.head
	}
	return t, err
}

func selected(o graphtest.Object, names []string) map[string]json.RawMessage {
	props := map[string]json.RawMessage{"id": json.RawMessage(fmt.Sprintf("%q", o.ID))}
	for name, value := range o.Properties {
		if slices.Contains(names, name) && string(value) != "null" {
			props[name] = value
		}
	}
	return props
}

func render(props map[string]json.RawMessage, mapped func([]byte) (directory.Record, []mapping.Problem, error)) (thing, error) {
	object, err := json.Marshal(props)
	if err != nil {
		return thing{}, err
	}
	rec, _, err := mapped(object)
	if err != nil {
		return thing{}, err
	}
	var name struct{ DisplayName json.RawMessage }
	if err := json.Unmarshal(slices.Concat([]byte{'{'}, rec.Body, []byte{'}'}), &name); err != nil {
		return thing{}, err
	}
	return thing{head: string(rec.Body), name: string(name.DisplayName), active: rec.Active}, nil
}

// project gives what is to be served of a tenant after something was served.
func (m *model) project(c capture, scope mirror.Scope, before state) state {
	s := make(state)
	for id, t := range c.users {
		if c.servesUser(&scope, id) {
			s[id] = served{typ: directory.User, head: t.head, led: t.led, active: t.active}
		}
	}
	for id, t := range c.groups {
		if c.servesGroup(&scope, id) {
			s[id] = served{typ: directory.Group, head: t.head, active: true}
		}
	}
	m.link(c, scope.Flatten, s)
	for id, b := range before {
		_, in := s[id]
		if b.typ == directory.User && !in && scope.KeepRemoved > 0 {
			s[id] = served{typ: directory.User, detached: true, names: m.names[id]}
		}
	}
	return s
}

// link gives everybody their groups and members.
func (m *model) link(c capture, flatten bool, s state) {
	links := make(map[string][]string)
	parents := make(map[string][]string)
	for g, members := range c.members {
		if _, ok := s[g]; !ok {
			continue
		}
		if flatten {
			members = c.flat(g)
		}
		for _, member := range members {
			r, ok := s[member.ID]
			if !ok || member.ID == g {
				continue
			}
			parents[member.ID] = append(parents[member.ID], g)
			links[g] = append(links[g], link(member.ID, r.typ.String(), m.nameOf(c, member.ID)))
		}
	}
	for id, r := range s {
		if r.typ == directory.User {
			for g, kind := range above(parents, id) {
				links[id] = append(links[id], link(g, kind, c.groups[g].name))
			}
		}
		slices.Sort(links[id])
		r.links = strings.Join(links[id], "\n")
		s[id] = r
	}
}

func (m *model) nameOf(c capture, id string) string {
	if t, ok := c.users[id]; ok {
		return t.name
	}
	return c.groups[id].name
}

// above gives the groups of a user, and whether they are direct.
func above(parents map[string][]string, id string) map[string]string {
	all := make(map[string]string)
	var climb func(string, string)
	climb = func(id, kind string) {
		for _, g := range parents[id] {
			if all[g] == "" {
				all[g] = kind
				climb(g, "indirect")
			}
		}
	}
	for _, g := range parents[id] {
		all[g] = "direct"
	}
	for _, g := range parents[id] {
		climb(g, "indirect")
	}
	return all
}

func link(id, kind, display string) string { return fmt.Sprintf("%s %s %s", id, kind, display) }

// holds says whether the guard has to hold what would follow.
func (m *model) holds(guard mirror.Guard, before, after state) bool {
	for t := range directory.Type(directory.NumTypes) {
		active, lost, left := 0, 0, 0
		for id, b := range before {
			if b.typ == t && b.active {
				active++
				if !after[id].active {
					lost++
				}
			}
		}
		for _, a := range after {
			if a.typ == t && a.active {
				left++
			}
		}
		if lost > 0 && left == 0 || lost > max(guard.Floor, guard.MaxRemoved.Of(active)) {
			return true
		}
	}
	return false
}

// A picture is what is really served, with what is compared over time.
type picture struct {
	state
	order    [directory.NumTypes][]string
	modified map[string]time.Time
	version  map[string]string
}

// look reads everything that is served.
func look(s *directory.Snapshot) (picture, error) {
	p := picture{state: make(state), modified: make(map[string]time.Time), version: make(map[string]string)}
	if s == nil {
		return p, nil
	}
	v := directory.NewView(s)
	for t := range directory.Type(directory.NumTypes) {
		for i := range v.Len(t) {
			r := v.At(t, i)
			links, err := linksOf(r)
			if err != nil {
				return p, err
			}
			id := r.ID()
			p.state[id] = served{typ: t, head: string(bytes.Clone(r.Head())), links: links, active: r.Active(), detached: r.Detached()}
			p.order[t] = append(p.order[t], id)
			p.modified[id], p.version[id] = r.LastModified(), r.Version()
		}
	}
	return p, nil
}

func linksOf(r directory.Resource) (string, error) {
	var links []string
	for e := range r.Elements() {
		var l struct {
			Value, Type string
			Display     json.RawMessage
		}
		if err := json.Unmarshal(e, &l); err != nil {
			return "", err
		}
		links = append(links, link(l.Value, l.Type, string(l.Display)))
	}
	slices.Sort(links)
	return strings.Join(links, "\n"), nil
}

// same compares what is served of two.
func (a served) same(b served) bool {
	return a.typ == b.typ && a.head == b.head && a.links == b.links && a.active == b.active && a.detached == b.detached
}

// attachedNames are the userNames of those who are in the directory.
func (s state) attachedNames() map[string]bool {
	names := make(map[string]bool)
	for _, r := range s {
		if r.typ == directory.User && !r.detached {
			names[r.userName()] = true
		}
	}
	return names
}

func common(a, b map[string]bool) bool {
	for name := range a {
		if b[name] {
			return true
		}
	}
	return false
}

func (a served) userName() string {
	var u struct{ UserName string }
	_ = json.Unmarshal([]byte("{"+a.head+"}"), &u)
	return directory.Fold(u.UserName)
}

// manager is the id of the manager whom a user names.
func (a served) manager() string {
	var u struct {
		Enterprise struct{ Manager struct{ Value string } } `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	}
	_ = json.Unmarshal([]byte("{"+a.head+"}"), &u)
	return u.Enterprise.Manager.Value
}

// compare says how what is served differs from what is to be, or "". Of those
// who went it is only asked that they are inactive and in no group.
func (want state) compare(got state) string {
	for _, id := range slices.Sorted(maps.Keys(want)) {
		w, g := want[id], got[id]
		if _, ok := got[id]; !ok {
			if w.detached && common(w.names, got.attachedNames()) {
				continue
			}
			return fmt.Sprintf("%s %s is missing (active %t, detached %t)", w.typ, id, w.active, w.detached)
		}
		if w.head = w.led.name(w.head, g.head, got); w.detached {
			w.head = g.head
		}
		if !w.same(g) {
			return fmt.Sprintf("%s %s is\n%+v\nwant\n%+v", w.typ, id, g, w)
		}
	}
	for id, g := range got {
		if _, ok := want[id]; !ok {
			return fmt.Sprintf("%s %s is there and should not be: %+v", g.typ, id, g)
		}
	}
	return ""
}
