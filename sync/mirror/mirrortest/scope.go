package mirrortest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/mapping/expr"
	"scimbridge/sync/graph/graphtest"
	"scimbridge/sync/mirror"
)

// The scope, evaluated as simply as can be: on everybody, each time anew.

// clientID is the application that reads the tenant, and that users and groups
// are assigned to.
const clientID = "11111111-2222-4333-8444-555555555555"

// traits are what the scope goes by.
type traits struct {
	name            string // userPrincipalName
	guest, disabled bool
	licensed        bool
	titled          bool // what the conditions ask for
	kinds           []mirror.GroupType
}

func userTraits(o graphtest.Object) traits {
	return traits{
		name: o.Text("userPrincipalName"), guest: o.Text("userType") == "Guest", disabled: !o.Bool("accountEnabled"),
		licensed: len(o.Properties["assignedLicenses"]) > len("[]") && o.Properties["assignedLicenses"][0] == '[', titled: o.Text("jobTitle") != "",
	}
}

func groupTraits(o graphtest.Object) traits {
	var types []string
	_ = json.Unmarshal(o.Properties["groupTypes"], &types) // absent: none
	kind := mirror.Security
	if slices.Contains(types, "Unified") {
		kind = mirror.Microsoft365
	}
	return traits{kinds: []mirror.GroupType{kind, mirror.Cloud}}
}

// below are the users below a group.
func (c *capture) below(group string, seen map[string]bool) map[string]bool {
	users := make(map[string]bool)
	if seen[group] {
		return users
	}
	seen[group] = true
	for _, m := range c.members[group] {
		if _, ok := c.users[m.ID]; ok {
			users[m.ID] = true
		}
		for id := range c.below(m.ID, seen) {
			users[id] = true
		}
	}
	return users
}

func (c *capture) isAssigned(id string) bool {
	if slices.ContainsFunc(c.assigned, func(m graphtest.Member) bool { return m.ID == id }) {
		return true
	}
	for _, g := range c.assigned {
		if slices.ContainsFunc(c.members[g.ID], func(m graphtest.Member) bool { return m.ID == id && m.Type == "user" }) {
			return true
		}
	}
	return false
}

func (c *capture) servesUser(s *mirror.Scope, id string) bool {
	t := c.users[id].traits
	member := len(s.MemberOf) == 0
	for _, g := range s.MemberOf {
		member = member || c.below(g, make(map[string]bool))[id]
	}
	return member && (s.Guests || !t.guest) && (!s.GuestsOnly || t.guest) && (s.Disabled || !t.disabled) &&
		(!s.LicensedOnly || t.licensed) && !slices.Contains(s.Exclude, id) && !slices.Contains(s.Exclude, strings.ToLower(t.name)) &&
		(s.Where == nil || t.titled && s.Where.String() != enabled && !(t.disabled && s.Where.String() == enabledAndTitled) || s.Where != nil && s.Where.String() == enabled && !t.disabled) && (s.Assigned == "" || c.isAssigned(id))
}

func (c *capture) servesGroup(s *mirror.Scope, id string) bool {
	if !s.Groups || slices.Contains(s.GroupExclude, id) {
		return false
	}
	if s.Assigned != "" && !slices.ContainsFunc(c.assigned, func(m graphtest.Member) bool { return m.ID == id }) {
		return false
	}
	for _, t := range s.GroupTypes {
		if !slices.Contains(c.groups[id].traits.kinds, t) {
			return false // the histories name one type and one origin at most
		}
	}
	return true
}

// flat are the members of a group once those of nested ones are its own.
func (c *capture) flat(group string) (members []graphtest.Member) {
	for id := range c.below(group, make(map[string]bool)) {
		members = append(members, graphtest.Member{ID: id, Type: "user"})
	}
	return members
}

// The conditions of the histories. Of the second one a part can be told Graph, and
// all of the third, which leaves somebody in any tenant.
const (
	enabled          = `user.accountEnabled`
	titled           = `has(user.jobTitle)`
	enabledAndTitled = `user.accountEnabled && has(user.jobTitle)`
)

func condition(source string) (mirror.Condition, error) {
	return mirror.Where(expr.Config{Object: expr.User}, source)
}

// editScope changes one rule of the scope, or takes all back.
func (g *source) editScope() error {
	s := &g.cfg.Scope
	groups := func() (some []string) {
		for range g.rand.IntN(3) {
			if id := g.people.pick(g.people.groups); id != "" && !slices.Contains(some, id) {
				some = append(some, id)
			}
		}
		return some
	}
	switch g.rand.IntN(17) {
	case 0:
		s.Guests = !s.Guests || s.GuestsOnly
	case 1:
		s.Disabled = !s.Disabled
	case 2:
		s.GuestsOnly = !s.GuestsOnly
		s.Guests = s.Guests || s.GuestsOnly
	case 3:
		s.LicensedOnly = !s.LicensedOnly
	case 4, 5:
		s.MemberOf = groups()
	case 6:
		s.Exclude = nil
		for range g.rand.IntN(4) {
			id := g.people.pick(g.people.users)
			if o, ok := g.tenant.User(id); ok && g.rand.IntN(2) == 0 {
				id = strings.ToLower(o.Text("userPrincipalName"))
			}
			s.Exclude = append(s.Exclude, id)
		}
	case 7:
		var err error
		if s.Where != nil {
			s.Where = nil
		} else if s.Where, err = condition([]string{titled, enabledAndTitled, enabled}[g.rand.IntN(3)]); err != nil {
			return err
		}
	case 8:
		s.Assigned = map[bool]string{s.Assigned == "": clientID}[true]
	case 9:
		s.Flatten = !s.Flatten
	case 10:
		s.GroupTypes = [][]mirror.GroupType{nil, {mirror.Security}, {mirror.Microsoft365, mirror.Cloud}, {mirror.Synchronized}}[g.rand.IntN(4)]
	case 11:
		s.GroupExclude = groups()
	case 12:
		s.Groups = !s.Groups
	case 14, 15:
		s.FilteredRead = !s.FilteredRead
	case 16:
		s.FilteredRead, s.Guests, s.GuestsOnly = true, false, false
	default:
		filtered := s.FilteredRead
		g.cfg.Scope = openScope()
		g.cfg.Scope.FilteredRead = filtered
	}
	return nil
}

// assign changes who is assigned to the application.
func (p *people) assign() {
	for range 1 + p.rand.IntN(6) {
		id := p.liveUser()
		if p.rand.IntN(3) == 0 {
			id = p.liveGroup()
		}
		switch {
		case id == "":
		case p.rand.IntN(3) == 0:
			p.tenant.Unassign(clientID, id)
		case p.rand.IntN(4) == 0:
			p.tenant.AssignRole(clientID, fmt.Sprintf("%08d-0000-4000-8000-000000000000", p.rand.IntN(3)), id)
		default:
			p.tenant.Assign(clientID, id)
		}
	}
}
