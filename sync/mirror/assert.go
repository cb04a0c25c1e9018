package mirror

import (
	"encoding/json"
	"fmt"
	"strings"

	"scimbridge/scim/directory"
)

// An Assertion is a statement about the directory that has to be true of every
// snapshot that is published. Percentages alone do not notice the tenant that
// answers with the wrong tenth missing. Exactly one of its kinds is set.
type Assertion struct {
	// MustExist are userNames or ids of users, or ids of groups, who have to be
	// there and active.
	MustExist []string
	// Users and Groups bound how many are active.
	Users, Groups *Range
	// Group names a group by displayName or id, for Members or MaxRemoved.
	Group string
	// Members bounds how many direct members the group has.
	Members *Range
	// MaxRemoved bounds how many of its members the group may lose at once.
	MaxRemoved *Limit
}

// A Range is a range of numbers, both ends included. Max below 0 is no bound.
type Range struct{ Min, Max int }

func (r Range) contains(n int) bool { return n >= r.Min && (r.Max < 0 || n <= r.Max) }

// String gives the range in the words of a message.
func (r Range) String() string {
	if r.Max < 0 {
		return fmt.Sprintf("at least %d", r.Min)
	}
	return fmt.Sprintf("%d to %d", r.Min, r.Max)
}

// check gives what is wrong, or the empty string, and the ids of the resources
// that it is about, up to maxAbout. before may be nil.
func (a Assertion) check(before, after *directory.Snapshot) (wrong string, about []string) {
	switch {
	case len(a.MustExist) > 0:
		var missing []string
		for _, name := range a.MustExist {
			if !exists(after, name) {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			return fmt.Sprintf("asserted to exist but missing or inactive: %s", strings.Join(missing, ", ")), nil
		}
	case a.Users != nil && !a.Users.contains(after.Active(directory.User)):
		return fmt.Sprintf("asserted %s active users, but there would be %d", a.Users, after.Active(directory.User)), nil
	case a.Groups != nil && !a.Groups.contains(after.Active(directory.Group)):
		return fmt.Sprintf("asserted %s groups, but there would be %d", a.Groups, after.Active(directory.Group)), nil
	case a.Group != "":
		return a.checkGroup(before, after)
	}
	return "", nil
}

// maxAbout bounds the ids of a reason.
const maxAbout = 1000

func (a Assertion) checkGroup(before, after *directory.Snapshot) (wrong string, about []string) {
	groups := groupsNamed(after, a.Group)
	if len(groups) != 1 {
		return fmt.Sprintf("asserted one group %q, but there would be %d", a.Group, len(groups)), nil
	}
	group := groups[0]
	var old directory.Resource
	known := false
	if before != nil {
		old, known = before.ByID(group.ID())
	}
	if n := group.MemberCount(); a.Members != nil && !a.Members.contains(n) {
		return fmt.Sprintf("asserted %s members in group %q, but there would be %d", a.Members, a.Group, n), left(old, group, known)
	}
	if a.MaxRemoved == nil || !known {
		return "", nil
	}
	lost := old.MembersMissingFrom(group)
	if limit := a.MaxRemoved.Of(old.MemberCount()); lost > limit {
		return fmt.Sprintf("group %q would lose %d of %d members, more than %s", a.Group, lost, old.MemberCount(), a.MaxRemoved), left(old, group, known)
	}
	return "", nil
}

// left gives a group's id, and those of the members that it would lose.
func left(old, group directory.Resource, known bool) []string {
	about := []string{group.ID()}
	if !known {
		return about
	}
	for element := range old.Elements() {
		var member struct{ Value string }
		if json.Unmarshal(element, &member) != nil || group.Linked(member.Value) {
			continue
		}
		if about = append(about, member.Value); len(about) == maxAbout {
			break
		}
	}
	return about
}

// exists says whether a name or id is that of an active resource.
func exists(s *directory.Snapshot, name string) bool {
	if r, ok := s.ByID(name); ok {
		return r.Active()
	}
	v := directory.NewView(s)
	for _, i := range v.Find(directory.User, directory.ByUserName, name) {
		r := v.At(directory.User, i)
		if r.Active() && r.HasText("userName", name) {
			return true
		}
	}
	return false
}

// groupsNamed gives the groups with an id or displayName.
func groupsNamed(s *directory.Snapshot, name string) []directory.Resource {
	if r, ok := s.ByID(name); ok && r.Type() == directory.Group {
		return []directory.Resource{r}
	}
	var groups []directory.Resource
	v := directory.NewView(s)
	for _, i := range v.Find(directory.Group, directory.ByDisplayName, name) {
		if r := v.At(directory.Group, i); r.HasText("displayName", name) {
			groups = append(groups, r)
		}
	}
	return groups
}
