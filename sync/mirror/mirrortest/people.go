package mirrortest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"scimbridge/sync/graph/graphtest"
)

// people change a tenant by chance.
type people struct {
	tenant *graphtest.Tenant
	rand   *rand.Rand
	domain string
	n      int

	users, groups []string // ever made
	others        []string // devices
	// managers are those whom users have now, in the recycle bin or not; purged
	// are those whom they had when they were purged.
	managers, purged map[string]string
	// binned are those who ever were in the recycle bin; filtered: users were ever
	// read by filter.
	binned   map[string]bool
	filtered bool
	// left are those who left a group since the mirror last read the tenant, gone
	// those who had when it went. Who left in the round in which it went, and is in
	// the recycle bin when it is back, can't be told from one who stayed: so they
	// are not.
	left, gone map[string][]string
}

func (p *people) pick(from []string) string {
	if len(from) == 0 {
		return ""
	}
	return from[p.rand.IntN(len(from))]
}

// liveUser gives a user who is there, or "".
func (p *people) liveUser() string {
	for range 5 {
		id := p.pick(p.users)
		if o, ok := p.tenant.User(id); ok && o.Removed == "" {
			return id
		}
	}
	return ""
}

func (p *people) liveGroup() string {
	for range 5 {
		id := p.pick(p.groups)
		if o, ok := p.tenant.Group(id); ok && o.Removed == "" {
			return id
		}
	}
	return ""
}

func (p *people) addUser() {
	p.n++
	name := fmt.Sprintf("user%d", p.n)
	principal := name + "@" + p.domain
	if free := p.freeName(); free != "" && p.rand.IntN(3) == 0 {
		principal = free
	}
	props := map[string]any{
		"userPrincipalName": principal, "displayName": name, "accountEnabled": p.rand.IntN(8) > 0, "userType": "Member",
	}
	if p.rand.IntN(6) == 0 {
		props["userType"] = "Guest"
	}
	if p.rand.IntN(2) == 0 {
		props["mail"] = name + "@mail.example"
	}
	p.users = append(p.users, p.tenant.SetUser(props))
}

// freeName gives the name of somebody who is gone for good, or "": one that nobody
// has, not even in the recycle bin, for Entra sees to that.
func (p *people) freeName() string {
	id := p.pick(p.users)
	gone, ok := p.tenant.User(id)
	if !ok || gone.Removed != "deleted" {
		return ""
	}
	name := gone.Text("userPrincipalName")
	for _, other := range p.users {
		if u, ok := p.tenant.User(other); ok && u.Removed != "deleted" && u.Text("userPrincipalName") == name {
			return ""
		}
	}
	return name
}

func (p *people) addGroup() {
	p.n++
	props := map[string]any{"displayName": fmt.Sprintf("group%d", p.n), "securityEnabled": true, "mailEnabled": false}
	if p.rand.IntN(3) == 0 {
		props["groupTypes"] = []string{"Unified"}
	}
	p.groups = append(p.groups, p.tenant.SetGroup(props))
}

// change makes one change.
func (p *people) change() {
	switch n := p.rand.IntN(43); {
	case n >= 40:
		p.assign()
	case n < 3:
		p.addUser()
	case n < 4:
		p.addGroup()
	case n < 12:
		p.changeUser()
	case n < 14:
		if id := p.liveGroup(); id != "" {
			p.n++
			p.tenant.SetGroup(map[string]any{"id": id, "displayName": fmt.Sprintf("group%d", p.n)})
		}
	case n < 16:
		p.remove()
	case n < 19:
		p.restore()
	case n < 28:
		p.join()
	case n < 34:
		p.leave()
	case n < 38:
		p.manage()
	default:
		a, b := p.liveUser(), p.liveUser()
		if a != "" && b != "" && a != b {
			p.tenant.SwapUserPrincipalNames(a, b)
		}
	}
}

