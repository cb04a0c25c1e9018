package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"scimbridge/sync/graph/graphtest"
)

// limited is a client that sees some of the sources.
type limited struct {
	b     *bridge
	token string
}

const limitedClients = `    - {name: fab, token_file: fab.token, sources: [fabrikam]}
    - {name: two, token_file: two.token, sources: [contoso, northwind]}
`

// newTenantsBridge prepares a bridge with three clients: importer sees all, fab
// one, and two two sources.
func newTenantsBridge(t *testing.T) (b *bridge, all, fab, two limited) {
	b = newBridge(t)
	all, fab, two = limited{b, bridgeToken}, limited{b, "the-token-of-the-client-fab"}, limited{b, "the-token-of-the-client-two"}
	b.write("fab.token", fab.token)
	b.write("two.token", two.token)
	return b, all, fab, two
}

// ask makes a request; a body makes it a POST.
func (c limited) ask(path, body string) (int, http.Header, string) {
	c.b.t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(c.b.t.Context(), method, c.b.scim+path, strings.NewReader(body))
	if err != nil {
		c.b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.b.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// A tenantsPage is a page of a list.
type tenantsPage struct {
	TotalResults, ItemsPerPage int
	NextCursor                 string
	Resources                  []struct {
		ID, UserName string
		Members      []struct{ Value string }
	}
}

func (c limited) page(path, body string) (p tenantsPage) {
	c.b.t.Helper()
	status, _, text := c.ask(path, body)
	if status != http.StatusOK {
		c.b.t.Fatalf("%s: %d %s", path, status, text)
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		c.b.t.Fatal(err)
	}
	return p
}

// total asks how many there are, in each way there is.
func (c limited) total(kind, filter string) int {
	c.b.t.Helper()
	query, search := "", map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}, "count": 0}
	if filter != "" {
		query, search["filter"] = "&filter="+url.QueryEscape(filter), filter
	}
	body, _ := json.Marshal(search)
	got := c.page("/"+kind+"?count=0"+query, "").TotalResults
	if other := c.page("/"+kind+"/.search", string(body)).TotalResults; other != got {
		c.b.t.Errorf("%s with %q: the list has %d, .search %d", kind, filter, got, other)
	}
	return got
}

