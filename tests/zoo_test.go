package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scimbridge/sync/graph/graphtest"
)

// smallCompany is a tenant that is quickly read.
func smallCompany(seed uint64) *graphtest.Tenant {
	return graphtest.NewCompany(graphtest.Options{Seed: seed}, 230, 24)
}

// An importer is a platform's way to read, re-implemented: which requests it
// makes, with which headers, and when it believes to have everything.
type importer struct {
	t      *testing.T
	b      *bridge
	header http.Header
	seen   map[string]int // id -> how often it came
}

// The list as importers read it: numbers have to be numbers.
type listResponse struct {
	Schemas      []string
	TotalResults int
	ItemsPerPage int
	StartIndex   int
	NextCursor   string
	Resources    []json.RawMessage
}

// ask makes a request and decodes the answer.
func (c *importer) ask(method, path string, body []byte, into any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.b.scim+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bridgeToken)
	for name, values := range c.header {
		req.Header[name] = values
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s: %s %v %s", method, path, res.Status, err, text)
	}
	if got := res.Header.Get("Content-Type"); got != "application/scim+json" {
		c.t.Errorf("%s %s: Content-Type %q", method, path, got)
	}
	if err := json.Unmarshal(text, into); err != nil {
		c.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}

func (c *importer) list(path string) *listResponse {
	c.t.Helper()
	var page listResponse
	c.ask(http.MethodGet, path, nil, &page)
	c.take(&page)
	return &page
}

// take counts the resources of a page.
func (c *importer) take(page *listResponse) {
	c.t.Helper()
	if page.Resources == nil || page.ItemsPerPage != len(page.Resources) {
		c.t.Errorf("a page says itemsPerPage %d and has %d resources (null: %t)", page.ItemsPerPage, len(page.Resources), page.Resources == nil)
	}
	for _, raw := range page.Resources {
		var r struct {
			ID      string
			Schemas []string
		}
		if err := json.Unmarshal(raw, &r); err != nil || r.ID == "" || len(r.Schemas) == 0 {
			c.t.Errorf("a resource can't be taken: %v %s", err, raw)
		}
		c.seen[r.ID]++
	}
}

// The zoo: how each platform walks a list to its end.
var zoo = map[string]struct {
	header http.Header
	prove  func(c *importer)                  // what it asks before
	walk   func(c *importer, endpoint string) // the import of one type
}{
	"Okta": {
		header: http.Header{"User-Agent": {"Okta SCIM Client 1.0.0"}, "Accept": {"application/scim+json"}, "Accept-Charset": {"utf-8"},
			"Content-Type": {"application/scim+json; charset=utf-8"}},
		prove: func(c *importer) {
			var page listResponse
			c.ask(http.MethodGet, "/Users?startIndex=1&count=2", nil, &page)
			if len(page.Resources) != 2 {
				c.t.Errorf("the test of the credentials got %d users", len(page.Resources))
			}
		},
		walk: func(c *importer, endpoint string) {
			for start, total := 1, 1; start <= total; start += 100 {
				total = c.list(fmt.Sprintf("%s?startIndex=%d&count=100", endpoint, start)).TotalResults
			}
		},
	},
	"SailPoint": {
		header: http.Header{"Accept": {"application/scim+json"}, "Content-Type": {"application/scim+json"}},
		prove:  func(c *importer) { c.discover("/ResourceTypes/User", "/ResourceTypes/Group") },
		walk: func(c *importer, endpoint string) {
			for start, total := 1, 1; start <= total; {
				page := c.list(fmt.Sprintf("%s?startIndex=%d&count=50", endpoint, start))
				total = page.TotalResults
				start += len(page.Resources)
			}
		},
	},
	"SAP": {
		walk: func(c *importer, endpoint string) {
			for start, total := 1, 1; start <= total; {
				page := c.list(fmt.Sprintf("%s?startIndex=%d&count=100", endpoint, start))
				total = page.TotalResults
				start += page.ItemsPerPage
			}
		},
	},
	"ConductorOne": {
		header: http.Header{"Accept": {"application/json"}},
		walk: func(c *importer, endpoint string) {
			for read, total := 0, 1; read < total; {
				page := c.list(fmt.Sprintf("%s?count=100&startIndex=%d", endpoint, read+1))
				read, total = read+page.ItemsPerPage, page.TotalResults
			}
		},
	},
	"Syncope, which stops at a short page": {
		prove: func(c *importer) {
			var page listResponse
			c.ask(http.MethodGet, "/Users?startIndex=1&count=1&attributes=userName", nil, &page)
		},
		walk: func(c *importer, endpoint string) {
			const count = 40
			for start := 1; ; start += count {
				if page := c.list(fmt.Sprintf("%s?startIndex=%d&count=%d", endpoint, start, count)); len(page.Resources) < count {
					return
				}
			}
		},
	},
	"Syncope, which reads one answer": {
		walk: func(c *importer, endpoint string) { c.list(endpoint) },
	},
	"midPoint, which stops at an empty page": {
		header: http.Header{"Accept": {"application/scim+json, application/json"}},
		prove:  func(c *importer) { c.discover() },
		walk: func(c *importer, endpoint string) {
			for start := 1; ; start += 100 {
				if len(c.list(fmt.Sprintf("%s?count=100&startIndex=%d", endpoint, start)).Resources) == 0 {
					return
				}
			}
		},
	},
	"One Identity, by discovery and .search": {
		header: http.Header{"Content-Type": {"application/scim+json"}},
		prove:  func(c *importer) { c.discover() },
		walk: func(c *importer, endpoint string) {
			for start, total := 1, 1; start <= total; {
				var page listResponse
				c.ask(http.MethodPost, endpoint+"/.search", fmt.Appendf(nil,
					`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"startIndex":%d,"count":60}`, start), &page)
				c.take(&page)
				total = page.TotalResults
				start += len(page.Resources)
			}
		},
	},
	"Oracle": {
		prove: func(c *importer) {
			var page listResponse
			c.ask(http.MethodGet, "/Users?count=1", nil, &page)
		},
		walk: func(c *importer, endpoint string) {
			for start, total := 1, 1; start <= total; start += 200 {
				total = c.list(fmt.Sprintf("%s?startIndex=%d&count=200", endpoint, start)).TotalResults
			}
		},
	},
	"a client of RFC 9865": {
		walk: func(c *importer, endpoint string) {
			cursor := ""
			for {
				page := c.list(endpoint + "?count=70&cursor=" + url.QueryEscape(cursor))
				if cursor = page.NextCursor; cursor == "" {
					return
				}
			}
		},
	},
}

