package scim_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scimbridge/scim"
	"scimbridge/scim/directory"
)

func TestListIsByteExact(t *testing.T) {
	w := newTenant(t, 3, 1)
	version := func(path string) string { return strings.ReplaceAll(w.get(path).Header().Get("ETag"), `"`, `\"`) }
	user := func(i int) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u%[1]d","userName":"u%[1]d@contoso.com","displayName":"User %[1]d",`+
			`"emails":[{"value":"u%[1]d+work@contoso.com","type":"work","primary":true}],"active":true,`+
			`"groups":[{"value":"g0","$ref":"https://scim.example.com/scim/v2/Groups/g0","display":"Group 0","type":"direct"}],`+
			`"meta":{"resourceType":"User","created":"2026-11-24T12:01:00.000Z","lastModified":"2026-11-24T12:01:00.000Z",`+
			`"location":"https://scim.example.com/scim/v2/Users/u%[1]d","version":"%s"}}`, i, version(fmt.Sprintf("/Users/u%d", i)))
	}
	const head = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],`
	for _, tt := range []struct{ name, path, want string }{
		{"everybody", "/Users", head + `"totalResults":3,"itemsPerPage":3,"startIndex":1,"Resources":[` + user(0) + "," + user(1) + "," + user(2) + `]}`},
		{"a page", "/Users?startIndex=2&count=1", head + `"totalResults":3,"itemsPerPage":1,"startIndex":2,"Resources":[` + user(1) + `]}`},
		{"behind the end", "/Users?startIndex=101&count=100", head + `"totalResults":3,"itemsPerPage":0,"startIndex":101,"Resources":[]}`},
		{"the total only", "/Users?count=0", head + `"totalResults":3,"itemsPerPage":0,"startIndex":1,"Resources":[]}`},
		{"nobody", "/Users?filter=userName%20eq%20%22x%22", head + `"totalResults":0,"itemsPerPage":0,"startIndex":1,"Resources":[]}`},
		{"chosen ones", "/Users?filter=id%20eq%20%22u2%22%20or%20id%20eq%20%22u0%22", head + `"totalResults":2,"itemsPerPage":2,"startIndex":1,"Resources":[` + user(0) + "," + user(2) + `]}`},
		{"sorted", "/Users?sortBy=userName&sortOrder=descending&count=2", head + `"totalResults":3,"itemsPerPage":2,"startIndex":1,"Resources":[` + user(2) + "," + user(1) + `]}`},
		{"projected", "/Users?attributes=userName&count=2", head + `"totalResults":3,"itemsPerPage":2,"startIndex":1,"Resources":[` +
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u0","userName":"u0@contoso.com"},` +
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"u1@contoso.com"}]}`},
		{"both types", "/?attributes=displayName&startIndex=3", head + `"totalResults":4,"itemsPerPage":2,"startIndex":3,"Resources":[` +
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u2","displayName":"User 2"},` +
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g0","displayName":"Group 0"}]}`},
		{"both types sorted together", "/?attributes=id&sortBy=displayName&count=2", head + `"totalResults":4,"itemsPerPage":2,"startIndex":1,"Resources":[` +
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g0"},` +
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u0"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := w.get(tt.path)
			if rec.Code != 200 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			if diff := cmp.Diff(tt.want, rec.Body.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			decode(t, rec, new(any))
		})
	}
}

