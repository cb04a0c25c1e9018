package mirror

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"scimbridge/scim/mapping"
	"scimbridge/sync/graph"
)

// Scope says who is served. It is decided on the merged object, as it is
// stored, and always here, whatever Graph was asked to leave out.
//
// Ids and names are in lower case.
type Scope struct {
	// Groups has groups served. Where it is turned off, those served so far go
	// by way of the guard, like every other loss.
	Groups bool
	// Guests has users with userType Guest served, Disabled those with
	// accountEnabled false.
	Guests, Disabled bool
	// GuestsOnly has nobody else than guests served.
	GuestsOnly bool
	// LicensedOnly leaves out users without any licence.
	LicensedOnly bool
	// MemberOf are ids of groups: only who is in one of them, or in a group
	// that is in it, is served. Empty: everybody.
	MemberOf []string
	// Exclude are ids and userPrincipalNames of users who are not served.
	Exclude []string
	// Where has to be true of a user who is served; nil: it is.
	Where Condition
	// FilteredRead has a full read ask Graph for those users only of whom the rules
	// don't know already that they are out, as far as its $filter can tell.
	FilteredRead bool
	// Assigned is the id of an application: only users and groups that are
	// assigned to it, and direct members of such groups, are served. Empty: all.
	Assigned string

	// GroupTypes narrows the groups: to those of one of the types and, where
	// there are origins among them, of one of the origins. Empty: all.
	GroupTypes []GroupType
	// GroupExclude are ids of groups that are not served.
	GroupExclude []string
	// GroupWhere has to be true of a group that is served; nil: it is.
	GroupWhere Condition
	// Flatten has the users of nested groups served as members, and no groups.
	Flatten bool

	// KeepRemoved is how long a user who was removed, or left the scope, is
	// served with active=false before she goes. 0: she goes at once.
	KeepRemoved time.Duration
}

// A Condition is an expression over an object's properties.
type Condition interface {
	// Holds evaluates it. An error leaves an object in the scope, or out of it,
	// as it was before.
	Holds(properties []byte) (bool, error)
	// Properties are the properties that have to be read for it.
	Properties() []string
	// String gives its text.
	String() string
}

// A GroupType is a type of group, or its origin.
type GroupType string

// The types of groups, by groupTypes, securityEnabled and mailEnabled
// (learn.microsoft.com/graph/api/resources/groups-overview), and where they come
// from.
const (
	Security            GroupType = "security"
	Microsoft365        GroupType = "microsoft365"
	Distribution        GroupType = "distribution"
	MailEnabledSecurity GroupType = "mail-enabled-security"

	Cloud        GroupType = "cloud"        // made in Entra
	Synchronized GroupType = "synchronized" // from an on-premises directory
)

func (t GroupType) isOrigin() bool { return t == Cloud || t == Synchronized }

// Rules name, by the settings that they come from, what leaves somebody out.
const (
	ruleExclude      = "users.exclude"
	ruleGuests       = "users.guests"
	ruleDisabled     = "users.disabled"
	ruleLicensed     = "users.licensed_only"
	ruleMemberOf     = "users.member_of"
	ruleWhere        = "users.where"
	ruleAssigned     = "scope"
	ruleGroups       = "groups.enabled"
	ruleGroupExclude = "groups.exclude"
	ruleGroupTypes   = "groups.types"
	ruleGroupWhere   = "groups.where"
)

// A RuleResult says what one rule of the scope makes of an object.
type RuleResult struct {
	// Rule is the setting.
	Rule string `json:"rule"`
	In   bool   `json:"in"`
	// Text says why, in words that follow "she" or "it".
	Text string `json:"text"`
	// Path is how a user is in the group that the rule asks for: display names,
	// from that group down, without the user.
	Path []string `json:"path,omitempty"`
}

// ReadsGroups says whether groups have to be read, served or not.
func (s *Scope) ReadsGroups() bool {
	return s.Groups || len(s.MemberOf) > 0 || s.Assigned != ""
}

// byMembership says whether a change of a group can bring a user in, or leave
// her out.
func (s *Scope) byMembership() bool { return len(s.MemberOf) > 0 || s.Assigned != "" }

// open says whether no rule but where goes by anything of a user.
func (s *Scope) open() bool {
	return s.Guests && s.Disabled && !s.GuestsOnly && !s.LicensedOnly && len(s.Exclude) == 0 && !s.byMembership()
}

// String gives what of the scope is not as in the beginning: it is a part of
// the fingerprint of pictures.
func (s *Scope) String() string {
	var b strings.Builder
	list := func(name string, values []string) {
		if len(values) > 0 {
			fmt.Fprintf(&b, " %s=%q", name, slices.Sorted(slices.Values(values)))
		}
	}
	flag := func(name string, set bool) {
		if set {
			b.WriteString(" " + name)
		}
	}
	condition := func(name string, c Condition) {
		if c != nil {
			fmt.Fprintf(&b, " %s=%q", name, c.String())
		}
	}
	flag("guests-only", s.GuestsOnly)
	flag("licensed", s.LicensedOnly)
	list("member-of", s.MemberOf)
	list("exclude", s.Exclude)
	condition("where", s.Where)
	list("assigned", slices.DeleteFunc([]string{s.Assigned}, func(id string) bool { return id == "" }))
	types := make([]string, len(s.GroupTypes))
	for i, t := range s.GroupTypes {
		types[i] = string(t)
	}
	list("types", types)
	list("group-exclude", s.GroupExclude)
	condition("group-where", s.GroupWhere)
	return b.String() + inputs(s.Where, s.GroupWhere)
}