func (p *people) changeUser() {
	id := p.liveUser()
	if id == "" {
		return
	}
	p.n++
	var value any = fmt.Sprintf("value %d é", p.n)
	if p.rand.IntN(4) == 0 {
		value = nil
	}
	props := map[string]any{"id": id}
	switch p.rand.IntN(9) {
	case 8:
		props["assignedLicenses"] = [][]map[string]string{nil, {}, {{"skuId": "e5"}}, {{"skuId": "e3"}}}[p.rand.IntN(4)]
	case 0:
		props["accountEnabled"] = p.rand.IntN(3) > 0
	case 1:
		props["userType"] = []string{"Member", "Guest"}[p.rand.IntN(2)]
	case 2:
		props["displayName"] = fmt.Sprintf("renamed %d", p.n)
	case 3:
		props["department"] = value
	case 4:
		props["mail"] = fmt.Sprintf("mail%d@mail.example", p.n)
	default:
		props["jobTitle"] = value
	}
	p.tenant.SetUser(props)
}

func (p *people) remove() {
	if p.rand.IntN(5) == 0 {
		if id := p.liveGroup(); id != "" {
			p.gone[id] = append(p.gone[id], p.left[id]...)
			p.tenant.RemoveGroup(id)
		}
		return
	}
	id := p.liveUser()
	if id == "" {
		return
	}
	for _, leavers := range p.gone {
		if slices.Contains(leavers, id) {
			return
		}
	}
	p.binned[id] = true
	p.tenant.RemoveUser(id)
}

// read is told that the mirror has read all that there is.
func (p *people) read() {
	clear(p.left)
	for id := range p.gone {
		if o, _ := p.tenant.Group(id); o.Removed != "changed" {
			delete(p.gone, id)
		}
	}
}

// restore takes something out of the recycle bin, or empties it of it.
func (p *people) restore() {
	if id := p.pick(p.groups); id != "" && p.rand.IntN(4) == 0 {
		inBin := func(id string) bool { o, _ := p.tenant.User(id); return o.Removed == "changed" }
		if o, ok := p.tenant.Group(id); ok && o.Removed == "changed" && !slices.ContainsFunc(p.gone[id], inBin) {
			p.tenant.RestoreGroup(id)
		}
		return
	}
	id := p.pick(p.users)
	o, ok := p.tenant.User(id)
	switch {
	case !ok || o.Removed != "changed":
	case p.rand.IntN(4) == 0:
		p.tenant.PurgeUser(id)
		for u, manager := range p.managers {
			if manager == id {
				p.managers[u], p.purged[u] = "", id
			}
		}
	default:
		p.tenant.RestoreUser(id)
		// Whether Graph says that somebody's manager was taken away when she went
		// and came back between two rounds is not documented. She gets another.
		if manager, ever := p.managers[id]; ever && manager == "" {
			if boss := p.liveUser(); boss != "" && boss != id {
				p.tenant.SetManager(id, boss)
				p.managers[id] = boss
			}
		}
	}
}

func (p *people) join() {
	g := p.liveGroup()
	if g == "" {
		return
	}
	if p.rand.IntN(20) == 0 {
		p.others = append(p.others, p.tenant.AddObject("device", map[string]any{"displayName": "a device"}))
		p.tenant.AddMember(g, p.others[len(p.others)-1])
		return
	}
	for range 1 + p.rand.IntN(12) {
		id := p.liveUser()
		if p.rand.IntN(8) == 0 {
			id = p.liveGroup()
		}
		if id != "" && id != g {
			p.tenant.AddMember(g, id)
		}
	}
}

func (p *people) leave() {
	g := p.liveGroup()
	if g == "" {
		return
	}
	members := p.tenant.Members(g)
	for range 1 + p.rand.IntN(3) {
		if len(members) > 0 {
			id := members[p.rand.IntN(len(members))].ID
			p.left[g] = append(p.left[g], id)
			p.tenant.RemoveMember(g, id)
		}
	}
}

func (p *people) manage() {
	a, b := p.liveUser(), p.liveUser()
	if a == "" || b == "" || a == b {
		return
	}
	if p.rand.IntN(4) == 0 {
		b = ""
	}
	p.tenant.SetManager(a, b)
	p.managers[a] = b
}