func TestParameters(t *testing.T) {
	w := newTenant(t, 30, 1)
	w.cfg.DefaultPageSize, w.cfg.MaxPageSize = 10, 20
	w.reload()
	for _, tt := range []struct {
		name, query string
		scimType    string // empty: no error
		start       int
		items       int
	}{
		{"nothing", "", "", 1, 10},
		{"only separators", "&&", "", 1, 10},
		{"a start", "startIndex=25", "", 25, 6},
		{"a start of zero", "startIndex=0", "", 1, 10},
		{"a negative start", "startIndex=-5", "", 1, 10},
		{"a huge start", "startIndex=99999999999999999999", "", 2147483647, 0},
		{"a hugely negative start", "startIndex=-99999999999999999999", "", 1, 10},
		{"a count", "count=7", "", 1, 7},
		{"a count of zero", "count=0", "", 1, 0},
		{"a negative count", "count=-1", "", 1, 0},
		{"a count above the maximum", "count=21", "", 1, 20},
		{"a huge count", "count=99999999999999999999", "", 1, 20},
		{"names in other case", "STARTINDEX=3&Count=2", "", 3, 2},
		{"an encoded name", "%63ount=2", "", 1, 2},
		{"unknown parameters", "foo=bar&count=2&foo=baz", "", 1, 2},
		{"a count that is no number", "count=abc", "invalidValue", 0, 0},
		{"a fraction", "count=1.0", "invalidValue", 0, 0},
		{"an exponent", "count=1e1", "invalidValue", 0, 0},
		{"an empty count", "count=", "invalidValue", 0, 0},
		{"a sign alone", "startIndex=-", "invalidValue", 0, 0},
		{"a start that is no number", "startIndex=one", "invalidValue", 0, 0},
		{"count twice", "count=1&count=2", "invalidValue", 0, 0},
		{"filter twice, in two cases", "filter=id%20pr&Filter=id%20pr", "invalidValue", 0, 0},
		{"startIndex and cursor", "startIndex=1&cursor=", "invalidValue", 0, 0},
		{"a raw semicolon", "filter=userName%20eq%20%22x%22;count=3", "invalidSyntax", 0, 0},
		{"a semicolon in an unknown one", "a=1;b=2", "invalidSyntax", 0, 0},
		{"a bad escape", "filter=userName%20eq%20%22x%zz%22", "invalidSyntax", 0, 0},
		{"a cut escape", "filter=userName%2", "invalidSyntax", 0, 0},
		{"a bad escape in a name", "fil%ter=x", "invalidSyntax", 0, 0},
		{"a bad escape in an unknown one", "x=%", "invalidSyntax", 0, 0},
		{"an empty filter", "filter=", "invalidFilter", 0, 0},
		{"a blank filter", "filter=%20", "invalidFilter", 0, 0},
		{"an unknown attribute in a filter", "filter=shoeSize%20eq%201", "invalidFilter", 0, 0},
		{"half a filter", "filter=userName%20eq", "invalidFilter", 0, 0},
		{"an unknown sortBy", "sortBy=shoeSize", "invalidPath", 0, 0},
		{"an unknown sortOrder", "sortBy=userName&sortOrder=random", "invalidValue", 0, 0},
		{"an unknown sortOrder alone", "sortOrder=random", "invalidValue", 0, 0},
		{"both projections", "attributes=id&excludedAttributes=name", "invalidValue", 0, 0},
		{"empty projections", "attributes=&excludedAttributes=", "", 1, 10},
		{"blanks as plus", "filter=userName+eq+%22u1%40contoso.com%22", "", 1, 1},
		{"blanks as %20", "filter=userName%20eq%20%22u1@contoso.com%22", "", 1, 1},
		{"a plus in an address, escaped", "filter=emails.value+eq+%22u1%2Bwork%40contoso.com%22", "", 1, 1},
		{"a plus in an address, raw", "filter=emails.value%20eq%20%22u1+work@contoso.com%22", "", 1, 1},
		{"a plus in an address, raw quotes", "filter=emails.value%20eq%20\"u1+work@contoso.com\"", "", 1, 1},
		{"plus for blank outside of a string, raw inside", "filter=id+pr%20and+emails.value%20eq%20%22u1+work@contoso.com%22", "", 1, 1},
		{"a time with a raw offset", "filter=meta.lastModified%20gt%20%222020-01-01T00:00:00+02:00%22", "", 1, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := w.get("/Users?" + tt.query)
			if tt.scimType != "" {
				if rec.Code != http.StatusBadRequest {
					t.Fatalf("status %d: %.200s", rec.Code, rec.Body)
				}
				if got, _ := fault(t, rec); got != tt.scimType {
					t.Errorf("scimType is %q, want %q", got, tt.scimType)
				}
				return
			}
			l := w.list("/Users?" + tt.query)
			if l.StartIndex != tt.start || len(l.Resources) != tt.items {
				t.Errorf("%d resources from %d, want %d from %d", len(l.Resources), l.StartIndex, tt.items, tt.start)
			}
		})
	}
}

