package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"scimbridge/scim/mapping/expr"
)

// A Scope says by what a source's users and groups are chosen before all other
// rules.
type Scope string

// The kinds of Scope.
const (
	ScopeAll      Scope = "all"
	ScopeAssigned Scope = "assigned" // to the Enterprise application
)

// Guests says whether guest users are served.
type Guests string

// The kinds of Guests.
const (
	GuestsInclude Guests = "include"
	GuestsExclude Guests = "exclude"
	GuestsOnly    Guests = "only" // and nobody else
)

// A Read says whom a full read of users asks for.
type Read string

// The kinds of Read.
const (
	ReadAll      Read = "all"
	ReadFiltered Read = "filtered" // by Graph, as far as it can
)

// parseGuests takes true and false, too: so the key was at first.
func parseGuests(text string) (Guests, *problem) {
	switch text {
	case "true":
		return GuestsInclude, nil
	case "false":
		return GuestsExclude, nil
	}
	return parseOneOf(GuestsInclude, GuestsExclude, GuestsOnly)(text)
}

// A GroupType is a type of group, or where groups come from.
type GroupType string

// groupTypes are the types and the origins.
var groupTypes = []GroupType{"security", "microsoft365", "distribution", "mail-enabled-security", "cloud", "synchronized"}

// An Expression is a text in the language of package expr.
type Expression string

// checkScope checks who is served.
func (l *loader) checkScope(section string, s *Source) {
	l.checkAssigned(section, s)
	l.checkIDs(section+".users.member_of", s.Users.MemberOf)
	l.checkExclude(section+".users.exclude", s.Users.Exclude)
	l.checkIDs(section+".groups.exclude", s.Groups.Exclude)
	checkDistinct(l, section+".groups.types", s.Groups.Types)
	where := l.checkWhere(section+".users.where", expr.User, s.Users.Where)
	if s.Users.Read == ReadFiltered && s.Users.Guests == GuestsInclude && (where == nil || len(where.Terms()) == 0) && !l.isBroken(section+".users.where") {
		l.fault(section+".users.read", "Microsoft Graph can't tell by any of the rules whom to leave out",
			"set users.guests, or begin users.where with a comparison such as user.department == \"Sales\" && …; or remove the key")
	}
	l.checkWhere(section+".groups.where", expr.Group, s.Groups.Where)
}

func (l *loader) checkAssigned(section string, s *Source) {
	at := section + ".assigned_to"
	l.checkGUID(at, s.AssignedTo)
	s.AssignedTo = strings.ToLower(s.AssignedTo)
	switch {
	case s.Scope != ScopeAssigned && l.given(at):
		l.fault(at, "the key has no meaning without scope: assigned", "add that, or remove the key")
	case s.Scope == ScopeAssigned && s.AssignedTo == "" && s.ManagedIdentity != nil:
		l.fault(section+".scope", "nobody can be assigned to a managed identity", "write assigned_to: the application id of an Enterprise application")
	case s.Scope == ScopeAssigned && s.AssignedTo == "":
		s.AssignedTo = s.ClientID
	}
}

// checkIDs checks object ids, and puts them into lower case, as Graph has them.
func (l *loader) checkIDs(path string, ids []string) {
	for i, id := range ids {
		if at := fmt.Sprintf("%s[%d]", path, i); !l.isBroken(at) && !guid.MatchString(id) {
			l.fault(at, quote(id)+" is no object id", "copy the Object ID from the group's overview")
		}
		ids[i] = strings.ToLower(id)
	}
	checkDistinct(l, path, ids)
}

func (l *loader) checkExclude(path string, list []string) {
	for i, one := range list {
		name, domain, ok := strings.Cut(one, "@")
		if at := fmt.Sprintf("%s[%d]", path, i); !l.isBroken(at) && !guid.MatchString(one) && !(ok && name != "" && domain != "" && !strings.ContainsAny(one, " \t")) {
			l.fault(at, quote(one)+" is neither an object id nor a userPrincipalName", "write one such as ada@contoso.com, or the Object ID")
		}
		list[i] = strings.ToLower(one)
	}
	checkDistinct(l, path, list)
}

// checkDistinct checks that nothing is in a list twice.
func checkDistinct[T ~string](l *loader, path string, list []T) {
	for i, one := range list {
		if at := fmt.Sprintf("%s[%d]", path, i); one != "" && slices.Contains(list[:i], one) {
			l.fault(at, quote(string(one))+" is in the list already", "remove it")
		}
	}
}

// checkWhere checks the types of a condition, and tells of all that is wrong with
// it, each with its place.
func (l *loader) checkWhere(path string, kind expr.Kind, where Expression) (program *expr.Program) {
	if where == "" || l.isBroken(path) {
		return nil
	}
	env, err := expr.NewEnv(expr.Config{Object: kind, Tables: l.cfg.Tables})
	if err == nil {
		program, err = env.Condition(string(where))
	}
	var faults expr.Errors
	if errors.As(err, &faults) {
		for _, f := range faults {
			l.faults = append(l.faults, l.cfg.FaultWithin(path, f.Line, f.Column, f.Message, f.Mend))
		}
	} else if err != nil {
		l.fault(path, err.Error(), "rewrite the expression")
	}
	return program
}