// discover reads the discovery documents as strict clients do.
func (c *importer) discover(more ...string) {
	c.t.Helper()
	for _, path := range append([]string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"}, more...) {
		var doc struct {
			Schemas   []string
			Resources []struct {
				ID, Name string
				Schemas  []string
			}
		}
		c.ask(http.MethodGet, path, nil, &doc)
		if len(doc.Schemas) == 0 {
			c.t.Errorf("%s has no schemas", path)
		}
		for _, r := range doc.Resources {
			if len(r.Schemas) == 0 || path == "/ResourceTypes" && r.ID != r.Name {
				c.t.Errorf("%s has %+v", path, r)
			}
		}
	}
}

// Every importer ends with exactly the tenant's people and groups: in a quiet
// directory, and while rounds change it under the import.
func TestClientZoo(t *testing.T) {
	tenant := startTenant(t, smallCompany(51))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	everybody, everything := ids(tenant.Users()), ids(tenant.Groups())
	for name, z := range zoo {
		t.Run(name, func(t *testing.T) {
			c := &importer{t: t, b: b, header: z.header}
			if z.prove != nil {
				z.prove(c)
			}
			for endpoint, want := range map[string][]string{"/Users": everybody, "/Groups": everything} {
				c.seen = make(map[string]int)
				z.walk(c, endpoint)
				c.expect(endpoint, want, nil)
			}
		})
	}
	t.Run("while rounds change the directory", func(t *testing.T) {
		for name, z := range zoo {
			t.Run(name, func(t *testing.T) {
				before := ids(tenant.Users())
				var wait sync.WaitGroup
				done := make(chan struct{})
				wait.Go(func() { restless(b, tenant, done) })
				c := &importer{t: t, b: b, header: z.header, seen: make(map[string]int)}
				z.walk(c, "/Users")
				close(done)
				wait.Wait()
				c.expect("/Users", before, ids(tenant.Users()))
			})
		}
	})
}

func ids(objects func(func(graphtest.Object) bool)) []string {
	var all []string
	for o := range objects {
		all = append(all, o.ID)
	}
	return all
}

// restless changes the tenant, and has rounds done, until done is closed:
// people come, change their titles, groups and names.
func restless(b *bridge, tenant *tenantServer, done <-chan struct{}) {
	users, groups := ids(tenant.Users()), ids(tenant.Groups())
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
		}
		tenant.UpdateUser(users[n*7%len(users)], map[string]any{"jobTitle": fmt.Sprint("Title ", n)})
		tenant.AddMember(groups[n%len(groups)], users[n*13%len(users)])
		name := fmt.Sprintf("hire%d-%d@%s", n, time.Now().UnixNano(), tenant.Domain())
		tenant.SetUser(map[string]any{"displayName": "Hired", "userPrincipalName": name, "accountEnabled": true})
		b.sync("contoso")
	}
}

// expect checks that everybody of want came once, and nobody else but perhaps
// those of maybe.
func (c *importer) expect(endpoint string, want, maybe []string) {
	c.t.Helper()
	for _, id := range want {
		if c.seen[id] != 1 {
			c.t.Errorf("%s/%s came %d times", endpoint, id, c.seen[id])
		}
		delete(c.seen, id)
	}
	for id, n := range c.seen {
		if n != 1 || !slices.Contains(maybe, id) {
			c.t.Errorf("%s/%s came %d times, and is none of the tenant's", endpoint, id, n)
		}
	}
}