func TestSearch(t *testing.T) {
	w := newTenant(t, 30, 2)
	const schemas = `"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]`
	for _, tt := range []struct {
		name, path, body string
		same             string // the same by GET
		status           int
		scimType         string
	}{
		{"everything", "/.search", `{` + schemas + `}`, "/", 200, ""},
		{"users", "/Users/.search", `{` + schemas + `,"startIndex":3,"count":2}`, "/Users?startIndex=3&count=2", 200, ""},
		{"groups", "/Groups/.search", `{` + schemas + `,"filter":"displayName eq \"Group 1\""}`, "/Groups?filter=displayName%20eq%20%22Group%201%22", 200, ""},
		{"without schemas", "/Users/.search", `{"count":2}`, "/Users?count=2", 200, ""},
		{"names in other case", "/users/.SEARCH/", `{"COUNT":2,"Schemas":["URN:ietf:params:scim:api:messages:2.0:searchrequest"]}`, "/Users?count=2", 200, ""},
		{"an empty object", "/Users/.search", ` {} `, "/Users", 200, ""},
		{"nulls", "/Users/.search", `{"filter":null,"count":null,"cursor":null}`, "/Users", 200, ""},
		{"unknown members", "/Users/.search", `{"domain":"PRIMARY","x":{"y":[1]}}`, "/Users", 200, ""},
		{"all of it", "/Users/.search", `{"attributes":["userName","name.givenName"],"sortBy":"userName","sortOrder":"descending","filter":"id pr","startIndex":2,"count":5}`,
			"/Users?attributes=userName,name.givenName&sortBy=userName&sortOrder=descending&filter=id%20pr&startIndex=2&count=5", 200, ""},
		{"excluded attributes", "/Users/.search", `{"excludedAttributes":["groups","emails"]}`, "/Users?excludedAttributes=groups,emails", 200, ""},
		{"a byte order mark", "/Users/.search", "\ufeff" + `{"count":2}`, "/Users?count=2", 200, ""},
		{"an unknown parameter in the URL", "/Users/.search?x=filter", `{"count":2}`, "/Users?count=2", 200, ""},
		{"a filter in the URL", "/Users/.search?filter=userName%20eq%20%22x%22", `{"count":2}`, "", 400, "invalidSyntax"},
		{"a count in the URL, in other case", "/Groups/.search?COUNT=1", `{}`, "", 400, "invalidSyntax"},
		{"no body", "/Users/.search", ``, "", 400, "invalidSyntax"},
		{"an array", "/Users/.search", `[]`, "", 400, "invalidSyntax"},
		{"cut short", "/Users/.search", `{"count":2`, "", 400, "invalidSyntax"},
		{"something after it", "/Users/.search", `{"count":2}{}`, "", 400, "invalidSyntax"},
		{"not UTF-8", "/Users/.search", "{\"filter\":\"\xff\"}", "", 400, "invalidSyntax"},
		{"another schema", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}`, "", 400, "invalidSyntax"},
		{"a filter twice", "/Users/.search", `{"filter":"id pr","filter":"id eq \"u1\""}`, "", 400, "invalidValue"},
		{"a filter that is an object", "/Users/.search", `{"filter":{}}`, "", 400, "invalidSyntax"},
		{"a count as a string", "/Users/.search", `{"count":"2"}`, "", 400, "invalidValue"},
		{"a fractional count", "/Users/.search", `{"count":2.5}`, "", 400, "invalidValue"},
		{"attributes as a string", "/Users/.search", `{"attributes":"userName"}`, "", 400, "invalidSyntax"},
		{"a bad filter", "/Users/.search", `{"filter":"userName"}`, "", 400, "invalidFilter"},
		{"startIndex and cursor", "/Users/.search", `{"startIndex":1,"cursor":""}`, "", 400, "invalidValue"},
		{"too much", "/Users/.search", `{"filter":"` + strings.Repeat(" ", 64<<10) + `"}`, "", 413, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := w.request("POST", "/scim/v2"+tt.path, tt.body, "Content-Type", "application/scim+json; charset=utf-8")
			if rec.Code != tt.status {
				t.Fatalf("status %d: %s", rec.Code, rec.Body)
			}
			if tt.status != 200 {
				if got, _ := fault(t, rec); got != tt.scimType {
					t.Errorf("scimType is %q, want %q", got, tt.scimType)
				}
				return
			}
			if diff := cmp.Diff(w.get(tt.same).Body.String(), rec.Body.String()); diff != "" {
				t.Errorf("POST differs from GET:\n%s", diff)
			}
		})
	}
}

// RFC 9110 §8.4: what a body is encoded with is not guessed.
func TestEncodedSearchIsRefused(t *testing.T) {
	w := newTenant(t, 3, 0)
	rec := w.request("POST", "/scim/v2/Users/.search", "\x1f\x8b", "Content-Encoding", "gzip")
	if _, detail := fault(t, rec); rec.Code != 415 || rec.Header().Get("Accept-Encoding") != "identity" || !strings.Contains(detail, "gzip") {
		t.Errorf("%d %v %s", rec.Code, rec.Header(), detail)
	}
	if rec := w.request("POST", "/scim/v2/Users/.search", `{"count":1}`, "Content-Encoding", "identity"); rec.Code != 200 {
		t.Errorf("identity: %d %s", rec.Code, rec.Body)
	}
}

func TestFiltersThatOftenGoWrong(t *testing.T) {
	w := newTenant(t, 12, 2)
	for _, tt := range []struct {
		path, filter string
		want         []string
	}{
		{"/Users", `emails.value eq "U3+WORK@contoso.com"`, []string{"u3"}},
		{"/Users", `emails eq "u3+work@contoso.com"`, []string{"u3"}},
		{"/Users", `emails[type eq "work" and value sw "u3+"]`, []string{"u3"}},
		{"/Users", `emails[type eq "work"].value eq "u3+work@contoso.com"`, []string{"u3"}},
		{"/Users", `groups.value eq "g1" and username eq "u3@contoso.com"`, []string{"u3"}},
		{"/Groups", `members.value eq "u4"`, []string{"g0"}},
		{"/Groups", `members[value eq "u5"]`, []string{"g1"}},
		{"/Groups", `DisplayName sw "group"`, []string{"g0", "g1"}},
		{"/Users", `urn:ietf:params:scim:schemas:core:2.0:user:UserName eq "\u0075` + `3@contoso.com"`, []string{"u3"}},
		{"/Users", `title eq null and id eq "u3"`, []string{"u3"}},
		{"/Users", `title ne "x" and id eq "u3"`, []string{"u3"}},
		{"/Users", `schemas eq "urn:ietf:params:scim:schemas:core:2.0:User" and id eq "u3"`, []string{"u3"}},
		{"/Users", `meta.lastModified gt "2026-11-24T12:00:59.999Z" and id eq "u3"`, []string{"u3"}},
		{"/Users", `meta.lastModified gt "2026-11-24T12:01:00Z"`, nil},
		{"/", `meta.resourceType eq "Group"`, []string{"g0", "g1"}},
		{"/", `userName eq "u3@contoso.com" or displayName eq "group 1"`, []string{"u3", "g1"}},
	} {
		l := w.list(tt.path + "?filter=" + url.QueryEscape(tt.filter))
		if diff := cmp.Diff(tt.want, l.ids()); diff != "" {
			t.Errorf("%s %s: %s", tt.path, tt.filter, diff)
		}
	}
}

func TestGetOne(t *testing.T) {
	w := newTenant(t, 3, 1)
	rec := w.get("/Users/u1")
	var got struct {
		Meta struct{ Location, Version string }
	}
	decode(t, rec, &got)
	if h := rec.Header(); h.Get("Content-Location") != got.Meta.Location || h.Get("Location") != got.Meta.Location || h.Get("ETag") != got.Meta.Version ||
		h.Get("Last-Modified") != "Tue, 24 Nov 2026 12:01:00 GMT" {
		t.Errorf("header %v for meta %+v", h, got.Meta)
	}
	for _, tt := range []struct{ path, want string }{
		{"/Users/u1?attributes=userName", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"u1@contoso.com"}`},
		{"/Groups/g0?excludedAttributes=members,meta", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"g0","displayName":"Group 0"}`},
	} {
		if got := w.get(tt.path).Body.String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.path, got, tt.want)
		}
	}
	if got, _ := fault(t, w.get("/Users/u1?attributes=id&excludedAttributes=name")); got != "invalidValue" {
		t.Errorf("both projections: %q", got)
	}
	if got, _ := fault(t, w.get("/Users/u1?x=%zz")); got != "invalidSyntax" {
		t.Errorf("bad query: %q", got)
	}
	if _, detail := fault(t, w.get("/Users/"+strings.Repeat("x", 500)+"%22%3Cb%3E%0A%C3%A9")); len(detail) > 120 {
		t.Errorf("detail repeats too much: %s", detail)
	}
}

// A client sees its sources only, and nothing while one of them is missing.
func TestSources(t *testing.T) {
	w := newTenant(t, 3, 1)
	second := w.open("fabrikam")
	w.library.SetPictures([]*directory.Picture{w.picture, second})
	w.cfg.Clients = []scim.Client{
		{Name: "all", Tokens: sums("secret")},
		{Name: "first", Tokens: sums("first"), Sources: []string{"contoso"}},
		{Name: "second", Tokens: sums("second"), Sources: []string{"fabrikam"}},
		{Name: "both", Tokens: sums("both"), Sources: []string{"fabrikam", "contoso", "contoso"}},
	}
	w.reload()
	as := func(token string) []string { return []string{"Authorization", "Bearer " + token} }

	for _, token := range []string{"second", "both"} {
		if rec := w.get("/Users", as(token)...); rec.Code != http.StatusServiceUnavailable {
			t.Errorf("%s, before the source is read: %d %s", token, rec.Code, rec.Body)
		}
	}
	d := second.Draft()
	d.Put(directory.Record{Type: directory.User, ID: "f1", Active: true, UserName: "f1",
		Body: []byte(`"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"f1","userName":"f1"`)})
	publish(t, second, d, time.Now())
	for _, tt := range []struct {
		token string
		want  []string
	}{
		{"first", []string{"u0", "u1", "u2"}},
		{"second", []string{"f1"}},
		{"both", []string{"u0", "u1", "u2", "f1"}},
		{"secret", []string{"u0", "u1", "u2", "f1"}},
	} {
		if diff := cmp.Diff(tt.want, w.list("/Users", as(tt.token)...).ids()); diff != "" {
			t.Errorf("%s: %s", tt.token, diff)
		}
	}
	if rec := w.get("/Users/u1", as("second")...); rec.Code != http.StatusNotFound {
		t.Errorf("a user of another source: %d", rec.Code)
	}
	if got := w.list("/Users?filter=userName%20sw%20%22u%22", as("second")...).ids(); got != nil {
		t.Errorf("a filter finds users of another source: %v", got)
	}
}

