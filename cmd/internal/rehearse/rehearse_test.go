package rehearse_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scimbridge/cmd/internal/rehearse"
)

// Every platform takes people without fault, however many pages they fill.
func TestNothingToObjectTo(t *testing.T) {
	for _, p := range rehearse.Platforms() {
		for _, n := range []int{1, 100, 250} {
			t.Run(fmt.Sprint(p.Name, n), func(t *testing.T) {
				f := newFake(n)
				r, err := f.run(t, p.Name, 10)
				if err != nil {
					t.Fatal(err)
				}
				if !r.OK() || len(r.Findings) > 0 {
					t.Errorf("%+v\n%+v", r.Requests, r.Findings)
				}
				if r.Users != n || r.ActiveUsers != n || r.Groups != 1 || f.authorization != "Bearer x" || r.Endpoint != "https://scim.example.com/scim/v2" {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

// The rules: each row is a directory beside 120 people without fault, and what
// each platform says of it, as rule effect: ids.
func TestRules(t *testing.T) {
	const (
		warning = rehearse.Warning
	)
	long := strings.Repeat("x", 51)
	members := func(n int, kind string) (all []any) {
		for i := range n {
			all = append(all, object{"value": fmt.Sprint("m", i), "type": kind})
		}
		return all
	}
	groups := func(n int) (all []any) {
		for i := range n {
			all = append(all, object{"value": fmt.Sprint("g", i)})
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		users  []object
		groups []object
		want   map[string][]string // platform -> findings
	}{
		{"no first name", []object{person(900, object{"name": object{"familyName": "F"}})}, nil, map[string][]string{
			"okta": {"no-given-name rejected u900"}, "ping": {"no-given-name rejected u900"},
			"sailpoint": {"no-given-name warning u900"}, "sap": {"no-given-name warning u900"}}},
		{"a blank last name", []object{person(900, object{"name": object{"givenName": "G", "familyName": "  "}})}, nil, map[string][]string{
			"okta": {"no-family-name rejected u900"}, "ping": {"no-family-name rejected u900"},
			"sailpoint": {"no-family-name rejected u900"}, "sap": {"no-family-name rejected u900"}}},
		{"no e-mail", []object{person(900, object{"emails": nil})}, nil, map[string][]string{
			"okta": {"no-primary-email rejected u900"}, "ping": {"no-primary-email rejected u900"},
			"sailpoint": {"no-primary-email rejected u900"}, "sap": {"no-primary-email rejected u900"}}},
		{"an e-mail that is not primary", []object{person(900, object{"emails": []any{object{"value": "a@b.example"}}})}, nil, map[string][]string{
			"okta": {"no-primary-email rejected u900"}, "ping": {"no-primary-email rejected u900"},
			"sailpoint": {"no-primary-email rejected u900"}, "sap": {"no-primary-email rejected u900"}}},
		{"an e-mail that is none", []object{person(900, emails("not an address")), person(901, emails("a@b")), person(902, emails("a@b..c"))}, nil, map[string][]string{
			"okta": {"bad-email rejected u900 u901 u902"}, "ping": {"bad-email rejected u900 u901 u902"},
			"sailpoint": {"bad-email warning u900 u901 u902"}, "sap": {"bad-email rejected u900 u901 u902"}}},
		{"two primary e-mails", []object{person(900, object{"emails": []any{
			object{"value": "a@b.example", "primary": true}, object{"value": "c@d.example", "primary": true}}})}, nil, map[string][]string{
			"okta": {"several-primary-emails warning u900"}}},
		{"one userName but for capitals", []object{person(900, object{"userName": "Same@Example.com"}), person(901, object{"userName": "sAME@example.COM"})}, nil, map[string][]string{
			"okta": {"same-user-name mismatched u900 u901"}, "ping": {"same-user-name rejected u900 u901"},
			"sailpoint": {"same-user-name mismatched u900 u901"}, "sap": {"same-user-name rejected u900 u901"}}},
		{"one primary e-mail of three", []object{person(900, emails("x@example.com")), person(901, emails("X@example.com")), person(902, emails("x@EXAMPLE.com")),
			person(903, emails("other@example.com", "x@example.com"))}, nil, map[string][]string{
			"okta": {"same-email warning u900 u901 u902"}, "ping": {"same-email warning u900 u901 u902"},
			"sailpoint": {"same-email mismatched u900 u901 u902"}, "sap": {"same-email rejected u900 u901 u902"}}},
		{"a userName that is no e-mail", []object{person(900, object{"userName": "corp-abc"})}, nil, map[string][]string{
			"okta": {"user-name-no-email rejected u900"}}},
		{"a guest's userName is an e-mail", []object{person(900, object{"userName": "a_b.example#EXT#@contoso.onmicrosoft.com"})}, nil, nil},
		{"long names", []object{person(900, object{"name": object{"givenName": long, "familyName": long}, "userName": strings.Repeat("y", 90) + "@example.com"})}, nil, map[string][]string{
			"okta": {"user-name-length rejected u900", "given-name-length rejected u900", "family-name-length rejected u900"}}},
		{"an extension of one's own", []object{person(900, object{"urn:acme:hr:1.0": object{"badge": "7"}})}, nil, nil},
		{"50 characters of more bytes", []object{person(900, object{"name": object{"givenName": strings.Repeat("ż", 50), "familyName": "F"}})}, nil, nil},
		{"a country in words", []object{person(900, object{"addresses": []any{object{"country": "United Kingdom"}}}), person(901, object{"addresses": []any{object{"country": "GB"}}})}, nil, map[string][]string{
			"ping": {"country-no-code warning u900"}}},
		{"somebody in 1,001 groups", []object{person(900, object{"groups": groups(1001)}), person(901, object{"groups": groups(1000)})}, nil, map[string][]string{
			"sap": {"too-many-groups rejected u900"}}},
		{"a group of 20,001", nil, []object{{"id": "g1", "displayName": "Large", "members": members(20_001, "User")}}, map[string][]string{
			"sap": {"too-many-members rejected g1"}}},
		{"a group in a group", nil, []object{{"id": "g1", "displayName": "Outer", "members": members(1, "Group")}}, map[string][]string{
			"okta": {"nested-groups warning g1"}, "ping": {"nested-groups warning g1"}, "sailpoint": {"nested-groups warning g1"}, "sap": {"nested-groups warning g1"}}},
		{"two groups of one name", nil, []object{{"id": "g1", "displayName": "Twin"}, {"id": "g2", "displayName": "TWIN"}}, map[string][]string{
			"okta": {"same-group-name warning g1 g2"}, "ping": {"same-group-name warning g1 g2"},
			"sailpoint": {"same-group-name warning g1 g2"}, "sap": {"same-group-name mismatched g1 g2"}}},
		{"a group without name", nil, []object{{"id": "g1"}}, map[string][]string{"sap": {"no-group-name rejected g1"}}},
		{"an emoji", nil, []object{{"id": "g1", "displayName": "Party 🎉"}, {"id": "g2", "displayName": "東京"}}, map[string][]string{
			"sailpoint": {"group-emoji warning g1"}}},
	} {
		for _, p := range rehearse.Platforms() {
			t.Run(tt.name+" "+p.Name, func(t *testing.T) {
				f := newFake(120)
				f.users, f.groups = slices.Concat(f.users, tt.users), slices.Concat(f.groups, tt.groups)
				r, err := f.run(t, p.Name, 0)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				ok := true
				for _, x := range r.Findings {
					line := x.Rule + " " + x.Effect
					for _, n := range x.Named {
						line += " " + n.ID
					}
					got = append(got, line)
					ok = ok && x.Effect == warning
					if x.Count != len(x.Named) || x.Omitted != 0 || x.What == "" || x.Why == "" || x.Mend == "" || x.Attribute == "" {
						t.Errorf("%+v", x)
					}
				}
				if diff := cmp.Diff(tt.want[p.Name], got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if r.OK() != ok {
					t.Errorf("OK is %t: %+v", r.OK(), r.Requests)
				}
			})
		}
	}
}

// What is wrong with the endpoint itself is found by the requests.
func TestFaultyEndpoints(t *testing.T) {
	list := func(change func(object)) func(string, url.Values, object) {
		return func(_ string, q url.Values, answer object) {
			if _, isList := answer["Resources"]; isList && q.Get("filter") == "" && q.Get("startIndex") != "" {
				change(answer)
			}
		}
	}
	for _, tt := range []struct {
		name, platform string
		break_         func(string, url.Values, object)
		refuse         func(http.ResponseWriter, string) bool
		want           string // in the detail of a request that failed
	}{
		{"a number as a string", "okta", list(func(a object) { a["totalResults"] = fmt.Sprint(a["totalResults"]) }), nil, "totalResults"},
		{"no total", "sap", list(func(a object) { delete(a, "totalResults") }), nil, "totalResults is missing"},
		{"itemsPerPage as asked for", "okta", list(func(a object) { a["itemsPerPage"] = 100 }), nil, "itemsPerPage is 100"},
		{"no itemsPerPage", "sap", list(func(a object) { delete(a, "itemsPerPage") }), nil, "came twice"},
		{"Resources null", "ping", list(func(a object) { a["Resources"] = nil }), nil, "an array is expected"},
		{"another startIndex", "okta", list(func(a object) { a["startIndex"] = 7 }), nil, "startIndex is 7"},
		{"a short page", "okta", list(func(a object) {
			if all := a["Resources"].([]object); len(all) == 100 {
				a["Resources"], a["itemsPerPage"] = all[:50], 50
			}
		}), nil, "has 50 resources"},
		{"somebody twice", "sap", list(func(a object) {
			if all := a["Resources"].([]object); len(all) == 100 {
				a["Resources"] = slices.Concat(all[:99], all[:1])
			}
		}), nil, "came twice"},
		{"a total that moves", "okta", func() func(string, url.Values, object) {
			n := 0
			return list(func(a object) { n++; a["totalResults"] = a["totalResults"].(int) + n })
		}(), nil, "totalResults went from"},
		{"no list schema", "sailpoint", list(func(a object) { a["schemas"] = []string{"x"} }), nil, "ListResponse is expected"},
		{"active as a string", "okta", func(_ string, _ url.Values, a object) {
			if all, isList := a["Resources"].([]object); isList && len(all) > 0 && all[0]["userName"] != nil {
				a["Resources"] = append([]object{person(0, object{"active": "true"})}, all[1:]...)
			}
		}, nil, "can't be read"},
		{"an attribute in no schema", "sailpoint", func(_ string, _ url.Values, a object) {
			if all, isList := a["Resources"].([]object); isList && len(all) > 0 && all[0]["userName"] != nil {
				a["Resources"] = append([]object{person(0, object{"shoeSize": 42})}, all[1:]...)
			}
		}, nil, "shoeSize is in no schema"},
		{"an attribute in no schema of an extension", "sailpoint", func(_ string, _ url.Values, a object) {
			if all, isList := a["Resources"].([]object); isList && len(all) > 0 && all[0]["userName"] != nil {
				a["Resources"] = append([]object{person(0, object{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": object{"department": "x", "desk": "y"}})}, all[1:]...)
			}
		}, nil, "enterprise:2.0:User:desk is in no schema"},
		{"an attribute in no schema of an extension of one's own", "sailpoint", func(_ string, _ url.Values, a object) {
			if all, isList := a["Resources"].([]object); isList && len(all) > 0 && all[0]["userName"] != nil {
				a["Resources"] = append([]object{person(0, object{"urn:acme:hr:1.0": object{"desk": "y"}})}, all[1:]...)
			}
		}, nil, "urn:acme:hr:1.0:desk is in no schema"},
		{"a schema of nonsense", "sailpoint", func(path string, _ url.Values, a object) {
			if path == "/Schemas" {
				a["Resources"] = []any{object{"schemas": []any{}, "id": 7, "attributes": []any{5, object{"name": 6}}}}
			}
		}, nil, "is in no schema"},
		{"schemas without schemas", "ping", func(path string, _ url.Values, a object) {
			if path == "/Schemas" {
				delete(a["Resources"].([]any)[0].(object), "schemas")
			}
		}, nil, "one of its resources has no schemas"},
		{"no resource type by name", "sailpoint", nil, func(w http.ResponseWriter, path string) bool {
			if path == "/ResourceTypes/User" {
				w.Header().Set("Content-Type", "application/scim+json")
				w.WriteHeader(http.StatusNotFound)
			}
			return path == "/ResourceTypes/User"
		}, "it is not there"},
		{"an HTML page", "okta", nil, func(w http.ResponseWriter, path string) bool {
			if path == "/Groups" {
				w.Header().Set("Content-Type", "text/html")
			}
			return path == "/Groups"
		}, "does something stand between"},
		{"a charset", "okta", nil, func(w http.ResponseWriter, path string) bool {
			if path == "/Groups" {
				w.Header().Set("Content-Type", "application/scim+json; charset=utf-8")
			}
			return path == "/Groups"
		}, "charset=utf-8"},
		{"everybody by any filter", "okta", func(_ string, q url.Values, a object) {
			if q.Get("filter") != "" {
				a["totalResults"] = 120
			}
		}, nil, "120 were found, and 0 expected"},
		{"an answer that breaks off", "sap", nil, func(w http.ResponseWriter, path string) bool {
			if path != "/Groups" {
				return false
			}
			w.Header().Set("Content-Type", "application/scim+json")
			w.Write([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":3,"Resources":[{"id":"g1"`))
			panic(http.ErrAbortHandler)
		}, "broke the answer off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(120)
			f.break_, f.refuse = tt.break_, tt.refuse
			r, err := f.run(t, tt.platform, 10)
			if err != nil {
				t.Fatal(err)
			}
			var details []string
			for _, q := range r.Requests {
				if !q.OK {
					details = append(details, q.Detail)
				}
			}
			if r.OK() || !strings.Contains(strings.Join(details, "\n"), tt.want) {
				t.Errorf("requests that failed: %q, want one with %q", details, tt.want)
			}
		})
	}
}

// Where nothing can be asked there is no report, but the reason.
func TestUnreachable(t *testing.T) {
	f := newFake(1)
	f.refuse = func(w http.ResponseWriter, _ string) bool {
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"503","detail":"the directory is not ready"}`))
		return true
	}
	if r, err := f.run(t, "okta", 10); r != nil || err == nil || !strings.Contains(err.Error(), "the directory is not ready") {
		t.Errorf("%+v, %v", r, err)
	}
	p, _ := rehearse.Find("sap")
	f.refuse = func(w http.ResponseWriter, _ string) bool {
		w.Header().Set("Location", "http://elsewhere.example/scim/v2")
		w.WriteHeader(http.StatusPermanentRedirect)
		return true
	}
	if r, err := f.run(t, "okta", 10); r != nil || err == nil || !strings.Contains(err.Error(), `leads to "http://elsewhere.example/scim/v2"`) {
		t.Errorf("a redirect: %+v, %v", r, err)
	}
	server := httptest.NewServer(newFake(1))
	server.Close()
	_, err := rehearse.Run(t.Context(), rehearse.Options{Platform: p, Endpoint: rehearse.Endpoint{URL: server.URL}})
	if err == nil || !strings.Contains(err.Error(), "asking "+server.URL) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f = newFake(300)
	f.break_ = func(_ string, q url.Values, _ object) {
		if q.Get("startIndex") == "101" {
			cancel()
		}
	}
	_, err = rehearse.Run(ctx, rehearse.Options{Platform: p, Endpoint: rehearse.Endpoint{URL: "https://x.example", Transport: rehearse.HandlerTransport(f)}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// However many there are, only so many are named, and all are counted.
func TestLimit(t *testing.T) {
	f := newFake(5)
	for i := range 30 {
		f.users = append(f.users, person(100+i, object{"name": nil, "active": i%3 == 0}, emails("shared@example.com")))
		f.users = append(f.users, person(200+i, emails(fmt.Sprintf("pair%d@example.com", i/2))))
	}
	r, err := f.run(t, "sap", 7)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string][4]int)
	for _, x := range r.Findings {
		counts[x.Rule] = [4]int{x.Count, x.Inactive, len(x.Named), x.Omitted}
	}
	want := map[string][4]int{
		"no-given-name": {30, 20, 7, 23}, "no-family-name": {30, 20, 7, 23}, "same-email": {60, 0, 7, 53},
	}
	if got := counts["same-email"]; got[0] != 60 || got[2] != 7 || got[3] != 53 {
		t.Errorf("same-email: %v", got)
	}
	delete(counts, "same-email")
	delete(want, "same-email")
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
}

func TestText(t *testing.T) {
	f := newFake(3)
	f.users = append(f.users, person(7, object{"name": nil, "displayName": "Bell\x07 and \x1b[31mred", "active": false}))
	r, err := f.run(t, "okta", 1)
	if err != nil {
		t.Fatal(err)
	}
	r.Client = "okta"
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Okta, importing from https://scim.example.com/scim/v2 as client okta\n",
		"  ✓ import of users            4, each once   GET /Users?startIndex=1&count=100\n",
		"\n4 users read, 3 of them active, and 1 group, in ",
		"\nREJECTED: 1 user has no first name, 1 of them inactive\n",
		"    user7@example.com  Bell� and �[31mred    inactive\n",
		`      'name.givenName': 'coalesce(user.givenName, `,
		"\nOkta would not take everybody as they are: 2 faults.\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("without %q:\n%s", want, b.String())
		}
	}
}

func TestFind(t *testing.T) {
	if p, err := rehearse.Find("OKTA"); err != nil || p.Name != "okta" {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := rehearse.Find("entra"); err == nil || !strings.Contains(err.Error(), "okta, ping, sailpoint, sap") {
		t.Errorf("%v", err)
	}
}

// A base URL that Okta does not take.
func TestUnderscore(t *testing.T) {
	p, _ := rehearse.Find("okta")
	r, err := rehearse.Run(t.Context(), rehearse.Options{Platform: p, Endpoint: rehearse.Endpoint{
		URL: "https://scim.example.com/scim_bridge/scim/v2", Transport: rehearse.HandlerTransport(http.StripPrefix("/scim_bridge", newFake(1))),
	}})
	if err != nil || r.OK() || !strings.Contains(r.Requests[0].Detail, "underscore") {
		t.Errorf("%+v, %v", r, err)
	}
}

// Values that the mapping made up are named as such, and nothing is wrong with
// that.
func TestMadeUp(t *testing.T) {
	f := newFake(30)
	p, _ := rehearse.Find("okta")
	opts := rehearse.Options{
		Platform: p, Limit: 3, Endpoint: rehearse.Endpoint{URL: "https://scim.example.com/scim/v2", Transport: rehearse.HandlerTransport(f)},
		Made: func(_ context.Context, id string) ([]string, error) {
			switch {
			case id == "u7":
				return []string{"name.familyName", "name.givenName"}, nil
			case id > "u2":
				return []string{"name.familyName"}, nil
			}
			return nil, nil
		},
	}
	r, err := rehearse.Run(t.Context(), opts)
	if err != nil || !r.OK() {
		t.Fatalf("%+v, %v", r, err)
	}
	var got []string
	for _, x := range r.Findings {
		got = append(got, fmt.Sprintf("%s %s %s %d %d %s %s", x.Rule, x.Effect, x.Attribute, x.Count, len(x.Named), x.Named[0].ID, x.Named[0].Value))
	}
	want := []string{"made-up warning name.familyName 17 3 u3 Family", "made-up warning name.givenName 1 1 u7 Given"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	opts.Made = func(context.Context, string) ([]string, error) { return nil, errors.New("the store is closed") }
	if r, err := rehearse.Run(t.Context(), opts); err != nil || r.OK() {
		t.Errorf("where that can't be known: %+v, %v", r, err)
	}
}

// Where several sources are behind the endpoint, whose each user is stands with
// her.
func TestSourcesAreNamed(t *testing.T) {
	f := newFake(2)
	f.users = append(f.users, person(7, object{"name": nil}), person(8, object{"name": nil}))
	p, _ := rehearse.Find("ping")
	for _, tt := range []struct {
		of   map[string]string
		want string
	}{
		{map[string]string{"u7": "contoso", "u8": "fabrikam"}, "    fabrikam  user8@example.com  User 8"},
		{map[string]string{"u7": "contoso", "u8": "contoso"}, "    user8@example.com  User 8"},
	} {
		r, err := rehearse.Run(t.Context(), rehearse.Options{
			Platform: p, Source: func(id string) string { return tt.of[id] },
			Endpoint: rehearse.Endpoint{URL: "https://scim.example.com/scim/v2", Transport: rehearse.HandlerTransport(f)},
		})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "\n"+tt.want) {
			t.Errorf("without %q: %s", tt.want, b.String())
		}
		if n := r.Findings[0].Named; len(n) != 2 || n[1].Source != tt.of["u8"] {
			t.Errorf("%+v", n)
		}
	}
}
