package graphtest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

func TestListsArePagedByTop(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed}, 250, 0))
	for _, tc := range []struct {
		query string
		pages int
	}{{"", 3}, {"?$top=100&$select=id", 3}, {"?$top=999", 1}, {"?$top=125", 2}} {
		seen, pages := map[any]bool{}, 0
		for link := "/users" + tc.query; link != ""; pages++ {
			_, body := w.get(link)
			var p page
			mustDecode(t, body, &p)
			for _, o := range p.Value {
				seen[o["id"]] = true
			}
			link = p.Next
		}
		if len(seen) != 250 || pages != tc.pages {
			t.Errorf("%q: %d users on %d pages, want 250 on %d", tc.query, len(seen), pages, tc.pages)
		}
	}
}

func TestObjectsAndRelations(t *testing.T) {
	tenant := graphtest.NewTenant(graphtest.Options{Seed: seed})
	boss := tenant.SetUser(map[string]any{"displayName": "Boss", "userPrincipalName": "boss@x.example"})
	ada := tenant.SetUser(map[string]any{"displayName": "Ada", "userPrincipalName": "ada@x.example", "mail": "ada@x.example", "accountEnabled": true, "surname": "O'Hara"})
	gone := tenant.SetUser(map[string]any{"displayName": "Gone", "userPrincipalName": "gone@x.example"})
	device := tenant.AddObject("device", map[string]any{"displayName": "Laptop"})
	outer := tenant.SetGroup(map[string]any{"displayName": "Outer"})
	inner := tenant.SetGroup(map[string]any{"displayName": "Inner"})
	tenant.SetManager(ada, boss)
	tenant.AddMember(outer, inner, device, gone)
	tenant.AddMember(inner, ada, outer)
	tenant.RemoveUser(gone)
	w := newWorld(t, tenant)
	for _, tc := range []struct{ name, link, want string }{
		{"a user by id", "/users/" + ada + "?$select=displayName,department", `{"@odata.context":"` + w.url + `/v1.0/$metadata#users(displayName,department)/$entity","department":null,"displayName":"Ada","id":"` + ada + `"}`},
		{"a user by name", "/users/ADA@x.example?$select=mail", `{"@odata.context":"` + w.url + `/v1.0/$metadata#users(mail)/$entity","id":"` + ada + `","mail":"ada@x.example"}`},
		{"a collection without values", "/users/" + ada + "?$select=proxyAddresses", `{"@odata.context":"` + w.url + `/v1.0/$metadata#users(proxyAddresses)/$entity","id":"` + ada + `","proxyAddresses":[]}`},
	} {
		_, body := w.get(tc.link)
		var v any
		mustDecode(t, body, &v)
		if got := compact(v); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
	for _, tc := range []struct {
		name, link string
		want       []string
	}{
		{"members", "/groups/" + outer + "/members", []string{device, inner}},
		{"transitive members of a cycle", "/groups/" + outer + "/transitiveMembers", []string{ada, device, inner}},
		{"memberOf", "/users/" + ada + "/memberOf", []string{inner}},
		{"filter by eq", "/users?$filter=surname eq 'O''Hara'", []string{ada}},
		{"filter by and", "/users?$filter=surname eq 'O''Hara' and accountEnabled eq false", nil},
		{"filter by or", "/users?$filter=displayName eq 'boss' or displayName eq 'ada'", []string{boss, ada}},
		{"filter by in", "/users?$filter=displayName in ('boss', 'nobody')", []string{boss}},
		{"filter by both", "/users?$filter=(displayName eq 'boss' or displayName eq 'ada') and not startswith(displayName,'b')&$count=true", []string{ada}},
		{"filter by null", "/users?$filter=mail eq null&$count=true", []string{boss}},
		{"filter by ne", "/users?$filter=mail ne null&$count=true", []string{ada}},
		{"filter by startswith", "/users?$filter=startswith(displayName,'A')", []string{ada}},
		{"deleted users", "/directory/deletedItems/microsoft.graph.user", []string{gone}},
	} {
		var header []string
		if strings.Contains(tc.link, "$count=true") {
			header = []string{"ConsistencyLevel", "eventual"}
		}
		_, body := w.get(tc.link, header...)
		var p page
		mustDecode(t, body, &p)
		var got []string
		for _, o := range p.Value {
			got = append(got, o["id"].(string))
		}
		if !sameSet(got, tc.want) {
			t.Errorf("%s: got %v, want %v (%s)", tc.name, got, tc.want, body)
		}
	}
	for _, tc := range []struct {
		name, link string
		status     int
		code       string
	}{
		{"a deleted user", "/users/" + gone, 404, "Request_ResourceNotFound"},
		{"nobody's manager", "/users/" + boss + "/manager", 404, "Request_ResourceNotFound"},
		{"$top too large", "/users?$top=1000", 400, "Request_BadRequest"},
		{"$count without the header", "/users/$count", 400, "Request_BadRequest"},
		{"ne without the header", "/users?$filter=mail ne null", 400, "Request_UnsupportedQuery"},
		{"not without the header", "/users?$filter=not(displayName eq 'ada')", 400, "Request_UnsupportedQuery"},
		{"null without the header", "/users?$filter=userType eq null", 400, "Request_UnsupportedQuery"},
		{"a property that takes the header", "/users?$filter=companyName eq 'x'", 400, "Request_UnsupportedQuery"},
		{"a prefix that takes the header", "/users?$filter=startswith(jobTitle,'x')", 400, "Request_UnsupportedQuery"},
		{"too many joined by or", "/users?$filter=id eq 'x'" + strings.Repeat(" or id eq 'x'", 15), 400, "Request_UnsupportedQuery"},
		{"a filter cut short", "/users?$filter=displayName eq", 400, "Request_UnsupportedQuery"},
		{"an open parenthesis", "/users?$filter=(displayName eq 'x'", 400, "Request_UnsupportedQuery"},
		{"$expand of what can't be had", "/users?$expand=directReports", 400, "Request_BadRequest"},
		{"a filter of another kind", "/users?$filter=proxyAddresses/any(a:a eq 'x')", 400, "Request_UnsupportedQuery"},
		{"a filter by nothing", "/users?$filter=shoeSize eq 4", 400, "Request_BadRequest"},
		{"a relationship that is not there", "/users/" + ada + "/planets", 400, "BadRequest"},
	} {
		if status, code := w.refused(tc.link); status != tc.status || code != tc.code {
			t.Errorf("%s: %d %s, want %d %s", tc.name, status, code, tc.status, tc.code)
		}
	}
	if _, body := w.get("/users/$count", "ConsistencyLevel", "eventual"); string(body) != "2" {
		t.Errorf("$count: %s", body)
	}
	if _, body := w.get("/directory/deletedItems/microsoft.graph.user"); !strings.Contains(string(body), strings.ReplaceAll(gone, "-", "")+"gone@x.example") {
		t.Errorf("a deleted user's sign-in name has no id before it: %s", body)
	}
}

func sameSet(a, b []string) bool {
	m := map[string]int{}
	for _, s := range a {
		m[s]++
	}
	for _, s := range b {
		m[s]--
	}
	for _, n := range m {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestExpandGivesTwentyMembersAtMost(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed}, 100, 1))
	_, body := w.get("/groups?$expand=members&$select=displayName")
	var p page
	mustDecode(t, body, &p)
	if n := len(p.Value[0]["members"].([]any)); n != 20 {
		t.Errorf("%d members", n)
	}
}

