package scim

import (
	"strconv"
	"strings"

	"scimbridge/scim/directory"
)

// find gives the attribute that a path of RFC 7644 §3.10 names for the
// resources of one type, or nil and what is wrong with it. Leniencies: an
// attribute of an extension may be named without its URN where only one
// extension has it and the core schema has none of that name.
func (ta *typeAttributes) find(path string) (*attribute, string) {
	if a := ta.simple(path); a != nil {
		return a, ""
	}
	found, fault := ta.findAll(path)
	switch len(found) {
	case 0:
		return nil, fault
	case 1:
		return found[0], ""
	}
	urns := make([]string, len(found))
	for i, a := range found {
		urns[i] = a.path()
	}
	return nil, quote(path) + " may be " + strings.Join(urns, " or ") + "; name it in full"
}

// simple finds an attribute of the core schema by its name alone, as most
// filters name one, without a copy of the name; it gives nil for other paths.
func (ta *typeAttributes) simple(path string) *attribute {
	var low [32]byte
	if len(path) > len(low) {
		return nil
	}
	for i := range len(path) {
		c := path[i]
		switch {
		case c == '.' || c == ':':
			return nil
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		low[i] = c
	}
	if ta.extensions[string(low[:len(path)])] != nil {
		return nil
	}
	return ta.named[string(low[:len(path)])]
}

// findAll is find, but gives all attributes where extensions share a name.
func (ta *typeAttributes) findAll(path string) ([]*attribute, string) {
	if ext := ta.extensions[lowerName(path)]; ext != nil {
		return []*attribute{ext}, ""
	}
	if strings.HasPrefix(path, ":") {
		return nil, ta.typ.String() + " has no attribute " + quote(path)
	}
	urn, rest := splitURN(path)
	name, sub, dotted := strings.Cut(rest, ".")
	tops, fault := ta.findTop(urn, name)
	if fault != "" {
		return nil, fault
	}
	if !dotted {
		return tops, ""
	}
	var found []*attribute
	for _, a := range tops {
		if s := a.sub(sub); s != nil {
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, quote(tops[0].path()) + " has no sub-attribute " + quote(sub)
	}
	return found, ""
}

// findTop finds attributes by the URN of their schema, which may be empty, and
// their name.
func (ta *typeAttributes) findTop(urn, name string) ([]*attribute, string) {
	low := lowerName(name)
	switch {
	case urn == "":
		if a := ta.named[low]; a != nil {
			return []*attribute{a}, ""
		}
		if all := ta.loose[low]; len(all) > 0 {
			return all, ""
		}
		return nil, ta.typ.String() + " has no attribute " + quote(name)
	case sameName(urn, ta.core):
		if a := ta.named[low]; a != nil {
			return []*attribute{a}, ""
		}
	default:
		ext := ta.extensions[lowerName(urn)]
		if ext == nil {
			return nil, ta.typ.String() + " has no schema " + quote(urn)
		}
		if a := ext.sub(name); a != nil {
			return []*attribute{a}, ""
		}
	}
	return nil, "the schema " + quote(urn) + " has no attribute " + quote(name)
}

// splitURN cuts a path at its last colon: URNs have colons and dots, names of
// attributes have no colon.
func splitURN(path string) (urn, rest string) {
	if i := strings.LastIndexByte(path, ':'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// perType resolves a path for each of the types queried. Types that have no
// such attribute get nil; if none has it, the fault says why.
func (a *attributes) perType(types []directory.Type, path string) (found [directory.NumTypes]*attribute, fault string) {
	var ok bool
	for _, t := range types {
		attr, why := a.types[t].find(path)
		found[t] = attr
		ok = ok || attr != nil
		if fault == "" {
			fault = why
		}
	}
	if ok {
		return found, ""
	}
	return found, fault
}

// lowerName gives the form in which names of attributes and URNs of schemas are
// compared. They are ASCII, so only its letters fold: the Kelvin sign is no k.
func lowerName(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

// sameName says whether two names, one of them ASCII, differ in case only.
func sameName(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// quote quotes what a client wrote for an error detail, long texts cut.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}
