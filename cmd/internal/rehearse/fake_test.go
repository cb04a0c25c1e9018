package rehearse_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"scimbridge/cmd/internal/rehearse"
)

type object = map[string]any

// A fake is an endpoint that serves what a test gives it, and is faulty where
// the test wants that.
type fake struct {
	users, groups []object

	authorization string                                                  // of the last request
	break_        func(path string, q url.Values, answer object)          // spoils an answer
	refuse        func(w http.ResponseWriter, path string) (refused bool) // answers otherwise
}

// newFake has so many users without fault.
func newFake(n int) *fake {
	f := &fake{groups: []object{{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "id": "g0", "displayName": "Everybody"}}}
	for i := range n {
		f.users = append(f.users, person(i))
	}
	return f
}

// person is a user without fault, changed as given.
func person(i int, changes ...object) object {
	mail := fmt.Sprintf("user%d@example.com", i)
	u := object{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "id": fmt.Sprintf("u%d", i), "userName": mail,
		"displayName": fmt.Sprint("User ", i), "active": true, "name": object{"givenName": "Given", "familyName": "Family"},
		"emails": []any{object{"value": mail, "type": "work", "primary": true}},
	}
	for _, c := range changes {
		for name, value := range c {
			if u[name] = value; value == nil {
				delete(u, name)
			}
		}
	}
	return u
}

func emails(values ...string) object {
	var all []any
	for i, v := range values {
		all = append(all, object{"value": v, "type": "work", "primary": i == 0})
	}
	return object{"emails": all}
}

var equality = regexp.MustCompile(`^(\S+) eq "(.*)"$`)

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.authorization = r.Header.Get("Authorization")
	path := strings.TrimPrefix(r.URL.Path, "/scim/v2")
	if f.refuse != nil && f.refuse(w, path) {
		return
	}
	q := r.URL.Query()
	switch first, id, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); {
	case first == "Users" && id == "":
		f.list(w, path, q, f.users)
	case first == "Groups" && id == "":
		f.list(w, path, q, f.groups)
	case first == "Users":
		for _, u := range f.users {
			if u["id"] == id {
				f.send(w, http.StatusOK, path, q, u)
				return
			}
		}
		f.send(w, http.StatusNotFound, path, q, object{
			"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, "status": "404", "detail": "there is none"})
	default:
		f.discovery(w, path, q)
	}
}

// discovery answers with schemas that know the attributes of persons.
func (f *fake) discovery(w http.ResponseWriter, path string, q url.Values) {
	schema := func(id string, names ...string) object {
		var attributes []any
		for _, n := range names {
			attributes = append(attributes, object{"name": n})
		}
		return object{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, "id": id, "attributes": attributes}
	}
	d := object{"schemas": []string{"urn:x"}}
	if path == "/Schemas" {
		d["Resources"] = []any{
			schema("urn:ietf:params:scim:schemas:core:2.0:User", "userName", "displayName", "active", "name", "emails", "addresses", "groups"),
			schema("urn:ietf:params:scim:schemas:core:2.0:Group", "displayName", "members"),
			schema("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "department"),
			schema("urn:acme:hr:1.0", "badge"),
		}
	}
	f.send(w, http.StatusOK, path, q, d)
}

// list answers a query. Of filters it knows equality; others find everything.
func (f *fake) list(w http.ResponseWriter, path string, q url.Values, all []object) {
	found := []object{}
	m := equality.FindStringSubmatch(q.Get("filter"))
	for _, r := range all {
		if m == nil || holds(r, m[1], m[2]) {
			found = append(found, r)
		}
	}
	start, _ := strconv.Atoi(q.Get("startIndex"))
	start = max(start, 1)
	count, err := strconv.Atoi(q.Get("count"))
	if err != nil {
		count = len(found)
	}
	page := found[min(start-1, len(found)):min(start-1+count, len(found))]
	f.send(w, http.StatusOK, path, q, object{
		"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"}, "totalResults": len(found),
		"itemsPerPage": len(page), "startIndex": start, "Resources": page,
	})
}

func holds(r object, attribute, value string) bool {
	if attribute == "emails.value" {
		all, _ := r["emails"].([]any)
		for _, e := range all {
			if v, _ := e.(object)["value"].(string); strings.EqualFold(v, value) {
				return true
			}
		}
		return false
	}
	v, _ := r[attribute].(string)
	return strings.EqualFold(v, value)
}

func (f *fake) send(w http.ResponseWriter, status int, path string, q url.Values, answer object) {
	w.Header().Set("Content-Type", "application/scim+json")
	if f.break_ != nil {
		f.break_(path, q, answer)
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
}

// run rehearses a platform against the fake.
func (f *fake) run(t *testing.T, platform string, limit int) (*rehearse.Report, error) {
	t.Helper()
	p, err := rehearse.Find(platform)
	if err != nil {
		t.Fatal(err)
	}
	return rehearse.Run(t.Context(), rehearse.Options{Platform: p, Limit: limit, Endpoint: rehearse.Endpoint{
		URL: "https://scim.example.com/scim/v2/", Authorization: "Bearer x", Transport: rehearse.HandlerTransport(f),
	}})
}