// Incremental imports by the literal requests of the platforms see every change
// since the last, deactivations included, and nothing else.
func TestIncrementalImports(t *testing.T) {
	tenant := startTenant(t, smallCompany(52))
	b := newBridge(t)
	b.configure(tenant.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	users := ids(tenant.Users())
	var first struct {
		Meta struct{ LastModified time.Time }
	}
	b.scimGet("/Users/"+users[0], &first)
	last := first.Meta.LastModified

	var member string
	for g := range tenant.Groups() {
		for _, m := range tenant.Members(g.ID) {
			if m.Type == "user" && member == "" {
				member = m.ID
				tenant.RemoveMember(g.ID, m.ID)
			}
		}
	}
	changed, gone := users[3], users[5]
	tenant.UpdateUser(changed, map[string]any{"jobTitle": "Changed"})
	tenant.RemoveUser(gone)
	if got := b.sync("contoso"); got != "published" {
		t.Fatalf("the round: %s", got)
	}
	// One millisecond after the first import; platforms send fewer digits.
	since := last.Add(time.Millisecond).UTC()
	for name, filter := range map[string]string{
		"Okta agent":        `meta.lastModified gt "` + since.Format("2006-01-02T15:04:05.000Z") + `"`,
		"Okta, with offset": `meta.lastModified gt "` + since.In(time.FixedZone("", 2*3600)).Format("2006-01-02T15:04:05.000-07:00") + `"`,
		"SAP":               `meta.lastModified gt "` + since.Format("2006-01-02T15:04:05.000Z") + `"`,
		"SailPoint":         `meta.lastModified ge "` + since.Format("2006-01-02T15:04:05.000Z") + `" and userName pr`,
		"Oracle":            `meta.lastModified ge "` + since.Format("2006-01-02T15:04:05.000Z") + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			c := &importer{t: t, b: b, seen: make(map[string]int)}
			c.list("/Users?filter=" + url.QueryEscape(filter) + "&startIndex=1&count=100")
			for _, id := range []string{changed, gone, member} {
				if c.seen[id] != 1 {
					t.Errorf("user %s came %d times", id, c.seen[id])
				}
			}
			if len(c.seen) > 60 {
				t.Errorf("%d users came; few changed", len(c.seen))
			}
		})
	}
	t.Run("hour 24 of Java's kk is hour 0", func(t *testing.T) {
		var a, z listResponse
		c := &importer{t: t, b: b, seen: make(map[string]int)}
		c.ask(http.MethodGet, "/Users?count=0&filter="+url.QueryEscape(`meta.lastModified gt "2020-05-05T24:15:00Z"`), nil, &a)
		c.ask(http.MethodGet, "/Users?count=0&filter="+url.QueryEscape(`meta.lastModified gt "2020-05-05T00:15:00Z"`), nil, &z)
		if a.TotalResults != z.TotalResults || a.TotalResults == 0 {
			t.Errorf("%d and %d users", a.TotalResults, z.TotalResults)
		}
	})
}

// A group of 50,000 members is served whole, costs nothing where its members
// are not asked for, and is searched without being read.
func TestBigGroupIsServed(t *testing.T) {
	members := 50_000
	if testing.Short() {
		members = 3_000
	}
	tenant := graphtest.NewTenant(graphtest.Options{Seed: 53, Calm: true})
	group := tenant.SetGroup(map[string]any{"displayName": "All staff", "securityEnabled": true, "mailEnabled": false})
	users := make([]string, members)
	for i := range users {
		users[i] = tenant.SetUser(map[string]any{"displayName": fmt.Sprint("User ", i), "userPrincipalName": fmt.Sprintf("u%d@contoso.example", i), "accountEnabled": true})
	}
	tenant.AddMember(group, users...)
	ts := startTenant(t, tenant)
	b := newBridge(t)
	b.configure(ts.source("contoso", "interval: 1h"))
	b.start()
	b.ready()
	var g struct {
		Members []struct{ Value, Display, Type string }
	}
	b.scimGet("/Groups/"+group, &g)
	seen := make(map[string]bool)
	for _, m := range g.Members {
		seen[m.Value] = m.Type == "User" && m.Display != ""
	}
	for _, id := range users {
		if !seen[id] {
			t.Fatalf("member %s is missing", id)
		}
	}
	if len(g.Members) != members {
		t.Errorf("%d members, want %d", len(g.Members), members)
	}
	status, body := b.get(b.scim+"/Groups?excludedAttributes=members", nil)
	if status != http.StatusOK || len(body) > 2000 || strings.Contains(body, "members") {
		t.Errorf("without members: %d, %d bytes", status, len(body))
	}
	for filter, want := range map[string]int{
		fmt.Sprintf(`members[value eq "%s"]`, users[members/2]): 1,
		fmt.Sprintf(`members.value eq "%s"`, users[0]):          1,
		`members.value eq "nobody"`:                             0,
	} {
		var page listResponse
		b.scimGet("/Groups?excludedAttributes=members&filter="+url.QueryEscape(filter), &page)
		if page.TotalResults != want {
			t.Errorf("%s finds %d groups, want %d", filter, page.TotalResults, want)
		}
	}
}
