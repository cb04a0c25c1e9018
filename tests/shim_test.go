package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// A shim makes the read-only endpoint look like one that can be written to, so
// that conformance suites, which first create what they then read, can be run
// against it. A write becomes a change of the simulated tenant; then a round is
// done, and the answer is the endpoint's own representation of what came of it.
// So each of a suite's reads goes all the way from Graph to SCIM.
//
// It changes one thing in what it passes on: in /Schemas, the attributes that it
// can write are said to be writable, or suites would not touch them.
type shim struct {
	t      *testing.T
	b      *bridge
	tenant *tenantServer
	source string
	proxy  *httputil.ReverseProxy
	base   string

	mu     sync.Mutex // one write at a time
	writes int
}

// writable are the attributes that the shim can write, by their path in SCIM,
// with the property of Graph that holds them (docs/mapping.md).
var writable = map[string]map[string]string{
	"Users": {
		"userName": "userPrincipalName", "displayName": "displayName", "title": "jobTitle", "userType": "employeeType",
		"preferredLanguage": "preferredLanguage", "active": "accountEnabled",
		"name.givenName": "givenName", "name.familyName": "surname",
		enterpriseUser + ":employeeNumber": "employeeId", enterpriseUser + ":department": "department",
		enterpriseUser + ":organization": "companyName",
		entra + ":User:mailNickname":     "mailNickname", entra + ":User:officeLocation": "officeLocation",
		entra + ":User:usageLocation": "usageLocation",
	},
	"Groups": {
		"displayName": "displayName", entra + ":Group:description": "description", entra + ":Group:mailNickname": "mailNickname",
	},
}

const enterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// startShim serves a company through a bridge and a shim.
func startShim(t *testing.T) *shim {
	s := &shim{t: t, source: "contoso", tenant: startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 21}, 60, 5))}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s}}
	server.Start()
	t.Cleanup(server.Close)
	s.base = server.URL + "/scim/v2"

	s.b = newBridge(t)
	// Clients call the shim, so that is where resources are.
	s.b.write("config.yaml", config("  public_url: "+s.base+"\n",
		s.tenant.source(s.source, "interval: 1h", "users: {keep_removed: 0s}")))
	s.b.start()
	s.b.ready()
	target, err := url.Parse(strings.TrimSuffix(s.b.scim, "/scim/v2"))
	if err != nil {
		t.Fatal(err)
	}
	s.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if strings.Contains(r.In.URL.Path, "/Schemas") {
				r.Out.Header.Del("Accept-Encoding") // makeWritable reads it
			}
		},
		ModifyResponse: s.makeWritable,
	}
	return s
}