func TestPermissionsAreAskedByCollection(t *testing.T) {
	for _, tc := range []struct {
		role string
		ok   []string
	}{
		{"User.Read.All", []string{"users"}},
		{"GroupMember.Read.All", []string{"groups"}},
		{"Group.Read.All", []string{"groups"}},
		{"Organization.Read.All", []string{"organization"}},
		{"Application.Read.All", []string{"servicePrincipals"}},
		{"Directory.Read.All", []string{"users", "groups", "organization", "servicePrincipals"}},
	} {
		w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed}, 5, 2), tc.role)
		for _, collection := range []string{"users", "groups", "organization", "servicePrincipals"} {
			res, _ := w.get("/" + collection)
			want := strings.Contains(strings.Join(tc.ok, " "), collection)
			if (res.StatusCode == 200) != want || !want && res.StatusCode != 403 {
				t.Errorf("%s on %s: %d", tc.role, collection, res.StatusCode)
			}
		}
	}
}

func TestMembersThatMayNotBeReadComeWithTypeAndIDOnly(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed}, 30, 1), "GroupMember.Read.All")
	var id string
	for g := range w.tenant.Groups() {
		id = g.ID
	}
	_, body := w.get("/groups/" + id + "/members")
	var p page
	mustDecode(t, body, &p)
	if got := len(p.Value[0]); got != 2 {
		t.Errorf("got %v", p.Value[0])
	}
}

