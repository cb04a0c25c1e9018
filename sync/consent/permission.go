package consent

import (
	"errors"
	"slices"
	"strings"

	"scimbridge/sync/graph"
)

// Wants is what a source reads, as far as permissions depend on it.
type Wants struct {
	Groups        bool // groups and their members
	HiddenMembers bool // members of groups that hide them
	// More are further permissions that the configuration asks for, each with
	// its Why; see [Known].
	More []Permission
}

// A Permission is an application permission of Microsoft Graph.
type Permission struct {
	Name string `json:"name"`
	ID   string `json:"id"`  // of the app role, for command lines
	Why  string `json:"why"` // in plain words
	// Optional tells that all works without it.
	Optional bool `json:"optional,omitempty"`
}

// GraphID is the application id of Microsoft Graph itself, in every tenant.
const GraphID = "00000003-0000-0000-c000-000000000000"

// The permissions that we know how to use
// (learn.microsoft.com/graph/permissions-reference).
var (
	userRead   = Permission{Name: "User.Read.All", ID: "df021288-bdef-4463-88db-98f22de89214", Why: "to read users and their managers"}
	memberRead = Permission{Name: "GroupMember.Read.All", ID: "98830695-27a2-44f7-8c18-0c3ebc9698f6", Why: "to read groups and who is in them"}
	hiddenRead = Permission{Name: "Member.Read.Hidden", ID: "658aa5d8-239f-45c4-aa12-864f4fc7e490", Why: "to see who is in groups that hide their members"}
	orgRead    = Permission{Name: "Organization.Read.All", ID: "498476ce-e0fe-48b0-b801-37ba7e2685c6", Why: "to show the tenant's name"}
	appRead    = Permission{Name: "Application.Read.All", ID: "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", Why: "to warn before the client secret expires"}
)

// Needed lists exactly the permissions that the app registration has to list,
// the optional ones last.
func Needed(w Wants) []Permission {
	list := []Permission{userRead}
	if w.Groups {
		list = append(list, memberRead)
		if w.HiddenMembers {
			list = append(list, hiddenRead)
		}
	}
	for _, p := range w.More {
		if !slices.ContainsFunc(list, func(have Permission) bool { return have.Name == p.Name }) {
			list = append(list, p)
		}
	}
	for _, p := range optional(w) {
		p.Optional = true
		list = append(list, p)
	}
	return list
}

// Required is Needed without the optional ones.
func Required(w Wants) []Permission {
	return slices.DeleteFunc(Needed(w), func(p Permission) bool { return p.Optional })
}

func optional(w Wants) []Permission {
	if w.Groups && !w.HiddenMembers {
		return []Permission{orgRead, hiddenRead}
	}
	return []Permission{orgRead}
}

// further are the permissions that only some configurations need.
var further = []Permission{
	{Name: "AuditLog.Read.All", ID: "b0afded3-3588-46d8-8b3d-9842eff778da", Why: "to read when a user last signed in"},
	{Name: "Application.Read.All", ID: "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", Why: "to read applications and who is assigned to them"},
	{Name: "Group.Read.All", ID: "5b567255-7703-4780-807c-7be8301ae99b", Why: "to read all properties of groups"},
	{Name: "Directory.Read.All", ID: "7ab1d382-f21e-4acd-a863-ba3e13f7da61", Why: "to read all of the directory"},
	{Name: "User-LifeCycleInfo.Read.All", ID: "8556a004-db57-4d7a-8b82-97a13428e96f", Why: "to read the date on which a user leaves"},
	{Name: "CustomSecAttributeAssignment.Read.All", ID: "3b37c5a4-1226-493d-bec3-5d6c6b866f3f", Why: "to read custom security attributes"},
}

// Known gives one of Graph's application permissions by name, to be put into
// [Wants.More]; ok is false for one that is not known here.
func Known(name string) (p Permission, ok bool) {
	for _, p := range append([]Permission{userRead, memberRead, hiddenRead, orgRead}, further...) {
		if p.Name == name {
			return p, true
		}
	}
	return Permission{}, false
}

// broader has the permissions that include another.
var broader = map[string][]string{
	userRead.Name: {"User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
	memberRead.Name: {"Group.Read.All", "Group.ReadWrite.All", "GroupMember.ReadWrite.All",
		"Directory.Read.All", "Directory.ReadWrite.All"},
	orgRead.Name: {"Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
}

// A Comparison is what was granted against what is needed.
type Comparison struct {
	// Missing are the needed ones that nothing granted includes.
	Missing []Permission `json:"missing,omitempty"`
	// Surplus are the granted ones that are not needed.
	Surplus []string `json:"surplus,omitempty"`
	// Instead has, for a broad one among Surplus that stands in for narrower
	// ones which are not granted, those narrower ones.
	Instead map[string][]string `json:"instead,omitempty"`
}

// Compare compares.
func Compare(w Wants, granted []string) Comparison {
	c := Comparison{Instead: map[string][]string{}}
	known := []string{appRead.Name}
	for _, p := range Needed(w) {
		known = append(known, p.Name)
		if p.Optional || slices.Contains(granted, p.Name) {
			continue
		}
		i := slices.IndexFunc(granted, func(g string) bool { return slices.Contains(broader[p.Name], g) })
		if i < 0 {
			c.Missing = append(c.Missing, p)
			continue
		}
		c.Instead[granted[i]] = append(c.Instead[granted[i]], p.Name)
	}
	for _, g := range granted {
		if !slices.Contains(known, g) {
			c.Surplus = append(c.Surplus, g)
		}
	}
	slices.Sort(c.Surplus)
	return c
}

// Words says of each surplus permission what to do about it.
func (c Comparison) Words() (words []string) {
	for _, name := range c.Surplus {
		if narrow := c.Instead[name]; len(narrow) > 0 {
			words = append(words, name+" is broader than needed: list "+strings.Join(narrow, " and ")+" in its place")
			continue
		}
		words = append(words, name+" is not needed, remove it")
	}
	return words
}

// Advice says on one line what to do about the surplus, "" where there is none.
func (c Comparison) Advice() string {
	parts := c.Words()
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "; ") + " (App registrations > the application > API permissions)"
}

// names lists permissions by name.
func names(list []Permission) []string {
	all := make([]string, len(list))
	for i, p := range list {
		all[i] = p.Name
	}
	return all
}

// notConsented are the numbers of Microsoft's login that say that an administrator
// has not consented in the tenant.
var notConsented = []int{7000229, 700016, 65001, 650052, 650056}

// Lacking tells whether an error means that an administrator's consent, or a
// permission, is what is missing.
func Lacking(err error) bool {
	var login *graph.LoginError
	if errors.As(err, &login) {
		return slices.ContainsFunc(login.Numbers, func(n int) bool { return slices.Contains(notConsented, n) })
	}
	return errors.Is(err, graph.ErrPermission)
}
