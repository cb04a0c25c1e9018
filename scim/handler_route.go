package scim

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"scimbridge/scim/directory"
)

// An answer serves one method of one route. segments are what follows the
// route's fixed part, percent-decoded once.
type answer func(x *exchange, segments []string) *scimError

// A route is one endpoint and what it takes.
type route struct {
	name    string // for the log: the pattern, never an id
	public  bool   // part of discovery
	methods map[string]answer
	writes  []string   // methods that SCIM defines here and this endpoint does not implement
	always  *scimError // the answer to every method, where there is no other
	allow   string     // for the Allow header
}

// table makes the routes: lower-case pattern -> route. Writing, should it ever
// come, is methods instead of writes.
func (h *Handler) table() map[string]route {
	routes := make(map[string]route)
	add := func(rt route) {
		allow := append(slices.Collect(maps.Keys(rt.methods)), http.MethodOptions)
		slices.Sort(allow)
		rt.allow = strings.Join(allow, ", ")
		routes[strings.ToLower(rt.name)] = rt
	}
	read := func(a answer) map[string]answer {
		return map[string]answer{http.MethodGet: a, http.MethodHead: a}
	}
	post := func(a answer) map[string]answer {
		return map[string]answer{http.MethodPost: a}
	}
	both := []directory.Type{directory.User, directory.Group}

	add(route{name: "/", methods: read(h.list("/", both))})
	add(route{name: "/.search", methods: post(h.search("/", both))})
	for _, t := range both {
		name, only := t.Endpoint(), []directory.Type{t}
		add(route{name: name, methods: read(h.list(name, only)), writes: []string{http.MethodPost}})
		add(route{name: name + "/.search", methods: post(h.search(name, only))})
		add(route{name: name + "/{id}", methods: read(h.get(t)),
			writes: []string{http.MethodPut, http.MethodPatch, http.MethodDelete}})
	}
	for _, name := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/ResourceTypes/{id}", "/Schemas/{id}"} {
		add(route{name: name, public: true, methods: read(h.describe(name))})
	}
	add(route{name: "/Me", always: newError(http.StatusNotImplemented, "", "clients of this endpoint are not users: /Me is not implemented")})
	add(route{name: "/Bulk", always: newError(http.StatusNotImplemented, "", "this endpoint is read-only: bulk operations are not implemented")})
	return routes
}

// decode splits a path that begins with a slash, or is empty, into its decoded
// segments, which it appends to dst.
func decode(dst []string, path string) (segments []string, ok bool) {
	segments = dst
	for raw := range strings.SplitSeq(path, "/") {
		if raw == "" {
			continue
		}
		segment, err := url.PathUnescape(raw)
		if err != nil {
			return nil, false
		}
		segments = append(segments, segment)
	}
	return segments, true
}

// route gives the route that the segments ask for, and how many of them are its
// fixed part.
func (h *Handler) route(segments []string) (rt route, fixed int, found bool) {
	var pattern [64]byte
	key := append(pattern[:0], '/')
	if len(segments) > 0 {
		fixed, key = 1, appendLower(key, segments[0])
	}
	switch {
	case len(segments) > 2, fixed == 1 && strings.Contains(segments[0], "/"):
		return route{}, 0, false
	case len(segments) == 2 && strings.EqualFold(segments[1], ".search"):
		fixed, key = 2, append(key, "/.search"...)
	case len(segments) == 2:
		key = append(key, "/{id}"...)
	}
	rt, found = h.routes[string(key)]
	return rt, fixed, found
}

// appendLower appends strings.ToLower(s) to dst.
func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return append(dst, strings.ToLower(s[i:])...)
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
