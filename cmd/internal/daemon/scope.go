package daemon

import (
	"fmt"

	"scimbridge/cmd/internal/config"
	"scimbridge/scim/mapping/expr"
	"scimbridge/sync/mirror"
)

// scopeOf makes the scope of a source; its conditions may look into the tables of
// the file. The file was checked, so that an error is a fault of ours.
func scopeOf(sc config.Source, tables config.Tables) (mirror.Scope, error) {
	s := mirror.Scope{
		Groups: sc.Groups.Enabled, Guests: sc.Users.Guests != config.GuestsExclude, GuestsOnly: sc.Users.Guests == config.GuestsOnly,
		FilteredRead: sc.Users.Read == config.ReadFiltered,
		Disabled:     sc.Users.Disabled, LicensedOnly: sc.Users.LicensedOnly, MemberOf: sc.Users.MemberOf, Exclude: sc.Users.Exclude,
		GroupExclude: sc.Groups.Exclude, Flatten: sc.Groups.Nested == config.NestedFlatten, KeepRemoved: sc.Users.KeepRemoved,
	}
	if sc.Scope == config.ScopeAssigned {
		s.Assigned = sc.AssignedTo
	}
	for _, t := range sc.Groups.Types {
		s.GroupTypes = append(s.GroupTypes, mirror.GroupType(t))
	}
	var err error
	if s.Where, err = condition(expr.User, sc.Users.Where, tables); err != nil {
		return s, fmt.Errorf("users.where of source %s: %w", sc.Name, err)
	}
	if s.GroupWhere, err = condition(expr.Group, sc.Groups.Where, tables); err != nil {
		return s, fmt.Errorf("groups.where of source %s: %w", sc.Name, err)
	}
	return s, nil
}

// condition compiles a condition; nil for none.
func condition(kind expr.Kind, where config.Expression, tables config.Tables) (mirror.Condition, error) {
	if where == "" {
		return nil, nil
	}
	return mirror.Where(expr.Config{Object: kind, Tables: tables}, string(where))
}

// permissions are those that a scope needs beside the ones for users and groups.
func permissions(s *mirror.Scope) (names []string) {
	if s.Assigned != "" {
		names = append(names, "Application.Read.All")
	}
	for kind, c := range []mirror.Condition{expr.User: s.Where, expr.Group: s.GroupWhere} {
		if c == nil {
			continue
		}
		for _, name := range c.Properties() {
			if p, ok := expr.Lookup(expr.Kind(kind), name); ok && p.Permission != "" {
				names = append(names, p.Permission)
			}
		}
	}
	return names
}