func (s *shim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/scim/v2"), "/"), "/")
	kind := segments[0]
	if writable[kind] == nil || r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, ".search") {
		s.proxy.ServeHTTP(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if len(segments) == 2 && !s.lives(kind, segments[1]) {
		r.Method = http.MethodGet // for the endpoint's own 404
		s.proxy.ServeHTTP(w, r)
		return
	}
	switch {
	case r.Method == http.MethodPost && len(segments) == 1:
		s.put(w, r, kind, "", http.StatusCreated)
	case r.Method == http.MethodPut && len(segments) == 2:
		s.put(w, r, kind, segments[1], http.StatusOK)
	case r.Method == http.MethodDelete && len(segments) == 2:
		s.remove(w, kind, segments[1])
	default:
		s.proxy.ServeHTTP(w, r)
	}
}

// put makes or replaces what the request describes, and answers with what the
// endpoint then shows.
func (s *shim) put(w http.ResponseWriter, r *http.Request, kind, id string, status int) {
	var wanted map[string]any
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	props := make(map[string]any)
	for path, property := range writable[kind] {
		if v := at(wanted, path); v != nil {
			props[property] = v
		} else if id != "" && path != "userName" && path != "displayName" && path != "active" {
			props[property] = nil
		}
	}
	switch {
	case kind == "Users" && id == "":
		id = s.tenant.SetUser(props)
	case kind == "Users":
		s.tenant.UpdateUser(id, props)
	case id == "":
		id = s.tenant.SetGroup(props)
	default:
		s.tenant.UpdateGroup(id, props)
	}
	s.round()
	code, body := s.b.get(s.b.scim+"/"+kind+"/"+id, nil)
	if code != http.StatusOK {
		s.t.Errorf("after a round %s/%s is answered %d %s", kind, id, code, body)
	}
	var shown map[string]any
	if err := json.Unmarshal([]byte(body), &shown); err != nil {
		s.t.Error(err)
	}
	for path := range writable[kind] {
		if want, got := at(wanted, path), at(shown, path); want != nil && want != got {
			s.t.Errorf("%s of %s/%s is %v, and %v was written", path, kind, id, got, want)
		}
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.Header().Set("Location", s.base+"/"+kind+"/"+id)
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// lives says whether the tenant has the resource.
func (s *shim) lives(kind, id string) bool {
	find := s.tenant.User
	if kind == "Groups" {
		find = s.tenant.Group
	}
	o, ok := find(id)
	return ok && o.Removed == ""
}

// remove takes a resource out of the tenant for good.
func (s *shim) remove(w http.ResponseWriter, kind, id string) {
	if kind == "Users" {
		s.tenant.PurgeUser(id)
	} else {
		s.tenant.PurgeGroup(id)
	}
	s.round()
	if code, body := s.b.get(s.b.scim+"/"+kind+"/"+id, nil); code != http.StatusNotFound {
		s.t.Errorf("after its removal %s/%s is answered %d %s", kind, id, code, body)
	}
	w.WriteHeader(http.StatusNoContent)
}

// round has a round done.
func (s *shim) round() {
	if outcome := s.b.sync(s.source); outcome != "published" && outcome != "unchanged" {
		s.t.Errorf("round: %s", outcome)
	}
}

// at gives the value at a path: names joined by dots, after the URN of an
// extension and a colon.
func at(resource map[string]any, path string) any {
	if i := strings.LastIndexByte(path, ':'); i >= 0 {
		resource, _ = resource[path[:i]].(map[string]any)
		path = path[i+1:]
	}
	for {
		name, rest, more := strings.Cut(path, ".")
		if !more {
			return resource[name]
		}
		resource, _ = resource[name].(map[string]any)
		path = rest
	}
}

// makeWritable changes the mutability of what the shim can write.
func (s *shim) makeWritable(res *http.Response) error {
	if !strings.Contains(res.Request.URL.Path, "/Schemas") || res.StatusCode != http.StatusOK {
		return nil
	}
	var document map[string]any
	if err := json.NewDecoder(res.Body).Decode(&document); err != nil {
		return fmt.Errorf("reading schemas: %w", err)
	}
	schemas, isList := document["Resources"].([]any)
	if !isList {
		schemas = []any{document}
	}
	for _, schema := range schemas {
		schema := schema.(map[string]any)
		for _, a := range schema["attributes"].([]any) {
			mark(a.(map[string]any), pathsOf(schema["id"].(string)), "")
		}
	}
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("writing schemas: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	res.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

// pathsOf gives the writable attributes of a schema, by their names in it.
func pathsOf(urn string) (paths []string) {
	for kind, attributes := range writable {
		core := urn == "urn:ietf:params:scim:schemas:core:2.0:"+strings.TrimSuffix(kind, "s")
		for path := range attributes {
			rest, inExtension := strings.CutPrefix(path, urn+":")
			if inExtension || core && !strings.Contains(path, ":") {
				paths = append(paths, rest)
			}
		}
	}
	return paths
}

// mark marks an attribute and what is below it; what holds something writable is
// writable.
func mark(attribute map[string]any, paths []string, prefix string) {
	path := prefix + attribute["name"].(string)
	if slices.ContainsFunc(paths, func(p string) bool { return p == path || strings.HasPrefix(p, path+".") }) {
		attribute["mutability"] = "readWrite"
	}
	subs, _ := attribute["subAttributes"].([]any)
	for _, sub := range subs {
		mark(sub.(map[string]any), paths, path+".")
	}
}