// ids walks a list by startIndex, by cursor and by .search, which all have to
// give the same.
func (c limited) ids(kind string) map[string]bool {
	c.b.t.Helper()
	take := func(into map[string]bool, p tenantsPage) {
		for _, r := range p.Resources {
			if into[r.ID] {
				c.b.t.Errorf("%s came twice", r.ID)
			}
			into[r.ID] = true
		}
	}
	byIndex, byCursor, bySearch := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for start, total := 1, 1; start <= total; start += 7 {
		p := c.page(fmt.Sprintf("/%s?startIndex=%d&count=7", kind, start), "")
		take(byIndex, p)
		take(bySearch, c.page("/"+kind+"/.search", fmt.Sprintf(
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"startIndex":%d,"count":7}`, start)))
		total = p.TotalResults
	}
	for cursor, more := "", true; more; more = cursor != "" {
		p := c.page("/"+kind+"?count=9&cursor="+url.QueryEscape(cursor), "")
		take(byCursor, p)
		cursor = p.NextCursor
	}
	if fmt.Sprint(byIndex) != fmt.Sprint(byCursor) || fmt.Sprint(byIndex) != fmt.Sprint(bySearch) {
		c.b.t.Errorf("%s by index, by cursor and by search differ: %d, %d, %d", kind, len(byIndex), len(byCursor), len(bySearch))
	}
	return byIndex
}

// Three tenants behind one endpoint: what each client sees, and that nothing
// happens to one tenant's people for another's sake.
func TestThreeTenants(t *testing.T) {
	contoso := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 41, Domain: "contoso.example"}, 40, 6))
	fabrikam := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 42, Domain: "fabrikam.example"}, 30, 4))
	northwind := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 43, Domain: "northwind.example"}, 20, 3))
	b, all, fab, two := newTenantsBridge(t)
	sources := []string{contoso.source("contoso", "interval: 1h"), fabrikam.source("fabrikam", "interval: 1h"), northwind.source("northwind", "interval: 1h")}
	northwind.Inject(graphtest.Denied().Forever())
	b.write("config.yaml", config(limitedClients, sources...))
	b.start()

	t.Run("of a new state nobody is served who is not whole", func(t *testing.T) {
		for range 2 {
			b.eventually("fab is served", func() error {
				if status, _, text := fab.ask("/Users?count=0", ""); status != http.StatusOK {
					return fmt.Errorf("%d %s", status, text)
				}
				return nil
			})
			if got := fab.total("Users", ""); got != fabrikam.UserCount() {
				t.Errorf("fab sees %d users, want %d", got, fabrikam.UserCount())
			}
			b.eventually("contoso is imported", func() error {
				if _, stdout, _ := b.runDaemon("status"); !strings.Contains(stdout, "contoso    up to date") {
					return fmt.Errorf("%s", stdout)
				}
				return nil
			})
			for name, c := range map[string]limited{"importer": all, "two": two} {
				for _, path := range []string{"/Users", "/Groups", "/Users/" + someone(contoso)} {
					if status, header, text := c.ask(path, ""); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(text, "northwind") {
						t.Errorf("%s asks for %s: %d %s", name, path, status, text)
					}
				}
			}
			b.kill() // and over a restart
			b.start()
		}
		northwind.ClearFaults()
		if got := b.sync("northwind"); got != "published" && got != "unchanged" { // by the round after the restart
			t.Fatalf("northwind's round: %s", got)
		}
		b.ready()
	})
	users := map[string]int{"contoso": contoso.UserCount(), "fabrikam": fabrikam.UserCount(), "northwind": northwind.UserCount()}
	t.Run("what each client sees", func(t *testing.T) {
		for name, c := range map[string]struct {
			client  limited
			tenants []*tenantServer
		}{
			"importer": {all, []*tenantServer{contoso, fabrikam, northwind}},
			"fab":      {fab, []*tenantServer{fabrikam}},
			"two":      {two, []*tenantServer{contoso, northwind}},
		} {
			checkSight(t, name, c.client, c.tenants, []*tenantServer{contoso, fabrikam, northwind})
		}
	})
	t.Run("a cursor is its client's", func(t *testing.T) {
		cursor := all.page("/Users?count=5&cursor", "").NextCursor
		if cursor == "" {
			t.Fatal("no cursor")
		}
		if status, _, text := fab.ask("/Users?count=5&cursor="+url.QueryEscape(cursor), ""); status != http.StatusBadRequest || !strings.Contains(text, "invalidCursor") {
			t.Errorf("another's cursor: %d %s", status, text)
		}
	})
	t.Run("two people with one userName are both served, and it is told", func(t *testing.T) {
		mine := contoso.SetUser(map[string]any{"displayName": "Twin", "userPrincipalName": "twin@contoso.example", "accountEnabled": true})
		other := fabrikam.SetUser(map[string]any{"displayName": "Twin", "userPrincipalName": "Twin@contoso.example", "accountEnabled": true})
		for _, source := range []string{"contoso", "fabrikam"} {
			if got := b.sync(source); got != "published" {
				t.Fatalf("%s's round: %s", source, got)
			}
			users[source]++
		}
		for name, c := range map[string]struct {
			client limited
			want   int
		}{"importer": {all, 2}, "fab": {fab, 1}, "two": {two, 1}} {
			if got := c.client.total("Users", `userName eq "TWIN@contoso.example"`); got != c.want {
				t.Errorf("%s finds %d of the name, want %d", name, got, c.want)
			}
		}
		b.expectLog(`userNames have more than one owner.*source=fabrikam.*` + other)
		_, stdout, _ := b.runDaemon("status")
		if !strings.Contains(stdout, "1 userName with more than one owner") || !strings.Contains(stdout, mine+" of contoso "+other+" of fabrikam") {
			t.Errorf("status says:\n%s", stdout)
		}
		if _, metrics := b.get(b.admin+"/metrics", nil); !strings.Contains(metrics, "\nscim_bridge_duplicate_user_names 1\n") {
			t.Error("it is not in the metrics")
		}
		if _, page := b.get(b.admin+"/", nil); !strings.Contains(page, "1 userName has more than one owner") || !strings.Contains(page, other) {
			t.Errorf("it is not on the page")
		}
	})
	t.Run("where the rule says so the round that brings another waits, and nobody else", func(t *testing.T) {
		b.write("config.yaml", config(limitedClients+"  duplicate_user_names: hold\n", sources...))
		b.expectLog(`configuration is in force.*scim.duplicate_user_names: report -> hold`)
		third := northwind.SetUser(map[string]any{"displayName": "Twin", "userPrincipalName": "twin@contoso.example", "accountEnabled": true})
		if got := b.sync("northwind"); got != "held" {
			t.Fatalf("northwind's round: %s", got)
		}
		contoso.SetUser(map[string]any{"displayName": "Joiner", "userPrincipalName": "joiner@contoso.example", "accountEnabled": true})
		users["contoso"]++
		for source, want := range map[string]string{"contoso": "published", "fabrikam": "unchanged"} {
			if got := b.sync(source); got != want {
				t.Errorf("%s's round: %s", source, got)
			}
		}
		if status, _, _ := all.ask("/Users/"+third, ""); status != http.StatusNotFound {
			t.Errorf("the third is answered %d while she is held", status)
		}
		if _, stdout, _ := b.runDaemon("held", "--source", "northwind"); !strings.Contains(stdout, "its userName is also that of ") {
			t.Errorf("held says:\n%s", stdout)
		}
		if status, stdout, stderr := b.runDaemon("approve", "--source", "northwind"); status != 0 {
			t.Errorf("approve: %s%s", stdout, stderr)
		}
		users["northwind"]++
		if got := all.total("Users", `userName eq "twin@contoso.example"`); got != 3 {
			t.Errorf("%d of the name are served, want 3", got)
		}
		b.write("config.yaml", config(limitedClients, sources...))
		b.expectLog(`configuration is in force.*scim.duplicate_user_names: hold -> report`)
	})
	t.Run("each resource can say where it comes from", func(t *testing.T) {
		const urn = "urn:scim-bridge:params:scim:schemas:extension:source:2.0:"
		by := func(kind, source string) string { return fmt.Sprintf("%s%s:source eq %q", urn, kind, source) }
		if status, _, text := all.ask("/Users?filter="+url.QueryEscape(by("User", "contoso")), ""); status != http.StatusBadRequest {
			t.Errorf("where it is off it can be asked for: %d %s", status, text)
		}
		b.write("config.yaml", config(limitedClients+"  source_attribute: true\n", sources...))
		b.expectLog(`configuration is in force.*scim.source_attribute: false -> true`)
		for source, n := range users {
			b.eventually("everybody of "+source+" says so", func() error {
				if got := all.page("/Users?count=0&filter="+url.QueryEscape(by("User", source)), "").TotalResults; got != n {
					return fmt.Errorf("%d of %d", got, n)
				}
				return nil
			})
		}
		if got, want := all.total("Groups", by("Group", "northwind")), northwind.GroupCount(); got != want {
			t.Errorf("%d groups say that they are northwind's, want %d", got, want)
		}
		if got := fab.total("Users", by("User", "contoso")); got != 0 {
			t.Errorf("fab finds %d of another source", got)
		}
		if got := fab.total("Users", by("User", "fabrikam")); got != users["fabrikam"] {
			t.Errorf("fab finds %d of its own", got)
		}
		if status, _, text := all.ask("/Schemas/"+urn+"User", ""); status != http.StatusOK || !strings.Contains(text, `"canonicalValues":["contoso","fabrikam","northwind"]`) {
			t.Errorf("the schema is answered %d %s", status, text)
		}
		if _, _, text := all.ask("/Users/"+someone(northwind), ""); !strings.Contains(text, `"`+urn+`User":{"source":"northwind"}`) || !strings.Contains(text, `"`+urn+`User"]`) {
			t.Errorf("somebody of northwind is served as %s", text)
		}
		b.write("config.yaml", config(limitedClients, sources...))
		b.expectLog(`configuration is in force.*scim.source_attribute: true -> false`)
	})
	t.Run("one that is added and fails leaves the others served, over a restart too", func(t *testing.T) {
		tailspin := startTenant(t, graphtest.NewCompany(graphtest.Options{Seed: 44, Domain: "tailspin.example"}, 10, 2))
		tailspin.Inject(graphtest.Status(500, true).Forever())
		b.write("config.yaml", config(limitedClients, append(sources, tailspin.source("tailspin", "interval: 1h"))...))
		b.expectLog(`configuration is in force.*tailspin`)
		for range 2 {
			if got := all.total("Users", ""); got != users["contoso"]+users["fabrikam"]+users["northwind"] {
				t.Errorf("%d users are served", got)
			}
			if status, _ := b.get(b.admin+"/readyz", nil); status != http.StatusServiceUnavailable {
				t.Errorf("readyz is %d while a source has not been imported", status)
			}
			b.kill()
			b.start()
		}
		b.write("config.yaml", config(limitedClients, sources...))
		b.ready()
	})
}

func someone(ts *tenantServer) string {
	for u := range ts.Users() {
		return u.ID
	}
	return ""
}

// checkSight checks that a client sees exactly the given tenants' people.
func checkSight(t *testing.T, name string, c limited, seen, every []*tenantServer) {
	t.Helper()
	want, wantGroups := map[string]bool{}, map[string]bool{}
	for _, ts := range seen {
		for u := range ts.Users() {
			want[u.ID] = true
		}
		for g := range ts.Groups() {
			wantGroups[g.ID] = true
		}
	}
	if got := c.ids("Users"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s lists %d users, want %d", name, len(got), len(want))
	}
	if got := c.ids("Groups"); fmt.Sprint(got) != fmt.Sprint(wantGroups) {
		t.Errorf("%s lists %d groups, want %d", name, len(got), len(wantGroups))
	}
	if u, g := c.total("Users", ""), c.total("Groups", ""); u != len(want) || g != len(wantGroups) {
		t.Errorf("%s counts %d users and %d groups, want %d and %d", name, u, g, len(want), len(wantGroups))
	}
	for _, g := range c.page("/Groups?count=100", "").Resources {
		for _, m := range g.Members {
			if !want[m.Value] && !wantGroups[m.Value] {
				t.Errorf("%s sees member %s of %s, who is another tenant's", name, m.Value, g.ID)
			}
		}
	}
	for _, ts := range every {
		id, mine := someone(ts), want[someone(ts)]
		u, _ := ts.User(id)
		found, status := 0, http.StatusNotFound
		if mine {
			found, status = 1, http.StatusOK
		}
		for _, filter := range []string{fmt.Sprintf("userName eq %q", u.Text("userPrincipalName")), fmt.Sprintf("id eq %q", id), fmt.Sprintf("not (id ne %q)", id)} {
			if got := c.total("Users", filter); got != found {
				t.Errorf("%s finds %d by %s, want %d", name, got, filter, found)
			}
		}
		if got, _, text := c.ask("/Users/"+id, ""); got != status {
			t.Errorf("%s gets %d for %s, want %d: %s", name, got, id, status, text)
		}
		if got := c.page("/?count=100&filter="+url.QueryEscape(fmt.Sprintf("id eq %q", id)), "").TotalResults; got != found {
			t.Errorf("%s finds %d at the root, want %d", name, got, found)
		}
	}
}