// Select gives the properties that have to be read of each collection: those
// of the mapping, and those that the scope goes by.
func Select(mapper *mapping.Mapper, scope *Scope) map[graph.Kind][]string {
	users, groups := mapper.Select()
	needed := []string{}
	if len(scope.Exclude) > 0 {
		needed = append(needed, "userPrincipalName")
	}
	if !scope.Guests || scope.GuestsOnly {
		needed = append(needed, "userType")
	}
	if !scope.Disabled {
		needed = append(needed, "accountEnabled")
	}
	if scope.LicensedOnly {
		needed = append(needed, "assignedLicenses")
	}
	if scope.Where != nil {
		needed = append(needed, slices.DeleteFunc(scope.Where.Properties(), isAside)...)
	}
	ofGroups := []string{"visibility"} // lookForHidden
	if len(scope.GroupTypes) > 0 {
		ofGroups = append(ofGroups, "groupTypes", "securityEnabled", "mailEnabled", "onPremisesSyncEnabled")
	}
	if scope.GroupWhere != nil {
		ofGroups = append(ofGroups, scope.GroupWhere.Properties()...)
	}
	return map[graph.Kind][]string{graph.Users: with(users, needed), graph.Groups: with(groups, ofGroups)}
}

// with adds properties to a list; id, manager and members come anyway.
func with(list, more []string) []string {
	list = slices.Clone(list)
	for _, name := range more {
		if !slices.Contains(list, name) && name != "id" && name != manager && name != "members" {
			list = append(list, name)
		}
	}
	return list
}

// userTraits are what the rules without memberships go by.
type userTraits struct {
	ID                string          `json:"id"`
	UserPrincipalName any             `json:"userPrincipalName"`
	AccountEnabled    any             `json:"accountEnabled"`
	UserType          any             `json:"userType"`
	AssignedLicenses  json.RawMessage `json:"assignedLicenses"`
}

func (t *userTraits) guest() bool    { return t.UserType == "Guest" }
func (t *userTraits) disabled() bool { return t.AccountEnabled == false }

func (t *userTraits) licensed() bool {
	list := bytes.TrimSpace(t.AssignedLicenses)
	return len(list) > 2 && list[0] == '['
}

// ownRules are what the rules that need nothing but the user herself make of
// her; where is not among them.
func (s *Scope) ownRules(t *userTraits) []RuleResult {
	var results []RuleResult
	if len(s.Exclude) > 0 {
		name, _ := t.UserPrincipalName.(string)
		r := RuleResult{Rule: ruleExclude, In: true, Text: "is not in the list"}
		if slices.Contains(s.Exclude, t.ID) || slices.Contains(s.Exclude, strings.ToLower(name)) && name != "" {
			r.In, r.Text = false, "is in the list"
		}
		results = append(results, r)
	}
	if !s.Guests || s.GuestsOnly {
		r := RuleResult{Rule: ruleGuests, In: t.guest() == s.GuestsOnly, Text: "is no guest"}
		if t.guest() {
			r.Text = "is a guest"
		}
		results = append(results, r)
	}
	if !s.Disabled {
		r := RuleResult{Rule: ruleDisabled, In: !t.disabled(), Text: "has an account that is not disabled"}
		if t.disabled() {
			r.Text = "has a disabled account"
		}
		results = append(results, r)
	}
	if s.LicensedOnly {
		r := RuleResult{Rule: ruleLicensed, In: t.licensed(), Text: "has no licence"}
		if r.In {
			r.Text = "has a licence"
		}
		results = append(results, r)
	}
	return results
}

// groupTraits are what groups.types goes by.
type groupTraits struct {
	ID       string   `json:"id"`
	Types    []string `json:"groupTypes"`
	Security any      `json:"securityEnabled"`
	Mail     any      `json:"mailEnabled"`
	Synced   any      `json:"onPremisesSyncEnabled"`
}

// kind gives the type of a group, "" for one that is none of the four.
func (t *groupTraits) kind() GroupType {
	unified := slices.ContainsFunc(t.Types, func(s string) bool { return strings.EqualFold(s, "Unified") })
	switch security, mail := t.Security == true, t.Mail == true; {
	case unified:
		return Microsoft365
	case security && mail:
		return MailEnabledSecurity
	case security:
		return Security
	case mail:
		return Distribution
	}
	return ""
}

// origin: onPremisesSyncEnabled is absent or null of a group that never was
// synchronized, and false of one that no longer is.
func (t *groupTraits) origin() GroupType {
	if t.Synced == true {
		return Synchronized
	}
	return Cloud
}

// typeRule is what groups.types makes of a group.
func (s *Scope) typeRule(t *groupTraits) RuleResult {
	kind, origin := t.kind(), t.origin()
	match := func(of GroupType, isOrigin bool) bool {
		asked := false
		for _, want := range s.GroupTypes {
			if want.isOrigin() == isOrigin {
				asked = true
				if want == of {
					return true
				}
			}
		}
		return !asked
	}
	text := string(kind)
	if kind == "" {
		text = "of no known type"
	}
	return RuleResult{Rule: ruleGroupTypes, In: match(kind, false) && match(origin, true), Text: fmt.Sprintf("is %s, %s", text, origin)}
}