func TestOrganizationAndGrantsAreShown(t *testing.T) {
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed}))
	_, body := w.get("/organization")
	var p page
	mustDecode(t, body, &p)
	if o := p.Value[0]; o["id"] != w.tenant.ID() || len(o["verifiedDomains"].([]any)) != 2 {
		t.Errorf("organization: %s", body)
	}
	_, body = w.get("/servicePrincipals?$filter=appId eq '" + w.app + "'&$select=id,appId")
	mustDecode(t, body, &p)
	if len(p.Value) != 1 || p.Value[0]["appId"] != w.app {
		t.Fatalf("servicePrincipals: %s", body)
	}
	_, body = w.get("/servicePrincipals/" + p.Value[0]["id"].(string) + "/appRoleAssignments")
	mustDecode(t, body, &p)
	if len(p.Value) != len(everything) || p.Value[0]["appRoleId"] != "df021288-bdef-4463-88db-98f22de89214" {
		t.Errorf("appRoleAssignments: %s", body)
	}
}

func TestTokensAreChecked(t *testing.T) {
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed}))
	other := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed + 1}))
	good := w.token
	for name, token := range map[string]string{"none": "", "garbage": "abc", "another tenant's": other.token,
		"a changed one": good[:len(good)-4] + "AAAA"} {
		w.token = token
		if status, code := w.refused("/users"); status != 401 || code != "InvalidAuthenticationToken" {
			t.Errorf("%s: %d %s", name, status, code)
		}
	}
	w.token = good
	w.tenant.Revoke(w.app)
	if status, code := w.refused("/users"); status != 403 || code != "Authorization_IdentityNotFound" {
		t.Errorf("consent withdrawn: %d %s", status, code)
	}
}

func TestAnswersCarryGraphsHeaders(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed, Calm: true}, 10, 0))
	res, body := w.get("/users", "client-request-id", "abc", "Accept-Encoding", "gzip")
	for name, want := range map[string]string{"client-request-id": "abc", "x-ms-resource-unit": "2", "Content-Encoding": "gzip", "OData-Version": "4.0"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(res.Header.Get("request-id")) != 36 {
		t.Errorf("request-id: %q", res.Header.Get("request-id"))
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(z); err != nil {
		t.Error(err)
	}
	if res, _ := w.get("/users", "Accept-Encoding", "identity"); res.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for a client that does not want it")
	}
}

func TestThrottlingByTheBucket(t *testing.T) {
	now := time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)
	w := newWorld(t, graphtest.NewTenant(graphtest.Options{Seed: seed, Throttle: true, ResourceUnits: 20, Now: func() time.Time { return now }}))
	for i := range 10 {
		if res, body := w.get("/users"); res.StatusCode != 200 {
			t.Fatalf("request %d: %d %s", i, res.StatusCode, body)
		} else if got := res.Header.Get("x-ms-throttle-limit-percentage") != ""; got != (i >= 8) {
			t.Errorf("request %d: percentage told: %v", i, got)
		}
	}
	res, _ := w.get("/users")
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "1.000" || !strings.HasPrefix(res.Header.Get("x-ms-throttle-scope"), "Tenant_Application/ReadWrite/") {
		t.Errorf("over the limit: %d %v", res.StatusCode, res.Header)
	}
	now = now.Add(10 * time.Second)
	if res, _ := w.get("/users"); res.StatusCode != 200 {
		t.Errorf("after the wait: %d", res.StatusCode)
	}
}

func TestBatch(t *testing.T) {
	w := newWorld(t, graphtest.NewCompany(graphtest.Options{Seed: seed}, 10, 2))
	send := func(body string) (int, map[string]int) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/v1.0/$batch", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.token)
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Responses []struct {
				ID     string
				Status int
				Body   any
			}
		}
		mustDecode(t, raw, &answer)
		got := map[string]int{}
		for _, a := range answer.Responses {
			got[a.ID] = a.Status
		}
		return res.StatusCode, got
	}
	w.tenant.Inject(graphtest.Throttled(graphtest.RetrySeconds, time.Second).On("groups"))
	status, got := send(`{"requests":[{"id":"1","method":"GET","url":"/users?$top=2"},{"id":"2","method":"GET","url":"/groups"},
		{"id":"3","method":"GET","url":"/users/nobody"},{"id":"4","method":"GET","url":"/users/$count","headers":{"ConsistencyLevel":"eventual"}}]}`)
	if want := map[string]int{"1": 200, "2": 429, "3": 404, "4": 200}; status != 200 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %d %v, want %v", status, got, want)
	}
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprintf(`{"id":"%d","method":"GET","url":"/users"}`, i))
	}
	for name, body := range map[string]string{"21 requests": strings.Join(many, ","), "an id twice": many[0] + "," + many[0], "no url": `{"id":"1","method":"GET"}`} {
		if status, _ := send(`{"requests":[` + body + `]}`); status != 400 {
			t.Errorf("%s: %d", name, status)
		}
	}
}