func TestConfigFaults(t *testing.T) {
	w := newTenant(t, 1, 0)
	good := w.cfg
	for name, spoil := range map[string]func(*scim.Config){
		"no base":                 func(c *scim.Config) { c.BaseURL = "" },
		"a base without host":     func(c *scim.Config) { c.BaseURL = "/scim/v2" },
		"a base with slash":       func(c *scim.Config) { c.BaseURL += "/" },
		"a base with query":       func(c *scim.Config) { c.BaseURL += "?x" },
		"no view":                 func(c *scim.Config) { c.View = nil },
		"default above maximum":   func(c *scim.Config) { c.DefaultPageSize, c.MaxPageSize = 10, 5 },
		"maximum below default":   func(c *scim.Config) { c.MaxPageSize = 5 },
		"a negative page size":    func(c *scim.Config) { c.MaxPageSize = -1 },
		"no schemas":              func(c *scim.Config) { c.Schemas = nil },
		"a client without name":   func(c *scim.Config) { c.Clients = []scim.Client{{Tokens: sums("x")}} },
		"a client without secret": func(c *scim.Config) { c.Clients = []scim.Client{{Name: "x"}} },
		"two clients of one name": func(c *scim.Config) { c.Clients = append(c.Clients[:1:1], c.Clients[0]) },
		"a client of no source":   func(c *scim.Config) { c.Clients = []scim.Client{{Name: "x", Tokens: sums("x"), Sources: []string{}}} },
		"a negative rate":         func(c *scim.Config) { c.Clients = []scim.Client{{Name: "x", Tokens: sums("x"), RequestsPerSecond: -1}} },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := scim.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
